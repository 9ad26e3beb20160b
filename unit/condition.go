package unit

import (
	"errors"
	"fmt"
	"strings"
)

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

// operatorBytes are what operators are made of, and those that other languages
// have (==, =~, <>) as well, so that they aren't taken for part of a value.
const operatorBytes = "=!<>~"

// ParseCondition reads a metadata expression: key=value, key!=value, key, !key,
// key>=number, key>number, key<=number or key<number. There may be spaces
// around the operator; a value that begins with a character of one needs a
// space before it.
func ParseCondition(s string) (Condition, error) {
	s = strings.Trim(s, whitespace)
	if key, ok := strings.CutPrefix(s, "!"); ok {
		return keyAlone(Absent, strings.Trim(key, whitespace))
	}
	at := strings.IndexAny(s, "=!<>")
	if at < 0 {
		return keyAlone(Present, s)
	}
	before, op := strings.Trim(s[:at], whitespace), s[at:]
	op = op[:len(op)-len(strings.TrimLeft(op, operatorBytes))]
	value := strings.Trim(s[at+len(op):], whitespace)
	key := strings.TrimRight(before, "~"+whitespace)
	if len(key) < len(before) { // the operator began earlier, as in key~=value
		op = "~" + op
	}
	c := Condition{key, Operator(op), value}
	return c, c.check()
}

func keyAlone(op Operator, key string) (Condition, error) {
	switch {
	case key == "":
		return Condition{}, errors.New("a metadata key is missing, as in region=eu or !spot")
	case op == Absent && strings.ContainsAny(key, operatorBytes):
		return Condition{}, errors.New("a ! stands before a key alone, such as !spot: for every other value write region!=eu")
	case strings.Contains(key, "~"):
		return Condition{}, unknownOperator(Condition{Key: key, Op: "~"})
	}
	c := Condition{Key: key, Op: op}
	return c, c.checkKey()
}

// check tells what is wrong with a condition that has an operator between a key
// and a value.
func (c Condition) check() error {
	switch c.Op {
	case Equals, Differs, AtLeast, AtMost, GreaterThan, LessThan:
	default:
		return unknownOperator(c)
	}
	example := "region=eu"
	if c.Op != Equals && c.Op != Differs {
		example = "cpus" + string(c.Op) + "16"
	}
	switch {
	case c.Key == "":
		return fmt.Errorf("no metadata key stands before the %s, as in %s", c.Op, example)
	case c.Value == "":
		return fmt.Errorf("no value follows the %s: for any value at all write %s, for none !%s", c.Op, c.Key, c.Key)
	case c.Op == Equals: // a key may be whatever it could be in fleet 1.0
		return nil
	case c.Op != Differs && !isComparable(c.Value):
		return fmt.Errorf("%.40q is no number: %s compares with one such as 16, 1.5 or 16G, or with a version such as 20.10.0%s", c.Value, c.Op, meantSize(c.Value))
	}
	return c.checkKey()
}

func (c Condition) checkKey() error {
	if strings.ContainsAny(c.Key, whitespace) {
		return fmt.Errorf("the key %.40q has a space in it: several expressions on a line must each be in double quotes", c.Key)
	}
	return nil
}

// unknownOperator says what c's operator might have been meant as.
func unknownOperator(c Condition) error {
	meant := map[Operator]Operator{"==": Equals, "===": Equals, "=>": AtLeast, "=<": AtMost, "<>": Differs, "=!": Differs, "!==": Differs}
	hint := "the operators are =, !=, >=, <=, > and <"
	if op, ok := meant[c.Op]; ok && c.Value != "" {
		hint = fmt.Sprintf("did you mean %.40s?", Condition{c.Key, op, c.Value})
	}
	if literal, ok := strings.CutPrefix(string(c.Op), "="); ok && c.Value != "" {
		hint += fmt.Sprintf(" (a value that begins with %.10s needs a space before it)", literal)
	}
	return fmt.Errorf("%.10s is no operator, %s", c.Op, hint)
}

// String returns the expression, from which ParseCondition reads the condition
// again.
func (c Condition) String() string {
	switch {
	case c.Op == Absent:
		return "!" + c.Key
	case c.Value != "" && strings.IndexByte(operatorBytes, c.Value[0]) >= 0:
		return c.Key + string(c.Op) + " " + c.Value
	}
	return c.Key + string(c.Op) + c.Value
}

// Holds reports whether a machine with the metadata meets the condition. A
// value that is no number is neither more nor less than one.
func (c Condition) Holds(metadata map[string]string) bool {
	value, present := metadata[c.Key]
	if !present {
		return c.Op == Absent || c.Op == Differs
	}
	return c.heldBy(value)
}

// heldBy reports whether a machine meets the condition whose metadata has this
// value for the key.
func (c Condition) heldBy(value string) bool {
	switch c.Op {
	case Present:
		return true
	case Equals:
		return value == c.Value
	case Differs:
		return value != c.Value
	}
	order, ok := compare(value, c.Value)
	switch c.Op {
	case AtLeast:
		return ok && order >= 0
	case AtMost:
		return ok && order <= 0
	case GreaterThan:
		return ok && order > 0
	case LessThan:
		return ok && order < 0
	}
	return false
}
