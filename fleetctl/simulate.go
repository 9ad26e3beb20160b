package fleetctl

import (
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"fleet/schedule"
	"fleet/unit"
)

// imagined is what simulate is to imagine, as flags.
type imagined struct {
	from
	lose      []string
	loseWhere []string
	add       int
	addWith   []string
	full      bool
}

func (a *app) simulate() *cobra.Command {
	var i imagined
	cmd := &cobra.Command{
		Use:   "simulate [FILE...]",
		Short: "Tell what would follow if machines were lost or added, or units started; touches nothing",
		Example: `  fleetctl simulate --lose 113f16a7                 # this machine is lost
  fleetctl simulate --lose-metadata az=b --add 3    # a zone is lost, three machines join
  fleetctl simulate web@1.service web@2.service     # as if these were started`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(i.lose)+len(i.loseWhere)+len(args) == 0 && i.add == 0 {
				return errors.New("what is to be imagined? --lose MACHINE, --lose-metadata EXPRESSION, --add N, or FILE... as if they were started")
			}
			what, err := i.whatIf(args)
			if err != nil {
				return err
			}
			d, err := a.dump(cmd, i.from)
			if err != nil {
				return err
			}
			machines := machinesOf(d)
			for _, arg := range i.lose {
				m, err := findMachine(arg, machines)
				if err != nil {
					return err
				}
				what.Lose = append(what.Lose, m.ID)
			}
			name := newNamer(machines, i.full)
			o, err := schedule.Simulate(d.Update, d.Policy, d.Taken, what)
			if err != nil {
				return errors.New(name.in(err.Error()))
			}
			return a.tell(o, name)
		},
	}
	i.flag(cmd)
	f := cmd.Flags()
	f.StringArrayVar(&i.lose, "lose", nil, "this machine is lost: its ID, the beginning of one, its host name or its address (repeatable)")
	f.StringArrayVar(&i.loseWhere, "lose-metadata", nil, "so are all whose metadata meets this, such as az=b or fleet.memory<16G (repeatable)")
	f.IntVar(&i.add, "add", 0, "so many machines join, like those that are there then, in the same proportions")
	f.StringSliceVar(&i.addWith, "add-metadata", nil, "metadata that the added ones have besides: k=v,k=v")
	f.BoolVarP(&i.full, "full", "l", false, "tell of every unit, and don't cut IDs")
	return cmd
}

// whatIf reads the flags and files, but for the machines, which only a cluster
// knows.
func (i *imagined) whatIf(args []string) (what schedule.WhatIf, err error) {
	for _, text := range i.loseWhere {
		c, err := unit.ParseCondition(text)
		if err != nil {
			return what, fmt.Errorf("--lose-metadata %s: %w", text, err)
		}
		what.LoseWhere = append(what.LoseWhere, c)
	}
	if what.Add = i.add; i.add < 0 || i.add > schedule.MaxAdded {
		return what, fmt.Errorf("--add %d: it must be 1 to %d", i.add, schedule.MaxAdded)
	}
	if len(i.addWith) > 0 {
		what.AddWith = make(map[string]string)
		if i.add == 0 {
			return what, errors.New("--add-metadata is for the machines of --add, and there is none")
		}
	}
	for _, pair := range i.addWith {
		k, v, ok := strings.Cut(pair, "=")
		if !ok || k == "" {
			return what, fmt.Errorf("--add-metadata %s: it must be KEY=VALUE", pair)
		}
		what.AddWith[k] = v
	}
	var wrong []error
	for _, path := range args {
		s, err := findLocal(path)
		if err != nil {
			wrong = append(wrong, err)
			continue
		}
		what.Start = append(what.Start, schedule.Start{Name: s.name.Full, File: s.file})
	}
	return what, errors.Join(wrong...)
}

// maxTold is how many units of a kind are told of by name.
const maxTold = 20

// tell prints what would follow, and last its numbers.
func (a *app) tell(o schedule.Outcome, name namer) error {
	w := tabwriter.NewWriter(a.stdout, 0, 8, 2, ' ', 0)
	section := func(title string, size int, line func(i int) string) {
		if size == 0 {
			return
		}
		fmt.Fprintf(w, "%s:\n", title)
		for i := range size {
			if i == maxTold && !name.full && size > maxTold+1 {
				fmt.Fprintf(w, "  and %d more (--full tells them all)\n", size-maxTold)
				break
			}
			fmt.Fprintf(w, "  %s\n", name.in(line(i)))
		}
		fmt.Fprintln(w)
	}
	section("Lost", len(o.Lost), func(i int) string { return o.Lost[i] })
	section("Added", len(o.Added), func(i int) string { return o.Added[i] })
	section("Placed", len(o.Placed), func(i int) string {
		return o.Placed[i].Unit + "\t-> " + o.Placed[i].To + "\t" + o.Placed[i].Reason
	})
	section("Moved", len(o.Moved), func(i int) string {
		m := o.Moved[i]
		return m.Unit + "\t" + m.From + " -> " + m.To + "\t" + m.Reason
	})
	section("Restarted where they are", len(o.Restarted), func(i int) string {
		return o.Restarted[i].Unit + "\t" + o.Restarted[i].To + "\t" + o.Restarted[i].Reason
	})
	section("Stopped", len(o.Stopped), func(i int) string {
		return o.Stopped[i].Unit + "\t" + o.Stopped[i].From + "\t" + o.Stopped[i].Reason
	})
	fresh, old := split(o.Pending)
	section("Pending", len(fresh), func(i int) string { return pendingLine(fresh[i]) })
	section("Pending as before", len(old), func(i int) string { return pendingLine(old[i]) })
	if err := w.Flush(); err != nil {
		return err
	}
	counts := []string{fmt.Sprintf("%d placed", len(o.Placed)), fmt.Sprintf("%d moved", len(o.Moved))}
	count := func(n int, what string) {
		if n > 0 {
			counts = append(counts, fmt.Sprintf("%d %s", n, what))
		}
	}
	count(len(o.Restarted), "restarted")
	count(len(o.Stopped), "stopped")
	counts = append(counts, fmt.Sprintf("%d pending", len(fresh)))
	count(len(old), "pending as before")
	a.say("%s", strings.Join(counts, ", "))
	if o.Restless {
		a.warn("there was no end of it: this is how far it had got")
	}
	return nil
}

func pendingLine(w schedule.Waiting) string {
	line := w.Unit
	if w.From != "" {
		line += "\tfrom " + w.From
	} else {
		line += "\t"
	}
	if w.Reason == "" {
		return line + "\t(too many are pending to look into each)"
	}
	return line + "\t" + w.Reason
}

// split parts those that would become pending from those that are.
func split(all []schedule.Waiting) (fresh, old []schedule.Waiting) {
	for _, w := range all {
		if w.Before {
			old = append(old, w)
		} else {
			fresh = append(fresh, w)
		}
	}
	return fresh, old
}
