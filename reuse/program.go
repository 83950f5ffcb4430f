package reuse

import (
	"golang.org/x/net/bpf"
)

// Where a reuseport program finds things. Offsets from netOff are counted from
// the IP header (SKF_NET_OFF in linux/filter.h); plain offsets would begin
// after the TCP header.
const (
	netOff = 0xfff00000

	ipVersion  = netOff + 0 // upper four bits
	ip4TOS     = netOff + 1
	ip4TTL     = netOff + 8
	ip4Source  = netOff + 12
	ip6Class   = netOff + 0 // 16 bits: version 4, traffic class 8, flow label 4
	ip6Hops    = netOff + 7
	ip6SourceA = netOff + 8
	ip6SourceB = netOff + 12

	loopbackIndex = 1 // lo is always the first interface of a namespace (LOOPBACK_IFINDEX)
)

// useHash is an index outside of every group: the kernel falls back to its hash.
const useHash = 0xffffffff

// scratch slots of the program
const slotKey = 0

// Program returns the classic BPF program that carries out the plan, for
// SO_ATTACH_REUSEPORT_CBPF. The kernel runs it once for each new connection and
// takes its return value as the index of the member that gets it.
//
// A packet that came over the loopback interface with the mark (see
// [MemberDialer]) goes to the member that the mark names, whatever the plan
// says.
func (p Plan) Program() ([]bpf.RawInstruction, error) {
	insns, err := p.instructions()
	if err != nil {
		return nil, err
	}
	return bpf.Assemble(insns)
}

func (p Plan) instructions() ([]bpf.Instruction, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	return append(markProgram(), p.steer()...), nil
}

// markProgram ends with the index for a marked packet, and runs off its end for
// every other one.
func markProgram() []bpf.Instruction {
	toIndex := []bpf.Instruction{
		bpf.ALUOpConstant{Op: bpf.ALUOpXor, Val: maxTTL}, // 255-A for a byte
		bpf.RetA{},
	}
	v4 := append([]bpf.Instruction{
		bpf.LoadAbsolute{Off: ip4TOS, Size: 1},
		bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: dscpMask},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: markTOS, SkipTrue: 3 + 7}, // past this block and the next
		bpf.LoadAbsolute{Off: ip4TTL, Size: 1},
	}, toIndex...)
	v6 := append([]bpf.Instruction{
		bpf.LoadAbsolute{Off: ip6Class, Size: 2},
		bpf.ALUOpConstant{Op: bpf.ALUOpShiftRight, Val: 4},
		bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: dscpMask},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: markTOS, SkipTrue: 3},
		bpf.LoadAbsolute{Off: ip6Hops, Size: 1},
	}, toIndex...)
	head := []bpf.Instruction{
		bpf.LoadExtension{Num: bpf.ExtInterfaceIndex},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: loopbackIndex, SkipTrue: uint8(3 + len(v4) + len(v6))},
		bpf.LoadAbsolute{Off: ipVersion, Size: 1},
		bpf.ALUOpConstant{Op: bpf.ALUOpShiftRight, Val: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 6, SkipTrue: uint8(len(v4))},
	}
	return append(append(head, v4...), v6...)
}

// steer returns the part of the program that carries out the shares.
func (p Plan) steer() []bpf.Instruction {
	if len(p.Shares) == 0 {
		return []bpf.Instruction{bpf.RetConstant{Val: useHash}}
	}
	if len(p.Shares) == 1 && len(p.Shares[0].Members) == 1 {
		return []bpf.Instruction{bpf.RetConstant{Val: uint32(p.Shares[0].Members[0])}}
	}
	insns := p.key()
	end := uint32(0)
	for i, s := range p.Shares {
		block := pick(s.Members)
		end += uint32(s.Weight)
		if i < len(p.Shares)-1 {
			// A conditional jump skips at most 255 instructions, so the long
			// way past the block is an unconditional one.
			insns = append(insns,
				bpf.LoadScratch{Dst: bpf.RegA, N: slotKey},
				bpf.ALUOpConstant{Op: bpf.ALUOpMod, Val: WholeShare},
				bpf.JumpIf{Cond: bpf.JumpLessThan, Val: end, SkipTrue: 1},
				bpf.Jump{Skip: uint32(len(block))},
			)
		}
		insns = append(insns, block...)
	}
	return insns
}

// key leaves in slotKey the number that decides: random, or made of the
// client's address.
func (p Plan) key() []bpf.Instruction {
	store := bpf.StoreScratch{Src: bpf.RegA, N: slotKey}
	if !p.Sticky {
		return []bpf.Instruction{bpf.LoadExtension{Num: bpf.ExtRand}, store}
	}
	salt := bpf.ALUOpConstant{Op: bpf.ALUOpXor, Val: p.Salt}
	v4 := []bpf.Instruction{bpf.LoadAbsolute{Off: ip4Source, Size: 4}, salt}
	v6 := append([]bpf.Instruction{bpf.LoadAbsolute{Off: ip6SourceA, Size: 4}, salt}, mix()...)
	v6 = append(v6,
		bpf.TAX{},
		bpf.LoadAbsolute{Off: ip6SourceB, Size: 4},
		bpf.ALUOpX{Op: bpf.ALUOpXor},
	)
	insns := []bpf.Instruction{
		bpf.LoadAbsolute{Off: ipVersion, Size: 1},
		bpf.ALUOpConstant{Op: bpf.ALUOpShiftRight, Val: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 6, SkipTrue: uint8(len(v4) + 1)},
	}
	insns = append(insns, v4...)
	insns = append(insns, bpf.Jump{Skip: uint32(len(v6))})
	insns = append(insns, v6...)
	insns = append(insns, mix()...)
	return append(insns, store)
}

// mix spreads the bits of A: neighbouring addresses, as one network's clients
// have, must not fall into neighbouring keys.
func mix() []bpf.Instruction {
	var insns []bpf.Instruction
	for _, step := range []struct {
		factor uint32
		shift  uint32
	}{{0x9e3779b1, 15}, {0x85ebca77, 13}, {0xc2b2ae3d, 16}} {
		insns = append(insns,
			bpf.ALUOpConstant{Op: bpf.ALUOpMul, Val: step.factor},
			bpf.TAX{},
			bpf.ALUOpConstant{Op: bpf.ALUOpShiftRight, Val: step.shift},
			bpf.ALUOpX{Op: bpf.ALUOpXor},
		)
	}
	return insns
}

// pick ends the program with one of the members, each as likely as the other.
// It uses the part of the key that the choice among the shares has left over.
func pick(members []int) []bpf.Instruction {
	if len(members) == 1 {
		return []bpf.Instruction{bpf.RetConstant{Val: uint32(members[0])}}
	}
	insns := []bpf.Instruction{
		bpf.LoadScratch{Dst: bpf.RegA, N: slotKey},
		bpf.ALUOpConstant{Op: bpf.ALUOpDiv, Val: WholeShare},
		bpf.ALUOpConstant{Op: bpf.ALUOpMod, Val: uint32(len(members))},
	}
	if contiguous(members) {
		return append(insns,
			bpf.ALUOpConstant{Op: bpf.ALUOpAdd, Val: uint32(members[0])},
			bpf.RetA{},
		)
	}
	last := len(members) - 1
	for i, m := range members[:last] {
		insns = append(insns,
			bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: uint32(i), SkipTrue: 1},
			bpf.RetConstant{Val: uint32(m)},
		)
	}
	return append(insns, bpf.RetConstant{Val: uint32(members[last])})
}

func contiguous(members []int) bool {
	for i, m := range members {
		if m != members[0]+i {
			return false
		}
	}
	return true
}
