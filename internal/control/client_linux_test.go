package control

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// soon is a context for what has to end by its deadline.
func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}

// respond answers one request with text.
func respond(text string) func(net.Conn) {
	return func(conn net.Conn) {
		if req, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
			io.Copy(io.Discard, req.Body)
			io.WriteString(conn, text)
		}
	}
}

func jsonAnswer(status int, body string) string {
	return fmt.Sprintf("HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%s", status, len(body), body)
}

func TestAnswersOfOtherVersions(t *testing.T) {
	newer := answerWith(t, respond(jsonAnswer(200, `{"protocol":99,"verbs":["status","teleport"],"state":"levitating","aura":{"a":1}}`)))
	st, err := NewClient(newer, ClientOptions{}).Status(testContext(t))
	if err != nil || st.Protocol != 99 || st.State != "levitating" || !st.Supports("teleport") || st.Supports(VerbDrain) {
		t.Errorf("newer: %+v, %v", st, err)
	}
	for _, c := range []struct {
		name, answer string
		want         error
	}{
		{"no protocol version", jsonAnswer(200, `{"state":"active"}`), ErrProtocol},
		{"not JSON", jsonAnswer(200, `hello`), ErrProtocol},
		{"not HTTP", "SSH-2.0-OpenSSH_9.9\r\n\r\n", ErrProtocol},
		{"404 without a body", jsonAnswer(404, ``), ErrUnsupported},
		{"501 of something else", jsonAnswer(501, `<html>`), ErrUnsupported},
		{"503 with a code nobody knows", jsonAnswer(503, `{"error":"x","code":"eclipse"}`), ErrBusy},
		{"409 without a code", jsonAnswer(409, `{"error":"x"}`), ErrConflict},
		{"endless header", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 2*maxHeader), ErrProtocol},
		{"long body", jsonAnswer(200, strings.Repeat("x", maxReply+1)), ErrProtocol},
		{"connection closed", "", ErrBusy},
		{"half an answer", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", ErrBusy},
	} {
		p := answerWith(t, respond(c.answer))
		_, err := NewClient(p, ClientOptions{}).Status(testContext(t))
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), p.Name) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

func TestSilentPeer(t *testing.T) {
	for name, text := range map[string]string{"nothing": "", "half a header": "HTTP/1.1 200", "half a body": "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"} {
		p := answerWith(t, func(conn net.Conn) {
			io.WriteString(conn, text)
			io.Copy(io.Discard, conn)
		})
		_, err := NewClient(p, ClientOptions{}).Status(soon(t))
		if !errors.Is(err, ErrDeaf) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v, want ErrDeaf", name, err)
		}
	}
}

func TestFullAcceptQueue(t *testing.T) {
	p, err := newPeer(newService(t), NewInstance(), "")
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrUnix{Name: p.Name}), unix.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	dialRaw(t, p.Name)
	if _, err := NewClient(p, ClientOptions{}).Status(soon(t)); !errors.Is(err, ErrDeaf) {
		t.Errorf("Status: %v, want ErrDeaf", err)
	}
	if _, err := p.Alive(soon(t)); !errors.Is(err, ErrDeaf) {
		t.Errorf("Alive: %v, want ErrDeaf", err)
	}
	// A place that becomes free is taken.
	ctx := testContext(t)
	done := make(chan error, 1)
	go func() {
		_, err := p.Alive(ctx)
		done <- err
	}()
	for len(done) == 0 {
		if conn, _, err := unix.Accept4(fd, unix.SOCK_CLOEXEC); err == nil {
			unix.Close(conn)
		}
	}
	if err := <-done; err != nil {
		t.Errorf("Alive after the queue was emptied: %v", err)
	}
}

func TestStoppedAndKilledProcess(t *testing.T) {
	actor := startActor(t, "serve", newService(t), 0, nil)
	p, ok := parseAbstract(actor.line(t))
	if !ok {
		t.Fatal("actor does not serve")
	}
	c := NewClient(p, ClientOptions{})
	if st, err := c.Status(testContext(t)); err != nil || st.PID != actor.cmd.Process.Pid {
		t.Fatalf("Status = %+v, %v", st, err)
	}
	if err := actor.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	// The signal is delivered some time after it was sent.
	if err := unix.Waitid(unix.P_PID, actor.cmd.Process.Pid, nil, unix.WSTOPPED, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Status(soon(t)); !errors.Is(err, ErrDeaf) {
		t.Errorf("Status of a stopped process: %v, want ErrDeaf", err)
	}
	for _, name := range []string{p.Instance, p.Name} {
		if ok, err := Alive(testContext(t), name); !ok || err != nil {
			t.Errorf("Alive(%s) of a stopped process = %v, %v", name, ok, err)
		}
	}
	actor.cmd.Process.Kill()
	actor.cmd.Wait()
	if _, err := c.Status(testContext(t)); !errors.Is(err, ErrGone) {
		t.Errorf("Status of a killed process: %v, want ErrGone", err)
	}
	for _, name := range []string{p.Instance, p.Name} {
		if ok, err := Alive(testContext(t), name); ok || err != nil {
			t.Errorf("Alive(%s) of a killed process = %v, %v", name, ok, err)
		}
	}
}

func TestAliveOfNonsense(t *testing.T) {
	for _, name := range []string{"", "web", "../x", "0123456789ABCDEF"} {
		if ok, err := Alive(testContext(t), name); ok || err == nil {
			t.Errorf("Alive(%q) = %v, %v", name, ok, err)
		}
	}
}
