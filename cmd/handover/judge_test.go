package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/gohandover/handover/cmd/handover/internal/demo"
)

// judge checks the JSON of a demo: judge FILE TAKEOVERS WAY...
func judge(ts *testscript.TestScript, _ bool, args []string) {
	var r struct {
		OK   bool
		Ways []judgedWay
	}
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &r))
	takeovers, err := strconv.Atoi(args[1])
	ts.Check(err)
	if !r.OK {
		ts.Fatalf("not ok")
	}
	if len(r.Ways) != len(args)-2 {
		ts.Fatalf("%d ways, want %d", len(r.Ways), len(args)-2)
	}
	for i, w := range r.Ways {
		err := w.check(args[i+2], takeovers)
		if err == nil && w.Way == string(demo.Handover) {
			err = w.checkHandover()
		}
		if err != nil {
			ts.Fatalf("%s: %v", w.Way, err)
		}
	}
}

// judgedWay is a way as a program sees it that reads the JSON.
type judgedWay struct {
	Way   string
	Total struct {
		Sent, Answered, Failed uint64
		Versions               map[string]uint64
	}
	Patterns  []struct{ Sent, Answered, Failed uint64 }
	Takeovers []struct{ Start, Cutover, Flush, Drain int64 }
	Sick      struct {
		Version  string
		ExitCode int
		Error    string
		Answered uint64
	}
}

// check checks what holds in both ways.
func (w judgedWay) check(name string, takeovers int) error {
	var byPattern uint64
	for _, p := range w.Patterns {
		byPattern += p.Answered + p.Failed
	}
	switch {
	case w.Way != name:
		return fmt.Errorf("want way %s", name)
	case w.Total.Sent == 0 || w.Total.Sent != w.Total.Answered+w.Total.Failed:
		return fmt.Errorf("sent %d, answered %d, failed %d", w.Total.Sent, w.Total.Answered, w.Total.Failed)
	case len(w.Patterns) != 6 || byPattern != w.Total.Sent:
		return fmt.Errorf("%d patterns with %d requests of %d", len(w.Patterns), byPattern, w.Total.Sent)
	case len(w.Takeovers) != takeovers:
		return fmt.Errorf("%d takeovers, want %d", len(w.Takeovers), takeovers)
	case !strings.Contains(w.Sick.Error, "503 Service Unavailable: [-]db failed: connection refused"):
		return fmt.Errorf("the unhealthy version's last answer is missing: %q", w.Sick.Error)
	}
	return nil
}

// checkHandover checks what holds for a handover.
func (w judgedWay) checkHandover() error {
	for _, t := range w.Takeovers {
		if min(t.Start, t.Cutover, t.Flush, t.Drain) <= 0 {
			return fmt.Errorf("a takeover without times: %+v", t)
		}
	}
	versions := w.Total.Versions
	last := fmt.Sprintf("v%d", len(w.Takeovers)+1)
	switch {
	case w.Total.Failed > 0:
		return fmt.Errorf("%d failed", w.Total.Failed)
	case w.Sick.ExitCode != 1:
		return fmt.Errorf("the unhealthy version exited with %d", w.Sick.ExitCode)
	case w.Sick.Answered > 0 || versions[w.Sick.Version] > 0:
		return fmt.Errorf("the unhealthy version got %d requests", w.Sick.Answered)
	case versions["v1"] == 0 || versions[last] == 0:
		return fmt.Errorf("v1 or %s has answered nothing: %v", last, versions)
	}
	return nil
}
