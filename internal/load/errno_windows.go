package load

import (
	"errors"
	"syscall"
)

// wsaeConnRefused is missing in package syscall.
const wsaeConnRefused = syscall.Errno(10061)

// isRefused reports whether nothing listened on the port.
func isRefused(err error) bool { return errors.Is(err, wsaeConnRefused) }

// isReset reports whether the other side, or the kernel for it, has thrown the connection away.
func isReset(err error) bool {
	return errors.Is(err, syscall.WSAECONNRESET) || errors.Is(err, syscall.WSAECONNABORTED)
}
