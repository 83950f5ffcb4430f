package main

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/gohandover/handover/docs/examples/grpc/clock"
	"github.com/gohandover/handover/docs/examples/internal/proctest"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

// TestReplace replaces the server under a stream that outlives the handover,
// calls over a shared connection and calls over new ones.
func TestReplace(t *testing.T) {
	t.Parallel()
	addr := proctest.Address(t)
	v1 := proctest.StartActive(t, proctest.Build(t), "-addr", addr)
	next := proctest.Build(t, "main.version=v2")

	shared := connect(t, addr)
	stream, err := clock.NewClockClient(shared).Watch(t.Context(), &clock.WatchRequest{Ticks: 30, IntervalMs: 100})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	watched := watchHealth(t, shared)
	i := 0
	load := proctest.StartLoad(t, 6, func() func() (string, error) {
		i++
		if i%2 == 0 {
			return func() (string, error) { return ask(t.Context(), shared) }
		}
		return func() (string, error) {
			conn, err := dial(addr)
			if err != nil {
				return "", err
			}
			defer conn.Close()
			return ask(t.Context(), conn)
		}
	})
	load.WaitFor("v1")

	proctest.StartActive(t, next, "-addr", addr)
	load.WaitFor("v2")
	if !v1.Running() {
		t.Error("v1 has exited with a stream in flight")
	}
	if n, version := rest(t, stream); n != 30 || version != "v1" {
		t.Errorf("the stream in flight ended with tick %d of %s, want 30 of v1", n, version)
	}
	<-watched // does not hold up the drain
	v1.ExitsWith(0)
	load.Stop("v1", "v2")

	reply, err := healthpb.NewHealthClient(shared).Check(t.Context(), &healthpb.HealthCheckRequest{})
	if err != nil || reply.Status != healthpb.HealthCheckResponse_SERVING {
		t.Errorf("health of v2: %v, %v", reply, err)
	}
}

// watchHealth watches the health of the server, as clients do that balance by
// it. The channel is closed when the watch has ended.
func watchHealth(t *testing.T, conn *grpc.ClientConn) <-chan struct{} {
	t.Helper()
	stream, err := healthpb.NewHealthClient(conn).Watch(t.Context(), &healthpb.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			if _, err := stream.Recv(); err != nil {
				return
			}
		}
	}()
	return ended
}

// rest reads a stream to its end.
func rest(t *testing.T, stream grpc.ServerStreamingClient[clock.Tick]) (number int32, version string) {
	t.Helper()
	for {
		tick, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return number, version
		}
		if err != nil {
			t.Fatalf("after tick %d: %v", number, err)
		}
		number, version = tick.Number, tick.Version
	}
}

func dial(addr string) (*grpc.ClientConn, error) {
	return grpc.NewClient(addr,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDisableRetry(),
	)
}

func connect(t *testing.T, addr string) *grpc.ClientConn {
	t.Helper()
	conn, err := dial(addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// ask does not wait for the server to be ready: a refused connection is a call
// lost.
func ask(ctx context.Context, conn *grpc.ClientConn) (string, error) {
	reply, err := clock.NewClockClient(conn).Version(ctx, &clock.VersionRequest{})
	return reply.GetVersion(), err
}
