package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// child is a server process. It ends with its parent, whatever happens to
// that: the pipe to its standard input breaks then.
type child struct {
	version string
	cmd     *exec.Cmd
	stdin   io.Closer
	began   time.Time
	tail    tail
	done    chan struct{} // closed when it has ended; err and ended are final then
	err     error
	ended   time.Time

	mu    sync.Mutex
	said  map[string]message
	news  chan struct{} // closed and replaced when something is said
	steps func(message)
}

// start starts a server of the configuration; env is added to the environment.
// Steps is told what it says.
func start(command []string, cfg ServerConfig, env []string, steps func(message)) (*child, error) {
	args := append(command[1:len(command):len(command)], cfg.Args()...)
	c := &child{
		version: cfg.Version, cmd: exec.Command(command[0], args...), began: time.Now(),
		done: make(chan struct{}), said: make(map[string]message), news: make(chan struct{}), steps: steps,
	}
	c.cmd.Args[0] = os.Args[0] // a program may go by its name
	c.cmd.Env = append(cleanEnviron(), env...)
	c.cmd.Stderr = &c.tail
	c.cmd.SysProcAttr = apart()
	stdin, err := c.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	c.stdin = stdin
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start a server: %w", err)
	}
	go c.follow(out)
	return c, nil
}

// cleanEnviron is the environment without what configures servers: the demo is
// the same for everybody.
func cleanEnviron() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "HANDOVER_") })
}

// follow hears what the process says until it has ended.
func (c *child) follow(out io.Reader) {
	hear(out, func(m message) {
		c.mu.Lock()
		c.said[m.Said] = m
		close(c.news)
		c.news = make(chan struct{})
		c.mu.Unlock()
		c.steps(m)
	})
	c.err = c.cmd.Wait()
	c.ended = time.Now()
	close(c.done)
}

// heard returns what the process has said, and a channel that is closed when it
// says more.
func (c *child) heard(what string) (message, bool, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	m, ok := c.said[what]
	return m, ok, c.news
}

// await waits until the process says what is asked for.
func (c *child) await(ctx context.Context, what string) (message, error) {
	for {
		m, ok, news := c.heard(what)
		if ok {
			return m, nil
		}
		select {
		case <-news:
		case <-c.done:
			if m, ok, _ := c.heard(what); ok {
				return m, nil
			}
			return message{}, c.failure()
		case <-ctx.Done():
			return message{}, fmt.Errorf("%s has not said %q: %w", c.version, what, context.Cause(ctx))
		}
	}
}

// wait waits for the process to end by itself, with code 0.
func (c *child) wait(ctx context.Context) error {
	select {
	case <-c.done:
		if c.err != nil {
			return c.failure()
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%s has not ended: %w", c.version, context.Cause(ctx))
	}
}

// failure says how a process that has ended did so.
func (c *child) failure() error {
	if m, ok, _ := c.heard(saidFailed); ok {
		return fmt.Errorf("%s failed (exit code %d): %s", c.version, c.exitCode(), m.Error)
	}
	return fmt.Errorf("%s ended too early (exit code %d): %s", c.version, c.exitCode(), c.tail.last())
}

// exitCode is that of a process that has ended, -1 if a signal ended it.
func (c *child) exitCode() int { return c.cmd.ProcessState.ExitCode() }

// terminate asks the process to end in order.
func (c *child) terminate() error {
	err := c.cmd.Process.Signal(syscall.SIGTERM)
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

// kill ends the process at once, if it is still there.
func (c *child) kill() {
	_ = c.cmd.Process.Kill() // it may have ended, which is the aim
	_ = c.stdin.Close()
	<-c.done
}

// tailLines bounds what is kept of a server's log.
const tailLines = 40

// tail keeps the last lines written to it.
type tail struct {
	mu    sync.Mutex
	lines []string
}

// Write implements [io.Writer].
func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for line := range strings.Lines(string(b)) {
		t.lines = append(t.lines, strings.TrimRight(line, "\n"))
	}
	t.lines = t.lines[max(0, len(t.lines)-tailLines):]
	return len(b), nil
}

// last returns the last line.
func (t *tail) last() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.lines) == 0 {
		return "it printed nothing"
	}
	return t.lines[len(t.lines)-1]
}
