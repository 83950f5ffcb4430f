package control

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// The fields of /proc/net/unix before the name are
// Num RefCount Protocol Flags Type St Inode.
const (
	fieldFlags    = 3
	fieldType     = 4
	fieldsInFront = 7
)

// parseUnix reads a file as /proc/net/unix and passes on the names of the
// listening stream sockets. Anyone chooses names, with spaces and newlines if
// he likes, so a line may be anything; an abstract name begins with "@".
func parseUnix(r io.Reader, add func(name string)) error {
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			if err = skipLine(lines); err == nil {
				continue
			}
			line = nil
		}
		if name, ok := listening(bytes.TrimSuffix(line, []byte("\n"))); ok {
			add(name)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// skipLine reads to the end of a line longer than the buffer.
func skipLine(lines *bufio.Reader) error {
	for {
		_, err := lines.ReadSlice('\n')
		if !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
	}
}

// listening returns the name in a line of a listening stream socket.
func listening(line []byte) (string, bool) {
	var field []byte
	for i := range fieldsInFront {
		var ok bool
		field, line, ok = bytes.Cut(bytes.TrimLeft(line, " "), []byte(" "))
		switch {
		case !ok,
			i == fieldFlags && string(field) != "00010000", // __SO_ACCEPTCON
			i == fieldType && string(field) != "0001":      // SOCK_STREAM
			return "", false
		}
	}
	return string(line), len(line) > 0
}
