package main

import (
	"bufio"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/gohandover/handover/docs/examples/internal/proctest"
)

const streams = 10

// TestReplace replaces the server under streams whose clients resume them.
func TestReplace(t *testing.T) {
	t.Parallel()
	addr := proctest.Address(t)
	v1 := proctest.StartActive(t, proctest.Build(t), "-addr", addr)
	next := proctest.Build(t, "main.version=v2")

	begun, ended := make(chan struct{}, streams), make(chan error, streams)
	for range streams {
		f := &follower{address: addr, begun: begun}
		go func() { ended <- f.follow() }()
	}
	for range streams {
		select {
		case <-begun:
		case err := <-ended:
			t.Fatal(err)
		}
	}
	proctest.StartActive(t, next, "-addr", addr)
	for range streams {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	v1.ExitsWith(0)
}

// follower is a client of the event stream that resumes it as a browser does.
type follower struct {
	address string
	begun   chan<- struct{} // told at the third event

	last int // the last event's id
	v2   int // events of v2
}

// follow reads events until three have come from v2. None may be missing, and
// a stream may only end when it has said so. The next one may be of v1 again,
// over the same connection, and then ends at once.
func (f *follower) follow() error {
	for f.v2 < 3 {
		req, err := http.NewRequest(http.MethodGet, "http://"+f.address+"/events", nil)
		if err != nil {
			return err
		}
		req.Header.Set("Last-Event-ID", fmt.Sprint(f.last))
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		err = f.read(bufio.NewScanner(resp.Body))
		resp.Body.Close()
		if err != nil {
			return fmt.Errorf("after event %d: %w", f.last, err)
		}
	}
	return nil
}

func (f *follower) read(lines *bufio.Scanner) error {
	bye := false
	for f.v2 < 3 && lines.Scan() {
		field, value, _ := strings.Cut(lines.Text(), ": ")
		switch {
		case field == "event" && value == "bye":
			bye = true
		case field == "id" && value != fmt.Sprint(f.last+1):
			return fmt.Errorf("event %s follows", value)
		case field == "id":
			f.last++
		case field == "data" && value == "v2":
			f.v2++
		case field == "data" && value == "v1" && f.v2 > 0:
			return errors.New("back to v1")
		case field == "data" && f.last == 3:
			f.begun <- struct{}{}
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("stream cut: %w", err)
	}
	if f.v2 < 3 && !bye {
		return errors.New("stream ended without saying so")
	}
	return nil
}
