package drain

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// bubbleSite serves h over pipes, in a bubble with virtual time.
func bubbleSite(t *testing.T, o Options, h http.HandlerFunc) (*Drain, *chanListener) {
	t.Helper()
	d, l := New(o), newChanListener()
	srv := &http.Server{Handler: h}
	if err := d.Server(srv); err != nil {
		t.Fatal(err)
	}
	go func() {
		if err := srv.Serve(d.Hold(l)); err != http.ErrServerClosed {
			t.Errorf("Serve returned %v", err)
		}
	}()
	return d, l
}

func TestIdleConnectionsCloseAfterGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, l := bubbleSite(t, Options{IdleGrace: 5 * time.Second}, hello)
		idle, fresh := newClient(t, l.dial()), newClient(t, l.dial())
		idle.get("/")
		l.Close()
		ended := drainOf(d)
		idle.closedByPeer()
		fresh.closedByPeer()
		took := wantClean(t, ended).Duration()
		if took < 5*time.Second || took > 5*time.Second+2*sweepInterval {
			t.Errorf("took %v", took)
		}
	})
}

func TestGraceBeginsAgainWithActivity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		started := make(chan struct{})
		d, l := bubbleSite(t, Options{IdleGrace: 5 * time.Second}, func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(200)
			w.(http.Flusher).Flush() // without Connection: close
			close(started)
			time.Sleep(7 * time.Second)
		})
		c := newClient(t, l.dial())
		c.send(getRequest)
		closed := make(chan struct{})
		go func() { // a pipe has no buffer for the handler to flush to
			c.answer()
			c.closedByPeer()
			close(closed)
		}()
		<-started
		l.Close()
		ended := drainOf(d)
		<-closed
		took := wantClean(t, ended).Duration()
		if took < 12*time.Second || took > 12*time.Second+2*sweepInterval {
			t.Errorf("took %v, want 7s and the grace", took)
		}
	})
}

func TestDeadlineCutsWhatIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cause error
		rolledBack := false
		release := make(chan struct{})
		var log strings.Builder
		o := Options{IdleGrace: time.Hour, Logger: slog.New(slog.NewTextHandler(&log, nil))}
		d, l := bubbleSite(t, o, func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/polite":
				<-r.Context().Done()
				cause = context.Cause(r.Context())
				time.Sleep(10 * time.Millisecond)
				rolledBack = true
			case "/deaf":
				<-release
			}
		})
		fresh, idle, polite, deaf := l.dial(), newClient(t, l.dial()), newClient(t, l.dial()), newClient(t, l.dial())
		idle.get("/")
		polite.send("GET /polite HTTP/1.1\r\nHost: test\r\n\r\n")
		deaf.send("GET /deaf HTTP/1.1\r\nHost: test\r\n\r\n")
		d.Go(func(ctx context.Context) { <-ctx.Done() })
		cleaned := false
		d.Cleanup("database", func(context.Context) error { cleaned = rolledBack; return nil })
		synctest.Wait()
		l.Close()
		res := wait(t, drainOf(d))
		close(release)

		want := Counts{Requests: 2, New: 1, Active: 2, Idle: 1, Tasks: 1}
		if res.report.Forced != want || res.report.AtStart != want {
			t.Errorf("forced %v, at start %v; want %v", res.report.Forced, res.report.AtStart, want)
		}
		if !errors.Is(res.err, ErrForced) || !errors.Is(res.err, context.DeadlineExceeded) {
			t.Errorf("error %v", res.err)
		}
		if took := res.report.Duration(); took < defaultTimeout || took > defaultTimeout+2*settleTime {
			t.Errorf("took %v", took)
		}
		if !errors.Is(cause, ErrForced) {
			t.Errorf("the request's context ended with %v", cause)
		}
		if !cleaned {
			t.Error("clean-up has not run, or before a handler that ends with its context")
		}
		if n := strings.Count(log.String(), "level=WARN msg=\"drain forced\""); n != 5 {
			t.Errorf("%d records about what was cut, want one for each of 5 kinds:\n%s", n, log.String())
		}
		for _, c := range []io.Reader{fresh, idle, polite, deaf} {
			if _, err := c.Read(make([]byte, 1)); err != io.EOF {
				t.Errorf("connection not cut: %v", err)
			}
		}
	})
}

func TestWithoutLimitWaitsForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, l := bubbleSite(t, Options{Timeout: -1}, func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(2 * time.Hour)
		})
		c := newClient(t, l.dial())
		c.send(getRequest)
		synctest.Wait()
		l.Close()
		ended := make(chan result)
		go func() {
			r, err := d.Run(context.Background())
			ended <- result{r, err}
		}()
		c.answer()
		if res := <-ended; res.err != nil || res.report.Duration() < 2*time.Hour {
			t.Errorf("took %v, error %v", res.report.Duration(), res.err)
		}
		if !d.Status().Deadline.IsZero() {
			t.Error("has a deadline")
		}
		c.Close()
	})
}

func TestForce(t *testing.T) {
	cause := errors.New("second signal")
	for name, test := range map[string]struct {
		force func(*Drain, context.CancelCauseFunc)
		is    error
	}{
		"Force":         {func(d *Drain, _ context.CancelCauseFunc) { d.Force(); d.Force() }, ErrForced},
		"Run's context": {func(_ *Drain, cancel context.CancelCauseFunc) { cancel(cause) }, cause},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := New(Options{})
				d.Go(func(ctx context.Context) { <-ctx.Done() })
				ctx, cancel := context.WithCancelCause(context.Background())
				defer cancel(nil)
				go func() {
					time.Sleep(time.Second)
					test.force(d, cancel)
				}()
				report, err := d.Run(ctx)
				if report.Forced != (Counts{Tasks: 1}) || !errors.Is(err, ErrForced) || !errors.Is(err, test.is) {
					t.Errorf("forced %v, error %v", report.Forced, err)
				}
				if errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("error %v", err)
				}
				if got := report.Duration(); got < time.Second || got > time.Second+settleTime {
					t.Errorf("took %v", got)
				}
			})
		})
	}
}

func TestForceWithNothingLeftIsClean(t *testing.T) {
	d := New(Options{})
	d.Force()
	if _, err := d.Run(context.Background()); err != nil {
		t.Error(err)
	}
}

func TestSecondRunWaitsForTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := New(Options{})
		d.Go(func(context.Context) { time.Sleep(time.Second) })
		var reports [3]Report
		var wg sync.WaitGroup
		for i := range reports {
			wg.Go(func() { reports[i], _ = d.Run(context.Background()) })
		}
		wg.Wait()
		for _, r := range reports {
			if !reflect.DeepEqual(r, reports[0]) || r.Duration() < time.Second {
				t.Errorf("reports differ: %+v", reports)
			}
		}
	})
}

// recorder is an Observer that writes down what it is told.
type recorder struct {
	phases []Phase
	at     []time.Time
	ended  []Report
}

func (r *recorder) PhaseChanged(p Phase, at time.Time) {
	r.phases, r.at = append(r.phases, p), append(r.at, at)
}
func (r *recorder) DrainEnded(rep Report) { r.ended = append(r.ended, rep) }

func TestPhasesInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen recorder
		d, l := bubbleSite(t, Options{Observer: &seen}, func(w http.ResponseWriter, r *http.Request) { time.Sleep(time.Second) })
		if s := d.Status(); s.Phase != Serving || !s.Started.IsZero() {
			t.Errorf("before: %+v", s)
		}
		d.Go(func(context.Context) { <-d.Quiet(); time.Sleep(2 * time.Second) })
		d.Cleanup("slow", func(context.Context) error { time.Sleep(3 * time.Second); return nil })
		c := newClient(t, l.dial())
		c.send(getRequest)
		synctest.Wait()
		l.Close()
		ended := drainOf(d)
		synctest.Wait()
		if s := d.Status(); s.Phase != Connections || s.InFlight.Requests != 1 || s.Deadline.Sub(s.Started) != defaultTimeout {
			t.Errorf("while draining: %+v", s)
		}
		c.answer()
		c.Close()
		report := wantClean(t, ended)
		if want := []Phase{Connections, Tasks, Cleanup, Done}; !reflect.DeepEqual(seen.phases, want) {
			t.Fatalf("phases %v, want %v", seen.phases, want)
		}
		for i, p := range report.Phases {
			if p.Phase != seen.phases[i] || !p.At.Equal(seen.at[i]) {
				t.Errorf("report has %v, the observer saw %v at %v", p, seen.phases[i], seen.at[i])
			}
			if i > 0 {
				if took, want := p.At.Sub(report.Phases[i-1].At), time.Duration(i)*time.Second; took != want {
					t.Errorf("phase %v took %v, want %v", report.Phases[i-1].Phase, took, want)
				}
			}
		}
		if len(seen.ended) != 1 || !reflect.DeepEqual(seen.ended[0], report) {
			t.Errorf("the observer was told %+v", seen.ended)
		}
		if d.Status().Phase != Done || !isDone(d.Done()) {
			t.Error("not done")
		}
	})
}

func TestConnectionAcceptedAfterTheEndIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, l := bubbleSite(t, Options{}, hello)
		d.Cleanup("late", func(context.Context) error {
			newClient(t, l.dial()).closedByPeer()
			return nil
		})
		if _, err := d.Run(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

func TestHijackedWithoutSocketCountsAsItsHandlerRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, l := bubbleSite(t, Options{}, func(w http.ResponseWriter, r *http.Request) {
			nc, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			<-Draining(r.Context())
			time.Sleep(time.Second)
			nc.Close()
		})
		c := newClient(t, l.dial())
		c.send(getRequest)
		synctest.Wait()
		l.Close()
		if took := wantClean(t, drainOf(d)).Duration(); took != time.Second {
			t.Errorf("took %v", took)
		}
		c.closedByPeer()
	})
}
