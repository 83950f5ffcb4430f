package load

import (
	"context"
	"math/rand/v2"
	"time"
)

// failurePause is the shortest pause after a failed request.
const failurePause = 10 * time.Millisecond

// exchanger sends one request and reads its answer. Only one goroutine uses it.
type exchanger interface {
	// exchange returns nil if the request was answered. What is known of the answer it returns in any case.
	exchange(token uint64) (answer, *exchangeError)
	close()
}

// answer is what is counted of an answer.
type answer struct {
	version string
	latency time.Duration
	resent  uint64
}

// client is one closed loop.
type client struct {
	load      *Load
	pattern   Pattern
	recorder  *recorder
	exchanger exchanger
	timer     *time.Timer
	token     uint64 // of the last request
	version   string // of the last answer
}

// run sends one request after another until ctx ends, which does not cut the last one.
func (c *client) run(ctx context.Context) {
	defer c.timer.Stop()
	for c.load.next(ctx) {
		pause := c.load.cfg.Pause
		if !c.once() {
			pause = max(pause, failurePause)
		}
		c.sleep(ctx, pause)
	}
}

// once sends one request, counts what became of it and reports whether it was answered.
func (c *client) once() bool {
	// An odd step goes through all tokens before one comes again, and no two neighbours look alike.
	c.token += 0x9e3779b97f4a7c15
	c.recorder.begin()
	start := time.Now()
	a, err := c.exchanger.exchange(c.token)
	if a.version != "" {
		c.version = a.version
	}
	if err == nil {
		c.recorder.answer(a)
		return true
	}
	c.recorder.fail(err.kind, a.resent)
	now := time.Now()
	f := Failure{
		Pattern: c.pattern, Kind: err.kind, Error: err.Error(), Time: now, After: now.Sub(start),
		Remote: c.load.cfg.Address, Served: err.served, Version: c.version,
	}
	if err.local != nil {
		f.Local = err.local.String()
	}
	c.load.keep(f)
	return false
}

// sleep waits between half of d and one and a half, or until ctx ends.
func (c *client) sleep(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	c.timer.Reset(d/2 + rand.N(d))
	select {
	case <-c.timer.C:
	case <-ctx.Done():
	}
}
