package health

import (
	"context"
	"sync"
	"time"
)

// rounds is one Pass or Watch under way. The goroutine that called it owns the state; each probe has a goroutine that
// sends outcomes.
type rounds struct {
	gate     Gate
	watching bool
	began    time.Time
	series   []*series
	outcomes <-chan outcome
	stop     func() // ends and awaits the goroutines; calls that ignore their context are left behind
}

// series is what is known of one probe.
type series struct {
	probe     Probe
	tries     int
	good, bad int   // in a row; one of them is 0
	err       error // the last answer
}

type outcome struct {
	probe int
	err   error
	took  time.Duration
}

func (g Gate) start(ctx context.Context) *rounds {
	ctx, cancel := context.WithCancel(ctx)
	outcomes := make(chan outcome)
	var wg sync.WaitGroup
	r := &rounds{gate: g, began: time.Now(), outcomes: outcomes}
	r.stop = func() {
		cancel()
		wg.Wait()
	}
	for i, p := range g.Probes {
		r.series = append(r.series, &series{probe: p})
		wg.Go(func() { g.repeat(ctx, i, outcomes) })
	}
	return r
}

// repeat tries one probe until ctx ends.
func (g Gate) repeat(ctx context.Context, i int, outcomes chan<- outcome) {
	c := &call{timeout: g.Timeout, fn: g.Probes[i].Probe}
	defer c.settle()
	for {
		began := time.Now()
		err := g.try(ctx, c)
		// Once ctx has ended nobody receives: an answer that is due to that end never replaces a real one.
		select {
		case outcomes <- outcome{i, err, time.Since(began)}:
		case <-ctx.Done():
			return
		}
		select {
		case <-time.After(g.Interval):
		case <-ctx.Done():
			return
		}
	}
}

// try makes one call, or gives one that is still hanging as long again as a new one would get.
func (g Gate) try(ctx context.Context, c *call) error {
	f, joined := c.begin(ctx)
	if joined {
		select {
		case <-f.done:
		case <-ctx.Done():
		case <-time.After(g.Timeout):
		}
	}
	return f.wait(ctx)
}

// next takes the next outcome into account. It returns false once ctx has ended.
func (r *rounds) next(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case o := <-r.outcomes:
		s := r.series[o.probe]
		s.tries++
		s.err = o.err
		if o.err == nil {
			s.good, s.bad = s.good+1, 0
		} else {
			s.good, s.bad = 0, s.bad+1
		}
		if r.gate.Observer != nil {
			r.gate.Observer(Event{Probe: s.probe, Err: o.err, Took: o.took, Tries: s.tries, Row: s.good + s.bad})
		}
		return true
	}
}

func (r *rounds) all(holds func(*series) bool) bool {
	for _, s := range r.series {
		if !holds(s) {
			return false
		}
	}
	return true
}

// unhealthy returns the error that blames the series for which failing holds.
func (r *rounds) unhealthy(cause error, failing func(*series) bool) error {
	e := &UnhealthyError{After: time.Since(r.began), Watching: r.watching}
	if cause != errStartTimeout {
		e.Cause = cause
	}
	for _, s := range r.series {
		if failing(s) {
			e.Failures = append(e.Failures, Failure{Probe: s.probe, Err: s.answer(r.gate.Rise), Tries: s.tries, Row: s.bad})
		}
	}
	return e
}
