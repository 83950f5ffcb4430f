// Multi: several servers in one process, each with an address and a handler of
// its own, that are replaced together. All of them move, or none does.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"

	"github.com/gohandover/handover"
)

var version = "v1" // go build -ldflags "-X main.version=v2"

func main() {
	public := flag.String("public", ":8080", "address of the public server")
	api := flag.String("api", ":8081", "address of the API")
	admin := flag.String("admin", "localhost:8082", "address for operators")
	config := flag.String("config", "", "file that has to be there")
	flag.Parse()

	servers, err := newServers(map[string]http.Handler{
		*public: saying("public " + version),
		*api:    saying("api " + version),
		*admin:  saying("admin " + version),
	})
	if err != nil {
		log.Fatal(err)
	}
	err = handover.Serve(context.Background(), &http.Server{Handler: servers}, handover.Options{
		Name:      "multi", // does not depend on which address comes first
		Version:   version,
		Addresses: []string{*public, *api, *admin},
		Hooks:     handover.Hooks{BeforeStart: func(context.Context) error { return warmUp(*config) }},
	})
	if err != nil {
		log.Fatal(err)
	}
}

// warmUp runs before this version listens. If it fails, the running version is
// not touched.
func warmUp(config string) error {
	if config == "" {
		return nil
	}
	_, err := os.Stat(config)
	return err
}

func saying(text string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) })
}

// servers are handlers by the port they serve.
type servers map[string]http.Handler

func newServers(byAddress map[string]http.Handler) (servers, error) {
	s := make(servers)
	for address, h := range byAddress {
		_, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		if s[port] != nil {
			return nil, errors.New("two servers on port " + port)
		}
		s[port] = h
	}
	return s, nil
}

// ServeHTTP implements [http.Handler].
func (s servers) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	local := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	_, port, _ := net.SplitHostPort(local.String())
	s[port].ServeHTTP(w, r)
}
