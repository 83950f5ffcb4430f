package health

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
)

// ParseProbe makes a probe from text:
//
//	/readyz?verbose                 GET of a path at base
//	http://host:port/path           GET; https:// verifies the certificate, https+insecure:// does not
//	tcp://host:port                 a TCP connection
//	grpc://host:port/service        the gRPC health service; the service may be left out; grpcs:// and grpcs+insecure:// use TLS
//	exec:CMD ARG...                 a command
//
// Base is where the service itself is reached, as a listen address (":8080") or as http://host:port or
// https://host:port; it may be empty if s is not a path. An empty or wildcard host means loopback, in base and in s.
//
// A command is run without a shell. Its words are separated by spaces. Text in single quotes is taken as it is; in double quotes
// and outside of quotes a backslash takes the next character as it is. Nothing else is special: for a pipe or a variable write
// exec:sh -c '...'.
func ParseProbe(s, base string) (Probe, error) {
	p, err := parseProbe(s, base)
	if err != nil {
		return nil, fmt.Errorf("probe %q: %w", clip(redact(s), maxLine), err)
	}
	return p, nil
}

func parseProbe(s, base string) (Probe, error) {
	if command, ok := strings.CutPrefix(s, "exec:"); ok {
		words, err := split(command)
		if err != nil {
			return nil, err
		}
		p := ExecProbe{Command: words}
		return p, p.Validate()
	}
	if strings.HasPrefix(s, "/") {
		root, err := baseURL(base)
		if err != nil {
			return nil, err
		}
		s = root + s
	}
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok {
		return nil, errors.New("want a path, or a URL that begins with http, https, tcp or grpc, or exec:COMMAND")
	}
	var config *tls.Config
	if strings.HasSuffix(scheme, "+insecure") || scheme == "grpcs" {
		config = &tls.Config{InsecureSkipVerify: scheme != "grpcs"}
	}
	switch scheme {
	case "http", "https", "https+insecure":
		return parseHTTP(strings.TrimSuffix(scheme, "+insecure")+"://"+rest, config)
	case "tcp":
		p := TCPProbe{Address: loopback(rest)}
		return p, p.Validate()
	case "grpc", "grpcs", "grpcs+insecure":
		address, service, _ := strings.Cut(rest, "/")
		p := GRPCProbe{Address: loopback(address), Service: service, TLS: config}
		return p, p.Validate()
	}
	return nil, fmt.Errorf("unknown scheme %q: want http, https, https+insecure, tcp, grpc, grpcs or grpcs+insecure", clip(scheme, maxLine))
}

func parseHTTP(s string, config *tls.Config) (Probe, error) {
	u, err := url.Parse(s)
	if err != nil {
		return nil, withoutURL(err)
	}
	u.Host = loopback(u.Host)
	p := HTTPProbe{URL: u.String(), TLS: config}
	return p, p.Validate()
}

// baseURL returns scheme://host:port of the service.
func baseURL(base string) (string, error) {
	if base == "" {
		return "", errors.New("a path needs the address of the service; write the whole URL")
	}
	scheme, address, ok := strings.Cut(strings.TrimSuffix(base, "/"), "://")
	if !ok {
		scheme, address = "http", base
	}
	switch scheme {
	case "http", "https", "https+insecure":
	default:
		return "", fmt.Errorf("the service's address %q has scheme %q: want http or https", clip(base, maxLine), clip(scheme, maxLine))
	}
	if err := validateAddress(loopback(address)); err != nil {
		return "", fmt.Errorf("the service's address: %w", err)
	}
	return scheme + "://" + loopback(address), nil
}

// loopback replaces an empty or wildcard host, which can be listened on but not reached everywhere.
func loopback(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	if host == "" {
		return net.JoinHostPort("127.0.0.1", port)
	}
	switch ip, _ := netip.ParseAddr(host); ip {
	case netip.IPv4Unspecified():
		return net.JoinHostPort("127.0.0.1", port)
	case netip.IPv6Unspecified():
		return net.JoinHostPort("::1", port)
	}
	return address
}

// redact hides a password in a URL.
func redact(s string) string {
	if u, err := url.Parse(s); err == nil {
		if _, secret := u.User.Password(); secret {
			return u.Redacted()
		}
		return s
	}
	if at := strings.LastIndex(s, "@"); at >= 0 {
		return "xxxxx" + s[at:] // too malformed to tell what of it is a password
	}
	return s
}
