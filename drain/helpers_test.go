package drain

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// chanListener hands out the connections it is given, one by one and with none
// queued, so that closing it loses nothing.
type chanListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newChanListener() *chanListener {
	return &chanListener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (l *chanListener) Accept() (net.Conn, error) {
	select {
	case nc := <-l.conns:
		return nc, nil
	case <-l.closed:
		return nil, &net.OpError{Op: "accept", Net: "mem", Err: net.ErrClosed}
	}
}

func (l *chanListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *chanListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

// give reports whether the listener took nc.
func (l *chanListener) give(nc net.Conn) bool {
	select {
	case l.conns <- nc:
		return true
	case <-l.closed:
		return false
	}
}

// dial returns the client's end of a pipe to the listener.
func (l *chanListener) dial() net.Conn {
	client, server := net.Pipe()
	l.give(server)
	return client
}

// site is an http.Server on a real port, with the Drain it belongs to.
type site struct {
	t      testing.TB
	d      *Drain
	l      net.Listener
	served chan error
}

func newSite(t testing.TB, o Options, srv *http.Server) *site {
	t.Helper()
	l := listen(t)
	s := &site{t: t, d: New(o), l: l, served: make(chan error, 1)}
	if err := s.d.Server(srv); err != nil {
		t.Fatal(err)
	}
	go func() { s.served <- srv.Serve(s.d.Hold(l)) }()
	t.Cleanup(func() {
		l.Close()
		s.d.Force()
		s.d.Run(context.Background())
	})
	return s
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// drain closes the listener and drains in the background.
func (s *site) drain() <-chan result {
	s.t.Helper()
	s.l.Close()
	return drainOf(s.d)
}

type result struct {
	report Report
	err    error
}

func drainOf(d *Drain) <-chan result {
	ended := make(chan result, 1)
	go func() {
		r, err := d.Run(context.Background())
		ended <- result{r, err}
	}()
	<-d.Draining()
	return ended
}

func (s *site) dial() *client {
	s.t.Helper()
	nc, err := net.Dial("tcp", s.l.Addr().String())
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { nc.Close() })
	return &client{t: s.t, Conn: nc, r: bufio.NewReader(nc)}
}

// client is one connection that is never replaced.
type client struct {
	t testing.TB
	net.Conn
	r *bufio.Reader
}

func newClient(t testing.TB, nc net.Conn) *client {
	return &client{t: t, Conn: nc, r: bufio.NewReader(nc)}
}

func (c *client) send(s string) {
	c.t.Helper()
	if _, err := io.WriteString(c, s); err != nil {
		c.t.Fatalf("sending %q: %v", s, err)
	}
}

// answer reads one response and its body.
func (c *client) answer() (*http.Response, string) {
	c.t.Helper()
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		c.t.Fatalf("no answer: %v", err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatalf("answer cut: %v", err)
	}
	return resp, string(body)
}

func (c *client) get(path string) (*http.Response, string) {
	c.t.Helper()
	c.send("GET " + path + " HTTP/1.1\r\nHost: test\r\n\r\n")
	return c.answer()
}

// closedByPeer waits for the end of the connection.
func (c *client) closedByPeer() {
	c.t.Helper()
	if _, err := c.r.ReadByte(); !errors.Is(err, io.EOF) {
		c.t.Fatalf("reading from a closed connection: got %v, want EOF", err)
	}
}

// eventually waits for a condition that another goroutine or the kernel brings about.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if cond() {
			return
		}
	}
	t.Fatalf("has not happened in 10s: %s", what)
}

func wantClean(t testing.TB, ended <-chan result) Report {
	t.Helper()
	res := wait(t, ended)
	if res.err != nil {
		t.Errorf("drain: %v", res.err)
	}
	if !res.report.Forced.Zero() {
		t.Errorf("drain cut %v", res.report.Forced)
	}
	return res.report
}

func wait(t testing.TB, ended <-chan result) result {
	t.Helper()
	select {
	case res := <-ended:
		return res
	case <-time.After(time.Minute):
		t.Fatal("the drain has not ended in a minute")
		return result{}
	}
}

func hello(w http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, r.Body)
	io.WriteString(w, "hello")
}
