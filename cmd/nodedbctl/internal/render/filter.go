package render

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

// filter is a conjunction of conditions: "state!=healthy,bytes>1000000".
type filter []condition

type condition struct {
	field, op, value string
	pattern          *regexp.Regexp // for ~ and !~
}

// operators, longest first.
var operators = []string{"!=", "!~", ">=", "<=", "=", "~", ">", "<"}

func parseFilter(text string) (filter, error) {
	var f filter
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		c, err := parseCondition(part)
		if err != nil {
			return nil, err
		}
		f = append(f, c)
	}
	return f, nil
}

func parseCondition(part string) (condition, error) {
	at, op := len(part), ""
	for _, o := range operators {
		if i := strings.Index(part, o); i > 0 && i < at {
			at, op = i, o
		}
	}
	if op == "" {
		return condition{}, fmt.Errorf("filter %q is not FIELD=VALUE: the operators are %s", part, strings.Join(operators, " "))
	}
	c := condition{field: strings.TrimSpace(part[:at]), op: op, value: strings.TrimSpace(part[at+len(op):])}
	if strings.HasSuffix(op, "~") {
		re, err := regexp.Compile(c.value)
		if err != nil {
			return condition{}, fmt.Errorf("filter %q: %w", part, err)
		}
		c.pattern = re
	}
	return c, nil
}

func (f filter) match(value func(field string) (any, error)) (bool, error) {
	for _, c := range f {
		v, err := value(c.field)
		if err != nil {
			return false, err
		}
		if !c.holds(v) {
			return false, nil
		}
	}
	return true, nil
}

func (c condition) holds(v any) bool {
	text := text(v)
	switch c.op {
	case "=":
		return strings.EqualFold(text, c.value)
	case "!=":
		return !strings.EqualFold(text, c.value)
	case "~":
		return c.pattern.MatchString(text)
	case "!~":
		return !c.pattern.MatchString(text)
	}
	n := compare(v, json.Number(c.value))
	switch c.op {
	case ">":
		return n > 0
	case ">=":
		return n >= 0
	case "<":
		return n < 0
	default:
		return n <= 0
	}
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
		switch {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
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
