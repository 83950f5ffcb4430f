package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/gohandover/handover/internal/load"
)

// handOver waits while next takes over from old by itself. Nobody needs to do
// anything.
func (s *scene) handOver(ctx context.Context, old, next *child, t *Takeover) error {
	ready, err := awaitFor(ctx, next, saidReady, readyTimeout)
	if err != nil {
		return err
	}
	t.Cutover, t.Flush, t.Flushed, t.Warnings = ready.Cutover, ready.Flush, ready.Flushed, ready.Warnings
	if m, ok, _ := next.heard(saidCutover); ok {
		t.CutoverAt = m.Time
		t.Start = m.Time.Sub(next.began)
	}
	if err := waitFor(ctx, old, drainTimeout); err != nil {
		return err
	}
	t.Drain = old.ended.Sub(ready.Time)
	return nil
}

// awaitRefusal waits while c finds out by itself that it is not healthy.
func (s *scene) awaitRefusal(ctx context.Context, c *child) (Sick, error) {
	err := waitFor(ctx, c, sickTimeout+readyTimeout)
	switch failed, ok, _ := c.heard(saidFailed); {
	case ctx.Err() != nil:
		return Sick{}, context.Cause(ctx)
	case err == nil || !ok:
		return Sick{}, fmt.Errorf("%s can't get healthy and did not fail: %w", c.version, err)
	default:
		return Sick{Error: failed.Error}, nil
	}
}

// restart is the naive way: when next answers on the port that both share, old
// gets SIGTERM.
func (s *scene) restart(ctx context.Context, old, next *child, t *Takeover) error {
	if err := s.awaitAnswer(ctx, next, readyTimeout); err != nil {
		return err
	}
	t.CutoverAt = time.Now()
	t.Start = t.CutoverAt.Sub(next.began)
	if err := old.terminate(); err != nil {
		return err
	}
	if err := waitFor(ctx, old, drainTimeout); err != nil {
		return err
	}
	t.Drain = old.ended.Sub(t.CutoverAt)
	return nil
}

// giveUp is the naive way with a version that never gets healthy: it is asked
// for as long as the other way would, and then told to end.
func (s *scene) giveUp(ctx context.Context, c *child) (Sick, error) {
	err := s.awaitAnswer(ctx, c, sickTimeout)
	if ctx.Err() != nil {
		return Sick{}, context.Cause(ctx)
	}
	if err == nil {
		return Sick{}, fmt.Errorf("%s can't get healthy, and says it is", c.version)
	}
	if err := c.terminate(); err != nil {
		return Sick{}, err
	}
	return Sick{Error: err.Error()}, waitFor(ctx, c, drainTimeout)
}

// askInterval is the pause between two looks whether a version is ready.
const askInterval = 50 * time.Millisecond

// awaitAnswer waits until c answers on the port that it may share that it is
// ready, for at most d.
func (s *scene) awaitAnswer(ctx context.Context, c *child, d time.Duration) error {
	if _, err := awaitFor(ctx, c, saidReady, readyTimeout); err != nil {
		return err
	}
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	last := errors.New("no answer from it")
	for end := time.Now().Add(d); time.Now().Before(end); {
		ready, err := ask(ctx, client, s.address, c.version)
		switch {
		case ready:
			return nil
		case err != nil:
			last = err
		}
		select {
		case <-time.After(askInterval):
		case <-c.done:
			return c.failure()
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return fmt.Errorf("not ready after %v: %w", d, last)
}

// ask asks whoever answers at address, and reports whether it was the version
// and is ready. An error is that version's answer.
func ask(ctx context.Context, client *http.Client, address, version string) (bool, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/readyz", nil)
	if err != nil {
		return false, err
	}
	res, err := client.Do(req)
	if err != nil {
		return false, nil // lost on the way, as the naive way does
	}
	defer res.Body.Close()
	if res.Header.Get(load.VersionHeader) != version {
		return false, nil
	}
	if res.StatusCode == http.StatusOK {
		return true, nil
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, 512))
	if err != nil {
		return false, nil
	}
	return false, fmt.Errorf("GET /readyz: %s: %s", res.Status, failedCheck(string(body)))
}

// failedCheck returns the line of a readiness answer that names a failed check.
func failedCheck(body string) string {
	for line := range strings.Lines(body) {
		if strings.HasPrefix(line, "[-]") {
			return strings.TrimSpace(line)
		}
	}
	return ""
}
