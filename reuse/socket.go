package reuse

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"

	"github.com/libp2p/go-reuseport"
)

// maxBacklog asks for as long an accept queue as net.core.somaxconn allows.
const maxBacklog = 1<<16 - 1

// Config says how sockets are made. The zero value is ready for use.
type Config struct {
	// Control, when given, is called for each new socket before it is bound,
	// like [net.ListenConfig.Control] and before this package sets its own
	// options.
	Control func(network, address string, c syscall.RawConn) error

	// Backlog bounds the accept queue; zero means as much as the kernel
	// allows (net.core.somaxconn).
	Backlog int
}

// A Socket is bound to an address with SO_REUSEPORT, but not yet a member of
// the group behind it: it holds the port and gets no connection. Its methods
// are safe for concurrent use.
type Socket struct {
	cfg     Config
	network string
	addr    netip.AddrPort
	v6only  bool

	mu sync.Mutex
	fd int // -1 once listening or closed
}

// errBindOnly ends ListenConfig.Listen before it binds.
var errBindOnly = errors.New("reuse: only the socket was wanted")

// Bind makes a socket and binds it. Network is "tcp", "tcp4" or "tcp6" and
// address is as for [net.Listen]; which family a wildcard or a host name means
// is decided by package net, so that a program that used net.Listen before
// keeps its address. A port of 0 is chosen by the kernel.
//
// An address that can't be had is reported now and not at Listen: see
// [InUseError] for the usual reason.
func (c Config) Bind(ctx context.Context, network, address string) (*Socket, error) {
	switch network {
	case "tcp", "tcp4", "tcp6":
	default:
		return nil, fmt.Errorf("reuse: bind %s: network %q is not tcp, tcp4 or tcp6", address, network)
	}
	fd, target, err := c.open(ctx, network, address)
	if err != nil {
		return nil, fmt.Errorf("reuse: bind %s: %w", address, err)
	}
	s := &Socket{cfg: c, network: network, fd: fd}
	if err := s.bind(target); err != nil {
		closeFD(fd)
		return nil, explainBind(ctx, target, err)
	}
	return s, nil
}

// open makes the socket as package net would for a listener, with its choice
// of the family and its options, and returns a descriptor of it and the
// address to bind. Package net has no step between socket and listen, so the
// socket is taken out by the Control hook, which stands there.
func (c Config) open(ctx context.Context, network, address string) (int, netip.AddrPort, error) {
	fd := -1
	var target netip.AddrPort
	lc := net.ListenConfig{Control: func(network, address string, rc syscall.RawConn) error {
		if c.Control != nil {
			if err := c.Control(network, address, rc); err != nil {
				return err
			}
		}
		if err := reuseport.Control(network, address, rc); err != nil {
			return err
		}
		var err error
		if target, err = bindTarget(network, address); err != nil {
			return err
		}
		if err := control(rc, func(orig int) error {
			fd, err = duplicate(orig)
			return err
		}); err != nil {
			return err
		}
		return errBindOnly
	}}
	lc.SetMultipathTCP(false) // an MPTCP listener can't be steered
	l, err := lc.Listen(ctx, network, address)
	if l != nil { // cannot be: the hook always fails
		l.Close()
	}
	if !errors.Is(err, errBindOnly) {
		return -1, target, err
	}
	return fd, target, nil
}

// bindTarget is the address to bind given what package net told the Control
// hook: a network with the family, and a wildcard that may be of the other one.
func bindTarget(network, address string) (netip.AddrPort, error) {
	target, err := resolve("tcp", address)
	if err != nil || !target.Addr().IsUnspecified() {
		return target, err
	}
	if network == "tcp4" {
		return netip.AddrPortFrom(netip.IPv4Unspecified(), target.Port()), nil
	}
	return netip.AddrPortFrom(netip.IPv6Unspecified(), target.Port()), nil
}

func (s *Socket) bind(target netip.AddrPort) error {
	if err := bindSocket(s.fd, target); err != nil {
		return err
	}
	addr, err := localAddr(s.fd)
	if err != nil {
		return err
	}
	s.addr = addr
	s.v6only = addr.Addr().Is6() && isV6Only(s.fd)
	return nil
}

// Addr returns the address that is bound, with the port that the kernel chose.
func (s *Socket) Addr() net.Addr { return net.TCPAddrFromAddrPort(s.addr) }

// Group returns the name of the group that the socket joins when it listens.
func (s *Socket) Group() GroupID { return GroupID{Addr: s.addr, V6Only: s.v6only} }

// Sibling binds another socket to the same address with the same Config.
func (s *Socket) Sibling(ctx context.Context) (*Socket, error) {
	network, address := s.Group().Listen()
	return s.cfg.Bind(ctx, network, address)
}

// listen makes the socket the last member of its group and a net.Listener. It
// is guarded: only connections with a mark for its place, or one before it, get
// in. The socket can't be used afterwards.
func (s *Socket) listen(ctx context.Context) (*member, error) {
	g, err := Look(ctx, s.Group())
	if err != nil {
		return nil, err
	}
	place := len(g.Members) // or less, if somebody leaves
	if place > MaxIndex {
		return nil, fmt.Errorf("reuse: listen %s: the group has %d members already, more than can be told apart", s.addr, place)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fd < 0 {
		return nil, fmt.Errorf("reuse: listen %s: %w", s.addr, net.ErrClosed)
	}
	backlog := s.cfg.Backlog
	if backlog == 0 {
		backlog = maxBacklog
	}
	if err := setGuard(s.fd, s.addr.Addr().Is6(), maxTTL-place); err != nil {
		return nil, fmt.Errorf("reuse: listen %s: %w", s.addr, err)
	}
	if err := listenFD(s.fd, backlog); err != nil {
		return nil, fmt.Errorf("reuse: listen %s: %w", s.addr, err)
	}
	f := os.NewFile(uintptr(s.fd), s.addr.String())
	s.fd = -1
	l, err := net.FileListener(f)
	f.Close() // FileListener works on a duplicate of its own
	if err != nil {
		return nil, fmt.Errorf("reuse: listen %s: %w", s.addr, err)
	}
	return newMember(l.(*net.TCPListener), s.addr.Addr().Is6())
}

// Close gives the address up. Closing a second time, or after Listen, does nothing.
func (s *Socket) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fd < 0 {
		return nil
	}
	err := closeFD(s.fd)
	s.fd = -1
	return err
}
