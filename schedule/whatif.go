package schedule

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"fleet/unit"
)

// WhatIf is what would happen to a cluster.
type WhatIf struct {
	Lose      []string          // these machines are lost
	LoseWhere []unit.Condition  // so are those whose metadata meets one of these
	Add       int               // so many machines join, like those that are there then
	AddWith   map[string]string // metadata that they have besides
	Start     []Start           // these units are started
}

// Start is a unit that is started.
type Start struct {
	Name string
	File *unit.File // nil: with the file that the cluster has
}

// MaxAdded is how many machines may be added to a cluster to see what follows.
const MaxAdded = 10_000

// lose ends the leases of the machines that are to be lost.
func (s *simulation) lose(w WhatIf) ([]string, error) {
	gone := make(map[string]bool)
	for _, id := range w.Lose {
		if m := s.c.machines[id]; m == nil || !m.facts.here {
			return nil, fmt.Errorf("machine %s is not there", id)
		}
		gone[id] = true
	}
	for _, where := range w.LoseWhere {
		any := false
		for _, m := range s.c.everyMachine() {
			if m.facts.here && where.Holds(m.metadata) {
				gone[m.id], any = true, true
			}
		}
		if !any {
			return nil, fmt.Errorf("no machine that is there has metadata %s", where)
		}
	}
	ids := slices.Sorted(maps.Keys(gone))
	for _, id := range ids {
		changes := []Change{{Deleted: true, Presence: &Presence{MachineID: id}}}
		for _, at := range s.c.machines[id].slots {
			if at.state != nil {
				changes = append(changes, Change{Deleted: true, State: &unit.State{Name: at.node.name, MachineID: id}})
			}
		}
		s.write(changes...)
	}
	return ids, nil
}

// start has the units known and started.
func (s *simulation) start(units []Start) error {
	var changes []Change
	for _, st := range units {
		ch, err := s.started(st)
		if err != nil {
			return err
		}
		if ch != nil {
			changes = append(changes, *ch)
		}
	}
	s.write(changes...)
	for _, st := range units {
		if st.File == nil {
			continue
		}
		if err := Admit(s.c, st.Name, st.File); err != nil {
			return fmt.Errorf("%s: %w", st.Name, err)
		}
	}
	return nil
}

// started returns the record of a unit once it is started, nil if it is.
func (s *simulation) started(st Start) (*Change, error) {
	u, known := s.c.Unit(st.Name)
	f := st.File
	if f == nil {
		f = s.c.File(st.Name)
	}
	if f == nil && !known {
		f = s.c.File(templateOf(st.Name))
	}
	if f == nil {
		return nil, fmt.Errorf("%s: %w", st.Name, unit.ErrNotFound)
	}
	name, err := unit.ParseName(st.Name)
	if err != nil {
		return nil, err
	}
	r, err := f.Requirements(st.Name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", st.Name, err)
	}
	if name.IsTemplate() && r.Instances == nil {
		return nil, fmt.Errorf("%s is a template without Instances=: only its instances can be started", st.Name)
	}
	if known && u.Hash == f.Hash && u.DesiredState == unit.Launched {
		return nil, nil
	}
	s.files[f.Hash] = f
	u.Name, u.Hash, u.DesiredState, u.Managed = st.Name, f.Hash, unit.Launched, false
	return &Change{Unit: &u, File: f}, nil
}

// add has machines join: of each kind that is there in proportion to how many
// of it are, the commonest first.
func (s *simulation) add(w WhatIf) ([]string, error) {
	switch {
	case w.Add == 0:
		return nil, nil
	case w.Add < 0 || w.Add > MaxAdded:
		return nil, fmt.Errorf("%d machines to add: it must be 1 to %d", w.Add, MaxAdded)
	}
	kinds := s.kinds()
	var ids []string
	for number := 1; len(ids) < w.Add; number++ {
		id := fmt.Sprintf("new-%d", number)
		if s.c.machines[id] != nil {
			continue
		}
		ids = append(ids, id)
		m := nextOf(kinds)
		m.ID, m.Hostname, m.PrimaryIP = id, id, ""
		m.Metadata, m.Found = maps.Clone(m.Metadata), maps.Clone(m.Found)
		if m.Metadata == nil {
			m.Metadata = make(map[string]string)
		}
		maps.Copy(m.Metadata, w.AddWith)
		if _, ok := m.Found[FoundPrefix+"hostname"]; ok {
			m.Found[FoundPrefix+"hostname"] = id
		}
		s.write(Change{Machine: &m}, Change{Presence: &Presence{MachineID: id, Ready: true}})
	}
	return ids, nil
}

// likeness is what machines have in common.
type likeness struct {
	like         Machine // with the effective metadata
	there, added int
}

// kinds returns those of the machines that are there, in the order of the IDs
// of their first ones.
func (s *simulation) kinds() []*likeness {
	var kinds []*likeness
	byKey := make(map[string]*likeness)
	for _, m := range s.c.everyMachine() {
		if !m.facts.here || !m.facts.known {
			continue
		}
		like := *m.record
		like.Metadata = s.c.EffectiveMetadata(m.id)
		key := fmt.Sprint(like.Metadata, like.CPUs, like.Memory, like.ReservedCPU, like.ReservedMemory)
		k := byKey[key]
		if k == nil {
			k = &likeness{like: like}
			byKey[key], kinds = k, append(kinds, k)
		}
		k.there++
	}
	if kinds == nil {
		kinds = []*likeness{{there: 1}}
	}
	return kinds
}

// nextOf returns a machine of the kind that has fewest added for its number,
// by the rule of d'Hondt.
func nextOf(kinds []*likeness) Machine {
	k := slices.MaxFunc(kinds, func(a, b *likeness) int {
		return cmp.Compare(a.there*(b.added+1), b.there*(a.added+1))
	})
	k.added++
	return k.like
}
