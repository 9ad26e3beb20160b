package functional

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"fleet/registry"
	"fleet/unit"
)

// forget has the cluster forget a machine that is away.
func (s *simulation) forget(m *simMachine) {
	s.t.Helper()
	s.within(time.Minute, "the machine is taken for lost", func() bool {
		_, here := s.cluster().Presence(m.id)
		return !here
	})
	if err := s.registry.Forget(context.Background(), m.id); err != nil {
		s.t.Fatal(err)
	}
}

// state is what the machine reports of the unit; zero if nothing.
func (m *simMachine) state(name string) unit.State {
	for _, st := range m.s.cluster().States(name) {
		if st.MachineID == m.id {
			return st
		}
	}
	return unit.State{}
}

// awayAnd are the ways in which a machine can be away and keep its units.
var awayAnd = []struct {
	name       string
	away, back func(s *simulation, m *simMachine)
}{
	{"fleetd was down",
		func(_ *simulation, m *simMachine) { m.killFleetd() },
		func(_ *simulation, m *simMachine) { m.startFleetd() }},
	{"it was cut off",
		func(s *simulation, m *simMachine) { s.store.Cut(m.client()) },
		func(s *simulation, m *simMachine) { s.store.Heal(m.client()) }},
}

// TestAForgottenMachineJoinsAnew: what it runs that has been replaced is shown
// as orphaned and runs on; it freezes for nothing and takes new units.
func TestAForgottenMachineJoinsAnew(t *testing.T) {
	for _, how := range awayAnd {
		t.Run(how.name, func(t *testing.T) {
			simulate(t, 3, func(s *simulation) {
				names := s.startMany(6)
				s.within(5*time.Second, "every unit runs", func() bool { return s.everyOnce(names) })
				s.pass(2 * simTTL)
				m := s.machines[2]
				had := m.runner.Running()
				how.away(s, m)
				s.forget(m)
				s.within(time.Minute, "its units run elsewhere", func() bool {
					return len(s.machines[0].runner.Running())+len(s.machines[1].runner.Running()) == len(names)
				})
				starts := s.starts()
				how.back(s, m)
				s.within(time.Minute, "what it runs is shown as orphaned", func() bool {
					for _, name := range had {
						if st := m.state(name); !st.Orphaned || st.ActiveState != "active" {
							return false
						}
					}
					return true
				})
				if p := m.agent.Problem(); p != "" {
					t.Errorf("the machine says %q", p)
				}
				if s.starts() != starts || len(m.runner.Running()) != len(had) {
					t.Errorf("%d units were started, and of %d there run %d", s.starts()-starts, len(had), len(m.runner.Running()))
				}
				s.put("only.service", service+"[X-Fleet]\nMachineID="+m.id+"\n", unit.Launched)
				s.within(5*time.Second, "it takes new units", func() bool { return m.state("only.service").Reached == unit.Launched })

				m.stopFleetd()
				m.startFleetd()
				s.pass(simTTL)
				if p := m.agent.Problem(); p != "" || !m.state(had[0]).Orphaned {
					t.Errorf("after a restart the machine says %q and shows %+v", p, m.state(had[0]))
				}
			})
		})
	}
}

// TestAnOrphanThatIsWantedIsAdopted: nothing else could take the unit, so that
// it is placed where it runs, without a restart.
func TestAnOrphanThatIsWantedIsAdopted(t *testing.T) {
	for _, how := range awayAnd {
		t.Run(how.name, func(t *testing.T) {
			simulate(t, 2, func(s *simulation) {
				m := s.machines[1]
				s.put("a.service", service+"[X-Fleet]\nMachineID="+m.id+"\n", unit.Launched)
				s.within(5*time.Second, "it runs", func() bool { return s.reached("a.service") == unit.Launched })
				s.pass(2 * simTTL)
				how.away(s, m)
				s.forget(m)
				s.pass(time.Minute)
				how.back(s, m)
				s.within(time.Minute, "it is placed where it runs", func() bool { return s.reached("a.service") == unit.Launched })
				if s.starts() != 1 || s.stops() != 0 || m.state("a.service").Orphaned {
					t.Errorf("%d starts, %d stops, %+v", s.starts(), s.stops(), m.state("a.service"))
				}
			})
		})
	}
}

// TestForgottenAsItReturns: the machine's own report comes between its being
// forgotten and its hearing of it, so that its record is there again.
func TestForgottenAsItReturns(t *testing.T) {
	simulate(t, 2, func(s *simulation) {
		names := s.startMany(2)
		s.within(5*time.Second, "every unit runs", func() bool { return s.everyOnce(names) })
		s.pass(2 * simTTL)
		m := s.machines[1]
		had := m.runner.Running()[0]
		m.killFleetd()
		s.forget(m)
		before, err := s.store.Range(context.Background(), registry.Range{Key: "/fleet/machine/" + s.machines[0].id})
		if err != nil || len(before.Pairs) != 1 {
			t.Fatal(before, err)
		}
		_, err = s.store.Txn(context.Background(), registry.Txn{Then: []registry.Op{{
			Put: "/fleet/machine/" + m.id, Value: []byte(strings.ReplaceAll(string(before.Pairs[0].Value), s.machines[0].id, m.id)),
		}}})
		if err != nil {
			t.Fatal(err)
		}
		m.startFleetd()
		s.within(time.Minute, "its unit is shown as orphaned", func() bool { return m.state(had).Orphaned })
		if p := m.agent.Problem(); p != "" {
			t.Errorf("the machine says %q", p)
		}
	})
}

// TestForgottenWhileItReturns: it has read its placements, and is forgotten
// before what it reports arrives.
func TestForgottenWhileItReturns(t *testing.T) {
	simulate(t, 2, func(s *simulation) {
		names := s.startMany(2)
		s.within(5*time.Second, "every unit runs", func() bool { return s.everyOnce(names) })
		s.pass(2 * simTTL)
		m := s.machines[1]
		had := m.runner.Running()[0]
		m.killFleetd()
		s.within(time.Minute, "the machine is taken for lost", func() bool { return s.liveMachines() == 1 })
		s.pass(time.Minute)
		s.store.HoldWrites(fmt.Sprint(m.id, "/", m.starts+1), 1)
		m.startFleetd()
		s.pass(time.Second)
		s.forget(m)
		if n := s.store.ReleaseWrites(m.client()); n == 0 {
			t.Fatal("nothing that it writes was held up")
		}
		s.within(time.Minute, "its unit is shown as orphaned", func() bool { return m.state(had).Orphaned })
		s.pass(simTTL)
		if p := m.agent.Problem(); p != "" {
			t.Errorf("the machine says %q", p)
		}
	})
}

// TestForgottenInAStoreThatIsGone: a store that is not the one that the machine
// knew has not forgotten it, whatever it lacks.
func TestForgottenInAStoreThatIsGone(t *testing.T) {
	simulate(t, 1, func(s *simulation) {
		s.put("a.service", service, unit.Launched)
		s.within(5*time.Second, "it runs", func() bool { return s.reached("a.service") == unit.Launched })
		m := s.machines[0]
		m.killFleetd()
		s.forget(m)
		s.store.Restore(registry.NewMemory().Backup(), 0, true)
		m.startFleetd()
		s.pass(simTTL)
		if p := m.agent.Problem(); !strings.HasPrefix(p, "frozen") {
			t.Errorf("the machine says %q, and does not freeze", p)
		}
		if s.starts() != 1 || s.stops() != 0 {
			t.Errorf("%d starts, %d stops", s.starts(), s.stops())
		}
	})
}
