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
	lines   []int    // the line of each option, counted from 1
}

// Requirements are the [X-Fleet] options of one unit, specifiers resolved.
type Requirements struct {
	MachineID string
	MachineOf []string   // unit names
	Metadata  []Metadata // all must hold
	Conflicts []string   // globs, as path.Match
	Replaces  []string   // globs, as path.Match
	Global    bool
}

// Metadata is met by a machine whose metadata has Key with one of Values.
type Metadata struct {
	Key    string
	Values []string
}
