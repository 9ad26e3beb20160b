package functional

import (
	"context"
	"slices"
	"time"

	"fleet/unit"
)

// calm has a settled cluster go through troubles of its control plane alone,
// which start nothing and stop nothing.
func (d *driver) calm() {
	for range 4 {
		starts, stops := d.starts(), d.stops()
		trouble := d.rng.IntN(8)
		if trouble == 7 {
			starts, stops = d.olderCopy()
		} else {
			d.mild(trouble)
		}
		d.converge()
		if n, m := d.starts()-starts, d.stops()-stops; n+m > 0 {
			d.fail("%d starts and %d stops for trouble with the control plane", n, m)
		}
	}
}

// mild is trouble that is over before any machine counts as lost, or concerns
// all of them.
func (d *driver) mild(trouble int) {
	m := d.any()
	switch trouble {
	case 0:
		d.stall()
		d.pass(time.Duration(d.rng.IntN(100)) * time.Second)
		d.stall()
	case 1:
		d.log("the store loses its leader")
		d.store.LoseLeader()
	case 2:
		d.log("compaction")
		_ = d.store.Compact(context.Background(), d.cluster().Revision())
	case 3:
		d.log("%s: replies are lost, and writes late", short(m.id))
		d.store.DropReplies(m.client(), d.rng.IntN(4))
		d.store.HoldWrites(m.client(), d.rng.IntN(4))
		d.pass(time.Duration(d.rng.IntN(30)) * time.Second)
		d.store.ReleaseWrites(m.client())
	case 4:
		d.log("%s: fleetd is stopped", short(m.id))
		m.stopFleetd()
		d.pass(time.Duration(d.rng.IntN(55)) * time.Second)
		m.startFleetd()
	case 5:
		d.log("%s: fleetd is killed", short(m.id))
		m.killFleetd()
		d.pass(time.Duration(d.rng.IntN(int(simTTL / 2))))
		m.startFleetd()
	case 6:
		d.log("%s: cut", short(m.id))
		d.store.Cut(m.client())
		d.pass(time.Duration(d.rng.IntN(int(simTTL / 2))))
		d.store.Heal(m.client())
	}
}

// olderCopy has the store go back to what it was before some changes, and
// forth again, and returns the starts and stops before that.
func (d *driver) olderCopy() (starts, stops int) {
	old := d.store.Backup()
	for range 1 + d.rng.IntN(4) {
		name := faultUnits[d.rng.IntN(len(faultUnits))]
		target := []unit.TargetState{unit.Inactive, unit.Loaded, unit.Launched}[d.rng.IntN(3)]
		d.submit(name, d.rng.IntN(100), target)
		d.pass(time.Duration(d.rng.IntN(5)) * time.Second)
	}
	d.complete()
	d.converge()
	right := d.store.Backup()
	starts, stops = d.starts(), d.stops()
	d.log("the store is an older copy")
	d.store.Restore(old, int64(d.rng.IntN(2))*10000, false)
	d.pass(time.Duration(d.rng.IntN(60)) * time.Second)
	d.log("the store is the right one again")
	d.store.Restore(right, 20000, false)
	return starts, stops
}

// complete has what units are bound to be there.
func (d *driver) complete() {
	for _, name := range faultUnits {
		w := d.wishes[name]
		if w.bound == "" || slices.Contains([]unit.TargetState{"", unit.Inactive}, w.target) || d.wishes[w.bound].target.AtLeast(unit.Loaded) {
			continue
		}
		d.submit(w.bound, 0, unit.Loaded)
	}
}
