package main

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/gohandover/handover/internal/control"
)

// TestStatusShowsDeafAgents opens a control socket at which nobody answers.
func TestStatusShowsDeafAgents(t *testing.T) {
	service := "test-" + control.NewInstance()
	server, err := control.Listen(service, control.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	var out bytes.Buffer
	if err := runStatus(t.Context(), streams{out: &out, err: io.Discard}, service, false); err != nil {
		t.Fatal(err)
	}
	if line := strings.Split(out.String(), "\n")[1]; !strings.HasPrefix(line, service) || !strings.Contains(line, " deaf ") {
		t.Errorf("got\n%s", out.String())
	}
	out.Reset()
	if err := runStatus(t.Context(), streams{out: &out, err: io.Discard}, service, true); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"error": "`, `"socket": "` + server.Peer().Name} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %s in\n%s", want, out.String())
		}
	}
}
