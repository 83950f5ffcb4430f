package load

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// scripted is a server that does to each connection what a test says.
type scripted struct {
	addr     string
	conns    atomic.Int64
	requests atomic.Int64 // read whole
}

// visit is one connection to a scripted server.
type visit struct {
	*net.TCPConn
	reader *bufio.Reader
	server *scripted
	number int // of the connection, from 1
}

// serveScript listens until the test ends and runs script for each connection.
func serveScript(t *testing.T, script func(v visit)) *scripted {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &scripted{addr: l.Addr().String()}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			v := visit{conn.(*net.TCPConn), bufio.NewReader(conn), s, int(s.conns.Add(1))}
			running.Go(func() {
				defer v.Close()
				script(v)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		running.Wait()
	})
	return s
}

// read reads a request and returns the body its right answer has.
func (v visit) read() (body string, ok bool) {
	req, err := http.ReadRequest(v.reader)
	if err != nil {
		return "", false
	}
	got, err := io.ReadAll(req.Body)
	if err != nil {
		return "", false
	}
	v.server.requests.Add(1)
	if req.Method == http.MethodPost {
		return string(got), true
	}
	want, _, ok := asked(req.URL)
	return string(want), ok
}

// answer writes an answer of status 200.
func (v visit) answer(body, header string) {
	fmt.Fprintf(v, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\nX-Version: scripted\r\n%s\r\n%s", len(body), header, body)
}

// reset makes the connection's close a reset.
func (v visit) reset() {
	v.SetLinger(0)
	v.Close()
}

// hang waits until the client has closed the connection.
func (v visit) hang() { io.Copy(io.Discard, v.reader) }

// once sends n requests of one pattern with one client.
func once(t *testing.T, addr string, p Pattern, n uint64) Result {
	t.Helper()
	return runOne(t, Config{Address: addr, Patterns: map[Pattern]int{p: 1}, MaxRequests: n, Timeout: 5 * time.Second})
}

func runOne(t *testing.T, cfg Config) Result {
	t.Helper()
	cfg.Clients, cfg.Pause = 1, -1
	result, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	checkSums(t, result)
	return result
}

// checkSums fails the test if the counts of a run that has ended don't add up.
func checkSums(t *testing.T, r Result) {
	t.Helper()
	sum := newCounts()
	for _, p := range r.Patterns {
		sum.add(p.Counts)
		checkCounts(t, p.Pattern.String(), p.Counts)
	}
	checkCounts(t, "total", r.Total)
	if sum.Sent != r.Total.Sent || sum.Answered != r.Total.Answered || sum.Failed != r.Total.Failed {
		t.Errorf("the patterns sum up to %+v, the total is %+v", sum, r.Total)
	}
	all := r.Window(r.Start, r.Start.Add(r.Elapsed+time.Second))
	if all.Answered != r.Total.Answered || all.Failed != r.Total.Failed || all.Max != r.Total.Latency.Max {
		t.Errorf("the series holds %+v, the total is %+v", all, r.Total)
	}
}

func checkCounts(t *testing.T, what string, c Counts) {
	t.Helper()
	var failed, answered uint64
	for _, n := range c.Failures {
		failed += n
	}
	for _, n := range c.Versions {
		answered += n
	}
	if c.InFlight != 0 || c.Sent != c.Answered+c.Failed || c.Failed != failed || c.Answered != answered {
		t.Errorf("%s: counts don't add up: %+v", what, c)
	}
}

// text joins what failed, for messages.
func text(failures []Failure) string {
	var b strings.Builder
	for _, f := range failures {
		b.WriteString("\n" + f.String())
	}
	return b.String()
}
