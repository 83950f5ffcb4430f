package reuse

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// probeWait is how long a listener looks out for a connection that it opened to
// itself. One that reached it is seen within a millisecond; waiting this long
// is the cost of an index that is somebody else's.
const probeWait = 250 * time.Millisecond

const (
	// probeDial bounds one attempt to connect: a SYN that got lost is sent again
	// after a second, but a new attempt is as good.
	probeDial = 900 * time.Millisecond

	// acceptWait is how long a server may take to accept a connection of Dial.
	acceptWait = 2 * time.Second
)

// probes are the connections that a listener has opened to its own group, to
// see which member gets them.
type probes struct {
	waiting atomic.Int32 // length of by, so that claim costs clients' connections nothing

	mu sync.Mutex
	by map[netip.AddrPort]probe
}

// A probe is looked out for by its client address.
type probe struct {
	got  chan *member // of one element: who accepted
	keep bool         // it is for the server, whose Accept has to return it first
}

// announce makes claim look out for a connection that comes from addr.
func (p *probes) announce(addr netip.AddrPort, keep bool) probe {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.by == nil {
		p.by = map[netip.AddrPort]probe{}
	}
	pr := probe{got: make(chan *member, 1), keep: keep}
	p.by[addr] = pr
	p.waiting.Store(int32(len(p.by)))
	return pr
}

// take ends the look-out for addr and returns what it was.
func (p *probes) take(addr netip.AddrPort) (probe, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	pr, ok := p.by[addr]
	delete(p.by, addr)
	p.waiting.Store(int32(len(p.by)))
	return pr, ok
}

// claim returns the probe that c, which a member of ours accepted, is, if any.
func (p *probes) claim(c *net.TCPConn) (probe, bool) {
	if p.waiting.Load() == 0 {
		return probe{}, false
	}
	return p.take(unmap(c.RemoteAddr().(*net.TCPAddr).AddrPort()))
}

// Reach opens an ordinary connection to the group, without the mark, and tells
// whether this listener got it: after a cutover that is the proof that the
// program in force does what was asked.
func (l *Listener) Reach(ctx context.Context) (bool, error) {
	m, err := l.probe(ctx, func(int, bool) error { return nil })
	return m != nil, err
}

// ErrElsewhere says that a connection meant for one listener was not accepted
// there: its server doesn't accept, or another member of the group took it.
var ErrElsewhere = errors.New("reuse: the server did not accept the connection")

// Dial connects to this very listener through the real port, before any client
// may: the way to check a server's health as its clients will see it. It succeeds
// when Accept has returned the connection; otherwise the error is ErrElsewhere. So an
// answer is always this server's own. Call [Listener.Index] before, so that the place is known.
func (l *Listener) Dial(ctx context.Context) (net.Conn, error) {
	seen := l.seenAt()
	if len(seen) == 0 {
		return nil, fmt.Errorf("%w: %s", ErrIndex, l.id)
	}
	index := slices.Min(seen)
	c, m, err := l.connect(ctx, true, func(fd int, v6 bool) error { return setMark(fd, v6, index) })
	if err == nil && m == nil {
		c.Close()
		err = fmt.Errorf("%w: %s, index %d", ErrElsewhere, l.id, index)
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

// probe connects to the group and returns the member of ours that accepted, or
// nil if somebody else did, or nobody in time.
func (l *Listener) probe(ctx context.Context, prepare func(fd int, v6 bool) error) (*member, error) {
	c, m, err := l.connect(ctx, false, prepare)
	if c != nil {
		c.Close()
	}
	if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() && ctx.Err() == nil {
		return nil, nil // a full queue drops what it can't take
	}
	return m, err
}

func (l *Listener) connect(ctx context.Context, keep bool, prepare func(fd int, v6 bool) error) (net.Conn, *member, error) {
	var own netip.AddrPort
	var pr probe
	c, err := dialFrom(ctx, l.id.Addr, probeDial, prepare, func(addr netip.AddrPort) {
		l.probes.take(own) // the first of two local addresses that could not be had
		own, pr = addr, l.probes.announce(addr, keep)
	})
	defer func() { l.probes.take(own) }()
	if err != nil {
		return nil, nil, err
	}
	wait := probeWait
	if keep {
		wait = acceptWait
	}
	timeout := time.NewTimer(wait)
	defer timeout.Stop()
	select {
	case m := <-pr.got:
		return c, m, nil
	case <-timeout.C:
		return c, nil, nil
	case <-ctx.Done():
		c.Close()
		return nil, nil, context.Cause(ctx)
	}
}

// Index returns the indices of the members in the group's order, as the
// elements of [Listener.Cookies]. It looks by connecting with the loopback
// mark, so a program of this package has to be in force: first where the
// members were seen last, then at the end of the order, where a socket that
// has just joined is, then everywhere.
//
// A probe that reaches another process is a connection that closes without a
// byte, to that one.
func (l *Listener) Index(ctx context.Context) ([]int, error) {
	g, err := Look(ctx, l.id)
	if err != nil {
		return nil, err
	}
	members := l.snapshot()
	if len(members) == 0 {
		return nil, fmt.Errorf("reuse: own index in %s: %w", l.id, net.ErrClosed)
	}
	found := map[*member]int{}
	for _, i := range searchOrder(len(g.Members), len(members), l.seenAt()) {
		m, err := l.probe(ctx, func(fd int, v6 bool) error { return setMark(fd, v6, i) })
		if err != nil {
			return nil, fmt.Errorf("reuse: own index in %s: %w", l.id, err)
		}
		if m == nil {
			continue
		}
		found[m] = i
		if len(found) == len(members) {
			return l.remember(members, found), nil
		}
	}
	return nil, fmt.Errorf("%w: %s: found %d of %d sockets among %d members",
		ErrIndex, l.id, len(found), len(members), len(g.Members))
}

// ErrIndex says that the place of a member in its group could not be found,
// which means that the program in force is not one of this package's.
var ErrIndex = errors.New("reuse: own index not found: the group is steered by a foreign program or by none")

// seenAt returns the indices of the last successful Index.
func (l *Listener) seenAt() []int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.seen
}

func (l *Listener) remember(members []*member, found map[*member]int) []int {
	out := make([]int, len(members))
	for i, m := range members {
		out[i] = found[m]
	}
	l.setSeen(out...)
	return out
}

func (l *Listener) setSeen(indices ...int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen = indices
}

// searchOrder lists the indices of a group of size members in the order in
// which to look for own ones.
func searchOrder(size, own int, seen []int) []int {
	var order []int
	listed := make([]bool, size)
	add := func(i int) {
		if i >= 0 && i < size && i <= MaxIndex && !listed[i] {
			listed[i] = true
			order = append(order, i)
		}
	}
	for _, i := range seen {
		add(i)
	}
	for i := size - own; i < size; i++ {
		add(i)
	}
	for i := range size {
		add(i)
	}
	return order
}
