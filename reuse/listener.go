package reuse

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"
)

// A Listener is the place of one process in one group: a [net.Listener] over
// one member socket or, for as long as a hand-over needs it, several (see
// [Listener.Grow]). It accepts plain *net.TCPConn. Its methods are safe for
// concurrent use.
//
// The sockets begin guarded: they are members, but until [Listener.Admit] is
// called only packets get in whose TTL is as high as that of the loopback mark (see
// [Listener.Dial]), higher than any that has come through a router or from a system
// that begins with 64 or 128. A client that the kernel sends to a guarded socket gets
// no answer and tries again after a second. So no program in force, however stale,
// gives a client to a server that has not shown yet that it works.
type Listener struct {
	sock *Socket
	id   GroupID

	conns   chan accepted
	serving chan struct{} // closed by the first Accept
	ended   chan struct{} // closed when no connection can come any more
	abandon chan struct{} // closed by Close: nobody will call Accept again

	started sync.Once
	probes  probes
	log     acceptLog

	mu      sync.Mutex
	members []*member
	retired bool
	seen    []int // indices of the members when they were last looked for
	pumps   int
	closed  bool
}

type accepted struct {
	conn net.Conn
	err  error
}

// Listen makes the socket the last member of its group. The Socket can't be
// used afterwards.
func (s *Socket) Listen(ctx context.Context) (*Listener, error) {
	m, err := s.listen(ctx)
	if err != nil {
		return nil, err
	}
	l := &Listener{
		sock:    s,
		id:      s.Group(),
		conns:   make(chan accepted),
		serving: make(chan struct{}),
		ended:   make(chan struct{}),
		abandon: make(chan struct{}),
	}
	l.add(m)
	return l, nil
}

func (l *Listener) add(m *member) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.members = append(l.members, m)
	l.pumps++
	go l.pump(m)
}

// pump hands on what one member accepts. With a goroutine a member, Accept
// need not know how many there are, and connections that this package opened
// to itself are seen whether the server accepts yet or not.
func (l *Listener) pump(m *member) {
	defer l.pumpEnded()
	for {
		c, err := m.l.AcceptTCP()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		a := accepted{err: err}
		var pr probe
		if err == nil {
			if pr, _ = l.probes.claim(c); pr.got != nil && !pr.keep {
				pr.got <- m
				c.Close()
				continue
			}
			l.log.note()
			a.conn = c
		}
		select {
		case l.conns <- a:
			if pr.got != nil {
				pr.got <- m
			}
		case <-l.abandon:
			if c != nil {
				c.Close()
			}
			return
		}
	}
}

func (l *Listener) pumpEnded() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pumps--
	if l.pumps == 0 && l.retired {
		close(l.ended)
	}
}

// Accept returns the next connection of a client. Errors such as running out of
// descriptors are passed on and nothing is lost by them: call again. After
// Retire or Close it returns an error that Is net.ErrClosed, but not before
// every connection that a member had accepted by then has been returned.
func (l *Listener) Accept() (net.Conn, error) {
	l.started.Do(func() { close(l.serving) })
	select {
	case a := <-l.conns:
		return a.conn, a.err
	case <-l.ended:
		return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: l.Addr(), Err: net.ErrClosed}
	}
}

// Serving returns a channel that is closed when Accept is called for the first
// time: the server behind the listener has begun its work.
func (l *Listener) Serving() <-chan struct{} { return l.serving }

// Rescue begins to remember when connections are accepted, and Rescued ends that
// and returns how many were accepted after t. With t the moment of a cutover
// these are the ones that closing the listener at that moment would have reset.
func (l *Listener) Rescue() { l.log.start() }

// Rescued is described at Rescue.
func (l *Listener) Rescued(t time.Time) int { return l.log.after(t) }

// Addr returns the address of the group.
func (l *Listener) Addr() net.Addr { return l.sock.Addr() }

// Group returns the name of the group.
func (l *Listener) Group() GroupID { return l.id }

// Cookies returns the kernel's numbers of the member sockets, see [Member].
func (l *Listener) Cookies() []uint64 {
	var out []uint64
	for _, m := range l.snapshot() {
		out = append(out, m.cookie)
	}
	return out
}

func (l *Listener) snapshot() []*member {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.members)
}

// Admit lets clients in, to those members that there are now. Which of them gets
// clients is up to the program in force, so attach a right one as well. Calling
// it again does nothing.
func (l *Listener) Admit() error {
	for _, m := range l.snapshot() {
		if err := m.admit(); err != nil {
			return fmt.Errorf("reuse: %s: %w", l.id, err)
		}
	}
	return nil
}

// Grow adds n members, last in the group's order and guarded until the next
// call of Admit. They are ballast: when sockets of others close, the kernel moves the
// group's last socket into each hole, and while there is ballast behind it the
// member that the program names stays at its index. See docs/how-it-works.md.
func (l *Listener) Grow(ctx context.Context, n int) error {
	for range n {
		s, err := l.sock.Sibling(ctx)
		if err != nil {
			return err
		}
		m, err := s.listen(ctx)
		if err != nil {
			s.Close()
			return err
		}
		l.add(m)
	}
	return nil
}

// Attach puts the plan in force for the whole group, in one system call, in
// place of the one before. Which members it names is the caller's affair.
func (l *Listener) Attach(p Plan) error {
	members := l.snapshot()
	if len(members) == 0 {
		return fmt.Errorf("reuse: attach to %s: %w", l.id, net.ErrClosed)
	}
	if err := members[0].attach(p); err != nil {
		return fmt.Errorf("reuse: attach to %s: %w", l.id, err)
	}
	return nil
}

// Detach leaves the whole group to the kernel's hash.
func (l *Listener) Detach() error {
	members := l.snapshot()
	if len(members) == 0 {
		return fmt.Errorf("reuse: detach from %s: %w", l.id, net.ErrClosed)
	}
	return members[0].control(detach)
}

// Queue returns the number of connections that wait to be accepted, over all
// members, and the limit of one member's queue.
func (l *Listener) Queue() (length, limit int, err error) {
	for _, m := range l.snapshot() {
		n, most, err := m.queue()
		if err != nil {
			return 0, 0, fmt.Errorf("reuse: queue of %s: %w", l.id, err)
		}
		length, limit = length+n, most
	}
	return length, limit, nil
}

// Retire closes the member sockets, which resets what is still queued on them:
// see [Flush]. Connections that were accepted are still returned by Accept.
// Retiring again does nothing.
func (l *Listener) Retire() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.retired {
		return nil
	}
	l.retired = true
	err := closeMembers(l.members)
	l.members = nil
	if l.pumps == 0 {
		close(l.ended)
	}
	return err
}

// Close retires the listener and drops connections that Accept has not
// returned yet. It is what a server that stops at once calls.
func (l *Listener) Close() error {
	err := l.Retire()
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.closed = true
		close(l.abandon)
	}
	return err
}

func closeMembers(members []*member) error {
	var errs []error
	for _, m := range members {
		errs = append(errs, m.l.Close())
	}
	return errors.Join(errs...)
}
