package queryplan

import (
	"context"
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"

	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// Merge is MERGE: an UPDATE or a DELETE for each clause of rows that match, and an INSERT for
// each of those that do not. No row is of two of them, and all read what was there before.
type Merge struct {
	Table   *catalog.Table
	Changes []*Change
	Inserts []*Insert
}

// merging is a MERGE while it is planned.
type merging struct {
	stmt  *pg.MergeStmt
	table *catalog.Table
	// matched and missing are the clauses before the one that is planned.
	matched, missing []*pg.MergeWhenClause
}

func (p *Planner) merge(ctx context.Context, s *pg.MergeStmt, out *Plan) error {
	table, err := p.mergeTarget(s.GetRelation())
	if err != nil {
		return err
	}
	if s.GetWithClause().GetRecursive() {
		return fail("42601", 0, "WITH RECURSIVE is not supported for MERGE statement")
	}
	if err := refuseSource(s); err != nil {
		return err
	}
	m := &merging{stmt: s, table: table}
	out.Merge = &Merge{Table: table}
	for _, n := range s.GetMergeWhenClauses() {
		when := n.GetMergeWhenClause()
		before := &m.missing
		if when.GetMatchKind() == pg.MergeMatchKind_MERGE_WHEN_MATCHED {
			before = &m.matched
		}
		if k := len(*before); k > 0 && (*before)[k-1].GetCondition() == nil {
			return fail("42601", 0, "unreachable WHEN clause specified after unconditional WHEN clause")
		}
		if before == &m.matched {
			err = p.mergeMatched(ctx, m, when, out.Merge)
		} else {
			err = p.mergeMissing(ctx, m, when, out.Merge)
		}
		if err != nil {
			return err
		}
		*before = append(*before, when)
	}
	return p.bindConditions(ctx, m)
}

// bindConditions looks at the conditions alone: that of the join, in which no name is of both
// sides, and those of the clauses. Each clause computes them, and those of the clauses before
// it, and reads the source, so that they have to say the same each time, whatever views and
// functions are in them.
func (p *Planner) bindConditions(ctx context.Context, m *merging) error {
	p.repeated = true
	defer func() { p.repeated = false }()
	none := &pg.MergeWhenClause{Condition: boolNode(true)}
	all := &merging{stmt: m.stmt, table: m.table, matched: conditional(m.matched)}
	if err := p.delete(ctx, all.deletes(none), &Plan{}); err != nil || len(m.missing) == 0 {
		return err
	}
	_, _, err := p.slow(ctx, &pg.SelectStmt{LimitOption: pg.LimitOption_LIMIT_OPTION_DEFAULT, Op: pg.SetOperation_SETOP_NONE, TargetList: []*pg.Node{resTarget(intNode(1))},
		FromClause: []*pg.Node{m.stmt.GetSourceRelation()}, WhereClause: allOf(firstFor(conditional(m.missing), none)), WithClause: m.stmt.GetWithClause()})
	return err
}

// conditional are the clauses that have a condition of their own.
func conditional(list []*pg.MergeWhenClause) []*pg.MergeWhenClause {
	return slices.DeleteFunc(slices.Clone(list), func(w *pg.MergeWhenClause) bool { return w.GetCondition() == nil })
}

// mergeTarget finds the table that MERGE changes.
func (p *Planner) mergeTarget(r *pg.RangeVar) (*catalog.Table, error) {
	if v, ok := p.View(r.GetSchemaname(), r.GetRelname()); ok {
		if _, table := p.Lookup(r.GetSchemaname(), r.GetRelname()); !table {
			err := fail("0A000", 0, "cannot execute MERGE on relation %q", v.Name())
			err.Detail = "This operation is not supported for views."
			return nil, err
		}
	}
	table, err := p.target(r, "merge into")
	if err != nil {
		return nil, err
	}
	if table.Schemaless() {
		return nil, syntax.Unsupported("MERGE into a collection of documents", "Use INSERT ... ON CONFLICT, or UPDATE ... FROM.")
	}
	if p.Policies != nil {
		if _, applies, err := p.Policies(table, p.ofTarget(table).role); err != nil {
			return nil, err
		} else if applies {
			return nil, syntax.Unsupported("MERGE into a table with row level security", "Use INSERT ... ON CONFLICT, or UPDATE ... FROM.")
		}
	}
	return table, nil
}

// refuseSource refuses sources that do not have the same rows each time they are read: each
// clause reads them.
func refuseSource(s *pg.MergeStmt) error {
	return steady(&pg.SelectStmt{FromClause: []*pg.Node{s.GetSourceRelation()}, WithClause: s.GetWithClause()}, "MERGE with a source or a condition", mergeHint)
}

const mergeHint = "Put its rows into a temporary table first."

// steady refuses queries that do not give the same rows each time they are run.
func steady(s *pg.SelectStmt, what, hint string) error {
	return (&syntax.Query{Select: s}).Walk(func(n *pg.Node) (bool, error) {
		if len(n.GetSelectStmt().GetLockingClause()) > 0 {
			return false, syntax.Unsupported(what+" that locks rows", "Lock them by a statement of its own.")
		}
		if f := n.GetFuncCall(); f != nil {
			return true, refuseRandom(f, what, hint)
		}
		return true, nil
	})
}

// refuseRandom refuses a function that gives another value each time.
func refuseRandom(f *pg.FuncCall, what, hint string) error {
	names := f.GetFuncname()
	if len(names) == 0 {
		return nil
	}
	switch name := names[len(names)-1].GetString_().GetSval(); name {
	case "random", "gen_random_uuid", "uuid_generate_v4", "uuidv4", "uuidv7", "clock_timestamp", "timeofday", "nextval":
		return syntax.Unsupported(what+" that calls "+name, hint)
	}
	return nil
}

// mergeMatched plans a clause of rows that match.
func (p *Planner) mergeMatched(ctx context.Context, m *merging, when *pg.MergeWhenClause, out *Merge) error {
	var one Plan
	var err error
	if when.GetCommandType() == pg.CmdType_CMD_UPDATE {
		d := m.deletes(when)
		err = p.update(ctx, &pg.UpdateStmt{Relation: d.Relation, TargetList: when.GetTargetList(), FromClause: d.UsingClause, WhereClause: d.WhereClause, WithClause: d.WithClause}, &one)
	} else {
		err = p.delete(ctx, m.deletes(when), &one)
	}
	if err == nil && when.GetCommandType() != pg.CmdType_CMD_NOTHING {
		one.Change.Once = true
		out.Changes = append(out.Changes, one.Change)
	}
	return err
}

// deletes is a DELETE of the rows that a clause is for.
func (m *merging) deletes(when *pg.MergeWhenClause) *pg.DeleteStmt {
	s := m.stmt
	where := append([]*pg.Node{s.GetJoinCondition()}, firstFor(m.matched, when)...)
	return &pg.DeleteStmt{Relation: s.GetRelation(), UsingClause: []*pg.Node{s.GetSourceRelation()}, WhereClause: allOf(where), WithClause: s.GetWithClause()}
}

// firstFor is the condition that a clause is the first that is for a row.
func firstFor(before []*pg.MergeWhenClause, when *pg.MergeWhenClause) []*pg.Node {
	if len(before) == 0 {
		if when.GetCondition() == nil {
			return nil
		}
		return []*pg.Node{when.GetCondition()}
	}
	first := &pg.CaseExpr{Defresult: when.GetCondition(), Location: -1}
	if first.Defresult == nil {
		first.Defresult = boolNode(true)
	}
	for _, b := range before {
		first.Args = append(first.Args, &pg.Node{Node: &pg.Node_CaseWhen{CaseWhen: &pg.CaseWhen{Expr: b.GetCondition(), Result: boolNode(false), Location: -1}}})
	}
	return []*pg.Node{{Node: &pg.Node_CaseExpr{CaseExpr: first}}}
}

func boolNode(b bool) *pg.Node {
	return &pg.Node{Node: &pg.Node_AConst{AConst: &pg.A_Const{Val: &pg.A_Const_Boolval{Boolval: &pg.Boolean{Boolval: b}}, Location: -1}}}
}

// mergeMissing plans a clause of rows of the source that match none. They are looked for
// apart: what the clause says knows no names of the table.
func (p *Planner) mergeMissing(ctx context.Context, m *merging, when *pg.MergeWhenClause, out *Merge) error {
	s := m.stmt
	target := proto.CloneOf(notOfWith(s.GetRelation(), s.GetWithClause(), m.table))
	match := &pg.SelectStmt{LimitOption: pg.LimitOption_LIMIT_OPTION_DEFAULT, Op: pg.SetOperation_SETOP_NONE, TargetList: []*pg.Node{resTarget(intNode(1))},
		FromClause: []*pg.Node{{Node: &pg.Node_RangeVar{RangeVar: target}}}, WhereClause: s.GetJoinCondition()}
	exists := &pg.Node{Node: &pg.Node_SubLink{SubLink: &pg.SubLink{SubLinkType: pg.SubLinkType_EXISTS_SUBLINK,
		Subselect: &pg.Node{Node: &pg.Node_SelectStmt{SelectStmt: match}}, Location: -1}}}
	none := &pg.Node{Node: &pg.Node_BoolExpr{BoolExpr: &pg.BoolExpr{Boolop: pg.BoolExprType_NOT_EXPR, Args: []*pg.Node{exists}, Location: -1}}}
	rows := &pg.SelectStmt{LimitOption: pg.LimitOption_LIMIT_OPTION_DEFAULT, Op: pg.SetOperation_SETOP_NONE, FromClause: []*pg.Node{s.GetSourceRelation()},
		WhereClause: allOf(append([]*pg.Node{none}, firstFor(m.missing, when)...)), WithClause: s.GetWithClause()}
	if when.GetCommandType() == pg.CmdType_CMD_NOTHING {
		rows.TargetList = []*pg.Node{resTarget(intNode(1))}
		_, _, err := p.slow(ctx, rows)
		return err
	}
	cols, err := m.values(when, rows)
	if err != nil {
		return err
	}
	var one Plan
	insert := &pg.InsertStmt{Relation: s.GetRelation(), Cols: cols, SelectStmt: &pg.Node{Node: &pg.Node_SelectStmt{SelectStmt: rows}}, Override: when.GetOverride()}
	if err := p.insert(ctx, insert, &one); err != nil {
		return err
	}
	out.Inserts = append(out.Inserts, one.Insert)
	return nil
}

// values has rows give the values of a clause, and returns the columns that they go into:
// those that are to have their DEFAULT are left out.
func (m *merging) values(when *pg.MergeWhenClause, rows *pg.SelectStmt) ([]*pg.Node, error) {
	cols, values := when.GetTargetList(), when.GetValues()
	named := len(cols) > 0
	for i := range m.table.Columns {
		if c := &m.table.Columns[i]; !named && !c.Hidden {
			cols = append(cols, columnTarget(c.Name))
		}
	}
	switch {
	case len(values) > len(cols):
		return nil, fail("42601", syntax.Position(location(values[len(cols)])), "INSERT has more expressions than target columns")
	case named && len(values) > 0 && len(values) < len(cols):
		return nil, fail("42601", 0, "INSERT has more target columns than expressions")
	}
	var into []*pg.Node
	for i, v := range values {
		if v.GetSetToDefault() == nil {
			into, rows.TargetList = append(into, cols[i]), append(rows.TargetList, resTarget(v))
		}
	}
	if len(into) == 0 {
		return nil, syntax.Unsupported("INSERT of nothing but defaults in MERGE", "Name a column, and a value that is its default.")
	}
	return into, nil
}
