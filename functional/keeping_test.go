package functional

import (
	"context"
	"fmt"
	"testing"
	"time"

	"fleet/schedule"
	"fleet/unit"
)

// TestInstancesAreKept: the engine has as many instances of a template as it
// asks for, also through the loss of the leader, a collection of unit files and
// a user who wants another number.
func TestInstancesAreKept(t *testing.T) {
	simulate(t, 4, func(s *simulation) {
		const template = "app@.service"
		instances := func(n int) func() bool {
			return func() bool {
				for i := 1; i <= 6; i++ {
					want := 0
					if i <= n {
						want = 1
					}
					if len(s.running(fmt.Sprintf("app@%d.service", i))) != want {
						return false
					}
				}
				return true
			}
		}
		s.put(template, service+"[X-Fleet]\nInstances=3\n", unit.Launched)
		s.within(5*time.Second, "three instances run", instances(3))
		stops := s.stops()
		leader := s.leader()
		leader.stopFleetd()
		if err := s.registry.SetScale(context.Background(), template, &unit.Scale{To: 5, From: 3}); err != nil {
			t.Fatal(err)
		}
		s.pass(simTTL) // the next leader decides
		leader.startFleetd()
		s.within(5*time.Second, "five instances run", instances(5))
		if n := s.stops(); n != stops {
			t.Errorf("%d instances were stopped for no reason", n-stops)
		}
		s.pass(simTTL)
		s.put(template, service+"# changed\n[X-Fleet]\nInstances=3\n", unit.Launched)
		s.pass(11 * time.Minute) // unused unit files are collected
		if !instances(5)() {
			t.Error("not every instance runs the new file")
		}
		c := s.cluster()
		record, _ := c.Unit(template)
		for i := 1; i <= 5; i++ {
			name := fmt.Sprintf("app@%d.service", i)
			if u, ok := c.Unit(name); !ok || u.Hash != record.Hash || c.File(name) == nil {
				t.Errorf("%s has the file %.7s, %v; want the template's, %.7s", name, u.Hash, c.File(name) != nil, record.Hash)
			}
		}
		s.target(template, unit.Inactive)
		s.within(5*time.Second, "all have stopped", instances(0))
		if err := s.registry.DeleteUnit(context.Background(), template); err != nil {
			t.Fatal(err)
		}
		s.within(5*time.Second, "nothing is left of them", func() bool {
			for range s.cluster().Units() {
				return false
			}
			return true
		})
	})
}

// TestAMachineThatStaysAwayIsForgotten, also when the leader that saw it go is
// lost before it is time.
func TestAMachineThatStaysAwayIsForgotten(t *testing.T) {
	simulate(t, 0, func(s *simulation) {
		s.policy = schedule.Policy{Strategy: schedule.SpreadOut, ForgetAfter: 10 * time.Minute}
		dir := ramDir(t)
		for range 5 {
			s.add(dir)
		}
		names := s.startMany(10)
		s.within(5*time.Second, "every unit runs", func() bool { return s.everyOnce(names) })
		s.pass(2 * simTTL)
		lost := s.machines[0]
		if s.leader() == lost {
			lost = s.machines[1]
		}
		lost.cutPower()
		s.within(simTTL+2*time.Second, "its units run elsewhere", func() bool { return s.everyOnce(names) })
		gone := time.Now()
		s.pass(5 * time.Minute)
		leader := s.leader()
		leader.stopFleetd()
		s.pass(simTTL)
		leader.startFleetd()
		s.pass(4 * time.Minute)
		known := func() bool { _, ok := s.cluster().Machine(lost.id); return ok }
		if !known() {
			t.Error("it was forgotten before its time")
		}
		s.within(2*time.Minute, "it is forgotten", func() bool { return !known() })
		if took := time.Since(gone); took > 11*time.Minute {
			t.Errorf("it was forgotten after %v", took)
		}
		c := s.cluster()
		if n := len(c.PlacementsOn(lost.id)); n != 0 {
			t.Errorf("%d placements are left of it", n)
		}
		if !s.everyOnce(names) {
			t.Error("not every unit runs once")
		}
	})
}
