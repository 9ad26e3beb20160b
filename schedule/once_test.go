package schedule

import (
	"strings"
	"testing"
	"time"

	"fleet/unit"
)

// becomes has a machine report another state of a unit that runs.
func (w *world) becomes(id, name, active string) {
	s := w.running[id][name]
	s.ActiveState = active
	w.running[id][name] = s
	w.report(id, s)
}

func (w *world) finish(id, name string) {
	w.becomes(id, name, "inactive")
	w.settle()
}

func (w *world) done(name string) bool {
	_, ok := w.records[key{kind: doneKind, unit: name}]
	return ok
}

func TestFinishedIsNotRunAgain(t *testing.T) {
	w := newWorld(t)
	w.join("m1", "m2")
	w.launch("job.service", "RunOnce=true", "MemoryReservation=1G")
	w.write(Change{Machine: &Machine{ID: "m1", Memory: 1 << 30}})
	w.settle()
	w.becomes("m1", "job.service", "activating")
	w.quiet()
	w.becomes("m1", "job.service", "failed")
	w.quiet()
	before := w.placement("job.service", "m1")
	w.finish("m1", "job.service")
	w.explains("job.service", "finished on m1 at 1970-01-01T00:16:40Z: RunOnce=true")
	after := w.placement("job.service", "m1")
	if !after.Finished || after.Generation != before.Generation || after.Memory != 0 {
		t.Fatalf("finished: %+v", after)
	}
	if d, ok := w.c.Done("job.service"); !ok || d.MachineID != "m1" || !d.At.Equal(w.now) || d.Hash != after.Hash {
		t.Fatalf("done: %+v (%v)", d, ok)
	}
	w.quiet()
	if ds := w.fresh().Plan(w.now); ds != nil {
		t.Fatalf("a new leader decides: %s", ds[0].Reason)
	}

	w.die("m1")
	w.settle()
	w.expect("job.service", "m1:run")
	w.now = w.now.Add(25 * time.Hour)
	w.settle()
	w.expect("job.service", "")
	w.explains("job.service", "finished on m1 at 1970-01-01T00:16:40Z: RunOnce=true")

	w.destroy("job.service")
	w.settle()
	if w.done("job.service") {
		t.Fatal("destroyed, and still done")
	}
}

func TestUnfinishedIsRunElsewhere(t *testing.T) {
	for _, state := range []string{"active", "failed", "activating"} {
		w := newWorld(t)
		w.join("m1", "m2")
		w.launch("job.service", "RunOnce=true")
		w.settle()
		w.becomes("m1", "job.service", state)
		w.settle()
		w.die("m1")
		w.settle()
		w.expect("job.service", "m1:held m2:run")
		w.finish("m2", "job.service")
		w.comeBack("m1")
		w.settle()
		w.expect("job.service", "m2:run")
		w.explains("job.service", "finished on m2 at 1970-01-01T00:16:40Z: RunOnce=true")
	}
}

// TestFinishedComesBackHeld has the machine that finished forgotten before the
// one comes back that had the unit earlier.
func TestFinishedComesBackHeld(t *testing.T) {
	w := newWorld(t)
	w.join("m1", "m2")
	w.launch("job.service", "RunOnce=true")
	w.settle()
	w.die("m1")
	w.settle()
	w.finish("m2", "job.service")
	w.write(Change{Deleted: true, Placement: &Placement{Unit: "job.service", MachineID: "m2"}})
	w.comeBack("m1")
	w.log()
	w.settle()
	w.expect("job.service", "")
	if l := w.log(); !strings.Contains(l, "job.service is to stop on m1: it has finished") {
		t.Fatal(l)
	}
}

func TestFinishedRunsAgainWhenAsked(t *testing.T) {
	w := newWorld(t)
	w.join("m1", "m2")
	w.launch("job.service", "RunOnce=true")
	w.settle()
	w.finish("m1", "job.service")
	w.target("job.service", unit.Loaded)
	w.settle()
	w.target("job.service", unit.Launched)
	w.settle()
	if p := w.placement("job.service", "m1"); p.Finished || w.running["m1"]["job.service"].ActiveState != "active" {
		t.Fatalf("doesn't run: %+v", p)
	}
	w.finish("m1", "job.service")
	w.launch("job.service", "RunOnce=true", "Prefer=v2")
	w.log()
	w.decide()
	if l := w.log(); l != "job.service: its file changed" {
		t.Fatal(l)
	}
	w.settle()
	w.finish("m1", "job.service")

	// Stopped and started at once, so that only the record's revision tells.
	w.launch("job.service", "RunOnce=true", "Prefer=v2")
	w.decide()
	if l := w.log(); !strings.HasSuffix(l, "job.service: it is to run again") {
		t.Fatal(l)
	}
}

func TestFinishedRunsAgainWhereThereIsRoom(t *testing.T) {
	w := newWorld(t)
	w.join("m1", "m2")
	w.write(Change{Machine: &Machine{ID: "m1", Memory: 1 << 30}}, Change{Machine: &Machine{ID: "m2", Memory: 1 << 30}})
	w.launch("job.service", "RunOnce=true", "MemoryReservation=1G")
	w.settle()
	w.finish("m1", "job.service")
	w.launch("big.service", "MemoryReservation=1G", "MachineID=m1")
	w.settle()
	w.expect("big.service", "m1:run")
	w.launch("job.service", "RunOnce=true", "MemoryReservation=1G")
	w.settle()
	w.expect("job.service", "m2:run")
}

func TestFinishedLeavesADrainedMachine(t *testing.T) {
	w := newWorld(t)
	w.join("m1", "m2")
	w.launch("job.service", "RunOnce=true")
	w.launch("after.service", "MachineOf=job.service")
	w.settle()
	w.finish("m1", "job.service")
	w.expect("after.service", "m1:run")
	w.label(Label{MachineID: "m1", Draining: true})
	w.settle()
	w.expect("after.service", "m1:run")
	w.expect("job.service", "m1:run")
	w.explains("after.service", "placed on m1, but m1 is being drained; no machine fits: 1 does not hold job.service, 1 is being drained")
	w.destroy("after.service")
	w.settle()
	w.expect("job.service", "")
	w.explains("job.service", "finished on m1 at 1970-01-01T00:16:40Z: RunOnce=true")
}

func TestFollowerOfWhatFinishedOnALostMachineWaits(t *testing.T) {
	w := newWorld(t)
	w.join("m1", "m2")
	w.launch("job.service", "RunOnce=true")
	w.launch("after.service", "MachineOf=job.service")
	w.settle()
	w.finish("m1", "job.service")
	w.die("m1")
	w.settle()
	w.expect("after.service", "m1:run")
	w.explains("after.service", "placed on m1, which is lost; no machine fits: 1 does not hold job.service, 1 is lost")
}
