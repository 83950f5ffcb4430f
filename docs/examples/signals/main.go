//go:build unix

// Signals: what each one does, and hooks around it.
//
//	TERM, INT   drain and exit; a second one ends what is left at once
//	USR2        end what is left at once
//	USR1, TSTP  nothing but the hooks below
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"
	"syscall"
	"time"

	"github.com/gohandover/handover"
)

func main() {
	addr := flag.String("addr", ":8080", "address to listen on")
	flag.Parse()

	http.HandleFunc("GET /slow/{duration}", slow)
	err := handover.Serve(context.Background(), &http.Server{Addr: *addr}, handover.Options{
		Signals: handover.Signals{Hooks: hooks()},
		Hooks:   handover.Hooks{Ready: func(i handover.Info) { log.Printf("generation %d is ready", i.Generation) }},
	})
	if err != nil {
		log.Fatal(err)
	}
}

func hooks() map[os.Signal]handover.SignalHook {
	tell := func(text string) func() { return func() { log.Print(text) } }
	return map[os.Signal]handover.SignalHook{
		syscall.SIGUSR1: {Before: tell("reopening the log files")},
		syscall.SIGTSTP: {Before: tell("going into maintenance")},
		syscall.SIGTERM: {Before: tell("before TERM"), After: tell("after TERM")},
		syscall.SIGINT:  {Before: tell("before INT"), After: tell("after INT")},
		syscall.SIGUSR2: {Before: tell("before USR2"), After: tell("after USR2")},
	}
}

// slow answers after a while.
func slow(w http.ResponseWriter, r *http.Request) {
	d, err := time.ParseDuration(r.PathValue("duration"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	log.Print("begun to be slow")
	select {
	case <-time.After(d):
		fmt.Fprint(w, "done")
	case <-r.Context().Done():
		log.Print("cut: ", context.Cause(r.Context()))
	}
}
