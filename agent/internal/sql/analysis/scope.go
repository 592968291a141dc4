package analysis

import (
	"fmt"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// place says in which part of a query an expression stands.
type place int

const (
	selected place = iota
	inJoin
	inFrom
	inFunction
	inWhere
	inHaving
	inGroup
	inOrder
	inDistinctOn
	inLimit
	inWindow
	inFrame
	inFilter
	inValues
	inReturning
	inUpdate
)

// item is what FROM, or a join in it, gives a name and columns.
type item struct {
	name    string
	of      string // what an alias stands for, a table or a query of WITH
	columns []itemColumn
	open    bool   // there may be columns that are not known
	table   bool   // it may have system columns
	plain   bool   // it is a table without an alias: another schema may have one of the name
	schema  string // of the table
	key     []int
	// named and seen say whether t.c and c mean its columns.
	named, seen bool
	// lateral says that only LATERAL items may name it so far; sideways, that even they must not.
	lateral, sideways bool
}

type itemColumn struct {
	name   string
	typ    oid
	mod    int32
	hidden bool
	// of and at are the column itself, of one of a join.
	of *item
	at int
	// merged: of two columns.
	merged bool
}

// scope is what names mean within one query.
type scope struct {
	parent  *scope
	names   []*item // those that may be named
	all     []*item // all that FROM has
	ctes    map[string]*item
	lateral bool
	place   place
	grouped bool // it has aggregates
	windows map[string]bool
	pending []*pg.WindowDef
	// roots are its expressions, as far as they have been looked at.
	roots []*expr
}

// at has fn look at expressions of a part of the query.
func (a *analysis) at(p place, fn func()) {
	was := a.scope.place
	a.scope.place = p
	fn()
	a.scope.place = was
}

// column is a ColumnRef that is no star.
func (a *analysis) column(ref *pg.ColumnRef) *expr {
	names := texts(ref.Fields)
	switch len(names) {
	case 1:
		return a.plainColumn(names[0], ref.Location, false)
	case 2:
		return a.qualified(names[0], names[1], ref.Location)
	case 3:
		if !a.ofSchema(names[0], names[1]) {
			if i, _ := a.named(names[1]); i != nil {
				a.refuse("42P01", ref.Location, "invalid reference to FROM-clause entry for table \"%s\"", names[1])
			} else {
				a.refuse("42P01", ref.Location, "missing FROM-clause entry for table \"%s\"", names[1])
			}
		}
	}
	return of(unsure, ref.Location, "")
}

// plainColumn is a name alone; silent: it may mean something else, and only its own query counts.
func (a *analysis) plainColumn(name string, at int32, own bool) *expr {
	open := false
	for s := a.scope; s != nil; s = s.parent {
		var hit *expr
		for _, i := range s.names {
			if !i.seen || i.lateral && !s.lateral {
				continue
			}
			open = open || i.open
			e := a.find(s, i, name, at)
			if e == nil {
				continue
			}
			if hit != nil {
				a.refuse("42702", at, "column reference \"%s\" is ambiguous", name)
				return of(unsure, at, "")
			}
			hit = e
		}
		if hit != nil || own {
			return hit
		}
		if open {
			a.lost = true
			return of(unsure, at, "")
		}
	}
	if i, _ := a.named(name); i == nil && !systemColumns[name] {
		a.refuse("42703", at, "column \"%s\" does not exist", name)
	}
	return of(unsure, at, "")
}

var systemColumns = map[string]bool{"ctid": true, "xmin": true, "xmax": true, "cmin": true, "cmax": true, "tableoid": true}

// find is a column of an item; nil: it has none of the name.
func (a *analysis) find(s *scope, i *item, name string, at int32) *expr {
	var hit *expr
	for n, c := range i.columns {
		if c.name != name {
			continue
		}
		if hit != nil {
			a.refuse("42702", at, "column reference \"%s\" is ambiguous", name)
			return hit
		}
		hit = variable(s, i, n, at)
	}
	return hit
}

func variable(s *scope, i *item, n int, at int32) *expr {
	c := i.columns[n]
	if c.of != nil && !c.merged {
		i, n = c.of, c.at
	}
	return &expr{typ: c.typ, mod: c.mod, at: at, scope: s, of: i, column: n, variable: true}
}

// named finds an item by its name.
func (a *analysis) named(name string) (*item, *scope) {
	for s := a.scope; s != nil; s = s.parent {
		for _, i := range s.names {
			if i.named && i.name == name && (!i.lateral || s.lateral) {
				return i, s
			}
		}
	}
	return nil, nil
}

// ofSchema reports whether a table of a schema is named as schema.table, which an alias hides.
func (a *analysis) ofSchema(schema, table string) bool {
	for s := a.scope; s != nil; s = s.parent {
		for _, i := range s.names {
			if i.named && i.plain && i.name == table && (i.schema == schema || schema == "pg_temp" && strings.HasPrefix(i.schema, schema)) {
				return true
			}
		}
	}
	return false
}

// qualified is t.c.
func (a *analysis) qualified(table, name string, at int32) *expr {
	i, s := a.item(table, at)
	if i == nil {
		return of(unsure, at, "")
	}
	if e := a.find(s, i, name, at); e != nil {
		return e
	}
	if !i.open && !(i.table && systemColumns[name]) {
		a.refuse("42703", at, "column %s.%s does not exist", table, name)
	}
	return of(unsure, at, "")
}

// item finds one that must be there.
func (a *analysis) item(name string, at int32) (*item, *scope) {
	i, s := a.named(name)
	if i != nil {
		if i.lateral && i.sideways {
			a.refuse("42P10", at, "invalid reference to FROM-clause entry for table \"%s\"", name)
			a.detail("The combining JOIN type must be INNER or LEFT for a LATERAL reference.")
		}
		return i, s
	}
	a.noItem(name, at)
	return nil, nil
}

// noItem says that nothing is known by a name, and what may have been meant.
func (a *analysis) noItem(name string, at int32) {
	for s := a.scope; s != nil; s = s.parent {
		for _, i := range s.all {
			if i.name != name && i.of != name {
				continue
			}
			hint := fmt.Sprintf("There is an entry for table \"%s\", but it cannot be referenced from this part of the query.", name)
			if visible, _ := a.named(i.name); i.name != name && visible == i {
				hint = fmt.Sprintf("Perhaps you meant to reference the table alias \"%s\".", i.name)
			}
			a.hinted("42P01", at, hint, "invalid reference to FROM-clause entry for table \"%s\"", name)
			return
		}
	}
	a.refuse("42P01", at, "missing FROM-clause entry for table \"%s\"", name)
}

func (a *analysis) detail(text string) {
	if a.err != nil && a.err.Detail == "" {
		a.err.Detail = text
	}
}

// expand is a star: the columns that it stands for; false: they are not all known.
func (a *analysis) expand(ref *pg.ColumnRef) ([]*expr, []string, bool) {
	var out []*expr
	var names []string
	known := true
	add := func(s *scope, i *item) {
		known = known && !i.open
		for n, c := range i.columns {
			if !c.hidden {
				out, names = append(out, variable(s, i, n, ref.Location)), append(names, c.name)
			}
		}
	}
	if len(ref.Fields) > 2 {
		return nil, nil, false
	}
	if len(ref.Fields) == 2 {
		i, s := a.item(text(ref.Fields[0]), ref.Location)
		if i == nil {
			return nil, nil, false
		}
		add(s, i)
		return out, names, known
	}
	found := false
	for _, i := range a.scope.names {
		if i.seen {
			add(a.scope, i)
			found = true
		}
	}
	if !found {
		a.refuse("42601", ref.Location, "SELECT * with no tables specified is not valid")
	}
	return out, names, known
}

// cte finds a query of WITH.
func (s *scope) cte(name string) *item {
	for ; s != nil; s = s.parent {
		if i, ok := s.ctes[name]; ok {
			return i
		}
	}
	return nil
}
