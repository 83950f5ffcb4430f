package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// streams are standard input, output and error. Results go to out; progress
// and errors to err.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// run runs the command that args name and returns the exit code.
func run(ctx context.Context, args []string, std streams) int {
	root := newRoot(std)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err != nil && ctx.Err() != nil {
		err = errInterrupted
	}
	return report(std.err, err)
}

func newRoot(std streams) *cobra.Command {
	root := &cobra.Command{
		Use:   "handover",
		Short: "Replace a running server by its next version on the same port, no request lost",
		Long: `handover shows, checks and watches how a running network server is replaced by its
next version on the same port with no request lost.

The replacing itself is done by the library github.com/gohandover/handover in the
servers: this command needs no privileges and is not needed by them.`,
		Example: `  handover demo                 see it: a server under load, replaced eight times
  handover doctor :8080         can this machine, user and port do it?
  handover status               what runs here, and in which state`,
		SilenceUsage:               true,
		SilenceErrors:              true,
		DisableFlagsInUseLine:      true,
		SuggestionsMinimumDistance: 2,
		Version:                    version(),
		Args:                       noCommand,
		RunE:                       func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetIn(std.in)
	root.SetOut(std.out)
	root.SetErr(std.err)
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return usage(cmd, err) })
	root.AddCommand(newDemo(std), newDemoServer(std), newStatus(std), newDoctor(std), newVersion(std))
	root.SetHelpTemplate(root.HelpTemplate() + exitCodes)
	return root
}

// noCommand is the check of the root command's arguments: there are none, but a
// command that is misspelt gets here.
func noCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	err := usage(cmd, fmt.Errorf("there is no command %q", args[0]))
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		err.hint = fmt.Sprintf("did you mean %q?", strings.Join(near, `" or "`))
	}
	return err
}

// arguments makes a check of arguments one whose errors are the user's.
func arguments(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usage(cmd, err)
		}
		return nil
	}
}

// usage is an error that the user made on the command line.
func usage(cmd *cobra.Command, err error) *exitError {
	return &exitError{code: exitUsage, err: err, hint: fmt.Sprintf("see %q", cmd.CommandPath()+" -h")}
}

// errInterrupted is why a command ends that Ctrl-C ended.
var errInterrupted = &exitError{code: exitInterrupted, err: errors.New("interrupted")}
