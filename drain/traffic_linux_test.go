package drain

import (
	"crypto/tls"
	"net/http"
	"testing"
	"time"
)

// apart waits until the last byte that c received is so long ago that the kernel,
// which counts in ticks of at most 10ms, can tell what is sent now from it.
func apart(t *testing.T, c *client) {
	t.Helper()
	eventually(t, "some time has passed", func() bool {
		info, ok := readTraffic(c.Conn)
		return ok && info.sinceReceived >= 20*time.Millisecond
	})
}

func TestRequestBegunOnNewConnection(t *testing.T) {
	s := newSite(t, Options{IdleGrace: grace}, &http.Server{Handler: http.HandlerFunc(hello)})
	c, quiet := s.dial(), s.dial()
	c.send("GET / HT")
	eventually(t, "both accepted", func() bool { return s.d.Status().InFlight.New == 2 })
	ended := s.drain()
	pastGrace(quiet)
	c.send("TP/1.1\r\nHost: test\r\n\r\n")
	if resp, body := c.answer(); body != "hello" || !resp.Close {
		t.Errorf("got %q, close %v", body, resp.Close)
	}
	wantClean(t, ended)
}

func TestRequestBegunOnIdleConnection(t *testing.T) {
	for _, when := range []string{"before the drain", "while draining"} {
		t.Run(when, func(t *testing.T) {
			s := newSite(t, Options{IdleGrace: grace}, &http.Server{Handler: http.HandlerFunc(hello)})
			c, quiet := s.dial(), s.dial()
			c.get("/")
			quiet.get("/")
			eventually(t, "both idle", func() bool { return s.d.Status().InFlight.Idle == 2 })
			apart(t, c) // within one tick of its last answer nothing can tell, see the package comment
			var ended <-chan result
			if when == "before the drain" {
				c.send("G")
				ended = s.drain()
			} else {
				ended = s.drain()
				c.send("G")
			}
			pastGrace(quiet)
			c.send("ET / HTTP/1.1\r\nHost: test\r\n\r\n")
			if resp, body := c.answer(); body != "hello" || !resp.Close {
				t.Errorf("got %q, close %v", body, resp.Close)
			}
			wantClean(t, ended)
		})
	}
}

func TestTLSRequestBegunAfterHandshake(t *testing.T) {
	server, clientConfig := testTLS(t)
	d := New(Options{IdleGrace: grace})
	srv := &http.Server{TLSConfig: server, Handler: http.HandlerFunc(hello)}
	if err := d.Server(srv); err != nil {
		t.Fatal(err)
	}
	l := listen(t)
	go srv.ServeTLS(d.Hold(l), "", "")
	dial := func() *client {
		nc, err := tls.Dial("tcp", l.Addr().String(), clientConfig)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { nc.Close() })
		return newClient(t, nc)
	}
	fresh, idle, quiet := dial(), dial(), dial()
	idle.get("/")
	eventually(t, "accepted", func() bool { n := d.Status().InFlight; return n.New == 2 && n.Idle == 1 })
	l.Close()
	ended := drainOf(d)
	eventually(t, "the handshake is known to be over", func() bool {
		done := 0
		d.conns.all(func(c *conn) {
			if c.watch.shook.Load() {
				done++
			}
		})
		return done == 2
	})
	fresh.send("GET /")
	idle.send("GET /")
	pastGrace(quiet)
	for _, c := range []*client{fresh, idle} {
		c.send(" HTTP/1.1\r\nHost: test\r\n\r\n")
		if resp, body := c.answer(); body != "hello" || !resp.Close {
			t.Errorf("got %q, close %v", body, resp.Close)
		}
	}
	wantClean(t, ended)
}
