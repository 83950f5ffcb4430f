package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/libp2p/go-reuseport"

	"github.com/gohandover/handover"
	"github.com/gohandover/handover/health"
	"github.com/gohandover/handover/internal/load"
)

// ServerConfig is what one version of the demo's server is.
type ServerConfig struct {
	Way      Way
	Service  string // the same for all versions
	Version  string
	Address  string
	Sick     bool          // it never gets healthy
	Lifetime time.Duration // it ends by itself then; zero means 10 minutes
}

const (
	defaultLifetime = 10 * time.Minute

	// shutdownTimeout is what a naive server gives to what it has begun, as
	// long as handover does by default.
	shutdownTimeout = 30 * time.Second
)

// errSick is why a version never gets healthy.
var errSick = errors.New("connection refused")

// Args returns the flags that stand for c on a command line. See [Serve].
func (c ServerConfig) Args() []string {
	return []string{
		"--way", string(c.Way), "--service", c.Service, "--server-version", c.Version, "--address", c.Address,
		"--sick=" + strconv.FormatBool(c.Sick), "--lifetime", c.Lifetime.String(),
	}
}

// Serve is the server: it answers the load's requests as one version of a
// service, until it is relieved or told to stop. It tells on out how it gets on,
// and ends the process at once when in ends, which is when its parent has gone.
func Serve(ctx context.Context, c ServerConfig, in io.Reader, out io.Writer) error {
	if c.Lifetime == 0 {
		c.Lifetime = defaultLifetime
	}
	time.AfterFunc(c.Lifetime, func() { os.Exit(1) })
	go func() {
		_, _ = io.Copy(io.Discard, in) // an error is an end as well
		os.Exit(1)
	}()
	tell := teller(out)
	var err error
	switch c.Way {
	case Handover:
		err = serveHandover(ctx, c, tell)
	case Naive:
		err = serveNaive(ctx, c, tell)
	default:
		err = fmt.Errorf("no such way: %q", c.Way)
	}
	if err != nil {
		tell(message{Said: saidFailed, Time: time.Now(), Error: err.Error()})
	}
	return err
}

// teller returns a function that writes messages, one at a time.
func teller(out io.Writer) func(message) {
	var mu sync.Mutex
	enc := json.NewEncoder(out)
	return func(m message) {
		mu.Lock()
		defer mu.Unlock()
		// Nobody is left to hear it when this fails, and the process ends then.
		_ = enc.Encode(m)
	}
}

// newHealth returns the version's health and a handler with it and the load's side.
func newHealth(c ServerConfig) (*health.Health, http.Handler, error) {
	h, err := health.New(health.Options{Checks: []health.Check{{Name: "db", Func: func(context.Context) error {
		if c.Sick {
			return errSick
		}
		return nil
	}}}})
	if err != nil {
		return nil, nil, err
	}
	mux := http.NewServeMux()
	mux.Handle(load.Path, load.Handler(c.Version))
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(load.VersionHeader, c.Version)
		h.ReadyHandler().ServeHTTP(w, r)
	})
	return h, mux, nil
}

// serveHandover is all that it takes with the library. The checks run behind
// /readyz only, so that the probe through the real port is what finds them failing.
func serveHandover(ctx context.Context, c ServerConfig, tell func(message)) error {
	_, mux, err := newHealth(c)
	if err != nil {
		return err
	}
	return handover.Serve(ctx, &http.Server{Addr: c.Address, Handler: mux}, handover.Options{
		Name:    c.Service,
		Version: c.Version,
		Probes:  []string{"/readyz"},
		Logger:  slog.New(slog.NewTextHandler(os.Stderr, nil)),
		Hooks: handover.Hooks{
			BeforeStart: func(context.Context) error {
				tell(say(saidStarting, handover.Info{}))
				return nil
			},
			AfterCutover: func(i handover.Info) { tell(say(saidCutover, i)) },
			Ready:        func(i handover.Info) { tell(say(saidReady, i)) },
			AfterDrain:   func(handover.Info) { tell(say(saidDrained, handover.Info{})) },
		},
	})
}

// serveNaive is what many programs do.
func serveNaive(ctx context.Context, c ServerConfig, tell func(message)) error {
	_, mux, err := newHealth(c)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, os.Interrupt)
	defer stop()
	lc := net.ListenConfig{Control: reuseport.Control}
	lc.SetMultipathTCP(false) // as the other way, so that like is compared with like
	l, err := lc.Listen(ctx, "tcp", c.Address)
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: mux}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	tell(say(saidReady, handover.Info{Addresses: []net.Addr{l.Addr()}}))
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	shutdown, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	err = srv.Shutdown(shutdown)
	tell(say(saidDrained, handover.Info{}))
	return err
}
