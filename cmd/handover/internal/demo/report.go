package demo

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gohandover/handover/internal/load"
)

// Report is what a demo showed. In JSON durations are nanoseconds.
type Report struct {
	User    int           `json:"user"` // the uid that the servers ran as
	Config  ReportConfig  `json:"config"`
	Elapsed time.Duration `json:"elapsed"`
	Ways    []WayReport   `json:"ways"` // handover first
	OK      bool          `json:"ok"`   // see [Report.Judge]
}

// ReportConfig is what was asked for.
type ReportConfig struct {
	Takeovers int           `json:"takeovers"`
	Clients   int           `json:"clients"`
	Between   time.Duration `json:"between"`
}

// WayReport is what became of the load in one way.
type WayReport struct {
	Way Way `json:"way"`
	load.Stats
	Takeovers []Takeover `json:"takeovers"`
	Sick      Sick       `json:"sick"`
	Failures  []Failure  `json:"failures"` // the first 100
}

// Takeover is one version following another.
type Takeover struct {
	Number    int           `json:"number"` // 1 is from v1 to v2
	From      string        `json:"from"`
	To        string        `json:"to"`
	Began     time.Time     `json:"began"`     // the new process was started
	CutoverAt time.Time     `json:"cutoverAt"` // new connections went to it; the naive way: SIGTERM to the old one
	Start     time.Duration `json:"start"`     // from Began to CutoverAt
	Drain     time.Duration `json:"drain"`     // from then, and after the flush, to the exit of the old process
	Failed    uint64        `json:"failed"`    // requests from Began to the exit of the old process
	Error     string        `json:"error,omitempty"`

	// What only handover has: how long the cutover and the flush took, how many
	// connections were in the queue that it emptied, and what it warned of.
	Cutover  time.Duration `json:"cutover"`
	Flush    time.Duration `json:"flush"`
	Flushed  int           `json:"flushed"`
	Warnings []string      `json:"warnings,omitempty"`
}

// String describes the takeover in one line.
func (t Takeover) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s -> %s: ", t.From, t.To)
	if t.Error != "" {
		return b.String() + "did not work: " + t.Error
	}
	fmt.Fprintf(&b, "ready %s, ", short(t.Start))
	if t.Cutover > 0 {
		fmt.Fprintf(&b, "cutover %s, flush %s, ", short(t.Cutover), short(t.Flush))
	}
	fmt.Fprintf(&b, "drain %s, failed %d", short(t.Drain), t.Failed)
	for _, w := range t.Warnings {
		b.WriteString("; warning: " + w)
	}
	return b.String()
}

// Sick is the version that never got healthy.
type Sick struct {
	Version  string        `json:"version"`
	ExitCode int           `json:"exitCode"`
	Error    string        `json:"error"` // with its last answer
	Took     time.Duration `json:"took"`
	Answered uint64        `json:"answered"` // requests of clients that it got
}

// Failure is a failed request and where in the course of things it was.
type Failure struct {
	load.Failure
	When string `json:"when"`
}

// add takes over what the load counted.
func (r *WayReport) add(result load.Result) {
	r.Stats = result.Stats
	r.Sick.Answered = result.Total.Versions[r.Sick.Version]
	for _, f := range result.Failures {
		r.Failures = append(r.Failures, Failure{Failure: f, When: r.when(f.Time)})
	}
}

// when tells a moment by the last takeover that had begun.
func (r *WayReport) when(at time.Time) string {
	i, _ := slices.BinarySearchFunc(r.Takeovers, at, func(t Takeover, at time.Time) int { return t.Began.Compare(at) })
	if i == 0 {
		return "before the first takeover"
	}
	t := r.Takeovers[i-1]
	if t.CutoverAt.IsZero() || at.Before(t.CutoverAt) {
		return fmt.Sprintf("%s after %s was started", short(at.Sub(t.Began)), t.To)
	}
	return fmt.Sprintf("%s after the cutover to %s", short(at.Sub(t.CutoverAt)), t.To)
}

// Way returns the report of one way, nil if it was not shown.
func (r *Report) Way(w Way) *WayReport {
	for i := range r.Ways {
		if r.Ways[i].Way == w {
			return &r.Ways[i]
		}
	}
	return nil
}

// Judge says whether handover kept its word, and if not, why: no request failed,
// each was answered, all takeovers took place, and the version that never got
// healthy got no client and ended with an error. It keeps the answer in OK.
func (r *Report) Judge() error {
	w := r.Way(Handover)
	var err error
	switch {
	case w == nil:
		err = fmt.Errorf("handover was not shown")
	case w.Total.Failed > 0:
		err = fmt.Errorf("handover lost %d of %d requests", w.Total.Failed, w.Total.Sent)
	case w.Total.Sent != w.Total.Answered:
		err = fmt.Errorf("%d requests were sent and %d answered", w.Total.Sent, w.Total.Answered)
	case w.Done() != r.Config.Takeovers:
		err = fmt.Errorf("only %d of %d takeovers took place", w.Done(), r.Config.Takeovers)
	case w.Sick.ExitCode == 0:
		err = fmt.Errorf("%s was never healthy and ended with code 0", w.Sick.Version)
	case w.Sick.Answered > 0:
		err = fmt.Errorf("%s was never healthy and got %d requests", w.Sick.Version, w.Sick.Answered)
	}
	r.OK = err == nil
	return err
}

// short prints a duration with two or three digits.
func short(d time.Duration) string {
	switch {
	case d >= 10*time.Second:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d >= time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d >= 10*time.Millisecond:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d >= time.Millisecond:
		return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
	default:
		return fmt.Sprintf("%d µs", d.Microseconds())
	}
}
