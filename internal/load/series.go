package load

import "time"

// maxPoints bounds a series: half an hour in steps of 100 ms, then an hour in steps of 200 ms, and so on.
const maxPoints = 18_000

// Point is what happened in one step of a [Series], by when requests ended.
type Point struct {
	Answered uint64        `json:"answered"`
	Failed   uint64        `json:"failed"`
	Max      time.Duration `json:"max"` // the highest latency of those answered
}

func (p *Point) merge(other Point) {
	p.Answered += other.Answered
	p.Failed += other.Failed
	p.Max = max(p.Max, other.Max)
}

// Series is a run in equal steps of time. Points[i] is the step from i*Interval to (i+1)*Interval since the run's start. When
// a run grows beyond 18,000 steps, pairs of them become one and Interval doubles.
type Series struct {
	Interval time.Duration `json:"interval"`
	Points   []Point       `json:"points"`
}

// Window returns the sum of the steps that have a part in the time between from and to, counted since the run's start.
func (s Series) Window(from, to time.Duration) Point {
	var sum Point
	if s.Interval <= 0 || to <= from {
		return sum
	}
	first := int(max(from, 0) / s.Interval)
	end := int((max(to, 0) + s.Interval - 1) / s.Interval)
	for i := first; i < min(end, len(s.Points)); i++ {
		sum.merge(s.Points[i])
	}
	return sum
}

// add counts p at the time since the run's start.
func (s *Series) add(at time.Duration, p Point) {
	for at/s.Interval >= maxPoints {
		s.fold()
	}
	i := int(at / s.Interval)
	for len(s.Points) <= i {
		s.Points = append(s.Points, Point{})
	}
	s.Points[i].merge(p)
}

// fold doubles the interval.
func (s *Series) fold() {
	half := (len(s.Points) + 1) / 2
	for i := range half {
		p := s.Points[2*i]
		if 2*i+1 < len(s.Points) {
			p.merge(s.Points[2*i+1])
		}
		s.Points[i] = p
	}
	s.Points = s.Points[:half]
	s.Interval *= 2
}
