package demo

import (
	"bufio"
	"encoding/json"
	"io"
	"time"

	"github.com/gohandover/handover"
)

// What a server tells its parent, in the order of a life that goes well.
const (
	saidStarting = "starting" // it has looked at the addresses, and will listen
	saidCutover  = "cutover"  // new connections come to it
	saidReady    = "ready"    // it serves, alone where it was handed over to
	saidDrained  = "drained"  // all that it had begun has ended
	saidFailed   = "failed"
)

// message is one line on a server's standard output.
type message struct {
	Said     string        `json:"said"`
	Time     time.Time     `json:"time"`
	Address  string        `json:"address,omitempty"`
	Cutover  time.Duration `json:"cutover,omitempty"`
	Flush    time.Duration `json:"flush,omitempty"`
	Flushed  int           `json:"flushed,omitempty"`
	Warnings []string      `json:"warnings,omitempty"`
	Error    string        `json:"error,omitempty"`
}

// say returns a message with what info knows.
func say(what string, info handover.Info) message {
	m := message{
		Said: what, Time: time.Now(),
		Cutover: info.Cutover, Flush: info.Flush, Flushed: info.Flushed, Warnings: info.Warnings,
	}
	if len(info.Addresses) > 0 {
		m.Address = info.Addresses[0].String()
	}
	return m
}

// maxMessage bounds one line of a server's output.
const maxMessage = 64 << 10

// hear calls f with each message in r, until r ends. Other lines are passed over.
func hear(r io.Reader, f func(message)) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxMessage)
	for lines.Scan() {
		var m message
		if json.Unmarshal(lines.Bytes(), &m) == nil && m.Said != "" {
			f(m)
		}
	}
}
