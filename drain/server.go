package drain

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
)

// server is an HTTP server given to Drain.Server.
type server struct {
	d      *Drain
	http   *http.Server
	shadow *http.Server // owns the HTTP/2 half; nil if there is none of ours
}

// Server makes srv known to d, to be drained by [Drain.Run]. It must be called
// once for each server, after srv is configured and before it serves. It chains,
// and does not replace, srv's Handler, ConnState, BaseContext and TLSNextProto;
// those must not be changed later. Connections and ResponseWriters are not wrapped.
//
// Serve should be given a listener from [Drain.Hold] or [Drain.Listener]: on a
// bare one it returns as soon as the listener is closed, long before the drain
// has ended. Functions of srv.RegisterOnShutdown run when the drain has ended,
// too late to tell anybody: use [Drain.OnDrain].
//
// It fails for a nil server, for one already given to a Drain, and with
// [ErrDraining] once the drain has begun.
func (d *Drain) Server(srv *http.Server) error {
	if srv == nil {
		return errors.New("drain: nil *http.Server")
	}
	if _, ok := srv.Handler.(*handler); ok {
		return errors.New("drain: this *http.Server already belongs to a Drain")
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.draining.Load() {
		return fmt.Errorf("cannot add an HTTP server: %w", ErrDraining)
	}
	s := &server{d: d, http: srv}
	s.chainHTTP2()
	s.chainConnState()
	s.chainBaseContext()
	srv.Handler = &handler{d: d, next: srv.Handler, notices: s.shadow != nil}
	d.servers = append(d.servers, s)
	return nil
}

func (s *server) chainConnState() {
	next := s.http.ConnState
	s.http.ConnState = func(nc net.Conn, state http.ConnState) {
		nc = accepted(nc)
		if next != nil {
			next(nc, state) // before the drain can end with this connection
		}
		s.d.connState(nc, state)
	}
}

// chainBaseContext lets a request's context find the Drain and end with it, at
// the price of one context for each listener.
func (s *server) chainBaseContext() {
	next := s.http.BaseContext
	s.http.BaseContext = func(l net.Listener) context.Context {
		ctx := context.Background()
		if next != nil {
			ctx = next(l)
		}
		if ctx == nil {
			return nil // net/http has a panic for this
		}
		return s.d.newContext(ctx)
	}
}

func (d *Drain) connState(nc net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		adopt(nc)
		d.conns.add(nc)
		d.refuseLate(nc)
	case http.StateActive, http.StateIdle:
		// A connection can report states after it was hijacked (x/net's h2c
		// handler does): it is no longer in the table then.
		if c := d.conns.get(nc); c != nil {
			c.set(state)
		}
	case http.StateHijacked:
		d.taken.add(nc)
		d.conns.remove(nc)
		d.poke()
	case http.StateClosed:
		d.conns.remove(nc)
		d.poke()
	}
}

// refuseLate closes a connection that was accepted after a forced end.
func (d *Drain) refuseLate(nc net.Conn) {
	if !d.draining.Load() {
		return
	}
	if d.ctx.Err() != nil {
		nc.Close()
	}
}

// handler counts requests and, while draining, asks for the last one of a
// connection. It passes the ResponseWriter on as it is, which keeps sendfile,
// Flusher and Hijacker.
type handler struct {
	d       *Drain
	next    http.Handler // nil means http.DefaultServeMux
	notices bool         // HTTP/2 connections are told by a notice
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.d.requests.Add(1)
	defer h.d.requestEnded()
	if h.d.draining.Load() && h.mayClose(r) {
		w.Header().Set("Connection", "close")
	}
	next := h.next
	if next == nil {
		next = http.DefaultServeMux
	}
	next.ServeHTTP(w, r)
}

// mayClose reports whether r can be the last request of its connection.
func (h *handler) mayClose(r *http.Request) bool {
	if r.ProtoMajor >= 2 {
		// net/http turns the header into a GOAWAY that refuses the streams under
		// way: for connections that have no notice to come first.
		return !h.notices
	}
	// An upgrade's answer has a Connection header of its own, and a reverse
	// proxy would send both.
	return r.Header.Get("Upgrade") == ""
}

func (d *Drain) requestEnded() {
	if d.requests.Add(-1) == 0 {
		d.poke()
	}
}
