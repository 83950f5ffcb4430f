package control

import (
	"strings"
	"testing"
	"time"
)

func TestLateSubscriberGetsTheLast256(t *testing.T) {
	var hub Events
	for range 300 {
		hub.Publish(Event{Type: "x"})
	}
	sub := hub.Subscribe()
	defer sub.Close()
	if n := len(sub.Recent); n != 256 || sub.Recent[0].Seq != 45 || sub.Recent[255].Seq != 300 {
		t.Errorf("%d recent events, first %d", n, sub.Recent[0].Seq)
	}
	if sub.Recent[0].Time.IsZero() {
		t.Error("no time was set")
	}
	at := time.Unix(1, 0)
	hub.Publish(Event{Type: "y", Time: at})
	if ev := <-sub.C(); ev.Seq != 301 || !ev.Time.Equal(at) {
		t.Errorf("live event %+v", ev)
	}
}

func TestSlowSubscriberIsDropped(t *testing.T) {
	var hub Events
	slow, quick := hub.Subscribe(), hub.Subscribe()
	defer quick.Close()
	for i := range queueSize + 1 {
		hub.Publish(Event{Type: "x"})
		if ev := <-quick.C(); ev.Seq != uint64(i+1) {
			t.Fatalf("event %d came as number %d", i+1, ev.Seq)
		}
	}
	n := 0
	for range slow.C() {
		n++
	}
	if n != queueSize {
		t.Errorf("slow subscriber got %d events before it was dropped, want %d", n, queueSize)
	}
	slow.Close()
	slow.Close()
	hub.Publish(Event{Type: "x"})
	if ev, ok := <-quick.C(); !ok || ev.Seq != queueSize+2 {
		t.Errorf("quick subscriber got %+v, %v", ev, ok)
	}
}

func TestNilHubDiscards(t *testing.T) {
	var hub *Events
	hub.Publish(Event{Type: "x"})
	sub := hub.Subscribe()
	if len(sub.Recent) != 0 {
		t.Errorf("recent: %v", sub.Recent)
	}
	sub.Close()
}

func TestEventLinesAreBounded(t *testing.T) {
	for name, ev := range map[string]Event{
		"long message": {Seq: 7, Time: time.Unix(1, 0), Type: strings.Repeat("\x01", maxEvent), Message: strings.Repeat("\x01", maxEvent), Instance: strings.Repeat("\x01", maxEvent)},
		"long attrs":   {Seq: 7, Type: "x", Attrs: map[string]string{"a": strings.Repeat("x", maxEvent)}},
		"no JSON time": {Seq: 7, Type: "x", Time: time.Date(10001, 1, 1, 0, 0, 0, 0, time.UTC)},
	} {
		line := string(eventLine(ev))
		if len(line) > maxEvent || !strings.HasPrefix(line, `{"seq":7,`) || strings.Count(line, "\n") != 1 {
			t.Errorf("%s: line of %d bytes: %.80q", name, len(line), line)
		}
	}
}
