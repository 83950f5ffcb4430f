// Raw TCP: an echo server with a protocol of its own, one line a request.
// Because the protocol has a goodbye, not even a request on its way is lost.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"

	"github.com/gohandover/handover"
	"github.com/gohandover/handover/drain"
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
	l, err := handover.Listen(context.Background(), "tcp", addr, handover.Options{Version: version, Drain: d})
	if err != nil {
		return err
	}
	for {
		c, err := l.Accept()
		switch {
		case err == nil:
			go echo(c, d.Draining())
		case errors.Is(err, net.ErrClosed):
			return l.Wait()
		default:
			return err
		}
	}
}

// echo answers lines until the client closes the connection. When the version
// drains it says bye and goes on answering: a client that hears it sends its
// next line over a new connection, and closes this one when it has all its
// answers. One that never does is cut at the drain's deadline.
func echo(c net.Conn, draining <-chan struct{}) {
	defer c.Close()
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		select {
		case <-draining:
			fmt.Fprintln(c, "bye")
		case <-ended:
		}
	}()
	for lines := bufio.NewScanner(c); lines.Scan(); {
		fmt.Fprintln(c, version, lines.Text())
	}
}
