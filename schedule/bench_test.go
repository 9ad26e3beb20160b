package schedule

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"fleet/unit"
)

// mix is what the i-th of the units of a benchmark asks for.
type mix struct {
	name    string
	options func(i int) []string
}

// perTemplate is how many instances a template has: less than machines, so that
// they can keep off each other.
const perTemplate = 500

var mixes = []mix{
	{"plain", func(int) []string { return nil }},
	{"metadata", func(i int) []string { return []string{fmt.Sprintf("MachineMetadata=zone=z%d", i%10)} }},
	{"conflicts", func(i int) []string {
		if template := i / perTemplate; template%10 == 0 {
			return []string{fmt.Sprintf("Conflicts=app%d@*.service", template)}
		}
		return nil
	}},
	{"spread", func(int) []string { return []string{"Spread=zone"} }},
	{"resources", func(i int) []string {
		return []string{fmt.Sprintf("MemoryReservation=%dM", 64<<(i%4)), "CPUReservation=0.1"}
	}},
}

// BenchmarkPlan places units on an empty cluster; one operation is all of them.
// bytes/unit is what a settled cluster takes, its records included.
func BenchmarkPlan(b *testing.B) {
	for _, machines := range []int{1000, 5000, 10_000} {
		for _, units := range []int{10_000, 100_000, 1_000_000} {
			for _, mix := range mixes {
				b.Run(fmt.Sprintf("machines=%d/units=%d/mix=%s", machines, units, mix.name), func(b *testing.B) {
					benchmarkPlan(b, machines, units, mix)
				})
			}
		}
	}
}

func benchmarkPlan(b *testing.B, machines, units int, mix mix) {
	before := heap()
	u := benchSnapshot(b, machines, units, mix)
	var spent time.Duration
	var c *Cluster
	placed := 0
	for b.Loop() {
		b.StopTimer()
		c = NewCluster()
		c.Apply(u)
		runtime.GC()
		b.StartTimer()
		start := time.Now()
		decisions := c.Plan(time.Unix(0, 0))
		spent += time.Since(start)
		b.StopTimer()
		placed += len(decisions)
		feedBack(c, decisions)
		b.StartTimer()
	}
	if placed != b.N*units {
		b.Fatalf("%d of %d placed", placed, b.N*units)
	}
	b.ReportMetric(float64(placed)/spent.Seconds(), "units/s")
	u = Update{}
	b.ReportMetric(float64(heap()-before)/float64(units), "bytes/unit")
	runtime.KeepAlive(c)
}

// heap returns how much memory is in use.
func heap() int64 {
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return int64(s.HeapAlloc)
}

// feedBack feeds back what was decided.
func feedBack(c *Cluster, decisions []Decision) {
	u := Update{Revision: c.Revision()}
	for i := range decisions {
		for _, w := range decisions[i].Writes {
			u.Revision++
			p := w.Placement
			u.Changes = append(u.Changes, Change{Revision: u.Revision, Placement: &p})
		}
	}
	c.Apply(u)
}

// BenchmarkEvent applies one state report to a settled cluster and plans.
func BenchmarkEvent(b *testing.B) {
	for _, size := range []struct{ machines, units int }{{1000, 10_000}, {10_000, 1_000_000}} {
		b.Run(fmt.Sprintf("machines=%d/units=%d", size.machines, size.units), func(b *testing.B) {
			c := NewCluster()
			c.Apply(benchSnapshot(b, size.machines, size.units, mixes[0]))
			feedBack(c, c.Plan(time.Unix(0, 0)))
			c.Plan(time.Unix(0, 0))
			placed := c.Placements("app7@3507.service")[0]
			runtime.GC()
			b.ReportAllocs()
			for i, revision := int64(0), c.Revision(); b.Loop(); i++ {
				revision++
				s := &unit.State{Name: placed.Unit, MachineID: placed.MachineID, Generation: i, ActiveState: "active"}
				c.Apply(Update{Revision: revision, Changes: []Change{{Revision: revision, State: s}}})
				if ds := c.Plan(time.Unix(0, 0)); ds != nil {
					b.Fatal(ds)
				}
			}
		})
	}
}

// BenchmarkPending is one machine's event, that it is ready again, while very
// many units fit nowhere.
func BenchmarkPending(b *testing.B) {
	large := mix{"large", func(int) []string { return []string{"MemoryReservation=1T"} }}
	for _, size := range []struct{ machines, units int }{{1000, 10_000}, {10_000, 100_000}} {
		b.Run(fmt.Sprintf("machines=%d/units=%d", size.machines, size.units), func(b *testing.B) {
			c := NewCluster()
			c.Apply(benchSnapshot(b, size.machines, size.units, large))
			c.Plan(time.Unix(0, 0))
			for i, revision := 0, c.Revision(); b.Loop(); i++ {
				revision++
				p := &Presence{MachineID: fmt.Sprintf("%032x", 7), Ready: i%2 == 1}
				c.Apply(Update{Revision: revision, Changes: []Change{{Revision: revision, Presence: p}}})
				if ds := c.Plan(time.Unix(0, 0)); ds != nil {
					b.Fatal(ds)
				}
			}
		})
	}
}

// benchSnapshot is machines in ten zones and units that asked one after the
// other to run.
func benchSnapshot(b *testing.B, machines, units int, mix mix) Update {
	u := Update{Snapshot: true, Revision: int64(units)}
	for i := range machines {
		id := fmt.Sprintf("%032x", i)
		m := &Machine{ID: id, Metadata: map[string]string{"zone": fmt.Sprintf("z%d", i%10)}, CPUs: 128, Memory: 512 << 30}
		u.Changes = append(u.Changes, Change{Revision: 1, Machine: m}, Change{Revision: 1, Presence: &Presence{MachineID: id, Ready: true}})
	}
	files := make(map[string]*unit.File) // one content is one file
	for i := range units {
		options := mix.options(i)
		f := files[fmt.Sprint(options)]
		if f == nil {
			f = file(b, options...)
			files[fmt.Sprint(options)] = f
		}
		rec := &unit.Unit{Name: fmt.Sprintf("app%d@%d.service", i/perTemplate, i), Hash: f.Hash, DesiredState: unit.Launched}
		u.Changes = append(u.Changes, Change{Revision: int64(i) + 1, Unit: rec, File: f})
	}
	return u
}
