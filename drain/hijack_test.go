package drain

import (
	"context"
	"net"
	"net/http"
	"runtime"
	"testing"
	"time"
)

// takeOver hijacks, sends the connection and the request's context, and returns.
func takeOver(t *testing.T, taken chan<- hijack) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		nc, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
		}
		taken <- hijack{nc, r.Context()}
	}
}

type hijack struct {
	nc  net.Conn
	ctx context.Context
}

func TestHijackedIsToldAndWaitedFor(t *testing.T) {
	taken := make(chan hijack, 1)
	s := newSite(t, Options{}, &http.Server{Handler: takeOver(t, taken)})
	c := s.dial()
	c.send(getRequest)
	h := <-taken
	eventually(t, "the handler has returned", func() bool { return s.d.Status().InFlight == Counts{Hijacked: 1} })
	ended := s.drain()
	<-Draining(h.ctx)
	time.Sleep(3 * sweepInterval) // a drain that does not wait has ended by now
	if len(ended) != 0 {
		t.Error("drain ended with a hijacked connection open")
	}
	h.nc.Write([]byte("bye"))
	h.nc.Close()
	wantClean(t, ended)
	if b := make([]byte, 3); true {
		if _, err := c.Read(b); err != nil || string(b) != "bye" {
			t.Errorf("got %q, %v", b, err)
		}
	}
}

func TestHijackedIsCutAtDeadline(t *testing.T) {
	taken := make(chan hijack, 1)
	s := newSite(t, Options{Timeout: 50 * time.Millisecond}, &http.Server{Handler: takeOver(t, taken)})
	c := s.dial()
	c.send(getRequest)
	h := <-taken
	eventually(t, "the handler has returned", func() bool { return s.d.Status().InFlight == Counts{Hijacked: 1} })
	res := wait(t, s.drain())
	if want := (Counts{Hijacked: 1}); res.report.Forced != want {
		t.Errorf("forced %v, want %v", res.report.Forced, want)
	}
	c.closedByPeer()
	runtime.KeepAlive(h)
}

func TestHijackedSetForgets(t *testing.T) {
	var set hijacked
	l := listen(t)
	defer l.Close()
	open := pipeTo(t, l)
	set.add(open)
	for range 10 * minTidy {
		nc := pipeTo(t, l)
		set.add(nc)
		nc.Close()
	}
	if n := len(set.refs); n > minTidy {
		t.Errorf("%d references kept for one open connection", n)
	}
	if live := set.live(); len(live) != 1 || live[0] != open {
		t.Errorf("live: %v", live)
	}
	runtime.KeepAlive(open)
}

func TestHijackedSetKeepsNothingAlive(t *testing.T) {
	var set hijacked
	l := listen(t)
	defer l.Close()
	func() { set.add(pipeTo(t, l)) }()
	eventually(t, "an abandoned connection is collected", func() bool {
		runtime.GC()
		return len(set.live()) == 0
	})
}

// pipeTo returns the server's end of a connection to l.
func pipeTo(t *testing.T, l net.Listener) net.Conn {
	t.Helper()
	dialed := make(chan net.Conn, 1)
	go func() {
		nc, _ := net.Dial("tcp", l.Addr().String())
		dialed <- nc
	}()
	nc, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if peer := <-dialed; peer != nil {
		peer.Close()
	}
	return nc
}
