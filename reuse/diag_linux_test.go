package reuse

import (
	"testing"

	"golang.org/x/sys/unix"
)

func FuzzParseDiag(f *testing.F) {
	f.Add(make([]byte, diagMessageLen))
	f.Add(append(make([]byte, diagMessageLen), 5, 0, attrV6Only, 0, 1, 0, 0, 0))
	f.Add(append(make([]byte, diagMessageLen), 3, 0, 0, 0))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseDiag(b)
		if err == nil && !r.local.Addr().IsValid() {
			t.Errorf("no address in %+v", r)
		}
	})
}

func TestParseDiagReadsTheV6OnlyAttribute(t *testing.T) {
	b := make([]byte, diagMessageLen)
	b[0] = unix.AF_INET6
	r, err := parseDiag(append(b, 5, 0, attrV6Only, 0, 1, 0, 0, 0))
	if err != nil || !r.v6only {
		t.Fatalf("%+v, %v", r, err)
	}
	if _, err := parseDiag(b[:diagMessageLen-1]); err == nil {
		t.Error("a short message was read")
	}
}
