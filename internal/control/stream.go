package control

import (
	"encoding/json"
	"net/http"
	"time"
)

// maxEvent is the longest line of a stream of events.
const maxEvent = 64 << 10

// stream sends the recent events and then those that come, a line each, until
// the peer or the server goes. A peer that does not keep up is cut off in a
// way it can tell from the end: the last chunk is missing.
func (s *Server) stream(w http.ResponseWriter, r *http.Request) {
	if !acquire(s.streams) {
		s.failCode(w, CodeBusy, "too many readers of events")
		return
	}
	defer release(s.streams)
	sub := s.events.Subscribe()
	defer sub.Close()
	w.Header().Set("Content-Type", "application/jsonl")
	if s.send(w, sub.Recent...) != nil {
		return
	}
	for {
		select {
		case <-r.Context().Done():
			return
		case ev, ok := <-sub.C():
			if !ok || s.send(w, ev) != nil {
				panic(http.ErrAbortHandler)
			}
		}
	}
}

// send writes events and flushes, within the time a reader is given.
func (s *Server) send(w http.ResponseWriter, events ...Event) error {
	rc := http.NewResponseController(w)
	if err := rc.SetWriteDeadline(time.Now().Add(s.limits.write)); err != nil {
		return err
	}
	for _, ev := range events {
		if ev.Instance == "" {
			ev.Instance = s.peer.Instance
		}
		if _, err := w.Write(eventLine(ev)); err != nil {
			return err
		}
	}
	return rc.Flush()
}

// eventLine is ev as JSON with a newline. One that is too long or cannot be
// written loses its attributes, and keeps that it happened.
func eventLine(ev Event) []byte {
	line, err := json.Marshal(ev)
	if err != nil || len(line) >= maxEvent {
		short := Event{Seq: ev.Seq, Generation: ev.Generation, Instance: truncate(ev.Instance),
			Type: truncate(ev.Type), Message: truncate(ev.Message)}
		if err == nil {
			short.Time = ev.Time
		}
		line, _ = json.Marshal(short)
	}
	return append(line, '\n')
}

// truncate keeps what is sure to fit, however JSON escapes it.
func truncate(s string) string { return s[:min(len(s), maxEvent/32)] }
