package agent

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"fleet/schedule"
	"fleet/unit"
)

// The situations are built from a unit that is placed, started and running as
// it should be.
func settled() situation {
	return situation{
		boot: "boot",
		place: &schedule.Placement{
			Unit: "a.service", MachineID: "m", Hash: "v1", Target: unit.Launched, Order: schedule.Run, Generation: 5,
		},
		rec: Record{
			Unit: "a.service", Hash: "v1", Target: unit.Launched, Order: schedule.Run, Generation: 5,
			Started: &Started{Hash: "v1", BootID: "boot", Generation: 5, Done: true},
		},
		seen: Observed{Name: "a.service", Hash: "v1", LoadState: "loaded", ActiveState: "active", SubState: "running"},
	}
}

func TestDecide(t *testing.T) {
	for _, c := range []struct {
		name string
		make func(s *situation)
		want verb
	}{
		{"all is well", func(s *situation) {}, nothing},
		{"the placement is missing", func(s *situation) { s.place = nil }, nothing},
		{"it was never here", func(s *situation) { *s = situation{place: s.place, boot: "boot"} }, load},
		{"its file is in place, nothing was started", func(s *situation) {
			s.rec.Started, s.seen.ActiveState = nil, "inactive"
		}, start},
		{"a start was begun and not seen to its end", func(s *situation) { s.rec.Started.Done = false }, start},
		{"it failed after it was started", func(s *situation) { s.seen.ActiveState = "failed" }, nothing},
		{"it failed to start", func(s *situation) {
			s.rec.Started.Failure, s.seen.ActiveState = "exit code 1", "failed"
		}, nothing},
		{"the machine was booted since", func(s *situation) { s.boot, s.seen = "next", Observed{} }, load},
		{"the machine was booted since, the file is back", func(s *situation) {
			s.boot, s.seen.ActiveState = "next", "inactive"
		}, start},
		{"its file changed while it runs", func(s *situation) { s.place.Hash, s.place.Generation = "v2", 6 }, stop},
		{"its file changed and it was stopped for that", func(s *situation) {
			s.place.Hash, s.place.Generation, s.rec.Started, s.seen.ActiveState = "v2", 6, nil, "inactive"
		}, load},
		{"its target was lowered", func(s *situation) { s.place.Target, s.place.Generation = unit.Loaded, 6 }, stop},
		{"its target was lowered when nothing ran", func(s *situation) {
			s.place.Target, s.place.Generation, s.seen.ActiveState, s.rec.Started = unit.Loaded, 6, "inactive", nil
		}, note},
		{"its target was lowered before it was seen to run", func(s *situation) {
			s.place.Target, s.place.Generation, s.seen.ActiveState = unit.Loaded, 6, "inactive"
		}, stop},
		{"its file changed before it was seen to run", func(s *situation) {
			s.place.Hash, s.place.Generation, s.seen.ActiveState = "v2", 6, "inactive"
		}, stop},
		{"it is only loaded, and something else started it", func(s *situation) {
			s.place.Target, s.rec.Target, s.rec.Started = unit.Loaded, unit.Loaded, nil
		}, nothing},
		{"a new generation asks for what is so already", func(s *situation) { s.place.Generation = 6 }, note},
		{"a new generation asks for what has ended", func(s *situation) {
			s.place.Generation, s.seen.ActiveState = 6, "inactive"
		}, start},
		{"it failed to start and is to be tried again", func(s *situation) {
			s.place.Attempts, s.rec.Failed, s.rec.Started.Failure, s.seen.ActiveState = 3, make([]time.Time, 2), "exit code 1", "failed"
		}, start},
		{"it started, ended at once and is to be tried again", func(s *situation) {
			s.place.Attempts, s.rec.Failed, s.seen.ActiveState = 3, make([]time.Time, 1), "failed"
		}, start},
		{"nothing of it could be started and it is to be tried again", func(s *situation) {
			s.place.Attempts, s.rec.Failed, s.rec.Started.Failure, s.seen.ActiveState = 3, make([]time.Time, 1), "dependency", "inactive"
		}, start},
		{"it failed to start as often as it may", func(s *situation) {
			s.place.Attempts, s.rec.Failed, s.rec.Started.Failure, s.seen.ActiveState = 3, make([]time.Time, 3), "exit code 1", "failed"
		}, nothing},
		{"it failed to start and systemd tries again", func(s *situation) {
			s.place.Attempts, s.rec.Failed, s.seen.ActiveState, s.seen.SubState = 3, make([]time.Time, 1), "activating", "auto-restart"
		}, nothing},
		{"it failed after it ran well, with Reschedule=", func(s *situation) {
			s.place.Attempts, s.seen.ActiveState = 3, "failed"
		}, nothing},
		{"it failed while fleetd was away, and nobody counted", func(s *situation) {
			s.place.Attempts, s.found, s.seen.ActiveState = 1, true, "failed"
		}, start},
		{"its start job failed, and fleetd was killed before it counted", func(s *situation) {
			s.place.Attempts, s.found, s.rec.Started.Failure, s.seen.ActiveState = 1, true, "dependency", "inactive"
		}, start},
		{"it failed while fleetd was away, after it ran well", func(s *situation) {
			s.place.Attempts, s.found, s.rec.Started.Steady, s.seen.ActiveState = 3, true, true, "failed"
		}, nothing},
		{"it failed while fleetd was away, without Reschedule=", func(s *situation) {
			s.found, s.seen.ActiveState = true, "failed"
		}, nothing},
		{"it failed to start and was then stopped by hand", func(s *situation) {
			s.place.Attempts, s.rec.Failed, s.seen.ActiveState = 3, make([]time.Time, 1), "inactive"
		}, nothing},
		{"it failed to start and is held", func(s *situation) {
			s.place.Attempts, s.rec.Failed, s.seen.ActiveState, s.place.Order = 3, make([]time.Time, 1), "failed", schedule.Held
		}, nothing},
		{"it has finished", func(s *situation) { s.place.Finished, s.seen.ActiveState = true, "inactive" }, nothing},
		{"it has finished and runs again by itself", func(s *situation) { s.place.Finished = true }, nothing},
		{"it has finished and the machine was booted since", func(s *situation) {
			s.place.Finished, s.boot, s.seen = true, "next", Observed{}
		}, load},
		{"it has finished and the machine was booted since, the file is back", func(s *situation) {
			s.place.Finished, s.boot, s.seen.ActiveState = true, "next", "inactive"
		}, nothing},
		{"it has finished and its start was not seen to its end", func(s *situation) {
			s.place.Finished, s.rec.Started.Done, s.seen.ActiveState = true, false, "inactive"
		}, nothing},
		{"it has finished, in a later generation", func(s *situation) {
			s.place.Finished, s.place.Generation, s.seen.ActiveState = true, 6, "inactive"
		}, note},
		{"it has finished and is to be released", func(s *situation) {
			s.place.Finished, s.place.Order, s.place.Generation = true, schedule.Release, 6
		}, release},
		{"it has finished and is to run anew", func(s *situation) {
			s.place.Generation, s.seen.ActiveState = 6, "inactive"
		}, start},
		{"it is to be released", func(s *situation) { s.place.Order, s.place.Generation = schedule.Release, 6 }, release},
		{"its release was carried out", func(s *situation) {
			s.place.Order, s.place.Generation, s.rec.Released = schedule.Release, 6, 6
		}, nothing},
		{"its release was carried out and the placement is gone", func(s *situation) {
			s.place, s.rec.Released = nil, 5
		}, forget},
		{"it is released anew", func(s *situation) {
			s.place.Order, s.place.Generation, s.rec.Released = schedule.Release, 8, 6
		}, release},
		{"it is held", func(s *situation) { s.place.Order = schedule.Held }, nothing},
		{"it is held and does not run", func(s *situation) {
			s.place.Order, s.boot, s.seen = schedule.Held, "next", Observed{}
		}, nothing},
		{"it is held and its file changed", func(s *situation) {
			s.place.Order, s.place.Hash, s.place.Generation = schedule.Held, "v2", 6
		}, nothing},
		{"it is held and its target was lowered", func(s *situation) {
			s.place.Order, s.place.Target, s.place.Generation = schedule.Held, unit.Loaded, 6
		}, stop},
	} {
		s := settled()
		c.make(&s)
		if got := decide(s); got.verb != c.want {
			t.Errorf("%s: %q (%s), want %q", c.name, got.verb, got.reason, c.want)
		}
	}
}

// TestOnlyOrdersStop goes through every situation that the parts above can be
// combined to, and holds that a unit is stopped only on an order in the store.
func TestOnlyOrdersStop(t *testing.T) {
	n := 0
	for _, order := range []schedule.Order{"", schedule.Run, schedule.Held, schedule.Release} {
		for _, target := range []unit.TargetState{unit.Loaded, unit.Launched} {
			for _, acted := range []unit.TargetState{"", unit.Loaded, unit.Launched} {
				for _, hash := range []string{"v1", "v2"} {
					for _, gen := range []int64{4, 5, 6} {
						for _, active := range []string{"active", "inactive", "failed", "activating"} {
							for _, boot := range []string{"boot", "next"} {
								s := settled()
								s.place.Order, s.place.Target, s.place.Hash, s.place.Generation = order, target, hash, gen
								s.rec.Target, s.seen.ActiveState, s.boot = acted, active, boot
								if order == "" {
									s.place = nil
								}
								allowed := s.place != nil && (order == schedule.Release ||
									acted == unit.Launched && target == unit.Loaded ||
									order == schedule.Run && hash != s.seen.Hash)
								v := decide(s).verb
								if (v == stop || v == release) && !allowed {
									t.Errorf("%q without an order to: %+v", v, s)
								}
								n++
							}
						}
					}
				}
			}
		}
	}
	t.Logf("%d situations", n)
}

func TestUnknownPast(t *testing.T) {
	for _, c := range []struct {
		name string
		make func(s *situation)
		want string
	}{
		{"the placement acted on", func(s *situation) {}, ""},
		{"a later one", func(s *situation) { s.place.Generation = 6 }, ""},
		{"an older one", func(s *situation) { s.place.Generation = 4 }, "shows the placement of generation 4"},
		{"none", func(s *situation) { s.place = nil }, "lacks the placement of generation 5"},
		{"none, after a confirmed release", func(s *situation) { s.place, s.rec.Released = nil, 5 }, ""},
		{"a unit never acted on", func(s *situation) { s.place, s.rec = nil, Record{} }, ""},
		{"a later one than was released", func(s *situation) { s.rec, s.past = Record{}, 4 }, ""},
		{"one that was released", func(s *situation) { s.rec, s.past = Record{}, 6 }, "has released it at generation 6"},
		{"the release that was carried out", func(s *situation) {
			s.rec, s.past, s.place.Order = Record{}, 5, schedule.Release
		}, ""},
	} {
		s := settled()
		c.make(&s)
		got := s.unknownPast()
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestStateReported(t *testing.T) {
	base := unit.State{
		Name: "a.service", Hash: "v1", MachineID: "m", LoadState: "loaded", ActiveState: "active", SubState: "running",
		Generation: 5, Reached: unit.Launched,
	}
	for _, c := range []struct {
		name string
		make func(s *situation)
		want func(st *unit.State)
	}{
		{"settled", func(s *situation) {}, func(st *unit.State) {}},
		{"started and failed later", func(s *situation) { s.seen.ActiveState = "failed" },
			func(st *unit.State) { st.ActiveState = "failed" }},
		{"failed to start", func(s *situation) { s.rec.Started.Failure, s.seen.ActiveState = "exit code 1", "failed" },
			func(st *unit.State) { st.ActiveState, st.Reached, st.Failure = "failed", unit.Loaded, "exit code 1" }},
		{"failed to start, then its Restart= got it up", func(s *situation) { s.rec.Started.Failure = "exit code 1" },
			func(st *unit.State) {}},
		{"being started", func(s *situation) { s.rec.Started.Done = false },
			func(st *unit.State) { st.Reached = unit.Loaded }},
		{"started before the machine was booted", func(s *situation) { s.boot, s.seen.ActiveState = "next", "inactive" },
			func(st *unit.State) { st.ActiveState, st.Reached = "inactive", unit.Loaded }},
		{"failed to start before the machine was booted", func(s *situation) {
			s.boot, s.rec.Started.Failure, s.seen.ActiveState = "next", "exit code 1", "inactive"
		}, func(st *unit.State) { st.ActiveState, st.Reached = "inactive", unit.Loaded }},
		{"failed to start twice", func(s *situation) { s.rec.Failed = make([]time.Time, 2) },
			func(st *unit.State) { st.FailedStarts = 2 }},
		{"finished", func(s *situation) { s.place.Finished, s.seen.ActiveState = true, "inactive" },
			func(st *unit.State) { st.ActiveState = "inactive" }},
		{"finished before the machine was booted", func(s *situation) {
			s.place.Finished, s.boot, s.seen.ActiveState = true, "next", "inactive"
		}, func(st *unit.State) { st.ActiveState = "inactive" }},
		{"released", func(s *situation) { s.rec.Released, s.rec.Generation, s.seen = 6, 6, Observed{Name: "a.service"} },
			func(st *unit.State) {
				st.Hash, st.LoadState, st.ActiveState, st.SubState = "", "not-found", "inactive", "dead"
				st.Generation, st.Reached, st.Released = 6, unit.Inactive, true
			}},
		{"nobody's", func(s *situation) { s.place, s.rec = nil, Record{} },
			func(st *unit.State) { st.Generation, st.Reached, st.Orphaned = 0, unit.Inactive, true }},
	} {
		s, want := settled(), base
		c.make(&s)
		c.want(&want)
		if d := cmp.Diff(want, s.state("m", "")); d != "" {
			t.Errorf("%s:\n%s", c.name, d)
		}
	}
}

func TestRecordsSurvive(t *testing.T) {
	d, err := openDisk(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("x", 247) + ".service"
	for _, name := range []string{"a.service", `sys-\x2d@b:c.service`, long} {
		r := settled().rec
		r.Unit = name
		if err := d.save(r); err != nil {
			t.Fatal(err)
		}
		got, err := d.records()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[string]Record{name: r}, got); diff != "" {
			t.Error(diff)
		}
		if err := d.drop(name); err != nil {
			t.Fatal(err)
		}
		if err := d.drop(name); err != nil {
			t.Errorf("drop again: %v", err)
		}
	}
}
