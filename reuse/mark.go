package reuse

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// The loopback mark lets anyone on the host reach one member of a group through
// the real port, before any client does. It is a DSCP of the pool for
// experimental and local use (xxxx11, RFC 2474 section 6) with 255 less the
// member's index as the TTL or hop limit. Programs honour it only on packets that
// came over the loopback interface, which nobody outside of the host can send.
const (
	markTOS  = 0xac // DSCP 43 in the upper six bits, ECN in the lower two
	dscpMask = 0xfc
	maxTTL   = 255
)

// A MemberDialer connects to one member of a group through the group's own
// address. It needs a program of this package in force (see [Plan.Program]):
// without one the kernel's hash decides who answers.
//
// An index outside of the group is answered by whomever the kernel's hash
// selects, so a caller that must know who answered has to look (see
// [Listener.Index]).
type MemberDialer struct {
	Index int // index of the member, 0 to MaxIndex

	// Timeout bounds one connection attempt; zero means 5 seconds.
	Timeout time.Duration
}

// DialContext connects to the group at address; network is "tcp", "tcp4" or
// "tcp6". A wildcard host is replaced by the loopback address. The signature is
// that of [net.Dialer.DialContext], so that it fits [net/http.Transport] and
// health probes.
func (d MemberDialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if d.Index < 0 || d.Index > MaxIndex {
		return nil, fmt.Errorf("reuse: dial member: index %d is not within 0 and %d", d.Index, MaxIndex)
	}
	target, err := resolve(network, address)
	if err != nil {
		return nil, err
	}
	return dialFrom(ctx, target, d.Timeout, func(fd int, v6 bool) error {
		return setMark(fd, v6, d.Index)
	}, nil)
}

// dialFrom connects to target, or to the loopback address where target is a
// wildcard. prepare sees the socket before it is bound; announce, when given,
// is told the connection's own address before the first packet leaves, so that
// an acceptor can recognise it however fast it is.
func dialFrom(ctx context.Context, target netip.AddrPort, timeout time.Duration,
	prepare func(fd int, v6 bool) error, announce func(netip.AddrPort)) (net.Conn, error) {
	if timeout == 0 {
		timeout = 5 * time.Second
	}
	var firstErr error
	for _, host := range localHosts(target.Addr()) {
		d := net.Dialer{
			Timeout: timeout,
			Control: func(_, _ string, c syscall.RawConn) error {
				return control(c, func(fd int) error {
					if err := prepare(fd, host.Is6()); err != nil {
						return err
					}
					if announce == nil {
						return nil
					}
					own, err := bindEphemeral(fd, host)
					if err == nil {
						announce(own)
					}
					return err
				})
			},
		}
		d.SetMultipathTCP(false)
		c, err := d.DialContext(ctx, "tcp", netip.AddrPortFrom(host, target.Port()).String())
		if err == nil {
			return c, nil
		}
		if firstErr == nil {
			firstErr = err
		}
	}
	return nil, firstErr
}

// localHosts returns the addresses at which the host itself reaches a listener
// bound to ip. A namespace can have [::] listeners and no ::1, as containers
// without IPv6 do.
func localHosts(ip netip.Addr) []netip.Addr {
	v4 := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	switch {
	case !ip.IsUnspecified():
		return []netip.Addr{ip}
	case ip.Is4():
		return []netip.Addr{v4}
	default:
		return []netip.Addr{netip.IPv6Loopback(), v4}
	}
}

// resolve finds the address that a listener on network and address binds;
// an empty host is the wildcard.
func resolve(network, address string) (netip.AddrPort, error) {
	a, err := net.ResolveTCPAddr(network, address)
	if err != nil {
		return netip.AddrPort{}, err
	}
	if a.IP == nil {
		a.IP = net.IPv6unspecified
		if network == "tcp4" {
			a.IP = net.IPv4zero
		}
	}
	return unmap(a.AddrPort()), nil
}

// unmap drops the ::ffff: form that package net gives to IPv4 addresses.
func unmap(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// control runs f on the descriptor behind c and returns whichever error there is.
func control(c syscall.RawConn, f func(fd int) error) error {
	var ferr error
	if err := c.Control(func(fd uintptr) { ferr = f(int(fd)) }); err != nil {
		return err
	}
	return ferr
}
