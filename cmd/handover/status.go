package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/gohandover/handover/internal/control"
)

func newStatus(std streams) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status [NAME]",
		Short: "List the services and generations in this network namespace",
		Long: `status lists the processes that can hand over, by service: all of this user's, and
for root those of every user. Processes in other network namespaces, as those of most
containers, are not seen; run it there.

A process that doesn't answer is shown as deaf. One of another user is shown
as foreign, without what only that user may know.`,
		Example: `  handover status
  handover status :8080
  handover status --json | jq '.[] | select(.status.state == "active")'`,
		Args: arguments(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runStatus(cmd.Context(), std, strings.Join(args, ""), asJSON)
		},
		ValidArgsFunction: completeService,
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, durations in nanoseconds")
	return cmd
}

// seen is one process as found. Status is nil where it said nothing.
type seen struct {
	Service string          `json:"service"`
	UID     int             `json:"uid"`
	Socket  string          `json:"socket"`
	Status  *control.Status `json:"status,omitempty"`
	Error   string          `json:"error,omitempty"`

	state string // in the table
}

func runStatus(ctx context.Context, std streams, name string, asJSON bool) error {
	found, err := lookAround(ctx, name)
	if err != nil && !errors.Is(err, control.ErrTooMany) {
		return err
	}
	if err != nil {
		fmt.Fprintf(std.err, "handover: warning: %v\n", err)
	}
	if asJSON {
		return writeJSON(std.out, found)
	}
	if len(found) == 0 {
		what := "no service"
		if name != "" {
			what = fmt.Sprintf("no service %q", name)
		}
		_, err := fmt.Fprintf(std.out, "%s runs in this network namespace\n", what)
		return err
	}
	return writeStatus(std.out, found, time.Now())
}

// lookAround asks every agent of the service, or of all if name is empty. Those
// that have gone meanwhile are left out.
func lookAround(ctx context.Context, name string) ([]seen, error) {
	services, err := control.Services(ctx)
	found := []seen{}
	self := os.Geteuid()
	for _, s := range services {
		if name != "" && s.Name != name {
			continue
		}
		for _, a := range control.QueryAll(ctx, s.Peers, control.QueryOptions{AnyUID: self == 0}) {
			if !errors.Is(a.Err, control.ErrGone) {
				found = append(found, seenFrom(a, self))
			}
		}
	}
	slices.SortStableFunc(found, func(a, b seen) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.UID, b.UID), cmp.Compare(a.generation(), b.generation()))
	})
	return found, err
}

// seenFrom is what an answer to the user self tells.
func seenFrom(a control.Answer, self int) seen {
	s := seen{Service: a.Peer.Service, UID: a.Peer.UID, Socket: a.Peer.Name}
	if a.Err == nil {
		s.Status, s.state = &a.Status, string(a.Status.State)
		return s
	}
	s.Error, s.state = a.Err.Error(), "unreadable"
	var squatted *control.SquattedError
	switch {
	case errors.As(a.Err, &squatted):
		// The name may lie, the kernel doesn't.
		s.UID, s.state = int(squatted.UID), "foreign"
	case errors.Is(a.Err, control.ErrDeaf):
		s.state = "deaf"
	case s.UID != self:
		// It hangs up on strangers without a word.
		s.state, s.Error = "foreign", fmt.Sprintf("it belongs to uid %d: ask as that user, or as root", s.UID)
	}
	return s
}

func (s seen) generation() int {
	if s.Status == nil {
		return 0
	}
	return s.Status.Generation
}

func writeStatus(w io.Writer, found []seen, now time.Time) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "SERVICE\tGENERATION\tVERSION\tPID\tUID\tSTATE\tSINCE\tADDRESSES\tIN-FLIGHT\tCONNECTIONS")
	for _, s := range found {
		fmt.Fprintln(tw, strings.Join(s.cells(now), "\t"))
	}
	return tw.Flush()
}

func (s seen) cells(now time.Time) []string {
	st := s.Status
	if st == nil {
		return []string{s.Service, "-", "-", "-", strconv.Itoa(s.UID), s.state, "-", "-", "-", "-"}
	}
	return []string{
		s.Service, strconv.Itoa(st.Generation), cmp.Or(st.Version, "-"), strconv.Itoa(st.PID), strconv.Itoa(s.UID),
		s.state, age(now.Sub(st.Since)), addresses(st.Members), strconv.Itoa(st.InFlight), connections(st.Connections),
	}
}

// age prints how long something has lasted, in whole seconds.
func age(d time.Duration) string { return max(d, 0).Truncate(time.Second).String() }

func addresses(members []control.Member) string {
	var all []string
	for _, m := range members {
		if !slices.Contains(all, m.Address) {
			all = append(all, m.Address)
		}
	}
	return cmp.Or(strings.Join(all, ","), "-")
}

// connections prints the kinds there are, "3 active, 5 idle".
func connections(counts map[string]int) string {
	var parts []string
	for _, kind := range slices.Sorted(maps.Keys(counts)) {
		if n := counts[kind]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, kind))
		}
	}
	return cmp.Or(strings.Join(parts, ", "), "0")
}

func completeService(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	services, err := control.Services(cmd.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var names []string
	for _, s := range services {
		names = append(names, s.Name)
	}
	return slices.Compact(slices.Sorted(slices.Values(names))), cobra.ShellCompDirectiveNoFileComp
}
