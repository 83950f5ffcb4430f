package drain

import (
	"net"
	"net/http"
	"reflect"
	"sync"
	"sync/atomic"
	"time"
)

// A protocol is what a tracked connection speaks, as far as it matters here.
type protocol uint32

const (
	http1   protocol = iota // or not known yet
	http2                   // goes by GOAWAY
	foreign                 // an ALPN protocol of the user's: it reports no states
)

// conn is what is known about one connection of an HTTP server.
type conn struct {
	nc    net.Conn
	proto atomic.Uint32

	notice atomic.Pointer[noticeConn] // HTTP/2 that can be told; nil otherwise

	// state holds the http.ConnState in its low byte and above it the number
	// of changes, so that a sweep sees activity between two looks.
	state atomic.Uint32

	watch watch // of the goroutine that drains
}

const stateBits = 8

func stateOf(word uint32) http.ConnState { return http.ConnState(word & (1<<stateBits - 1)) }

// set is called by one goroutine at a time, that of the connection.
func (c *conn) set(s http.ConnState) {
	changes := c.state.Load() >> stateBits
	c.state.Store((changes+1)<<stateBits | uint32(s))
}

func (c *conn) protocol() protocol { return protocol(c.proto.Load()) }

// setProtocol does nothing for a connection that is not tracked, a nil one.
func (c *conn) setProtocol(p protocol) {
	if c != nil {
		c.proto.Store(uint32(p))
	}
}

// connTable holds the connections of all HTTP servers, by net.Conn. Changing the
// state of a connection takes no lock.
type connTable struct {
	m    sync.Map // net.Conn -> *conn
	open atomic.Int64
}

func (t *connTable) add(nc net.Conn) {
	if !isKey(nc) {
		return
	}
	t.m.Store(nc, &conn{nc: nc})
	t.open.Add(1)
}

func (t *connTable) get(nc net.Conn) *conn {
	if !isKey(nc) {
		return nil
	}
	v, ok := t.m.Load(nc)
	if !ok {
		return nil
	}
	return v.(*conn)
}

// remove reports whether nc was there.
func (t *connTable) remove(nc net.Conn) bool {
	if !isKey(nc) {
		return false
	}
	if _, ok := t.m.LoadAndDelete(nc); !ok {
		return false
	}
	t.open.Add(-1)
	return true
}

func (t *connTable) all(f func(*conn)) {
	t.m.Range(func(_, v any) bool {
		f(v.(*conn))
		return true
	})
}

func (t *connTable) counts() (n Counts) {
	t.all(func(c *conn) {
		switch kindOf(c) {
		case http.StateNew:
			n.New++
		case http.StateIdle:
			n.Idle++
		default:
			n.Active++
		}
	})
	return n
}

// kindOf returns StateNew, StateActive or StateIdle. A connection of a foreign
// protocol reports nothing after StateNew, but is in use until it closes.
func kindOf(c *conn) http.ConnState {
	if c.protocol() == foreign {
		return http.StateActive
	}
	return stateOf(c.state.Load())
}

// isKey reports whether nc can be a map key. Nearly all connections are
// pointers; one that is a struct with, say, a slice in it cannot be tracked.
func isKey(nc net.Conn) bool {
	v := reflect.ValueOf(nc)
	return v.Kind() == reflect.Pointer || v.Comparable()
}

// innermost unwraps TLS and whatever else tells what it wraps.
func innermost(nc net.Conn) net.Conn {
	for {
		w, ok := nc.(interface{ NetConn() net.Conn })
		if !ok {
			return nc
		}
		inner := w.NetConn()
		if inner == nil {
			return nc
		}
		nc = inner
	}
}

// watch is what the sweeps remember of a connection.
type watch struct {
	word     uint32      // conn.state at the last look
	since    time.Time   // quiet since; zero before the first look
	received uint64      // bytes the peer had sent
	begun    bool        // part of a request is here
	closing  atomic.Bool // being closed by a sweep
	shook    atomic.Bool // TLS handshake known to be complete
	asked    bool        // a goroutine waits for the handshake
	warned   bool        // HTTP/2: the notice was asked for
}
