package proctest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// HTTP is a client that speaks to one address over one keep-alive connection.
// Unlike [http.Client] it sends nothing twice: a connection that was closed
// without an announcement is a request lost. It is for one goroutine.
type HTTP struct {
	Address string

	conn net.Conn
	r    *bufio.Reader
}

// Send begins a request without waiting for its answer.
func (c *HTTP) Send(req *http.Request) (err error) {
	if c.conn == nil {
		if c.conn, err = net.DialTimeout("tcp", c.Address, Patience); err != nil {
			return err
		}
		c.r = bufio.NewReader(c.conn)
	}
	if req.Host == "" {
		req.Host = c.Address
	}
	c.conn.SetDeadline(time.Now().Add(Patience))
	return req.Write(c.conn)
}

// Answer returns the body of the answer to the request that was sent.
// Any status but 200 is an error.
func (c *HTTP) Answer() (string, error) {
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return "", err
	}
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, body)
	}
	if resp.Close {
		err = errors.Join(err, c.Close())
	}
	return string(body), err
}

// Get asks for a path.
func (c *HTTP) Get(path string) (string, error) {
	req, err := http.NewRequest(http.MethodGet, path, nil)
	if err != nil {
		return "", err
	}
	if err := c.Send(req); err != nil {
		return "", err
	}
	return c.Answer()
}

// Close ends the connection, if there is one. The next request makes another.
func (c *HTTP) Close() error {
	if c.conn == nil {
		return nil
	}
	err := c.conn.Close()
	c.conn = nil
	return err
}

// Get asks for a path once, over a connection of its own, and fails the test
// if the answer is not what is wanted.
func Get(t testing.TB, address, path, want string) {
	t.Helper()
	c := HTTP{Address: address}
	defer c.Close()
	if got, err := c.Get(path); err != nil || got != want {
		t.Errorf("GET %s: %q, %v, want %q", path, got, err, want)
	}
}

// Begin sends a request over a connection of its own. The channel gets its
// outcome.
func Begin(t testing.TB, address, path string) <-chan Outcome {
	t.Helper()
	c := HTTP{Address: address}
	req, err := http.NewRequest(http.MethodGet, path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Send(req); err != nil {
		t.Fatal(err)
	}
	ended := make(chan Outcome, 1)
	go func() {
		defer c.Close()
		body, err := c.Answer()
		ended <- Outcome{body, err}
	}()
	return ended
}

// Outcome is what became of a request.
type Outcome struct {
	Body string
	Err  error
}
