package reuse

import (
	"context"
	"fmt"
	"net/netip"
)

// Steer puts the plan in force for the group at address from outside, without
// any of its members: it joins the group for a moment as its last, guarded member,
// attaches the program and leaves. So a group can be steered whatever language
// its members are written in. The caller must run as their user.
//
// The plan must not count on the pilot: it names only members that were there
// before. Steering a group that nobody else is in has no effect.
func (c Config) Steer(ctx context.Context, network, address string, p Plan) error {
	if err := p.Validate(); err != nil {
		return err
	}
	s, err := c.Bind(ctx, network, address)
	if err != nil {
		return err
	}
	defer s.Close()
	m, err := s.listen(ctx)
	if err != nil {
		return err
	}
	defer m.l.Close()
	if err := m.attach(p); err != nil {
		return fmt.Errorf("reuse: steer %s: %w", s.Group(), err)
	}
	return nil
}

// A ForeignQueue is the accept queue of sockets that another process owns, for
// [Flush]. Sockets that are gone count as empty.
type ForeignQueue struct {
	ID      GroupID
	Cookies []uint64
}

// Group returns the name of the group.
func (q ForeignQueue) Group() GroupID { return q.ID }

// Queue returns the connections that wait on all the sockets, and the limit of one.
func (q ForeignQueue) Queue() (length, limit int, err error) {
	g, err := Look(context.Background(), q.ID)
	if err != nil {
		return 0, 0, err
	}
	for _, c := range q.Cookies {
		if m, ok := g.Find(c); ok {
			length, limit = length+m.QueueLen, m.QueueLimit
		}
	}
	return length, limit, nil
}

// ParseGroup returns the group that a listener on network and address is or
// would be a member of, without making one.
func ParseGroup(network, address string) (GroupID, error) {
	addr, err := resolve(network, address)
	if err != nil {
		return GroupID{}, fmt.Errorf("reuse: address %q: %w", address, err)
	}
	if network == "tcp" && addr.Addr().IsUnspecified() {
		addr = netip.AddrPortFrom(netip.IPv6Unspecified(), addr.Port()) // dual-stack, as package net does
	}
	return GroupID{Addr: addr, V6Only: network == "tcp6"}, nil
}
