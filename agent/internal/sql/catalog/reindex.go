package catalog

import (
	"fmt"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// Reindex has an operation compare the entries of an index, or of all indexes of a table,
// with the rows, and make them right. The primary key is where the rows are: it has none.
func (c *Catalog) Reindex(in Scope, stmt *syntax.Reindex) (*Draft, []Notice, error) {
	o, only, err := in.toReindex(stmt)
	if err != nil {
		return nil, nil, err
	}
	if err := unmoved(o); err != nil {
		return nil, nil, err
	}
	what := &cluster.TableChange{Table: o.ID, Name: o.Name}
	for i := range o.Collection.Indexes {
		if x := &o.Collection.Indexes[i]; x.State == "" && !x.Dropped && (only == 0 || x.ID == only) {
			what.Repairs = append(what.Repairs, x.ID)
		}
	}
	switch {
	case len(what.Repairs) > 0 && !in.Draft.Made(o.ID):
		same := *o
		next := in.change(o, &same)
		next.carryOn(what)
		return next, nil, nil
	case stmt.Kind == "TABLE" && o.Collection.KeyName == "" && len(o.Collection.Indexes) == 0:
		return in.Draft, []Notice{{Code: "00000", Message: fmt.Sprintf("table %q has no indexes to reindex", o.Name)}}, nil
	}
	return in.Draft, nil, nil
}

// toReindex finds the table, and the one index that is meant; 0: all are.
func (s Scope) toReindex(stmt *syntax.Reindex) (*cluster.Object, cluster.ObjectID, error) {
	table, x, isIndex := s.Index(stmt.Name)
	o, isRelation := s.Relation(stmt.Name)
	key, isKey := s.keyed(stmt.Name)
	switch {
	case stmt.Kind == "INDEX" && isIndex:
		return table, x.ID, nil
	case stmt.Kind == "INDEX" && isKey:
		return key, key.ID, nil // no index has that id
	case stmt.Kind == "INDEX" && isRelation:
		return nil, 0, &syntax.Error{Code: "42809", Message: fmt.Sprintf("%q is not an index", stmt.Name.Name)}
	case stmt.Kind == "TABLE" && isRelation && o.Collection != nil:
		return o, 0, nil
	case stmt.Kind == "TABLE" && (isRelation || isIndex || isKey):
		return nil, 0, &syntax.Error{Code: "42809", Message: fmt.Sprintf("%q is not a table or materialized view", stmt.Name.Name)}
	}
	return nil, 0, noTable(stmt.Name, "")
}
