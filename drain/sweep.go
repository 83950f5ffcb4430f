package drain

import (
	"crypto/tls"
	"net"
	"net/http"
	"time"
)

const (
	// goAwayDelay is from the notice to the GOAWAY that makes net/http close the
	// connection: a round trip, for the client to read the notice and for the
	// streams it opened before to arrive, even on bad networks.
	goAwayDelay = 500 * time.Millisecond

	// goAwayAgain is how often GOAWAY is repeated, for connections that have
	// begun to speak HTTP/2 meanwhile.
	goAwayAgain = 500 * time.Millisecond

	// goAwayGrace is what a quiet HTTP/2 connection has at least to go by itself:
	// net/http closes it a second after GOAWAY.
	goAwayGrace = 3 * time.Second
)

// sweep closes the connections that have been quiet for the grace.
func (r *run) sweep(now time.Time) {
	r.goAway(now)
	r.d.conns.all(func(c *conn) { r.look(c, now) })
}

// goAway ends HTTP/2 connections, some time after they were warned.
func (r *run) goAway(now time.Time) {
	if now.Sub(r.started) < goAwayDelay || now.Sub(r.goneAway) < goAwayAgain {
		return
	}
	r.goneAway = now
	r.d.mu.Lock()
	servers := r.d.servers
	r.d.mu.Unlock()
	for _, s := range servers {
		s.goAway()
	}
}

// look closes c if it has been quiet for its grace and holds no part of a request.
func (r *run) look(c *conn, now time.Time) {
	c.warn()
	w := &c.watch
	word := c.state.Load()
	if w.since.IsZero() || word != w.word {
		c.lookAfresh(word, now)
		return
	}
	if w.closing.Load() || w.begun || kindOf(c) == http.StateActive || now.Sub(w.since) < r.grace(c) {
		return
	}
	if c.grown(now) {
		return
	}
	w.closing.Store(true)
	if _, slow := c.nc.(*tls.Conn); slow { // sends an alert first, which can block
		go c.closeIfQuiet(word, w.received)
		return
	}
	c.closeIfQuiet(word, w.received)
}

// warn tells an HTTP/2 connection to open no more streams.
func (c *conn) warn() {
	if c.watch.warned {
		return
	}
	if n := c.notice.Load(); n != nil {
		c.watch.warned = true
		go n.warn() // can block on a peer that does not read
	}
}

func (r *run) grace(c *conn) time.Duration {
	if c.protocol() == http2 {
		return max(r.d.opts.IdleGrace, goAwayGrace)
	}
	return r.d.opts.IdleGrace
}

// lookAfresh begins the watch of a connection that is new to it, or has changed
// its state since the last look.
func (c *conn) lookAfresh(word uint32, now time.Time) {
	w := &c.watch
	w.word, w.since, w.begun = word, now, false
	t, ok := readTraffic(c.nc)
	if !ok {
		return
	}
	w.received = t.received
	switch kindOf(c) {
	case http.StateNew:
		// net/http is silent until it has read a whole header.
		w.begun = isPlain(c.nc) && t.received > 0
		c.awaitHandshake()
	case http.StateIdle:
		// The peer spoke after our last answer.
		w.begun = c.protocol() == http1 && t.sinceReceived < t.sinceSent
	}
}

// grown reports whether the peer has sent anything since the last look, and if so
// takes it for the beginning of a request where it can be nothing else.
func (c *conn) grown(now time.Time) bool {
	w := &c.watch
	t, ok := readTraffic(c.nc)
	if !ok || t.received == w.received {
		return false
	}
	w.received = t.received
	w.since = now.Add(-t.sinceReceived)
	shaking := kindOf(c) == http.StateNew && !isPlain(c.nc) && !w.shook.Load()
	w.begun = c.protocol() == http1 && !shaking
	return true
}

// closeIfQuiet looks once more and closes c, back to back: what the peer sends in
// between is lost, and that is some microseconds.
func (c *conn) closeIfQuiet(word uint32, received uint64) {
	t, ok := readTraffic(c.nc)
	if (ok && t.received != received) || c.state.Load() != word {
		c.watch.closing.Store(false)
		return
	}
	c.nc.Close()
}

// awaitHandshake finds out when bytes stop to be those of a TLS handshake.
// ConnectionState blocks while one is under way, until it or the connection ends.
func (c *conn) awaitHandshake() {
	tc, ok := c.nc.(*tls.Conn)
	if !ok || c.watch.asked {
		return
	}
	c.watch.asked = true
	go func() {
		if tc.ConnectionState().HandshakeComplete {
			c.watch.shook.Store(true)
		}
	}()
}

// isPlain reports whether the bytes on nc are those of HTTP and nothing else.
func isPlain(nc net.Conn) bool {
	switch nc.(type) {
	case *net.TCPConn, *tcpConn:
		return true
	}
	return false
}
