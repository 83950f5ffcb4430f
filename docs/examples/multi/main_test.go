package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/gohandover/handover/docs/examples/internal/proctest"
)

// TestReplaceAll replaces three servers at once under load, after a version
// whose warm-up failed.
func TestReplaceAll(t *testing.T) {
	addrs := map[string]string{
		"public": proctest.Address(t),
		"api":    proctest.Address(t),
		"admin":  proctest.Address(t),
	}
	args := []string{"-public", addrs["public"], "-api", addrs["api"], "-admin", addrs["admin"]}
	v1 := proctest.StartActive(t, proctest.Build(t), args...)
	next := proctest.Build(t, "main.version=v2")

	loads := make(map[string]*proctest.Load)
	for name, addr := range addrs {
		loads[name] = proctest.StartHTTPLoad(t, addr, "/")
		loads[name].WaitFor(name + " v1")
	}

	missing := filepath.Join(t.TempDir(), "missing")
	broken := proctest.Start(t, next, append(args, "-config", missing)...)
	broken.ExitsWith(1)
	if want := "the running version was not touched): stat " + missing; !strings.Contains(broken.Output(), want) {
		t.Errorf("the broken version does not say %q", want)
	}
	for name, load := range loads {
		if n := load.Count(name + " v2"); n > 0 {
			t.Errorf("%s: the broken version got %d requests", name, n)
		}
	}

	proctest.StartActive(t, next, args...)
	for name, load := range loads {
		load.WaitFor(name + " v2")
	}
	v1.ExitsWith(0)
	for name, load := range loads {
		load.Stop(name+" v1", name+" v2")
	}
}
