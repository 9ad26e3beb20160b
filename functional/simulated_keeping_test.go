package functional

import (
	"fmt"
	"testing"
	"time"

	"fleet/agent"
	"fleet/schedule"
	"fleet/unit"
)

// TestRollTakesDownOneAtATime, starting each instance once.
func TestRollTakesDownOneAtATime(t *testing.T) {
	simulate(t, 3, func(s *simulation) {
		const options = "[X-Fleet]\nInstances=5\n"
		count := func(has func(name string) bool) int {
			n := 0
			for i := 1; i <= 5; i++ {
				if has(fmt.Sprintf("app@%d.service", i)) {
					n++
				}
			}
			return n
		}
		run := func(name string) bool { return len(s.running(name)) == 1 }
		s.put("app@.service", service+options, unit.Launched)
		s.within(5*time.Second, "five instances run", func() bool { return count(run) == 5 })
		starts := s.starts()
		s.put("app@.service", service+"# changed\n"+options, unit.Launched)
		s.within(20*time.Second, "all five run the new file", func() bool {
			if n := count(run); n < 4 {
				t.Fatalf("only %d of 5 run", n)
			}
			c := s.cluster()
			want, _ := c.Unit("app@.service")
			return count(func(name string) bool {
				st := c.States(name)
				return len(st) == 1 && st[0].Hash == want.Hash && st[0].Active()
			}) == 5
		})
		if n := s.starts() - starts; n != 5 {
			t.Errorf("%d starts, want each instance's", n)
		}
	})
}

func TestFinishedOutlivesItsMachine(t *testing.T) {
	simulate(t, 0, func(s *simulation) {
		s.policy = schedule.DefaultPolicy()
		dir := ramDir(t)
		for range 3 {
			s.add(dir)
		}
		s.put("job.service", "[Service]\nType=oneshot\nExecStart=/bin/true\n[X-Fleet]\nRunOnce=true\n", unit.Launched)
		s.within(5*time.Second, "the job has finished", func() bool {
			_, ok := s.cluster().Done("job.service")
			return ok
		})
		starts := s.starts()
		done, _ := s.cluster().Done("job.service")
		s.pass(2 * simTTL)
		for _, m := range s.machines {
			if m.id == done.MachineID {
				m.cutPower()
			}
		}
		s.within(3*simTTL, "the loss is written down", func() bool {
			_, ok := s.cluster().Absence(done.MachineID)
			return ok
		})
		s.pass(23 * time.Hour)
		if _, ok := s.cluster().Machine(done.MachineID); !ok {
			t.Error("forgotten too soon")
		}
		s.pass(time.Hour)
		s.within(time.Minute, "the machine is forgotten", func() bool {
			c := s.cluster()
			_, known := c.Machine(done.MachineID)
			_, absent := c.Absence(done.MachineID)
			return !known && !absent && len(c.Placements("job.service")) == 0
		})
		if n := s.starts() - starts; n != 0 {
			t.Errorf("the job was started %d times more", n)
		}

		// Asked for again it runs again.
		s.target("job.service", unit.Loaded)
		s.pass(5 * time.Second)
		s.target("job.service", unit.Launched)
		s.within(5*time.Second, "it has run again", func() bool { return s.starts() == starts+1 })
	})
}

func TestUnitThatFailsToStartIsTriedElsewhere(t *testing.T) {
	simulate(t, 0, func(s *simulation) {
		dir := ramDir(t)
		s.behave = func(name string) agent.Behavior { return agent.Behavior{StartFails: "no such device"} }
		s.add(dir)
		s.behave = nil
		s.put("a.service", service+"[X-Fleet]\nReschedule=on-failure:3\n", unit.Launched)
		s.within(10*time.Second, "it is placed", func() bool { return len(s.cluster().Placements("a.service")) == 1 })
		s.add(dir)
		s.within(5*time.Minute, "it runs on the other machine", func() bool { return len(s.running("a.service")) == 1 })
		if on := s.running("a.service"); on[0] != 1 {
			t.Errorf("it runs on machine %d", on[0])
		}
		s.within(30*time.Minute, "what went wrong is forgotten", func() bool {
			p := s.cluster().Placements("a.service")
			return len(p) == 1 && p[0].Trouble == nil
		})
		if n := s.starts(); n < 4 {
			t.Errorf("%d starts, want three that failed and one", n)
		}
	})
}
