package reuse

import (
	"errors"
	"fmt"
)

// WholeShare is the sum of the weights of a plan's shares: a weight is a
// number of ten-thousandths of the new connections.
const WholeShare = 10_000

// MaxIndex is the highest member index that a plan may name and the loopback
// mark can carry: the mark puts 255 less the index into a packet's TTL, and no
// packet leaves with a TTL of 0.
const MaxIndex = maxTTL - 1

// A Plan says which members of a group get its new connections. It is turned
// into a classic BPF program by [Plan.Program].
//
// The zero Plan leaves the choice to the kernel's hash over all members, as if
// there were no program, but keeps the loopback mark: see [MemberDialer].
type Plan struct {
	// Shares divides the new connections; their weights add up to WholeShare.
	Shares []Share

	// Sticky sends every connection of one client address to the same share
	// and member, where the zero value chooses at random for each connection.
	// An IPv6 client is known by the upper 64 bits of its address, since hosts
	// change the lower ones at will.
	Sticky bool

	// Salt varies which clients a sticky plan selects, so that it is not the
	// same unlucky ones in every canary. Equal plans with equal salts agree.
	Salt uint32
}

// A Share is a set of members that get a part of the new connections, each
// member as many as its neighbour.
type Share struct {
	Members []int // indices in the group's order
	Weight  int   // ten-thousandths of all new connections
}

// Only returns the plan that sends every new connection to the members named.
func Only(members ...int) Plan {
	return Plan{Shares: []Share{{Members: members, Weight: WholeShare}}}
}

// ErrPlan is wrapped by every error that [Plan.Validate] returns.
var ErrPlan = errors.New("reuse: bad plan")

// Validate tells whether p can be turned into a program: every share names at
// least one member, no member stands in two places, indices are from 0 to
// MaxIndex, and weights are at least 0 and add up to WholeShare.
func (p Plan) Validate() error {
	if len(p.Shares) == 0 {
		return nil
	}
	seen := map[int]bool{}
	sum := 0
	for _, s := range p.Shares {
		if len(s.Members) == 0 {
			return fmt.Errorf("%w: a share without members", ErrPlan)
		}
		if s.Weight < 0 || s.Weight > WholeShare {
			return fmt.Errorf("%w: weight %d is not within 0 and %d", ErrPlan, s.Weight, WholeShare)
		}
		sum += s.Weight
		for _, m := range s.Members {
			if m < 0 || m > MaxIndex {
				return fmt.Errorf("%w: member index %d is not within 0 and %d", ErrPlan, m, MaxIndex)
			}
			if seen[m] {
				return fmt.Errorf("%w: member %d is named twice", ErrPlan, m)
			}
			seen[m] = true
		}
	}
	if sum != WholeShare {
		return fmt.Errorf("%w: weights add up to %d, not %d", ErrPlan, sum, WholeShare)
	}
	return nil
}
