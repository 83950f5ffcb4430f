package load

import (
	"maps"
	"strings"
	"testing"
	"time"
)

func TestShare(t *testing.T) {
	tests := []struct {
		clients int
		weights map[Pattern]int
		want    map[Pattern]int
	}{
		{52, HTTP1(), HTTP1()},
		{52, HTTP2(), HTTP2()},
		{6, HTTP1(), map[Pattern]int{
			NewConnection: 1, KeepAliveGet: 1, KeepAlivePost: 1, SlowRequest: 1, LateFirstByte: 1, ChunkedUpload: 1,
		}},
		{104, map[Pattern]int{NewConnection: 16, SlowRequest: 8, ChunkedUpload: 4, H2Get: 0}, map[Pattern]int{
			NewConnection: 59, SlowRequest: 30, ChunkedUpload: 15,
		}},
		{1, map[Pattern]int{H2Get: 7}, map[Pattern]int{H2Get: 1}},
	}
	for _, tt := range tests {
		clients, err := share(tt.clients, tt.weights)
		if err != nil {
			t.Fatal(err)
		}
		got := make(map[Pattern]int)
		for _, p := range clients {
			got[p]++
		}
		if !maps.Equal(got, tt.want) {
			t.Errorf("%d clients by %v: got %v, want %v", tt.clients, tt.weights, got, tt.want)
		}
	}
}

func TestStartRefusesConfig(t *testing.T) {
	const addr = "127.0.0.1:1"
	tests := []struct {
		cfg  Config
		want string
	}{
		{Config{}, "not an IP address and a port"},
		{Config{Address: "localhost:80"}, "not an IP address and a port"},
		{Config{Address: addr, Clients: MaxClients + 1}, "clients"},
		{Config{Address: addr, Clients: -1}, "clients"},
		{Config{Address: addr, Clients: 5}, "6 patterns for 5 clients"},
		{Config{Address: addr, Patterns: map[Pattern]int{}}, "0 patterns"},
		{Config{Address: addr, Patterns: map[Pattern]int{patternCount: 1}}, "there is no pattern 9"},
		{Config{Address: addr, Patterns: map[Pattern]int{H2Get: -1}}, "weight -1"},
		{Config{Address: addr, Size: maxSize + 1}, "size"},
		{Config{Address: addr, Timeout: -time.Second}, "above zero"},
		{Config{Address: addr, StreamsPerConn: -1}, "streams"},
	}
	for _, tt := range tests {
		l, err := Start(t.Context(), tt.cfg)
		if l != nil || err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: got %v and %v, want an error with %q", tt.cfg, l, err, tt.want)
		}
	}
}
