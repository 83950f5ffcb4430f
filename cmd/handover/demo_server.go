package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/gohandover/handover/cmd/handover/internal/demo"
)

// newDemoServer is what the demo starts as a server.
func newDemoServer(std streams) *cobra.Command {
	var cfg demo.ServerConfig
	cmd := &cobra.Command{
		Use:    demoServer,
		Hidden: true,
		Args:   arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			// Signals are the server's own affair.
			return demo.Serve(context.WithoutCancel(cmd.Context()), cfg, std.in, std.out)
		},
	}
	f := cmd.Flags()
	f.StringVar((*string)(&cfg.Way), "way", string(demo.Handover), "how it is replaced")
	f.StringVar(&cfg.Service, "service", "", "name of the service")
	f.StringVar(&cfg.Version, "server-version", "", "name of the version")
	f.StringVar(&cfg.Address, "address", "127.0.0.1:0", "where to listen")
	f.BoolVar(&cfg.Sick, "sick", false, "never get healthy")
	f.DurationVar(&cfg.Lifetime, "lifetime", 0, "end by itself then")
	return cmd
}
