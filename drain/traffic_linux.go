package drain

import (
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// readTraffic asks the kernel, in one system call. It reports false for what is
// not TCP, hides its socket, or is closed.
func readTraffic(nc net.Conn) (traffic, bool) {
	sc, ok := innermost(nc).(syscall.Conn)
	if !ok {
		return traffic{}, false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return traffic{}, false
	}
	var info *unix.TCPInfo
	var infoErr error
	err = raw.Control(func(fd uintptr) {
		info, infoErr = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
	})
	if err != nil || infoErr != nil {
		return traffic{}, false
	}
	return traffic{
		received:      info.Bytes_received,
		sinceReceived: time.Duration(info.Last_data_recv) * time.Millisecond,
		sinceSent:     time.Duration(info.Last_data_sent) * time.Millisecond,
	}, true
}
