package control

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The environment of a played role: the socket's or service's name, and the
// uid to become first.
const (
	nameEnv = "HANDOVER_CONTROL_TEST_NAME"
	uidEnv  = "HANDOVER_CONTROL_TEST_UID"
)

const nobody = 65534

// play runs one role: it writes what it sees to stdout, a line each, and ends
// with its stdin.
func play(role string) {
	if uid, err := strconv.Atoi(os.Getenv(uidEnv)); err == nil {
		if err := errors.Join(syscall.Setgid(uid), syscall.Setuid(uid)); err != nil {
			fmt.Println("become", uid, err)
			os.Exit(1)
		}
	}
	name := os.Getenv(nameEnv)
	switch role {
	case "serve":
		s, err := Listen(name, Options{})
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		go s.Serve(&fakeAgent{})
		fmt.Println(s.Peer().Name)
	case "squat":
		squat(name)
	case "status":
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_, err := NewClient(Peer{Name: name}, ClientOptions{}).Status(ctx)
		fmt.Println(errors.Is(err, ErrSquatted), err)
	case "raw":
		raw(name)
	}
	io.Copy(io.Discard, os.Stdin)
}

// squat takes a name and tells how many bytes each connection brought.
func squat(name string) {
	ln, err := net.Listen("unix", name)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("listening")
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			n, _ := io.Copy(io.Discard, conn)
			conn.Close()
			fmt.Println("got", n)
		}
	}()
}

// raw asks for the status with no checks of its own.
func raw(name string) {
	conn, err := net.Dial("unix", name)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	io.WriteString(conn, "GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n")
	conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	n, err := conn.Read(make([]byte, 100))
	fmt.Println(n, errors.Is(err, os.ErrDeadlineExceeded))
}

// actor is a process that plays a role.
type actor struct {
	cmd   *exec.Cmd
	lines *bufio.Scanner
}

// startActor starts a process and ends it with the test. uid 0 means the same
// user as the test.
func startActor(t *testing.T, role, name string, uid int, attr *syscall.SysProcAttr) *actor {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), roleEnv+"="+role, nameEnv+"="+name)
	if uid != 0 {
		cmd.Env = append(cmd.Env, uidEnv+"="+strconv.Itoa(uid))
	}
	cmd.SysProcAttr = attr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		cmd.Process.Kill()
		cmd.Wait()
	})
	return &actor{cmd: cmd, lines: bufio.NewScanner(stdout)}
}

// line returns the next line that the process writes.
func (a *actor) line(t *testing.T) string {
	t.Helper()
	if !a.lines.Scan() {
		t.Fatalf("process ended without a line: %v", a.lines.Err())
	}
	return strings.TrimSpace(a.lines.Text())
}

// otherUser returns the uid for an actor to become, and the identity with which
// to judge it. Only root can make a process of another user; without, it is the
// test that takes itself for another one.
func otherUser() (uid int, id func() identity) {
	if os.Geteuid() == 0 {
		return nobody, self
	}
	return 0, func() identity {
		id := self()
		id.euid++
		return id
	}
}
