package drain_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/gohandover/handover/drain"
)

func Example() {
	d := drain.New(drain.Options{Timeout: 10 * time.Second})

	d.Cleanup("database", func(context.Context) error {
		fmt.Println("database closed")
		return nil
	})
	jobs := make(chan string, 8)
	d.Go(func(context.Context) {
		for job := range jobs {
			fmt.Println("done:", job)
		}
	})
	d.Go(func(context.Context) {
		<-d.Quiet() // no handler is left to send jobs
		close(jobs)
	})

	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		jobs <- "thumbnails"
	})}
	if err := d.Server(srv); err != nil {
		fmt.Println(err)
		return
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	served := make(chan error)
	go func() { served <- srv.Serve(d.Hold(l)) }()

	if _, err := http.Post("http://"+l.Addr().String(), "text/plain", nil); err != nil {
		fmt.Println(err)
	}

	// Later, when nothing new comes any more:
	l.Close()
	report, err := d.Run(context.Background())
	fmt.Println("cut:", report.Forced, "error:", err)
	fmt.Println(<-served)
	// Output:
	// done: thumbnails
	// database closed
	// cut: nothing error: <nil>
	// http: Server closed
}
