package control

import (
	"slices"
	"time"
)

// State is where a generation is in its life. A newer peer may report one that
// this version has no constant for: treat it as neither active nor stopped.
type State string

// The states of a generation, in the order in which it passes through them.
// Canary and parked are optional; failed can follow any other.
const (
	StateStarting State = "starting" // warming up, not yet healthy
	StateStandby  State = "standby"  // healthy, selected for nothing
	StateCanary   State = "canary"   // gets a share of the new connections
	StateActive   State = "active"   // gets the new connections
	StateParked   State = "parked"   // still listening, selected for nothing
	StateDraining State = "draining" // finishing what it began
	StateStopped  State = "stopped"
	StateFailed   State = "failed"
)

// Member is one listening socket of a generation.
type Member struct {
	Network string `json:"network"`          // "tcp4", "tcp6", ...
	Address string `json:"address"`          // as bound, for example "[::]:8080"
	Cookie  uint64 `json:"cookie,omitempty"` // SO_COOKIE; 0 where unknown
	Inode   uint64 `json:"inode,omitempty"`  // of the socket, as in /proc/PID/fd; 0 where unknown
}

// Status is what an agent tells about its generation. Everything in it is the
// claim of a process of the same user: unlike credentials, it is not checked.
type Status struct {
	// Protocol is the highest protocol version the agent speaks and Verbs are
	// the requests it answers. The [Server] sets both, and also Service,
	// Instance and UID.
	Protocol int      `json:"protocol"`
	Verbs    []string `json:"verbs"`
	Service  string   `json:"service"`
	Instance string   `json:"instance"`
	UID      int      `json:"uid"` // effective, as the agent sees itself

	Version    string `json:"version,omitempty"` // of the program, as its owner names it
	Generation int    `json:"generation"`        // 1, 2, 3...
	PID        int    `json:"pid"`               // in the agent's PID namespace; the [Server] sets it where it is 0

	State   State     `json:"state"`
	Since   time.Time `json:"since,omitzero"` // when State was entered
	Started time.Time `json:"started,omitzero"`
	Error   string    `json:"error,omitempty"` // why State is failed

	Members     []Member       `json:"members,omitempty"`
	InFlight    int            `json:"in_flight"`             // requests begun and not ended
	Connections map[string]int `json:"connections,omitempty"` // open ones by kind

	Coordinator   string     `json:"coordinator,omitempty"`    // who drives the handover this generation is part of
	Flushed       int64      `json:"flushed,omitempty"`        // connections rescued from the queue after the cutover
	DrainDeadline *time.Time `json:"drain_deadline,omitempty"` // nil while not draining, or where there is none
}

// Supports reports whether the agent answers verb.
func (s *Status) Supports(verb string) bool { return slices.Contains(s.Verbs, verb) }
