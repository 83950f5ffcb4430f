package control

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// defaultOverflowUID is the kernel's, for where /proc does not tell.
const defaultOverflowUID = 65534

// namespace reads once what does not change while a process lives. What cannot
// be read is taken for the stricter case.
var namespace = sync.OnceValue(func() identity {
	id := identity{overflow: defaultOverflowUID}
	if b, err := os.ReadFile("/proc/sys/kernel/overflowuid"); err == nil {
		if n, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 32); err == nil {
			id.overflow = uint32(n)
		}
	}
	if f, err := os.Open("/proc/self/uid_map"); err == nil {
		defer f.Close()
		id.complete = mapsEveryUID(f)
	}
	return id
})

// self is this process as its peers' uids are compared with.
func self() identity {
	id := namespace()
	id.euid = uint32(os.Geteuid())
	return id
}

// peerCred returns who is at the other end of a connection.
func peerCred(conn *net.UnixConn) (cred, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return cred{}, err
	}
	var ucred *unix.Ucred
	ctrlErr := raw.Control(func(fd uintptr) {
		ucred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if ctrlErr != nil {
		return cred{}, ctrlErr
	}
	if err != nil {
		return cred{}, fmt.Errorf("credentials of the peer: %w", os.NewSyscallError("getsockopt SO_PEERCRED", err))
	}
	return cred{pid: ucred.Pid, uid: ucred.Uid}, nil
}
