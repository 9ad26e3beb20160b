package fleetctl

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"fleet/api"
	"fleet/schedule"
	"fleet/unit"
)

func (a *app) explain() *cobra.Command {
	var f from
	var full bool
	cmd := &cobra.Command{
		Use:   "explain UNIT...",
		Short: "Tell why units are where they are, or why they are nowhere",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			w, err := a.witness(cmd, f)
			if err != nil {
				return err
			}
			failed := false
			for i, arg := range args {
				n, err := mangle(arg)
				if err != nil {
					return err
				}
				e, err := w.explain(n.Full)
				if isCode(err, http.StatusNotFound) || errors.Is(err, unit.ErrNotFound) {
					names, err := w.names()
					if err != nil {
						return err
					}
					a.warn("%s", unknown(n.Full, names))
					failed = true
					continue
				}
				if err != nil {
					return err
				}
				if i > 0 {
					a.say("")
				}
				if err := a.tellWhy(e, newNamer(w.machines, full)); err != nil {
					return err
				}
			}
			if failed {
				return errReported
			}
			return nil
		},
	}
	f.flag(cmd)
	cmd.Flags().BoolVarP(&full, "full", "l", false, "name every machine, and don't cut IDs")
	return cmd
}

// witness explains the cluster that is there, or the one in a snapshot.
type witness struct {
	explain  func(name string) (schedule.Explanation, error)
	names    func() ([]string, error) // of the units
	machines []api.Machine
}

func (a *app) witness(cmd *cobra.Command, f from) (witness, error) {
	ctx := cmd.Context()
	if f.path == "" {
		return a.liveWitness(ctx)
	}
	d, err := a.dump(cmd, f)
	if err != nil {
		return witness{}, err
	}
	c := schedule.NewCluster()
	c.SetPolicy(d.Policy)
	c.Apply(d.Update)
	c.LoseMachines(d.Taken)
	return witness{
		explain: func(name string) (schedule.Explanation, error) {
			e := c.ExplainFully(name)
			if _, known := c.Unit(name); !known && len(c.Placements(name)) == 0 && len(c.States(name)) == 0 {
				return e, unit.ErrNotFound
			}
			return e, nil
		},
		names: func() (names []string, err error) {
			for u := range c.Units() {
				names = append(names, u.Name)
			}
			return names, nil
		},
		machines: machinesOf(d),
	}, nil
}

func (a *app) liveWitness(ctx context.Context) (witness, error) {
	c, err := a.client()
	if err != nil {
		return witness{}, err
	}
	machines, err := c.Machines(ctx, true)
	return witness{
		explain:  func(name string) (schedule.Explanation, error) { return c.Explain(ctx, name) },
		names:    func() ([]string, error) { return a.known(ctx) },
		machines: machines,
	}, err
}

// unknown says that there is no such unit, and which may have been meant.
func unknown(name string, names []string) string {
	text := name + ": the cluster has no such unit"
	if meant := unit.Closest(name, names); meant != "" {
		text += ", did you mean " + meant + "?"
	}
	return text
}

// tellWhy prints an explanation: a sentence, what the unit is bound to, the
// best machines, and what is wrong with the others.
func (a *app) tellWhy(e schedule.Explanation, name namer) error {
	end := ""
	if len(e.Reasons) > 0 && len(e.Best)+len(e.Placed) == 0 {
		end = ":"
	}
	a.say("%s: %s%s", e.Unit, name.in(e.Headline()), end)
	if m := e.Moving; m != nil {
		a.say("  moves from %s to %s: %s", name.in(m.From), name.in(m.To), name.in(m.Reason))
	}
	if len(e.With) > 0 {
		a.say("  placed and moved together with %s (MachineOf)", strings.Join(e.With, ", "))
	}
	if err := a.tellBest(e, name); err != nil {
		return err
	}
	return a.tellReasons(e, name)
}

// tellBest prints scores, with a star where the unit is.
func (a *app) tellBest(e schedule.Explanation, name namer) error {
	if len(e.Best) == 0 {
		return nil
	}
	columns := partsOf(e.Best)
	a.say("\nThe best of the machines that fit, in points:")
	w := tabwriter.NewWriter(a.stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintf(w, "  MACHINE\tPOINTS\t%s\n", strings.Join(columns, "\t"))
	better := false
	for _, s := range e.Best {
		mark := " "
		if slices.Contains(e.Placed, s.MachineID) {
			mark, better = "*", e.Best[0].Points > s.Points
		}
		cells := make([]string, len(columns))
		for j, c := range columns {
			cells[j] = pointsOf(s, c)
		}
		fmt.Fprintf(w, "%s %s\t%s\t%s\n", mark, name.in(s.MachineID), points(s.Points), strings.Join(cells, "\t"))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if better {
		a.say("  * is where it is: a better machine alone is no reason to move")
	}
	return nil
}

// partsOf returns what makes up any of the scores, in the order in which it is
// first told.
func partsOf(scores []schedule.Score) []string {
	var parts []string
	for _, s := range scores {
		for _, p := range s.Parts {
			if !slices.Contains(parts, p.Text) {
				parts = append(parts, p.Text)
			}
		}
	}
	return parts
}

// pointsOf sums up a part of a score, which each unit of a group has a share in.
func pointsOf(s schedule.Score, part string) string {
	sum := 0.0
	for _, p := range s.Parts {
		if p.Text == part {
			sum += p.Points
		}
	}
	return points(sum)
}

func points(p float64) string {
	if p == 0 {
		return "0"
	}
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%+.2f", p), "0"), ".")
}

// fewNames is how many machines are named of those that have one reason.
const fewNames = 3

func (a *app) tellReasons(e schedule.Explanation, name namer) error {
	if len(e.Reasons) == 0 {
		return nil
	}
	its := func(r schedule.Reason) bool {
		return slices.ContainsFunc(r.Machines, func(id string) bool { return slices.Contains(e.Placed, id) })
	}
	switch {
	case slices.ContainsFunc(e.Reasons, its):
		a.say("\nOf all machines:")
	case len(e.Best)+len(e.Placed) > 0:
		a.say("\nOf the others:")
	}
	w := tabwriter.NewWriter(a.stdout, 0, 8, 2, ' ', 0)
	width := 0
	for _, r := range e.Reasons {
		width = max(width, len(strconv.Itoa(len(r.Machines))))
	}
	for _, r := range e.Reasons {
		shown := r.Machines
		if !name.full && len(shown) > fewNames+1 {
			shown = shown[:fewNames]
		}
		names := make([]string, len(shown))
		for i, id := range shown {
			names[i] = name.in(id)
		}
		if more := len(r.Machines) - len(shown); more > 0 {
			names = append(names, fmt.Sprintf("and %d more", more))
		}
		fmt.Fprintf(w, "  %*d\t%s\t%s\n", width, len(r.Machines), name.in(r.Text), strings.Join(names, ", "))
	}
	return w.Flush()
}
