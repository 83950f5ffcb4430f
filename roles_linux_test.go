package handover_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/gohandover/handover"
	"github.com/gohandover/handover/drain"
	"github.com/gohandover/handover/health"
	"github.com/gohandover/handover/internal/load"
)

// roles are the servers that this test binary can be.
var roles = map[string]func(spec) error{
	"http":    serveHTTP,
	"tcp":     serveEcho,
	"lazy":    serveLazily,
	"mute":    serveNothing,
	"foreign": serveForeign,
	"plain":   holdPort,
	"agent":   serveAgent,
	"squat":   squat,
}

// turn says that the process has come to a turn of its life, and does there what
// its spec wants.
func (s spec) turn(ctx context.Context, name string, words ...any) error {
	say(append([]any{name}, words...)...)
	switch s.At[name] {
	case "":
		return nil
	case "exit":
		os.Exit(exitTurn)
	case "fail":
		return errors.New("no luck at " + name)
	case "wait":
		select {
		case <-told("go"):
			commands.channel("go") <- struct{}{} // for the next time too
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	case "block":
		select {} // whatever the context says
	}
	return nil
}

func (s spec) options() (handover.Options, error) {
	h, err := health.New(health.Options{Checks: s.checks()})
	if err != nil {
		return handover.Options{}, err
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	d := drain.New(drain.Options{Timeout: s.Drain, IdleGrace: s.Idle, Logger: log})
	for _, resource := range []string{"database", "cache"} {
		d.Cleanup(resource, func(context.Context) error {
			say("released", resource)
			return nil
		})
	}
	o := handover.Options{
		Name:         s.Service,
		Version:      s.Version,
		Addresses:    s.Addresses,
		Health:       h,
		Probes:       s.Probes,
		Gate:         health.Gate{Interval: 20 * time.Millisecond, StartTimeout: s.Start},
		Drain:        d,
		FlushTimeout: s.Flush,
		LockTimeout:  s.Lock,
		Bake:         s.Bake,
		Signals:      handover.Signals{Off: s.Off},
		Logger:       log,
		Hooks: handover.Hooks{
			BeforeStart:  func(ctx context.Context) error { return s.turn(ctx, "starting") },
			AfterCutover: func(i handover.Info) { s.turn(context.Background(), "cutover", describe(i)) },
			Ready:        func(i handover.Info) { s.turn(context.Background(), "ready", describe(i)) },
			AfterDrain:   func(i handover.Info) { s.turn(context.Background(), "drained", describe(i)) },
		},
	}
	if s.Signals {
		o.Signals.Hooks = signalHooks()
	}
	return o, nil
}

// checks are those of a version: one of the spec's, and one that fails from when
// the process is told to be sick.
func (s spec) checks() []health.Check {
	sick := make(chan struct{})
	go func() {
		<-told("sick")
		close(sick)
	}()
	return []health.Check{{Name: "db", Func: func(ctx context.Context) error {
		if err := s.turn(ctx, "checked"); err != nil {
			return err
		}
		if s.Check != "" {
			return errors.New(s.Check)
		}
		select {
		case <-sick:
			return errors.New("fell ill")
		default:
			return nil
		}
	}}}
}

// describe puts what hooks are told in one line.
func describe(i handover.Info) string {
	var addresses []string
	for _, a := range i.Addresses {
		addresses = append(addresses, a.String())
	}
	return fmt.Sprintf("gen=%d name=%s version=%s addr=%s flushed=%d warnings=%d after=%q",
		i.Generation, i.Name, i.Version, strings.Join(addresses, ","), i.Flushed, len(i.Warnings), i.Predecessor)
}

func signalHooks() map[os.Signal]handover.SignalHook {
	hooks := map[os.Signal]handover.SignalHook{}
	for _, sig := range []syscall.Signal{syscall.SIGUSR1, syscall.SIGTSTP, syscall.SIGTERM} {
		hooks[sig] = handover.SignalHook{
			Before: func() { say("before", sig) },
			After:  func() { say("after", sig) },
		}
	}
	return hooks
}

// serveHTTP is the usual role: an HTTP server of the load's and some paths more.
func serveHTTP(s spec) error {
	o, err := s.options()
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: s.mux(o.Health)}
	switch s.Mode {
	case "tls":
		srv.TLSConfig = &tls.Config{Certificates: []tls.Certificate{certificate()}}
	case "h2c":
		srv.Protocols = new(http.Protocols)
		srv.Protocols.SetHTTP1(true)
		srv.Protocols.SetUnencryptedHTTP2(true)
	}
	if s.Tell {
		srv.ConnState = func(c net.Conn, st http.ConnState) {
			if st == http.StateNew {
				say("accepted", c.RemoteAddr())
			}
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		<-told("cancel")
		cancel()
	}()
	startTasks(o.Drain)
	return handover.Serve(ctx, srv, o)
}

// startTasks adds a background task that works for requests.
func startTasks(d *drain.Drain) {
	d.Go(func(context.Context) {
		<-d.Quiet()
		say("task ended")
	})
}

func (s spec) mux(h *health.Health) *http.ServeMux {
	mux := http.NewServeMux()
	mux.Handle("/ready", h.ReadyHandler())
	mux.Handle(load.Path, load.Handler(s.Version))
	mux.HandleFunc("/version", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, s.Version) })
	mux.HandleFunc("/readyz", func(w http.ResponseWriter, r *http.Request) {
		if s.Sick {
			http.Error(w, "db: connection refused", http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) { // as long as it serves
		say("serving", r.URL.Path)
		<-handover.Draining(r.Context())
		io.WriteString(w, "whole answer of "+s.Version)
	})
	mux.HandleFunc("/stream", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "begin ")
		http.NewResponseController(w).Flush()
		<-handover.Draining(r.Context())
		io.WriteString(w, "end of "+s.Version)
	})
	mux.HandleFunc("/upload", func(w http.ResponseWriter, r *http.Request) {
		say("serving", r.URL.Path)
		n, err := io.Copy(io.Discard, r.Body)
		fmt.Fprintf(w, "%d bytes, %v, by %s", n, err, s.Version)
	})
	mux.HandleFunc("/forever", func(_ http.ResponseWriter, r *http.Request) {
		say("serving", r.URL.Path)
		<-r.Context().Done()
		say("cut:", context.Cause(r.Context()))
		panic(http.ErrAbortHandler)
	})
	return mux
}
