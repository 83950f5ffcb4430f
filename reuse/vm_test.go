package reuse

import (
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"golang.org/x/net/bpf"
	"pgregory.net/rapid"
)

// Where the translated program finds what the kernel's has from elsewhere: the
// virtual machine knows neither the interface, nor random numbers, nor loads
// from the IP header, so they stand in front of the packet.
const (
	vmIface = 0
	vmRand  = 4
	vmIP    = 8
)

// load puts a program on the virtual machine as the kernel would get it: from
// its assembled form.
func load(t testing.TB, raw []bpf.RawInstruction, err error) *bpf.VM {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	insns, ok := bpf.Disassemble(raw)
	if !ok {
		t.Fatal("the program has instructions that don't disassemble")
	}
	for i, insn := range insns {
		switch insn := insn.(type) {
		case bpf.LoadExtension:
			off, known := map[bpf.Extension]uint32{bpf.ExtInterfaceIndex: vmIface, bpf.ExtRand: vmRand}[insn.Num]
			if !known {
				t.Fatalf("instruction %d: unexpected extension: %v", i, insn)
			}
			insns[i] = bpf.LoadAbsolute{Off: off, Size: 4}
		case bpf.LoadAbsolute:
			if insn.Off < netOff || insn.Off > netOff+40 {
				t.Fatalf("instruction %d: load from outside of the IP header: %v", i, insn)
			}
			insns[i] = bpf.LoadAbsolute{Off: insn.Off - netOff + vmIP, Size: insn.Size}
		}
	}
	vm, err := bpf.NewVM(insns)
	if err != nil {
		t.Fatal(err)
	}
	return vm
}

func loadPlan(t testing.TB, p Plan) *bpf.VM {
	t.Helper()
	raw, err := p.Program()
	return load(t, raw, err)
}

// A syn is what a program may look at of a connection's first packet.
type syn struct {
	v6     bool
	iface  uint32
	rand   uint32
	words  uint8 // of an IPv4 header beyond the first five: options
	class  uint8 // type of service or traffic class: DSCP and ECN
	ttl    uint8 // or hop limit
	flow   uint32
	source [16]byte // IPv4: the first four
}

func (s syn) bytes() []byte {
	b := make([]byte, vmIP+40)
	binary.BigEndian.PutUint32(b[vmIface:], s.iface)
	binary.BigEndian.PutUint32(b[vmRand:], s.rand)
	ip := b[vmIP:]
	if s.v6 {
		binary.BigEndian.PutUint32(ip, 6<<28|uint32(s.class)<<20|s.flow&0xfffff)
		ip[7] = s.ttl
		copy(ip[8:24], s.source[:])
		return b
	}
	ip[0] = 0x45 + s.words
	ip[1] = s.class
	ip[8] = s.ttl
	copy(ip[12:16], s.source[:4])
	return b
}

// marked is the loopback mark as mark.go describes it.
func (s syn) marked() bool { return s.iface == 1 && s.class>>2 == 43 }

func run(t testing.TB, vm *bpf.VM, s syn) uint32 {
	t.Helper()
	n, err := vm.Run(s.bytes())
	if err != nil {
		t.Fatal(err)
	}
	return uint32(n)
}

// permits tells whether the documentation of Plan, Share and MemberDialer lets
// the program answer s with index.
func permits(p Plan, s syn, index uint32) bool {
	if s.marked() {
		return index == 255-uint32(s.ttl)
	}
	if len(p.Shares) == 0 {
		return index > MaxIndex
	}
	for _, sh := range p.Shares {
		if sh.Weight > 0 && index <= MaxIndex && slices.Contains(sh.Members, int(index)) {
			return true
		}
	}
	return false
}

func drawSyn(t *rapid.T) syn {
	s := syn{
		v6:    rapid.Bool().Draw(t, "v6"),
		iface: rapid.OneOf(rapid.Just(uint32(1)), rapid.Uint32()).Draw(t, "interface"),
		rand:  rapid.Uint32().Draw(t, "random"),
		words: rapid.Uint8Range(0, 10).Draw(t, "options"),
		ttl:   rapid.Uint8().Draw(t, "ttl"),
		flow:  rapid.Uint32().Draw(t, "flow"),
		class: rapid.OneOf(rapid.Just(uint8(markTOS)), rapid.Uint8()).Draw(t, "class"),
	}
	s.class ^= rapid.Uint8Range(0, 3).Draw(t, "ecn")
	copy(s.source[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "source"))
	return s
}

func drawPlan(t *rapid.T) Plan {
	p := Plan{Sticky: rapid.Bool().Draw(t, "sticky"), Salt: rapid.Uint32().Draw(t, "salt")}
	indices := rapid.Permutation(upTo(MaxIndex+1)).Draw(t, "indices")
	if rapid.Bool().Draw(t, "contiguous") {
		slices.Sort(indices)
	}
	left := WholeShare
	for i, n := 0, rapid.IntRange(0, 8).Draw(t, "shares"); i < n; i++ {
		// Each share leaves at least one member to each of those after it.
		k := rapid.IntRange(1, min(64, len(indices)-(n-i-1))).Draw(t, "members")
		weight := rapid.IntRange(0, left).Draw(t, "weight")
		if i == n-1 {
			weight = left
		}
		left -= weight
		p.Shares = append(p.Shares, Share{Members: indices[:k], Weight: weight})
		indices = indices[k:]
	}
	return p
}

func TestProgramSelectsWhatThePlanSays(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p := drawPlan(rt)
		vm := loadPlan(t, p)
		for range 20 {
			s := drawSyn(rt)
			if got := run(t, vm, s); !permits(p, s, got) {
				rt.Fatalf("%+v, marked %v: index %d under %+v", s, s.marked(), got, p)
			}
		}
	})
}

func TestEveryMarkIsItsIndex(t *testing.T) {
	vm := loadPlan(t, Only(7))
	for _, v6 := range []bool{false, true} {
		for ttl := range 256 {
			for ecn := range 4 {
				s := syn{v6: v6, iface: 1, class: markTOS | uint8(ecn), ttl: uint8(ttl)}
				if got := run(t, vm, s); got != 255-uint32(ttl) {
					t.Fatalf("IPv6 %v, TTL %d, ECN %d: index %d", v6, ttl, ecn, got)
				}
			}
		}
	}
}

// spread counts which members a plan selects for the packets.
func spread(t *testing.T, p Plan, n int, packet func(i int) syn) map[int]int {
	t.Helper()
	vm := loadPlan(t, p)
	count := map[int]int{}
	for i := range n {
		count[int(run(t, vm, packet(i)))]++
	}
	return count
}

// wantSpread compares with the plan's weights by Pearson's chi-square, of which
// a right program exceeds the bound once in a million times.
func wantSpread(t *testing.T, p Plan, got map[int]int, n int) {
	t.Helper()
	chi, cells := 0.0, 0
	for _, s := range p.Shares {
		for _, m := range s.Members {
			want := float64(n) * float64(s.Weight) / WholeShare / float64(len(s.Members))
			if want == 0 {
				if got[m] != 0 {
					t.Errorf("member %d of a share of weight 0 was selected %d times", m, got[m])
				}
				continue
			}
			cells++
			chi += (float64(got[m]) - want) * (float64(got[m]) - want) / want
		}
	}
	k := float64(cells - 1)
	if bound := k + 7*math.Sqrt(2*k) + 15; chi > bound {
		t.Errorf("chi-square %.1f of %d cells, at most %.1f was expected: %v", chi, cells, bound, got)
	}
}

var spreads = map[string][]Share{
	"halves":                {{[]int{0}, 5000}, {[]int{1}, 5000}},
	"one in ten thousand":   {{[]int{3}, 1}, {[]int{0}, 9999}},
	"none at the end":       {{[]int{3}, 10000}, {[]int{0, 1}, 0}},
	"none at the beginning": {{[]int{0, 1}, 0}, {[]int{3, 9}, 10000}},
	"contiguous":            {{upTo(64), 10000}},
	"scattered":             {{[]int{9, 4, 200, 254, 1, 17, 0}, 10000}},
	"canary of many":        {{[]int{8, 9, 10}, 1000}, {upTo(8), 9000}},
	"few for many":          {{[]int{30, 31, 32, 33}, 2}, {upTo(10), 5}, {[]int{20, 21}, 9993}},
	"several": {{[]int{20}, 300}, {[]int{5, 7, 3}, 2700}, {upTo(3), 0},
		{[]int{10, 11}, 4000}, {[]int{90, 30, 40, 50, 60}, 3000}},
}

func TestRandomSharesGetTheirWeights(t *testing.T) {
	const n = 200_000
	for name, shares := range spreads {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 2))
			p := Plan{Shares: shares}
			got := spread(t, p, n, func(i int) syn { return syn{v6: i%2 == 0, iface: 2, rand: r.Uint32()} })
			wantSpread(t, p, got, n)
		})
	}
}

// networks are neighbouring clients as they occur in one place.
var networks = map[string]func(i int) syn{
	"hosts of an IPv4 /16":   func(i int) syn { return from4(10<<24 | 20<<16 | uint32(i)) },
	"IPv4 /24s of a /8":      func(i int) syn { return from4(11<<24 | uint32(i)<<8 | 1) },
	"IPv4 /16s":              func(i int) syn { return from4(uint32(i) << 16) },
	"IPv6 /64s of a /48":     func(i int) syn { return from6(0x20010db800010000|uint64(i), 1) },
	"IPv6 /48s of a /32":     func(i int) syn { return from6(0x20010db800000000|uint64(i)<<16, 1) },
	"IPv6 /32s and one host": func(i int) syn { return from6(uint64(i)<<32, 1) },
}

func from4(a uint32) syn {
	s := syn{iface: 2, ttl: 64}
	binary.BigEndian.PutUint32(s.source[:], a)
	return s
}

func from6(prefix, host uint64) syn {
	s := syn{v6: true, iface: 2, ttl: 64}
	binary.BigEndian.PutUint64(s.source[:], prefix)
	binary.BigEndian.PutUint64(s.source[8:], host)
	return s
}

func TestStickySharesSpreadNeighbours(t *testing.T) {
	const n = 1 << 16
	for name, network := range networks {
		t.Run(name, func(t *testing.T) {
			for _, salt := range []uint32{0, 1, 0x5eed5eed} {
				p := Plan{Sticky: true, Salt: salt, Shares: []Share{{[]int{4, 5}, 1000}, {upTo(4), 9000}}}
				got := spread(t, p, n, network)
				within(t, "canary", float64(got[4]+got[5])/n, 0.10)
				within(t, "first of the canary", float64(got[4])/n, 0.05)
				for m := range 4 {
					within(t, "member of the rest", float64(got[m])/n, 0.225)
				}
			}
		})
	}
}

func within(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 0.01 {
		t.Errorf("%s: %.2f %% of the clients, want %.2f %% within 1 percentage point", what, 100*got, 100*want)
	}
}

func TestStickyKnowsAClientByItsAddressAlone(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p := drawPlan(rt)
		p.Sticky = true
		vm := loadPlan(t, p)
		a, b := drawSyn(rt), drawSyn(rt)
		a.iface, b.iface = 2, 3
		b.v6 = a.v6
		copy(b.source[:8], a.source[:8]) // and the lower half of IPv6 as it likes
		if x, y := run(t, vm, a), run(t, vm, b); x != y {
			rt.Fatalf("one client, members %d and %d: %+v, %+v", x, y, a, b)
		}
	})
}

func TestGrowingACanaryMovesNoClientOut(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		salt := rapid.Uint32().Draw(rt, "salt")
		canary, rest := []int{9, 3}, []int{0, 1, 2}
		at := func(weight int) *bpf.VM {
			return loadPlan(t, Plan{Sticky: true, Salt: salt, Shares: []Share{{canary, weight}, {rest, WholeShare - weight}}})
		}
		less := rapid.IntRange(0, WholeShare).Draw(rt, "less")
		small, large := at(less), at(rapid.IntRange(less, WholeShare).Draw(rt, "more"))
		for range 100 {
			s := drawSyn(rt)
			s.iface = 2
			before, after := run(t, small, s), run(t, large, s)
			if before != after && slices.Contains(canary, int(before)) {
				rt.Fatalf("%+v moved from canary member %d to %d", s, before, after)
			}
		}
	})
}

func TestSaltChangesWhoIsSelected(t *testing.T) {
	const n = 1 << 14
	for name, network := range networks {
		t.Run(name, func(t *testing.T) {
			at := func(salt uint32) *bpf.VM {
				return loadPlan(t, Plan{Sticky: true, Salt: salt, Shares: []Share{{[]int{1}, 1000}, {[]int{0}, 9000}}})
			}
			for _, salts := range [][2]uint32{{0, 1}, {7, 0x80000007}, {3, 1<<16 + 3}} {
				one, other := at(salts[0]), at(salts[1])
				both := 0
				for i := range n {
					s := network(i)
					if run(t, one, s) == 1 && run(t, other, s) == 1 {
						both++
					}
				}
				within(t, "twice unlucky", float64(both)/n, 0.01)
			}
		})
	}
}

func TestValidateFindsEveryError(t *testing.T) {
	whole := func(members ...int) []Share { return []Share{{members, WholeShare}} }
	for _, c := range []struct {
		name   string
		shares []Share
		want   string // empty: valid
	}{
		{"no shares", nil, ""},
		{"lowest and highest index", whole(0, MaxIndex), ""},
		{"a share of nothing", []Share{{[]int{1}, 0}, {[]int{0}, WholeShare}}, ""},
		{"no members", whole(), "reuse: bad plan: a share without members"},
		{"negative index", whole(0, -1), "reuse: bad plan: member index -1 is not within 0 and 254"},
		{"index beyond the mark", whole(255), "reuse: bad plan: member index 255 is not within 0 and 254"},
		{"twice in a share", whole(3, 3), "reuse: bad plan: member 3 is named twice"},
		{"twice in two shares", []Share{{[]int{0}, 1}, {[]int{0}, 9999}}, "reuse: bad plan: member 0 is named twice"},
		{"negative weight", []Share{{[]int{0}, -1}, {[]int{1}, 10001}}, "reuse: bad plan: weight -1 is not within 0 and 10000"},
		{"too much weight", []Share{{[]int{0}, 10001}}, "reuse: bad plan: weight 10001 is not within 0 and 10000"},
		{"too little together", []Share{{[]int{0}, 1}, {[]int{1}, 9998}}, "reuse: bad plan: weights add up to 9999, not 10000"},
		{"too much together", []Share{{[]int{0}, 9999}, {[]int{1}, 9999}}, "reuse: bad plan: weights add up to 19998, not 10000"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := Plan{Shares: c.shares}
			err := p.Validate()
			if _, perr := p.Program(); (perr == nil) != (err == nil) {
				t.Errorf("Program: %v, Validate: %v", perr, err)
			}
			if c.want == "" && err == nil {
				return
			}
			if err == nil || err.Error() != c.want || !errors.Is(err, ErrPlan) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}
