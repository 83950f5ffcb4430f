package health

import (
	"errors"
	"strings"
)

// split splits a command into words, by the rules that [ParseProbe] tells.
func split(s string) ([]string, error) {
	var words []string
	var word strings.Builder
	var quoted byte // the quote that is open, or 0
	escaped, inWord := false, false
	for i := range len(s) {
		switch c := s[i]; {
		case escaped:
			word.WriteByte(c)
			escaped = false
		case c == '\\' && quoted != '\'':
			escaped, inWord = true, true
		case quoted != 0 && c == quoted:
			quoted = 0
		case quoted != 0:
			word.WriteByte(c)
		case c == '\'' || c == '"':
			quoted, inWord = c, true
		case strings.IndexByte(" \t\r\n", c) >= 0:
			if inWord {
				words = append(words, word.String())
				word.Reset()
				inWord = false
			}
		default:
			word.WriteByte(c)
			inWord = true
		}
	}
	switch {
	case quoted != 0:
		return nil, errors.New("a quote is not closed")
	case escaped:
		return nil, errors.New("a backslash at the end")
	case inWord:
		words = append(words, word.String())
	}
	return words, nil
}

// quote makes a word that split reads back.
func quote(word string) string {
	if word != "" && !strings.ContainsAny(word, " \t\r\n'\"\\") {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
