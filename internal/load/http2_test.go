package load

import (
	"encoding/binary"
	"io"
	"testing"
)

// The frame types and error codes of RFC 9113 that refuse needs.
const (
	frameHeaders   = 1
	frameRstStream = 3
	frameSettings  = 4

	refusedStream = 7
	cancelStream  = 8
)

// refuse speaks as much HTTP/2 as it takes to refuse a connection's first request as not processed and to reset all others.
func refuse(v visit) {
	preface := make([]byte, len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
	if _, err := io.ReadFull(v.reader, preface); err != nil {
		return
	}
	v.Write(frame(frameSettings, 0, nil))
	for {
		var header [9]byte
		if _, err := io.ReadFull(v.reader, header[:]); err != nil {
			return
		}
		size := int64(header[0])<<16 | int64(header[1])<<8 | int64(header[2])
		if _, err := io.CopyN(io.Discard, v.reader, size); err != nil {
			return
		}
		if header[3] != frameHeaders {
			continue
		}
		code := byte(cancelStream)
		if v.server.requests.Add(1) == 1 {
			code = refusedStream
		}
		v.Write(frame(frameRstStream, binary.BigEndian.Uint32(header[5:]), []byte{0, 0, 0, code}))
	}
}

// frame returns an HTTP/2 frame without flags.
func frame(kind byte, stream uint32, payload []byte) []byte {
	header := binary.BigEndian.AppendUint32([]byte{0, 0, byte(len(payload)), kind, 0}, stream)
	return append(header, payload...)
}

func TestRequestSentAgainCountsOnce(t *testing.T) {
	t.Parallel()
	server := serveScript(t, refuse)
	result := once(t, server.addr, H2Get, 1)
	wantOneFailure(t, result, H2Get, ResetAfter)
	if got := server.requests.Load(); got != 2 || result.Total.Resent != 1 {
		t.Errorf("the server has read %d requests and %d count as sent again, want 2 and 1", got, result.Total.Resent)
	}
}
