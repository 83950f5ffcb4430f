package handover_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gohandover/handover"
	"github.com/gohandover/handover/drain"
)

// A new version whose server stops before it has the clients fails, and the
// running one goes on as if it had never been.
func TestServerThatStopsAtOnceIsRefused(t *testing.T) {
	for _, mode := range []string{"tls", "starting", "checked"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, spec{})
			old := f.serve()
			next := f.start(func(s *spec) { s.Role, s.Mode = "breaks", mode })
			next.wantExit(exitError, "handover: service "+f.base.Service, "serving ")
			if next.has("cutover") {
				t.Error("the version that doesn't serve was given the clients")
			}
			wantVersion(t, f.address(), "v1", 20)
			old.signal(syscall.SIGTERM)
			old.wantExit(0)
		})
	}
}

// An old version that is stopped while the new one asks it to hold must not do
// so when it goes on, for then the connections are the new one's.
func TestLateHoldStealsNoConnection(t *testing.T) {
	t.Parallel()
	f := newFleet(t, spec{Flush: 200 * time.Millisecond})
	old := f.serve()
	next := f.start(at("checked", "wait"))
	next.await("checked")
	old.stop()
	next.tell("go")
	next.await("ready")
	next.wantLogged("has not closed it")
	k := knock(f.address(), 8)
	defer k.stop()
	eventually(t, "v2 answers", func() bool { return k.answers("v2") > 50 })
	old.signal(syscall.SIGCONT)
	old.wantExit(0)
	seen := k.answers("v2")
	eventually(t, "v2 goes on to answer", func() bool { return k.answers("v2") > seen+50 })
	if lost := k.stop(); len(lost) > 0 {
		t.Errorf("%d requests were lost: %v", len(lost), lost[0])
	}
	if n := k.answers("v1"); n > 0 {
		t.Errorf("%d requests that came after the cutover were answered by v1", n)
	}
}

// A program that ends its own server ends Serve, which says so.
func TestServeEndsWithItsServer(t *testing.T) {
	for _, test := range []struct {
		name string
		end  func(*http.Server) error
	}{
		{"Close", (*http.Server).Close},
		{"Shutdown", func(srv *http.Server) error { return srv.Shutdown(context.Background()) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			o := quiet()
			o.Name = "ends-" + rand.Text()
			ready := make(chan struct{})
			o.Hooks.Ready = func(handover.Info) { close(ready) }
			srv := &http.Server{Addr: "127.0.0.1:0"}
			served := make(chan error, 1)
			go func() { served <- handover.Serve(ctx, srv, o) }()
			<-ready
			if err := test.end(srv); err != nil {
				t.Fatal(err)
			}
			select {
			case err := <-served:
				if !errors.Is(err, http.ErrServerClosed) {
					t.Errorf("Serve: %v; want http.ErrServerClosed", err)
				}
			case <-time.After(patience):
				t.Fatal("Serve goes on though its server has ended")
			}
		})
	}
}

// A new version that falls ill while it bakes is better than none.
func TestNothingToGoBackToWhileBaking(t *testing.T) {
	t.Parallel()
	f := newFleet(t, spec{})
	old := f.serve()
	next := f.start(func(s *spec) { s.Bake = time.Hour })
	next.await("cutover")
	old.wantLogged("parked")
	old.kill()
	next.tell("sick")
	next.await("ready")
	next.wantLogged("not gone back", "has ended meanwhile", "fell ill")
	wantVersion(t, f.address(), "v2", 20)
}

// A new version does not signal who has started it, whose end might be its own.
func TestSupervisorThatHoldsTheSocketIsRefused(t *testing.T) {
	t.Parallel()
	f := newFleet(t, spec{Role: "supervisor"})
	parent := f.serve()
	parent.await(fmt.Sprint("child ended ", exitError))
	parent.wantLogged(fmt.Sprintf("is held by pid %d ", parent.pid()), "started this process", "a supervisor must not keep the service's socket open")
	wantVersion(t, f.address(), "v1", 20)
	if parent.has("terminated") {
		t.Error("the parent was told to stop")
	}
}

// A version that is told to stop waits for a handover that is under way, but not
// when it is told twice.
func TestSecondSignalWaitsForNoHandover(t *testing.T) {
	t.Parallel()
	f := newFleet(t, spec{Drain: time.Hour})
	old := f.serve()
	answer := ask(f.address(), "/forever")
	old.await("serving /forever")
	next := f.start(at("checked", "wait"))
	next.await("checked")
	old.signal(syscall.SIGTERM)
	old.wantLogged("signal=terminated")
	began := time.Now()
	old.signal(syscall.SIGTERM)
	old.wantExit(exitError, "1 requests, 1 active", "drain: ended by force")
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("ended %v after the second signal", took)
	}
	if got := <-answer; !strings.HasPrefix(got, "error: ") {
		t.Errorf("the request that was cut got the answer %q", got)
	}
	next.tell("go")
	next.await("ready")
	wantVersion(t, f.address(), "v2", 5)
}

// A slowLog is a log handler that takes its time.
type slowLog struct{ slog.Handler }

func (h slowLog) Enabled(context.Context, slog.Level) bool { return true }
func (h slowLog) WithAttrs([]slog.Attr) slog.Handler       { return h }
func (h slowLog) Handle(context.Context, slog.Record) error {
	time.Sleep(5 * time.Millisecond)
	return nil
}

// Accept returns when the drain is over and says how it ended, however long
// that takes.
func TestAcceptTellsOfAForcedEnd(t *testing.T) {
	t.Parallel()
	o := quiet()
	o.Logger = slog.New(slowLog{slog.DiscardHandler})
	o.Drain = drain.New(drain.Options{Timeout: 20 * time.Millisecond, Logger: o.Logger})
	l, cancel, ready := listenHere(t, o)
	accepted := make(chan error, 1)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				accepted <- err
				return
			}
			io.WriteString(c, "hello\n") // and is left open
		}
	}()
	<-ready
	wantGreeting(t, []net.Conn{dial(t, l.Addr().String())}, "hello")
	cancel()
	if err := <-accepted; !errors.Is(err, drain.ErrForced) || !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept: %v; want drain.ErrForced and net.ErrClosed", err)
	}
	if err := l.Wait(); !errors.Is(err, drain.ErrForced) {
		t.Errorf("Wait: %v; want drain.ErrForced", err)
	}
}

// A new version that is told to stop while it waits for the connections of a
// foreign server goes back to it, and leaves it as it was.
func TestForeignServerThatIsGoneBackToGoesOn(t *testing.T) {
	t.Parallel()
	f := newFleet(t, spec{})
	old := f.serve(func(s *spec) { s.Role = "foreign" })
	c := dial(t, f.address())
	r := bufio.NewReader(c)
	again := func() {
		t.Helper()
		io.WriteString(c, "GET /version HTTP/1.1\r\nHost: test\r\n\r\n")
		wantAnswer(t, r, "v1", false)
	}
	again()
	next := f.start()
	next.await("cutover")
	select { // it is to wait for the connection by now
	case <-next.exited:
		t.Fatal("the version has not waited for the connection")
	case <-time.After(200 * time.Millisecond):
	}
	next.signal(syscall.SIGTERM)
	next.wantExit(exitError, "told to stop")
	wantVersion(t, f.address(), "v1", 20)
	again()
	if old.has("terminated") {
		t.Error("the foreign server was told to stop")
	}
}
