package load_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"time"

	"github.com/gohandover/handover/internal/load"
)

func Example() {
	server := httptest.NewServer(load.Handler("v1"))
	defer server.Close()

	l, err := load.Start(context.Background(), load.Config{Address: server.Listener.Addr().String()})
	if err != nil {
		fmt.Println(err)
		return
	}
	time.Sleep(50 * time.Millisecond) // here, a server would be replaced

	result := l.Stop()
	for _, f := range result.Failures {
		fmt.Println(f)
	}
	fmt.Println("clients:", result.Total.Clients, "failed:", result.Total.Failed)
	// Output: clients: 52 failed: 0
}
