package handover

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"

	"github.com/gohandover/handover/internal/generation"
)

// A Listener is a [net.Listener] that hands over, for servers that are not an
// [net/http.Server]: gRPC, fasthttp, an accept loop. See [Listen].
type Listener struct {
	net.Listener // that of the drain, which counts connections
	p            *process
	done         chan struct{} // closed when err is final
	err          error
	closed       atomic.Bool // Close was called
}

// Listen returns a listener on the address once everything that could speak
// against a handover has been looked at and BeforeStart has run. The handover
// itself begins with the first call of Accept, and ends some time after, see
// [Hooks]. If it fails, Accept returns the reason, and the running version is
// as it was.
//
// When this version has been relieved, or told to stop by a signal or by the
// end of ctx, Accept goes on blocking until the connections that it returned are closed
// and all else in opts.Drain has ended. Then it returns an error that Is both
// [net.ErrClosed] and [net/http.ErrServerClosed]. So a server's Serve method returns
// at the right moment, and the process can exit.
//
// A server that can be asked to end its connections in an orderly way, as gRPC
// with GracefulStop, should be told by [drain.Drain.OnDrain]; for an
// http.Server use [Serve], which needs no telling. Network is "tcp", "tcp4" or "tcp6".
func Listen(ctx context.Context, network, address string, opts Options) (*Listener, error) {
	if len(opts.Addresses) > 0 {
		return nil, errors.New("handover: Options.Addresses is for Serve: Listen has one address")
	}
	opts, err := opts.complete([]string{address})
	if err != nil {
		return nil, err
	}
	joined := make(chan net.Listener, 1)
	p, err := newProcess(opts, network, func(l net.Listener) error {
		joined <- l
		return generation.ErrHandedOn // the caller serves, from now on
	}, "http")
	if err != nil {
		return nil, err
	}
	l := &Listener{p: p, done: make(chan struct{})}
	go func() {
		defer close(l.done)
		l.err = p.run(ctx)
	}()
	select {
	case inner := <-joined:
		l.Listener = opts.Drain.Listener(inner)
		go l.release()
		return l, nil
	case <-l.done:
		return nil, l.err
	}
}

// release lets Accept return at an end that did not come in good order.
func (l *Listener) release() {
	<-l.done
	l.Listener.Close()
}

// Accept is described at [Listen].
func (l *Listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil || !errors.Is(err, net.ErrClosed) {
		return c, err
	}
	if l.closed.Load() { // by the caller
		return nil, err
	}
	<-l.done
	if l.err != nil {
		return nil, fmt.Errorf("%w (%w)", l.err, net.ErrClosed)
	}
	return nil, err
}

// Close stops the service as SIGTERM does, but for connections that still wait
// to be accepted, which are reset: Accept returns at once. See Wait for the rest.
func (l *Listener) Close() error {
	l.closed.Store(true)
	err := l.Listener.Close()
	l.p.end()
	return err
}

// Wait returns when the drain has ended and the process can exit: nil if
// nothing was cut.
func (l *Listener) Wait() error {
	<-l.done
	return l.err
}

// Info returns what is known of the handover so far.
func (l *Listener) Info() Info { return l.p.Info() }
