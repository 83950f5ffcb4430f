package main

import (
	"context"

	"github.com/gohandover/handover/drain"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

// healthServer is gRPC's health server, with watches that end when the drain
// begins. Clients keep them open for as long as their connection, so
// GracefulStop would wait for them until the drain's deadline.
type healthServer struct {
	*health.Server
	drain *drain.Drain
}

// Watch implements [healthpb.HealthServer].
func (h healthServer) Watch(req *healthpb.HealthCheckRequest, stream healthpb.Health_WatchServer) error {
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	go func() {
		select {
		case <-h.drain.Draining():
			cancel()
		case <-ctx.Done():
		}
	}()
	return h.Server.Watch(req, &watch{stream, ctx})
}

type watch struct {
	healthpb.Health_WatchServer
	ctx context.Context
}

// Context implements [google.golang.org/grpc.ServerStream].
func (w *watch) Context() context.Context { return w.ctx }
