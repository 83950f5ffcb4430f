package reuse

import (
	"fmt"
	"net"
	"net/netip"
	"os"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// setMark gives the packets of fd the loopback mark for the member at index.
func setMark(fd int, v6 bool, index int) error {
	type opt struct{ level, name, value int }
	opts := []opt{{unix.IPPROTO_IP, unix.IP_TOS, markTOS}, {unix.IPPROTO_IP, unix.IP_TTL, maxTTL - index}}
	if v6 {
		opts = []opt{{unix.IPPROTO_IPV6, unix.IPV6_TCLASS, markTOS}, {unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS, maxTTL - index}}
	}
	for _, o := range opts {
		if err := unix.SetsockoptInt(fd, o.level, o.name, o.value); err != nil {
			return os.NewSyscallError("setsockopt (loopback mark)", err)
		}
	}
	return nil
}

// bindEphemeral binds fd to a free port of host and returns what it got.
func bindEphemeral(fd int, host netip.Addr) (netip.AddrPort, error) {
	if err := bindSocket(fd, netip.AddrPortFrom(host, 0)); err != nil {
		return netip.AddrPort{}, err
	}
	return localAddr(fd)
}

func bindSocket(fd int, a netip.AddrPort) error {
	domain, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil {
		return os.NewSyscallError("getsockopt SO_DOMAIN", err)
	}
	if domain == unix.AF_INET6 && a.Addr().Is4() && a.Addr().IsUnspecified() {
		a = netip.AddrPortFrom(netip.IPv6Unspecified(), a.Port()) // and not ::ffff:0.0.0.0
	}
	var sa unix.Sockaddr = &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16(), ZoneId: zoneIndex(a.Addr().Zone())}
	if domain == unix.AF_INET {
		sa = &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return os.NewSyscallError("bind", unix.Bind(fd, sa))
}

func localAddr(fd int) (netip.AddrPort, error) {
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return netip.AddrPort{}, os.NewSyscallError("getsockname", err)
	}
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port)), nil
	case *unix.SockaddrInet6:
		return unmap(netip.AddrPortFrom(netip.AddrFrom16(sa.Addr).WithZone(zoneName(sa.ZoneId)), uint16(sa.Port))), nil
	}
	return netip.AddrPort{}, fmt.Errorf("reuse: socket of an unknown family: %T", sa)
}

// duplicate returns a second descriptor of the same socket.
func duplicate(fd int) (int, error) {
	n, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	return n, os.NewSyscallError("fcntl F_DUPFD_CLOEXEC", err)
}

func closeFD(fd int) error { return os.NewSyscallError("close", unix.Close(fd)) }

// listenFD makes fd a member of its group. The kernel caps the backlog at
// net.core.somaxconn (listen(2)).
func listenFD(fd, backlog int) error {
	return os.NewSyscallError("listen", unix.Listen(fd, backlog))
}

// setGuard makes fd drop every packet with a TTL or hop limit below least; 0 takes
// the guard off. It is the mechanism of RFC 5082 (ip(7), IP_MINTTL, since Linux
// 2.6.34; IPV6_MINHOPCOUNT, linux/in6.h) and needs no privilege, which a socket
// filter does since the kernel asks for CAP_NET_ADMIN there. An IPv6 socket gets
// both for the IPv4 connections that it may take.
func setGuard(fd int, v6 bool, least int) error {
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MINTTL, least); err != nil {
		return os.NewSyscallError("setsockopt IP_MINTTL", err)
	}
	if !v6 {
		return nil
	}
	return os.NewSyscallError("setsockopt IPV6_MINHOPCOUNT", unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MINHOPCOUNT, least))
}

// attach puts prog in force for the whole group that fd is a member of, in one
// step, in place of the program before it (socket(7), SO_ATTACH_REUSEPORT_CBPF).
func attach(fd int, prog []bpf.RawInstruction) error {
	filter := make([]unix.SockFilter, len(prog))
	for i, p := range prog {
		filter[i] = unix.SockFilter{Code: p.Op, Jt: p.Jt, Jf: p.Jf, K: p.K}
	}
	fprog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_REUSEPORT_CBPF, &fprog)
	if err == unix.EOPNOTSUPP {
		return fmt.Errorf("%w: the listening socket is an MPTCP one, which can't be steered (in Go: ListenConfig.SetMultipathTCP(false), or GODEBUG=multipathtcp=0)",
			os.NewSyscallError("setsockopt SO_ATTACH_REUSEPORT_CBPF", err))
	}
	return os.NewSyscallError("setsockopt SO_ATTACH_REUSEPORT_CBPF", err)
}

// detach leaves the group to the kernel's hash (socket(7), SO_DETACH_REUSEPORT_BPF).
func detach(fd int) error {
	err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DETACH_REUSEPORT_BPF, 0)
	if err == unix.ENOENT { // no program was in force
		return nil
	}
	return os.NewSyscallError("setsockopt SO_DETACH_REUSEPORT_BPF", err)
}

// socketCookie returns the kernel's number for the socket, never used twice
// (SO_COOKIE); sock_diag shows the same.
func socketCookie(fd int) (uint64, error) {
	c, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_COOKIE)
	return c, os.NewSyscallError("getsockopt SO_COOKIE", err)
}

// queueOf returns the length and the limit of a listening socket's accept
// queue: for listeners tcp_get_info (net/ipv4/tcp.c) reports them in tcpi_unacked and tcpi_sacked.
func queueOf(fd int) (length, limit int, err error) {
	info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return 0, 0, os.NewSyscallError("getsockopt TCP_INFO", err)
	}
	return int(info.Unacked), int(info.Sacked), nil
}

// isV6Only tells whether an IPv6 socket leaves IPv4 alone.
func isV6Only(fd int) bool {
	v, err := unix.GetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY)
	return err == nil && v != 0
}

// peerOf returns who has the other end of c (unix(7), SO_PEERCRED).
func peerOf(c *net.UnixConn) (uid, pid int, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, 0, err
	}
	err = control(raw, func(fd int) error {
		cred, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
		if err != nil {
			return os.NewSyscallError("getsockopt SO_PEERCRED", err)
		}
		uid, pid = int(cred.Uid), int(cred.Pid)
		return nil
	})
	return uid, pid, err
}
