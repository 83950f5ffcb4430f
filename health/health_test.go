package health_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gohandover/handover/health"
)

func TestNewRefusesBadChecks(t *testing.T) {
	for _, test := range []struct {
		want   string
		checks []health.Check
	}{
		{"check without a name", []health.Check{{Func: pass}}},
		{`check "db": no Func`, []health.Check{{Name: "db"}}},
		{`check "db": negative timeout -1s`, []health.Check{{Name: "db", Timeout: -time.Second, Func: pass}}},
		{`check "db": the name is used twice`, []health.Check{{Name: "db", Func: pass}, {Name: "db", Func: pass}}},
		{`check "serving": the name is taken by the state of the server itself`, []health.Check{{Name: "serving", Func: pass}}},
		{`check "a b": a name has at most 64 printable characters and no spaces`, []health.Check{{Name: "a b", Func: pass}}},
		{`check "a\n[+]b": a name has at most 64 printable characters and no spaces`, []health.Check{{Name: "a\n[+]b", Func: pass}}},
	} {
		_, err := health.New(health.Options{Checks: test.checks})
		wantError(t, err, test.want)
	}
}

func TestReadyNamesEveryFailingCheck(t *testing.T) {
	h := newHealth(t, health.Options{Checks: []health.Check{
		{Name: "db", Func: refuse},
		{Name: "disk", Func: pass},
		{Name: "cache", Func: func(context.Context) error { panic("nil map") }},
		{Name: "odd", Func: func(context.Context) error { runtime.Goexit(); return nil }},
	}})
	err := h.Ready(t.Context())
	wantError(t, err, "db: connection refused; cache: panic: nil map; odd: ended its goroutine without returning")
	if !errors.Is(err, errRefused) {
		t.Error("the check's own error cannot be found in it")
	}
}

func TestReadyFollowsTheStateOfTheServer(t *testing.T) {
	calls := 0
	h := newHealth(t, health.Options{Starting: true, Checks: []health.Check{
		{Name: "db", Func: func(context.Context) error { calls++; return nil }},
	}})
	wantError(t, h.Ready(t.Context()), "starting")
	h.SetDraining(true)
	wantError(t, h.Ready(t.Context()), "draining")
	h.SetStarted()
	wantError(t, h.Ready(t.Context()), "draining") // a warm-up that ends late does not undo draining
	if calls != 0 {
		t.Errorf("checks ran %d times while starting or draining", calls)
	}
	h.SetDraining(false)
	if err := h.Ready(t.Context()); err != nil || calls != 1 {
		t.Errorf("after draining was taken back: %v, %d calls", err, calls)
	}
}

func TestDrainingDuringAnAnswerMakesItNotReady(t *testing.T) {
	var h *health.Health
	h = newHealth(t, health.Options{Checks: []health.Check{
		{Name: "db", Func: func(context.Context) error { h.SetDraining(true); return nil }},
	}})
	wantError(t, h.Ready(t.Context()), "draining")
}

func TestHangingCheckIsReportedAndNeverRunTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var calls atomic.Int32
		h := newHealth(t, health.Options{Checks: []health.Check{
			{Name: "db", Timeout: 2 * time.Second, Func: func(context.Context) error { calls.Add(1); <-release; return nil }},
		}})
		began := time.Now()
		err := h.Ready(t.Context())
		wantError(t, err, "db: no answer within 2s")
		if took := time.Since(began); took < 2*time.Second || took > 2200*time.Millisecond {
			t.Errorf("reported after %v, want 2s and little more", took)
		}
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Error("the error is no context.DeadlineExceeded")
		}

		time.Sleep(time.Minute)
		began = time.Now()
		wantError(t, h.Ready(t.Context()), "db: no answer within 2s, still running after 62.1s")
		if took := time.Since(began); took != 0 {
			t.Errorf("a check that is known to hang was waited for: %v", took)
		}
		if n := calls.Load(); n != 1 {
			t.Errorf("the hanging check was called %d times", n)
		}

		close(release)
		synctest.Wait()
		if err := h.Ready(t.Context()); err != nil || calls.Load() != 2 {
			t.Errorf("after it returned: %v, %d calls, want a new call", err, calls.Load())
		}
	})
}

func TestDefaultCheckTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHealth(t, health.Options{Checks: []health.Check{
			{Name: "db", Func: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }},
		}})
		began := time.Now()
		wantError(t, h.Ready(t.Context()), "db: no answer within 5s")
		if took := time.Since(began); took != health.DefaultCheckTimeout {
			t.Errorf("took %v", took)
		}
	})
}

func TestLateAnswerIsAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHealth(t, health.Options{Checks: []health.Check{
			{Name: "db", Timeout: time.Second, Func: func(context.Context) error { time.Sleep(1050 * time.Millisecond); return nil }},
		}})
		wantError(t, h.Ready(t.Context()), "db: answered after 1.1s, later than 1s")
	})
}

func TestRequestsShareTheCallThatIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int32
		h := newHealth(t, health.Options{Checks: []health.Check{
			{Name: "db", Func: func(context.Context) error { calls.Add(1); time.Sleep(time.Second); return nil }},
			{Name: "cache", Func: func(context.Context) error { time.Sleep(time.Second); return nil }},
		}})
		began := time.Now()
		impatient, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() {
			wantErrorContains(t, h.Ready(impatient), "db: context deadline exceeded")
		})
		synctest.Wait() // the impatient one has begun the call that the others join
		for range 20 {
			wg.Go(func() {
				if err := h.Ready(t.Context()); err != nil {
					t.Errorf("one client that left failed the others: %v", err)
				}
			})
		}
		wg.Wait()
		if n, took := calls.Load(), time.Since(began); n != 1 || took != time.Second {
			t.Errorf("%d calls in %v, want 1 in 1s: checks run at the same time and are shared", n, took)
		}
	})
}

func TestConcurrentUse(t *testing.T) {
	var running, overlaps atomic.Int32
	h := newHealth(t, health.Options{Checks: []health.Check{{Name: "db", Func: func(context.Context) error {
		if running.Add(1) > 1 {
			overlaps.Add(1)
		}
		runtime.Gosched()
		running.Add(-1)
		return nil
	}}}})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 200 {
				if i == 0 {
					h.SetDraining(true)
					h.SetDraining(false)
				}
				if err := h.Ready(t.Context()); err != nil && err.Error() != "draining" {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n := overlaps.Load(); n > 0 {
		t.Errorf("a check ran twice at once, %d times", n)
	}
}
