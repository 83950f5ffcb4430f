package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/gohandover/handover/docs/examples/internal/proctest"
)

// TestUnreadyVersion starts a version that is never ready, and then one that
// is, beside a running one under load.
func TestUnreadyVersion(t *testing.T) {
	t.Setenv("HANDOVER_START_TIMEOUT", "1s")
	addr, missing := proctest.Address(t), filepath.Join(t.TempDir(), "missing")
	v1 := proctest.StartActive(t, proctest.Build(t), "-addr", addr)
	next := proctest.Build(t, "main.version=v2")
	load := proctest.StartHTTPLoad(t, addr, "/")
	load.WaitFor("v1")

	unready := proctest.Start(t, next, "-addr", addr, "-templates", missing)
	unready.ExitsWith(1)
	for _, want := range []string{"the running version was not touched", "[-]templates failed: open " + missing} {
		if !strings.Contains(unready.Output(), want) {
			t.Errorf("the unready version does not say %q", want)
		}
	}
	if got := load.Count("v2"); got > 0 {
		t.Errorf("the unready version got %d requests", got)
	}

	proctest.StartActive(t, next, "-addr", addr)
	load.WaitFor("v2")
	v1.ExitsWith(0)
	load.Stop("v1", "v2")
}
