package schedule

// planGlobal decides about a global unit: on one machine, or with nil on all.
func (p *planner) planGlobal(n *node, m *machine) {
	if m != nil {
		p.planGlobalOn(n, m)
		return
	}
	for _, id := range sorted(&p.machineIDs, p.machines) {
		p.planGlobalOn(n, p.machines[id])
	}
}

func (p *planner) planGlobalOn(n *node, m *machine) {
	a := ask{c: p.Cluster, n: n, m: m}
	s := n.on(m)
	if s == nil || s.planned == nil && s.order() == "" {
		if a.check(taking).kind == fits {
			w := p.runOn(n, m, "it belongs on every machine that fits")
			p.decide(n.name+" on "+m.id+": "+w.Placement.Reason, nil, []Write{w}, p.decidedFrom([]*node{n}, []*node{n})...)
		}
		return
	}
	switch {
	case s.planned != nil:
	case s.confirmed():
		p.delete(s)
	case s.order() == Release:
	default:
		p.keepGlobal(a, s)
	}
}

// keepGlobal decides about a global unit where it is.
func (p *planner) keepGlobal(a ask, s *slot) {
	sure := s.machine.facts.here && s.machine.facts.known
	if sure {
		if r := a.check(stayingGlobal); r.kind != fits {
			p.release(s, s.machine.id+" "+r.phrase(1))
			return
		}
	}
	n, pl := s.node, *s.placement()
	next := pl
	next.Order, next.Target = Run, n.unit.DesiredState
	if hasRoom(a).kind == fits {
		next.Hash = n.unit.Hash
		next.reserve(n.wants.reserves())
	}
	if next == pl {
		return
	}
	next.Reason = "it belongs on every machine that fits"
	if next.Hash != pl.Hash || next.Target != pl.Target {
		next.Generation, next.Reason = p.revision, changeReason(&pl, &next)
	}
	p.decide(n.name+" on "+s.machine.id+": "+next.Reason, nil, []Write{s.put(next)}, n)
}
