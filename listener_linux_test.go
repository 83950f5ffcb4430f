package handover_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/gohandover/handover"
	"github.com/gohandover/handover/drain"
	"github.com/gohandover/handover/health"
)

// echo sends a line and reads it back.
func echo(t *testing.T, c net.Conn, r *bufio.Reader, line string) {
	t.Helper()
	fmt.Fprintln(c, line)
	if got, err := r.ReadString('\n'); err != nil || got != line+"\n" {
		t.Fatalf("echo %q (%v); want %q", got, err, line)
	}
}

// A server of its own protocol: connections that were open go on until their
// clients end them, and so does the process.
func TestRawTCPConnectionsOutliveTheTakeover(t *testing.T) {
	t.Parallel()
	f := newFleet(t, spec{Role: "tcp"})
	old := f.serve()
	c := dial(t, f.address())
	r := bufio.NewReader(c)
	if got, err := r.ReadString('\n'); err != nil || got != "v1\n" {
		t.Fatalf("greeting %q (%v)", got, err)
	}
	echo(t, c, r, "hello")
	next := f.serve()
	echo(t, c, r, "still here")
	if old.has("accept: true true") {
		t.Error("Accept has returned though a connection is open")
	}
	wantGreeting(t, []net.Conn{dial(t, f.address())}, "v2")
	echo(t, c, r, "and here")
	c.Close()
	old.wantExit(0)
	if !old.has("accept: true true") {
		t.Errorf("Accept's error Is not both net.ErrClosed and http.ErrServerClosed: %q", old.said())
	}
	takeOver(t, f, next, 1)
}

func quiet() handover.Options {
	return handover.Options{Logger: slog.New(slog.DiscardHandler), Signals: handover.Signals{Off: true}}
}

// listenHere listens in this very process. What it returns besides ends the
// context, and is closed when the handover is over.
func listenHere(t *testing.T, o handover.Options) (*handover.Listener, context.CancelFunc, <-chan struct{}) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ready := make(chan struct{})
	o.Hooks.Ready = func(handover.Info) { close(ready) }
	l, err := handover.Listen(ctx, "tcp", "127.0.0.1:0", o)
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		l.Wait()
	})
	return l, cancel, ready
}

func TestListenerEndsWithItsContext(t *testing.T) {
	t.Parallel()
	l, cancel, ready := listenHere(t, quiet())
	accepted := make(chan error, 1)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				accepted <- err
				return
			}
			c.Close()
		}
	}()
	<-ready
	if l.Info().Generation != 1 {
		t.Errorf("%+v", l.Info())
	}
	cancel()
	if err := <-accepted; !errors.Is(err, net.ErrClosed) || !errors.Is(err, http.ErrServerClosed) {
		t.Errorf("Accept: %v", err)
	}
	if err := l.Wait(); err != nil {
		t.Errorf("Wait: %v", err)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept after the end: %v", err)
	}
}

func TestListenerClose(t *testing.T) {
	t.Parallel()
	o := quiet()
	o.Drain = drain.New(drain.Options{})
	l, _, ready := listenHere(t, o)
	accepted := make(chan error, 1)
	conns := make(chan net.Conn, 8)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				accepted <- err
				return
			}
			conns <- c
		}
	}()
	<-ready
	for len(conns) > 0 {
		(<-conns).Close() // the gate's
	}
	client := dial(t, l.Addr().String())
	open := <-conns
	if err := l.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if err := <-accepted; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept: %v", err)
	}
	<-o.Drain.Draining()
	select {
	case <-o.Drain.Done():
		t.Error("the drain has ended though a connection is open")
	default:
	}
	open.Close()
	client.Close()
	if err := l.Wait(); err != nil {
		t.Errorf("Wait: %v", err)
	}
}

// A failed handover is told by Accept and by Wait.
func TestListenerWhoseGateFails(t *testing.T) {
	t.Parallel()
	reason := errors.New("db is away")
	h, err := health.New(health.Options{Checks: []health.Check{{Name: "db", Func: func(context.Context) error { return reason }}}})
	if err != nil {
		t.Fatal(err)
	}
	o := quiet()
	o.Health, o.Gate.StartTimeout = h, 50e6
	l, _, _ := listenHere(t, o)
	for {
		c, err := l.Accept()
		if err == nil {
			c.Close() // the gate's
			continue
		}
		if !errors.Is(err, reason) || !errors.Is(err, net.ErrClosed) {
			t.Errorf("Accept: %v", err)
		}
		break
	}
	if err := l.Wait(); !errors.Is(err, reason) || !errors.Is(err, health.ErrUnhealthy) {
		t.Errorf("Wait: %v", err)
	}
}

func TestListenFailsWhenBeforeStartDoes(t *testing.T) {
	t.Parallel()
	reason := errors.New("no luck")
	o := quiet()
	o.Hooks.BeforeStart = func(context.Context) error { return reason }
	if _, err := handover.Listen(t.Context(), "tcp", "127.0.0.1:0", o); !errors.Is(err, reason) {
		t.Errorf("Listen: %v", err)
	}
}

// One process may hold two versions, as a test of a user's would.
func TestTakeoverWithinOneProcess(t *testing.T) {
	t.Parallel()
	o := quiet()
	o.Name, o.Version = "within-"+rand.Text(), "v1"
	first := make(chan error, 1)
	ready := make(chan handover.Info, 1)
	o.Hooks.Ready = func(i handover.Info) { ready <- i }
	go func() { first <- handover.Serve(context.Background(), &http.Server{Addr: "127.0.0.1:0"}, o) }()
	address := (<-ready).Addresses[0].String()

	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	second := make(chan error, 1)
	o.Version = "v2"
	go func() { second <- handover.Serve(ctx, &http.Server{Addr: address}, o) }()
	if i := <-ready; i.Generation != 2 || !strings.Contains(i.Predecessor, "generation 1 (v1)") {
		t.Errorf("the second is told %+v", i)
	}
	if err := <-first; err != nil {
		t.Errorf("the first: %v", err)
	}
	cancel()
	if err := <-second; err != nil {
		t.Errorf("the second: %v", err)
	}
}
