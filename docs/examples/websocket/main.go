// WebSocket: the message in hand is answered, then each connection is closed
// with code 1001, going away, and its client comes back to the next version.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net/http"
	"time"

	"github.com/coder/websocket"
	"github.com/gohandover/handover"
)

var version = "v1" // go build -ldflags "-X main.version=v2"

func main() {
	addr := flag.String("addr", ":8080", "address to listen on")
	flag.Parse()
	http.HandleFunc("/chat", chat)
	if err := handover.ListenAndServe(*addr, nil); err != nil {
		log.Fatal(err)
	}
}

// chat answers messages until the client goes or the version drains.
func chat(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Accept(w, r, nil)
	if err != nil {
		return // Accept has answered
	}
	defer c.CloseNow()
	// The request's context ends when this function returns, so the reader does.
	messages := receive(r.Context(), c)
	for {
		select {
		case m, ok := <-messages:
			if !ok {
				return
			}
			if err := c.Write(r.Context(), websocket.MessageText, answer(m)); err != nil {
				return
			}
		case <-handover.Draining(r.Context()):
			c.Close(websocket.StatusGoingAway, "a new version has taken over")
			return
		}
	}
}

// receive reads messages in the background. The channel is closed when the
// connection is, or when ctx ends.
func receive(ctx context.Context, c *websocket.Conn) <-chan []byte {
	messages := make(chan []byte)
	go func() {
		defer close(messages)
		for {
			_, m, err := c.Read(ctx)
			if err != nil {
				return
			}
			select {
			case messages <- m:
			case <-ctx.Done():
				return
			}
		}
	}()
	return messages
}

// answer takes its time for a message that is a duration.
func answer(m []byte) []byte {
	if d, err := time.ParseDuration(string(m)); err == nil {
		time.Sleep(d)
	}
	return fmt.Appendf(nil, "%s %s", version, m)
}
