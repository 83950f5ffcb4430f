package drain

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestTaskIsToldAndWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := New(Options{})
		var canceled error
		d.Go(func(ctx context.Context) {
			<-Draining(ctx)
			time.Sleep(time.Second)
			canceled = ctx.Err()
		})
		report, err := d.Run(context.Background())
		if err != nil || canceled != nil || report.Duration() != time.Second {
			t.Errorf("error %v, context %v, took %v", err, canceled, report.Duration())
		}
	})
}

func TestTaskStartedWhileDraining(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := New(Options{})
		var late atomic.Bool
		d.Go(func(ctx context.Context) {
			<-Draining(ctx)
			d.Go(func(context.Context) { time.Sleep(time.Second); late.Store(true) })
		})
		if _, err := d.Run(context.Background()); err != nil || !late.Load() {
			t.Errorf("error %v, waited for %v", err, late.Load())
		}
		ended := make(chan error)
		d.Go(func(ctx context.Context) { ended <- ctx.Err() })
		if err := <-ended; err == nil {
			t.Error("the context of a task started after the drain is alive")
		}
	})
}

func TestDrainingOfAnotherContext(t *testing.T) {
	if Draining(context.Background()) != nil {
		t.Error("not nil")
	}
}

func TestOnDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		d := New(Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		var calls atomic.Int64
		d.OnDrain(func() { panic("oops") })
		d.OnDrain(func() { time.Sleep(time.Second); calls.Add(1) })
		d.Cleanup("last", func(context.Context) error {
			if calls.Load() != 1 {
				t.Error("clean-up before the callback had returned")
			}
			return nil
		})
		if _, err := d.Run(context.Background()); err != nil {
			t.Error(err)
		}
		if !strings.Contains(log.String(), "oops") {
			t.Error("the panic was not logged")
		}
		d.OnDrain(func() { calls.Add(1) })
		synctest.Wait()
		if calls.Load() != 2 {
			t.Error("a callback registered after the drain began was not called")
		}
	})
}

func TestCleanupsRunInReverseOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := New(Options{CleanupTimeout: time.Second})
		var order []string
		var mu sync.Mutex
		add := func(name string, f func(context.Context) error) {
			d.Cleanup(name, func(ctx context.Context) error {
				mu.Lock()
				order = append(order, name)
				mu.Unlock()
				return f(ctx)
			})
		}
		failure := errors.New("disk full")
		never := make(chan struct{})
		defer close(never)
		add("first", func(context.Context) error { return nil })
		add("fails", func(context.Context) error { return failure })
		add("panics", func(context.Context) error { panic("oops") })
		add("exits", func(context.Context) error { runtime.Goexit(); return nil })
		add("hangs", func(context.Context) error { <-never; return nil })
		add("obeys", func(ctx context.Context) error { <-ctx.Done(); return fmt.Errorf("half done: %w", ctx.Err()) })
		add("nests", func(context.Context) error {
			add("nested", func(context.Context) error { return nil })
			return nil
		})
		report, err := d.Run(context.Background())
		if want := []string{"nests", "nested", "obeys", "hangs", "exits", "panics", "fails", "first"}; !reflect.DeepEqual(order, want) {
			t.Errorf("order %v, want %v", order, want)
		}
		var failed []string
		for _, c := range report.Cleanups {
			failed = append(failed, c.Name)
		}
		if want := []string{"obeys", "hangs", "exits", "panics", "fails"}; !reflect.DeepEqual(failed, want) {
			t.Errorf("failed %v, want %v", failed, want)
		}
		var ce *CleanupError
		if !errors.Is(err, failure) || !errors.As(err, &ce) || errors.Is(err, ErrForced) {
			t.Errorf("error %v", err)
		}
		for _, part := range []string{"half done", "has not returned after 1s", "panic: oops", "Goexit", "disk full"} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("error does not say %q: %v", part, err)
			}
		}
	})
}
