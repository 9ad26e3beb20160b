package functional

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"fleet/agent"
	"fleet/registry"
	"fleet/unit"
)

func TestUnitsSpreadOverHundredsOfMachines(t *testing.T) {
	simulate(t, 200, func(s *simulation) {
		names := s.startMany(400)
		s.within(30*time.Second, "every unit runs once", func() bool { return s.everyOnce(names) })
		for i, m := range s.machines {
			if n := len(m.runner.Running()); n != 2 {
				t.Errorf("machine %d runs %d units, want 2", i, n)
			}
		}
		s.put("everywhere.service", service+"[X-Fleet]\nGlobal=true\n", unit.Launched)
		s.within(10*time.Second, "the global unit runs everywhere", func() bool {
			return len(s.running("everywhere.service")) == 200
		})
	})
}

func TestPowerLossMovesUnits(t *testing.T) {
	simulate(t, 200, func(s *simulation) {
		names := s.startMany(400)
		s.within(5*time.Second, "every unit runs", func() bool { return s.everyOnce(names) })
		s.pass(simTTL) // eviction is held for a TTL after the engine's first contact
		lost := s.machines[2]
		moved := lost.runner.Running()
		lost.cutPower()
		took := s.within(simTTL+2*time.Second, "the lost machine's units run elsewhere", func() bool { return s.everyOnce(names) })
		t.Logf("%d units ran elsewhere after %v", len(moved), took)

		// What comes back finds its units replaced and lets go of them.
		lost.powerOn()
		s.within(5*time.Second, "the returned machine has released what was replaced", func() bool {
			return len(s.cluster().PlacementsOn(lost.id)) == 0
		})
		if n := len(lost.runner.Running()); n != 0 {
			t.Errorf("the returned machine started %d units that run elsewhere", n)
		}
		if !s.everyOnce(names) {
			t.Error("not every unit runs once after the return")
		}
	})
}

func TestLeadersMachineLostIsNoWorse(t *testing.T) {
	simulate(t, 100, func(s *simulation) {
		names := s.startMany(200)
		s.within(5*time.Second, "every unit runs", func() bool { return s.everyOnce(names) })
		s.pass(2 * simTTL)
		leader := s.leader()
		leader.cutPower()
		s.within(simTTL+2*time.Second, "the leader's units run elsewhere", func() bool { return s.everyOnce(names) })
		if s.leader() == leader {
			t.Error("the dead machine still leads")
		}
	})
}

func TestRestartOfFleetdTouchesNothing(t *testing.T) {
	simulate(t, 3, func(s *simulation) {
		names := s.startMany(9)
		s.within(5*time.Second, "every unit runs", func() bool { return s.everyOnce(names) })
		starts := s.starts()
		for _, m := range s.machines {
			m.stopFleetd()
			s.pass(30 * time.Second) // within restart_grace, past the TTL
			m.startFleetd()
			s.pass(2 * simTTL)
		}
		if n := s.stops(); n != 0 {
			t.Errorf("%d units were stopped", n)
		}
		if n := s.starts() - starts; n != 0 {
			t.Errorf("%d units were started again", n)
		}
		if live := s.liveMachines(); live != 3 {
			t.Errorf("%d machines present, want 3", live)
		}
		// And it still does its work.
		s.target(names[0], unit.Loaded)
		s.within(5*time.Second, "the unit stops on demand", func() bool { return len(s.running(names[0])) == 0 })
	})
}

func TestStoreTroubleStopsNothing(t *testing.T) {
	for _, trouble := range []struct {
		name   string
		do     func(s *simulation)
		frozen bool
	}{
		{"stalls for a minute", func(s *simulation) {
			s.store.Stall()
			s.pass(time.Minute)
			s.store.Resume()
		}, false},
		{"loses its leader", func(s *simulation) { s.store.LoseLeader() }, false},
		{"is compacted under the watches", func(s *simulation) {
			res, _ := s.store.Range(context.Background(), registry.Range{Key: "/fleet/cluster"})
			_ = s.store.Compact(context.Background(), res.Revision)
		}, false},
		{"is wiped", func(s *simulation) {
			s.store.Restore(registry.NewMemory().Backup(), 0, true)
			s.store.LoseLeader()
		}, true},
	} {
		t.Run(trouble.name, func(t *testing.T) {
			simulate(t, 4, func(s *simulation) {
				names := s.startMany(12)
				s.within(5*time.Second, "every unit runs", func() bool { return s.everyOnce(names) })
				s.pass(2 * simTTL)
				starts := s.starts()
				trouble.do(s)
				s.pass(5 * simTTL)
				if n := s.stops(); n != 0 {
					t.Errorf("%d units were stopped", n)
				}
				if n := s.starts() - starts; n != 0 {
					t.Errorf("%d units were started again", n)
				}
				for _, m := range s.machines {
					if got := strings.HasPrefix(m.agent.Problem(), "frozen"); got != trouble.frozen {
						t.Errorf("frozen %v, want %v: %q", got, trouble.frozen, m.agent.Problem())
					}
				}
				if trouble.frozen {
					res, err := s.store.Range(context.Background(), registry.Range{Key: "/fleet/leader"})
					if err != nil || len(res.Pairs) != 0 {
						t.Errorf("somebody leads in a store that nobody trusts: %v, %v", res.Pairs, err)
					}
					return
				}
				s.put("later.service", service, unit.Launched)
				s.within(5*time.Second, "the cluster works on", func() bool { return len(s.running("later.service")) == 1 })
			})
		})
	}
}

func TestOlderStoreFreezesAndThaws(t *testing.T) {
	simulate(t, 3, func(s *simulation) {
		names := s.startMany(3)
		s.within(5*time.Second, "every unit runs", func() bool { return s.everyOnce(names) })
		old := s.store.Backup()
		s.put("young.service", service, unit.Launched)
		s.within(5*time.Second, "the young unit runs", func() bool { return len(s.running("young.service")) == 1 })
		now := s.store.Backup()
		at := s.machines[s.running("young.service")[0]]

		s.store.Restore(old, 10000, false)
		s.pass(3 * simTTL)
		if len(s.running("young.service")) != 1 || !s.everyOnce(names) {
			t.Error("the older store stopped or moved a unit")
		}
		if !strings.Contains(at.agent.Problem(), "lacks the placement") {
			t.Errorf("the machine whose unit the store lacks says %q", at.agent.Problem())
		}
		s.store.Restore(now, 20000, false)
		s.within(time.Minute, "the right store thaws the machine", func() bool { return at.agent.Problem() == "" })
		if n := s.stops(); n != 0 {
			t.Errorf("%d units were stopped", n)
		}
	})
}

func TestReleaseComesBeforeTheNextPlace(t *testing.T) {
	simulate(t, 2, func(s *simulation) {
		first := s.machines[0]
		s.put("a.service", service+"[X-Fleet]\nMachineID="+first.id+"\n", unit.Launched)
		s.within(5*time.Second, "it runs on the first machine", func() bool { return slices.Equal(s.running("a.service"), []int{0}) })
		s.put("a.service", service+"[X-Fleet]\nMachineID="+s.machines[1].id+"\n", unit.Launched)
		s.within(5*time.Second, "it runs on the second machine alone", func() bool {
			on := s.running("a.service")
			if len(on) > 1 {
				t.Fatal("it runs twice")
			}
			return slices.Equal(on, []int{1})
		})
	})
}

func TestVerbs(t *testing.T) {
	simulate(t, 3, func(s *simulation) {
		ctx := context.Background()
		s.put("a.service", service, unit.Inactive)
		s.pass(time.Second)
		if n := len(s.cluster().Placements("a.service")); n != 0 {
			t.Fatalf("an inactive unit has %d placements", n)
		}
		s.target("a.service", unit.Loaded)
		s.within(2*time.Second, "it is loaded", func() bool { return s.reached("a.service") == unit.Loaded })
		if len(s.running("a.service")) != 0 {
			t.Error("a loaded unit runs")
		}
		s.target("a.service", unit.Launched)
		s.within(2*time.Second, "it runs", func() bool { return s.reached("a.service") == unit.Launched })
		s.target("a.service", unit.Loaded)
		s.within(2*time.Second, "it has stopped and is loaded", func() bool {
			return s.reached("a.service") == unit.Loaded && len(s.running("a.service")) == 0
		})
		s.target("a.service", unit.Launched)
		s.within(2*time.Second, "it runs again", func() bool { return len(s.running("a.service")) == 1 })
		if err := s.registry.DeleteUnit(ctx, "a.service"); err != nil {
			t.Fatal(err)
		}
		s.within(2*time.Second, "nothing of it is left", func() bool {
			c := s.cluster()
			return len(s.running("a.service")) == 0 && len(c.Placements("a.service")) == 0 && len(c.States("a.service")) == 0
		})
	})
}

// TestTriggersWaitForWhatTheyTrigger has a machine that, like systemd, refuses
// to start a timer whose service it doesn't have.
func TestTriggersWaitForWhatTheyTrigger(t *testing.T) {
	simulate(t, 1, func(s *simulation) {
		m := s.machines[0]
		m.stopFleetd()
		var hollow *agent.Hollow
		var there atomic.Bool
		hollow = agent.NewHollow(func(name string) agent.Behavior {
			if name == "job.timer" && !there.Load() {
				return agent.Behavior{StartFails: "unit job.service to trigger not loaded"}
			}
			return agent.Behavior{}
		})
		m.runner = hollow
		m.startFleetd()
		s.put("job.timer", "[Timer]\nOnCalendar=hourly\n", unit.Launched)
		s.within(10*time.Second, "the refusal is shown", func() bool {
			st := s.cluster().States("job.timer")
			return len(st) == 1 && strings.Contains(st[0].Failure, "not loaded")
		})
		s.pass(5 * time.Minute) // the tries are a minute apart by now
		there.Store(true)
		s.put("job.service", service, unit.Loaded)
		s.within(2*time.Second, "the timer runs once its service is there", func() bool {
			return len(s.running("job.timer")) == 1
		})
	})
}
