//go:build !linux

package control

import (
	"context"
	"errors"
	"testing"
)

func play(string) {}

func TestOtherSystemsSayThatTheyAreUnsupported(t *testing.T) {
	_, listenErr := Listen("web", Options{})
	_, peersErr := Peers(context.Background(), "web")
	_, servicesErr := Services(context.Background())
	_, aliveErr := Alive(context.Background(), NewInstance())
	_, statusErr := NewClient(Peer{Name: "@handover/0/web/0123456789abcdef"}, ClientOptions{}).Status(context.Background())
	for name, err := range map[string]error{
		"Listen": listenErr, "Peers": peersErr, "Services": servicesErr, "Alive": aliveErr, "Status": statusErr,
	} {
		if !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%s: %v, want errors.ErrUnsupported", name, err)
		}
	}
}
