package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"
)

const (
	pathPrefix = "/v1/"
	maxHeader  = 8 << 10
	maxBody    = 64 << 10
)

// verb is one request that the server answers.
type verb struct {
	method string
	serve  http.HandlerFunc
}

// empty is the request or the reply of a verb that says nothing.
type empty struct{}

// handler dispatches by path. It is not a ServeMux because every refusal is
// JSON with a code, also that of a path or a method nobody knows.
func (s *Server) handler(agent Agent) http.Handler {
	verbs := s.verbs(agent)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, ok := strings.CutPrefix(r.URL.Path, pathPrefix)
		v, known := verbs[name]
		if r.ContentLength != 0 {
			// Where a handler leaves a body unread, net/http reads it after the
			// answer, and would wait for a peer that never sends it.
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(s.limits.body))
		}
		switch {
		case !ok || !known:
			s.fail(w, http.StatusNotFound, &Error{
				Message: fmt.Sprintf("no such request: %.64q", r.URL.Path),
				Code:    CodeUnsupported,
				Hint:    fmt.Sprintf("this agent speaks protocol version %d; its verbs are in %sstatus", Protocol, pathPrefix),
			})
		case r.Method != v.method:
			w.Header().Set("Allow", v.method)
			s.fail(w, http.StatusMethodNotAllowed, &Error{
				Message: fmt.Sprintf("%s is asked with %s, not %.16s", name, v.method, r.Method),
				Code:    CodeBadRequest,
			})
		case r.Method == http.MethodGet && r.ContentLength != 0:
			s.failCode(w, CodeBadRequest, name+" takes no body")
		default:
			v.serve(w, r)
		}
	})
}

func (s *Server) verbs(agent Agent) map[string]verb {
	verbs := make(map[string]verb)
	for name, h := range s.extra {
		verbs[name] = verb{http.MethodGet, s.serveExtra(h)}
	}
	verbs[VerbEvents] = verb{http.MethodGet, s.stream}
	verbs[VerbHold] = verb{http.MethodPost, serveCall(s, func(ctx context.Context, _ empty) (empty, error) {
		return empty{}, agent.Hold(ctx)
	})}
	verbs[VerbPark] = verb{http.MethodPost, serveCall(s, func(ctx context.Context, req ParkRequest) (empty, error) {
		return empty{}, agent.Park(ctx, req)
	})}
	verbs[VerbResume] = verb{http.MethodPost, serveCall(s, func(ctx context.Context, _ empty) (empty, error) {
		return empty{}, agent.Resume(ctx)
	})}
	verbs[VerbDrain] = verb{http.MethodPost, serveCall(s, agent.Drain)}
	verbs[VerbStop] = verb{http.MethodPost, serveCall(s, func(ctx context.Context, _ empty) (empty, error) {
		return empty{}, agent.Stop(ctx)
	})}
	names := slices.Sorted(maps.Keys(verbs))
	names = slices.Insert(names, 0, VerbStatus)
	verbs[VerbStatus] = verb{http.MethodGet, func(w http.ResponseWriter, _ *http.Request) {
		s.reply(w, http.StatusOK, s.complete(agent.Status(), names))
	}}
	return verbs
}

// complete fills in what the server knows better than the agent.
func (s *Server) complete(st Status, verbs []string) Status {
	st.Protocol, st.Verbs = Protocol, verbs
	st.Service, st.Instance, st.UID = s.peer.Service, s.peer.Instance, os.Geteuid()
	if st.PID == 0 {
		st.PID = os.Getpid()
	}
	return st
}

// serveExtra puts a foreign handler under the limits of a call.
func (s *Server) serveExtra(h http.Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !acquire(s.calls) {
			s.failCode(w, CodeBusy, "too many calls at a time")
			return
		}
		defer release(s.calls)
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(s.limits.write))
		h.ServeHTTP(w, r)
	}
}

// serveCall answers a verb by do, with the request's context: it ends when the
// peer goes away.
func serveCall[Req, Reply any](s *Server, do func(context.Context, Req) (Reply, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !acquire(s.calls) {
			s.failCode(w, CodeBusy, "too many calls at a time")
			return
		}
		defer release(s.calls)
		var req Req
		if err := s.readBody(w, r, &req); err != nil {
			s.fail(w, codes[err.Code].status, err)
			return
		}
		reply, err := do(r.Context(), req)
		if err != nil {
			e := wireError(r.Context(), err)
			s.fail(w, codes[e.Code].status, e)
			return
		}
		s.reply(w, http.StatusOK, reply)
	}
}

// readBody decodes a request. It reads to the end also of an empty body:
// net/http looks out for the peer's going away only after that.
func (s *Server) readBody(w http.ResponseWriter, r *http.Request, req any) *Error {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return &Error{Message: fmt.Sprintf("request is longer than %d bytes", maxBody), Code: CodeTooLarge}
	}
	if err == nil {
		// net/http does this too where it begins to look out, and does not
		// promise it; a deadline left over would end the call.
		err = http.NewResponseController(w).SetReadDeadline(time.Time{})
	}
	if err == nil {
		err = decode(body, req)
	}
	if err != nil {
		return &Error{Message: "read request: " + err.Error(), Code: CodeBadRequest}
	}
	return nil
}

// decode reads one JSON object. Fields it does not know come from a newer peer
// and are ignored; a missing body is one with all fields missing.
func decode(body []byte, into any) error {
	if body = bytes.TrimSpace(body); len(body) == 0 {
		return nil
	}
	if body[0] != '{' {
		return errors.New("not a JSON object")
	}
	return json.Unmarshal(body, into)
}

// reply sends v. A peer that does not take it is cut off.
func (s *Server) reply(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		status = http.StatusInternalServerError
		body = []byte(`{"error":"the answer cannot be written as JSON","code":"` + CodeFailed + `"}`)
	}
	// The connection is gone where this fails, and then so does the write.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(s.limits.write))
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
}

func (s *Server) fail(w http.ResponseWriter, status int, e *Error) {
	if status == 0 {
		status = http.StatusInternalServerError
	}
	s.reply(w, status, e)
}

func (s *Server) failCode(w http.ResponseWriter, code, message string) {
	s.fail(w, codes[code].status, &Error{Message: message, Code: code})
}

// acquire takes a place if there is one.
func acquire(places chan struct{}) bool {
	select {
	case places <- struct{}{}:
		return true
	default:
		return false
	}
}

func release(places chan struct{}) { <-places }
