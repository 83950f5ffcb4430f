package drain

import (
	"errors"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
)

// Listener returns l for a server that is not a [http.Server]: gRPC, fasthttp, an
// accept loop. The connections it accepts are counted until they are closed, and
// the drain waits for them; it has no other way to end them, so such a server is
// told by [Drain.OnDrain] (a gRPC server's GracefulStop) or [Drain.Draining]. They
// embed the *net.TCPConn or *net.UnixConn they are, which keeps sendfile and splice.
//
// When l itself is closed, Accept blocks until the drain has ended, and returns an
// error that Is both [net.ErrClosed] and [http.ErrServerClosed]: a Serve method on
// it returns when there is nothing left to do. When Close is called on the returned
// listener, Accept returns at once; connections accepted before stay counted, and
// the drain waits for them. Other errors of l's Accept pass through as they are.
//
// A connection that a server known by [Drain.Server] takes from it is counted there
// only.
func (d *Drain) Listener(l net.Listener) net.Listener { return d.listen(l, true) }

// Hold returns l for a server given to [Drain.Server], which keeps count of its
// connections itself: Accept ends as with [Drain.Listener], connections are passed
// on as they are.
func (d *Drain) Hold(l net.Listener) net.Listener { return d.listen(l, false) }

func (d *Drain) listen(l net.Listener, track bool) net.Listener {
	w := &listener{Listener: l, d: d, track: track, closed: make(chan struct{})}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.listeners = append(d.listeners, w)
	return w
}

type listener struct {
	net.Listener
	d     *Drain
	track bool

	used     atomic.Bool // Accept was called
	settled  atomic.Bool // Accept saw l closed: whatever it returned before is tracked
	once     sync.Once
	closed   chan struct{} // by the user
	closeErr error
}

func (l *listener) Accept() (net.Conn, error) {
	l.used.Store(true)
	nc, err := l.Listener.Accept()
	if err == nil {
		if l.track {
			nc = l.d.others.add(nc, l.d.poke)
		}
		return nc, nil
	}
	if !errors.Is(err, net.ErrClosed) {
		return nil, err
	}
	l.settled.Store(true)
	l.d.poke()
	select {
	case <-l.closed:
		return nil, err
	case <-l.d.done:
		return nil, closedError{}
	}
}

// Close closes the inner listener and releases Accept.
func (l *listener) Close() error {
	l.once.Do(func() {
		close(l.closed)
		l.closeErr = l.Listener.Close()
		l.d.forget(l)
	})
	return l.closeErr
}

// unsettled reports whether a server may hold a connection that it accepted and
// has not reported: between two calls of Accept.
func (l *listener) unsettled() bool { return l.used.Load() && !l.settled.Load() }

func (d *Drain) forget(l *listener) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.listeners = slices.DeleteFunc(d.listeners, func(o *listener) bool { return o == l })
}

// closedError is what Accept returns when the drain has ended.
type closedError struct{}

// Error has the words of [net.ErrClosed], by which some servers know a clean end.
func (closedError) Error() string { return "drain: ended: " + net.ErrClosed.Error() }

func (closedError) Is(target error) bool {
	return target == net.ErrClosed || target == http.ErrServerClosed
}
