package reuse

import (
	"fmt"
	"slices"
	"testing"
)

// BenchmarkProgram measures making a program, which every cutover and canary
// step does once.
func BenchmarkProgram(b *testing.B) {
	for _, n := range []int{1, 16, 64} {
		inOrder := upTo(n)
		scattered := slices.Clone(inOrder)
		slices.Reverse(scattered)
		for _, c := range []struct {
			name    string
			members []int
		}{{"contiguous", inOrder}, {"scattered", scattered}} {
			b.Run(fmt.Sprintf("%s-%d", c.name, n), func(b *testing.B) {
				b.ReportAllocs()
				p := Plan{Sticky: true, Shares: []Share{{c.members, 9000}, {[]int{MaxIndex}, 1000}}}
				for b.Loop() {
					if _, err := p.Program(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func upTo(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}
