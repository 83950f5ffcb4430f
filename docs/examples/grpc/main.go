// gRPC: calls and streams finish, and clients move by GOAWAY.
package main

import (
	"context"
	"flag"
	"log"
	"time"

	"github.com/gohandover/handover"
	"github.com/gohandover/handover/docs/examples/grpc/clock"
	"github.com/gohandover/handover/drain"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
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
	d := drain.New(drain.Options{Timeout: time.Minute})
	srv := grpc.NewServer()
	clock.RegisterClockServer(srv, server{})
	healthpb.RegisterHealthServer(srv, healthServer{health.NewServer(), d})

	// When the next version has the new connections, the clients of the old
	// ones are asked to make new ones.
	d.OnDrain(srv.GracefulStop)

	l, err := handover.Listen(context.Background(), "tcp", addr, handover.Options{Version: version, Drain: d})
	if err != nil {
		return err
	}
	if err := srv.Serve(l); err != nil {
		return err
	}
	return l.Wait() // GracefulStop has ended, the rest of the drain may not have
}

type server struct{ clock.UnimplementedClockServer }

// Version implements [clock.ClockServer].
func (server) Version(context.Context, *clock.VersionRequest) (*clock.VersionReply, error) {
	return &clock.VersionReply{Version: version}, nil
}

// Watch implements [clock.ClockServer].
func (server) Watch(req *clock.WatchRequest, stream grpc.ServerStreamingServer[clock.Tick]) error {
	tick := time.NewTicker(time.Duration(max(req.IntervalMs, 1)) * time.Millisecond)
	defer tick.Stop()
	for n := range req.Ticks {
		if err := stream.Send(&clock.Tick{Number: n + 1, Version: version}); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
	}
	return nil
}
