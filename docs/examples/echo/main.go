// Echo: a version that is not ready never gets a client.
package main

import (
	"context"
	"flag"
	"log"
	"net/http"
	"os"

	"github.com/gohandover/handover"
	"github.com/gohandover/handover/health"
	"github.com/labstack/echo/v5"
)

var version = "v1" // go build -ldflags "-X main.version=v2"

func main() {
	addr := flag.String("addr", ":8080", "address to listen on")
	templates := flag.String("templates", ".", "directory without which there is nothing to serve")
	flag.Parse()
	if err := serve(*addr, *templates); err != nil {
		log.Fatal(err)
	}
}

func serve(addr, templates string) error {
	checks, err := health.New(health.Options{Checks: []health.Check{{
		Name: "templates",
		Func: func(context.Context) error {
			_, err := os.ReadDir(templates)
			return err
		},
	}}})
	if err != nil {
		return err
	}

	e := echo.New()
	e.GET("/", func(c *echo.Context) error { return c.String(http.StatusOK, version) })
	e.GET("/readyz", echo.WrapHandler(checks.ReadyHandler()))

	// Instead of e.Start(addr). The gate asks the checks, and then /readyz of
	// this very process through the port that the running version still serves.
	return handover.Serve(context.Background(), &http.Server{Addr: addr, Handler: e}, handover.Options{
		Version: version,
		Health:  checks,
		Probes:  []string{"/readyz"},
	})
}
