package drain

import (
	"io"
	"net/http"
	"testing"
)

// TestForceNeverPassesForAnAnswer cuts handlers that return when their context
// ends, as they should: net/http takes that for an answer that is complete.
func TestForceNeverPassesForAnAnswer(t *testing.T) {
	for name, begin := range map[string]func(w http.ResponseWriter){
		"no byte written":  func(http.ResponseWriter) {},
		"half a stream":    func(w http.ResponseWriter) { io.WriteString(w, "half"); w.(http.Flusher).Flush() },
		"only the headers": func(w http.ResponseWriter) { w.WriteHeader(http.StatusAccepted); w.(http.Flusher).Flush() },
	} {
		t.Run(name, func(t *testing.T) {
			begun := make(chan struct{})
			s := newSite(t, Options{}, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				begin(w)
				close(begun)
				<-r.Context().Done()
			})})
			c := s.dial()
			c.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n")
			<-begun
			ended := s.drain()
			s.d.Force()
			if res := wait(t, ended); res.report.Forced.Active != 1 {
				t.Errorf("forced %v", res.report.Forced)
			}
			resp, err := http.ReadResponse(c.r, nil)
			if err != nil {
				return
			}
			if body, err := io.ReadAll(resp.Body); err == nil {
				t.Errorf("the client was given a whole answer: %s, %q", resp.Status, body)
			}
		})
	}
}

func TestDefaultFillsOnlyWhatWasLeftOpen(t *testing.T) {
	d := New(Options{Timeout: 7})
	d.Default(Options{Timeout: 1, IdleGrace: 2})
	if d.opts.Timeout != 7 || d.opts.IdleGrace != 2 || d.opts.CleanupTimeout != defaultCleanupTimeout {
		t.Errorf("options: %+v", d.opts)
	}
}
