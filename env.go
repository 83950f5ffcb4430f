package handover

import (
	"cmp"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/gohandover/handover/drain"
)

// environment holds what the variables say, zero where they say nothing.
type environment struct {
	name, version             string
	probes                    []string
	drain, idle, flush, start time.Duration
	lock, bake, foreign       time.Duration
}

func readEnvironment() (environment, error) {
	e := environment{
		name:    os.Getenv("HANDOVER_NAME"),
		version: os.Getenv("HANDOVER_VERSION"),
		probes:  strings.Fields(os.Getenv("HANDOVER_PROBES")),
	}
	for _, v := range []struct {
		name string
		to   *time.Duration
	}{
		{"HANDOVER_DRAIN_TIMEOUT", &e.drain},
		{"HANDOVER_IDLE_GRACE", &e.idle},
		{"HANDOVER_FLUSH_TIMEOUT", &e.flush},
		{"HANDOVER_START_TIMEOUT", &e.start},
		{"HANDOVER_LOCK_TIMEOUT", &e.lock},
		{"HANDOVER_FOREIGN_TIMEOUT", &e.foreign},
		{"HANDOVER_BAKE", &e.bake},
	} {
		text := os.Getenv(v.name)
		if text == "" {
			continue
		}
		if v.to == &e.drain && text == "none" {
			e.drain = -1
			continue
		}
		d, err := time.ParseDuration(text)
		if err != nil || d <= 0 {
			return e, fmt.Errorf("handover: %s=%q is not a duration such as 30s or 5m", v.name, text)
		}
		*v.to = d
	}
	return e, nil
}

// fill puts what the environment says where o says nothing.
func (e environment) fill(o Options) Options {
	o.Name = cmp.Or(o.Name, e.name)
	o.Version = cmp.Or(o.Version, e.version)
	if o.Probes == nil {
		o.Probes = e.probes
	}
	o.Gate.StartTimeout = cmp.Or(o.Gate.StartTimeout, e.start)
	o.FlushTimeout = cmp.Or(o.FlushTimeout, e.flush, 10*time.Second)
	o.LockTimeout = cmp.Or(o.LockTimeout, e.lock)
	o.ForeignTimeout = cmp.Or(o.ForeignTimeout, e.foreign)
	o.Bake = cmp.Or(o.Bake, e.bake)
	if o.Drain == nil {
		o.Drain = drain.New(drain.Options{})
	}
	o.Drain.Default(drain.Options{Timeout: e.drain, IdleGrace: e.idle, Logger: o.Logger})
	return o
}

// buildVersion is the main module's version, or the revision it was built from.
func buildVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value[:min(12, len(s.Value))]
		}
	}
	return ""
}
