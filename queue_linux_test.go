package handover_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gohandover/handover/internal/load"
)

// queue connects clients to a server that doesn't accept them: they are in the
// kernel's queue.
func queue(t *testing.T, address string, n int) []net.Conn {
	t.Helper()
	var all []net.Conn
	for range n {
		all = append(all, dial(t, address))
	}
	return all
}

// wantGreeting checks which version greets the clients of a role that does.
func wantGreeting(t *testing.T, clients []net.Conn, version string) {
	t.Helper()
	for i, c := range clients {
		if got, err := bufio.NewReader(c).ReadString('\n'); err != nil || got != version+"\n" {
			t.Fatalf("client %d of %d got %q (%v); want %s", i, len(clients), got, err, version)
		}
		c.Close()
	}
}

// I3: a listener is closed only when nothing is queued on it.
func TestQueuedConnectionsAreAccepted(t *testing.T) {
	t.Parallel()
	const clients = 60
	f := newFleet(t, spec{Role: "lazy"})
	old := f.serve()
	old.stall()
	waiting := queue(t, f.address(), clients)
	next := f.start(func(s *spec) { s.Role = "tcp" })
	next.await("cutover")
	wantGreeting(t, queue(t, f.address(), 5), "v2")
	old.tell("all")
	wantGreeting(t, waiting, "v1")
	old.wantExit(0)
	// Two of them had been accepted before: by the server, and ahead of it.
	if n, _ := strconv.Atoi(next.awaitWord("ready", "flushed")); n < clients-2 || n > clients {
		t.Errorf("%d connections are said to have been rescued; want %d", n, clients-2)
	}
}

// I3: so it is if the old version doesn't run at all around the cutover.
func TestConnectionsQueuedOnAStoppedProcessAreAccepted(t *testing.T) {
	t.Parallel()
	f := newFleet(t, spec{})
	old := f.serve()
	next := f.start(at("checked", "wait"))
	next.await("checked")
	old.stop()
	waiting := queue(t, f.address(), 60)
	for _, c := range waiting {
		io.WriteString(c, "GET /version HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
	}
	next.tell("go")
	next.await("cutover")
	wantVersion(t, f.address(), "v2", 5)
	old.signal(syscall.SIGCONT)
	for i, c := range waiting {
		if body, err := io.ReadAll(c); err != nil || !strings.HasSuffix(string(body), "v1") {
			t.Fatalf("client %d got %q (%v)", i, body, err)
		}
	}
	old.wantExit(0)
	next.await("ready")
}

// I3: the bound of the flush is kept, and what it cost is said.
func TestFlushTimeoutIsReported(t *testing.T) {
	t.Parallel()
	f := newFleet(t, spec{Role: "lazy", Flush: 300 * time.Millisecond})
	old := f.serve()
	old.stall()
	waiting := queue(t, f.address(), 10)
	next := f.serve(func(s *spec) { s.Role = "tcp" })
	next.wantLogged("connections queued after 300ms")
	if got := next.awaitWord("ready", "warnings"); got == "0" {
		t.Error("the hook was told of no warning")
	}
	old.tell("all")
	wantGreeting(t, waiting[:2], "v1") // these had been accepted
	for _, c := range waiting[2:] {
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("a connection that was not flushed: %v", err)
		}
	}
	old.wantExit(0)
}

// Out of file descriptors while its queue is emptied, the old version tries
// again, and closes nothing early.
func TestQueueIsEmptiedThoughFilesRunOut(t *testing.T) {
	for _, when := range []string{"before it is asked to drain", "while it drains"} {
		t.Run(when, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, spec{Role: "lazy", Flush: patience})
			old := f.serve()
			old.stall()
			waiting := queue(t, f.address(), 40)
			next := f.start(func(s *spec) { s.Role = "tcp" }, at("cutover", "wait"))
			next.await("cutover")
			var restore func()
			if when == "while it drains" {
				idle := len(openFiles(t, old))
				next.tell("go")
				eventually(t, "the old version is asked", func() bool { return len(openFiles(t, old)) > idle })
				restore = exhaustFiles(t, old)
			} else {
				restore = exhaustFiles(t, old)
				next.tell("go")
			}
			for end := time.Now().Add(200 * time.Millisecond); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
				if len(listening(t, old)) == 0 {
					t.Fatal("the listener was closed with connections in its queue")
				}
			}
			restore()
			old.tell("all")
			wantGreeting(t, waiting, "v1")
			old.wantExit(0)
			next.await("ready")
		})
	}
}

// I4: what has begun gets its whole answer from the version that it reached.
func TestRequestsUnderWayFinish(t *testing.T) {
	t.Parallel()
	f := newFleet(t, spec{Tell: true})
	old := f.serve()
	slow, stream := ask(f.address(), "/slow"), ask(f.address(), "/stream")
	old.await("serving /slow")

	upload := dial(t, f.address())
	fmt.Fprintf(upload, "POST /upload HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: 2000\r\n\r\n%01000d", 0)
	old.await("serving /upload")
	half := dial(t, f.address()) // half a header
	io.WriteString(half, "GET /version HTT")
	late := dial(t, f.address()) // no byte yet
	kept := dial(t, f.address()) // alive between two requests
	answers := bufio.NewReader(kept)
	io.WriteString(kept, "GET /ready HTTP/1.1\r\nHost: test\r\n\r\n")
	wantAnswer(t, answers, "ok\n", false)
	for _, c := range []net.Conn{half, late} {
		old.await("accepted " + c.LocalAddr().String())
	}

	next := f.serve()
	fmt.Fprintf(upload, "%01000d", 0)
	io.WriteString(half, "P/1.1\r\nHost: test\r\n\r\n")
	io.WriteString(late, "GET /version HTTP/1.1\r\nHost: test\r\n\r\n")
	io.WriteString(kept, "GET /ready HTTP/1.1\r\nHost: test\r\n\r\n")
	if got := <-slow; got != "whole answer of v1" {
		t.Errorf("slow request: %q", got)
	}
	if got := <-stream; got != "begin end of v1" {
		t.Errorf("streaming response: %q", got)
	}
	wantAnswer(t, bufio.NewReader(upload), "2000 bytes, <nil>, by v1", true)
	wantAnswer(t, bufio.NewReader(half), "v1", true)
	wantAnswer(t, bufio.NewReader(late), "v1", true)
	wantAnswer(t, answers, "[-]serving failed: draining\nreadyz check failed\n", true)
	old.wantExit(0)
	wantVersion(t, f.address(), next.Version, 1)
}

// I4: at the deadline what is left is cut and counted, and the exit code says so.
func TestDeadlineCutsAndCounts(t *testing.T) {
	t.Parallel()
	f := newFleet(t, spec{Drain: 400 * time.Millisecond})
	old := f.serve()
	answers := []<-chan string{ask(f.address(), "/forever"), ask(f.address(), "/forever")}
	eventually(t, "both requests are served", func() bool {
		return strings.Count(strings.Join(old.said(), "\n"), "serving /forever") == 2
	})
	f.serve()
	for _, a := range answers {
		if got := <-a; !strings.HasPrefix(got, "error: ") {
			t.Errorf("a request that was cut got the answer %q", got)
		}
	}
	old.wantExit(exitError, "2 requests, 2 active", "deadline exceeded")
	if !old.has("cut: drain: ended by force: context deadline exceeded") {
		t.Errorf("the handlers were not told why: %q", old.said())
	}
	if !old.has("released cache") || !old.has("released database") {
		t.Errorf("the clean-ups have not run: %q", old.said())
	}
}

// I8: predecessors of other versions are understood as far as they go.
func TestPeerOfAnotherVersion(t *testing.T) {
	for _, verbs := range []string{"hold", "hold levitate", ""} {
		t.Run("that knows "+verbs, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, spec{})
			old := f.serve(func(s *spec) { s.Role, s.Mode = "agent", verbs })
			l := drive(t, load.Config{Address: f.address(), Patterns: map[load.Pattern]int{load.NewConnection: 2, load.LateFirstByte: 1}})
			awaitAnswers(t, l, "v1")
			next := f.serve()
			old.wantExit(0)
			if !old.has("asked drain") || !old.has("terminated") {
				t.Errorf("the old version: %q", old.said())
			}
			if got := next.awaitWord("ready", "gen"); got != "42" {
				t.Errorf("generation %s follows 41", got)
			}
			takeOver(t, f, next, 1, l)
			wantNoneLost(t, l)
		})
	}
}

// wantAnswer reads one answer and checks its body, and whether it ends the
// connection.
func wantAnswer(t *testing.T, r *bufio.Reader, body string, last bool) {
	t.Helper()
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Errorf("no answer; want %q: %v", body, err)
		return
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil || string(got) != body || resp.Close != last {
		t.Errorf("answer %q, the last one: %v (%v); want %q, %v", got, resp.Close, err, body, last)
	}
}
