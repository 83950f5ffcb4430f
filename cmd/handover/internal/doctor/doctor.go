// Package doctor finds out whether this machine, this user and an address can do
// a handover: by looking, and by performing one between two sockets of its own.
package doctor

import (
	"context"
	"fmt"
	"runtime"

	"github.com/gohandover/handover/reuse"
)

// Level says what a finding means.
type Level string

// The levels of a finding.
const (
	OK   Level = "ok"
	Warn Level = "warn" // works, with a limit
	Fail Level = "fail" // doesn't work
)

// Finding is one thing that was looked at.
type Finding struct {
	Level Level  `json:"level"`
	About string `json:"about"`
	Found string `json:"found"`
	Do    string `json:"do,omitempty"` // what to do about it
}

// Report is all that was found.
type Report struct {
	OK       bool      `json:"ok"` // nothing failed
	Findings []Finding `json:"findings"`
}

// Examine looks at this machine and user and, if it is not nil, at an address.
// It changes nothing that outlives it, and needs no privilege.
func Examine(ctx context.Context, address *reuse.GroupID) Report {
	e := &exam{host: host{proc: "/proc"}}
	if runtime.GOOS != "linux" {
		e.add(Fail, "system", runtime.GOOS+" has no reuseport groups that can be steered", "use Linux: a server, a virtual machine or a container")
		return e.report()
	}
	e.kernel()
	e.limits()
	e.confinement()
	e.sockets(ctx)
	e.trials(ctx)
	if address != nil {
		e.address(ctx, *address)
	}
	return e.report()
}

// exam collects findings.
type exam struct {
	host     host
	findings []Finding
}

func (e *exam) add(level Level, about, found, do string) {
	e.findings = append(e.findings, Finding{Level: level, About: about, Found: found, Do: do})
}

func (e *exam) ok(about, format string, args ...any) {
	e.add(OK, about, fmt.Sprintf(format, args...), "")
}

func (e *exam) report() Report {
	r := Report{OK: true, Findings: e.findings}
	for _, f := range e.findings {
		r.OK = r.OK && f.Level != Fail
	}
	return r
}

// Failed is the number of findings that say it can't work.
func (r Report) Failed() int {
	n := 0
	for _, f := range r.Findings {
		if f.Level == Fail {
			n++
		}
	}
	return n
}
