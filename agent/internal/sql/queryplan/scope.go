package queryplan

import (
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
)

// scope says which columns an expression can name. The row that expressions see
// is the concatenation of the relations' columns.
type scope struct {
	relations []relation
	// more says that there are others, whose columns are not known here.
	more bool
}

type relation struct {
	alias  string
	table  *catalog.Table
	offset int
	// role is whose policies count for its rows; "": the session's.
	role string
	// shown are the columns of a view of the table, in place of the table's own.
	shown []shownColumn
	// qualifiedOnly relations are found only by their alias.
	qualifiedOnly bool
}

// shownColumn is a column of a view of one table: an expression over its row.
type shownColumn struct {
	name string
	expr Expr // nil: Go does not compute it
	// column is that of the table which is written through it, -1: none.
	column int
}

func tableScope(table *catalog.Table, alias string) *scope {
	if alias == "" {
		alias = table.Name()
	}
	return &scope{relations: []relation{{alias: alias, table: table}}}
}

// column finds [alias.]name.
func (s *scope) column(alias, name string, position int) (Expr, error) {
	var found Expr
	times := 0
	for _, r := range s.relations {
		if alias != r.alias && (alias != "" || r.qualifiedOnly) {
			continue
		}
		if e, ok := r.column(name); ok {
			found = e
			times++
			continue
		}
		if alias != "" {
			return nil, fail("42703", position, "column %s.%s does not exist", alias, name)
		}
	}
	switch {
	case times > 1:
		return nil, fail("42702", position, "column reference %q is ambiguous", name)
	case times == 1 && found != nil && (alias != "" || !s.more):
		return found, nil
	case times == 1 || s.more:
		return nil, errSlow
	}
	if alias != "" {
		return nil, fail("42P01", position, "missing FROM-clause entry for table %q", alias)
	}
	return nil, fail("42703", position, "column %q does not exist", name)
}

func (r *relation) column(name string) (Expr, bool) {
	if r.shown == nil {
		i, ok := r.table.ColumnIndex(name)
		if !ok {
			return nil, false
		}
		return r.ref(i), true
	}
	for i := range r.shown {
		if r.shown[i].name == name {
			return r.shown[i].expr, true
		}
	}
	return nil, false
}

// columns are those that * stands for.
func (r *relation) columns() []shownColumn {
	if r.shown != nil {
		return r.shown
	}
	var out []shownColumn
	for i := range r.table.Columns {
		if c := &r.table.Columns[i]; !c.Hidden {
			out = append(out, shownColumn{c.Name, r.ref(i), i})
		}
	}
	return out
}

func (r *relation) ref(i int) *ColumnRef {
	c := &r.table.Columns[i]
	return &ColumnRef{Index: r.offset + i, typ: c.Type, modifier: c.Modifier, name: c.Name, notNull: c.NotNull}
}
