package handover_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/gohandover/handover"
)

// A whole life, which ends by its context.
func Example() {
	ctx, cancel := context.WithCancel(context.Background())
	srv := &http.Server{Addr: "127.0.0.1:0"}
	err := handover.Serve(ctx, srv, handover.Options{
		Logger:  slog.New(slog.DiscardHandler),
		Version: "v1.2.3",
		Hooks: handover.Hooks{
			BeforeStart: func(context.Context) error { fmt.Println("warms up"); return nil },
			Ready: func(i handover.Info) {
				fmt.Printf("generation %d (%s) serves\n", i.Generation, i.Version)
				cancel()
			},
			AfterDrain: func(handover.Info) { fmt.Println("all has ended") },
		},
	})
	fmt.Println("error:", err)
	// Output:
	// warms up
	// generation 1 (v1.2.3) serves
	// all has ended
	// error: <nil>
}
