//go:build !linux

package reuse

import "context"

func listeners(context.Context, uint16) ([]Member, error) { return nil, errUnsupported }

func halfOpen(context.Context, GroupID) (map[handshake]bool, error) { return nil, errUnsupported }

func connections(context.Context, GroupID) ([]uint64, error) { return nil, errUnsupported }
