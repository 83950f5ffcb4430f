package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gohandover/handover/docs/examples/internal/proctest"
)

const bound = 500 * time.Millisecond

// TestBounded stops a server whose client does not finish in time.
func TestBounded(t *testing.T) {
	t.Parallel()
	p, upload := start(t, "-timeout", bound.String())
	stopped := time.Now()
	p.Signal(syscall.SIGTERM)
	if got, err := upload.answer(); err == nil {
		t.Errorf("the upload was cut, and answered with %q", got)
	}
	p.ExitsWith(1)
	if took := time.Since(stopped); took < bound {
		t.Errorf("cut after %v, before the timeout of %v", took, bound)
	}
	for _, want := range []string{"not all was finished: drain: ended by force", "context deadline exceeded", "1 active cut", "upload cut: drain: ended by force"} {
		if !strings.Contains(p.Output(), want) {
			t.Errorf("the server does not say %q", want)
		}
	}
}

// TestBoundedInTime stops a server whose client finishes before the bound.
func TestBoundedInTime(t *testing.T) {
	t.Parallel()
	p, upload := start(t, "-timeout", "1m")
	p.Signal(syscall.SIGTERM)
	p.WaitFor(proctest.Draining)
	upload.finish(t)
	p.ExitsWith(0)
}

// TestUnbounded replaces a server whose client takes longer than any bound of
// the other tests.
func TestUnbounded(t *testing.T) {
	t.Parallel()
	p, upload := start(t, "-timeout", "-1ns")
	proctest.StartActive(t, p.Path, "-addr", upload.address)
	p.WaitFor("timeout=0s") // none
	if p.ExitsWithin(4 * bound) {
		t.Error("exited with a request in flight")
	}
	upload.finish(t)
	p.ExitsWith(0)
}

// client has sent half of its request.
type client struct {
	address string
	conn    net.Conn
}

// start starts a server, and an upload to it.
func start(t *testing.T, args ...string) (*proctest.Process, *client) {
	t.Helper()
	addr := proctest.Address(t)
	p := proctest.Start(t, proctest.Build(t), append(args, "-addr", addr)...)
	p.WaitFor("generation 1 is ready")

	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(proctest.Patience))
	fmt.Fprintf(conn, "POST /upload HTTP/1.1\r\nHost: %s\r\nContent-Length: 7\r\n\r\none ", addr)
	p.WaitFor("upload begun")
	return p, &client{addr, conn}
}

// finish sends the rest of the request, and checks the answer.
func (c *client) finish(t *testing.T) {
	t.Helper()
	fmt.Fprint(c.conn, "two")
	if got, err := c.answer(); err != nil || got != "200 OK: 7 bytes" {
		t.Errorf("upload: %q, %v, want 7 bytes", got, err)
	}
}

func (c *client) answer() (string, error) {
	resp, err := http.ReadResponse(bufio.NewReader(c.conn), nil)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.Status + ": " + string(body), err
}
