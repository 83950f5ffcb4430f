package health_test

import (
	"testing"

	"github.com/gohandover/handover/health"
)

func TestTCPProbe(t *testing.T) {
	l := listen(t)
	p := health.TCPProbe{Address: l.Addr().String()}
	if err := p.Probe(t.Context()); err != nil {
		t.Error(err)
	}
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("the probe sent %d bytes and did not hang up", n)
	}
	_ = c.Close()
	address := closedPort(t)
	wantErrorContains(t, health.TCPProbe{Address: address}.Probe(t.Context()), "dial tcp "+address)
}

func TestWithDial(t *testing.T) {
	dial := &countingDial{to: listen(t).Addr().String()}
	original := health.TCPProbe{Address: "10.1.2.3:80"}
	for _, p := range []health.Probe{original, &original} {
		if err := health.WithDial(p, dial.dial).Probe(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if dial.calls.Load() != 2 || dial.asked.Load() != "10.1.2.3:80" || original.Dial != nil {
		t.Errorf("%d dials to %v, or the original was changed", dial.calls.Load(), dial.asked.Load())
	}
	if p := health.WithDial(health.FuncProbe{Name: "db"}, dial.dial); p.String() != "db" {
		t.Errorf("a probe without a network became %v", p)
	}
}
