package main

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/gohandover/handover/docs/examples/internal/proctest"
)

// TestReplace replaces the server under clients that keep their connections
// until they are told bye.
func TestReplace(t *testing.T) {
	t.Parallel()
	addr := proctest.Address(t)
	v1 := proctest.StartActive(t, proctest.Build(t), "-addr", addr)
	next := proctest.Build(t, "main.version=v2")

	quiet := &client{address: addr} // sends nothing while it is told
	if got, err := quiet.ask("hello"); err != nil || got != "v1" {
		t.Fatalf("first line: answered by %q, %v", got, err)
	}
	load := proctest.StartLoad(t, 8, func() func() (string, error) {
		c, n := &client{address: addr}, 0
		t.Cleanup(c.close)
		return func() (string, error) {
			n++
			return c.ask(fmt.Sprint("line ", n))
		}
	})
	load.WaitFor("v1")

	proctest.StartActive(t, next, "-addr", addr)
	load.WaitFor("v2")
	if line, err := quiet.r.ReadString('\n'); err != nil || line != "bye\n" {
		t.Errorf("quiet client: %q, %v, want bye", line, err)
	}
	if !v1.Running() {
		t.Error("v1 has exited with a connection open")
	}
	if got, err := quiet.ask("on its way"); err != nil || got != "v1" {
		t.Errorf("line sent after bye: answered by %q, %v, want v1", got, err)
	}
	quiet.close()
	v1.ExitsWith(0)
	load.Stop("v1", "v2")
}

// client keeps one connection until it is told bye.
type client struct {
	address string
	conn    net.Conn
	r       *bufio.Reader
}

// ask sends a line, and returns the version that echoed it.
func (c *client) ask(line string) (version string, err error) {
	if c.conn == nil {
		if c.conn, err = net.Dial("tcp", c.address); err != nil {
			return "", err
		}
		c.r = bufio.NewReader(c.conn)
	}
	if _, err := fmt.Fprintln(c.conn, line); err != nil {
		return "", err
	}
	for told := false; ; told = true {
		answer, err := c.r.ReadString('\n')
		if err != nil {
			return "", err
		}
		if answer == "bye\n" {
			continue
		}
		version, echoed, _ := strings.Cut(strings.TrimSuffix(answer, "\n"), " ")
		if echoed != line {
			return "", fmt.Errorf("%q answered with %q", line, echoed)
		}
		if told {
			c.close()
		}
		return version, nil
	}
}

func (c *client) close() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}
