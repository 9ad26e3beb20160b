package functional

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"fleet/agent"
	"fleet/schedule"
	"fleet/unit"
)

// behaveOn gives a machine another nature; what it ran is gone.
func (m *simMachine) behaveOn(behave func(name string) agent.Behavior) {
	m.stopFleetd()
	m.runner = agent.NewHollow(behave)
	m.startFleetd()
}

// startsOf counts how often the unit was started there.
func (m *simMachine) startsOf(name string) int {
	n := 0
	for _, e := range m.runner.History() {
		if e.Unit == name && e.Running {
			n++
		}
	}
	return n
}

func (m *simMachine) presence() schedule.Presence {
	p, _ := m.s.cluster().Presence(m.id)
	return p
}

// Two ways in which a unit fails to start: its job fails, or it is started and
// ends at once.
var failing = map[string]agent.Behavior{
	"its job fails":   {StartFails: "exit-code"},
	"it ends at once": {RunsFor: time.Second, ExitStatus: 1},
}

// TestFailedStartsAreTriedAgainAndCounted: as often as the placement says, and
// then no more, whatever becomes of fleetd, until the user asks anew.
func TestFailedStartsAreTriedAgainAndCounted(t *testing.T) {
	for how, failing := range failing {
		t.Run(how, func(t *testing.T) {
			simulate(t, 1, func(s *simulation) {
				m := s.machines[0]
				var bad atomic.Bool
				bad.Store(true)
				m.behaveOn(func(string) agent.Behavior {
					if bad.Load() {
						return failing
					}
					return agent.Behavior{}
				})
				s.put("b.service", service, unit.Launched)
				s.put("a.service", service+"[X-Fleet]\nReschedule=on-failure:3\n", unit.Launched)
				s.within(time.Minute, "three starts have failed", func() bool { return m.state("a.service").FailedStarts == 3 })
				s.pass(20 * time.Minute)
				m.stopFleetd()
				m.startFleetd()
				s.pass(20 * time.Minute)
				if n := m.startsOf("b.service"); n != 1 {
					t.Errorf("without Reschedule= it was started %d times", n)
				}
				if n := m.startsOf("a.service"); n != 3 || m.state("a.service").FailedStarts != 3 {
					t.Errorf("it was started %d times, want 3: %+v", n, m.state("a.service"))
				}

				s.target("a.service", unit.Loaded)
				s.within(5*time.Second, "it is to be loaded", func() bool {
					st := m.state("a.service")
					return s.reached("a.service") == unit.Loaded && st.FailedStarts == 0
				})
				s.target("a.service", unit.Launched)
				s.within(time.Minute, "two starts have failed", func() bool { return m.state("a.service").FailedStarts == 2 })
				bad.Store(false)
				s.within(time.Minute, "it is up", func() bool { return m.state("a.service").ActiveState == "active" })
				if n := m.state("a.service").FailedStarts; n != 2 {
					t.Errorf("%d failed starts as soon as it is up", n)
				}
				s.within(2*time.Minute, "its failures are forgotten", func() bool { return m.state("a.service").FailedStarts == 0 })
				starts := m.startsOf("a.service")
				m.runner.Crash("a.service")
				s.pass(20 * time.Minute)
				if n := m.startsOf("a.service"); n != starts || m.state("a.service").FailedStarts != 0 {
					t.Errorf("having run well it was started %d times more: %+v", n-starts, m.state("a.service"))
				}
			})
		})
	}
}

// TestAStartThatFailsUnseenIsTriedAgain: while fleetd is away, or the store is,
// and a unit that ran well until then is left alone.
func TestAStartThatFailsUnseenIsTriedAgain(t *testing.T) {
	simulate(t, 2, func(s *simulation) {
		s.within(simTTL, "both are there", func() bool { return s.liveMachines() == 2 })
		s.put("a.service", service+"[X-Fleet]\nReschedule=on-failure:1\n", unit.Launched)
		s.put("b.service", service+"[X-Fleet]\nReschedule=on-failure:1\n", unit.Launched)
		s.within(5*time.Second, "both run", func() bool {
			return s.reached("a.service") == unit.Launched && s.reached("b.service") == unit.Launched
		})
		on := func(name string) *simMachine {
			id := s.cluster().Placements(name)[0].MachineID
			return s.machines[slices.IndexFunc(s.machines, func(m *simMachine) bool { return m.id == id })]
		}
		young, old := on("a.service"), on("b.service")
		crash := func(m *simMachine, name string) (more int) {
			before := m.startsOf(name)
			m.stopFleetd()
			m.runner.Crash(name)
			m.startFleetd()
			s.pass(simTTL)
			return m.startsOf(name) - before
		}
		if n := crash(young, "a.service"); n != 1 {
			t.Errorf("a unit that failed soon was started %d times more, want once", n)
		}
		s.pass(2 * time.Minute)
		if n := crash(old, "b.service"); n != 0 {
			t.Errorf("a unit that ran well was started %d times more", n)
		}
	})
}

// TestAUnitThatFailsHereIsTriedElsewhere: it is started as often as it says
// where it fails, and once where it does well.
func TestAUnitThatFailsHereIsTriedElsewhere(t *testing.T) {
	for how, failing := range failing {
		t.Run(how, func(t *testing.T) {
			simulate(t, 2, func(s *simulation) {
				sick, well := s.machines[0], s.machines[1]
				sick.behaveOn(func(string) agent.Behavior { return failing })
				s.within(simTTL, "both are there", func() bool { return s.liveMachines() == 2 })
				s.put("a.service", service+"[X-Fleet]\nReschedule=on-failure:3\n", unit.Launched)
				s.within(time.Minute, "it runs where it can", func() bool { return well.state("a.service").ActiveState == "active" })
				s.pass(20 * time.Minute)
				if n := sick.startsOf("a.service"); n != 3 {
					t.Errorf("it was started %d times where it fails, want 3", n)
				}
				if n := well.startsOf("a.service"); n != 1 {
					t.Errorf("it was started %d times where it does well, want once", n)
				}
			})
		})
	}
}

// TestAHostThatFailsDrawsNoMoreUnits: it looks the least loaded all the time.
func TestAHostThatFailsDrawsNoMoreUnits(t *testing.T) {
	for how, failing := range failing {
		t.Run(how, func(t *testing.T) {
			simulate(t, 2, func(s *simulation) {
				sick := s.machines[1]
				var well atomic.Bool
				sick.behaveOn(func(string) agent.Behavior {
					if well.Load() {
						return agent.Behavior{}
					}
					return failing
				})
				s.within(simTTL, "both are there", func() bool { return s.liveMachines() == 2 })
				for i := range 20 {
					s.put(fmt.Sprintf("u%d.service", i), service, unit.Launched)
					s.pass(5 * time.Second)
				}
				there := len(s.cluster().PlacementsOn(sick.id))
				if there != 3 {
					t.Errorf("%d units were placed on the host that fails", there)
				}
				p := sick.presence()
				if p.Ready || !strings.HasPrefix(p.Problem, "3 units failed to start here within 5 minutes: u") {
					t.Errorf("it says %+v", p)
				}
				well.Store(true)
				s.within(5*time.Minute, "it recovers", func() bool { return sick.presence().Ready && sick.presence().Problem == "" })
				s.put("later.service", service, unit.Launched)
				s.within(5*time.Second, "it takes units again", func() bool { return sick.state("later.service").ActiveState == "active" })
			})
		})
	}
}

// TestAHostRecoversWhenAUnitStarts: the user repaired the host and starts anew
// what failed there.
func TestAHostRecoversWhenAUnitStarts(t *testing.T) {
	simulate(t, 1, func(s *simulation) {
		m := s.machines[0]
		var well atomic.Bool
		m.behaveOn(func(string) agent.Behavior {
			if well.Load() {
				return agent.Behavior{}
			}
			return agent.Behavior{StartFails: "exit-code"}
		})
		s.within(simTTL, "it is there", func() bool { return s.liveMachines() == 1 })
		s.startMany(3)
		s.within(5*time.Second, "it says so", func() bool { return !m.presence().Ready })
		well.Store(true)
		s.target("u0.service", unit.Loaded)
		s.within(5*time.Second, "it is down", func() bool {
			return s.cluster().Placements("u0.service")[0].Target == unit.Loaded && s.reached("u0.service") == unit.Loaded
		})
		s.target("u0.service", unit.Launched)
		s.within(70*time.Second, "it is ready again", func() bool { return m.presence().Ready })
	})
}

// TestWhatHasFinishedIsNotStartedAgain: not by the news itself, not by another
// fleetd, not by a reboot.
func TestWhatHasFinishedIsNotStartedAgain(t *testing.T) {
	simulate(t, 1, func(s *simulation) {
		m := s.machines[0]
		s.put("job.service", "[Service]\nType=oneshot\nExecStart=/bin/true\n[X-Fleet]\nRunOnce=true\n", unit.Launched)
		s.within(5*time.Second, "it has finished", func() bool {
			places := s.cluster().Placements("job.service")
			return len(places) == 1 && places[0].Finished
		})
		s.pass(simTTL)
		if st := m.state("job.service"); st.Reached != unit.Launched || st.Generation != s.cluster().Placements("job.service")[0].Generation {
			t.Errorf("it is reported as %+v", st)
		}
		m.stopFleetd()
		m.startFleetd()
		s.pass(simTTL)
		m.cutPower()
		s.pass(5 * simTTL)
		m.powerOn()
		s.within(time.Minute, "it is loaded and has done what there was to do", func() bool {
			st := m.state("job.service")
			return st.LoadState == "loaded" && st.Reached == unit.Launched
		})
		s.pass(simTTL)
		if n := m.startsOf("job.service"); n != 1 {
			t.Errorf("it was started %d times", n)
		}
		s.target("job.service", unit.Inactive)
		s.within(5*time.Second, "it is released", func() bool { return len(s.cluster().Placements("job.service")) == 0 })
		s.target("job.service", unit.Launched)
		s.within(5*time.Second, "it runs again when the user says so", func() bool { return m.startsOf("job.service") == 2 })
	})
}

// TestWhatRunsHasNotFinished: a service counts as started before it is seen to
// run, and must not be taken for one that has run.
func TestWhatRunsHasNotFinished(t *testing.T) {
	simulate(t, 3, func(s *simulation) {
		var names []string
		for i := range 100 {
			names = append(names, fmt.Sprintf("job%d.service", i))
			s.put(names[i], service+"[X-Fleet]\nRunOnce=true\n", unit.Launched)
		}
		s.within(10*time.Second, "every unit runs", func() bool { return s.everyOnce(names) })
		s.pass(simTTL)
		for _, name := range names {
			if p := s.cluster().Placements(name); len(p) != 1 || p[0].Finished {
				t.Fatalf("%s runs, and its placements are %+v", name, p)
			}
		}
	})
}
