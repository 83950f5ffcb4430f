package load

import (
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Path is the prefix of every path that the clients ask for: where to mount a [Handler] beside others.
const Path = "/load/"

// VersionHeader is the response header in which a [Handler] names its version.
const VersionHeader = "X-Version"

const (
	getPath    = Path + "get"
	echoPath   = Path + "echo"
	streamPath = Path + "stream"

	maxSize = 64 << 10           // of the body of an answer
	maxEcho = uploadChunks << 16 // of a body that is echoed
	maxWait = time.Minute        // that a client may ask for
)

// Handler returns the server's side of all patterns. Its answers name version, the part of the version that fits in 64 bytes,
// in the header X-Version. It may be used by several servers at once.
func Handler(version string) http.Handler {
	version = version[:min(len(version), maxVersion)]
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+getPath, serveGet)
	mux.HandleFunc("POST "+echoPath, serveEcho)
	mux.HandleFunc("GET "+streamPath, serveStream)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(VersionHeader, version)
		mux.ServeHTTP(w, r)
	})
}

// serveGet answers with the body asked for, after the wait asked for.
func serveGet(w http.ResponseWriter, r *http.Request) {
	body, wait, ok := asked(r.URL)
	if !ok {
		http.Error(w, "bad query", http.StatusBadRequest)
		return
	}
	if wait > 0 && !sleep(r, wait) {
		return
	}
	write(w, body)
}

// serveStream answers with the body asked for, in parts spread over the wait asked for.
func serveStream(w http.ResponseWriter, r *http.Request) {
	body, wait, ok := asked(r.URL)
	if !ok {
		http.Error(w, "bad query", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	flush := http.NewResponseController(w).Flush
	for i := range streamParts {
		if i > 0 && !sleep(r, wait/(streamParts-1)) {
			return
		}
		part := body[i*len(body)/streamParts : (i+1)*len(body)/streamParts]
		if _, err := w.Write(part); err != nil || flush() != nil {
			return
		}
	}
}

// serveEcho answers with the body of the request.
func serveEcho(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxEcho))
	if err != nil {
		http.Error(w, "read the body: "+err.Error(), http.StatusBadRequest)
		return
	}
	write(w, body)
}

func write(w http.ResponseWriter, body []byte) {
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	// An error means that the client is gone, and nobody is left to tell.
	_, _ = w.Write(body)
}

// asked returns the body and the wait that a URL asks for.
func asked(u *url.URL) (body []byte, wait time.Duration, ok bool) {
	query := u.Query()
	token, err := strconv.ParseUint(query.Get("token"), 16, 64)
	if err != nil {
		return nil, 0, false
	}
	size, err := strconv.Atoi(query.Get("size"))
	if err != nil || size < 0 || size > maxSize {
		return nil, 0, false
	}
	ms, err := strconv.ParseUint(query.Get("ms"), 10, 32)
	wait = time.Duration(ms) * time.Millisecond
	if err != nil || wait > maxWait {
		return nil, 0, false
	}
	return appendBody(make([]byte, 0, size), token, size), wait, true
}

// sleep waits for d, and reports false if the client went away meanwhile.
func sleep(r *http.Request, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.Context().Done():
		return false
	}
}
