package load

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestHandlerRefusesWhatNoClientAsks(t *testing.T) {
	handler := Handler(strings.Repeat("v", 100))
	for _, tt := range []struct {
		method, target string
		body           string
		want           int
	}{
		{"GET", "/load/get?token=1f&size=3&ms=0", "", http.StatusOK},
		{"GET", "/load/get?token=xyz&size=3&ms=0", "", http.StatusBadRequest},
		{"GET", "/load/get?token=1f&size=-1&ms=0", "", http.StatusBadRequest},
		{"GET", "/load/get?token=1f&size=99999999&ms=0", "", http.StatusBadRequest},
		{"GET", "/load/stream?token=1f&size=3&ms=60001", "", http.StatusBadRequest},
		{"GET", "/load/stream?token=1f&size=3&ms=0", "", http.StatusOK},
		{"POST", "/load/echo", "hello", http.StatusOK},
		{"POST", "/load/echo", strings.Repeat("x", maxEcho+1), http.StatusBadRequest},
		{"GET", "/elsewhere", "", http.StatusNotFound},
	} {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(tt.method, tt.target, strings.NewReader(tt.body)))
		if w.Code != tt.want {
			t.Errorf("%s %s: status %d, want %d", tt.method, tt.target, w.Code, tt.want)
		}
		if got := w.Header().Get(VersionHeader); got != strings.Repeat("v", maxVersion) {
			t.Errorf("%s %s: version %q", tt.method, tt.target, got)
		}
	}
}
