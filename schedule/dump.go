package schedule

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"fleet/unit"
)

// Dump is a whole cluster at one revision, to be looked at somewhere else.
type Dump struct {
	Taken   time.Time
	Version string // of the fleet that took it
	Policy  Policy
	Update  Update // a snapshot
}

// The written form is JSON, one value a line: a head, the unit files, each once,
// and the records. So it is written and read without being held twice, line by
// line tools understand it, and what is damaged has a line number.
const (
	dumpFormat  = 1
	dumpKind    = "fleet snapshot"
	maxDumpLine = 8 << 20 // a unit file of the largest size with every byte escaped
	maxDumpSize = 4 << 30 // several times a million units on ten thousand machines
)

// dumpHead is the first line.
type dumpHead struct {
	Kind        string    `json:"kind"`
	Format      int       `json:"format"`
	Version     string    `json:"version"`
	Taken       time.Time `json:"taken"`
	Revision    int64     `json:"revision"`
	Strategy    Strategy  `json:"strategy"`
	ForgetAfter string    `json:"forgetAfter"` // as time.Duration prints it
	Lines       int       `json:"lines"`       // that follow
}

// dumpLine is every other line: a unit file, or a record.
type dumpLine struct {
	File *dumpFile `json:"file,omitempty"`

	Revision  int64       `json:"revision,omitempty"`
	Unit      *unit.Unit  `json:"unit,omitempty"`
	Machine   *Machine    `json:"machine,omitempty"`
	Presence  *Presence   `json:"presence,omitempty"`
	Label     *Label      `json:"label,omitempty"`
	Placement *Placement  `json:"placement,omitempty"`
	State     *unit.State `json:"state,omitempty"`
	Done      *Done       `json:"done,omitempty"`
	Absence   *Absence    `json:"absence,omitempty"`
}

type dumpFile struct {
	Hash string `json:"hash"`
	Text string `json:"text"`
}

// Write writes the dump: head, files and records, in the order of the update.
func (d Dump) Write(to io.Writer) error {
	files := d.files()
	w := bufio.NewWriterSize(to, 1<<16)
	lines := json.NewEncoder(w)
	lines.SetEscapeHTML(false)
	err := lines.Encode(dumpHead{
		Kind: dumpKind, Format: dumpFormat, Version: d.Version, Taken: d.Taken.UTC(), Revision: d.Update.Revision,
		Strategy: d.Policy.Strategy, ForgetAfter: d.Policy.ForgetAfter.String(), Lines: len(files) + len(d.Update.Changes),
	})
	for i := 0; i < len(files) && err == nil; i++ {
		err = lines.Encode(dumpLine{File: &files[i]})
	}
	for i := 0; i < len(d.Update.Changes) && err == nil; i++ {
		ch := &d.Update.Changes[i]
		err = lines.Encode(dumpLine{
			Revision: ch.Revision, Unit: ch.Unit, Machine: ch.Machine, Presence: ch.Presence, Label: ch.Label,
			Placement: ch.Placement, State: ch.State, Done: ch.Done, Absence: ch.Absence,
		})
	}
	if err == nil {
		err = w.Flush()
	}
	if err != nil {
		return fmt.Errorf("write the snapshot: %w", err)
	}
	return nil
}

// files returns every unit file once, in the order of the units.
func (d Dump) files() []dumpFile {
	var files []dumpFile
	seen := make(map[string]bool)
	for _, ch := range d.Update.Changes {
		if f := ch.File; f != nil && !seen[f.Hash] {
			seen[f.Hash] = true
			files = append(files, dumpFile{f.Hash, f.Text})
		}
	}
	return files
}

// ReadDump reads what Write wrote. Of what is not that, of another format, cut
// off or damaged it says so, and where.
func ReadDump(from io.Reader) (Dump, error) {
	r := newDumpReader(from)
	if err := r.read(); err != nil {
		return Dump{}, err
	}
	return r.dump, nil
}

func newDumpReader(from io.Reader) *dumpReader {
	return &dumpReader{in: bufio.NewReaderSize(from, 1<<16), files: make(map[string]*unit.File)}
}

type dumpReader struct {
	in    *bufio.Reader
	size  int64
	line  int // counted from 1
	head  dumpHead
	files map[string]*unit.File // nil: this fleet can't read the text
	dump  Dump
}

var (
	errNotDump   = errors.New("not a snapshot of fleet: it doesn't begin as one that fleetctl snapshot has written")
	errDumpSize  = fmt.Errorf("the snapshot is larger than %d GiB", maxDumpSize>>30)
	errDumpEmpty = errors.New("the snapshot is empty")
)

func (r *dumpReader) read() error {
	text, err := r.next()
	switch {
	case errors.Is(err, io.EOF):
		return errDumpEmpty
	case err != nil:
		return err
	}
	if err := r.readHead(text); err != nil {
		return err
	}
	for range r.head.Lines {
		text, err := r.next()
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("the snapshot is cut off: it should have %d lines and has %d", r.head.Lines+1, r.line)
		}
		if err == nil {
			err = r.readLine(text)
		}
		if err != nil {
			return err
		}
	}
	if _, err := r.next(); !errors.Is(err, io.EOF) {
		return r.damaged("nothing should follow line %d", r.head.Lines+1)
	}
	return nil
}

// next returns the next line. io.EOF says that there is none.
func (r *dumpReader) next() ([]byte, error) {
	var line []byte
	for {
		part, err := r.in.ReadSlice('\n')
		r.size += int64(len(part))
		line = append(line, part...)
		switch {
		case r.size > maxDumpSize:
			return nil, errDumpSize
		case len(line) > maxDumpLine:
			r.line++
			return nil, r.damaged("it is longer than %d MiB", maxDumpLine>>20)
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF) && len(line) == 0:
			return nil, io.EOF
		case err != nil && !errors.Is(err, io.EOF):
			return nil, fmt.Errorf("read the snapshot: %w", err)
		}
		r.line++
		return line, nil
	}
}

func (r *dumpReader) damaged(format string, args ...any) error {
	return fmt.Errorf("the snapshot is damaged: line %d: %s", r.line, fmt.Sprintf(format, args...))
}

func (r *dumpReader) readHead(text []byte) error {
	h := &r.head
	if err := json.Unmarshal(text, h); err != nil || h.Kind != dumpKind {
		return errNotDump
	}
	if h.Format != dumpFormat {
		return fmt.Errorf("the snapshot has format %d and this fleet reads format %d: use a fleetctl of version %s", h.Format, dumpFormat, h.Version)
	}
	forget, err := time.ParseDuration(h.ForgetAfter)
	switch {
	case err != nil:
		return r.damaged("forgetAfter %q is no duration", h.ForgetAfter)
	case h.Strategy != SpreadOut && h.Strategy != BinPack:
		return r.damaged("strategy %q is neither %s nor %s", h.Strategy, SpreadOut, BinPack)
	case h.Lines < 0 || h.Revision <= 0:
		return r.damaged("%d lines at revision %d can't be", h.Lines, h.Revision)
	}
	r.dump = Dump{
		Taken: h.Taken, Version: h.Version,
		Policy: Policy{Strategy: h.Strategy, ForgetAfter: forget},
		Update: Update{Snapshot: true, Revision: h.Revision},
	}
	return nil
}

func (r *dumpReader) readLine(text []byte) error {
	var l dumpLine
	if err := json.Unmarshal(text, &l); err != nil {
		return r.damaged("%v", err)
	}
	if l.File != nil {
		return r.readFile(l.File)
	}
	ch := Change{
		Revision: l.Revision, Unit: l.Unit, Machine: l.Machine, Presence: l.Presence, Label: l.Label,
		Placement: l.Placement, State: l.State, Done: l.Done, Absence: l.Absence,
	}
	if ch.Revision <= 0 || ch.Revision > r.head.Revision {
		return r.damaged("revision %d in a snapshot of revision %d", ch.Revision, r.head.Revision)
	}
	names, ok := ch.names()
	if !ok {
		return r.damaged("one record should be there, of a kind that this fleet knows")
	}
	if slices.Contains(names, "") {
		return r.damaged("a record without a name")
	}
	if u := ch.Unit; u != nil {
		if !u.DesiredState.Valid() {
			return r.damaged("target state %q of %s", u.DesiredState, u.Name)
		}
		ch.File = r.files[u.Hash]
	}
	r.dump.Update.Changes = append(r.dump.Update.Changes, ch)
	return nil
}

// readFile keeps a file for the units that have it. One that doesn't parse is
// as unreadable here as it was in the cluster.
func (r *dumpReader) readFile(df *dumpFile) error {
	f, err := unit.Parse([]byte(df.Text))
	if err != nil {
		f = nil
	} else if f.Hash != df.Hash {
		return r.damaged("the unit file is not the one that its hash %.12s says", df.Hash)
	}
	r.files[df.Hash] = f
	return nil
}

// names returns what identifies the record; ok is false unless there is exactly
// one.
func (ch *Change) names() (names []string, ok bool) {
	records := 0
	add := func(n ...string) { names, records = append(names, n...), records+1 }
	if ch.Unit != nil {
		add(ch.Unit.Name)
	}
	if ch.Machine != nil {
		add(ch.Machine.ID)
	}
	if ch.Presence != nil {
		add(ch.Presence.MachineID)
	}
	if ch.Label != nil {
		add(ch.Label.MachineID)
	}
	if ch.Placement != nil {
		add(ch.Placement.Unit, ch.Placement.MachineID)
	}
	if ch.State != nil {
		add(ch.State.Name, ch.State.MachineID)
	}
	if ch.Done != nil {
		add(ch.Done.Unit)
	}
	if ch.Absence != nil {
		add(ch.Absence.MachineID)
	}
	return names, records == 1
}
