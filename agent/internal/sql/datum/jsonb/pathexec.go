package jsonb

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// errFound ends an evaluation of which enough is known.
var errFound = errors.New("found")

// unraisedError is one of the path over the value: a predicate is unknown for it, and
// functions can be asked to be silent about it.
type unraisedError struct{ of *datum.Error }

func (e *unraisedError) Error() string { return e.of.Message }
func (e *unraisedError) Unwrap() error { return e.of }

func pathError(code, format string, args ...any) error {
	return &unraisedError{&datum.Error{Code: code, Message: fmt.Sprintf(format, args...)}}
}

func unraised(err error) bool {
	var e *unraisedError
	return errors.As(err, &e)
}

// evaluation is the state of one Path over one value.
type evaluation struct {
	root, vars string // vars is an object, "": all are null
	strict     bool
	current    string // @
	last       int    // of the innermost array whose subscripts are computed
	// lenient says that what is not there is no error: in lax mode, and below .**.
	lenient bool
	// probed is a sign of which it is only asked whether it gives anything: what is no
	// number it passes over.
	probed *pathNode
}

// yield takes an item; its error ends the evaluation.
type yield func(item string) error

// each calls fn with what the path gives.
func (p *Path) each(j, vars string, fn yield) error {
	return p.evaluate(&evaluation{}, j, vars, fn)
}

func (p *Path) evaluate(e *evaluation, j, vars string, fn yield) error {
	e.root, e.current, e.vars, e.strict, e.lenient = j, j, vars, p.strict, !p.strict
	return e.item(p.root, j, !p.strict, fn)
}

// Query returns all that the path gives. Silent, errors end it.
func (p *Path) Query(j, vars string, silent bool) ([]string, error) {
	var out []string
	err := p.each(j, vars, func(item string) error {
		out = append(out, item)
		return nil
	})
	if silent && unraised(err) {
		err = nil
	}
	return out, err
}

// First returns the first item; ok is false if there is none.
func (p *Path) First(j, vars string, silent bool) (item string, ok bool, err error) {
	list, err := p.Query(j, vars, silent)
	if err != nil || len(list) == 0 {
		return "", false, err
	}
	return list[0], true, nil
}

// Exists reports whether the path gives anything; known is false after an error that is
// to be passed over.
func (p *Path) Exists(j, vars string, silent bool) (found, known bool, err error) {
	e := &evaluation{}
	if !p.strict && p.root.next == nil {
		e.probed = p.root
	}
	err = p.evaluate(e, j, vars, func(string) error {
		if found = true; p.strict {
			return nil
		}
		return errFound
	})
	switch {
	case errors.Is(err, errFound):
		return true, true, nil
	case silent && unraised(err):
		return false, false, nil
	}
	return found, true, err
}

// Match is the predicate that the path is; known is false if that is unknown.
func (p *Path) Match(j, vars string, silent bool) (holds, known bool, err error) {
	list, err := p.Query(j, vars, silent)
	if err != nil {
		return false, false, err
	}
	if len(list) == 1 {
		switch datum.KindOfJSON(list[0]) {
		case datum.JSONBool:
			return list[0] == "true", true, nil
		case datum.JSONNull:
			return false, false, nil
		}
	}
	if silent {
		return false, false, nil
	}
	return false, false, fail("22038", "single boolean result is expected")
}

// then goes on with the step behind n.
func (e *evaluation) then(n *pathNode, item string, fn yield) error {
	if n.next == nil {
		return fn(item)
	}
	return e.item(n.next, item, !e.strict, fn)
}

// elements calls fn with the elements of an array, each by the step, in which nested
// arrays are taken apart as unwrap says; nil: the elements themselves.
func (e *evaluation) elements(step *pathNode, array string, unwrap bool, fn yield) error {
	for item := range datum.JSONElements(array) {
		var err error
		if step == nil {
			err = fn(item)
		} else {
			err = e.item(step, item, unwrap, fn)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// item evaluates a step over an item.
func (e *evaluation) item(n *pathNode, j string, unwrap bool, fn yield) error {
	kind := datum.KindOfJSON(j)
	array := kind == datum.JSONArray
	switch n.kind {
	case pathRoot:
		return e.then(n, e.root, fn)
	case pathCurrent:
		return e.then(n, e.current, fn)
	case pathLast:
		return e.then(n, strconv.Itoa(e.last), fn)
	case pathLiteral:
		return e.then(n, n.value, fn)
	case pathVar:
		if e.vars == "" {
			return e.then(n, "null", fn)
		}
		if v, ok := datum.JSONField(e.vars, n.name); ok {
			return e.then(n, v, fn)
		}
		return fail("42704", fmt.Sprintf("could not find jsonpath variable %q", n.name))
	case pathKey, pathAnyKey:
		if array && unwrap {
			return e.elements(n, j, false, fn)
		}
		return e.member(n, j, fn)
	case pathAnyElement:
		return e.anyElement(n, j, fn)
	case pathElements:
		return e.subscripted(n, j, fn)
	case pathAny:
		return e.below(n, j, fn)
	case pathFilter:
		if array && unwrap {
			return e.elements(n, j, false, fn)
		}
		was := e.current
		e.current = j
		holds, err := e.truth(n.left, j)
		e.current = was
		if err != nil || holds != truthful {
			return err
		}
		return e.then(n, j, fn)
	case pathMethod:
		if array && unwrap && n.name != "type" && n.name != "size" {
			return e.elements(n, j, false, fn)
		}
		v, err := e.method(n, j)
		if err != nil {
			return err
		}
		return e.then(n, v, fn)
	case pathUnary:
		return e.sign(n, j, fn)
	case pathBinary:
		v, err := e.arithmetic(n, j)
		if err != nil {
			return err
		}
		return e.then(n, v, fn)
	default:
		holds, err := e.truth(n, j)
		if err != nil {
			return err
		}
		return e.then(n, [...]string{"false", "true", "null"}[holds], fn)
	}
}

func (e *evaluation) member(n *pathNode, j string, fn yield) error {
	if datum.KindOfJSON(j) != datum.JSONObject {
		switch {
		case e.lenient:
			return nil
		case n.kind == pathAnyKey:
			return pathError("2203C", "jsonpath wildcard member accessor can only be applied to an object")
		}
		return pathError("2203A", "jsonpath member accessor can only be applied to an object")
	}
	if n.kind == pathAnyKey {
		for _, v := range datum.JSONFields(j) {
			if err := e.then(n, v, fn); err != nil {
				return err
			}
		}
		return nil
	}
	v, ok := datum.JSONField(j, n.name)
	if !ok {
		if e.lenient {
			return nil
		}
		return pathError("2203A", "JSON object does not contain key %q", n.name)
	}
	return e.then(n, v, fn)
}

func (e *evaluation) anyElement(n *pathNode, j string, fn yield) error {
	switch {
	case datum.KindOfJSON(j) == datum.JSONArray:
		return e.elements(n.next, j, !e.strict, fn)
	case !e.strict:
		return e.then(n, j, fn)
	case e.lenient:
		return nil
	}
	return pathError("22039", "jsonpath wildcard array accessor can only be applied to an array")
}

func (e *evaluation) subscripted(n *pathNode, j string, fn yield) error {
	array := datum.KindOfJSON(j) == datum.JSONArray
	if !array && e.strict {
		if e.lenient {
			return nil
		}
		return pathError("22039", "jsonpath array accessor can only be applied to an array")
	}
	list := elementsOf(j)
	was := e.last
	defer func() { e.last = was }()
	for _, s := range n.subscripts {
		e.last = len(list) - 1
		from, err := e.subscript(s.from, j)
		if err != nil {
			return err
		}
		to := from
		if s.to != nil {
			if to, err = e.subscript(s.to, j); err != nil {
				return err
			}
		}
		if !e.lenient && (from < 0 || from > to || to >= len(list)) {
			return pathError("22033", "jsonpath array subscript is out of bounds")
		}
		for i := max(from, 0); i <= to && i < len(list); i++ {
			if err := e.then(n, list[i], fn); err != nil {
				return err
			}
		}
	}
	return nil
}

func (e *evaluation) subscript(n *pathNode, j string) (int, error) {
	var found []string
	if err := e.item(n, j, !e.strict, collect(&found)); err != nil {
		return 0, err
	}
	if len(found) != 1 || datum.KindOfJSON(found[0]) != datum.JSONNumber {
		return 0, pathError("22033", "jsonpath array subscript is not a single numeric value")
	}
	whole, _, _ := strings.Cut(found[0], ".")
	v, err := strconv.ParseInt(whole, 10, 32)
	if err != nil && whole != "-" {
		return 0, pathError("22033", "jsonpath array subscript is out of integer range")
	}
	return int(v), nil
}

func collect(to *[]string) yield {
	return func(item string) error {
		*to = append(*to, item)
		return nil
	}
}

// below is .**: what is within a value, down to a level.
func (e *evaluation) below(n *pathNode, j string, fn yield) error {
	if n.from == 0 {
		if err := e.leniently(func() error { return e.then(n, j, fn) }); err != nil {
			return err
		}
	}
	return e.levels(n, j, 1, fn)
}

func (e *evaluation) leniently(f func() error) error {
	was := e.lenient
	e.lenient = true
	err := f()
	e.lenient = was
	return err
}

func (e *evaluation) levels(n *pathNode, j string, level uint32, fn yield) error {
	visit := func(v string) error {
		inner := !isScalar(v)
		if level >= n.from || n.from == lastLevel && n.to == lastLevel && !inner {
			if err := e.leniently(func() error { return e.then(n, v, fn) }); err != nil {
				return err
			}
		}
		if level < n.to && inner {
			return e.levels(n, v, level+1, fn)
		}
		return nil
	}
	switch datum.KindOfJSON(j) {
	case datum.JSONArray:
		for v := range datum.JSONElements(j) {
			if err := visit(v); err != nil {
				return err
			}
		}
	case datum.JSONObject:
		for _, v := range datum.JSONFields(j) {
			if err := visit(v); err != nil {
				return err
			}
		}
	}
	return nil
}

func (e *evaluation) method(n *pathNode, j string) (string, error) {
	kind := datum.KindOfJSON(j)
	switch n.name {
	case "type":
		return datum.QuoteJSON(kind.String()), nil
	case "size":
		if kind == datum.JSONArray {
			return strconv.Itoa(datum.JSONLength(j)), nil
		}
		if e.strict && !e.lenient {
			return "", pathError("22039", "jsonpath item method .size() can only be applied to an array")
		}
		return "1", nil
	case "double":
		return double(j, kind)
	}
	if kind != datum.JSONNumber {
		return "", pathError("22036", "jsonpath item method .%s() can only be applied to a numeric value", n.name)
	}
	d, err := datum.ParseText(datum.Numeric, j, nil)
	if err != nil {
		return "", err
	}
	return datum.MakeNumeric(datum.WholeNumeric(n.name, d.D)).Text(), nil
}

func double(j string, kind datum.JSONKind) (string, error) {
	text := j
	switch kind {
	case datum.JSONNumber:
	case datum.JSONString:
		text = datum.JSONText(j)
	default:
		return "", pathError("22036", "jsonpath item method .double() can only be applied to a string or numeric value")
	}
	f, err := datum.ParseText(datum.Float8, text, nil)
	switch {
	case err != nil && kind == datum.JSONNumber:
		return "", pathError("22036", "numeric argument of jsonpath item method .double() is out of range for type double precision")
	case err != nil:
		return "", pathError("22036", "string argument of jsonpath item method .double() is not a valid representation of a double precision number")
	case math.IsNaN(f.F) || math.IsInf(f.F, 0):
		return "", pathError("22036", "NaN or Infinity is not allowed for jsonpath item method .double()")
	case kind == datum.JSONNumber:
		return j, nil
	}
	d, err := datum.ParseText(datum.Numeric, f.Text(), nil)
	return d.Text(), err
}

// unwrapped are the items of an expression, arrays taken apart in lax mode.
func (e *evaluation) unwrapped(n *pathNode, j string) ([]string, error) {
	var out []string
	err := e.item(n, j, !e.strict, func(item string) error {
		if !e.strict && item[0] == '[' {
			out = append(out, elementsOf(item)...)
		} else {
			out = append(out, item)
		}
		return nil
	})
	return out, err
}

func (e *evaluation) sign(n *pathNode, j string, fn yield) error {
	list, err := e.unwrapped(n.left, j)
	if err != nil {
		return err
	}
	for _, item := range list {
		if datum.KindOfJSON(item) != datum.JSONNumber {
			if n == e.probed {
				continue
			}
			return pathError("2203B", "operand of unary jsonpath operator %s is not a numeric value", n.name)
		}
		if n.name == "-" {
			d, err := datum.NumericArithmetic("-", number("0").D, number(item).D)
			if err != nil {
				return err
			}
			item = d.Text()
		}
		if err := e.then(n, item, fn); err != nil {
			return err
		}
	}
	return nil
}

func number(j string) datum.Datum {
	d, err := datum.ParseText(datum.Numeric, j, nil)
	if err != nil { // it was read before
		d, _ = datum.ParseText(datum.Numeric, "0", nil)
	}
	return d
}

func (e *evaluation) arithmetic(n *pathNode, j string) (string, error) {
	var sides [2]string
	for i, side := range []*pathNode{n.left, n.right} {
		list, err := e.unwrapped(side, j)
		if err != nil {
			return "", err
		}
		if len(list) != 1 || datum.KindOfJSON(list[0]) != datum.JSONNumber {
			return "", pathError("22038", "%s operand of jsonpath operator %s is not a single numeric value", [...]string{"left", "right"}[i], n.name)
		}
		sides[i] = list[0]
	}
	d, err := datum.NumericArithmetic(n.name, number(sides[0]).D, number(sides[1]).D)
	if err != nil {
		var known *datum.Error
		if errors.As(err, &known) {
			return "", &unraisedError{known}
		}
		return "", err
	}
	return d.Text(), nil
}
