//go:build !linux

package reuse

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"

	"golang.org/x/net/bpf"
)

var errUnsupported = fmt.Errorf("reuse: %w on %s: steering a reuseport group needs Linux", errors.ErrUnsupported, runtime.GOOS)

// Other systems either don't balance over SO_REUSEPORT sockets or can't be told
// how, so that "it bound" would be a silent half-measure. Everything fails here.

func setMark(int, bool, int) error { return errUnsupported }

func bindEphemeral(int, netip.Addr) (netip.AddrPort, error) {
	return netip.AddrPort{}, errUnsupported
}

func bindSocket(int, netip.AddrPort) error { return errUnsupported }

func localAddr(int) (netip.AddrPort, error) { return netip.AddrPort{}, errUnsupported }

func duplicate(int) (int, error) { return -1, errUnsupported }

func closeFD(int) error { return errUnsupported }

func listenFD(int, int) error { return errUnsupported }

func setGuard(int, bool, int) error { return errUnsupported }

func attach(int, []bpf.RawInstruction) error { return errUnsupported }

func detach(int) error { return errUnsupported }

func socketCookie(int) (uint64, error) { return 0, errUnsupported }

func queueOf(int) (length, limit int, err error) { return 0, 0, errUnsupported }

func isV6Only(int) bool { return false }

func peerOf(*net.UnixConn) (uid, pid int, err error) { return 0, 0, errUnsupported }
