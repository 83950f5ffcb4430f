package health_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/gohandover/handover/health"
)

func get(t testing.TB, h http.Handler, method, target, accept string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, target, nil)
	if accept != "" {
		r.Header.Set("Accept", accept)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestHandlerAnswers(t *testing.T) {
	healthy := newHealth(t, health.Options{Checks: []health.Check{{Name: "db", Func: pass}, {Name: "cache", Func: pass}}})
	failing := newHealth(t, health.Options{Checks: []health.Check{
		{Name: "db", Func: pass},
		{Name: "cache", Func: func(context.Context) error { return errors.New("dial:\n\x1b[31mconnection refused") }},
	}})
	secretive := newHealth(t, health.Options{WithholdReasons: true, Checks: []health.Check{{Name: "db", Func: refuse}}})
	starting := newHealth(t, health.Options{Starting: true, Checks: []health.Check{{Name: "db", Func: pass}}})
	draining := newHealth(t, health.Options{WithholdReasons: true, Checks: []health.Check{{Name: "db", Func: pass}}})
	draining.SetDraining(true)

	for _, test := range []struct {
		health *health.Health
		target string
		status int
		body   string
	}{
		{healthy, "/livez", 200, "ok\n"},
		{healthy, "/livez?verbose", 200, "[+]ping ok\nlivez check passed\n"},
		{healthy, "/readyz", 200, "ok\n"},
		{healthy, "/healthz", 200, "ok\n"},
		{healthy, "/readyz?verbose", 200, "[+]serving ok\n[+]db ok\n[+]cache ok\nreadyz check passed\n"},
		{healthy, "/healthz?verbose", 200, "[+]serving ok\n[+]db ok\n[+]cache ok\nhealthz check passed\n"},
		{failing, "/livez", 200, "ok\n"},
		{failing, "/readyz", 503, "[+]serving ok\n[+]db ok\n[-]cache failed: dial:; [31mconnection refused\nreadyz check failed\n"},
		{failing, "/readyz?exclude=cache", 200, "ok\n"},
		{failing, "/readyz?verbose&exclude=cache&exclude=db", 200,
			"[+]serving ok\n[+]db excluded: ok\n[+]cache excluded: ok\nreadyz check passed\n"},
		{healthy, "/readyz?verbose&exclude=cahce", 200,
			"[+]serving ok\n[+]db ok\n[+]cache ok\nwarn: no such check to exclude: [\"cahce\"]\nreadyz check passed\n"},
		{secretive, "/readyz", 503, "[+]serving ok\n[-]db failed: reason withheld\nreadyz check failed\n"},
		{starting, "/readyz", 503, "[-]serving failed: starting\nreadyz check failed\n"},
		{starting, "/livez", 200, "ok\n"},
		{draining, "/readyz", 503, "[-]serving failed: draining\nreadyz check failed\n"},
		{draining, "/readyz?exclude=serving", 503,
			"[-]serving failed: draining\nwarn: no such check to exclude: [\"serving\"]\nreadyz check failed\n"},
		{draining, "/livez", 200, "ok\n"},
		{healthy, "/other", 404, "404 page not found\n"},
	} {
		w := get(t, test.health.Handler(), "GET", test.target, "")
		if w.Code != test.status || w.Body.String() != test.body {
			t.Errorf("GET %s:\n got %d %q\nwant %d %q", test.target, w.Code, w.Body, test.status, test.body)
		}
	}
}

func TestHandlerAnswersInJSON(t *testing.T) {
	h := newHealth(t, health.Options{Checks: []health.Check{{Name: "db", Func: refuse}, {Name: "cache", Func: pass}, {Name: "disk", Func: pass}}})
	const want = `{"status":"failed","checks":[{"name":"serving","status":"ok"},{"name":"db","status":"failed","reason":"connection refused"},` +
		`{"name":"cache","status":"excluded"},{"name":"disk","status":"ok"}]}` + "\n"
	w := get(t, h.Handler(), "GET", "/readyz?exclude=cache", "text/html, application/json;q=0.9")
	if w.Code != 503 || w.Body.String() != want || w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("got %d %s %q", w.Code, w.Body, w.Header())
	}
	for _, accept := range []string{"", "*/*", "text/plain", "application/json;q=0", "application/jsonp"} {
		if w := get(t, h.Handler(), "GET", "/readyz", accept); strings.HasPrefix(w.Body.String(), "{") {
			t.Errorf("Accept: %s got JSON", accept)
		}
	}
}

func TestHandlerHeaders(t *testing.T) {
	h := newHealth(t, health.Options{})
	for _, target := range []string{"/livez", "/readyz"} {
		header := get(t, h.Handler(), "GET", target, "").Header()
		if header.Get("Cache-Control") != "no-store" || header.Get("Content-Type") != "text/plain; charset=utf-8" {
			t.Errorf("%s: %v", target, header)
		}
		w := get(t, h.Handler(), "POST", target, "")
		if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, HEAD" {
			t.Errorf("POST %s: %d %v", target, w.Code, w.Header())
		}
	}
}

func TestHandlerHEAD(t *testing.T) {
	h := newHealth(t, health.Options{Checks: []health.Check{{Name: "db", Func: refuse}}})
	server := httptest.NewServer(h.Handler())
	defer server.Close()
	for target, want := range map[string]int{"/livez": 200, "/readyz": 503} {
		resp, err := server.Client().Head(server.URL + target)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		body := get(t, h.Handler(), "GET", target, "").Body
		if resp.StatusCode != want || resp.Header.Get("Content-Length") != strconv.Itoa(body.Len()) {
			t.Errorf("HEAD %s: %d %v", target, resp.StatusCode, resp.Header)
		}
	}
}
