package handover_test

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// roleVariable holds, in the environment of a process that a test starts, what
// it is to be: a spec.
const roleVariable = "HANDOVER_TEST_ROLE"

// lifetime is when a process that a test started ends by itself, whatever
// became of the test.
const lifetime = 3 * time.Minute

// TestMain runs the tests, or one version of a server for one of them.
func TestMain(m *testing.M) {
	text, isServer := os.LookupEnv(roleVariable)
	if !isServer {
		// Most of the time of most tests is waiting for processes.
		flag.Set("test.parallel", "6")
		goleak.VerifyTestMain(m)
		return
	}
	os.Unsetenv(roleVariable)
	var s spec
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		panic(err)
	}
	time.AfterFunc(lifetime, func() { os.Exit(exitOrphan) })
	go listenToParent()
	if err := roles[s.Role](s); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(exitError)
	}
}

// Exit codes of a server process, beyond 0.
const (
	exitError  = 1 // its Serve returned an error
	exitTurn   = 7 // it was told to end at a turn, see spec.At
	exitOrphan = 9 // the test has gone
)

// A spec is what a server process is to be.
type spec struct {
	Role      string // a key of roles
	Service   string
	Version   string
	Network   string // tcp if empty
	Addresses []string
	Mode      string // "", "tls" or "h2c"

	Sick    bool   // /readyz answers 503
	Check   string // why its check fails, if it does
	Probes  []string
	At      map[string]string // what happens at a turn of its life, see turn
	Tell    bool              // a line for each new connection
	Signals bool              // hooks on signals
	Off     bool              // Signals.Off

	Drain, Idle, Flush, Start, Lock, Bake time.Duration
}

// listenToParent passes on the lines of standard input, by their first word,
// and ends the process when the test has gone.
func listenToParent() {
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		commands.channel(in.Text()) <- struct{}{}
	}
	os.Exit(exitOrphan)
}

// told returns the channel that gets an element whenever the test tells the
// process that word.
func told(word string) <-chan struct{} { return commands.channel(word) }

var commands = mailbox{by: map[string]chan struct{}{}}

type mailbox struct {
	mu sync.Mutex
	by map[string]chan struct{}
}

func (m *mailbox) channel(word string) chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.by[word] == nil {
		m.by[word] = make(chan struct{}, 8)
	}
	return m.by[word]
}

var sayMu sync.Mutex

// say tells the test something, in one line.
func say(words ...any) {
	sayMu.Lock()
	defer sayMu.Unlock()
	fmt.Println(strings.TrimSuffix(fmt.Sprintln(words...), "\n"))
}
