package control

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"testing"
)

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"coordinator":"a","flush_timeout_ns":1,"cutover_at":"2026-01-02T03:04:05Z","x":1}`))
	f.Add([]byte(""))
	f.Add([]byte("[]"))
	f.Add([]byte("{}{}"))
	f.Fuzz(func(t *testing.T, body []byte) {
		var req DrainRequest
		if decode(body, &req) != nil {
			return
		}
		again, err := json.Marshal(req)
		if err != nil {
			t.Fatalf("%+v was read and cannot be written: %v", req, err)
		}
		var back DrainRequest
		if err := decode(again, &back); err != nil || !back.CutoverAt.Equal(req.CutoverAt) || back.Coordinator != req.Coordinator {
			t.Errorf("%+v came back as %+v, %v", req, back, err)
		}
	})
}

// Whatever bytes come, the server goes on answering.
func FuzzServer(f *testing.F) {
	s := startServer(f, &fakeAgent{}, Options{}, nil)
	f.Add([]byte("GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n"))
	f.Add([]byte("POST /v1/drain HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"))
	f.Add([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
	f.Fuzz(func(t *testing.T, sent []byte) {
		conn := dialRaw(t, s.Peer().Name)
		conn.Write(sent)
		conn.CloseWrite()
		if bytes.Contains(sent, []byte("events")) {
			conn.Close()
		}
		io.Copy(io.Discard, conn)
		if _, err := client(s).Status(testContext(t)); err != nil {
			t.Errorf("Status after %q: %v", sent, err)
		}
	})
}

// Whatever a peer answers, the client comes back.
func FuzzClient(f *testing.F) {
	answers := make(chan []byte, 8)
	p := answerWith(f, func(conn net.Conn) {
		select {
		case answer := <-answers:
			respond(string(answer))(conn)
		default: // the client looking whether the peer is still there
		}
	})
	f.Add([]byte(jsonAnswer(200, `{"protocol":1}`)))
	f.Add([]byte(jsonAnswer(500, `{"error":"x","code":"y","hint":"z"}`)))
	f.Add([]byte("HTTP/1.1 100 Continue\r\n\r\n"))
	f.Add([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n"))
	f.Fuzz(func(t *testing.T, answer []byte) {
		c := NewClient(p, ClientOptions{})
		answers <- answer
		if st, err := c.Status(testContext(t)); err == nil && st.Protocol < 1 {
			t.Errorf("status %+v of %q", st, answer)
		}
		answers <- answer
		n := 0
		for range c.Events(testContext(t)) {
			if n++; n > len(answer)+1 {
				t.Fatalf("%d events of %q", n, answer)
			}
		}
	})
}
