package jsonb

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// builder makes an array or an object.
type builder struct{ text []byte }

func newBuilder(opening byte) *builder { return &builder{text: []byte{opening}} }

func (b *builder) add(parts ...string) {
	if len(b.text) > 1 {
		b.text = append(b.text, ", "...)
	}
	for _, p := range parts {
		b.text = append(b.text, p...)
	}
}

func (b *builder) end(closing byte) string { return string(append(b.text, closing)) }

// Array makes an array of values.
func Array(values []string) string {
	b := newBuilder('[')
	for _, v := range values {
		b.add(v)
	}
	return b.end(']')
}

// Field is a key and a value; both are values of jsonb.
type Field struct{ Key, Value string }

// Object makes an object. Of equal keys the last one stays.
func Object(fields []Field) string {
	texts := make(map[string]string, len(fields))
	keys := make([]string, 0, len(fields))
	for _, f := range fields {
		key := datum.JSONText(f.Key)
		if _, twice := texts[key]; !twice {
			keys = append(keys, key)
		}
		texts[key] = f.Value
	}
	slices.SortFunc(keys, func(a, b string) int {
		if len(a) != len(b) {
			return len(a) - len(b)
		}
		return strings.Compare(a, b)
	})
	b := newBuilder('{')
	for _, key := range keys {
		b.add(datum.QuoteJSON(key), ": ", texts[key])
	}
	return b.end('}')
}

func fieldsOf(object string) []Field {
	var out []Field
	for key, v := range datum.JSONFields(object) {
		out = append(out, Field{key, v})
	}
	return out
}

func isScalar(j string) bool { return datum.KindOfJSON(j) < datum.JSONArray }

// elementsOf are those of an array, or the value alone.
func elementsOf(j string) []string {
	if datum.KindOfJSON(j) != datum.JSONArray {
		return []string{j}
	}
	return slices.Collect(datum.JSONElements(j))
}

func concat(a, b string) string {
	if a[0] == '{' && b[0] == '{' {
		return Object(append(fieldsOf(a), fieldsOf(b)...))
	}
	return Array(append(elementsOf(a), elementsOf(b)...))
}

// names reports whether a list of texts has key.
func names(list datum.Datum, key string) bool {
	return slices.ContainsFunc(list.A.Values, func(v datum.Datum) bool { return !v.Null && v.S == key })
}

// without leaves out the keys of an object, or the strings of an array, that gone says.
func without(j string, gone func(string) bool) (datum.Datum, error) {
	switch datum.KindOfJSON(j) {
	case datum.JSONObject:
		fields := slices.DeleteFunc(fieldsOf(j), func(f Field) bool { return gone(datum.JSONText(f.Key)) })
		return value(Object(fields)), nil
	case datum.JSONArray:
		left := slices.DeleteFunc(elementsOf(j), func(e string) bool { return e[0] == '"' && gone(datum.JSONText(e)) })
		return value(Array(left)), nil
	default:
		return datum.Datum{}, fail("22023", "cannot delete from scalar")
	}
}

func withoutElement(j string, n int) (datum.Datum, error) {
	switch datum.KindOfJSON(j) {
	case datum.JSONObject:
		return datum.Datum{}, fail("22023", "cannot delete from object using integer index")
	case datum.JSONArray:
		list := elementsOf(j)
		if n < 0 {
			n += len(list)
		}
		if n >= 0 && n < len(list) {
			list = slices.Delete(list, n, n+1)
		}
		return value(Array(list)), nil
	default:
		return datum.Datum{}, fail("22023", "cannot delete from scalar")
	}
}

// change is what happens at the end of a path.
type change struct {
	path   []datum.Datum
	to     string
	remove bool
	create bool // what is not there
	deep   bool // objects on the way, too
	// insert says that to comes beside what is there: before it, or after it.
	insert, after bool
}

// insert is jsonb_insert.
func insert(j string, steps datum.Datum, to string, after bool) (datum.Datum, error) {
	if isScalar(j) {
		return datum.Datum{}, fail("22023", "cannot set path in scalar")
	}
	return (&change{path: steps.A.Values, to: to, create: true, insert: true, after: after}).top(j)
}

func withoutPath(j string, steps datum.Datum) (datum.Datum, error) {
	if isScalar(j) {
		return datum.Datum{}, fail("22023", "cannot delete path in scalar")
	}
	return (&change{path: steps.A.Values, remove: true}).top(j)
}

func set(j string, steps datum.Datum, to string, create bool) (datum.Datum, error) {
	if isScalar(j) {
		return datum.Datum{}, fail("22023", "cannot set path in scalar")
	}
	return (&change{path: steps.A.Values, to: to, create: create}).top(j)
}

// setField sets a field of a document, and makes the objects on the way to it.
func setField(j string, steps datum.Datum, to string) (datum.Datum, error) {
	return (&change{path: steps.A.Values, to: to, create: true, deep: true}).top(j)
}

func (c *change) top(j string) (datum.Datum, error) {
	if len(c.path) == 0 || !c.create && (j == "[]" || j == "{}") {
		return value(j), nil
	}
	out, err := c.apply(j, 0)
	return value(out), err
}

func (c *change) apply(j string, level int) (string, error) {
	step := c.path[level]
	if step.Null {
		return "", fail("22004", fmt.Sprintf("path element at position %d is null", level+1))
	}
	switch datum.KindOfJSON(j) {
	case datum.JSONObject:
		return c.object(j, level, step.S)
	case datum.JSONArray:
		return c.array(j, level, step.S)
	default:
		if c.deep {
			return c.object("{}", level, step.S)
		}
		return j, nil
	}
}

func (c *change) last(level int) bool { return level == len(c.path)-1 }

func (c *change) object(j string, level int, key string) (string, error) {
	fields := fieldsOf(j)
	n := slices.IndexFunc(fields, func(f Field) bool { return datum.JSONText(f.Key) == key })
	switch {
	case n >= 0 && c.last(level) && c.remove:
		fields = slices.Delete(fields, n, n+1)
	case n >= 0 && c.last(level) && c.insert:
		return "", fail("22023", "cannot replace existing key")
	case n >= 0 && c.last(level):
		fields[n].Value = c.to
	case n >= 0:
		inner, err := c.apply(fields[n].Value, level+1)
		if err != nil {
			return "", err
		}
		fields[n].Value = inner
	case c.last(level) && c.create:
		fields = append(fields, Field{datum.QuoteJSON(key), c.to})
	case c.deep:
		inner, err := c.apply("{}", level+1)
		if err != nil {
			return "", err
		}
		fields = append(fields, Field{datum.QuoteJSON(key), inner})
	default:
		return j, nil
	}
	return Object(fields), nil
}

func (c *change) array(j string, level int, step string) (string, error) {
	n, err := strconv.ParseInt(strings.TrimLeft(step, " \t\n\r\f\v"), 10, 32)
	if err != nil {
		return "", fail("22P02", fmt.Sprintf("path element at position %d is not an integer: %q", level+1, step))
	}
	list := elementsOf(j)
	at := int(n)
	if at < 0 {
		if at += len(list); at < 0 {
			at = math.MinInt
		}
	}
	inside := at >= 0 && at < len(list)
	switch {
	case inside && c.last(level) && c.remove:
		list = slices.Delete(list, at, at+1)
	case inside && c.last(level) && c.insert && c.after:
		list = slices.Insert(list, at+1, c.to)
	case inside && c.last(level) && c.insert:
		list = slices.Insert(list, at, c.to)
	case inside && c.last(level):
		list[at] = c.to
	case inside:
		if list[at], err = c.apply(list[at], level+1); err != nil {
			return "", err
		}
	case c.last(level) && c.create && at < 0:
		list = slices.Insert(list, 0, c.to)
	case c.last(level) && c.create:
		list = append(list, c.to)
	default:
		return j, nil
	}
	return Array(list), nil
}

func stripNulls(j string) string {
	switch datum.KindOfJSON(j) {
	case datum.JSONObject:
		var left []Field
		for key, v := range datum.JSONFields(j) {
			if v != "null" {
				left = append(left, Field{key, stripNulls(v)})
			}
		}
		return Object(left)
	case datum.JSONArray:
		list := elementsOf(j)
		for i := range list {
			list[i] = stripNulls(list[i])
		}
		return Array(list)
	default:
		return j
	}
}
