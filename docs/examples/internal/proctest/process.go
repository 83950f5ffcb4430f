package proctest

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// Patience is how long a test waits for what should happen soon.
const Patience = 20 * time.Second

// What the library logs at the turns of a version's life.
const (
	Active   = "state=active"   // the version has the clients
	Draining = "state=draining" // its listeners are closing, or closed
)

// Process is a running example. Its methods are for the test's goroutine.
type Process struct {
	Path string // the executable

	t      testing.TB
	cmd    *exec.Cmd
	exited chan struct{} // closed when cmd.Wait has returned

	mu      sync.Mutex
	lines   []string
	changed chan struct{} // closed and replaced with each line, closed for good at the end
}

// Start runs a program, and kills it at the end of the test if it still runs.
// A test that fails shows its output.
func Start(t testing.TB, path string, args ...string) *Process {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p := &Process{Path: path, t: t, cmd: exec.Command(path, args...), exited: make(chan struct{}), changed: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = w, w
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	read := make(chan struct{})
	go p.read(r, read)
	go func() {
		p.cmd.Wait() // ExitCode tells the result
		<-read
		close(p.exited)
	}()
	t.Cleanup(p.end)
	return p
}

// StartActive is Start, and returns when the program has the clients.
func StartActive(t testing.TB, path string, args ...string) *Process {
	t.Helper()
	p := Start(t, path, args...)
	p.WaitFor(Active)
	return p
}

func (p *Process) read(r io.ReadCloser, done chan<- struct{}) {
	defer close(done)
	defer r.Close()
	for s := bufio.NewScanner(r); s.Scan(); {
		p.mu.Lock()
		p.lines = append(p.lines, s.Text())
		close(p.changed)
		p.changed = make(chan struct{})
		p.mu.Unlock()
	}
}

func (p *Process) end() {
	p.cmd.Process.Kill() // an error says that it has exited
	<-p.exited
	if p.t.Failed() {
		p.t.Logf("output of pid %d:\n%s", p.cmd.Process.Pid, p.Output())
	}
}

// Output returns what the program has written, standard error included.
func (p *Process) Output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.lines, "\n")
}

// WaitFor returns when the program has written a line that contains text.
func (p *Process) WaitFor(text string) {
	p.t.Helper()
	timeout := time.After(Patience)
	for {
		p.mu.Lock()
		changed := p.changed
		found := strings.Contains(strings.Join(p.lines, "\n"), text)
		p.mu.Unlock()
		if found {
			return
		}
		select {
		case <-changed:
		case <-p.exited:
			if strings.Contains(p.Output(), text) {
				return
			}
			p.t.Fatalf("exited with code %d without writing %q", p.cmd.ProcessState.ExitCode(), text)
		case <-timeout:
			p.t.Fatalf("has not written %q in %v", text, Patience)
		}
	}
}

// Signal sends a signal.
func (p *Process) Signal(sig os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		p.t.Fatalf("%v: %v", sig, err)
	}
}

// Running tells whether the program has not exited yet.
func (p *Process) Running() bool { return !p.ExitsWithin(0) }

// ExitsWithin tells whether the program exits in a time.
func (p *Process) ExitsWithin(d time.Duration) bool {
	select {
	case <-p.exited:
		return true
	case <-time.After(d):
		return false
	}
}

// ExitCode waits for the program to exit, and returns its exit code, -1 if a
// signal ended it.
func (p *Process) ExitCode() int {
	p.t.Helper()
	select {
	case <-p.exited:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(Patience):
		p.t.Fatalf("has not exited in %v", Patience)
	}
	return -1
}

// ExitsWith checks that the program exits with a code.
func (p *Process) ExitsWith(want int) {
	p.t.Helper()
	if got := p.ExitCode(); got != want {
		p.t.Errorf("exit code %d, want %d", got, want)
	}
}
