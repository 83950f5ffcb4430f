package proctest

import (
	"testing"

	"github.com/gohandover/handover/reuse"
)

// Address returns an address on the loopback interface that no other process
// gets while the test runs: its port is bound, and nobody listens on it.
func Address(t testing.TB) string {
	t.Helper()
	s, err := reuse.Config{}.Bind(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s.Addr().String()
}
