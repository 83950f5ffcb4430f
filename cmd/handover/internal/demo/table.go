package demo

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/gohandover/handover/internal/load"
)

// shownFailures is how many failures are printed one by one.
const shownFailures = 20

// WriteTable prints the report for people: nothing where nothing was shown.
func (r *Report) WriteTable(w io.Writer) error {
	if len(r.Ways) == 0 {
		return nil
	}
	var b strings.Builder
	b.WriteByte('\n')
	for _, part := range [][][]string{r.requestRows(), r.timeRows()} {
		writeRows(&b, part)
		b.WriteByte('\n')
	}
	r.writeSick(&b)
	for _, way := range r.Ways {
		way.writeFailures(&b)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// writeRows aligns all columns but the first to the right.
func writeRows(b *strings.Builder, rows [][]string) {
	first := 0
	for _, row := range rows {
		first = max(first, len([]rune(row[0])))
	}
	tw := tabwriter.NewWriter(b, 12, 0, 2, ' ', tabwriter.AlignRight)
	for _, row := range rows {
		fmt.Fprintf(tw, "%-*s\t%s\t\n", first, row[0], strings.Join(row[1:], "\t"))
	}
	tw.Flush() // a strings.Builder takes everything
}

// requestRows has what became of the requests, by pattern.
func (r *Report) requestRows() [][]string {
	head, names := []string{""}, []string{"pattern"}
	all := []string{"all"}
	rows := [][]string{}
	for i, w := range r.Ways {
		head = append(head, string(w.Way), "")
		names = append(names, "requests", "failed")
		all = append(all, thousands(w.Total.Sent), thousands(w.Total.Failed))
		for j, p := range w.Patterns {
			if i == 0 {
				rows = append(rows, []string{p.Pattern.String()})
			}
			rows[j] = append(rows[j], thousands(p.Sent), thousands(p.Failed))
		}
	}
	return slices.Concat([][]string{head, names}, rows, [][]string{all})
}

// timeRows has the durations.
func (r *Report) timeRows() [][]string {
	rows := [][]string{
		{""}, {"takeovers"}, {"latency p50"}, {"latency p99"}, {"latency max"},
		{"cutover, median"}, {"cutover, max"}, {"flush, median"}, {"flush, max"}, {"rescued from the queues"},
		{"old version's drain, median"}, {"old version's drain, max"},
	}
	for _, w := range r.Ways {
		l := w.Total.Latency
		cells := []string{
			string(w.Way), fmt.Sprint(w.Done()), short(l.P50), short(l.P99), short(l.Max), "-", "-", "-", "-", "-",
		}
		if w.Way == Handover {
			cells = append(cells[:5], w.spread(func(t Takeover) time.Duration { return t.Cutover })...)
			cells = append(cells, w.spread(func(t Takeover) time.Duration { return t.Flush })...)
			cells = append(cells, thousands(uint64(w.flushed())))
		}
		cells = append(cells, w.spread(func(t Takeover) time.Duration { return t.Drain })...)
		for i, c := range cells {
			rows[i] = append(rows[i], c)
		}
	}
	return rows
}

func (r *Report) writeSick(b *strings.Builder) {
	for _, w := range r.Ways {
		if w.Sick.Version == "" {
			continue
		}
		got := "got no request"
		if w.Sick.Answered > 0 {
			got = fmt.Sprintf("got %s requests of clients", thousands(w.Sick.Answered))
		}
		fmt.Fprintf(b, "%s: %s, which never got healthy, %s and ended with code %d:\n  %s\n\n",
			w.Way, w.Sick.Version, got, w.Sick.ExitCode, w.Sick.Error)
	}
}

// writeFailures tells how requests failed: for the way that is to lose none,
// each of them.
func (w *WayReport) writeFailures(b *strings.Builder) {
	if w.Total.Failed == 0 {
		return
	}
	kinds := slices.SortedFunc(maps.Keys(w.Total.Failures), func(x, y load.Kind) int {
		return cmp.Or(cmp.Compare(w.Total.Failures[y], w.Total.Failures[x]), cmp.Compare(x, y))
	})
	var parts []string
	for _, k := range kinds {
		parts = append(parts, fmt.Sprintf("%s %s", thousands(w.Total.Failures[k]), k))
	}
	fmt.Fprintf(b, "%s failed: %s\n", w.Way, strings.Join(parts, ", "))
	if w.Way != Handover {
		return
	}
	for _, f := range w.Failures[:min(len(w.Failures), shownFailures)] {
		fmt.Fprintf(b, "  %s: %s\n", f.When, f.Failure)
	}
}

// Done is the number of takeovers that took place.
func (w *WayReport) Done() int {
	n := 0
	for _, t := range w.Takeovers {
		if t.Error == "" {
			n++
		}
	}
	return n
}

func (w *WayReport) flushed() int {
	n := 0
	for _, t := range w.Takeovers {
		n += t.Flushed
	}
	return n
}

// spread returns the median and the maximum over the takeovers that took place.
func (w *WayReport) spread(of func(Takeover) time.Duration) []string {
	var all []time.Duration
	for _, t := range w.Takeovers {
		if t.Error == "" {
			all = append(all, of(t))
		}
	}
	if len(all) == 0 {
		return []string{"-", "-"}
	}
	slices.Sort(all)
	return []string{short(all[(len(all)-1)/2]), short(all[len(all)-1])}
}

// thousands prints n with a comma before every third digit from the end.
func thousands(n uint64) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
