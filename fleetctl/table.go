package fleetctl

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"fleet/api"
)

// column is one that a listing can have.
type column[T any] struct {
	name string
	show func(T) string // "" is shown as -
}

// listing are the flags that all listings share.
type listing struct {
	full, noLegend bool
	fields         string
}

func (l *listing) flags(cmd *cobra.Command, fields string, known string) {
	f := cmd.Flags()
	f.BoolVarP(&l.full, "full", "l", false, "don't cut IDs and hashes")
	f.BoolVar(&l.noLegend, "no-legend", false, "leave out the line of column names")
	f.StringVar(&l.fields, "fields", fields, "columns to print, of "+known)
}

// names lists the columns there are.
func names[T any](columns []column[T]) string {
	all := make([]string, len(columns))
	for i, c := range columns {
		all[i] = c.name
	}
	return strings.Join(all, ", ")
}

// table prints rows as tab-aligned columns.
func table[T any](a *app, l listing, columns []column[T], rows []T) error {
	chosen, err := choose(l.fields, columns)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(a.stdout, 0, 8, 1, '\t', 0)
	line := func(cell func(column[T]) string) {
		cells := make([]string, len(chosen))
		for i, c := range chosen {
			cells[i] = cell(c)
		}
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	if !l.noLegend {
		line(func(c column[T]) string { return strings.ToUpper(c.name) })
	}
	for _, row := range rows {
		line(func(c column[T]) string { return dash(c.show(row)) })
	}
	return w.Flush()
}

func choose[T any](fields string, columns []column[T]) ([]column[T], error) {
	var chosen []column[T]
next:
	for _, name := range strings.Split(fields, ",") {
		for _, c := range columns {
			if c.name == strings.TrimSpace(name) {
				chosen = append(chosen, c)
				continue next
			}
		}
		return nil, fmt.Errorf("--fields: there is no field %q, the fields are %s", name, names(columns))
	}
	return chosen, nil
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	// A tab or line break in a cell would shift the columns after it.
	return strings.Join(strings.Fields(s), " ")
}

// shortHash cuts a hash to what people tell it by.
func shortHash(hash string, full bool) string {
	if full || len(hash) <= 7 {
		return hash
	}
	return hash[:7]
}

// shortID cuts a machine ID.
func shortID(id string, full bool) string {
	if full || len(id) <= 8 {
		return id
	}
	return id[:8] + "..."
}

// legend names a machine as 113f16a7.../172.17.8.103.
func legend(id string, machines []api.Machine, full bool) string {
	for _, m := range machines {
		if m.ID == id && m.PrimaryIP != "" {
			return shortID(id, full) + "/" + m.PrimaryIP
		}
	}
	return shortID(id, full)
}
