package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestReport(t *testing.T) {
	for _, c := range []struct {
		err  error
		code int
		text string
	}{
		{nil, exitDone, ""},
		{errors.New("no luck"), exitFailed, "handover: error: no luck\n"},
		{fmt.Errorf("demo: %w", errors.ErrUnsupported), exitImpossible,
			"handover: error: demo: unsupported operation\nhint: only Linux can do this; in a container of it, or on a server\n"},
		{&exitError{code: exitUsage, err: errors.New("what?"), hint: "this"}, exitUsage, "handover: error: what?\nhint: this\n"},
		{errInterrupted, exitInterrupted, "handover: error: interrupted\n"},
	} {
		var b strings.Builder
		if code := report(&b, c.err); code != c.code || b.String() != c.text {
			t.Errorf("%v: got %d and %q, want %d and %q", c.err, code, b.String(), c.code, c.text)
		}
	}
}
