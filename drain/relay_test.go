package drain

import (
	"context"
	"net"
	"net/http"
	"sync"
	"testing"
)

// relay is a port behind which one generation of a server follows another: it
// stands in for the kernel's steering, and loses nothing when it switches.
type relay struct {
	t    testing.TB
	l    net.Listener
	make func() *http.Server
	opts Options

	mu  sync.Mutex
	gen *generation

	accepting sync.WaitGroup
	drains    sync.WaitGroup
}

type generation struct {
	d *Drain
	l *chanListener
}

func newRelay(t testing.TB, o Options, serve func(*http.Server, net.Listener) error, mk func() *http.Server) *relay {
	t.Helper()
	r := &relay{t: t, l: listen(t), opts: o}
	r.make = mk
	r.start(serve)
	r.accepting.Go(r.accept)
	t.Cleanup(func() {
		r.l.Close()
		r.accepting.Wait()
		r.end(r.gen)
		r.drains.Wait()
	})
	return r
}

func (r *relay) addr() string { return r.l.Addr().String() }

func (r *relay) start(serve func(*http.Server, net.Listener) error) {
	g := &generation{d: New(r.opts), l: newChanListener()}
	srv := r.make()
	if err := g.d.Server(srv); err != nil {
		r.t.Error(err)
	}
	r.drains.Go(func() {
		if err := serve(srv, g.d.Hold(g.l)); err != http.ErrServerClosed {
			r.t.Errorf("Serve returned %v, want %v", err, http.ErrServerClosed)
		}
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gen = g
}

func (r *relay) current() *generation {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.gen
}

func (r *relay) accept() {
	for {
		nc, err := r.l.Accept()
		if err != nil {
			return
		}
		for !r.current().l.give(nc) {
		}
	}
}

// replace starts the next generation and drains the one before.
func (r *relay) replace(serve func(*http.Server, net.Listener) error) {
	old := r.current()
	r.start(serve)
	r.end(old)
}

func (r *relay) end(g *generation) {
	g.l.Close()
	r.drains.Go(func() {
		report, err := g.d.Run(context.Background())
		if err != nil {
			r.t.Errorf("drain: %v (%+v)", err, report)
		}
	})
}

func serveTLS(srv *http.Server, l net.Listener) error { return srv.ServeTLS(l, "", "") }

func servePlain(srv *http.Server, l net.Listener) error { return srv.Serve(l) }
