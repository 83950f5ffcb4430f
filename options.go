package handover

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/gohandover/handover/drain"
	"github.com/gohandover/handover/health"
	"github.com/gohandover/handover/internal/control"
	"github.com/gohandover/handover/reuse"
)

// Options say how a service is handed over. The zero value is ready for use;
// what it leaves open is taken from the environment (see the package comment),
// then from the defaults named here.
type Options struct {
	// Name is the service's name: versions with the same name hand over to
	// each other, in one network namespace and for one user. The default is
	// the first address as written, such as ":8080". Environment: HANDOVER_NAME.
	Name string

	// Version is shown to people. The default is the version of the main
	// module or its revision, from the build. Environment: HANDOVER_VERSION.
	Version string

	// Addresses are where the service listens, for [Serve]; the default is the
	// server's Addr. A new version has to list all addresses of the running one.
	Addresses []string

	// Health holds the checks that a version must pass before it gets clients.
	// Mount its Handler where probes look for it. It turns unready when the
	// version is relieved. Nil means no checks.
	Health *health.Health

	// Probes are asked before the cutover too, as [health.ParseProbe] reads
	// them. A path such as "/readyz", and any probe of the service's own port on
	// this host, is asked of the new version itself, whatever the running one
	// answers there. Environment: HANDOVER_PROBES, separated by blanks.
	Probes []string

	// Gate says how often and how long checks and probes are tried. Its own
	// Probes field is not used. Environment: HANDOVER_START_TIMEOUT.
	Gate health.Gate

	// Drain finishes what was begun, and is where background tasks and clean-ups
	// are registered. What its options leave open is taken from here (Logger) and
	// from the environment: HANDOVER_DRAIN_TIMEOUT, which may be "none", and
	// HANDOVER_IDLE_GRACE. Nil means a new one.
	Drain *drain.Drain

	// FlushTimeout bounds the time in which the old version empties its accept
	// queues after the cutover; the default is 10 seconds. Environment:
	// HANDOVER_FLUSH_TIMEOUT.
	FlushTimeout time.Duration

	// LockTimeout bounds the wait for another handover of the service to end;
	// the default is 2 minutes. Environment: HANDOVER_LOCK_TIMEOUT.
	LockTimeout time.Duration

	// ForeignTimeout bounds the time that the connections of a predecessor get
	// which was not built with this package, between its queue's end and SIGTERM;
	// the default is 30 seconds. Environment: HANDOVER_FOREIGN_TIMEOUT.
	ForeignTimeout time.Duration

	// Bake is how long the old version stays behind the new one, still
	// listening. If the new one's health falls in that time the old one gets
	// the clients back. The default is not to wait. Environment: HANDOVER_BAKE.
	Bake time.Duration

	// Hooks are called at the turns of a version's life.
	Hooks Hooks

	// Signals says what signals do.
	Signals Signals

	// Logger is told what happens; the default is [slog.Default].
	Logger *slog.Logger

	// Control is called for each listening socket before it is bound, like
	// [net.ListenConfig.Control].
	Control func(network, address string, c syscall.RawConn) error
}

// Hooks are called at the turns of a version's life, one at a time. Each may be
// nil.
type Hooks struct {
	// BeforeStart warms up, when the addresses are known to be free or fit to
	// be taken over, and before the version listens. An error ends the
	// handover; the running version is not affected.
	BeforeStart func(context.Context) error

	// Ready is called when the version has the clients and is alone on its
	// addresses: the handover is done.
	Ready func(Info)

	// AfterCutover is called as soon as new connections go to this version. It
	// should return soon.
	AfterCutover func(Info)

	// AfterDrain is called when all that the version had begun has ended, after
	// the clean-ups of Drain.
	AfterDrain func(Info)
}

// Info is what hooks are told.
type Info struct {
	Name        string
	Version     string
	Generation  int           // 1 for the first, the running one's and 1 for one that takes over
	Addresses   []net.Addr    // as bound
	Predecessor string        // who was relieved, for people; empty for the first
	Cutover     time.Duration // how long the cutover took
	Flush       time.Duration // how long the predecessor's queues took to empty
	Flushed     int           // connections in them, which a plain restart would have reset
	Warnings    []string      // what the handover left behind
}

// complete fills in what o leaves open, for a service on addresses.
func (o Options) complete(addresses []string) (Options, error) {
	if len(o.Addresses) == 0 {
		o.Addresses = addresses
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	env, err := readEnvironment()
	if err != nil {
		return o, err
	}
	o = env.fill(o)
	if o.Name == "" {
		o.Name = defaultName(o.Addresses[0])
	}
	if o.Version == "" {
		o.Version = buildVersion()
	}
	if o.Health == nil {
		o.Health, _ = health.New(health.Options{}) // fails on bad checks only
	}
	return o, o.validate()
}

// validate finds what is wrong before anything has been touched.
func (o Options) validate() error {
	if err := control.ValidateName(o.Name); err != nil {
		return fmt.Errorf("handover: service name: %w", err)
	}
	if err := o.Gate.Validate(); err != nil {
		return fmt.Errorf("handover: %w", err)
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{{"FlushTimeout", o.FlushTimeout}, {"LockTimeout", o.LockTimeout}, {"ForeignTimeout", o.ForeignTimeout}, {"Bake", o.Bake}} {
		if d.value < 0 {
			return fmt.Errorf("handover: %s is negative: %v", d.name, d.value)
		}
	}
	for _, p := range o.Probes {
		if _, err := health.ParseProbe(p, "127.0.0.1:1"); err != nil {
			return fmt.Errorf("handover: probe %q: %w", p, err)
		}
	}
	return validateAddresses(o.Addresses)
}

func validateAddresses(addresses []string) error {
	seen := map[reuse.GroupID]string{}
	for _, a := range addresses {
		id, err := reuse.ParseGroup("tcp", a)
		if err != nil {
			return fmt.Errorf("handover: %w", err)
		}
		if first, ok := seen[id]; ok && id.Addr.Port() != 0 {
			return fmt.Errorf("handover: one address is listed twice, as %q and %q", first, a)
		}
		seen[id] = a
	}
	return nil
}

// defaultName makes a service's name of its address. A port that the kernel
// chooses is never the same twice, so nobody can take over from it by name.
func defaultName(address string) string {
	if _, port, err := net.SplitHostPort(address); err == nil && port == "0" {
		return "unnamed-" + control.NewInstance()
	}
	return strings.Map(func(r rune) rune {
		if control.ValidateName(string(r)) != nil {
			return '-'
		}
		return r
	}, address)
}
