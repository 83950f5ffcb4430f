// SSE: event streams are told that their version drains, end with an event,
// and are resumed by the next version where they ended.
package main

import (
	"flag"
	"fmt"
	"log"
	"net/http"
	"strconv"
	"time"

	"github.com/gohandover/handover"
)

var version = "v1" // go build -ldflags "-X main.version=v2"

func main() {
	addr := flag.String("addr", ":8080", "address to listen on")
	flag.Parse()
	http.HandleFunc("GET /events", events)
	if err := handover.ListenAndServe(*addr, nil); err != nil {
		log.Fatal(err)
	}
}

// events counts. Without the case for Draining the stream would go on until
// the drain's deadline cuts it.
func events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	out := http.NewResponseController(w)
	last, _ := strconv.Atoi(r.Header.Get("Last-Event-ID")) // 0 for a new client

	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			last++
			fmt.Fprintf(w, "id: %d\ndata: %s\n\n", last, version)
			if err := out.Flush(); err != nil {
				return
			}
		case <-handover.Draining(r.Context()):
			fmt.Fprint(w, "event: bye\nretry: 0\ndata: reconnect\n\n")
			return
		case <-r.Context().Done():
			return
		}
	}
}
