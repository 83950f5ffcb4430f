package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/gohandover/handover/internal/load"
)

// Way is how one version of a server follows another.
type Way string

const (
	// Handover is this project's way.
	Handover Way = "handover"

	// Naive is the usual one without it: both listen with SO_REUSEPORT, and the
	// old one gets SIGTERM and calls [net/http.Server.Shutdown] when the new one answers.
	Naive Way = "naive"
)

// Config says what to show. The zero value is the default show of half a minute.
type Config struct {
	// Command starts a server: a program and the arguments after which those
	// of [ServerConfig.Args] follow. It must call Serve. Required.
	Command []string

	// Takeovers is how often the server is replaced in each way; zero means 8.
	// Besides, one version comes in each way that never gets healthy.
	Takeovers int

	// Clients is how many clients there are; zero means 52, at least 6.
	Clients int

	// Between is the pause before each takeover; zero means 700 ms.
	Between time.Duration

	// SkipNaive leaves the naive way out.
	SkipNaive bool
}

const (
	defaultTakeovers = 8
	defaultClients   = 52
	defaultBetween   = 700 * time.Millisecond

	// maxTakeovers bounds what is kept of each.
	maxTakeovers = 10_000
)

func (c Config) withDefaults() (Config, error) {
	if c.Takeovers == 0 {
		c.Takeovers = defaultTakeovers
	}
	if c.Clients == 0 {
		c.Clients = defaultClients
	}
	if c.Between == 0 {
		c.Between = defaultBetween
	}
	switch {
	case len(c.Command) == 0:
		return c, errors.New("no command to start a server with")
	case c.Takeovers < 1 || c.Takeovers > maxTakeovers:
		return c, fmt.Errorf("%d takeovers: want 1 to %d", c.Takeovers, maxTakeovers)
	case c.Clients < len(load.HTTP1()) || c.Clients > load.MaxClients:
		return c, fmt.Errorf("%d clients: want %d to %d, each pattern needs one", c.Clients, len(load.HTTP1()), load.MaxClients)
	case c.Between < 0 || c.Between > time.Hour:
		return c, fmt.Errorf("%v between takeovers: want at most an hour", c.Between)
	}
	return c, nil
}

// Event is something that happened, for people.
type Event struct {
	After time.Duration // since the demo began
	Way   Way
	Text  string
	Bad   bool // it should not have happened
}

// Demo is one show. Make it with [New] and call [Demo.Run] once; [Demo.Progress]
// may be called at any time.
type Demo struct {
	cfg   Config
	began time.Time
	tell  func(Event)

	mu      sync.Mutex
	current *scene // what is being shown; nil before and after
}

// New returns a demo, or an error that says what is wrong with cfg. It starts
// nothing.
func New(cfg Config) (*Demo, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Demo{cfg: cfg}, nil
}

// Run shows all ways and returns what happened. Tell is called with each event
// from several goroutines, one at a time. The error says why the show could not go
// on; the report has what happened until then. All servers have ended when Run returns.
func (d *Demo) Run(ctx context.Context, tell func(Event)) (Report, error) {
	d.began = time.Now()
	var telling sync.Mutex
	d.tell = func(e Event) {
		telling.Lock()
		defer telling.Unlock()
		e.After = time.Since(d.began)
		tell(e)
	}
	ways := []Way{Handover, Naive}
	if d.cfg.SkipNaive {
		ways = ways[:1]
	}
	report := Report{User: os.Geteuid(), Config: ReportConfig{
		Takeovers: d.cfg.Takeovers, Clients: d.cfg.Clients, Between: d.cfg.Between,
	}}
	for _, w := range ways {
		part, err := d.show(ctx, w)
		if part != nil {
			report.Ways = append(report.Ways, *part)
		}
		if err != nil {
			report.Elapsed = time.Since(d.began)
			return report, fmt.Errorf("the %s way: %w", w, err)
		}
	}
	report.Elapsed = time.Since(d.began)
	return report, nil
}

// show plays one way from the first version to the last.
func (d *Demo) show(ctx context.Context, w Way) (*WayReport, error) {
	s := newScene(d.cfg, w, d.tell)
	d.setCurrent(s)
	defer d.setCurrent(nil)
	return s.play(ctx)
}

func (d *Demo) setCurrent(s *scene) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.current = s
}

// Progress is how a demo stands.
type Progress struct {
	Way       Way
	Address   string
	Step      string // what is being done
	Version   string // the one that is to have the clients
	Takeover  int    // the one under way, or the last; 0 before the first
	Takeovers int
	Stats     load.Stats
}

// Progress returns how the demo stands. It reports false while there is no load.
func (d *Demo) Progress() (Progress, bool) {
	d.mu.Lock()
	s := d.current
	d.mu.Unlock()
	if s == nil {
		return Progress{}, false
	}
	return s.progress()
}
