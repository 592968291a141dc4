package analysis

import (
	"fmt"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// Column is one of a Relation.
type Column struct {
	Name     string
	Type     datum.Type
	Modifier int32 // -1: none
	// Hidden columns are not part of *, but can be named.
	Hidden bool
}

// Relation is what a name in FROM means.
type Relation struct {
	Schema  string
	Columns []Column
	Key     []int // of the primary key, in Columns; nil: it has none
}

// Input is what names mean to the session.
type Input struct {
	Resolve func(schema, name string) (*Relation, bool)
	// Type finds a type that PostgreSQL has not.
	Type func(syntax.TypeName) (datum.Type, bool)
	// Modifier is that of a written type, -1: it has none.
	Modifier func(syntax.TypeName) int32
	// Made reports whether somebody has made a function of the name.
	Made   func(name string) bool
	Params []datum.Type // datum.Unknown: to be found out
	// Reading is how texts are read.
	Reading datum.Reading
}

// analysis is the state of one Check.
type analysis struct {
	in     Input
	err    *syntax.Error // the first
	scope  *scope
	params []oid
	// lost says that a literal is not read here: what comes after it is not certain.
	lost bool
	// vague says that there are expressions whose types are not known.
	vague bool
	// literals are the types of those that have none of their own, types those of operations and
	// calls, both by their places.
	literals, types map[int32]oid

	made  map[oid]*typeFact
	known map[oid]datum.Type
	// result is what the statement gives, nil: it is not known.
	result []*target
}

// Description is what PostgreSQL says of a statement before it runs.
type Description struct {
	// Params are the types of the parameters, datum.Unknown where that is not certain.
	Params []datum.Type
	// Columns are those of the rows; nil: they are not known. Those without a type are not.
	Columns []Column
	// Literals are the types of those that have none of their own, Types those of operations and
	// calls, both by their locations.
	Literals, Types map[int32]datum.Type
	// Sure says that all of it is known: PostgreSQL takes it.
	Sure bool
}

// Check returns the first thing that PostgreSQL refuses in a query, a *syntax.Error, or nil.
func Check(q *syntax.Query, in Input) error {
	_, err := Describe(q, in)
	return err
}

// Describe says what a query takes and gives, or the first thing that PostgreSQL refuses in it.
func Describe(q *syntax.Query, in Input) (*Description, error) {
	a := &analysis{in: in, literals: map[int32]oid{}, types: map[int32]oid{}, made: map[oid]*typeFact{}, known: map[oid]datum.Type{}}
	for _, t := range in.Params {
		typ := a.typeOf(t)
		if t == datum.Unknown {
			typ = unknown
		}
		a.params = append(a.params, typ)
	}
	switch {
	case q.Call, q.Merge != nil:
	case q.Select != nil:
		if list, open := a.targets(q.Select, nil); !open {
			a.result = visible(list)
		}
	case q.Insert != nil:
		a.insert(q.Insert)
	case q.Update != nil:
		a.update(q.Update)
	case q.Delete != nil:
		a.delete(q.Delete)
	}
	if a.err != nil {
		return nil, a.err
	}
	out := a.description()
	out.Sure = !a.lost && !a.vague && !q.Call && q.Merge == nil
	return out, nil
}

func (a *analysis) description() *Description {
	out := &Description{Params: make([]datum.Type, len(a.params))}
	for i, t := range a.params {
		if v, ok := a.valueType(t); ok && !a.lost {
			out.Params[i] = v
		}
	}
	for _, t := range a.result {
		c := Column{Name: t.name, Modifier: t.mod - 1}
		if v, ok := a.valueType(t.typ); ok && t.typ != unsure && t.typ != unknown {
			c.Type = v
		}
		out.Columns = append(out.Columns, c)
	}
	out.Literals, out.Types = map[int32]datum.Type{}, map[int32]datum.Type{}
	for at, t := range a.types {
		if v, ok := a.valueType(t); ok && at > 0 {
			out.Types[at] = v
		}
	}
	for at, t := range a.literals {
		if v, ok := a.valueType(t); ok && !v.Elem().IsEnum() && !v.Elem().IsComposite() {
			out.Literals[at] = v
		}
	}
	return out
}

// refuse notes what is wrong unless something was before.
func (a *analysis) refuse(code string, at int32, format string, args ...any) {
	a.hinted(code, at, "", format, args...)
}

func (a *analysis) hinted(code string, at int32, hint, format string, args ...any) {
	if a.err == nil && !a.lost {
		a.err = &syntax.Error{Code: code, Message: fmt.Sprintf(format, args...), Hint: hint, Position: syntax.Position(at)}
	}
}

// expr is what is known of an expression.
type expr struct {
	typ  oid
	mod  int32 // the type's modifier and one; 0: none
	at   int32
	lit  *string // the text of a literal that has no type yet
	null bool    // such a literal that is NULL
	arg  int32   // the number of a parameter
	row  []*expr // the fields of ROW(...)
	is   string  // what it is beside its kids: equal expressions are equal here
	kids []*expr
	// variable: a column of a FROM item of scope; agg: an aggregate of scope.
	scope    *scope
	of       *item
	column   int
	variable bool
	agg      bool
	window   bool
	direct   []*expr // of an aggregate: not of its rows
	sub      bool    // a subquery: kids are its expressions
	grouping bool
}

// same reports whether two expressions are equal.
func same(x, y *expr) bool {
	if x == y {
		return true
	}
	if x.is != y.is || x.typ != y.typ || len(x.kids) != len(y.kids) || x.variable != y.variable || x.of != y.of || x.column != y.column || x.sub || y.sub || x.is == "" && !x.variable {
		return false
	}
	for i := range x.kids {
		if !same(x.kids[i], y.kids[i]) {
			return false
		}
	}
	return true
}

func of(t oid, at int32, is string, kids ...*expr) *expr {
	return &expr{typ: t, at: at, is: is, kids: kids}
}

// leftmost is where an expression begins in the text, as PostgreSQL says it.
func leftmost(at int32, kids ...*expr) int32 {
	for _, k := range kids {
		if k != nil && k.at >= 0 && (at < 0 || k.at < at) {
			at = k.at
		}
	}
	return at
}

// each calls fn with the expressions below e, and e, once each: those of subqueries are reached
// by several ways, which would be twice as many with each level of them. fn says whether to go
// on below.
func (e *expr) each(fn func(*expr) bool) {
	if e == nil || len(e.kids) == 0 {
		if e != nil {
			fn(e)
		}
		return
	}
	e.walk(map[*expr]bool{}, fn)
}

func (e *expr) walk(seen map[*expr]bool, fn func(*expr) bool) {
	if e == nil || seen[e] {
		return
	}
	if seen[e] = true; !fn(e) {
		return
	}
	for _, k := range e.kids {
		k.walk(seen, fn)
	}
}

func text(n *pg.Node) string { return n.GetString_().GetSval() }

func texts(l []*pg.Node) []string {
	out := make([]string, len(l))
	for i, n := range l {
		out[i] = text(n)
	}
	return out
}

// lastText is a name without its schema.
func lastText(l []*pg.Node) string {
	if len(l) == 0 {
		return ""
	}
	return text(l[len(l)-1])
}
