package drain

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// echo serves l until Accept fails, and sends that error.
func echo(l net.Listener) <-chan error {
	ended := make(chan error, 1)
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				ended <- err
				return
			}
			go func() {
				defer nc.Close()
				io.Copy(nc, nc)
			}()
		}
	}()
	return ended
}

func TestListenerWaitsForItsConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, inner := New(Options{}), newChanListener()
		served := echo(d.Listener(inner))
		c := inner.dial()
		synctest.Wait()
		if n := d.Status().InFlight; n != (Counts{Other: 1}) {
			t.Errorf("in flight %v", n)
		}
		d.Cleanup("last", func(context.Context) error {
			if len(served) != 0 {
				t.Error("Accept returned before the clean-ups had run")
			}
			time.Sleep(time.Second)
			synctest.Wait()
			return nil
		})
		inner.Close()
		ended := drainOf(d)
		synctest.Wait()
		if len(served) != 0 || len(ended) != 0 {
			t.Error("ended with a connection open")
		}
		c.Close()
		wantClean(t, ended)
		if err := <-served; !errors.Is(err, net.ErrClosed) || !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("Accept returned %v", err)
		}
	})
}

func TestListenerConnectionsAreCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, inner := New(Options{Timeout: time.Second}), newChanListener()
		echo(d.Listener(inner))
		c := inner.dial()
		inner.Close()
		res := wait(t, drainOf(d))
		if want := (Counts{Other: 1}); res.report.Forced != want {
			t.Errorf("forced %v, want %v", res.report.Forced, want)
		}
		if _, err := c.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("not cut: %v", err)
		}
	})
}

func TestListenerClosedByItsUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, inner := New(Options{}), newChanListener()
		l := d.Listener(inner)
		served := echo(l)
		c := inner.dial()
		synctest.Wait()
		l.Close()
		l.Close()
		if err := <-served; !errors.Is(err, net.ErrClosed) || errors.Is(err, http.ErrServerClosed) {
			t.Errorf("Accept returned %v", err)
		}
		ended := drainOf(d)
		synctest.Wait()
		if len(ended) != 0 {
			t.Error("ended with a connection open")
		}
		c.Close()
		wantClean(t, ended)
	})
}

type failing struct {
	net.Listener
	err error
}

func (f failing) Accept() (net.Conn, error) { return nil, f.err }

func TestListenerPassesErrorsOn(t *testing.T) {
	want := &net.OpError{Op: "accept", Err: syscall.EMFILE}
	if _, err := New(Options{}).Listener(failing{err: want}).Accept(); err != want {
		t.Errorf("got %v, want %v itself", err, want)
	}
}

func TestListenerConnectionKeepsItsType(t *testing.T) {
	d, inner := New(Options{}), listen(t)
	l := d.Listener(inner)
	defer l.Close()
	go func() {
		if nc, err := net.Dial("tcp", inner.Addr().String()); err == nil {
			nc.Close()
		}
	}()
	nc, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := nc.(io.ReaderFrom); !ok {
		t.Error("no ReadFrom: sendfile is lost")
	}
	if _, ok := nc.(interface{ CloseWrite() error }); !ok {
		t.Error("no CloseWrite")
	}
	if _, err := nc.(syscall.Conn).SyscallConn(); err != nil {
		t.Error(err)
	}
	nc.Close()
	nc.Close()
	if n := d.Status().InFlight; !n.Zero() {
		t.Errorf("in flight %v after Close", n)
	}
}

func TestListenerUnderHTTPServerCountsOnce(t *testing.T) {
	d := New(Options{})
	srv := &http.Server{Handler: http.HandlerFunc(hello)}
	if err := d.Server(srv); err != nil {
		t.Fatal(err)
	}
	inner := listen(t)
	go srv.Serve(d.Listener(inner))
	nc, err := net.Dial("tcp", inner.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	c := newClient(t, nc)
	c.get("/")
	eventually(t, "idle", func() bool { return d.Status().InFlight == Counts{Idle: 1} })
	inner.Close()
	ended := drainOf(d)
	if resp, _ := c.get("/"); !resp.Close {
		t.Error("no Connection: close")
	}
	wantClean(t, ended)
}

// TestDrainSeesConnectionBeingAccepted holds a connection between Accept and the
// server's hook, where nobody but the listener can know of it.
func TestDrainSeesConnectionBeingAccepted(t *testing.T) {
	d := New(Options{})
	accepted, proceed := make(chan struct{}), make(chan struct{})
	srv := &http.Server{
		Handler: http.HandlerFunc(hello),
		ConnContext: func(ctx context.Context, _ net.Conn) context.Context {
			close(accepted)
			<-proceed
			return ctx
		},
	}
	if err := d.Server(srv); err != nil {
		t.Fatal(err)
	}
	l := listen(t)
	go srv.Serve(d.Hold(l))
	nc, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	<-accepted
	l.Close()
	ended := drainOf(d)
	if len(ended) != 0 {
		t.Error("drain ended")
	}
	close(proceed)
	if _, body := newClient(t, nc).get("/"); body != "hello" {
		t.Errorf("got %q", body)
	}
	wantClean(t, ended)
}
