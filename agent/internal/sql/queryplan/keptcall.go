package queryplan

import (
	"cmp"
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// RoutineFinder finds the functions of users that a name may mean.
type RoutineFinder func(syntax.Name) []*Routine

// BindCalls returns the SQL text of an expression over rows of a table in which the functions
// of users that it calls stand by their ids. table nil: there is no row. What is wrong with
// the text is left to who compiles it.
func BindCalls(table *catalog.Table, text string, find RoutineFinder) (string, error) {
	node, err := syntax.ParseExpression(text)
	if err != nil {
		return text, nil //nolint:nilerr // as above
	}
	chosen := map[*pg.FuncCall]*Routine{}
	c := &compiler{params: &Params{}, elsewhere: true, functions: find, chosen: func(f *pg.FuncCall, r *Routine) { chosen[f] = r }}
	if table != nil {
		c.scope = tableScope(table, "")
	}
	any := false
	syntax.EachCall(node, func(f *pg.FuncCall) {
		list, _ := c.routines(f)
		any = any || len(list) > 0
	})
	if !any {
		return text, nil
	}
	if _, err := c.expr(node); err != nil {
		return text, nil //nolint:nilerr // as above
	}
	for f, r := range chosen {
		syntax.NumberCall(f, uint64(r.Object.ID))
	}
	return syntax.ExpressionText(node)
}

// CalledByName is the name of the function of a user that a call names; ok is false if it is
// called by its id, or the call is of PostgreSQL's own.
func CalledByName(f *pg.FuncCall, find RoutineFinder) (name string, ok bool) {
	list, name := (&compiler{functions: find}).routines(f)
	if called, _ := functionName(f); called.Schema == syntax.NumberSchema {
		return "", false
	}
	return name, len(list) > 0
}

// keptCalls are the functions that expressions of a table call, by their ids.
func keptCalls(list map[cluster.ObjectID]*catalog.Callable) RoutineFinder {
	if len(list) == 0 {
		return nil
	}
	return func(name syntax.Name) []*Routine {
		id, _ := syntax.NumberedFunction(name)
		f := list[cluster.ObjectID(id)]
		if f == nil {
			return nil
		}
		r, ok := RoutineOf(f)
		if !ok {
			return nil
		}
		return []*Routine{r}
	}
}

// Uses are the functions of users that kept expressions call.
type Uses struct {
	Routines []*Routine
	// Calls says that the session carries one of them out.
	Calls bool
}

// by has a compiler note what it calls.
func (u *Uses) by(c *compiler) *compiler {
	c.called = func(r *Routine) { u.Routines = append(u.Routines, r) }
	c.calls = &u.Calls
	return c
}

// uses notes that a statement calls what kept expressions do.
func (p *Planner) uses(u Uses) {
	for _, r := range u.Routines {
		p.called(r)
	}
	p.ruled = p.ruled || u.Calls
}

// bindQueryCalls has the functions of users that a query calls stand by their ids. Columns that
// have the name of one keep it.
func bindQueryCalls(s proto.Message, calls map[int32]*Routine) {
	if len(calls) == 0 {
		return
	}
	named := map[string]bool{}
	for _, r := range calls {
		named[r.Object.Name] = true
	}
	_ = syntax.WalkAll(s, func(n *pg.Node) (bool, error) {
		if t := n.GetResTarget(); t != nil && t.GetName() == "" && t.GetVal() != nil && named[outputName(t.GetVal())] {
			t.Name = outputName(t.GetVal())
		}
		return true, nil
	})
	syntax.EachCall(s, func(f *pg.FuncCall) {
		if r := calls[f.GetLocation()]; r != nil {
			syntax.NumberCall(f, uint64(r.Object.ID))
		}
	})
}

// takeViews has the views that call functions of users be queries in FROM: what is computed
// before the statement is looked for there, too.
func (p *Planner) takeViews(s *pg.SelectStmt) *pg.SelectStmt {
	if p.View == nil || p.Functions == nil {
		return s
	}
	with := map[string]bool{}
	var calling []*pg.RangeVar
	_ = syntax.WalkQuery(s, func(n *pg.Node) (bool, error) {
		if c := n.GetCommonTableExpr(); c != nil {
			with[c.GetCtename()] = true
		}
		if r := n.GetRangeVar(); r != nil {
			calling = append(calling, r)
		}
		return true, nil
	})
	seen := map[*catalog.View]bool{}
	calling = slices.DeleteFunc(calling, func(r *pg.RangeVar) bool {
		return r.GetSchemaname() == "" && with[r.GetRelname()] || !p.callingView(r, seen)
	})
	if len(calling) == 0 {
		return s
	}
	out := proto.CloneOf(s)
	_ = syntax.WalkQuery(out, func(n *pg.Node) (bool, error) {
		r := n.GetRangeVar()
		if r == nil || !slices.ContainsFunc(calling, func(c *pg.RangeVar) bool {
			return c.GetSchemaname() == r.GetSchemaname() && c.GetRelname() == r.GetRelname()
		}) {
			return true, nil
		}
		v, _ := p.View(r.GetSchemaname(), r.GetRelname())
		alias := &pg.Alias{Aliasname: cmp.Or(r.GetAlias().GetAliasname(), v.Name()), Colnames: r.GetAlias().GetColnames()}
		for _, c := range v.Columns[min(len(alias.GetColnames()), len(v.Columns)):] {
			alias.Colnames = append(alias.Colnames, stringNode(c.Name))
		}
		inner := p.takeViews(proto.CloneOf(v.Query))
		n.Node = &pg.Node_RangeSubselect{RangeSubselect: &pg.RangeSubselect{Alias: alias,
			Subquery: &pg.Node{Node: &pg.Node_SelectStmt{SelectStmt: inner}}}}
		return false, nil
	})
	return out
}

// callingView reports whether a FROM item is a view that calls functions of users, by itself
// or by others. seen are those that were looked at.
func (p *Planner) callingView(r *pg.RangeVar, seen map[*catalog.View]bool) bool {
	v, ok := p.View(r.GetSchemaname(), r.GetRelname())
	if !ok {
		return false
	}
	if calls, was := seen[v]; was {
		return calls
	}
	seen[v] = syntax.CallsNumbered(v.Desc.View.Query)
	_ = syntax.WalkQuery(v.Query, func(n *pg.Node) (bool, error) {
		if inner := n.GetRangeVar(); inner.GetSchemaname() != "" && !seen[v] { // else it is one of WITH
			seen[v] = p.callingView(inner, seen)
		}
		return !seen[v], nil
	})
	return seen[v]
}
