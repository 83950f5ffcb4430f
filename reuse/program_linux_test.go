package reuse

import (
	"slices"
	"testing"
)

// maxInstructions is the kernel's bound on a classic program (BPF_MAXINSNS in
// linux/bpf_common.h).
const maxInstructions = 4096

// longest returns plans with as many instructions as any have: every index
// there is, in an order that can't be computed.
func longest() map[string]Plan {
	scattered := upTo(MaxIndex + 1)
	slices.Reverse(scattered)
	var four, many []Share
	for members := range slices.Chunk(scattered, 64) {
		four = append(four, Share{members, WholeShare / 4})
	}
	for _, m := range scattered {
		many = append(many, Share{[]int{m}, WholeShare / len(scattered)})
	}
	many[0].Weight += WholeShare % len(scattered)
	plans := map[string]Plan{}
	for name, shares := range map[string][]Share{
		"one share":    {{scattered, WholeShare}},
		"four shares":  four,
		"a share each": many,
	} {
		plans[name] = Plan{Shares: shares}
		plans[name+", sticky"] = Plan{Shares: shares, Sticky: true, Salt: 1}
	}
	return plans
}

func TestKernelTakesTheLongestPrograms(t *testing.T) {
	l := mustListen(t, "tcp", "127.0.0.1:0")
	for name, p := range longest() {
		t.Run(name, func(t *testing.T) {
			raw, err := p.Program()
			if err != nil {
				t.Fatal(err)
			}
			if len(raw) >= maxInstructions {
				t.Fatalf("%d instructions, the kernel takes fewer than %d", len(raw), maxInstructions)
			}
			mustAttach(t, l, p)
		})
	}
	// The kernel really has the last of them: the mark in it finds this member.
	discard(l)
	if got, err := l.Index(t.Context()); err != nil || !slices.Equal(got, []int{0}) {
		t.Fatalf("index: %v, %v", got, err)
	}
}

func TestKernelTakesEveryKindOfPlan(t *testing.T) {
	for _, f := range forms {
		t.Run(f.name, func(t *testing.T) {
			l := mustListen(t, f.network, f.address)
			for _, shares := range spreads {
				mustAttach(t, l, Plan{Shares: shares})
				mustAttach(t, l, Plan{Shares: shares, Sticky: true, Salt: 1})
			}
		})
	}
}
