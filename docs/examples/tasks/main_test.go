package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/gohandover/handover/docs/examples/internal/proctest"
)

// TestNoJobLost replaces the server while jobs come in, and stops the second
// one: each job that was accepted was done, once, before the database closed.
func TestNoJobLost(t *testing.T) {
	t.Parallel()
	addr, dir := proctest.Address(t), t.TempDir()
	database, audit := filepath.Join(dir, "orders.db"), filepath.Join(dir, "audit.log")
	server := proctest.Build(t)
	args := []string{"-addr", addr, "-database", database, "-audit", audit}

	accepted := newOrders()
	v1 := proctest.StartActive(t, server, args...)
	load := proctest.StartLoad(t, 8, func() func() (string, error) {
		c := &proctest.HTTP{Address: addr}
		t.Cleanup(func() { c.Close() })
		return func() (string, error) {
			id := accepted.next()
			answer, err := c.Get("/order/" + id)
			if err == nil {
				accepted.add(id)
			}
			return answer, err
		}
	})
	load.WaitFor("accepted")
	v2 := proctest.StartActive(t, server, args...)
	v1.ExitsWith(0)
	load.Stop("accepted")
	v2.Signal(syscall.SIGTERM)
	v2.ExitsWith(0)

	if len(accepted.done) == 0 {
		t.Fatal("no order was accepted")
	}
	for _, file := range []string{database, audit} {
		if got := count(t, file); !maps.Equal(got, accepted.done) {
			t.Errorf("%s has %d orders, want the %d that were accepted, each once", file, len(got), len(accepted.done))
		}
	}
	for name, p := range map[string]*proctest.Process{"v1": v1, "v2": v2} {
		expectInOrder(t, name, p.Output(), "worker ended", "closing the database", "closing the audit file", "drain ended")
	}
}

func expectInOrder(t *testing.T, name, output string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		_, after, found := strings.Cut(output, line)
		if !found {
			t.Errorf("%s: no %q in its place", name, line)
			continue
		}
		output = after
	}
}

// orders counts orders by id.
type orders struct {
	mu   sync.Mutex
	last int
	done map[string]int
}

func newOrders() *orders { return &orders{done: make(map[string]int)} }

func (o *orders) next() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.last++
	return fmt.Sprint(o.last)
}

func (o *orders) add(id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.done[id]++
}

// count returns how often each line is in a file.
func count(t *testing.T, path string) map[string]int {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	n := make(map[string]int)
	for line := range strings.Lines(string(text)) {
		n[strings.TrimSuffix(line, "\n")]++
	}
	return n
}
