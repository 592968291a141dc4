package rewrite

import (
	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// column is what is known of a column of a relation or a result.
type column struct {
	name     string
	typ      datum.Type // Unknown: DuckDB will say
	modifier int32
	scan     *Scan // a plain column of a table
	index    int
	hidden   bool
	notNull  bool
	written  bool // a part of a json
	text     bool // a numeric that is a text to the engine
	blanks   bool // a char(n) whose values have their blanks
	lossy    bool // an array of numerics whose scales the engine does not keep
	null     bool // NULL itself
	scale    int  // how many digits behind the point all values of a numeric have, -1: unknown
	passed   bool // of a query that passes rows of scan one by one
	grown    bool // of a recursive query: scan has not all of its values
}

// asWritten reports whether values are json that is as somebody wrote it.
func (c *column) asWritten() bool { return c.written || c.typ == datum.JSON && c.scan != nil }

// columns of a query; not known if a * could not be expanded.
type columns struct {
	list  []column
	known bool
}

// relation is a FROM item.
type relation struct {
	name    string
	scan    *Scan // nil: derived
	columns []column
	known   bool // columns are all there are
	// scalar says that it is a function of values that are no rows: its name is that of the one column.
	scalar bool
	of     *Table // whose rows they are; nil: of none
}

// scope is what names mean within one SELECT.
type scope struct {
	parent    *scope
	relations []*relation
	ctes      map[string]*relation
	// merged are the columns that USING or NATURAL have made of two.
	merged map[string]column
	// distinct says that ORDER BY may name nothing but what is selected.
	distinct bool
	// derived says that what is selected are columns of a FROM item, and looked at no further.
	derived bool
	// filled are the FROM items that outer joins fill up with nulls.
	filled map[string]bool
}

func (s *scope) cte(name string) (*relation, bool) {
	for ; s != nil; s = s.parent {
		if r, ok := s.ctes[name]; ok {
			return r, true
		}
	}
	return nil, false
}

// relation finds a FROM item by its alias, in this query or those around it.
func (s *scope) relation(name string) *relation {
	for ; s != nil; s = s.parent {
		for _, r := range s.relations {
			if r.name == name {
				return r
			}
		}
	}
	return nil
}

func (r *relation) column(name string) (column, bool) {
	for _, c := range r.columns {
		if c.name == name {
			return c, true
		}
	}
	return column{}, false
}

// find resolves a column reference; ok=false if it is not known which column it is.
func (s *scope) find(ref *pg.ColumnRef) (column, bool) {
	names, star := fieldNames(ref)
	if star || len(names) == 0 {
		return column{}, false
	}
	name := names[len(names)-1]
	if len(names) > 1 {
		if r := s.relation(names[len(names)-2]); r != nil {
			return r.column(name)
		}
		return column{}, false
	}
	innermost := s
	for ; s != nil; s = s.parent {
		hits, hit, known := 0, column{}, true
		for _, r := range s.relations {
			if c, ok := r.column(name); ok {
				hits++
				hit = c
			}
			known = known && r.known
		}
		if c, ok := s.merged[name]; ok && hits > 1 {
			return c, true
		}
		switch {
		case hits == 1 && known:
			return hit, true
		case hits > 0 || !known:
			return column{}, false
		}
	}
	if r := innermost.relation(name); r != nil && r.scalar {
		return r.columns[0], true
	}
	return column{}, false
}

func fieldNames(ref *pg.ColumnRef) (names []string, star bool) {
	for _, f := range ref.Fields {
		if f.GetAStar() != nil {
			return names, true
		}
		names = append(names, f.GetString_().GetSval())
	}
	return names, false
}

// namesIn lists the last names of all column references: those of hidden columns
// make them visible.
func namesIn(s *pg.SelectStmt) map[string]bool {
	found := map[string]bool{}
	visit(s.ProtoReflect(), func(n *pg.Node) {
		if ref := n.GetColumnRef(); ref != nil {
			if names, star := fieldNames(ref); !star && len(names) > 0 {
				found[names[len(names)-1]] = true
			}
		}
	})
	return found
}
