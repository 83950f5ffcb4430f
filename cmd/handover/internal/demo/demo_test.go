package demo

import (
	"strings"
	"testing"
	"time"

	"github.com/gohandover/handover/internal/load"
)

func TestNewChecksItsConfig(t *testing.T) {
	command := []string{"server"}
	for name, cfg := range map[string]Config{
		"no command":     {},
		"takeovers":      {Command: command, Takeovers: -1},
		"many takeovers": {Command: command, Takeovers: maxTakeovers + 1},
		"few clients":    {Command: command, Clients: 5},
		"many clients":   {Command: command, Clients: load.MaxClients + 1},
		"between":        {Command: command, Between: -time.Second},
	} {
		if _, err := New(cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	d, err := New(Config{Command: command})
	if err != nil {
		t.Fatal(err)
	}
	if d.cfg.Takeovers != 8 || d.cfg.Clients != 52 {
		t.Errorf("got %+v", d.cfg)
	}
	if _, ok := d.Progress(); ok {
		t.Error("progress before the start")
	}
}

func TestRunTellsWhyAServerDoesNotStart(t *testing.T) {
	d, err := New(Config{Command: []string{"/nonexistent/server"}})
	if err != nil {
		t.Fatal(err)
	}
	report, err := d.Run(t.Context(), func(Event) {})
	if err == nil || !strings.Contains(err.Error(), "the handover way: start a server") {
		t.Errorf("got %v", err)
	}
	if report.Judge() == nil {
		t.Error("a demo that showed nothing is judged good")
	}
}

func TestHearPassesOverOtherLines(t *testing.T) {
	var heard []string
	hear(strings.NewReader("hello\n{\"said\":\"ready\",\"address\":\"a:1\"}\n{}\n\n{\"said\":\"drained\"}\n"), func(m message) {
		heard = append(heard, m.Said+m.Address)
	})
	if got := strings.Join(heard, " "); got != "readya:1 drained" {
		t.Errorf("got %q", got)
	}
}

func TestTailKeepsTheLastLines(t *testing.T) {
	var tl tail
	if tl.last() != "it printed nothing" {
		t.Errorf("got %q", tl.last())
	}
	for range 100 {
		if _, err := tl.Write([]byte("one\ntwo\n")); err != nil {
			t.Fatal(err)
		}
	}
	if tl.last() != "two" || len(tl.lines) != tailLines {
		t.Errorf("%d lines, the last is %q", len(tl.lines), tl.last())
	}
}

func TestViewShowsWhoAnswersOfLate(t *testing.T) {
	v := NewView(new(strings.Builder), false)
	at := func(elapsed time.Duration, v1, v2, failed uint64) Progress {
		return Progress{
			Way: Handover, Version: "v2", Step: "v2 serves", Takeover: 1, Takeovers: 8,
			Stats: load.Stats{Elapsed: elapsed, Total: load.Counts{
				Sent: v1 + v2 + failed, Answered: v1 + v2, Failed: failed, Versions: map[string]uint64{"v1": v1, "v2": v2},
			}},
		}
	}
	first := v.render(at(time.Second, 1000, 0, 0))
	second := v.render(at(2*time.Second, 1250, 750, 3))
	if len(first) != len(second) {
		t.Errorf("the block has %d lines, then %d", len(first), len(second))
	}
	text := strings.Join(second, "\n")
	for _, want := range []string{"takeover 1 of 8", "failed 3", "1,000/s", "v2 serves", " 25 %", " 75 %"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}
