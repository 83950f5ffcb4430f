package load

import (
	"strings"
	"sync"
	"time"
)

const (
	maxVersion  = 64   // bytes of a version's name that are kept
	maxVersions = 1024 // that are told apart; the rest is counted under otherVersions

	otherVersions = "(others)"
)

// recorder counts the requests of one pattern. It is safe for concurrent use.
type recorder struct {
	start time.Time

	mu       sync.Mutex
	clients  int
	sent     uint64
	answered uint64
	resent   uint64
	failures [kindCount]uint64
	versions map[string]uint64
	latency  histogram
	series   Series
}

func newRecorder(start time.Time, interval time.Duration) *recorder {
	return &recorder{start: start, versions: make(map[string]uint64), series: Series{Interval: interval}}
}

// begin counts a request as sent. One call of answer or fail must follow.
func (r *recorder) begin() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sent++
}

// answer counts the answer to a request.
func (r *recorder) answer(a answer) {
	at := time.Since(r.start)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answered++
	r.resent += a.resent
	r.latency.add(a.latency)
	r.series.add(at, Point{Answered: 1, Max: a.latency})
	r.countVersionLocked(a.version)
}

// fail counts the failure of a request.
func (r *recorder) fail(kind Kind, resent uint64) {
	at := time.Since(r.start)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures[kind]++
	r.resent += resent
	r.series.add(at, Point{Failed: 1})
}

func (r *recorder) countVersionLocked(version string) {
	version = version[:min(len(version), maxVersion)]
	if _, known := r.versions[version]; !known {
		if len(r.versions) >= maxVersions {
			version = otherVersions
		}
		// The header's text lives in one string with all others of its answer, which the map would keep.
		version = strings.Clone(version)
	}
	r.versions[version]++
}

// counts returns a snapshot, and adds the latencies to total.
func (r *recorder) counts(total *histogram) Counts {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := newCounts()
	c.Clients, c.Sent, c.Answered, c.Resent = r.clients, r.sent, r.answered, r.resent
	for kind, n := range r.failures {
		if n > 0 {
			c.Failures[Kind(kind)] = n
			c.Failed += n
		}
	}
	for version, n := range r.versions {
		c.Versions[version] = n
	}
	c.InFlight = c.Sent - c.Answered - c.Failed
	c.Latency = latencyOf(&r.latency)
	total.merge(&r.latency)
	return c
}

func newCounts() Counts {
	return Counts{Failures: make(map[Kind]uint64), Versions: make(map[string]uint64)}
}
