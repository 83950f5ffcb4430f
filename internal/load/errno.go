//go:build !windows

package load

import (
	"errors"
	"syscall"
)

// isRefused reports whether nothing listened on the port.
func isRefused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }

// isReset reports whether the other side, or the kernel for it, has thrown the connection away.
func isReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNABORTED)
}
