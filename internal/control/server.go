package control

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// Options are the settings of [Listen]. The zero value is a server on an
// abstract socket with a random instance name.
type Options struct {
	// Instance is the name of this process: 16 lower-case hexadecimal digits.
	// Empty: a new random one.
	Instance string

	// Dir is a directory for a socket with a path, for where peers share a
	// directory but no network namespace. It is created if missing, and must
	// belong to this user and be closed to all others. Empty: an abstract
	// socket.
	Dir string

	// Events is what the events verb streams. Nil: a new hub, see
	// [Server.Events].
	Events *Events

	// Extra are further verbs, by name. They answer GET requests, are listed in
	// the status and reached by [Client.Get]. The names of this protocol's own
	// verbs have no effect.
	Extra map[string]http.Handler

	// Logger gets refused connections, at most one line in ten seconds. Nil:
	// nothing is logged.
	Logger *slog.Logger
}

// limits bound what peers can make a server do.
type limits struct {
	conns   int           // connections at a time
	calls   int           // requests at a time that change something
	streams int           // readers of events at a time
	header  time.Duration // from the connection to the end of the request's header
	body    time.Duration // then to the end of its body
	idle    time.Duration // between two requests of a connection
	write   time.Duration // for a reader that does not read
	closing time.Duration // for answers under way when the server closes
}

// Calls and streams leave half of the connections to status requests, which
// never wait for anything.
var defaultLimits = limits{
	conns:   64,
	calls:   16,
	streams: 16,
	header:  5 * time.Second,
	body:    5 * time.Second,
	idle:    5 * time.Second,
	write:   5 * time.Second,
	closing: time.Second,
}

// Server is the control socket of one process.
type Server struct {
	peer   Peer
	events *Events
	extra  map[string]http.Handler
	limits limits
	gate   *gate
	conns  *conns

	calls   chan struct{} // held while a call runs
	streams chan struct{} // held while events are streamed

	ctx    context.Context // of every request; ended by Close
	cancel context.CancelCauseFunc

	mu      sync.Mutex
	http    *http.Server  // nil before Serve
	served  chan struct{} // closed when Serve has returned
	closing bool
}

// Listen opens the control socket of a process that answers for a generation
// of service. From then on the process is found by [Peers] and counts as
// [Alive]; requests wait until [Server.Serve] is called.
func Listen(service string, opts Options) (*Server, error) {
	peer, err := newPeer(service, cmp.Or(opts.Instance, NewInstance()), opts.Dir)
	if err != nil {
		return nil, err
	}
	ln, err := listenUnix(peer, opts.Dir)
	if err != nil {
		return nil, fmt.Errorf("open control socket %s: %w", peer.Name, err)
	}
	return newServer(peer, ln, opts, defaultLimits), nil
}

func newServer(peer Peer, ln *net.UnixListener, opts Options, lim limits) *Server {
	s := &Server{
		peer:    peer,
		events:  opts.Events,
		extra:   opts.Extra,
		limits:  lim,
		conns:   &conns{max: lim.conns},
		calls:   make(chan struct{}, lim.calls),
		streams: make(chan struct{}, lim.streams),
		served:  make(chan struct{}),
	}
	if s.events == nil {
		s.events = new(Events)
	}
	log := opts.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	s.gate = &gate{UnixListener: ln, id: self, conns: s.conns, log: log}
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	return s
}

// Peer returns the name under which others find this server.
func (s *Server) Peer() Peer { return s.peer }

// Events returns the hub that the events verb streams.
func (s *Server) Events() *Events { return s.events }

// Serve answers requests by calling agent until Close, and then returns nil.
// It may be called once; a second call returns an error.
func (s *Server) Serve(agent Agent) error {
	s.mu.Lock()
	if s.closing {
		s.mu.Unlock()
		return nil
	}
	if s.http != nil {
		s.mu.Unlock()
		return errors.New("control: Serve was called twice")
	}
	s.http = &http.Server{
		Handler:           s.handler(agent),
		ReadHeaderTimeout: s.limits.header,
		IdleTimeout:       s.limits.idle,
		MaxHeaderBytes:    maxHeader - 4096, // net/http adds 4096 to it
		BaseContext:       func(net.Listener) context.Context { return s.ctx },
		ConnState:         s.conns.track,
		ErrorLog:          slog.NewLogLogger(s.gate.log.Handler(), slog.LevelError),
	}
	s.mu.Unlock()
	defer close(s.served)
	err := s.http.Serve(s.gate)
	if s.isClosing() {
		return nil
	}
	return fmt.Errorf("control socket %s: %w", s.peer.Name, err)
}

// Close removes the socket, ends the contexts of all calls, gives them a second
// to send their answers, and returns when all goroutines have ended. It may be
// called concurrently and more than once, but not by a method of the [Agent].
func (s *Server) Close() error {
	s.mu.Lock()
	first, serving := !s.closing, s.http != nil
	s.closing = true
	s.mu.Unlock()
	if first {
		s.gate.Close()
		s.cancel(errClosed)
	}
	s.conns.close(true)
	if serving {
		<-s.served
	}
	cut := time.AfterFunc(s.limits.closing, func() { s.conns.close(false) })
	defer cut.Stop()
	s.conns.wait()
	return nil
}

func (s *Server) isClosing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closing
}
