package fleetctl

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"fleet/api"
	"fleet/schedule"
)

func (a *app) drain() *cobra.Command {
	var noBlock bool
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "drain MACHINE...",
		Short: "Move everything but global units away from machines, and keep new units off them",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if timeout < 0 {
				return fmt.Errorf("--timeout %s is below 0", timeout)
			}
			machines, err := a.machines(cmd.Context(), args)
			if err != nil {
				return err
			}
			for _, m := range machines {
				if !m.Alive {
					return fmt.Errorf("machine %s is lost, and its units are moved without a drain; if it is gone for good, forget it (fleetctl machine forget)", called(m))
				}
			}
			d := &drainage{app: a, machines: machines, left: map[spot]*stay{}}
			return d.run(cmd.Context(), noBlock, timeout)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&noBlock, "no-block", false, "don't wait until the machines are empty")
	f.DurationVar(&timeout, "timeout", 0, "stop moving units when it isn't done after so long; 0 waits on")
	return cmd
}

// drainage is a drain under way.
type drainage struct {
	*app
	machines []api.Machine
	left     map[spot]*stay
	ended    string // why there is nothing more to wait for, though units are left
}

// spot is a unit on one of the machines.
type spot struct{ machine, unit string }

// stay is what is known of a unit that has not left yet.
type stay struct {
	why   string // in the unit's own explanation
	stuck bool   // no machine takes it
	since time.Time
	told  string
}

// settled is how long it must be so that no machine takes a unit before it is
// given up: what one leaves makes room for another.
const settled = 2 * time.Second

func (d *drainage) run(ctx context.Context, noBlock bool, timeout time.Duration) error {
	c, err := d.client()
	if err != nil {
		return err
	}
	if err := d.begin(ctx, c); err != nil {
		return err
	}
	if noBlock {
		for _, m := range d.machines {
			d.say("Triggered machine %s drain", called(m))
		}
		return nil
	}
	wait, cancel := ctx, context.CancelFunc(func() {})
	if timeout > 0 {
		wait, cancel = context.WithTimeout(ctx, timeout)
	}
	defer cancel()
	for {
		if err := d.look(ctx, c); err != nil {
			return err
		}
		if len(d.left) == 0 {
			for _, m := range d.machines {
				d.say("Machine %s drained", called(m))
			}
			return nil
		}
		if err := d.follow(wait, c); err != nil {
			return err
		}
		switch {
		case d.ended != "":
			d.warn("fleetctl: %s, with %s to go", d.ended, count(len(d.left), "unit"))
			return errReported
		case wait.Err() != nil:
			return d.interrupted(context.WithoutCancel(ctx), c, ctx.Err() != nil, timeout)
		case len(d.left) > 0:
			return d.stuck()
		}
		// What came just before the machine was closed is found by another look.
	}
}

// begin has the machines drained. All are closed before the first is emptied,
// or its units would be stopped to go to one of the others.
func (d *drainage) begin(ctx context.Context, c *api.Client) error {
	for _, m := range d.machines {
		if err := c.SetMaintenance(ctx, m.ID, true, m.Draining); err != nil {
			return err
		}
	}
	for _, m := range d.machines {
		if err := c.SetMaintenance(ctx, m.ID, true, true); err != nil {
			return err
		}
	}
	return nil
}

// look notes what there is to move.
func (d *drainage) look(ctx context.Context, c *api.Client) error {
	for _, m := range d.machines {
		detail, err := c.Machine(ctx, m.ID)
		if err != nil {
			return err
		}
		for _, p := range detail.Placements {
			if s := (spot{m.ID, p.Unit}); !p.Global && !p.Finished && d.left[s] == nil {
				d.left[s] = &stay{since: time.Now()}
			}
		}
	}
	return nil
}

// follow waits until everything has left, what is left fits nowhere, or the
// drain or ctx ends.
func (d *drainage) follow(ctx context.Context, c *api.Client) error {
	events := make(chan api.Event)
	broken := make(chan error, 1)
	inner, cancel := context.WithCancel(ctx)
	var listener sync.WaitGroup
	defer listener.Wait()
	defer cancel()
	listener.Go(func() { d.listen(inner, c, d.names(), events, broken) })
	timer := time.NewTimer(0)
	defer timer.Stop()
	for len(d.left) > 0 && d.ended == "" && !d.hopeless(time.Now()) {
		select {
		case e := <-events:
			d.take(e, time.Now())
		case err := <-broken:
			if ctx.Err() == nil {
				return err
			}
		case <-timer.C:
		case <-ctx.Done():
			return nil
		}
		timer.Reset(d.comment(time.Now()))
	}
	return nil
}

// names are the units that have not left, sorted.
func (d *drainage) names() []string {
	var names []string
	for s := range d.left {
		names = append(names, s.unit)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// take notes a unit's new status.
func (d *drainage) take(e api.Event, now time.Time) {
	for _, m := range d.machines {
		s := spot{m.ID, e.Name}
		is := d.left[s]
		switch {
		case is == nil:
		case !has(e, m, func(schedule.Placement) bool { return true }):
			delete(d.left, s)
			d.say("%s has left%s, %s to go", e.Name, destination(e), count(len(d.left), "unit"))
		case has(e, m, func(p schedule.Placement) bool { return p.Finished }):
			delete(d.left, s)
			d.say("%s has finished, %s to go", e.Name, count(len(d.left), "unit"))
		default:
			d.ended = cmp.Or(d.ended, over(e, m))
			why, stuck := progress(e, m), e.Stuck
			if why != is.why || stuck != is.stuck {
				is.why, is.stuck, is.since = why, stuck, now
			}
		}
	}
}

// has reports whether the unit has such a placement on the machine.
func has(e api.Event, m api.Machine, fits func(schedule.Placement) bool) bool {
	return slices.ContainsFunc(e.Placements, func(p schedule.Placement) bool { return p.MachineID == m.ID && fits(p) })
}

// over says why the machine is not being drained any more.
func over(e api.Event, m api.Machine) string {
	for _, now := range e.Machines {
		switch {
		case now.ID != m.ID:
		case !now.Alive:
			return "machine " + called(m) + " has been lost meanwhile"
		case !now.Draining:
			return "somebody has ended the drain of machine " + called(m) + " meanwhile"
		}
	}
	return ""
}

// destination says where a unit that has left its machine is.
func destination(e api.Event) string {
	for _, p := range e.Placements {
		if p.Order == schedule.Run {
			return " for " + legend(p.MachineID, e.Machines, false)
		}
	}
	if e.Unit == nil || e.Explanation == "" {
		return ""
	}
	return " and is on no machine (" + e.Explanation + ")"
}

// progress says what a unit that is still on the machine waits for.
func progress(e api.Event, m api.Machine) string {
	for _, p := range e.Placements {
		if p.MachineID == m.ID && p.Order == schedule.Release {
			state := "stopping"
			if st := report(e, p); st != nil && st.Failure != "" {
				state = "not stopped: " + st.Failure
			}
			return state
		}
	}
	return e.Explanation
}

// hopeless reports whether nothing that is left can go anywhere.
func (d *drainage) hopeless(now time.Time) bool {
	for _, is := range d.left {
		if !is.stuck || now.Sub(is.since) < settled {
			return false
		}
	}
	return true
}

// comment tells what holds units up and has done so for a while, and returns
// when there may be more to do.
func (d *drainage) comment(now time.Time) time.Duration {
	next := time.Minute
	for _, s := range d.spots() {
		is := d.left[s]
		if is.why == "" || is.why == is.told && !is.stuck {
			continue
		}
		after := commentAfter
		if is.stuck {
			after = settled // told at the end, with the others
		}
		switch due := is.since.Add(after).Sub(now); {
		case due > 0:
			next = min(next, due)
		case !is.stuck:
			d.warn("%s: %s", s.unit, is.why)
			is.told = is.why
		}
	}
	return next
}

// spots are what is left, in a settled order.
func (d *drainage) spots() []spot {
	var all []spot
	for s := range d.left {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b spot) int {
		return cmp.Or(strings.Compare(a.unit, b.unit), strings.Compare(a.machine, b.machine))
	})
	return all
}

// stuck names what stays because it fits nowhere else. The machines go on being
// drained: it leaves as soon as it can.
func (d *drainage) stuck() error {
	for _, s := range d.spots() {
		d.warn("%s stays: %s", s.unit, d.left[s].why)
	}
	d.warn("fleetctl: %s can't go anywhere else at present; the drain goes on by itself as soon as that changes, and fleetctl uncordon ends it", count(len(d.left), "unit"))
	return errReported
}

// interrupted stops the moving; what is on its way goes on.
func (d *drainage) interrupted(ctx context.Context, c *api.Client, byUser bool, timeout time.Duration) error {
	for _, m := range d.machines {
		if err := c.SetMaintenance(ctx, m.ID, true, false); err != nil {
			return fmt.Errorf("the drain of %s goes on, because it could not be stopped: %w", called(m), err)
		}
	}
	for _, s := range d.spots() {
		d.warn("%s: %s", s.unit, cmp.Or(d.left[s].why, "not moved yet"))
	}
	why := "not done after " + timeout.String()
	if byUser {
		why = "interrupted"
	}
	d.warn("fleetctl: %s, with %s to go; nothing more is moved, and no new units come: fleetctl drain goes on, fleetctl uncordon ends it", why, count(len(d.left), "unit"))
	return errReported
}

// count is a number of things in words.
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
