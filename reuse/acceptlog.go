package reuse

import (
	"sync"
	"sync/atomic"
	"time"
)

// maxLogged bounds an acceptLog, which lives from the beginning of a hand-over
// to the end of its flush.
const maxLogged = 1 << 16

// An acceptLog remembers when connections were accepted, for as long as
// somebody wants to know.
type acceptLog struct {
	on atomic.Bool

	mu    sync.Mutex
	times []time.Time
}

func (a *acceptLog) start() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.times = a.times[:0]
	a.on.Store(true)
}

func (a *acceptLog) note() {
	if !a.on.Load() {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.times) == maxLogged {
		a.times = a.times[:copy(a.times, a.times[maxLogged/2:])]
	}
	a.times = append(a.times, time.Now())
}

// after ends the log and returns how many connections were accepted after t.
func (a *acceptLog) after(t time.Time) int {
	a.on.Store(false)
	a.mu.Lock()
	defer a.mu.Unlock()
	n := 0
	for _, at := range a.times {
		if at.After(t) {
			n++
		}
	}
	a.times = nil
	return n
}
