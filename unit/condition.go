package unit

// Operator is how a Condition compares.
type Operator string

// The operators of metadata expressions.
const (
	Equals      Operator = "="
	Differs     Operator = "!=" // also where the key is absent
	Present     Operator = ""   // the key alone
	Absent      Operator = "!"  // written before the key
	AtLeast     Operator = ">="
	AtMost      Operator = "<="
	GreaterThan Operator = ">"
	LessThan    Operator = "<"
)

// Condition is one metadata expression, which a machine's metadata meets or
// doesn't.
type Condition struct {
	Key   string
	Op    Operator
	Value string // "" with Present and Absent
}
