// Package terminal writes for people: colours where they are wanted, and lines
// that are redrawn in place.
package terminal

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
)

// Is tells whether w is a terminal that understands escape sequences.
func Is(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && os.Getenv("TERM") != "dumb" && os.Getenv("TERM") != "" && isTerminal(f)
}

// Style colours text, or doesn't. The zero value doesn't.
type Style struct{ on bool }

// StyleFor returns the style for w: colours on a terminal whose user has not
// said NO_COLOR.
func StyleFor(w io.Writer) Style { return Style{on: Is(w) && os.Getenv("NO_COLOR") == ""} }

// Good is for what is as it should be, Bad for what is not, Warn for what is
// between; Strong and Faint are for more and less important things.
func (s Style) Good(text string) string   { return s.sgr("32", text) }
func (s Style) Bad(text string) string    { return s.sgr("1;31", text) } // see Good
func (s Style) Warn(text string) string   { return s.sgr("33", text) }   // see Good
func (s Style) Strong(text string) string { return s.sgr("1", text) }    // see Good
func (s Style) Faint(text string) string  { return s.sgr("2", text) }    // see Good
func (s Style) Tint(n int, text string) string { // one of six colours, to tell things apart
	return s.sgr(fmt.Sprint([...]int{36, 35, 34, 33, 32, 96}[n%6]), text)
}

func (s Style) sgr(code, text string) string {
	if !s.on {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// Screen keeps a block of lines at the end of what is written to a terminal.
// Its methods may be called concurrently.
type Screen struct {
	w io.Writer

	mu    sync.Mutex
	block []string
}

// NewScreen returns a screen without a block. W must be a terminal.
func NewScreen(w io.Writer) *Screen { return &Screen{w: w} }

// Print writes a line that stays, above the block.
func (s *Screen) Print(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writeLocked([]string{line}, s.block)
}

// Draw replaces the block.
func (s *Screen) Draw(block []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writeLocked(nil, block)
}

// writeLocked writes everything at once, so that nothing flickers and the
// terminal is never left in another mode: lines are cut at its edge, as wrapped
// ones could not be counted.
func (s *Screen) writeLocked(lines, block []string) {
	var b strings.Builder
	b.WriteString("\x1b[?7l")
	if n := len(s.block); n > 0 {
		fmt.Fprintf(&b, "\x1b[%dA\r", n)
	}
	b.WriteString("\x1b[J\x1b[?7h")
	for _, l := range lines {
		b.WriteString(l + "\n") // these may be longer than the terminal is wide
	}
	b.WriteString("\x1b[?7l")
	for _, l := range block {
		b.WriteString(l + "\n")
	}
	b.WriteString("\x1b[?7h")
	s.block = block
	_, _ = io.WriteString(s.w, b.String()) // a terminal that is gone needs no drawing
}
