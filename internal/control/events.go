package control

import (
	"slices"
	"sync"
	"time"
)

const (
	ringSize  = 256 // events kept for those who come later
	queueSize = 64  // events a subscriber may lag behind
)

// Event is something that happened to a generation.
type Event struct {
	Seq        uint64            `json:"seq"` // 1, 2, 3... within an instance; set by Publish
	Time       time.Time         `json:"time"`
	Instance   string            `json:"instance,omitempty"` // set by the [Server] where empty
	Generation int               `json:"generation,omitempty"`
	Type       string            `json:"type"` // for programs: "cutover", "drain", ...
	Message    string            `json:"message,omitempty"`
	Attrs      map[string]string `json:"attrs,omitempty"` // not to be changed after Publish
}

// Events hands events to whoever listens and keeps the last 256 for those who
// come later. The zero value is ready, a nil one discards what is published;
// methods may be called concurrently.
type Events struct {
	mu   sync.Mutex
	seq  uint64
	ring []Event
	subs map[*Subscription]struct{}
}

// Publish sets ev's Seq, and its Time where that is zero, and passes it on. It
// never waits: a subscriber that lags 64 events behind is dropped.
func (e *Events) Publish(ev Event) {
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.seq++
	ev.Seq = e.seq
	if ev.Time.IsZero() {
		ev.Time = time.Now()
	}
	if len(e.ring) == ringSize {
		e.ring = slices.Delete(e.ring, 0, 1)
	}
	e.ring = append(e.ring, ev)
	for s := range e.subs {
		select {
		case s.live <- ev:
		default:
			e.dropLocked(s)
		}
	}
}

// Subscribe returns the recent events and those that follow. The caller closes
// the subscription.
func (e *Events) Subscribe() *Subscription {
	s := &Subscription{hub: e, live: make(chan Event, queueSize)}
	if e == nil {
		return s
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.subs == nil {
		e.subs = make(map[*Subscription]struct{})
	}
	e.subs[s] = struct{}{}
	s.Recent = slices.Clone(e.ring)
	return s
}

// dropLocked ends a subscription, once.
func (e *Events) dropLocked(s *Subscription) {
	if _, ok := e.subs[s]; ok {
		delete(e.subs, s)
		close(s.live)
	}
}

// Subscription is one reader of [Events].
type Subscription struct {
	Recent []Event // what had happened before, oldest first
	hub    *Events
	live   chan Event
}

// C yields the events after Recent, in order and without a gap. It is closed by
// Close, and when the reader was too slow.
func (s *Subscription) C() <-chan Event { return s.live }

// Close ends the subscription. A second call does nothing.
func (s *Subscription) Close() {
	if s.hub == nil {
		return
	}
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	s.hub.dropLocked(s)
}
