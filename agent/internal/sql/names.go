package sql

import (
	"errors"

	"github.com/nodedb/nodedb/agent/internal/sql/analysis"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/duck"
	"github.com/nodedb/nodedb/agent/internal/sql/pgcatalog"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// names finds what a query that is planned names, and notes it.
type names struct {
	session   *Session
	of        *Prepared
	scope     catalog.Scope
	unsettled error // of tables that cannot be used now
	// description and wrong are what the analysis of asked says.
	asked       *syntax.Query
	description *analysis.Description
	wrong       error
}

// table finds a collection.
func (n *names) table(schema, name string) (*catalog.Table, bool) {
	if n.session.transition(schema, name) != nil {
		return nil, false
	}
	_, schema = catalog.RightsIn(schema)
	t, ok := n.scope.Table(schema, name)
	n.of.found = append(n.of.found, found{schema: schema, name: name, table: t})
	if ok {
		n.unsettled = errors.Join(n.unsettled, n.scope.Settled(t))
	}
	if before := n.session.before; ok && before != 0 {
		old, err := n.scope.Before(t, uint64(before))
		return old, err == nil
	}
	return t, ok
}

func (n *names) view(schema, name string) (*catalog.View, bool) {
	if n.session.transition(schema, name) != nil {
		return nil, false
	}
	_, schema = catalog.RightsIn(schema)
	v, ok := n.scope.FindView(schema, name)
	if ok {
		n.of.found = append(n.of.found, found{schema: schema, name: name, view: v})
	}
	return v, ok
}

// resolve finds whatever a query of the slow path can read.
func (n *names) resolve(schema, name string) (*duck.Table, bool) {
	if t := n.session.transition(schema, name); t != nil {
		return t.table, true
	}
	role, schema := catalog.RightsIn(schema)
	if t, ok := n.table(schema, name); ok {
		out := slowTable(t)
		out.Rights = role
		return out, true
	}
	if v, ok := n.view(schema, name); ok {
		return slowView(v), true
	}
	if o, ok := n.scope.Relation(syntax.Name{Schema: schema, Name: name}); ok && o.Sequence != nil {
		n.of.found = append(n.of.found, found{schema: schema, name: name, sequence: o.ID})
		return slowSequence(n.scope, o, pgcatalog.OID(o.ID)), true
	}
	return n.session.server.systemTable(schema, name)
}
