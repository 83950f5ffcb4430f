package demo

import (
	"strings"
	"testing"
	"time"

	"github.com/gohandover/handover/internal/load"
)

// good returns a report of a demo in which all went well.
func good() Report {
	start := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	counts := load.Counts{Sent: 1234567, Answered: 1234567, Versions: map[string]uint64{"v1": 1, "v2": 2}}
	return Report{
		Config: ReportConfig{Takeovers: 1},
		Ways: []WayReport{{
			Way: Handover,
			Stats: load.Stats{Total: counts, Patterns: []load.PatternCounts{
				{Pattern: load.NewConnection, Counts: counts},
			}},
			Takeovers: []Takeover{{
				Number: 1, From: "v1", To: "v2", Began: start, CutoverAt: start.Add(300 * time.Millisecond),
				Start: 300 * time.Millisecond, Cutover: 50 * time.Microsecond, Flush: 12 * time.Millisecond, Flushed: 3,
				Drain: 1500 * time.Millisecond,
			}},
			Sick: Sick{Version: "v2-sick", ExitCode: 1, Error: "503"},
		}},
	}
}

func TestJudge(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(*Report, *WayReport)
		want  string
	}{
		"good":             {func(*Report, *WayReport) {}, ""},
		"not shown":        {func(r *Report, _ *WayReport) { r.Ways = nil }, "was not shown"},
		"lost":             {func(_ *Report, w *WayReport) { w.Total.Failed = 2 }, "lost 2 of 1234567"},
		"not answered":     {func(_ *Report, w *WayReport) { w.Total.Answered-- }, "1234567 requests were sent and 1234566 answered"},
		"cut short":        {func(r *Report, _ *WayReport) { r.Config.Takeovers = 2 }, "only 1 of 2 takeovers"},
		"failed takeover":  {func(_ *Report, w *WayReport) { w.Takeovers[0].Error = "no" }, "only 0 of 1 takeovers"},
		"sick in service":  {func(_ *Report, w *WayReport) { w.Sick.Answered = 5 }, "got 5 requests"},
		"sick without end": {func(_ *Report, w *WayReport) { w.Sick.ExitCode = 0 }, "ended with code 0"},
	} {
		r := good()
		c.spoil(&r, &r.Ways[0])
		err := r.Judge()
		if r.OK != (err == nil) {
			t.Errorf("%s: OK is %v with %v", name, r.OK, err)
		}
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

func TestFailureIsPlacedInTheCourseOfThings(t *testing.T) {
	r := good()
	w := &r.Ways[0]
	began := w.Takeovers[0].Began
	var result load.Result
	result.Total = w.Total
	result.Total.Versions = map[string]uint64{"v2-sick": 4}
	for _, d := range []time.Duration{-time.Second, 100 * time.Millisecond, 303 * time.Millisecond} {
		result.Failures = append(result.Failures, load.Failure{Time: began.Add(d)})
	}
	w.add(result)
	for i, want := range []string{"before the first takeover", "100 ms after v2 was started", "3.0 ms after the cutover to v2"} {
		if w.Failures[i].When != want {
			t.Errorf("got %q, want %q", w.Failures[i].When, want)
		}
	}
	if w.Sick.Answered != 4 {
		t.Errorf("the sick version answered %d, want 4", w.Sick.Answered)
	}
}

func TestWriteTable(t *testing.T) {
	r := good()
	w := &r.Ways[0]
	w.Total.Failed = 1
	w.Total.Failures = map[load.Kind]uint64{load.ResetBefore: 1}
	w.Failures = []Failure{{Failure: load.Failure{Kind: load.ResetBefore, Error: "gone"}, When: "3.0 ms after the cutover to v2"}}
	var b strings.Builder
	if err := r.WriteTable(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"  new connection   1,234,567           0\n",
		"  cutover, median                   50 µs\n",
		"  rescued from the queues               3\n",
		"handover: v2-sick, which never got healthy, got no request and ended with code 1:\n  503\n",
		"handover failed: 1 reset before the request was sent\n",
		"  3.0 ms after the cutover to v2: ",
		"gone\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}

func TestNumbersForPeople(t *testing.T) {
	for n, want := range map[uint64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := thousands(n); got != want {
			t.Errorf("%d: got %s, want %s", n, got, want)
		}
	}
	for d, want := range map[time.Duration]string{
		0: "0 µs", 950 * time.Microsecond: "950 µs", 1500 * time.Microsecond: "1.5 ms",
		12 * time.Millisecond: "12 ms", 1500 * time.Millisecond: "1.5 s", 12 * time.Second: "12 s",
	} {
		if got := short(d); got != want {
			t.Errorf("%v: got %s, want %s", d, got, want)
		}
	}
}
