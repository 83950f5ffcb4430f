package main

import (
	"testing"

	"github.com/gohandover/handover/docs/examples/internal/proctest"
)

// TestReplaceWhileAnswering replaces the binary while /ping sleeps.
func TestReplaceWhileAnswering(t *testing.T) {
	t.Parallel()
	addr := proctest.Address(t)
	v1 := proctest.StartActive(t, proctest.Build(t), "-addr", addr)
	next := proctest.Build(t, "main.answer=pong1")

	inFlight := proctest.Begin(t, addr, "/ping")
	v2 := proctest.StartActive(t, next, "-addr", addr)
	if !v1.Running() {
		t.Error("v1 has exited with a request in flight")
	}
	after := proctest.Begin(t, addr, "/ping")

	if got := <-inFlight; got.Err != nil || got.Body != "pong" {
		t.Errorf("in flight while the binary was replaced: %q, %v, want pong", got.Body, got.Err)
	}
	v1.ExitsWith(0)
	if got := <-after; got.Err != nil || got.Body != "pong1" {
		t.Errorf("next request: %q, %v, want pong1", got.Body, got.Err)
	}
	if !v2.Running() {
		t.Error("v2 has exited")
	}
}
