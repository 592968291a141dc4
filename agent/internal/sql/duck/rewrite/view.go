package rewrite

import (
	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

const (
	// maxInView is how deep views may stand within each other, and maxViews how many a
	// statement may come to: each use of one is a query of its own.
	maxInView = 32
	maxViews  = 1000
)

// view puts the query of a view in its place. Names in it mean what they meant to who made
// it: nothing of the statement around it.
func (r *rewriter) view(table *Table, rv *pg.RangeVar) (*pg.Node, *relation, error) {
	r.views++
	r.inView++
	defer func() { r.inView-- }()
	if r.inView > maxInView || r.views > maxViews {
		return nil, nil, &Error{Code: "54001", Message: "statement is too complex", Hint: "Views may nest 32 deep, and stand for 1000 queries in a statement."}
	}
	query := proto.CloneOf(table.Query)
	byPosition(query.ProtoReflect())
	splitDefaults(query.ProtoReflect())
	if err := expandRows(query); err != nil {
		return nil, nil, err
	}
	r.castCalls(query.ProtoReflect())
	r.mayWrite = true
	r.derived[query] = true
	cols, err := r.query(query, nil)
	r.mayWrite = false
	if err != nil {
		return nil, nil, err
	}
	rel := &relation{known: true, of: table}
	alias := &pg.Alias{Aliasname: rv.Relname}
	if rv.Alias != nil {
		alias.Aliasname = rv.Alias.Aliasname
	}
	given := rv.GetAlias().GetColnames()
	for i, declared := range table.Columns {
		c := column{typ: declared.Type, modifier: declared.Modifier}
		if i < len(cols.list) && cols.known {
			if c = cols.list[i]; c.typ == datum.Unknown {
				c.typ = declared.Type
			}
		}
		c.name = declared.Name
		rel.columns = append(rel.columns, c)
		if i < len(given) {
			alias.Colnames = append(alias.Colnames, given[i])
		} else {
			alias.Colnames = append(alias.Colnames, str(declared.Name))
		}
	}
	applyAlias(rel, alias)
	return &pg.Node{Node: &pg.Node_RangeSubselect{RangeSubselect: &pg.RangeSubselect{Subquery: selectNode(query), Alias: alias}}}, rel, nil
}
