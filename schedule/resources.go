package schedule

import (
	"math"
	"strconv"
)

// amounts are what units reserve, or what a machine has of that.
type amounts struct {
	memory int64 // bytes
	cpu    int64 // thousandths of a CPU
}

func (a amounts) plus(b amounts) amounts  { return amounts{a.memory + b.memory, a.cpu + b.cpu} }
func (a amounts) minus(b amounts) amounts { return amounts{a.memory - b.memory, a.cpu - b.cpu} }

// most takes the larger of each.
func (a amounts) most(b amounts) amounts {
	return amounts{max(a.memory, b.memory), max(a.cpu, b.cpu)}
}

// exceeds reports whether there is more of anything than in b.
func (a amounts) exceeds(b amounts) bool { return a.memory > b.memory || a.cpu > b.cpu }

// capacity returns what units may reserve on the machine. What is not known of
// it is 0.
func (m *Machine) capacity() amounts {
	return amounts{
		memory: max(0, m.Memory-m.ReservedMemory),
		cpu:    max(0, 1000*int64(m.CPUs)-m.ReservedCPU),
	}
}

// reserves returns what the unit's file reserves.
func (w *wants) reserves() amounts { return amounts{w.Memory, w.CPU} }

// reserves returns what the placement reserves on its machine.
func (p *Placement) reserves() amounts { return amounts{p.Memory, p.CPU} }

// reserve writes into the placement what the unit's file reserves.
func (p *Placement) reserve(a amounts) { p.Memory, p.CPU = a.memory, a.cpu }

// free returns what no one on the machine has. It is below zero where the
// machine has become smaller.
func (m *machine) free() amounts { return m.facts.capacity.minus(m.used) }

// demand is what units would reserve on a machine, beside what they have of it
// already.
type demand struct {
	wants amounts
	has   amounts // by placements, or because it is there
	takes amounts // the same with what is only booked
}

func (d *demand) add(n *node, m *machine) {
	d.wants = d.wants.plus(n.wants.reserves())
	if s := n.on(m); s != nil {
		d.takes = d.takes.plus(s.claim().amounts)
		// What another file than the unit's reserves that runs there isn't known.
		if s.placement() != nil || s.state != nil && s.state.Hash == n.unit.Hash {
			d.has = d.has.plus(s.holds())
		}
	}
}

// hasRoom holds where what n reserves is free, together with those that would
// come with it. Who stays there keeps what it has.
func hasRoom(a ask) refusal {
	var d demand
	if len(a.with) == 0 {
		d.add(a.n, a.m)
		return a.m.refuses(&d)
	}
	for _, n := range a.with {
		if s := n.on(a.m); s == nil || s.order() != Run && s.order() != Held {
			d.add(n, a.m)
		}
	}
	r := a.m.refuses(&d)
	if r.kind != fits {
		r.whom = "with what MachineOf binds to it"
	}
	return r
}

// refuses returns why the machine has no room for the demand. What is reserved
// there already, or less, is never refused.
func (m *machine) refuses(d *demand) refusal {
	if !d.wants.exceeds(d.has) {
		return refusal{}
	}
	free := m.free().plus(d.takes)
	switch more := d.wants; {
	case more.memory > d.has.memory && (m.record == nil || m.record.Memory == 0):
		return refusal{kind: unknownMemory}
	case more.memory > d.has.memory && more.memory > free.memory:
		return refusal{kind: lacksMemory, amount: more.memory}
	case more.cpu > d.has.cpu && (m.record == nil || m.record.CPUs == 0):
		return refusal{kind: unknownCPU}
	case more.cpu > d.has.cpu && more.cpu > free.cpu:
		return refusal{kind: lacksCPU, amount: more.cpu}
	}
	return refusal{}
}

// sizeText writes bytes as in a unit file: 512M, 1.5G.
func sizeText(bytes int64) string {
	const suffixes = "KMGTPE"
	for i := len(suffixes); i > 0; i-- {
		unit := math.Ldexp(1, 10*i)
		if in := float64(bytes) / unit; in >= 1 && in*100 == math.Trunc(in*100) {
			return strconv.FormatFloat(in, 'f', -1, 64) + suffixes[i-1:i]
		}
	}
	return strconv.FormatInt(bytes, 10)
}

// cpuText writes thousandths of a CPU as in a unit file: 1.5.
func cpuText(thousandths int64) string {
	return strconv.FormatFloat(float64(thousandths)/1000, 'f', -1, 64)
}
