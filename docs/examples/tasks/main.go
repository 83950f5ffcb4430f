// Tasks: jobs that requests left behind are finished when the last request has
// ended, then the database and the file are closed, in that order.
package main

import (
	"context"
	"database/sql"
	"flag"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/gohandover/handover"
	"github.com/gohandover/handover/drain"
)

func main() {
	addr := flag.String("addr", ":8080", "address to listen on")
	dsn := flag.String("database", "orders.db", "data source name")
	audit := flag.String("audit", "audit.log", "file that is told of each job")
	flag.Parse()
	if err := serve(*addr, *dsn, *audit); err != nil {
		log.Fatal(err)
	}
}

func serve(addr, dsn, audit string) error {
	d := drain.New(drain.Options{Logger: slog.Default()})

	// Clean-ups run in reverse order: what is opened first is closed last.
	file, err := os.OpenFile(audit, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	d.Cleanup("audit file", closing("audit file", file.Close))
	db, err := sql.Open("lines", dsn)
	if err != nil {
		return err
	}
	d.Cleanup("database", closing("database", db.Close))

	jobs := make(chan string, 64)
	d.Go(func(ctx context.Context) {
		defer log.Print("worker ended")
		work(ctx, jobs, d.Quiet(), func(job string) error {
			if _, err := db.ExecContext(ctx, "INSERT INTO orders (id) VALUES (?)", job); err != nil {
				return err
			}
			_, err := fmt.Fprintln(file, job)
			return err
		})
	})

	http.HandleFunc("GET /order/{id}", func(w http.ResponseWriter, r *http.Request) {
		select {
		case jobs <- r.PathValue("id"):
			fmt.Fprint(w, "accepted")
		case <-r.Context().Done():
		}
	})
	return handover.Serve(context.Background(), &http.Server{Addr: addr}, handover.Options{Drain: d})
}

// work does jobs until no handler is left that could send one and the queue is
// empty, or ctx ends: then the drain's deadline has passed.
func work(ctx context.Context, jobs <-chan string, quiet <-chan struct{}, do func(job string) error) {
	for {
		var job string
		select {
		case job = <-jobs:
		case <-quiet:
			select {
			case job = <-jobs:
			default:
				return
			}
		}
		time.Sleep(10 * time.Millisecond) // jobs take longer than requests
		if err := do(job); err != nil {
			log.Printf("job %s: %v", job, err)
		}
		if ctx.Err() != nil {
			return
		}
	}
}

func closing(name string, f func() error) func(context.Context) error {
	return func(context.Context) error {
		log.Print("closing the ", name)
		return f()
	}
}
