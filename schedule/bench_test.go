package schedule

import (
	"fmt"
	"testing"
	"time"

	"fleet/unit"
)

// BenchmarkPlan places units on an empty cluster; one operation is one unit.
func BenchmarkPlan(b *testing.B) {
	for _, size := range []struct{ machines, units int }{{1000, 10_000}} {
		for _, mix := range []struct {
			name    string
			options func(i int) []string
		}{
			{"plain", func(int) []string { return nil }},
			{"metadata", func(i int) []string { return []string{fmt.Sprintf("MachineMetadata=zone=z%d", i%10)} }},
			{"conflicts", func(i int) []string { return []string{fmt.Sprintf("Conflicts=app%d@*.service", i%100)} }},
		} {
			b.Run(fmt.Sprintf("machines=%d/units=%d/mix=%s", size.machines, size.units, mix.name), func(b *testing.B) {
				u := benchSnapshot(b, size.machines, size.units, mix.options)
				benchmarkPlan(b, u, size.units)
			})
		}
	}
}

func benchmarkPlan(b *testing.B, u Update, units int) {
	var spent time.Duration
	placed := 0
	for b.Loop() {
		b.StopTimer()
		c := NewCluster()
		c.Apply(u)
		b.StartTimer()
		start := time.Now()
		placed += len(c.Plan(time.Unix(0, 0)))
		spent += time.Since(start)
	}
	if placed != b.N*units {
		b.Fatalf("%d of %d placed", placed, b.N*units)
	}
	b.ReportMetric(float64(placed)/spent.Seconds(), "units/s")
}

// BenchmarkEvent applies one state report to a settled cluster and plans.
func BenchmarkEvent(b *testing.B) {
	c := NewCluster()
	c.Apply(benchSnapshot(b, 1000, 10_000, func(int) []string { return nil }))
	u := Update{Revision: c.Revision()}
	for _, d := range c.Plan(time.Unix(0, 0)) {
		u.Revision++
		u.Changes = append(u.Changes, Change{Revision: u.Revision, Placement: &d.Writes[0].Placement})
	}
	c.Apply(u)
	c.Plan(time.Unix(0, 0))
	placed := c.Placements("app7@7.service")[0]
	b.ReportAllocs()
	for i := int64(0); b.Loop(); i++ {
		s := &unit.State{Name: placed.Unit, MachineID: placed.MachineID, Generation: i, ActiveState: "active"}
		revision := u.Revision + i + 1
		c.Apply(Update{Revision: revision, Changes: []Change{{Revision: revision, State: s}}})
		if ds := c.Plan(time.Unix(0, 0)); ds != nil {
			b.Fatal(ds)
		}
	}
}

func benchSnapshot(b *testing.B, machines, units int, options func(i int) []string) Update {
	u := Update{Snapshot: true, Revision: 1}
	for i := range machines {
		id := fmt.Sprintf("%032x", i)
		m := &Machine{ID: id, Metadata: map[string]string{"zone": fmt.Sprintf("z%d", i%10)}}
		u.Changes = append(u.Changes, Change{Revision: 1, Machine: m}, Change{Revision: 1, Presence: &Presence{MachineID: id, Ready: true}})
	}
	for i := range units {
		f := file(b, options(i)...)
		rec := &unit.Unit{Name: fmt.Sprintf("app%d@%d.service", i%100, i), Hash: f.Hash, DesiredState: unit.Launched}
		u.Changes = append(u.Changes, Change{Revision: 1, Unit: rec, File: f})
	}
	return u
}

// BenchmarkSimulate loses the tenth part of the machines of a settled cluster.
func BenchmarkSimulate(b *testing.B) {
	for _, size := range []struct{ machines, units int }{{1000, 100_000}, {10_000, 1_000_000}} {
		b.Run(fmt.Sprintf("machines=%d/units=%d", size.machines, size.units), func(b *testing.B) {
			u := benchSettled(b, size.machines, size.units)
			var what WhatIf
			for i := range size.machines / 10 {
				what.Lose = append(what.Lose, u.Changes[2*i].Machine.ID)
			}
			for b.Loop() {
				o, err := Simulate(u, DefaultPolicy(), time.Unix(0, 0), what)
				if err != nil || len(o.Moved) < size.units/11 || len(o.Pending) > 0 {
					b.Fatalf("%d moved, %d pending, %v", len(o.Moved), len(o.Pending), err)
				}
			}
		})
	}
}

// benchSettled is a cluster whose units are placed and run.
func benchSettled(b *testing.B, machines, units int) Update {
	u := benchSnapshot(b, machines, units, func(int) []string { return nil })
	c := NewCluster()
	c.Apply(u)
	for _, d := range c.Plan(time.Unix(0, 0)) {
		p := d.Writes[0].Placement
		u.Revision++
		u.Changes = append(u.Changes, Change{Revision: u.Revision, Placement: &p}, Change{Revision: u.Revision, State: &unit.State{
			Name: p.Unit, MachineID: p.MachineID, Hash: p.Hash, Generation: p.Generation, ActiveState: "active", Reached: p.Target,
		}})
	}
	return u
}
