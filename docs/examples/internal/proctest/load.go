package proctest

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"
)

// Load is a number of clients that ask again and again, and never twice for
// the same.
type Load struct {
	t    testing.TB
	stop chan struct{}
	wg   sync.WaitGroup

	mu      sync.Mutex
	answers map[string]int
	failed  []error
	changed chan struct{} // closed and replaced with each new answer
}

// StartLoad starts clients, each with an ask function of its own. It returns
// the answer, such as the version that answered; an error is a request lost.
func StartLoad(t testing.TB, clients int, newAsk func() func() (string, error)) *Load {
	l := &Load{t: t, stop: make(chan struct{}), answers: make(map[string]int), changed: make(chan struct{})}
	for range clients {
		ask := newAsk()
		l.wg.Go(func() { l.run(ask) })
	}
	t.Cleanup(l.end)
	return l
}

// StartHTTPLoad starts clients that ask for a path: half of them over
// keep-alive connections, half over a new one for each request.
func StartHTTPLoad(t testing.TB, address, path string) *Load {
	i := 0
	return StartLoad(t, 8, func() func() (string, error) {
		c := &HTTP{Address: address}
		t.Cleanup(func() { c.Close() })
		i++
		if i%2 == 0 {
			return func() (string, error) { return c.Get(path) }
		}
		return func() (string, error) {
			defer c.Close()
			return c.Get(path)
		}
	})
}

func (l *Load) run(ask func() (string, error)) {
	pause := time.NewTicker(2 * time.Millisecond) // leaves the servers some of the machine
	defer pause.Stop()
	for {
		select {
		case <-l.stop:
			return
		case <-pause.C:
		}
		answer, err := ask()
		l.mu.Lock()
		if err != nil {
			l.failed = append(l.failed, err)
		} else {
			if l.answers[answer] == 0 {
				close(l.changed)
				l.changed = make(chan struct{})
			}
			l.answers[answer]++
		}
		l.mu.Unlock()
		if err != nil {
			return // one lost request fails the test
		}
	}
}

// WaitFor returns when a client has got an answer.
func (l *Load) WaitFor(answer string) {
	l.t.Helper()
	timeout := time.After(Patience)
	for {
		l.mu.Lock()
		got, changed, failed := l.answers[answer], l.changed, fmt.Sprint(l.failed)
		l.mu.Unlock()
		if got > 0 {
			return
		}
		select {
		case <-changed:
		case <-timeout:
			l.t.Fatalf("no client got %q in %v; lost: %v", answer, Patience, failed)
		}
	}
}

// Count returns how often an answer has been given so far.
func (l *Load) Count(answer string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.answers[answer]
}

// Stop ends the load, and fails the test if any request was lost, or if the
// answers were others than those that are named.
func (l *Load) Stop(answers ...string) {
	l.t.Helper()
	l.end()
	if len(l.failed) > 0 {
		l.t.Errorf("%d requests lost, the first: %v", len(l.failed), l.failed[0])
	}
	slices.Sort(answers)
	if got := slices.Sorted(maps.Keys(l.answers)); !slices.Equal(got, answers) {
		l.t.Errorf("answers: %q, want %q", got, answers)
	}
}

func (l *Load) end() {
	select {
	case <-l.stop:
	default:
		close(l.stop)
	}
	l.wg.Wait()
}
