package handover_test

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// patience bounds every wait for a process: much longer than anything takes,
// also on a machine that is busy.
const patience = 20 * time.Second

// A fleet starts the versions of one service, each a process of its own.
type fleet struct {
	t     *testing.T
	base  spec // what all versions have in common
	count int
}

// newFleet returns the fleet of a service that no other test has, on a free port
// of 127.0.0.1 unless base says otherwise.
func newFleet(t *testing.T, base spec) *fleet {
	t.Helper()
	if base.Role == "" {
		base.Role = "http"
	}
	if base.Service == "" {
		base.Service = "e2e-" + rand.Text()
	}
	if base.Addresses == nil {
		base.Addresses = []string{"127.0.0.1:0"}
	}
	return &fleet{t: t, base: base}
}

// start starts the next version, with what change makes of its spec.
func (f *fleet) start(change ...func(*spec)) *server {
	f.t.Helper()
	f.count++
	s := f.base
	s.Version = fmt.Sprintf("v%d", f.count)
	for _, c := range change {
		c(&s)
	}
	return startServer(f.t, s, nil)
}

// serve starts the next version and waits until it has the clients. The first
// one decides on the ports of all that follow.
func (f *fleet) serve(change ...func(*spec)) *server {
	f.t.Helper()
	p := f.start(change...)
	f.ready(p)
	return p
}

func (f *fleet) ready(p *server) {
	f.t.Helper()
	if addresses := p.awaitWord("ready", "addr"); f.count == 1 {
		f.base.Addresses = strings.Split(addresses, ",")
		for i, a := range f.base.Addresses { // keep the dual-stack form
			f.base.Addresses[i] = strings.Replace(a, "[::]", "", 1)
		}
	}
}

// address is the first address of the service.
func (f *fleet) address() string { return f.base.Addresses[0] }

// A server is a process that the test started.
type server struct {
	spec
	t      *testing.T
	cmd    *exec.Cmd
	in     io.WriteCloser
	exited chan struct{} // closed when the process has ended and all it said is in lines

	mu    sync.Mutex
	lines []string
	news  chan struct{} // closed at the next line
	log   bytes.Buffer
}

// startServer starts this test binary as a server. It is killed at the end of
// the test at the latest.
func startServer(t *testing.T, s spec, attr *syscall.SysProcAttr, env ...string) *server {
	t.Helper()
	role, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), roleVariable+"="+string(role))
	cmd.Env = append(cmd.Env, env...)
	cmd.SysProcAttr = attr
	return startCommand(t, s, cmd)
}

func startCommand(t *testing.T, s spec, cmd *exec.Cmd) *server {
	t.Helper()
	p := &server{spec: s, t: t, cmd: cmd, exited: make(chan struct{}), news: make(chan struct{})}
	var err error
	if p.in, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = lockedWriter{p}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go p.follow(out)
	t.Cleanup(func() {
		p.cmd.Process.Kill()
		<-p.exited
		if t.Failed() {
			t.Logf("%s (pid %d) %v, said %q, logged:\n%s", p.Version, p.pid(), p.cmd.ProcessState, p.said(), p.logged())
		}
	})
	return p
}

type lockedWriter struct{ p *server }

func (w lockedWriter) Write(b []byte) (int, error) {
	w.p.mu.Lock()
	defer w.p.mu.Unlock()
	return w.p.log.Write(b)
}

func (p *server) follow(out io.Reader) {
	defer close(p.exited)
	in := bufio.NewScanner(out)
	for in.Scan() {
		p.mu.Lock()
		p.lines = append(p.lines, in.Text())
		close(p.news)
		p.news = make(chan struct{})
		p.mu.Unlock()
	}
	p.cmd.Wait() // how it ended is in ProcessState
}

func (p *server) pid() int { return p.cmd.Process.Pid }

func (p *server) said() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.lines)
}

func (p *server) logged() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// await waits until the process has said a line that begins with the words.
func (p *server) await(words string) string {
	p.t.Helper()
	timeout := time.After(patience)
	for {
		p.mu.Lock()
		news := p.news
		i := slices.IndexFunc(p.lines, func(l string) bool { return l == words || strings.HasPrefix(l, words+" ") })
		line := ""
		if i >= 0 {
			line = p.lines[i]
		}
		p.mu.Unlock()
		if i >= 0 {
			return line
		}
		select {
		case <-news:
		case <-p.exited:
			if slices.ContainsFunc(p.said(), func(l string) bool { return strings.HasPrefix(l, words) }) {
				continue
			}
			p.t.Fatalf("%s ended (%v) and had not said %q", p.Version, p.cmd.ProcessState, words)
		case <-timeout:
			p.t.Fatalf("%s has not said %q within %v", p.Version, words, patience)
		}
	}
}

// awaitWord waits for a line and returns the value of key=value in it.
func (p *server) awaitWord(words, key string) string {
	p.t.Helper()
	line := p.await(words)
	for _, w := range strings.Fields(line) {
		if v, ok := strings.CutPrefix(w, key+"="); ok {
			return v
		}
	}
	p.t.Fatalf("%s said %q, which has no %s", p.Version, line, key)
	return ""
}

// has tells whether the process has said the line by now.
func (p *server) has(line string) bool { return slices.Contains(p.said(), line) }

// tell gives the process a command.
func (p *server) tell(word string) {
	p.t.Helper()
	if _, err := io.WriteString(p.in, word+"\n"); err != nil {
		p.t.Fatalf("tell %s %q: %v", p.Version, word, err)
	}
}

// stall makes one of the role "lazy" accept no more.
func (p *server) stall() {
	p.t.Helper()
	p.tell("stall")
	p.await("stalled")
}

func (p *server) signal(sig syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		p.t.Fatalf("send %v to %s: %v", sig, p.Version, err)
	}
}

// kill ends the process as a crash does and waits until it is gone.
func (p *server) kill() {
	p.t.Helper()
	p.signal(syscall.SIGKILL)
	p.exit()
}

// exit waits for the end of the process and returns its exit code, -1 if a
// signal ended it.
func (p *server) exit() int {
	p.t.Helper()
	select {
	case <-p.exited:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		p.signal(syscall.SIGQUIT) // for the stacks, in the log
		select {
		case <-p.exited:
		case <-time.After(5 * time.Second):
		}
		p.t.Fatalf("%s has not ended within %v", p.Version, patience)
		return 0
	}
}

// wantExit waits for the end and checks the exit code, and that what is said
// is in the log.
func (p *server) wantExit(code int, logged ...string) {
	p.t.Helper()
	if got := p.exit(); got != code {
		p.t.Fatalf("%s ended with code %d; want %d", p.Version, got, code)
	}
	p.wantLogged(logged...)
}

// wantLogged waits for what a process logs: standard error comes another way
// than what it says, and may come later.
func (p *server) wantLogged(texts ...string) {
	p.t.Helper()
	for _, text := range texts {
		eventually(p.t, fmt.Sprintf("%s logs %q", p.Version, text), func() bool { return p.logs(text) })
	}
}

// eventually waits for a condition that no process tells about.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for tick := time.NewTicker(10 * time.Millisecond); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// state is the letter in /proc/PID/stat: T for stopped.
func (p *server) state() string {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(p.pid()) + "/stat")
	if err != nil {
		return ""
	}
	return strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))[0]
}

// stop stops the process, as a debugger would, until SIGCONT.
func (p *server) stop() {
	p.t.Helper()
	p.signal(syscall.SIGSTOP)
	eventually(p.t, p.Version+" is stopped", func() bool { return p.state() == "T" })
}

// openFiles returns the descriptors that the process has open, in order.
func openFiles(t *testing.T, p *server) []int {
	t.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.pid()))
	if err != nil {
		t.Fatal(err)
	}
	var out []int
	for _, e := range entries {
		n, err := strconv.Atoi(e.Name())
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}

// exhaustFiles lets the process have no further descriptor until what it
// returns is called.
func exhaustFiles(t *testing.T, p *server) (restore func()) {
	t.Helper()
	lowest := 1 << 16
	for range 20 { // it may open one for a moment
		free := 0
		for slices.Contains(openFiles(t, p), free) {
			free++
		}
		lowest = min(lowest, free)
		time.Sleep(time.Millisecond)
	}
	var before unix.Rlimit
	limit := func(to, was *unix.Rlimit) {
		if err := unix.Prlimit(p.pid(), unix.RLIMIT_NOFILE, to, was); err != nil {
			t.Fatal(err)
		}
	}
	limit(nil, &before)
	limit(&unix.Rlimit{Cur: uint64(lowest), Max: before.Max}, nil)
	return func() { limit(&before, nil) }
}

// logs tells whether the process has logged the text by now.
func (p *server) logs(text string) bool { return strings.Contains(p.logged(), text) }
