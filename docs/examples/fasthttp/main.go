// Fasthttp: a server that is not net/http's, on a listener that hands over.
package main

import (
	"context"
	"errors"
	"flag"
	"log"
	"net"
	"time"

	"github.com/gohandover/handover"
	"github.com/gohandover/handover/drain"
	"github.com/valyala/fasthttp"
)

var version = "v1" // go build -ldflags "-X main.version=v2"

func main() {
	addr := flag.String("addr", ":8080", "address to listen on")
	flag.Parse()
	if err := serve(*addr); err != nil {
		log.Fatal(err)
	}
}

func serve(addr string) error {
	d := drain.New(drain.Options{})
	srv := &fasthttp.Server{
		Handler:     closing(d, func(c *fasthttp.RequestCtx) { c.WriteString(version) }),
		IdleTimeout: 5 * time.Second, // ends the connections that closing has no answer to tell by
		ReadTimeout: 10 * time.Second,
	}
	l, err := handover.Listen(context.Background(), "tcp", addr, handover.Options{Version: version, Drain: d})
	if err != nil {
		return err
	}
	// The end needs no Shutdown, which would close connections that a request
	// is on its way to: Serve returns when the last connection has ended, nil for
	// a listener that was closed.
	if err := srv.Serve(l); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return l.Wait()
}

// closing lets clients go with their next answer while d drains.
func closing(d *drain.Drain, next fasthttp.RequestHandler) fasthttp.RequestHandler {
	return func(c *fasthttp.RequestCtx) {
		select {
		case <-d.Draining():
			c.SetConnectionClose()
		default:
		}
		next(c)
	}
}
