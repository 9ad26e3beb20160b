package unit

// MaxFileSize is the largest unit file that is accepted, in bytes.
const MaxFileSize = 1 << 20

// Option is one assignment of a unit file.
type Option struct {
	Section string `json:"section"`
	Name    string `json:"name"`
	Value   string `json:"value"`
}

// File is a parsed unit file. It is immutable and may be shared by every unit
// that has this content.
type File struct {
	Text    string   // byte for byte as the user wrote it
	Hash    string   // SHA-256 of Text, lower-case hex
	Options []Option // in the file's order
	lines   []int    // the line of each option, counted from 1; nil when made of options
	fleet   *fleetSection
}

// Values returns what the option was assigned in the section, in the file's
// order. As in systemd an empty assignment forgets those before it.
func (f *File) Values(section, name string) []string {
	var values []string
	for _, o := range f.Options {
		switch {
		case o.Section != section || o.Name != name:
		case o.Value == "":
			values = nil
		default:
			values = append(values, o.Value)
		}
	}
	return values
}

// Value returns what the option was assigned last, or "".
func (f *File) Value(section, name string) string {
	for i := len(f.Options) - 1; i >= 0; i-- {
		if o := f.Options[i]; o.Section == section && o.Name == name {
			return o.Value
		}
	}
	return ""
}

// Description returns what the file says the unit is, or "".
func (f *File) Description() string { return f.Value("Unit", "Description") }

// Requirements are the [X-Fleet] options of one unit, specifiers resolved. Units
// may share the slices: they are not to be changed.
type Requirements struct {
	MachineID  string
	MachineOf  []string    // unit names
	Metadata   []Metadata  // MachineMetadata of the form key=value: all must hold
	Conditions []Condition // MachineMetadata of every other form: all must hold
	Conflicts  []string    // globs, as path.Match
	Replaces   []string    // globs, as path.Match
	Global     bool

	// Beyond fleet 1.0.
	Memory         int64       // MemoryReservation, bytes
	CPU            int64       // CPUReservation, thousandths of a CPU
	Prefer         []Condition // each that holds makes a machine better
	Avoid          []string    // globs, as path.Match: each unit that matches makes a machine worse
	Spread         Spread
	Priority       int  // pending units are placed highest first
	Instances      *int // of a template: how many the engine keeps; nil: none of its business
	MaxUnavailable int  // of a template's instances at once; 0 when it isn't said, which is 1
	Reschedule     int  // tried elsewhere after so many failed starts; 0: never
	RunOnce        bool // not run again once it has finished successfully
}

// Spread evens out a template's instances over the values of a metadata key.
type Spread struct {
	Key  string // "" when nothing is to be spread
	Hard bool   // rather pending than uneven
}

// Metadata is met by a machine whose metadata has Key with one of Values.
type Metadata struct {
	Key    string
	Values []string
}
