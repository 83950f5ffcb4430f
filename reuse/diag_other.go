//go:build !linux

package reuse

import "context"

func listeners(context.Context, uint16) ([]Member, error) { return nil, errUnsupported }

func halfOpen(context.Context, uint16) (map[handshake]bool, error) { return nil, errUnsupported }
