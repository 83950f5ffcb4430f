package generation

import (
	"context"
	"time"

	"github.com/gohandover/handover/internal/control"
)

// finish drains what was begun and ends the generation. Only the first call
// does; others wait.
func (g *Generation) finish(timeout time.Duration) {
	g.mu.Lock()
	first := !g.ending
	g.ending = true
	g.mu.Unlock()
	if !first {
		<-g.done
		return
	}
	ctx := context.Background()
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	_, err := g.cfg.Drain.Run(ctx)
	g.mu.Lock()
	if g.err == nil {
		g.err = err
	}
	failed := g.err != nil && !g.admitted
	g.mu.Unlock()
	if failed {
		g.enter(control.StateFailed)
	} else {
		g.enter(control.StateStopped)
	}
	close(g.done)
}

// Fail ends a generation whose handover failed with err, and returns when what
// it began has ended.
func (g *Generation) Fail(err error) {
	g.blame(err)
	g.closeListeners()
	g.finish(0)
}

// fail is called when a server has stopped serving by itself.
func (g *Generation) fail(err error) {
	g.blame(err)
	g.warn("the server has stopped", err)
	go g.End(context.Background())
}

// blame notes why the generation does not end well. The first reason stays.
func (g *Generation) blame(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err == nil {
		g.err = err
	}
}
