package load

import (
	"math"
	"math/bits"
	"time"
)

// The histogram counts microseconds: one bucket each up to 2*subBuckets, then subBuckets for each doubling, so that the
// middle of a bucket is at most 1/(2*subBuckets) = 0.8 % away from what was counted in it. It ends at 268 s.
const (
	subBits     = 6
	subBuckets  = 1 << subBits
	valueBits   = 28
	bucketCount = (valueBits-subBits-1)*subBuckets + 2*subBuckets
)

// histogram holds any number of durations in a fixed amount of memory. Its zero value is empty.
type histogram struct {
	count   uint64
	max     time.Duration
	buckets [bucketCount]uint64
}

// add counts d.
func (h *histogram) add(d time.Duration) {
	h.count++
	h.max = max(h.max, d)
	h.buckets[bucketOf(d)]++
}

// merge counts all that other has counted.
func (h *histogram) merge(other *histogram) {
	h.count += other.count
	h.max = max(h.max, other.max)
	for i, n := range other.buckets {
		h.buckets[i] += n
	}
}

// quantile returns a duration that a share q of what was counted does not exceed; zero if nothing was counted.
func (h *histogram) quantile(q float64) time.Duration {
	rank := uint64(math.Ceil(q * float64(h.count)))
	var seen uint64
	for i, n := range h.buckets {
		seen += n
		if n > 0 && seen >= rank {
			return min(middleOf(i), h.max)
		}
	}
	return 0
}

func bucketOf(d time.Duration) int {
	us := min(uint64(max(d, 0)/time.Microsecond), 1<<valueBits-1)
	shift := max(bits.Len64(us)-subBits-1, 0)
	return shift*subBuckets + int(us>>shift)
}

func middleOf(bucket int) time.Duration {
	shift := max(bucket/subBuckets-1, 0)
	low := time.Duration(bucket-shift*subBuckets) << shift
	return low*time.Microsecond + time.Microsecond<<shift/2
}
