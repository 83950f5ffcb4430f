package demo

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gohandover/handover/cmd/handover/internal/terminal"
)

const (
	drawInterval = 100 * time.Millisecond

	// shareWindow is over how many draws the shares of the versions are taken.
	shareWindow = 5

	barWidth = 40
)

// View shows a demo while it runs: a line for each event, and on a terminal how
// things stand, redrawn in place.
type View struct {
	w      io.Writer
	style  terminal.Style
	screen *terminal.Screen // nil: plain lines

	past []Progress // the last ones drawn, oldest first
}

// NewView returns a view that writes to w; plain leaves out what is redrawn.
func NewView(w io.Writer, plain bool) *View {
	v := &View{w: w, style: terminal.StyleFor(w)}
	if !plain && terminal.Is(w) {
		v.screen = terminal.NewScreen(w)
	}
	return v
}

// Watch redraws until ctx ends, and then clears away what is redrawn.
func (v *View) Watch(ctx context.Context, d *Demo) {
	if v.screen == nil {
		return
	}
	tick := time.NewTicker(drawInterval)
	defer tick.Stop()
	for {
		if p, ok := d.Progress(); ok {
			v.screen.Draw(v.render(p))
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			v.screen.Draw(nil)
			return
		}
	}
}

// Print shows an event.
func (v *View) Print(e Event) {
	text := e.Text
	if e.Bad {
		text = v.style.Bad(text)
	}
	line := fmt.Sprintf("%6.1f s  %s", e.After.Seconds(), text)
	if v.screen != nil {
		v.screen.Print(line)
		return
	}
	fmt.Fprintln(v.w, line)
}

// render returns the block that is redrawn.
func (v *View) render(p Progress) []string {
	if len(v.past) > 0 && v.past[0].Way != p.Way {
		v.past = nil
	}
	v.past = append(v.past, p)
	v.past = v.past[max(0, len(v.past)-shareWindow-1):]
	before := v.past[0]
	rate := 0.0
	if d := p.Stats.Elapsed - before.Stats.Elapsed; d > 0 {
		rate = float64(p.Stats.Total.Answered-before.Stats.Total.Answered) / d.Seconds()
	}
	failed := v.style.Good("failed 0")
	if n := p.Stats.Total.Failed; n > 0 {
		failed = v.style.Bad("failed " + thousands(n))
	}
	block := []string{
		"",
		fmt.Sprintf("  %s on %s   takeover %d of %d   %.1f s", v.style.Strong(string(p.Way)), p.Address,
			p.Takeover, p.Takeovers, p.Stats.Elapsed.Seconds()),
		fmt.Sprintf("  now       %s", p.Step),
		fmt.Sprintf("  requests  %s   %s   in flight %d   %s/s", thousands(p.Stats.Total.Sent), failed,
			p.Stats.Total.InFlight, thousands(uint64(rate))),
	}
	return append(block, v.shares(before, p)...)
}

// shareLines is how many versions have a line; those that answered least of late
// are left out.
const shareLines = 3

// shares returns who answered of late, a bar for each version, and always as
// many lines.
func (v *View) shares(before, now Progress) []string {
	counts := map[string]uint64{now.Version: 0}
	var sum uint64
	for version, n := range now.Stats.Total.Versions {
		if d := n - before.Stats.Total.Versions[version]; d > 0 {
			counts[version] = d
			sum += d
		}
	}
	lines := make([]string, shareLines)
	versions := slices.SortedFunc(maps.Keys(counts), byNumber)
	versions = versions[max(0, len(versions)-shareLines):]
	for i, version := range versions {
		share := float64(counts[version]) / float64(max(sum, 1))
		n := int(share*barWidth + 0.5)
		bar := strings.Repeat("█", n) + strings.Repeat("░", barWidth-n)
		lines[i] = fmt.Sprintf("  %-8s  %s %3.0f %%", version, v.style.Tint(versionNumber(version), bar), 100*share)
	}
	return lines
}

// versionNumber is 12 for "v12" and "v12-sick".
func versionNumber(version string) int {
	digits, _, _ := strings.Cut(strings.TrimPrefix(version, "v"), "-")
	n, err := strconv.Atoi(digits)
	if err != nil {
		return 0
	}
	return n
}

func byNumber(a, b string) int { return versionNumber(a) - versionNumber(b) }

// Run runs the demo d in front of the view.
func (v *View) Run(ctx context.Context, d *Demo) (Report, error) {
	watched, stop := context.WithCancel(context.Background())
	var watching sync.WaitGroup
	watching.Go(func() { v.Watch(watched, d) })
	report, err := d.Run(ctx, v.Print)
	stop()
	watching.Wait()
	return report, err
}
