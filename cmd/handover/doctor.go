package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/gohandover/handover/cmd/handover/internal/doctor"
	"github.com/gohandover/handover/cmd/handover/internal/terminal"
	"github.com/gohandover/handover/reuse"
)

func newDoctor(std streams) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "doctor [ADDRESS]",
		Short: "Tell whether this machine, user and port can do a handover",
		Long: `doctor looks at what a handover needs, performs one between two sockets of its
own, and says what is wrong and what to do about it. With an address it also tells who
listens there, and whether a new version run by this user could take over.

It needs no privileges and changes nothing. Run it as the user, and in the
container, that the service runs as. The exit code is 7 if it can't work.`,
		Example: `  handover doctor
  handover doctor :8080
  handover doctor --json 127.0.0.1:8080`,
		Args: arguments(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error { return runDoctor(cmd, std, args, asJSON) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the findings as JSON")
	return cmd
}

func runDoctor(cmd *cobra.Command, std streams, args []string, asJSON bool) error {
	var address *reuse.GroupID
	if len(args) > 0 {
		id, err := reuse.ParseGroup("tcp", args[0])
		if err != nil || id.Addr.Port() == 0 {
			return usage(cmd, fmt.Errorf("%q is not an address with a port, such as :8080 or 127.0.0.1:8080", args[0]))
		}
		address = &id
	}
	result := doctor.Examine(cmd.Context(), address)
	var err error
	if asJSON {
		err = writeJSON(std.out, result)
	} else {
		err = writeFindings(std.out, result.Findings)
	}
	if err != nil || result.OK {
		return err
	}
	return &exitError{
		code: exitImpossible,
		err:  fmt.Errorf("a handover can't work here: %d of %d checks failed", result.Failed(), len(result.Findings)),
	}
}

func writeFindings(w io.Writer, findings []doctor.Finding) error {
	style := terminal.StyleFor(w)
	paint := map[doctor.Level]func(string) string{doctor.OK: style.Good, doctor.Warn: style.Warn, doctor.Fail: style.Bad}
	for _, f := range findings {
		if _, err := fmt.Fprintf(w, "%s  %-15s  %s\n", paint[f.Level](fmt.Sprintf("%-4s", f.Level)), f.About, f.Found); err != nil {
			return err
		}
		if f.Do == "" {
			continue
		}
		if _, err := fmt.Fprintf(w, "%23sto do: %s\n", "", f.Do); err != nil {
			return err
		}
	}
	return nil
}
