package drain

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"
)

// Go runs f in a goroutine that the drain waits for, after connections have ended.
//
// The context of f is cancelled only when the drain is cut, at its deadline or by
// [Drain.Force], so that what f has begun can be finished. A task that runs for as
// long as the process does must watch [Draining] of its context, or [Drain.Quiet]
// if it works for requests, and return by itself. Tasks may be started while
// draining; one started after tasks were waited for has a context that is already
// cancelled, and is not waited for. A panic in f is not recovered, as with a go
// statement.
func (d *Drain) Go(f func(ctx context.Context)) {
	d.goTask(func() { f(d.ctx) })
}

func (d *Drain) goTask(f func()) {
	d.tasks.Add(1)
	go func() {
		defer d.taskEnded()
		f()
	}()
}

func (d *Drain) taskEnded() {
	if d.tasks.Add(-1) == 0 {
		d.poke()
	}
}

// OnDrain registers f to be called when the drain begins, or calls it now if it
// has begun. Each f runs in its own goroutine, so one that blocks holds up neither
// the others nor the drain, which waits for it as for a task. A panic in f is
// recovered and logged.
func (d *Drain) OnDrain(f func()) {
	d.mu.Lock()
	begun := d.draining.Load()
	if !begun {
		d.onDrain = append(d.onDrain, f)
	}
	d.mu.Unlock()
	if begun {
		d.notify(f)
	}
}

func (d *Drain) notify(f func()) {
	d.goTask(func() {
		defer func() {
			if v := recover(); v != nil {
				d.opts.Logger.Error("panic in an OnDrain callback", "panic", v, "stack", string(debug.Stack()))
			}
		}()
		f()
	})
}

type cleanup struct {
	name string
	f    func(ctx context.Context) error
}

// Cleanup registers f to be called when connections and tasks have ended, or were
// cut. Clean-ups run one at a time, the last registered first, each with its own
// [Options].CleanupTimeout; one that has not returned by then is left behind, and
// the next one runs. An error or a panic of f is logged and reported under name, and
// does not stop the others. A clean-up registered by a clean-up runs next; one
// registered after the drain has ended never runs.
func (d *Drain) Cleanup(name string, f func(ctx context.Context) error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.cleanups = append(d.cleanups, cleanup{name, f})
}

func (d *Drain) nextCleanup() (cleanup, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	last := len(d.cleanups) - 1
	if last < 0 {
		return cleanup{}, false
	}
	c := d.cleanups[last]
	d.cleanups = d.cleanups[:last]
	return c, true
}

func (d *Drain) runCleanups() (failed []*CleanupError) {
	for {
		c, ok := d.nextCleanup()
		if !ok {
			return failed
		}
		if err := d.runCleanup(c); err != nil {
			d.opts.Logger.Error("clean-up failed", "name", c.name, "error", err)
			failed = append(failed, &CleanupError{c.name, err})
		}
	}
}

func (d *Drain) runCleanup(c cleanup) error {
	ctx, timeout := context.Background(), d.opts.CleanupTimeout
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	ended := make(chan error, 1)
	go d.callCleanup(ctx, c, ended)
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	// One that honours its context returns now, with more to say than we have.
	select {
	case err := <-ended:
		return err
	case <-time.After(settleTime):
		return fmt.Errorf("has not returned after %v: %w", timeout, context.DeadlineExceeded)
	}
}

func (d *Drain) callCleanup(ctx context.Context, c cleanup, ended chan<- error) {
	err := errors.New("ended by runtime.Goexit")
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v", v)
			d.opts.Logger.Error("panic in a clean-up", "name", c.name, "panic", v, "stack", string(debug.Stack()))
		}
		ended <- err
	}()
	err = c.f(ctx)
}
