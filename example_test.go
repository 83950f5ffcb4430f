package handover_test

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"log"
	"net/http"
	"time"

	"github.com/gohandover/handover"
	"github.com/gohandover/handover/drain"
	"github.com/gohandover/handover/health"
)

// The change that a program needs is one word.
func ExampleListenAndServe() {
	http.HandleFunc("/ping", func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "pong")
	})
	if err := handover.ListenAndServe(":8080", nil); err != nil {
		log.Fatal(err)
	}
}

// A program with a database: no version gets clients before it reaches it,
// and the old one closes it when the last request and task have ended.
func ExampleServe() {
	db, err := sql.Open("postgres", "host=db")
	if err != nil {
		log.Fatal(err)
	}
	checks, err := health.New(health.Options{Checks: []health.Check{{Name: "db", Func: db.PingContext}}})
	if err != nil {
		log.Fatal(err)
	}
	work := drain.New(drain.Options{Timeout: time.Minute})
	work.Cleanup("db", func(context.Context) error { return db.Close() })

	mux := http.NewServeMux()
	mux.Handle("/readyz", checks.ReadyHandler())
	mux.HandleFunc("/order", func(w http.ResponseWriter, r *http.Request) {
		work.Go(func(ctx context.Context) { sendMail(ctx, r.FormValue("to")) }) // is waited for
		w.WriteHeader(http.StatusAccepted)
	})
	srv := &http.Server{Addr: ":8080", Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	err = handover.Serve(context.Background(), srv, handover.Options{
		Name:   "shop",
		Health: checks,
		Probes: []string{"/readyz"},
		Drain:  work,
		Bake:   30 * time.Second, // the old version comes back if this one falls ill in that time
		Hooks: handover.Hooks{
			Ready: func(i handover.Info) {
				log.Printf("generation %d serves, %d connections were rescued", i.Generation, i.Flushed)
			},
		},
	})
	if err != nil {
		log.Fatal(err)
	}
}

func sendMail(context.Context, string) {}

// A server of one's own protocol needs a listener only.
func ExampleListen() {
	l, err := handover.Listen(context.Background(), "tcp", ":7000", handover.Options{Name: "echo"})
	if err != nil {
		log.Fatal(err)
	}
	for {
		c, err := l.Accept()
		if err != nil {
			break // everything has ended
		}
		go func() {
			defer c.Close()
			io.Copy(c, c)
		}()
	}
	if err := l.Wait(); err != nil {
		log.Fatal(err)
	}
}

// A handler that runs for long ends when its version is relieved, and its
// client connects again, to the next one.
func ExampleDraining() {
	http.HandleFunc("/events", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case now := <-tick.C:
				fmt.Fprintf(w, "data: %s\n\n", now)
				http.NewResponseController(w).Flush()
			case <-handover.Draining(r.Context()):
				fmt.Fprint(w, "retry: 100\n\n")
				return
			case <-r.Context().Done():
				return
			}
		}
	})
}
