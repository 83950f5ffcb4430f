package health

import (
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// maxLine bounds, in bytes, every answer that is shown to people.
const maxLine = 512

// textError is err, told in other words.
type textError struct {
	text string
	err  error
}

func (e *textError) Error() string { return e.text }
func (e *textError) Unwrap() error { return e.err }

// oneLine makes s fit to be shown on one line of a terminal or a log: answers come from programs nobody here wrote.
func oneLine(s string) string {
	s = clip(s, 2*maxLine) // before the rest: s may be huge
	var lines []string
	for line := range strings.Lines(s) {
		if line = strings.TrimSpace(strings.Map(printable, line)); line != "" {
			lines = append(lines, line)
		}
	}
	return clip(strings.Join(lines, "; "), maxLine)
}

func printable(r rune) rune {
	switch {
	case r == utf8.RuneError:
		return '?'
	case unicode.IsPrint(r):
		return r
	}
	return ' '
}

// clip cuts s to at most limit bytes, between two runes.
func clip(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	const mark = "..."
	end := limit - len(mark)
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + mark
}

// telling returns the lines of an answer that say what is wrong: the failed checks where it lists checks, else its first line.
func telling(body string) string {
	var first string
	var failed []string
	for line := range strings.Lines(body) {
		line = strings.TrimSpace(line)
		if first == "" {
			first = line
		}
		if strings.HasPrefix(line, "[-]") {
			failed = append(failed, line)
		}
	}
	if len(failed) > 0 {
		return oneLine(strings.Join(failed, "\n"))
	}
	return oneLine(first)
}

// lastLine returns the last line of s that is not blank.
func lastLine(s string) string {
	s = strings.TrimSpace(s)
	return oneLine(s[strings.LastIndexAny(s, "\r\n")+1:])
}

// short prints d as people write it: 60s, 2.5s, 250ms.
func short(d time.Duration) string {
	if d < time.Second {
		return d.Round(time.Millisecond).String()
	}
	return strconv.FormatFloat(d.Round(100*time.Millisecond).Seconds(), 'f', -1, 64) + "s"
}

// with appends a detail to a text, where there is one.
func with(text, detail string) string {
	if detail == "" {
		return text
	}
	return text + ": " + detail
}
