package health_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/gohandover/handover/health"
)

func TestParseProbe(t *testing.T) {
	for _, test := range []struct{ text, base, want string }{
		{"/readyz", ":8080", "GET http://127.0.0.1:8080/readyz"},
		{"/readyz?verbose", "0.0.0.0:8080", "GET http://127.0.0.1:8080/readyz?verbose"},
		{"/", "[::]:8080", "GET http://[::1]:8080/"},
		{"/readyz", "[::0]:8080", "GET http://[::1]:8080/readyz"},
		{"/readyz", "https://shop.example:8443/", "GET https://shop.example:8443/readyz"},
		{"/readyz", "https+insecure://:8443", "GET https://127.0.0.1:8443/readyz"},
		{"http://:8080/x", "", "GET http://127.0.0.1:8080/x"},
		{"https://example.com/x?a=b", "", "GET https://example.com/x?a=b"},
		{"http://ann:secret@example.com/", "", "GET http://ann:xxxxx@example.com/"},
		{"tcp://:5432", "", "tcp://127.0.0.1:5432"},
		{"tcp://[::1]:5432", "", "tcp://[::1]:5432"},
		{"grpc://localhost:50051", "", "grpc://localhost:50051"},
		{"grpc://localhost:50051/", "", "grpc://localhost:50051"},
		{"grpc://localhost:50051/shop.v1.Orders", "", "grpc://localhost:50051/shop.v1.Orders"},
		{"grpcs://localhost:50051", "", "grpcs://localhost:50051"},
		{"grpcs+insecure://localhost:50051/a", "", "grpcs+insecure://localhost:50051/a"},
		{"exec:curl -f  localhost", "", "exec:curl -f localhost"},
		{`exec: sh -c 'echo "$A" | wc'`, "", `exec:sh -c 'echo "$A" | wc'`},
	} {
		p, err := health.ParseProbe(test.text, test.base)
		if err != nil || p.String() != test.want {
			t.Errorf("ParseProbe(%q, %q) = %v, %v; want %s", test.text, test.base, p, err, test.want)
		}
	}
}

func TestParseProbeWords(t *testing.T) {
	for text, want := range map[string][]string{
		`a`:               {"a"},
		"  a\tb \n":       {"a", "b"},
		`a '' ""`:         {"a", "", ""},
		`a 'b c'd"e f"\ `: {"a", "b cde f "},
		`a "\"\\" '\'`:    {"a", `"\`, `\`},
		`a \'b $HOME *`:   {"a", "'b", "$HOME", "*"},
		"a \xff":          {"a", "\xff"},
	} {
		p, err := health.ParseProbe("exec:"+text, "")
		if err != nil || !reflect.DeepEqual(p.(health.ExecProbe).Command, want) {
			t.Errorf("%s: %#v, %v; want %q", text, p, err, want)
		}
	}
}

func TestParseProbeRefuses(t *testing.T) {
	for _, test := range []struct{ text, base, want string }{
		{"", "", `probe "": want a path, or a URL that begins with http, https, tcp or grpc, or exec:COMMAND`},
		{"readyz", ":80", `probe "readyz": want a path, or a URL that begins with http, https, tcp or grpc, or exec:COMMAND`},
		{"/readyz", "", `probe "/readyz": a path needs the address of the service; write the whole URL`},
		{"/readyz", "8080", `probe "/readyz": the service's address: address 8080: missing port in address`},
		{"/readyz", "http://h:80/x", `probe "/readyz": the service's address: address h:80/x: the port must be a number from 1 to 65535`},
		{"/readyz", "tcp://h:80", `probe "/readyz": the service's address "tcp://h:80" has scheme "tcp": want http or https`},
		{"ftp://h/", "", `probe "ftp://h/": unknown scheme "ftp": want http, https, https+insecure, tcp, grpc, grpcs or grpcs+insecure`},
		{"tcp+insecure://h:1", "", `probe "tcp+insecure://h:1": unknown scheme "tcp+insecure": want http, https, https+insecure, tcp, grpc, grpcs or grpcs+insecure`},
		{"http://", "", `probe "http://": URL http:: no host`},
		{"tcp://h", "", `probe "tcp://h": address h: missing port in address`},
		{"tcp://h\x1b:1", "", `probe "tcp://h\x1b:1": address "h\x1b:1": want host:port`},
		{"tcp://h:0", "", `probe "tcp://h:0": address h:0: the port must be a number from 1 to 65535`},
		{"grpc://h:1/a/b", "", `probe "grpc://h:1/a/b": service "a/b": want a name such as shop.v1.Orders`},
		{"exec:", "", `probe "exec:": no command`},
		{"exec:''", "", `probe "exec:''": no command`},
		{"exec:a 'b", "", `probe "exec:a 'b": a quote is not closed`},
		{`exec:a \`, "", `probe "exec:a \\": a backslash at the end`},
		{"exec:a\x00", "", `probe "exec:a\x00": a zero byte in the command`},
		{"http://ann:secret@h:x/", "", `probe "xxxxx@h:x/": malformed URL: invalid port ":x" after host`},
	} {
		p, err := health.ParseProbe(test.text, test.base)
		wantError(t, err, test.want)
		if p != nil {
			t.Errorf("ParseProbe(%q) returned a probe with its error: %v", test.text, p)
		}
	}
}

func FuzzParseProbe(f *testing.F) {
	for _, seed := range []string{
		"/readyz?verbose", "//evil/", "http://:8080/", "https+insecure://u:p@[::1]:1/%zz", "tcp://[::]:1", "tcp://[fe80::1%25lo]:1", "grpc://h:1/s",
		"grpcs+insecure://h:65536/", `exec:sh -c 'a "b" \' "\"" \ `, "exec:a\xff \x00", "://", "+insecure://h:1",
	} {
		f.Add(seed, ":8080")
	}
	f.Add("/", "https://[::]:443/")
	f.Fuzz(func(t *testing.T, text, base string) {
		p, err := health.ParseProbe(text, base)
		if err != nil {
			if p != nil || strings.ContainsAny(err.Error(), "\n\x1b") {
				t.Fatalf("%v with error %q", p, err)
			}
			return
		}
		if err := (health.Gate{Probes: []health.Probe{p}}).Validate(); err != nil {
			t.Fatalf("what was parsed is not valid: %v", err)
		}
		if _, ok := p.(health.HTTPProbe); ok {
			return // its name is for people
		}
		again, err := health.ParseProbe(p.String(), "")
		if err != nil || !reflect.DeepEqual(again, p) {
			t.Fatalf("%q was parsed to %#v and its String() %q to %#v, %v", text, p, p, again, err)
		}
	})
}
