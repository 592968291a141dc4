package queryplan

import (
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
)

// scope says which columns an expression can name. The row that expressions see
// is the concatenation of the relations' columns.
type scope struct{ relations []relation }

type relation struct {
	alias  string
	table  *catalog.Table
	offset int
	// qualifiedOnly relations (excluded) are found only by their alias.
	qualifiedOnly bool
}

func tableScope(table *catalog.Table, alias string) *scope {
	if alias == "" {
		alias = table.Name()
	}
	return &scope{relations: []relation{{alias: alias, table: table}}}
}

// column finds [alias.]name.
func (s *scope) column(alias, name string, position int) (*ColumnRef, error) {
	for _, r := range s.relations {
		if alias != r.alias && (alias != "" || r.qualifiedOnly) {
			continue
		}
		if i, ok := r.table.ColumnIndex(name); ok {
			return r.ref(i), nil
		}
		if alias != "" {
			return nil, fail("42703", position, "column %s.%s does not exist", alias, name)
		}
	}
	if alias != "" {
		return nil, fail("42P01", position, "missing FROM-clause entry for table %q", alias)
	}
	return nil, fail("42703", position, "column %q does not exist", name)
}

func (r *relation) ref(i int) *ColumnRef {
	c := &r.table.Columns[i]
	return &ColumnRef{Index: r.offset + i, typ: c.Type, modifier: c.Modifier, name: c.Name}
}
