package reuse

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
)

// A GroupID names a reuseport group: the kernel keeps one group for each local
// address, and an IPv6 wildcard that leaves IPv4 alone is another address than
// one that doesn't.
type GroupID struct {
	Addr   netip.AddrPort
	V6Only bool // for IPv6 addresses
}

// String returns the address, marked where it is IPv6 only.
func (g GroupID) String() string {
	if g.V6Only && g.Addr.Addr().IsUnspecified() {
		return g.Addr.String() + " (IPv6 only)"
	}
	return g.Addr.String()
}

// Listen returns the network and address with which [net.Listen] and
// [Config.Bind] come to this group.
func (g GroupID) Listen() (network, address string) {
	switch ip := g.Addr.Addr(); {
	case ip.Is4():
		return "tcp4", g.Addr.String()
	case g.V6Only || !ip.IsUnspecified():
		return "tcp6", g.Addr.String()
	}
	return "tcp", fmt.Sprintf(":%d", g.Addr.Port()) // dual-stack
}

// same tells whether g and h are one group. V6Only matters for wildcards alone.
func (g GroupID) same(h GroupID) bool {
	return g.Addr == h.Addr && (g.V6Only == h.V6Only || !g.Addr.Addr().IsUnspecified())
}

// overlaps tells whether some connection could be meant for g as well as for
// h, though they are two groups: then one silently takes the other's.
func (g GroupID) overlaps(h GroupID) bool {
	if g.Addr.Port() != h.Addr.Port() || g.same(h) {
		return false
	}
	a, b := g.Addr.Addr(), h.Addr.Addr()
	if !a.IsUnspecified() && !b.IsUnspecified() {
		return false // two different addresses of the host
	}
	return g.has4() && h.has4() || g.has6() && h.has6()
}

// has4 tells whether g takes IPv4 connections.
func (g GroupID) has4() bool {
	return g.Addr.Addr().Is4() || g.Addr.Addr().IsUnspecified() && !g.V6Only
}

// has6 tells whether g takes IPv6 connections.
func (g GroupID) has6() bool { return g.Addr.Addr().Is6() }

// A Member is one listening socket as the kernel shows it to everybody.
type Member struct {
	Group      GroupID
	Cookie     uint64 // the kernel's number for the socket, never used twice
	Inode      uint64 // ties it to /proc/PID/fd
	UID        uint32 // who made it, in this process's user namespace
	QueueLen   int    // connections that wait to be accepted
	QueueLimit int    // how many may
	MPTCP      bool   // can't attach a program; not every kernel tells
}

// A Group is the set of members behind one address at one moment. The kernel
// doesn't tell their order.
type Group struct {
	ID      GroupID
	Members []Member

	// Overlapping are listeners on the same port with another form of address
	// (0.0.0.0, [::], a specific one): they belong to other groups, and take
	// or lose connections that a caller may think are this group's.
	Overlapping []Member
}

// Look asks the kernel for the listeners of the group and of those that overlap
// it. It needs no privilege and sees sockets of all users of the network
// namespace.
func Look(ctx context.Context, id GroupID) (Group, error) {
	all, err := listeners(ctx, id.Addr.Port())
	if err != nil {
		return Group{}, fmt.Errorf("reuse: look at %s: %w", id, err)
	}
	g := Group{ID: id}
	for _, m := range all {
		switch {
		case m.Group.same(id):
			g.Members = append(g.Members, m)
		case m.Group.overlaps(id):
			g.Overlapping = append(g.Overlapping, m)
		}
	}
	return g, nil
}

// Find returns the member with the cookie.
func (g Group) Find(cookie uint64) (Member, bool) {
	i := slices.IndexFunc(g.Members, func(m Member) bool { return m.Cookie == cookie })
	if i < 0 {
		return Member{}, false
	}
	return g.Members[i], true
}

// Without returns the members that have none of the cookies.
func (g Group) Without(cookies ...uint64) []Member {
	return slices.DeleteFunc(slices.Clone(g.Members), func(m Member) bool {
		return slices.Contains(cookies, m.Cookie)
	})
}
