package health_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/gohandover/handover/health"
)

func Example() {
	h, err := health.New(health.Options{Checks: []health.Check{
		{Name: "db", Timeout: time.Second, Func: func(context.Context) error { return errors.New("connection refused") }},
		{Name: "cache", Func: func(context.Context) error { return nil }},
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	mux := http.NewServeMux() // the server's own
	mux.Handle("/readyz", h.ReadyHandler())
	mux.Handle("/livez", h.LiveHandler())

	show := func(path string) {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		fmt.Printf("%d\n%s\n", w.Code, w.Body)
	}
	show("/readyz?verbose")
	h.SetDraining(true)
	show("/readyz")
	show("/livez")
	// Output:
	// 503
	// [+]serving ok
	// [-]db failed: connection refused
	// [+]cache ok
	// readyz check failed
	//
	// 503
	// [-]serving failed: draining
	// readyz check failed
	//
	// 200
	// ok
}

func ExampleGate_Pass() {
	warm := time.Now().Add(20 * time.Millisecond)
	gate := health.Gate{
		Interval: 5 * time.Millisecond,
		Probes: []health.Probe{health.FuncProbe{Name: "cache", Func: func(context.Context) error {
			if time.Now().Before(warm) {
				return errors.New("still empty")
			}
			return nil
		}}},
	}
	fmt.Println(gate.Pass(context.Background()))

	gate.Probes = []health.Probe{health.FuncProbe{Name: "db", Func: func(context.Context) error { return errors.New("connection refused") }}}
	gate.StartTimeout = time.Nanosecond
	err := gate.Pass(context.Background())
	fmt.Println(errors.Is(err, health.ErrUnhealthy))
	// Output:
	// <nil>
	// true
}

func ExampleParseProbe() {
	for _, s := range []string{"/readyz", "tcp://localhost:5432", "exec:pg_isready -h 'my host'"} {
		p, err := health.ParseProbe(s, ":8080")
		fmt.Println(p, err)
	}
	// Output:
	// GET http://127.0.0.1:8080/readyz <nil>
	// tcp://localhost:5432 <nil>
	// exec:pg_isready -h 'my host' <nil>
}
