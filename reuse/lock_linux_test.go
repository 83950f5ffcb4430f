package reuse

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"
)

func lockService(t *testing.T) string { return fmt.Sprintf("lock-test-%d-%s", os.Getpid(), t.Name()) }

func TestLockHasOneHolder(t *testing.T) {
	service := lockService(t)
	l, err := TryLock(service)
	if err != nil {
		t.Fatal(err)
	}
	_, err = TryLock(service)
	var held *LockedError
	if !errors.As(err, &held) || !errors.Is(err, ErrLocked) || held.PID != os.Getpid() || held.UID != os.Geteuid() {
		t.Fatalf("second TryLock: %v", err)
	}
	l.Unlock()
	l.Unlock()
	again, err := TryLock(service)
	if err != nil {
		t.Fatal(err)
	}
	again.Unlock()
}

func TestAcquireLockWaitsForTheHolder(t *testing.T) {
	service := lockService(t)
	first, err := TryLock(service)
	if err != nil {
		t.Fatal(err)
	}
	const waiters = 4
	var holders atomic.Int32
	waiting := make(chan struct{}, 100)
	ended := make(chan error, waiters)
	for range waiters {
		go func() {
			l, err := AcquireLock(t.Context(), service, func(*LockedError) { waiting <- struct{}{} })
			if err == nil {
				if holders.Add(1) != 1 {
					err = errors.New("two holders at a time")
				}
				holders.Add(-1)
				l.Unlock()
			}
			ended <- err
		}()
	}
	for range waiters {
		<-waiting
	}
	first.Unlock()
	for range waiters {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

func TestAcquireLockGivesUp(t *testing.T) {
	service := lockService(t)
	l, err := TryLock(service)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Unlock()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := AcquireLock(ctx, service, nil); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, ErrLocked) {
		t.Fatalf("error: %v", err)
	}
}
