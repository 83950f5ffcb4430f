// Shutdown: how long an old version waits for what it has begun, as with the
// context that is given to [http.Server.Shutdown].
//
//	Shutdown(ctx), ctx with a timeout     -timeout 30s
//	Shutdown(context.Background())        -timeout -1ns
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"time"

	"github.com/gohandover/handover"
	"github.com/gohandover/handover/drain"
)

func main() {
	addr := flag.String("addr", ":8080", "address to listen on")
	timeout := flag.Duration("timeout", 30*time.Second, "time to finish; negative: as long as it takes")
	flag.Parse()

	http.HandleFunc("POST /upload", upload)
	err := handover.Serve(context.Background(), &http.Server{Addr: *addr}, handover.Options{
		Drain: drain.New(drain.Options{Timeout: *timeout, Logger: slog.Default()}),
		Hooks: handover.Hooks{Ready: func(i handover.Info) { log.Printf("generation %d is ready", i.Generation) }},
	})
	switch {
	case err == nil:
	case errors.Is(err, drain.ErrForced):
		log.Fatal("not all was finished: ", err)
	default:
		log.Fatal(err)
	}
}

// upload takes as long as its client does.
func upload(w http.ResponseWriter, r *http.Request) {
	log.Print("upload begun")
	n, err := io.Copy(io.Discard, r.Body)
	if err != nil {
		log.Print("upload cut: ", context.Cause(r.Context()))
		return
	}
	fmt.Fprintf(w, "%d bytes", n)
}
