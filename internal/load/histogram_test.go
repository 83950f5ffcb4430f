package load

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestQuantilesAreWithinOnePercent(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, scale := range []time.Duration{3 * time.Microsecond, 200 * time.Microsecond, 30 * time.Millisecond, 5 * time.Second} {
		var h histogram
		var parts [2]histogram
		values := make([]time.Duration, 50_000)
		for i := range values {
			values[i] = time.Duration(float64(scale) * math.Exp(random.NormFloat64()/2))
			parts[i%2].add(values[i])
		}
		h.merge(&parts[0])
		h.merge(&parts[1])
		slices.Sort(values)
		for _, q := range []float64{0.0001, 0.5, 0.9, 0.99, 0.999, 1} {
			want := values[int(math.Ceil(q*float64(len(values))))-1]
			got := h.quantile(q)
			if off := (got - want).Abs(); off > max(want/100, time.Microsecond) {
				t.Errorf("scale %v: quantile %v is %v, want %v: off by %v", scale, q, got, want, off)
			}
		}
		if want := values[len(values)-1]; h.max != want {
			t.Errorf("scale %v: max %v, want %v", scale, h.max, want)
		}
	}
}

func TestEveryBucketHoldsItsMiddle(t *testing.T) {
	for i := range bucketCount {
		if got := bucketOf(middleOf(i)); got != i {
			t.Fatalf("the middle of bucket %d, %v, is counted in bucket %d", i, middleOf(i), got)
		}
	}
}

func TestHistogramAtItsEnds(t *testing.T) {
	var h histogram
	if got := h.quantile(0.5); got != 0 {
		t.Errorf("the median of nothing is %v, want 0", got)
	}
	h.add(-time.Second)
	h.add(time.Hour)
	if h.buckets[0] != 1 || h.buckets[bucketCount-1] != 1 || h.max != time.Hour {
		t.Errorf("first bucket %d, last %d, max %v; want 1, 1 and 1h", h.buckets[0], h.buckets[bucketCount-1], h.max)
	}
}
