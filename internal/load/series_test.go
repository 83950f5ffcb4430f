package load

import (
	"testing"
	"time"
)

func TestSeriesWindow(t *testing.T) {
	const ms = time.Millisecond
	s := Series{Interval: 100 * ms}
	s.add(50*ms, Point{Answered: 1, Max: 1 * ms})
	s.add(99*ms, Point{Answered: 1, Max: 3 * ms})
	s.add(250*ms, Point{Answered: 1, Max: 2 * ms})
	s.add(300*ms, Point{Failed: 1})
	for _, tt := range []struct {
		from, to time.Duration
		want     Point
	}{
		{0, 100 * ms, Point{Answered: 2, Max: 3 * ms}},
		{100 * ms, 200 * ms, Point{}},
		{150 * ms, 201 * ms, Point{Answered: 1, Max: 2 * ms}},
		{200 * ms, 300 * ms, Point{Answered: 1, Max: 2 * ms}},
		{-time.Hour, time.Hour, Point{Answered: 3, Failed: 1, Max: 3 * ms}},
		{300 * ms, 200 * ms, Point{}},
	} {
		if got := s.Window(tt.from, tt.to); got != tt.want {
			t.Errorf("from %v to %v: %+v, want %+v", tt.from, tt.to, got, tt.want)
		}
	}
}

func TestSeriesIsBounded(t *testing.T) {
	s := Series{Interval: time.Millisecond}
	const steps = 3*maxPoints + 1
	for i := range steps {
		s.add(time.Duration(i)*time.Millisecond, Point{Answered: 1, Max: time.Duration(i)})
	}
	if len(s.Points) > maxPoints || s.Interval != 4*time.Millisecond {
		t.Errorf("%d points of %v, want at most %d of 4ms", len(s.Points), s.Interval, maxPoints)
	}
	if got := s.Window(0, time.Hour); got.Answered != steps || got.Max != steps-1 {
		t.Errorf("the series holds %+v, want %d answered with max %d", got, steps, steps-1)
	}
	if got := s.Window(4*time.Millisecond, 8*time.Millisecond); got.Answered != 4 || got.Max != 7 {
		t.Errorf("the second step holds %+v, want 4 answered with max 7", got)
	}
}
