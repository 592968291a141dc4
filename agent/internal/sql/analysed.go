package sql

import (
	"slices"
	"strings"
	"time"

	"github.com/nodedb/nodedb/agent/internal/sql/analysis"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// refusal is the error that a query is told when it was planned: that of PostgreSQL's parse
// analysis, which comes before any other, else err. The fast path's own compiler looks as that
// does, unless something is wrong.
func (n *names) refusal(q *syntax.Query, plan *queryplan.Plan, err error) error {
	switch {
	case err != nil && AsError(err).Code == "0A000":
		return err
	case err == nil && !plan.ByEngine():
		return nil
	}
	_, wrong := n.described(q)
	if wrong != nil {
		return wrong
	}
	return err
}

// described is what PostgreSQL's parse analysis says of a query.
func (n *names) described(q *syntax.Query) (*analysis.Description, error) {
	zone, unknown := time.LoadLocation(n.of.basis.timeZone)
	if unknown != nil {
		zone = time.UTC
	}
	return analysis.Describe(q, analysis.Input{
		Resolve: n.relation,
		Type: func(t syntax.TypeName) (datum.Type, bool) {
			r, err := n.scope.ResolveType(t)
			return r.Type, err == nil && (r.User == nil || r.User.Domain == nil)
		},
		Made:   func(name string) bool { return len(n.scope.Functions(syntax.Name{Name: name})) > 0 },
		Params: n.of.announced,
		Zone:   zone,
		Modifier: func(t syntax.TypeName) int32 {
			if r, err := n.scope.ResolveType(t); err == nil {
				return r.Modifier
			}
			return -1
		},
	})
}

// parameters are the types of the parameters: those that the client has announced, and what
// PostgreSQL finds for the others.
func (n *names) parameters(q *syntax.Query) []datum.Type {
	out := n.of.announced
	if !strings.Contains(n.of.statement.Text, "$") {
		return out
	}
	d, err := n.described(q)
	if err != nil {
		return out
	}
	out = slices.Clone(out)
	for i, t := range d.Params {
		switch {
		case i == len(out):
			out = append(out, datum.Unknown)
			fallthrough
		case out[i] == datum.Unknown && t.Storable():
			out[i] = t
		}
	}
	return out
}

// modify gives the columns of a plan the modifiers that they have in PostgreSQL.
func (n *names) modify(q *syntax.Query, plan *queryplan.Plan) {
	if !slices.ContainsFunc(plan.Columns, func(c queryplan.Column) bool { return c.Table == nil && c.Type.Modifiable() }) {
		return
	}
	d, err := n.described(q)
	if err != nil || len(d.Columns) != len(plan.Columns) {
		return
	}
	for i := range plan.Columns {
		if c := &plan.Columns[i]; c.Type == d.Columns[i].Type {
			c.Modifier = d.Columns[i].Modifier
		}
	}
}

// relation is what a name in FROM means to the analysis.
func (n *names) relation(schema, name string) (*analysis.Relation, bool) {
	t, ok := n.resolve(schema, name)
	if !ok {
		return nil, false
	}
	out := &analysis.Relation{Schema: t.Schema, Key: t.Key, Columns: make([]analysis.Column, len(t.Columns))}
	for i, c := range t.Columns {
		out.Columns[i] = analysis.Column{Name: c.Name, Type: c.Type, Modifier: c.Modifier, Hidden: c.Hidden}
	}
	return out, true
}
