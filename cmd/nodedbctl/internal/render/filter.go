package render

import (
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

// filter is a conjunction of conditions: "state!=healthy,bytes>=1MiB".
type filter []condition

type condition struct {
	field, op, value string
	pattern          *regexp.Regexp // for ~ and !~
}

// operators, longest first.
var operators = []string{"!=", "!~", ">=", "<=", "=", "~", ">", "<"}

// fieldPattern is what stands before an operator.
var fieldPattern = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9 ./()_-]*$`)

// parseFilter reads the conditions of all texts; each must hold. A comma or &&
// separates them; a piece without an operator goes on with the value before it
// ("voters=n1,n2"), and what is in quotes is one value.
func parseFilter(texts []string) (filter, error) {
	var f filter
	for _, text := range texts {
		first := len(f)
		for _, p := range pieces(text) {
			c, err := parseCondition(p.text)
			switch {
			case strings.TrimSpace(p.text) == "":
			case err == nil:
				f = append(f, c)
			case len(f) > first && p.joint == "," && !hasOperator(p.text):
				f[len(f)-1].value += "," + p.text
			default:
				return nil, err
			}
		}
	}
	for i := range f {
		if err := f[i].prepare(); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// piece is a part of a filter and what stood before it.
type piece struct{ joint, text string }

func pieces(text string) []piece {
	out := []piece{{}}
	quoted := false
	for i := 0; i < len(text); i++ {
		last := &out[len(out)-1]
		switch {
		case text[i] == '\\' && quoted && i+1 < len(text):
			last.text += text[i : i+2]
			i++
		case text[i] == '"':
			quoted = !quoted
			last.text += `"`
		case !quoted && text[i] == ',':
			out = append(out, piece{joint: ","})
		case !quoted && strings.HasPrefix(text[i:], "&&"):
			out = append(out, piece{joint: "&&"})
			i++
		default:
			last.text += text[i : i+1]
		}
	}
	return out
}

func hasOperator(text string) bool { return strings.ContainsAny(text, "=~<>") }

func parseCondition(part string) (condition, error) {
	at, op := len(part), ""
	for _, o := range operators {
		if i := strings.Index(part, o); i > 0 && i < at {
			at, op = i, o
		}
	}
	field := strings.TrimSpace(part[:at])
	if op == "" || !fieldPattern.MatchString(field) {
		return condition{}, fmt.Errorf("filter %q is not FIELD=VALUE: the operators are %s", part, strings.Join(operators, " "))
	}
	return condition{field: field, op: op, value: part[at+len(op):]}, nil
}

// prepare finishes a condition whose value is whole.
func (c *condition) prepare() error {
	c.value = strings.TrimSpace(c.value)
	if n := len(c.value); n >= 2 && c.value[0] == '"' && c.value[n-1] == '"' {
		c.value = strings.NewReplacer(`\"`, `"`, `\\`, `\`).Replace(c.value[1 : n-1])
	} else if !strings.HasSuffix(c.op, "~") && strings.Contains(c.value, "||") {
		return fmt.Errorf("filter %q: conditions cannot be or-ed; %s~'a|b' takes alternatives", c.field+c.op+c.value, c.field)
	}
	if !strings.HasSuffix(c.op, "~") {
		return nil
	}
	re, err := regexp.Compile(c.value)
	if err != nil {
		return fmt.Errorf("filter %q: %w", c.field+c.op+c.value, err)
	}
	c.pattern = re
	return nil
}

// shown is one field of one row: what the table shows and what JSON has. Without
// a column for it, cell is empty and has is false.
type shown struct {
	cell string
	has  bool
	json any
}

func (f filter) match(value func(field string) (shown, error)) (bool, error) {
	for _, c := range f {
		v, err := value(c.field)
		if err != nil {
			return false, err
		}
		if ok, err := c.holds(v); err != nil || !ok {
			return false, err
		}
	}
	return true, nil
}

func (c *condition) holds(v shown) (bool, error) {
	switch c.op {
	case "=", "!=":
		return c.equal(v) == (c.op == "="), c.sensible(v)
	case "~":
		return c.matches(v), nil
	case "!~":
		return !c.matches(v), nil
	}
	n, known, err := c.order(v)
	if err != nil || !known {
		return false, err
	}
	switch c.op {
	case ">":
		return n > 0, nil
	case ">=":
		return n >= 0, nil
	case "<":
		return n < 0, nil
	default:
		return n <= 0, nil
	}
}

// equal takes what the table shows, with or without its spaces, what JSON has, and
// the same figure written in another way.
func (c *condition) equal(v shown) bool {
	if v.has && strings.EqualFold(squeeze(v.cell), squeeze(c.value)) || strings.EqualFold(text(v.json), c.value) {
		return true
	}
	n, ok := number(v.json)
	q, isQuantity := parseQuantity(c.value)
	return ok && isQuantity && n == q.value && c.fits(q, v)
}

// sensible refuses a word where the column has figures: it is never equal, and
// nobody would notice.
func (c *condition) sensible(v shown) error {
	_, isNumber := number(v.json)
	_, figure := parseQuantity(v.cell)
	_, isQuantity := parseQuantity(c.value)
	if isNumber && figure && !isQuantity && c.value != "" && c.value != None {
		return c.incomparable(v)
	}
	return nil
}

func squeeze(s string) string { return strings.ReplaceAll(s, " ", "") }

func (c *condition) matches(v shown) bool {
	return v.has && c.pattern.MatchString(v.cell) || c.pattern.MatchString(text(v.json))
}

// order compares the row's value with the condition's. What a row does not know is
// neither more nor less; what cannot be compared is an error.
func (c *condition) order(v shown) (n int, known bool, err error) {
	if v.json == nil && (!v.has || v.cell == "" || v.cell == None) || v.has && v.cell == None {
		return 0, false, nil
	}
	want, isQuantity := parseQuantity(c.value)
	if have, ok := number(v.json); ok {
		if !isQuantity || !c.fits(want, v) {
			return 0, false, c.incomparable(v)
		}
		return cmp.Compare(have, want.value), true, nil
	}
	if have, ok := parseTime(text(v.json)); ok {
		if at, ok := parseTime(c.value); ok {
			return have.Compare(at), true, nil
		}
	}
	if have, ok := parseQuantity(v.cell); ok && isQuantity && have.unit == want.unit {
		return cmp.Compare(have.value, want.value), true, nil
	}
	return 0, false, c.incomparable(v)
}

// fits reports whether a figure with this unit can be one of the column: plain
// numbers fit every column, others only one that shows such.
func (c *condition) fits(q quantity, v shown) bool {
	if q.unit == plainUnit || !v.has || v.cell == None {
		return true
	}
	have, ok := parseQuantity(v.cell)
	return ok && have.unit == q.unit
}

func (c *condition) incomparable(v shown) error {
	example := v.cell
	if !v.has {
		example = text(v.json)
	}
	return optionf("filter %q: %s is such as %q and cannot be compared with %q by %s", c.field+c.op+c.value, c.field, example, c.value, c.op)
}

// text writes any JSON value for comparison: lists as a,b.
func text(v any) string {
	if s, ok := plain(v); ok {
		return s
	}
	if list, ok := v.([]any); ok {
		parts := make([]string, len(list))
		for i, x := range list {
			parts[i] = text(x)
		}
		return strings.Join(parts, ",")
	}
	b, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(b)
}

// compare orders numbers as numbers and all else as text.
func compare(a, b any) int {
	x, xok := number(a)
	y, yok := number(b)
	if xok && yok {
		return cmp.Compare(x, y)
	}
	return strings.Compare(text(a), text(b))
}

func number(v any) (float64, bool) {
	n, ok := v.(json.Number)
	if !ok {
		return 0, false
	}
	f, err := n.Float64()
	return f, err == nil
}
