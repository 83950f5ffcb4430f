package load

import "time"

// Counts is what became of requests. Sent = Answered + Failed + InFlight.
type Counts struct {
	Clients  int               `json:"clients"`
	Sent     uint64            `json:"sent"` // begun, each once
	Answered uint64            `json:"answered"`
	Failed   uint64            `json:"failed"`
	InFlight uint64            `json:"inFlight"`
	Resent   uint64            `json:"resent"`   // HTTP/2 only: sent again after the server said it had not processed them
	Failures map[Kind]uint64   `json:"failures"` // Failed by kind; kinds that did not occur are absent
	Versions map[string]uint64 `json:"versions"` // Answered by the version that answered, "" if it did not say
	Latency  Latency           `json:"latency"`
}

// Latency is the latency of answered requests.
type Latency struct {
	P50  time.Duration `json:"p50"`
	P90  time.Duration `json:"p90"`
	P99  time.Duration `json:"p99"`
	P999 time.Duration `json:"p999"`
	Max  time.Duration `json:"max"`
}

// PatternCounts is the part of one pattern.
type PatternCounts struct {
	Pattern Pattern `json:"pattern"`
	Counts
}

// Stats is how a run stands.
type Stats struct {
	Elapsed  time.Duration   `json:"elapsed"` // since the start, until the last request's end if the run has ended
	Total    Counts          `json:"total"`
	Patterns []PatternCounts `json:"patterns"` // those that have clients, in the order of their constants
}

// Result is how a run ended.
type Result struct {
	Stats
	Start    time.Time          `json:"start"`
	Failures []Failure          `json:"failures"` // the first Config.KeepFailures
	Series   map[Pattern]Series `json:"series"`
}

// Window returns what happened to the requests of all patterns that ended between from and to, in whole steps of Series:
// to compare the time around a restart with the rest.
func (r Result) Window(from, to time.Time) Point {
	var sum Point
	for _, s := range r.Series {
		sum.merge(s.Window(from.Sub(r.Start), to.Sub(r.Start)))
	}
	return sum
}

// add adds other to c, but not its latency: quantiles don't add up.
func (c *Counts) add(other Counts) {
	c.Clients += other.Clients
	c.Sent += other.Sent
	c.Answered += other.Answered
	c.Failed += other.Failed
	c.InFlight += other.InFlight
	c.Resent += other.Resent
	for kind, n := range other.Failures {
		c.Failures[kind] += n
	}
	for version, n := range other.Versions {
		c.Versions[version] += n
	}
}

func latencyOf(h *histogram) Latency {
	return Latency{
		P50: h.quantile(0.5), P90: h.quantile(0.9), P99: h.quantile(0.99), P999: h.quantile(0.999), Max: h.max,
	}
}
