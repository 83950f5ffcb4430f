package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"github.com/gohandover/handover/cmd/handover/internal/demo"
	"github.com/gohandover/handover/cmd/handover/internal/terminal"
)

// demoServer is the hidden command that the demo's servers are.
const demoServer = "demo-server"

func newDemo(std streams) *cobra.Command {
	var cfg demo.Config
	var plain, asJSON bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Replace a real server under load, and count what is lost",
		Long: `demo starts a server, which is this program itself, on a free port of 127.0.0.1,
drives it with clients that never retry, and replaces it again and again by the
next version, once also by one that never gets healthy. Then it does the same in
the naive way: SO_REUSEPORT, SIGTERM, Shutdown. It needs no network, no
privileges and about half a minute.

The clients have six patterns: a new connection for each request, keep-alive GET,
keep-alive POST, requests that take 400 ms, connections that wait 150 ms before
their first byte, and chunked uploads over 280 ms.

Progress goes to standard error, the result to standard output. The exit code is
0 only if handover lost no request.`,
		Example: `  handover demo
  handover demo --takeovers 50 --skip-naive --plain
  handover demo --json | jq '.ways[] | {way, failed: .total.failed}'`,
		Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return runDemo(cmd, std, cfg, plain, asJSON) },
	}
	f := cmd.Flags()
	f.IntVar(&cfg.Takeovers, "takeovers", 8, "how often the server is replaced in each way")
	f.IntVar(&cfg.Clients, "clients", 52, "how many clients there are, over all patterns")
	f.DurationVar(&cfg.Between, "duration-between", 700*time.Millisecond, "pause before each takeover")
	f.BoolVar(&cfg.SkipNaive, "skip-naive", false, "leave the naive way out")
	f.BoolVar(&plain, "plain", false, "print lines only, redraw nothing")
	f.BoolVar(&asJSON, "json", false, "print the result as JSON, durations in nanoseconds")
	return cmd
}

func runDemo(cmd *cobra.Command, std streams, cfg demo.Config, plain, asJSON bool) error {
	if runtime.GOOS != "linux" {
		return fmt.Errorf("demo: %w on %s", errors.ErrUnsupported, runtime.GOOS)
	}
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	cfg.Command = []string{exe, demoServer}
	d, err := demo.New(cfg)
	if err != nil {
		return usage(cmd, err)
	}
	result, err := demo.NewView(std.err, plain).Run(cmd.Context(), d)
	if cmd.Context().Err() != nil {
		return errInterrupted
	}
	verdict := result.Judge()
	if err != nil {
		result.OK = false
		verdict = &exitError{code: exitFailed, err: err, hint: `"handover doctor" tells whether this machine and user can do it`}
	}
	if asJSON {
		err = writeJSON(std.out, result)
	} else {
		err = writeResult(std.out, result, verdict)
	}
	return errors.Join(verdict, err)
}

// writeResult prints the table and, at its end, what it comes to.
func writeResult(w io.Writer, result demo.Report, verdict error) error {
	if err := result.WriteTable(w); err != nil || verdict != nil {
		return err
	}
	style := terminal.StyleFor(w)
	total := result.Way(demo.Handover).Total
	text := fmt.Sprintf("handover lost nothing: %d requests, %d answered, 0 failed", total.Sent, total.Answered)
	if naive := result.Way(demo.Naive); naive != nil {
		text += fmt.Sprintf("; the naive way lost %d of %d", naive.Total.Failed, naive.Total.Sent)
	}
	_, err := fmt.Fprintln(w, style.Good(text))
	return err
}

func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
