package agent

import (
	"context"
	"time"

	"fleet/schedule"
	"fleet/unit"
)

// work is what the loop knows of one unit.
type work struct {
	situation
	busy     *action            // under way
	cancel   context.CancelFunc // of the busy action
	failure  string             // of the last try, for the user
	tries    int
	tried    task      // what the last try was for
	after    time.Time // not to be tried again before, save for another task
	orphaned bool      // while it was busy
	before   string    // the invocation ID seen when the busy action began
	unseen   bool      // it was started, and what is seen is of before
	trial    trial
	reported unit.State
	inStore  bool // a state of it is in the store, under the present lease
}

// task is what of a placement there is to act on.
type task struct {
	hash       string
	target     unit.TargetState
	order      schedule.Order
	generation int64
}

// wants is what the placement asks for; zero when there is none.
func (w *work) wants() task {
	if w.place == nil {
		return task{}
	}
	return task{w.place.Hash, w.place.Target, w.place.Order, w.place.Generation}
}

func (a *Agent) unit(name string) *work {
	w := a.units[name]
	if w == nil {
		w = &work{situation: situation{boot: a.BootID, seen: Observed{Name: name}, rec: Record{Unit: name}, past: a.past[name]}}
		a.units[name] = w
	}
	a.dirty[name] = true
	return w
}
