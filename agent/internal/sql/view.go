package sql

import (
	"context"
	"fmt"
	"time"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/duck"
	"github.com/nodedb/nodedb/agent/internal/sql/pgcatalog"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// createView runs CREATE VIEW.
func (s *Session) createView(ctx context.Context, node *syntax.CreateView) (string, error) {
	const tag = "CREATE VIEW"
	temporary, err := s.forTemporary(node.Temporary, node.Name)
	if err != nil {
		return "", err
	}
	return tag, s.changeObjects(ctx, tag, func(in catalog.Scope) (*catalog.Draft, error) {
		node := *node
		if temporary {
			var err error
			if in, node.Name, err = s.inTemporary(ctx, in, node.Name); err != nil {
				return nil, err
			}
		}
		show, err := s.showing(ctx, in, node.SQL, node.Query)
		if err == nil && node.CheckOption != "" {
			err = queryplan.CheckOption(node.Query.Select)
		}
		if err != nil {
			return nil, err
		}
		return s.server.catalog.CreateView(ctx, in, &node, show)
	})
}

// showing plans the query of a view that is to be made, as it is written and as it is kept.
func (s *Session) showing(ctx context.Context, in catalog.Scope, text string, q *syntax.Query) (*catalog.Showing, error) {
	if syntax.HasSequenceCall(q.Select) {
		return nil, syntax.Unsupported("a call of nextval and its like in a view", "Call it where the view is read.")
	}
	calls := map[int32]*queryplan.Routine{}
	written := &Prepared{statement: &syntax.Statement{Text: text, Node: q}, chosen: func(f *pg.FuncCall, r *queryplan.Routine) {
		if f.GetLocation() > 0 { // else it stands in the body of a function
			calls[f.GetLocation()] = r
		}
	}}
	if err := s.prepareQuery(ctx, written, q); err != nil {
		return nil, err
	}
	switch plan := written.plan; {
	case len(written.ParamOIDs) > 0:
		return nil, &Error{Code: "42P02", Message: "there is no parameter $1"}
	case plan.Signals != nil:
		return nil, syntax.Unsupported("a call that reaches other sessions, in a view", "")
	case plan.Locks() != nil:
		return nil, syntax.Unsupported("FOR UPDATE and its like in a view", "Lock the rows where the view is read.")
	}
	out := &catalog.Showing{By: s.user}
	var err error
	if out.Query, out.Reads, err = queryplan.BindView(s.settled(in, written, written.query(q), s.Reading()).Select, s.readable(in), calls); err != nil {
		return nil, err
	}
	if err := namesNoFunctions(in, out.Query); err != nil {
		return nil, err
	}
	bound, err := in.Bound(out.Query, out.Reads)
	if err != nil {
		return nil, err
	}
	if out.Text, err = syntax.QueryText(bound); err != nil {
		return nil, err
	}
	// The columns are those of what is kept, which expands stars as PostgreSQL does.
	out.Columns, err = s.shownColumns(ctx, out.Text, &syntax.Query{Select: bound})
	return out, err
}

// namesNoFunctions refuses the query of a view in which a function of a user is called by its name.
func namesNoFunctions(in catalog.Scope, query string) error {
	parsed, err := syntax.ParseQuery(query)
	if err != nil {
		return err
	}
	if name, ok := callsByName(in, parsed); ok {
		return syntax.Unsupported(fmt.Sprintf("a call of function %s in this place of a view", name), "Call it where the view is read.")
	}
	return nil
}

// callsByName finds a function of a user that is called by its name.
func callsByName(in catalog.Scope, m proto.Message) (name string, found bool) {
	find := finder(in).Functions
	syntax.EachCall(m, func(f *pg.FuncCall) {
		if called, ok := queryplan.CalledByName(f, find); ok && !found {
			name, found = called, true
		}
	})
	return name, found
}

// readable finds what a view can read.
func (s *Session) readable(in catalog.Scope) func(schema, name string) (queryplan.Readable, bool) {
	return func(schema, name string) (queryplan.Readable, bool) {
		if o, ok := in.Relation(syntax.Name{Schema: schema, Name: name}); ok {
			return queryplan.Readable{Object: o.ID, Columns: catalog.ReadColumns(o)}, o.Sequence == nil
		}
		t, ok := s.server.systemTable(schema, name)
		if !ok {
			return queryplan.Readable{}, false
		}
		out := queryplan.Readable{Schema: t.Schema}
		for _, c := range t.Columns {
			out.Columns = append(out.Columns, cluster.ReadColumn{Name: c.Name})
		}
		return out, true
	}
}

// dropView runs DROP VIEW.
func (s *Session) dropView(ctx context.Context, node *syntax.DropView) (string, error) {
	tag, kind := "DROP VIEW", cluster.KindView
	if node.Materialized {
		tag, kind = "DROP MATERIALIZED VIEW", cluster.KindMaterializedView
	}
	var told catalog.Dropped
	err := s.changeObjects(ctx, tag, func(in catalog.Scope) (next *catalog.Draft, err error) {
		next, told, err = s.server.catalog.DropView(in, node)
		return next, err
	})
	if err != nil {
		return "", err
	}
	s.tellDropped(told, kind)
	return tag, nil
}

// refreshMaterialized runs REFRESH MATERIALIZED VIEW. CONCURRENTLY is what it does anyway:
// readers find the old rows until the new ones are there.
func (s *Session) refreshMaterialized(ctx context.Context, node *syntax.RefreshMaterializedView, at time.Time) (string, error) {
	const tag = "REFRESH MATERIALIZED VIEW"
	return s.asOne(ctx, at, func() (string, error) {
		var made *cluster.Object
		var query string
		err := s.changeObjects(ctx, tag, func(in catalog.Scope) (next *catalog.Draft, err error) {
			next, made, query, err = s.server.catalog.Refresh(ctx, in, node)
			return next, err
		})
		if err == nil && !node.WithNoData {
			defer s.as(made.Owner)()
			schema, _ := s.scope().Object(made.Parent)
			_, err = s.fill(ctx, syntax.Name{Schema: schema.Name, Name: made.Name}, query, at)
		}
		return tag, err
	})
}

// as goes on by the rights of a role: functions that a query of its calls have no others.
func (s *Session) as(role string) (back func()) {
	definer := s.definer
	s.definer = role
	s.followRole()
	return func() {
		s.definer = definer
		s.followRole()
	}
}

// populated refuses to read materialized views that have no rows yet.
func (p *Prepared) populated() error {
	for _, f := range p.found {
		if f.table != nil && f.table.Desc.View != nil && !f.table.Desc.View.Populated {
			return &Error{Code: "55000", Message: fmt.Sprintf("materialized view %q has not been populated", f.table.Name()), Hint: "Use the REFRESH MATERIALIZED VIEW command."}
		}
	}
	return nil
}

// slowView describes a view to the slow path.
func slowView(v *catalog.View) *duck.Table {
	out := &duck.Table{Schema: v.Schema().Name, Name: v.Name(), OID: pgcatalog.OID(v.Desc.ID), RowType: pgcatalog.RowTypeOID(pgcatalog.OID(v.Desc.ID)), Query: v.Query, Columns: make([]duck.TableColumn, len(v.Columns))}
	for i, c := range v.Columns {
		out.Columns[i] = duck.TableColumn{Name: c.Name, Type: c.Type, Modifier: c.Modifier}
	}
	return out
}
