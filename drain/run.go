package drain

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	// sweepInterval is how often a drain looks at what cannot wake it.
	sweepInterval = 25 * time.Millisecond

	// settleTime bounds the wait for what is about to end by itself: a server
	// between Accept and its ConnState hook, a handler whose connection was cut.
	settleTime = 250 * time.Millisecond
)

// Run drains: it tells everybody ([Draining], [Drain.OnDrain]), waits for requests
// and connections, then for tasks, then runs the clean-ups, then ends the servers,
// so that their Serve methods return. It blocks until all that has ended.
//
// Run does not close listeners: the caller closes them before, or soon after,
// knowing what the kernel still has queued on them. When ctx ends, that acts as
// [Drain.Force].
//
// The error is nil if nothing was cut and no clean-up failed. Otherwise it Is
// [ErrForced], or has a [*CleanupError] in it, or both. A second call waits for the
// first and returns the same.
func (d *Drain) Run(ctx context.Context) (Report, error) {
	stop := context.AfterFunc(ctx, func() { d.force(context.Cause(ctx)) })
	defer stop()
	if d.begin() {
		d.run()
	}
	<-d.done
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.report, d.err
}

func (d *Drain) run() {
	r := &run{d: d, started: time.Now()}
	if d.opts.Timeout > 0 {
		timer := time.NewTimer(d.opts.Timeout)
		defer timer.Stop()
		r.deadline = timer.C
	}
	d.opts.Logger.Info("drain started", "in_flight", d.counts(), "timeout", max(d.opts.Timeout, 0))
	r.announce()

	clean := r.await(r.connectionsEnded)
	var forced Counts
	if !clean {
		forced = r.cut()
	}
	close(d.quiet)
	r.enter(Tasks)
	if clean && !r.await(r.tasksEnded) {
		forced = r.cut()
	}
	d.cancelAll(context.Canceled) // a late task must not take the process for alive
	r.enter(Cleanup)
	failed := d.runCleanups()
	d.shutServers()
	r.finish(forced, failed)
}

// run is one drain under way, owned by the goroutine that called Run first.
type run struct {
	d        *Drain
	started  time.Time
	deadline <-chan time.Time // nil without a limit
	expired  bool
	goneAway time.Time // the last GOAWAY to all
}

// begin marks the drain as begun. It reports false if it had.
func (d *Drain) begin() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.running {
		return false
	}
	d.running = true
	return true
}

func (r *run) announce() {
	d := r.d
	d.mu.Lock()
	d.report.Started = r.started
	if d.opts.Timeout > 0 {
		d.deadline = r.started.Add(d.opts.Timeout)
	}
	d.draining.Store(true)
	callbacks := d.onDrain
	d.onDrain = nil
	d.mu.Unlock()
	close(d.begun)

	atStart := d.counts()
	d.mu.Lock()
	d.report.AtStart = atStart
	d.mu.Unlock()
	r.enter(Connections)
	for _, f := range callbacks {
		d.notify(f)
	}
}

// enter records phase p and tells the observer.
func (r *run) enter(p Phase) {
	now := time.Now()
	r.d.mu.Lock()
	r.d.report.Phases = append(r.d.report.Phases, PhaseStart{p, now})
	r.d.mu.Unlock()
	if o := r.d.opts.Observer; o != nil {
		o.PhaseChanged(p, now)
	}
}

// await returns true when ended does, false when the drain is forced before.
func (r *run) await(ended func() bool) bool {
	tick := time.NewTicker(sweepInterval)
	defer tick.Stop()
	for !ended() {
		select {
		case <-r.d.wake:
		case <-tick.C:
		case <-r.deadline:
			r.expired = true
			r.d.force(context.DeadlineExceeded)
			return false
		case <-r.d.forced:
			return false
		}
	}
	return true
}

func (r *run) tasksEnded() bool { return r.d.tasks.Load() == 0 }

func (r *run) connectionsEnded() bool {
	r.sweep(time.Now())
	d := r.d
	return d.conns.open.Load() == 0 && d.requests.Load() == 0 && d.others.len() == 0 &&
		len(d.taken.live()) == 0 && r.settled()
}

// settled reports whether all that was accepted has been counted.
func (r *run) settled() bool {
	if time.Since(r.started) >= settleTime {
		return true
	}
	r.d.mu.Lock()
	defer r.d.mu.Unlock()
	for _, l := range r.d.listeners {
		if l.unsettled() {
			return false
		}
	}
	return true
}

// shutServers lets the Serve methods return http.ErrServerClosed. Nothing is left
// that Shutdown could lose, and its own wait ends at once.
func (d *Drain) shutServers() {
	d.mu.Lock()
	servers := d.servers
	d.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), settleTime)
	defer cancel()
	for _, s := range servers {
		if err := s.http.Shutdown(ctx); err != nil {
			d.opts.Logger.Debug("http server shut down", "error", err)
		}
	}
}

func (r *run) finish(forced Counts, failed []*CleanupError) {
	d := r.d
	r.enter(Done)
	d.mu.Lock()
	d.report.Ended = time.Now()
	d.report.Forced = forced
	d.report.Cleanups = failed
	d.err = r.errLocked()
	report := d.report
	d.mu.Unlock()
	d.opts.Logger.Info("drain ended", "took", report.Duration(), "forced", forced, "failed_cleanups", len(failed))
	if o := d.opts.Observer; o != nil {
		o.DrainEnded(report)
	}
	close(d.done)
}

func (r *run) errLocked() error {
	var errs []error
	if forced := r.d.report.Forced; !forced.Zero() {
		err := fmt.Errorf("%w after %v: %v cut", ErrForced, time.Since(r.started).Round(time.Millisecond), forced)
		if cause := r.d.cause; cause != nil {
			err = fmt.Errorf("%w (%w)", err, cause)
		}
		errs = append(errs, err)
	}
	for _, c := range r.d.report.Cleanups {
		errs = append(errs, c)
	}
	return errors.Join(errs...)
}
