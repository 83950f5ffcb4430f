package health

import (
	"encoding/json"
	"fmt"
	"strings"
)

// report is the outcome of one question to a [Health].
type report struct {
	state   error // why the server as a whole is not serving, or nil
	checks  []checkResult
	unknown []string // names that were excluded and do not exist
}

type checkResult struct {
	name     string
	excluded bool
	err      error
}

func (r report) ok() bool {
	for _, c := range r.all() {
		if c.err != nil {
			return false
		}
	}
	return true
}

// all returns the checks with the state of the server itself as the first.
func (r report) all() []checkResult {
	return append([]checkResult{{name: servingName, err: r.state}}, r.checks...)
}

// withhold hides the reasons of failed checks. The state of the server is no secret.
func (r report) withhold() {
	for i := range r.checks {
		if r.checks[i].err != nil {
			r.checks[i].err = errWithheld
		}
	}
}

// text is the answer for people: "ok", or the list of checks where it is asked for or something failed.
func (r report) text(endpoint string, verbose bool) string {
	if r.ok() && !verbose {
		return "ok\n"
	}
	var b strings.Builder
	for _, c := range r.all() {
		switch {
		case c.excluded:
			fmt.Fprintf(&b, "[+]%s excluded: ok\n", c.name)
		case c.err != nil:
			fmt.Fprintf(&b, "[-]%s failed: %s\n", c.name, oneLine(c.err.Error()))
		default:
			fmt.Fprintf(&b, "[+]%s ok\n", c.name)
		}
	}
	if len(r.unknown) > 0 {
		fmt.Fprintf(&b, "warn: no such check to exclude: %s\n", oneLine(fmt.Sprintf("%q", r.unknown)))
	}
	verdict := "passed"
	if !r.ok() {
		verdict = "failed"
	}
	fmt.Fprintf(&b, "%s check %s\n", endpoint, verdict)
	return b.String()
}

// json is the same for programs. It always lists the checks.
func (r report) json() string {
	type check struct {
		Name   string `json:"name"`
		Status string `json:"status"`
		Reason string `json:"reason,omitempty"`
	}
	answer := struct {
		Status string  `json:"status"`
		Checks []check `json:"checks"`
	}{Status: "ok"}
	for _, c := range r.all() {
		switch {
		case c.excluded:
			answer.Checks = append(answer.Checks, check{c.name, "excluded", ""})
		case c.err != nil:
			answer.Status = "failed"
			answer.Checks = append(answer.Checks, check{c.name, "failed", oneLine(c.err.Error())})
		default:
			answer.Checks = append(answer.Checks, check{c.name, "ok", ""})
		}
	}
	b, err := json.Marshal(answer)
	if err != nil {
		panic(err) // a struct of strings always marshals
	}
	return string(b) + "\n"
}
