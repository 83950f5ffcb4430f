package main

import (
	"testing"

	"github.com/gohandover/handover/docs/examples/internal/proctest"
)

// TestReplace replaces the server under keep-alive and new connections.
func TestReplace(t *testing.T) {
	t.Parallel()
	addr := proctest.Address(t)
	v1 := proctest.StartActive(t, proctest.Build(t), "-addr", addr)
	next := proctest.Build(t, "main.version=v2")
	load := proctest.StartHTTPLoad(t, addr, "/")
	load.WaitFor("v1")

	proctest.StartActive(t, next, "-addr", addr)
	load.WaitFor("v2")
	v1.ExitsWith(0)
	load.Stop("v1", "v2")
}
