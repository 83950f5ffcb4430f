package health_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gohandover/handover/health"
)

// script is a probe that fails where its text has an x and passes elsewhere; the last letter repeats.
func script(name, answers string) health.FuncProbe {
	var i atomic.Int32
	return health.FuncProbe{Name: name, Func: func(context.Context) error {
		n := min(int(i.Add(1)), len(answers)) - 1
		if answers[n] == 'x' {
			return errRefused
		}
		return nil
	}}
}

func hang(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestGatePassesAfterRiseSuccessesInARow(t *testing.T) {
	const interval = health.DefaultInterval
	for _, test := range []struct {
		answers []string
		rise    int
		want    time.Duration
	}{
		{[]string{"."}, 1, 0}, // no needless wait
		{[]string{"."}, 0, interval},
		{[]string{"x."}, 1, interval},
		{[]string{".x."}, 2, 3 * interval},         // the row begins anew
		{[]string{".", "xxx."}, 1, 3 * interval},   // every probe must pass
		{[]string{"..x.", "xx."}, 2, 4 * interval}, // at the same moment
	} {
		synctest.Test(t, func(t *testing.T) {
			g := health.Gate{Rise: test.rise}
			for _, answers := range test.answers {
				g.Probes = append(g.Probes, script(answers, answers))
			}
			began := time.Now()
			err := g.Pass(t.Context())
			if took := time.Since(began); err != nil || took != test.want {
				t.Errorf("%q, rise %d: %v after %v, want after %v", test.answers, test.rise, err, took, test.want)
			}
		})
	}
}

func TestGateGivesUpAtStartTimeoutWithTheLastAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := health.Gate{Interval: 1600 * time.Millisecond, Probes: []health.Probe{
			script("db", "x"), script("fine", "."), script("cache", ".x"),
			health.FuncProbe{Name: "hung", Func: hang},
		}}
		began := time.Now()
		err := g.Pass(t.Context())
		if took := time.Since(began); took != health.DefaultStartTimeout {
			t.Errorf("gave up after %v", took)
		}
		wantError(t, err, "not healthy after 60s (38 tries): db: connection refused; cache: connection refused; hung: no answer within 2s")
		var unhealthy *health.UnhealthyError
		if !errors.As(err, &unhealthy) || !errors.Is(err, health.ErrUnhealthy) || !errors.Is(err, errRefused) {
			t.Fatalf("%T is not what callers branch on", err)
		}
		f := unhealthy.Failures[1]
		if len(unhealthy.Failures) != 3 || f.Probe.String() != "cache" || f.Tries != 38 || f.Row != 37 || f.Err != errRefused {
			t.Errorf("failures = %+v", unhealthy.Failures)
		}
		if unhealthy.After != 60*time.Second || unhealthy.Cause != nil || unhealthy.Watching {
			t.Errorf("fields = %+v", unhealthy)
		}
	})
}

func TestGateStoppedByItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(700*time.Millisecond, func() { cancel(errors.New("candidate exited with status 2")) })
		err := health.Gate{Rise: 9, Probes: []health.Probe{
			script("db", "x"), script("few", "."), health.FuncProbe{Name: "slow", Func: hang},
		}}.Pass(ctx)
		wantError(t, err, "not healthy when stopped after 700ms (3 tries; candidate exited with status 2): "+
			"db: connection refused; few: good answers in a row: 3 of 9; slow: no answer yet")
		if !errors.Is(err, health.ErrUnhealthy) || !errors.Is(err, context.Cause(ctx)) {
			t.Error("neither the sentinel nor the cause can be found in it")
		}
	})
}

func TestGateTimeoutBoundsEachTry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tries int
		g := health.Gate{Rise: 1, Timeout: time.Second, Interval: time.Second, Probes: []health.Probe{
			health.FuncProbe{Name: "slow start", Func: func(ctx context.Context) error {
				if tries++; tries < 3 {
					return hang(ctx)
				}
				return nil
			}},
		}}
		began := time.Now()
		err := g.Pass(t.Context())
		if took := time.Since(began); err != nil || took != 4*time.Second {
			t.Errorf("%v after %v, want two timeouts and two pauses", err, took)
		}
	})
}

func TestGateKeepsTheDetailOfATimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		err := health.Gate{StartTimeout: 3 * time.Second, Probes: []health.Probe{
			health.FuncProbe{Name: "db", Func: func(ctx context.Context) error {
				<-ctx.Done()
				return &net.OpError{Op: "dial", Net: "tcp", Err: ctx.Err()}
			}},
		}}.Pass(t.Context())
		wantError(t, err, "not healthy after 3s (1 try): db: no answer within 2s: dial tcp: context deadline exceeded")
	})
}

func TestGateLeavesAtMostOneHangingCallPerProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		defer close(release)
		var calls atomic.Int32
		deaf := health.FuncProbe{Name: "deaf", Func: func(context.Context) error { calls.Add(1); <-release; return nil }}
		g := health.Gate{Probes: []health.Probe{deaf}, StartTimeout: 10 * time.Second}
		began := time.Now()
		wantErrorContains(t, g.Pass(t.Context()), "deaf: no answer within 2s, still running after 8.9s")
		if took := time.Since(began); took > 10200*time.Millisecond {
			t.Errorf("a call that ignores its context held Pass up for %v", took)
		}
		if n := calls.Load(); n != 1 {
			t.Errorf("%d calls at once", n)
		}
	})
}

func TestGateWithoutProbes(t *testing.T) {
	if err := (health.Gate{}).Pass(t.Context()); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := (health.Gate{}).Pass(ctx); err != context.Canceled {
		t.Error(err)
	}
	if err := (health.Gate{}).Watch(ctx); err != context.Canceled {
		t.Error(err)
	}
}

func TestGateTriesNothingWhenItsContextHasEnded(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	g := health.Gate{Probes: []health.Probe{health.FuncProbe{Name: "db", Func: func(context.Context) error {
		t.Error("tried")
		return nil
	}}}}
	if err := g.Pass(ctx); err != context.Canceled {
		t.Error(err)
	}
}

func TestWatchReturnsAfterFallFailuresInARow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := health.Gate{Interval: time.Second, Probes: []health.Probe{script("fine", "."), script("db", "..xx.xx.x")}}
		began := time.Now()
		err := g.Watch(t.Context())
		// Answers come at 0s, 1s, ...: two short rows of failures, then one that does not end, from 8s on.
		if took := time.Since(began); took != 10*time.Second {
			t.Errorf("returned after %v", took)
		}
		wantError(t, err, "no longer healthy after 10s (3 failures in a row): db: connection refused")
		if !errors.Is(err, health.ErrUnhealthy) {
			t.Error("not ErrUnhealthy")
		}
	})
}

func TestWatchReturnsTheCauseOfItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		baked := errors.New("bake time over")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Hour, baked)
		defer cancel()
		if err := (health.Gate{Probes: []health.Probe{script("db", ".")}}).Watch(ctx); err != baked {
			t.Errorf("got %v", err)
		}
	})
}

func TestObserverSeesEveryTry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got strings.Builder
		g := health.Gate{
			Probes: []health.Probe{script("db", "xx..")},
			Observer: func(e health.Event) {
				if (e.Err != nil) != (e.Tries <= 2) || e.Took != 0 || e.Probe.String() != "db" {
					t.Errorf("event %+v", e)
				}
				got.WriteByte(byte('0' + e.Row))
			},
		}
		if err := g.Pass(t.Context()); err != nil || got.String() != "1212" {
			t.Errorf("%v, rows %s", err, got.String())
		}
	})
}

type nilProbe struct{ health.TCPProbe }

func TestGateValidate(t *testing.T) {
	probe := func(p health.Probe) health.Gate { return health.Gate{Probes: []health.Probe{p}} }
	for _, test := range []struct {
		gate health.Gate
		want string
	}{
		{health.Gate{Rise: -1}, "gate: negative count (rise -1, fall 0)"},
		{health.Gate{Fall: -1}, "gate: negative count (rise 0, fall -1)"},
		{health.Gate{Interval: -1}, "gate: negative duration (interval -1ns, timeout 0s, start timeout 0s)"},
		{health.Gate{Timeout: -1}, "gate: negative duration (interval 0s, timeout -1ns, start timeout 0s)"},
		{health.Gate{StartTimeout: -1}, "gate: negative duration (interval 0s, timeout 0s, start timeout -1ns)"},
		{probe(nil), "gate: probe 0 is nil"},
		{probe((*nilProbe)(nil)), "gate: probe 0 is nil"},
		{probe(health.FuncProbe{Name: "db"}), "gate: probe 0 (db): no Func"},
		{probe(health.FuncProbe{Func: pass}), "gate: probe 0 (): no Name"},
		{probe(health.ExecProbe{}), "gate: probe 0 (exec:): no command"},
		{probe(health.TCPProbe{Address: "host"}), "gate: probe 0 (tcp://host): address host: missing port in address"},
		{probe(health.TCPProbe{Address: "host:http"}), "gate: probe 0 (tcp://host:http): address host:http: the port must be a number from 1 to 65535"},
		{probe(health.TCPProbe{Address: "a/b:1"}), `gate: probe 0 (tcp://a/b:1): address a/b:1: the host is not a name or IP address`},
		{probe(&health.GRPCProbe{Address: "h:1", Service: "a/b"}), `gate: probe 0 (grpc://h:1/a/b): service "a/b": want a name such as shop.v1.Orders`},
		{probe(health.HTTPProbe{URL: "ftp://h/"}), "gate: probe 0 (GET ftp://h/): URL ftp://h/: want http:// or https://"},
		{probe(health.HTTPProbe{URL: "http:///x"}), "gate: probe 0 (GET http:///x): URL http:///x: no host"},
		{probe(health.HTTPProbe{URL: "http://u:secret@h:x/"}), `gate: probe 0 (GET xxxxx@h:x/): malformed URL: invalid port ":x" after host`},
		{probe(health.HTTPProbe{URL: "http://h/", Method: "G T"}), `gate: probe 0 (G T http://h/): net/http: invalid method "G T"`},
		{probe(health.HTTPProbe{URL: "http://h/", Expect: []int{42}}), "gate: probe 0 (GET http://h/): status 42 in Expect: want 200 to 599"},
	} {
		wantError(t, test.gate.Validate(), test.want)
		wantError(t, test.gate.Pass(t.Context()), test.want)
		wantError(t, test.gate.Watch(t.Context()), test.want)
	}
}
