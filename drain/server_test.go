package drain

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

const grace = 60 * time.Millisecond

// pastGrace returns when the drain under way has closed a connection for being
// quiet that was so from its start.
func pastGrace(quiet ...*client) {
	for _, c := range quiet {
		c.closedByPeer()
	}
	time.Sleep(2 * sweepInterval) // whatever else is taken for quiet is closed by now
}

func TestFirstByteLate(t *testing.T) {
	s := newSite(t, Options{}, &http.Server{Handler: http.HandlerFunc(hello)})
	c := s.dial()
	eventually(t, "accepted", func() bool { return s.d.Status().InFlight.New == 1 })
	ended := s.drain()
	if resp, body := c.get("/"); body != "hello" || !resp.Close {
		t.Errorf("got %q, close %v", body, resp.Close)
	}
	wantClean(t, ended)
}

func TestKeepAliveEndsWithItsNextAnswer(t *testing.T) {
	s := newSite(t, Options{}, &http.Server{Handler: http.HandlerFunc(hello)})
	c := s.dial()
	if resp, _ := c.get("/"); resp.Close {
		t.Error("Connection: close before the drain")
	}
	s.d.Cleanup("last", func(context.Context) error {
		time.Sleep(sweepInterval) // a Serve that does not wait for clean-ups has returned by now
		if len(s.served) != 0 {
			t.Error("Serve returned before the clean-ups had run")
		}
		return nil
	})
	ended := s.drain()
	if resp, body := c.get("/"); body != "hello" || !resp.Close {
		t.Errorf("got %q, close %v", body, resp.Close)
	}
	c.closedByPeer()
	report := wantClean(t, ended)
	if took := report.Duration(); took > time.Second {
		t.Errorf("took %v though the last connection had left", took)
	}
	if err := <-s.served; err != http.ErrServerClosed {
		t.Errorf("Serve returned %v", err)
	}
}

func TestSlowChunkedUpload(t *testing.T) {
	s := newSite(t, Options{IdleGrace: grace}, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n, err)
	})})
	c, quiet := s.dial(), s.dial()
	c.send("POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
	eventually(t, "the request runs", func() bool { return s.d.Status().InFlight.Requests == 1 })
	ended := s.drain()
	pastGrace(quiet)
	c.send("4\r\ndefg\r\n0\r\n\r\n")
	if _, body := c.answer(); body != "7 <nil>" {
		t.Errorf("got %q", body)
	}
	wantClean(t, ended)
}

func TestStreamingResponseFinishes(t *testing.T) {
	release := make(chan struct{})
	s := newSite(t, Options{IdleGrace: grace}, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "first ")
		w.(http.Flusher).Flush()
		<-release
		io.WriteString(w, "last")
	})})
	c, quiet := s.dial(), s.dial()
	c.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n")
	eventually(t, "the request runs", func() bool { return s.d.Status().InFlight.Requests == 1 })
	ended := s.drain()
	pastGrace(quiet)
	close(release)
	if _, body := c.answer(); body != "first last" {
		t.Errorf("got %q", body)
	}
	c.closedByPeer() // begun without Connection: close, so it went idle first
	wantClean(t, ended)
}

func TestServerSentEventsAreToldByContext(t *testing.T) {
	s := newSite(t, Options{}, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		io.WriteString(w, "data: hello\n\n")
		w.(http.Flusher).Flush()
		select {
		case <-Draining(r.Context()):
			io.WriteString(w, "event: bye\n\n")
		case <-r.Context().Done():
		}
	})})
	c := s.dial()
	c.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n")
	eventually(t, "the request runs", func() bool { return s.d.Status().InFlight.Requests == 1 })
	ended := s.drain()
	if _, body := c.answer(); body != "data: hello\n\nevent: bye\n\n" {
		t.Errorf("got %q", body)
	}
	wantClean(t, ended)
}

func TestUpgradeKeepsItsConnectionHeader(t *testing.T) {
	s := newSite(t, Options{}, &http.Server{Handler: http.HandlerFunc(hello)})
	c := s.dial()
	eventually(t, "accepted", func() bool { return s.d.Status().InFlight.New == 1 })
	s.drain()
	c.send("GET / HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	if resp, _ := c.answer(); resp.Close {
		t.Error("Connection: close on the answer to an upgrade")
	}
}

func TestServerChainsHooks(t *testing.T) {
	type key struct{}
	var states strings.Builder
	srv := &http.Server{
		Handler:     http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Context().Value(key{})) }),
		ConnState:   func(_ net.Conn, s http.ConnState) { fmt.Fprint(&states, s, " ") },
		BaseContext: func(net.Listener) context.Context { return context.WithValue(context.Background(), key{}, "base") },
	}
	s := newSite(t, Options{}, srv)
	c := s.dial()
	if _, body := c.get("/"); body != "base" {
		t.Errorf("BaseContext was replaced: got %q", body)
	}
	ended := s.drain()
	c.Close()
	wantClean(t, ended)
	if got, want := states.String(), "new active idle closed "; got != want {
		t.Errorf("ConnState saw %q, want %q", got, want)
	}
}

func TestServerRefuses(t *testing.T) {
	d := New(Options{})
	srv := new(http.Server)
	if err := d.Server(nil); err == nil {
		t.Error("a nil server was accepted")
	}
	if err := d.Server(srv); err != nil {
		t.Error(err)
	}
	if err := New(Options{}).Server(srv); err == nil {
		t.Error("a server was accepted twice")
	}
	d.Run(context.Background())
	if err := d.Server(new(http.Server)); err == nil {
		t.Error("a server was accepted after the drain")
	}
}
