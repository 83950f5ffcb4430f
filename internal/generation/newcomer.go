package generation

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/gohandover/handover/health"
	"github.com/gohandover/handover/internal/control"
	"github.com/gohandover/handover/internal/cutover"
	"github.com/gohandover/handover/reuse"
)

var _ cutover.Newcomer = (*Generation)(nil)

// Bind implements [cutover.Newcomer].
func (g *Generation) Bind(ctx context.Context) ([]reuse.GroupID, error) {
	var ids []reuse.GroupID
	for _, a := range g.cfg.Addresses {
		s, err := g.cfg.Socket.Bind(ctx, a.Network, a.Address)
		if err != nil {
			g.unbind()
			return nil, err
		}
		g.mu.Lock()
		g.sockets = append(g.sockets, s)
		g.mu.Unlock()
		ids = append(ids, s.Group())
	}
	return ids, nil
}

func (g *Generation) unbind() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, s := range g.sockets {
		s.Close()
	}
	g.sockets = nil
}

// Enter implements [cutover.Newcomer].
func (g *Generation) Enter(generation int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.number = generation
}

// Number returns the generation's number, 0 before it is known.
func (g *Generation) Number() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.number
}

// Prepare implements [cutover.Newcomer].
func (g *Generation) Prepare(ctx context.Context) error {
	if g.cfg.Prepare == nil {
		return nil
	}
	return g.cfg.Prepare(ctx)
}

// Join implements [cutover.Newcomer].
func (g *Generation) Join(ctx context.Context, how map[reuse.GroupID]cutover.Joining) error {
	g.mu.Lock()
	sockets := g.sockets
	g.mu.Unlock()
	for _, s := range sockets {
		l, err := s.Listen(ctx)
		if err != nil {
			return err
		}
		if err := g.adopt(l); err != nil {
			return errors.Join(err, l.Close())
		}
		if err := join(ctx, l, how[s.Group()]); err != nil {
			return err
		}
		go g.serve(l)
	}
	return nil
}

// adopt makes l one of the listeners, unless they have been closed already.
func (g *Generation) adopt(l *reuse.Listener) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closing {
		return g.endedLocked()
	}
	g.listeners = append(g.listeners, l)
	return nil
}

// open returns the listeners, or why the generation has none any more: its
// server has stopped, or it was told to.
func (g *Generation) open() ([]*reuse.Listener, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closing {
		return nil, g.endedLocked()
	}
	return g.listeners, nil
}

func (g *Generation) endedLocked() error {
	return cmp.Or(g.err, fmt.Errorf("the generation has ended: %w", net.ErrClosed))
}

func join(ctx context.Context, l *reuse.Listener, how cutover.Joining) error {
	if how.Attach != nil {
		if err := l.Attach(*how.Attach); err != nil {
			return err
		}
	}
	if err := l.Grow(ctx, how.Ballast()); err != nil {
		return err
	}
	_, err := l.Index(ctx)
	return err
}

// ErrHandedOn is what Config.Serve returns that leaves serving to somebody else.
var ErrHandedOn = errors.New("the listener is served by the caller")

// serve runs the server on one listener. It returns long after the handover is
// over; a server that stops by itself ends the generation.
func (g *Generation) serve(l net.Listener) {
	err := g.cfg.Serve(l)
	if errors.Is(err, ErrHandedOn) || g.isClosing() {
		return
	}
	g.fail(fmt.Errorf("serving %s: %w", l.Addr(), err))
}

func (g *Generation) isClosing() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.closing
}

// Gate implements [cutover.Newcomer]: the server has to accept on every
// address, the checks to pass, and the probes to be answered through the real
// port by this very process.
func (g *Generation) Gate(ctx context.Context) error {
	gate, err := g.gate()
	if err != nil {
		return err
	}
	if err := gate.Pass(ctx); err != nil {
		return err
	}
	g.enter(control.StateStandby)
	return nil
}

// Watch implements [cutover.Newcomer].
func (g *Generation) Watch(ctx context.Context) error {
	gate, err := g.gate()
	if err != nil {
		return err
	}
	return gate.Watch(ctx)
}

func (g *Generation) gate() (health.Gate, error) {
	gate := g.cfg.Gate
	gate.Probes = []health.Probe{health.FuncProbe{Name: "checks", Func: g.cfg.Health.Ready}}
	listeners, err := g.open()
	if err != nil {
		return gate, err
	}
	for _, l := range listeners {
		dial := func(ctx context.Context, _, _ string) (net.Conn, error) { return l.Dial(ctx) }
		gate.Probes = append(gate.Probes, health.FuncProbe{
			Name: "accept on " + l.Group().String(),
			Func: func(ctx context.Context) error { return accepts(ctx, l) },
		})
		if g.cfg.Probes == nil {
			continue
		}
		own, err := g.cfg.Probes(l.Addr(), dial)
		if err != nil {
			return gate, err
		}
		gate.Probes = append(gate.Probes, own...)
	}
	return gate, nil
}

// acceptWait is the time between two answers of a server that does not accept.
const acceptWait = 200 * time.Millisecond

// accepts tells whether the server takes a connection from l.
func accepts(ctx context.Context, l *reuse.Listener) error {
	select {
	case <-l.Serving():
	case <-time.After(acceptWait):
		return errors.New("the server has not called Accept")
	}
	c, err := l.Dial(ctx)
	if err != nil {
		return err
	}
	return c.Close()
}

// Take implements [cutover.Newcomer].
func (g *Generation) Take(ctx context.Context) (time.Duration, error) {
	g.mu.Lock()
	g.admitted = true
	g.mu.Unlock()
	listeners, err := g.open()
	if err != nil {
		return 0, err
	}
	plans := make([]reuse.Plan, len(listeners))
	for i, l := range listeners {
		var err error
		if plans[i], err = l.OwnPlan(ctx); err != nil {
			return 0, err
		}
		if err := l.Admit(); err != nil {
			return 0, err
		}
	}
	began := time.Now()
	for i, l := range listeners {
		if err := l.Attach(plans[i]); err != nil {
			return time.Since(began), err
		}
	}
	took := time.Since(began)
	for _, l := range listeners {
		if err := reached(ctx, l); err != nil {
			return took, err
		}
	}
	if _, err := g.open(); err != nil {
		return took, err
	}
	g.enter(control.StateActive)
	return took, nil
}

// reachTries is how often it is looked whether a cutover had its effect: a
// machine under load may take its time to accept.
const reachTries = 5

// reached tells whether clients get to l, by being one.
func reached(ctx context.Context, l *reuse.Listener) error {
	for range reachTries {
		ok, err := l.Reach(ctx)
		if ok || err != nil {
			return err
		}
	}
	return fmt.Errorf("the cutover had no effect: new connections to %s still go elsewhere (is a more specific address in use, or another program steering the port?)", l.Group())
}

// Settle implements [cutover.Newcomer].
func (g *Generation) Settle(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, g.cfg.FlushTimeout)
	defer cancel()
	var errs []error
	for _, l := range g.Listeners() {
		errs = append(errs, l.Settle(ctx))
	}
	return errors.Join(errs...)
}

// Yield implements [cutover.Newcomer].
func (g *Generation) Yield(ctx context.Context) error {
	var errs []error
	for _, l := range g.Listeners() {
		errs = append(errs, l.Yield(ctx))
	}
	return errors.Join(errs...)
}

// Leave implements [cutover.Newcomer]. What was begun is drained then.
func (g *Generation) Leave(ctx context.Context) {
	g.mu.Lock()
	admitted := g.admitted
	g.mu.Unlock()
	if admitted {
		g.enter(control.StateDraining)
		g.flush(ctx, time.Time{})
	}
	g.closeListeners()
}
