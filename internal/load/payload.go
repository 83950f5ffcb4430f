package load

import (
	"bytes"
	"strconv"
	"time"
)

// tokenLen is the length of a request's token in hexadecimal.
const tokenLen = 16

// appendToken appends the token in hexadecimal, in its full length.
func appendToken(dst []byte, token uint64) []byte {
	const digits = "0123456789abcdef"
	for shift := 60; shift >= 0; shift -= 4 {
		dst = append(dst, digits[token>>shift&15])
	}
	return dst
}

// appendBody appends size bytes that no other request has: its token, over and over, so that a piece of another
// answer is noticed wherever it is.
func appendBody(dst []byte, token uint64, size int) []byte {
	var unit [tokenLen]byte
	appendToken(unit[:0], token)
	for ; size > 0; size -= tokenLen {
		dst = append(dst, unit[:min(size, tokenLen)]...)
	}
	return dst
}

// appendTarget appends the path and query of a request.
func appendTarget(dst []byte, path string, token uint64, size int, wait time.Duration) []byte {
	dst = append(dst, path...)
	dst = append(dst, "?token="...)
	dst = appendToken(dst, token)
	dst = append(dst, "&size="...)
	dst = strconv.AppendInt(dst, int64(size), 10)
	dst = append(dst, "&ms="...)
	return strconv.AppendInt(dst, wait.Milliseconds(), 10)
}

// verify returns nil if got is the body wanted, and otherwise where it is not. byClose says that only the end of the
// connection ended the body, so that one too short was cut.
func verify(got, want []byte, byClose bool) *exchangeError {
	if bytes.Equal(got, want) {
		return nil
	}
	if byClose && bytes.HasPrefix(want, got) {
		return fail(Truncated, "the answer ended by the connection's close after %d of %d bytes", len(got), len(want))
	}
	at := 0
	for at < min(len(got), len(want)) && got[at] == want[at] {
		at++
	}
	end := func(b []byte) []byte { return b[at:min(len(b), at+2*tokenLen)] }
	return fail(WrongBody, "a body of %d bytes, want %d; differs at byte %d: %q, want %q",
		len(got), len(want), at, end(got), end(want))
}
