package unit

import (
	"errors"
	"fmt"
	"slices"
)

// Error is something wrong with a unit file, in the user's words. Parse,
// Requirements and Check join several with errors.Join, in the lines' order.
type Error struct {
	Line int // counted from 1; 0 when it concerns no one line
	Msg  string
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return e.Msg
	}
	return fmt.Sprintf("line %d: %s", e.Line, e.Msg)
}

// maxProblems is how many errors of one file are told; a file that isn't a unit
// file at all has one in each line.
const maxProblems = 20

// problems collects what is wrong with a file.
type problems struct {
	list []*Error
	more int // left off
}

func (p *problems) add(line int, format string, args ...any) {
	if len(p.list) == maxProblems {
		p.more++
		return
	}
	p.list = append(p.list, &Error{Line: line, Msg: fmt.Sprintf(format, args...)})
}

func (p *problems) clone() problems {
	return problems{list: slices.Clone(p.list), more: p.more}
}

// err returns nil, the one error, or all of them joined.
func (p *problems) err() error {
	switch {
	case len(p.list) == 0:
		return nil
	case len(p.list) == 1:
		return p.list[0]
	}
	sorted := slices.Clone(p.list)
	slices.SortStableFunc(sorted, func(a, b *Error) int { return a.Line - b.Line })
	errs := make([]error, 0, len(sorted)+1)
	for _, e := range sorted {
		errs = append(errs, e)
	}
	if p.more > 0 {
		errs = append(errs, fmt.Errorf("and %d more", p.more))
	}
	return errors.Join(errs...)
}
