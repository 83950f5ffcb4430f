package health

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

var errWithheld = errors.New("reason withheld")

// LiveHandler answers 200 as long as the process can answer at all, also while it starts or drains. It runs no checks:
// failing it makes an orchestrator kill the process, and a database that is away is no reason for that.
func (h *Health) LiveHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !allowed(w, r) {
			return
		}
		text := "ok\n"
		if r.URL.Query().Has("verbose") {
			text = "[+]ping ok\nlivez check passed\n"
		}
		answer(w, http.StatusOK, "text/plain; charset=utf-8", text)
	})
}

// ReadyHandler answers 200 if the server is ready and 503 if it is not. The body is "ok", or the list of checks in the style of
// Kubernetes where ?verbose asks for it or something failed; as JSON where the Accept header names application/json.
// ?exclude=NAME, which may be repeated, leaves a check out; starting and draining cannot be left out. No answer may be
// cached. Methods other than GET and HEAD get 405.
func (h *Health) ReadyHandler() http.Handler { return h.readyHandler("readyz") }

// Handler serves [Health.LiveHandler] at /livez and [Health.ReadyHandler] at /readyz and, for those used to it, /healthz.
func (h *Health) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/livez", h.LiveHandler())
	mux.Handle("/readyz", h.ReadyHandler())
	mux.Handle("/healthz", h.readyHandler("healthz"))
	return mux
}

func (h *Health) readyHandler(endpoint string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !allowed(w, r) {
			return
		}
		query := r.URL.Query()
		excluded := make(map[string]bool)
		for _, name := range query["exclude"] {
			excluded[name] = true
		}
		report := h.examine(r.Context(), excluded)
		report.unknown = h.unknown(query["exclude"])
		if h.withhold {
			report.withhold()
		}
		status := http.StatusOK
		if !report.ok() {
			status = http.StatusServiceUnavailable
		}
		w.Header().Set("Vary", "Accept")
		if acceptsJSON(r.Header) {
			answer(w, status, "application/json", report.json())
			return
		}
		answer(w, status, "text/plain; charset=utf-8", report.text(endpoint, query.Has("verbose")))
	})
}

// unknown returns those of names that are no checks.
func (h *Health) unknown(names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		return slices.ContainsFunc(h.checks, func(c *runningCheck) bool { return c.name == name })
	})
}

func allowed(w http.ResponseWriter, r *http.Request) bool {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return true
	}
	w.Header().Set("Allow", "GET, HEAD")
	answer(w, http.StatusMethodNotAllowed, "text/plain; charset=utf-8", "method not allowed\n")
	return false
}

func answer(w http.ResponseWriter, status int, contentType, body string) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(body))) // stated, so that HEAD gets it too
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body) // fails only if the client has left
}

func acceptsJSON(h http.Header) bool {
	for _, value := range h.Values("Accept") {
		for part := range strings.SplitSeq(value, ",") {
			media, params, err := mime.ParseMediaType(part)
			if err != nil || media != "application/json" {
				continue
			}
			if q, err := strconv.ParseFloat(params["q"], 64); err != nil || q > 0 {
				return true
			}
		}
	}
	return false
}
