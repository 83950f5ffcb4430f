package reuse

import (
	"context"
	"fmt"
	"maps"
	"time"
)

// A Queue is an accept queue that a flush waits for: that of a [Listener], or
// of sockets that another process owns ([ForeignQueue]).
type Queue interface {
	Group() GroupID

	// Queue returns how many connections wait to be accepted, and the limit.
	Queue() (length, limit int, err error)
}

// A Flushed tells how a flush went.
type Flushed struct {
	Took time.Duration

	// Queued and HalfOpen are what was left when time ran out: closing the
	// listener resets that many clients. Both are 0 after a flush that ended.
	Queued   int
	HalfOpen int
}

// Left returns the number of clients that closing the listener would reset.
func (f Flushed) Left() int { return f.Queued + f.HalfOpen }

// flushLook is the time between two looks at a queue.
const flushLook = 4 * time.Millisecond

// Flush waits until everything that the kernel had queued on a listener before
// the cutover has been accepted, while the server goes on accepting: until the
// handshakes that were half open after the cutover have ended and the accept
// queue is empty, both seen twice. Then closing the listener loses nothing.
//
// Call it when a program is in force that doesn't name the listener. A SYN that
// another processor was handling at that moment may still have come through the
// program before, so a first look never ends it, and handshakes that begin
// between the first two looks are waited for too.
//
// A look that fails, as when the process is out of descriptors, is made again. At
// the end of ctx it returns what was left and ctx's cause. A client that
// vanished in the middle of its handshake is kept by the kernel for up to a
// minute, so ctx should have a deadline.
func Flush(ctx context.Context, q Queue) (Flushed, error) {
	began := time.Now()
	tick := time.NewTicker(flushLook)
	defer tick.Stop()
	f := flush{q: q}
	for {
		if err := f.look(ctx); err != nil && ctx.Err() == nil {
			// Out of descriptors, perhaps: that passes, and tells nothing.
			f.blind, f.empty = err, 0
		}
		if f.empty == 2 {
			return f.result(began), nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return f.result(began), f.giveUp(ctx)
		}
	}
}

type flush struct {
	q       Queue
	looks   int
	empty   int // looks in a row that found nothing
	queued  int
	pending map[handshake]bool // half open since before the cutover
	blind   error              // why the last look saw nothing
}

func (f *flush) giveUp(ctx context.Context) error {
	if f.blind != nil {
		return fmt.Errorf("reuse: flush %s: %w (it could not be looked at: %w)", f.q.Group(), context.Cause(ctx), f.blind)
	}
	return fmt.Errorf("reuse: flush %s: %w", f.q.Group(), context.Cause(ctx))
}

func (f *flush) look(ctx context.Context) error {
	open, err := halfOpen(ctx, f.q.Group())
	if err != nil {
		return err
	}
	if f.queued, _, err = f.q.Queue(); err != nil {
		return err
	}
	f.blind = nil
	f.note(open)
	return nil
}

// note takes in what one look has seen.
func (f *flush) note(open map[handshake]bool) {
	f.looks++
	switch f.looks {
	case 1:
		f.pending = open
		return
	case 2:
		maps.Copy(f.pending, open)
	}
	maps.DeleteFunc(f.pending, func(h handshake, _ bool) bool { return !open[h] })
	if f.queued == 0 && len(f.pending) == 0 {
		f.empty++
	} else {
		f.empty = 0
	}
}

func (f *flush) result(began time.Time) Flushed {
	return Flushed{Took: time.Since(began), Queued: f.queued, HalfOpen: len(f.pending)}
}
