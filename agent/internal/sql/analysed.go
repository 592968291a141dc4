package sql

import (
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
	zone, unknown := time.LoadLocation(n.of.basis.timeZone)
	if unknown != nil {
		zone = time.UTC
	}
	wrong := analysis.Check(q, analysis.Input{
		Resolve: n.relation,
		Type: func(t syntax.TypeName) (datum.Type, bool) {
			r, err := n.scope.ResolveType(t)
			return r.Type, err == nil && (r.User == nil || r.User.Domain == nil)
		},
		Made:   func(name string) bool { return len(n.scope.Functions(syntax.Name{Name: name})) > 0 },
		Params: n.of.announced,
		Zone:   zone,
	})
	if wrong != nil {
		return wrong
	}
	return err
}

// relation is what a name in FROM means to the analysis.
func (n *names) relation(schema, name string) (*analysis.Relation, bool) {
	t, ok := n.resolve(schema, name)
	if !ok {
		return nil, false
	}
	out := &analysis.Relation{Key: t.Key, Columns: make([]analysis.Column, len(t.Columns))}
	for i, c := range t.Columns {
		out.Columns[i] = analysis.Column{Name: c.Name, Type: c.Type, Hidden: c.Hidden}
	}
	return out, true
}
