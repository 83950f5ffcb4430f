package health

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// grace is what a function gets to return in after its context has ended. It lets a probe say what it was doing.
const grace = 100 * time.Millisecond

var errNoReturn = errors.New("ended its goroutine without returning")

// call calls fn, within timeout and never twice at once.
type call struct {
	timeout time.Duration
	fn      func(context.Context) error

	mu      sync.Mutex
	current *flight // nil when fn is not running
}

// flight is one call of fn.
type flight struct {
	timeout time.Duration
	began   time.Time
	expired <-chan struct{}
	done    chan struct{}
	err     error // set before done is closed
}

// begin starts fn, or joins the call that is under way.
func (c *call) begin(ctx context.Context) (f *flight, joined bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current != nil {
		return c.current, true
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	f = &flight{timeout: c.timeout, began: time.Now(), expired: ctx.Done(), done: make(chan struct{})}
	c.current = f
	go func() {
		defer cancel() // after done is closed: whoever sees expired can tell which of the two happened
		c.run(ctx, f)
	}()
	return f, false
}

func (c *call) run(ctx context.Context, f *flight) {
	err := errNoReturn
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
		f.err = f.judge(ctx, err)
		c.mu.Lock()
		c.current = nil
		c.mu.Unlock()
		close(f.done)
	}()
	err = c.fn(ctx)
}

// settle gives a call that is under way, and whose context has ended, the time to return.
func (c *call) settle() {
	c.mu.Lock()
	f := c.current
	c.mu.Unlock()
	if f == nil {
		return
	}
	select {
	case <-f.done:
	case <-time.After(grace):
	}
}

// judge turns what fn returned into the answer: one that comes after the timeout is a failure whatever it says.
func (f *flight) judge(ctx context.Context, err error) error {
	switch {
	case !errors.Is(ctx.Err(), context.DeadlineExceeded):
		return err
	case err == nil:
		return &textError{fmt.Sprintf("answered after %s, later than %s", short(time.Since(f.began)), short(f.timeout)), context.DeadlineExceeded}
	case err == context.DeadlineExceeded:
		return f.timedOut()
	case errors.Is(err, context.DeadlineExceeded):
		return &textError{f.timedOut().Error() + ": " + err.Error(), err}
	}
	return err
}

// wait returns fn's answer, or an error when the call outlives its timeout or ctx ends.
func (f *flight) wait(ctx context.Context) error {
	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-f.expired:
	}
	late := time.NewTimer(time.Until(f.began.Add(f.timeout + grace)))
	defer late.Stop()
	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-late.C:
		return f.timedOut()
	}
}

func (f *flight) timedOut() error {
	text := "no answer within " + short(f.timeout)
	if running := time.Since(f.began); running >= f.timeout+time.Second {
		text += ", still running after " + short(running)
	}
	return &textError{text, context.DeadlineExceeded}
}
