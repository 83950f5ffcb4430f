package generation

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gohandover/handover/internal/control"
	"github.com/gohandover/handover/reuse"
)

var _ control.Agent = (*Generation)(nil)

// Hold implements [control.Agent]. It means that a handover is under way, so
// its end is waited for: see resolve.
func (g *Generation) Hold(ctx context.Context) error {
	g.ops.Lock()
	defer g.ops.Unlock()
	if err := context.Cause(ctx); err != nil {
		return err // the asker has gone on without it
	}
	if err := g.hold(ctx); err != nil {
		return err
	}
	for _, l := range g.Listeners() {
		l.Rescue()
	}
	g.resolveLater()
	return nil
}

// hold steers the groups to this generation alone, and makes it active again
// if it was not.
func (g *Generation) hold(ctx context.Context) error {
	if err := g.listening("hold"); err != nil {
		return err
	}
	for _, l := range g.Listeners() {
		if err := l.Hold(ctx); err != nil {
			return err
		}
	}
	g.enter(control.StateActive)
	return nil
}

// listening returns an error unless the generation still has its listeners and
// has had clients.
func (g *Generation) listening(what string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closing || !g.admitted {
		return fmt.Errorf("%w: generation %d can't %s: it is %s", control.ErrConflict, g.number, what, g.state)
	}
	return nil
}

// Park implements [control.Agent].
func (g *Generation) Park(_ context.Context, req control.ParkRequest) error {
	g.ops.Lock()
	defer g.ops.Unlock()
	if err := g.listening("park"); err != nil {
		return err
	}
	g.park(req.Coordinator)
	return nil
}

// park makes the generation wait for what becomes of its successor.
func (g *Generation) park(coordinator string) {
	g.mu.Lock()
	g.coordinator = coordinator
	g.mu.Unlock()
	g.enter(control.StateParked)
	g.resolveLater()
}

// Resume implements [control.Agent].
func (g *Generation) Resume(ctx context.Context) error { return g.Hold(ctx) }

// Drain implements [control.Agent]. If the asker goes away before the listeners
// are closed, the generation waits until the service's lock is free and then
// finds out who is to serve: see resolve.
func (g *Generation) Drain(ctx context.Context, req control.DrainRequest) (control.DrainReply, error) {
	g.ops.Lock()
	defer g.ops.Unlock()
	if err := g.listening("drain"); err != nil {
		return control.DrainReply{}, err
	}
	g.mu.Lock()
	g.coordinator = req.Coordinator
	g.mu.Unlock()
	flushCtx, cancel := context.WithTimeout(ctx, cmp.Or(req.FlushTimeout, g.cfg.FlushTimeout))
	defer cancel()
	reply := g.flush(flushCtx, req.CutoverAt)
	if ctx.Err() != nil {
		g.park(req.Coordinator)
		return reply, context.Cause(ctx)
	}
	g.enter(control.StateDraining)
	g.closeListeners()
	go g.finish(req.DrainTimeout)
	return reply, nil
}

// Stop implements [control.Agent].
func (g *Generation) Stop(context.Context) error {
	g.cfg.Drain.Force()
	g.Hurry()
	go g.End(context.Background())
	return nil
}

// flush empties the queues of all listeners at once.
func (g *Generation) flush(ctx context.Context, cutoverAt time.Time) control.DrainReply {
	began := time.Now()
	var wg sync.WaitGroup
	var mu sync.Mutex
	var reply control.DrainReply
	for _, l := range g.Listeners() {
		wg.Go(func() {
			f, err := reuse.Flush(ctx, l)
			n := l.Rescued(cutoverAt)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				reply.TimedOut = true
				reply.Left += f.Left()
				g.warn("accept queue not empty", err)
			}
			if !cutoverAt.IsZero() {
				reply.Flushed += n
			}
		})
	}
	wg.Wait()
	reply.FlushDuration = time.Since(began)
	g.mu.Lock()
	g.flushed += reply.Flushed
	g.mu.Unlock()
	return reply
}

// closeListeners closes the member sockets; what they have accepted is still
// served.
func (g *Generation) closeListeners() {
	listeners := g.Listeners()
	g.mu.Lock()
	if !g.closing {
		g.closing = true
		close(g.closed)
	}
	g.mu.Unlock()
	for _, l := range listeners {
		if err := l.Retire(); err != nil {
			g.warn("closing a listener", err)
		}
	}
	g.unbind()
}

// resolveLater starts resolve, unless it has been and has not ended.
func (g *Generation) resolveLater() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.resolving || g.closing {
		return
	}
	g.resolving = true
	go func() {
		err := g.resolve()
		g.mu.Lock()
		g.resolving = false
		g.mu.Unlock()
		if err != nil {
			g.warn("after a handover that this generation survived", err)
		}
	}()
}

// resolve waits for the end of a handover and, if this generation still has its
// listeners then, finds out what it is to do. The coordinator holds the service's
// lock, so having it means that the handover has ended: well, or by the
// coordinator's death. If another generation has become active since, this one
// leaves; otherwise it is the one to serve, and makes sure that it does.
func (g *Generation) resolve() error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-g.closed:
			cancel()
		case <-ctx.Done():
		}
	}()
	lock, err := reuse.AcquireLock(ctx, g.cfg.Service, nil)
	if err != nil {
		if g.isClosing() {
			return nil
		}
		return err
	}
	defer lock.Unlock()
	g.ops.Lock()
	defer g.ops.Unlock()
	if g.listening("resolve") != nil {
		return nil
	}
	if !g.succeeded(ctx) {
		for _, l := range g.Listeners() {
			l.Rescued(time.Time{}) // ends what Hold has begun
		}
		return g.hold(ctx)
	}
	g.enter(control.StateDraining)
	flushCtx, cancelFlush := context.WithTimeout(ctx, g.cfg.FlushTimeout)
	defer cancelFlush()
	g.flush(flushCtx, time.Time{})
	g.closeListeners()
	go g.finish(0)
	return nil
}

// succeededTries is how often it is asked who is active while somebody doesn't
// answer.
const succeededTries = 3

// succeeded tells whether a newer generation has the clients.
func (g *Generation) succeeded(ctx context.Context) bool {
	for range succeededTries {
		peers, err := control.Finder{}.Peers(ctx, g.cfg.Service)
		if err != nil {
			return false
		}
		deaf := false
		for _, a := range control.QueryAll(ctx, peers, control.QueryOptions{}) {
			deaf = deaf || errors.Is(a.Err, control.ErrDeaf)
			if a.Status.State == control.StateActive && g.isFollowedBy(a.Status) {
				return true
			}
		}
		if !deaf {
			return false
		}
	}
	return false
}

// isFollowedBy tells whether an active generation has relieved this one. One that
// could not learn this one's number may have a lower one, and has become active later.
func (g *Generation) isFollowedBy(st control.Status) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return st.Generation > g.number || st.Instance != g.cfg.Instance && st.Since.After(g.activated)
}

// End drains a generation that no other one follows, or that has failed, and
// returns when all has ended. While it listens it waits, for a while, for a
// handover that is under way: it may be relieved by it.
func (g *Generation) End(ctx context.Context) {
	if g.listening("end") == nil {
		g.endListening(ctx)
	}
	g.closeListeners()
	g.finish(0)
}

const (
	// relieveTimeout is how long a generation that is told to stop waits for
	// the handover that is under way.
	relieveTimeout = 5 * time.Second

	// lastFlush bounds the flush of a service that ends: clients still come,
	// so its queue may never be seen empty.
	lastFlush = 250 * time.Millisecond
)

// Hurry makes End wait for no handover.
func (g *Generation) Hurry() { g.hurried.Do(func() { close(g.hurry) }) }

func (g *Generation) endListening(ctx context.Context) {
	lockCtx, cancel := context.WithTimeout(ctx, relieveTimeout)
	defer cancel()
	go func() {
		select {
		case <-g.hurry:
		case <-g.closed: // relieved
		case <-lockCtx.Done():
		}
		cancel()
	}()
	lock, err := reuse.AcquireLock(lockCtx, g.cfg.Service, nil)
	if err == nil {
		defer lock.Unlock()
	} else if !errors.Is(err, reuse.ErrLocked) {
		g.warn("ending without the service's lock", err)
	}
	g.ops.Lock()
	defer g.ops.Unlock()
	if g.isClosing() {
		return
	}
	g.enter(control.StateDraining)
	flushCtx, cancelFlush := context.WithTimeout(ctx, lastFlush)
	defer cancelFlush()
	for _, l := range g.Listeners() {
		reuse.Flush(flushCtx, l) // best effort: there is no successor to lose them to
	}
	g.closeListeners()
}
