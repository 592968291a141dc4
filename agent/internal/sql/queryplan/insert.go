package queryplan

import (
	"context"
	"slices"
	"strconv"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/duck"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// Insert adds rows. Exactly one of Rows, Select and Slow is set.
type Insert struct {
	Table *catalog.Table
	// Rows hold an expression for each column of the table, hidden ones included.
	Rows [][]Expr
	// Rules are what each row has to be.
	Rules *Rules
	// Select or Slow gives the rows; From says which of its columns goes into each
	// of the table's, -1 for the default in Defaults.
	Select   *Select
	Slow     duck.Prepared
	From     []int
	Defaults []Expr

	Conflict  *Conflict // nil: a conflict is an error
	Returning []Expr    // over the new row
	Entries   []*Entries

	override pg.OverridingKind
}

// Conflict is ON CONFLICT.
type Conflict struct {
	// Primary says that rows with the same primary key are in conflict, Indexes those with
	// the same entry in a unique index.
	Primary bool
	Indexes []*Entries
	// Set is nil for DO NOTHING. Its expressions, and Where, see the existing row
	// and after it the proposed one.
	Set   []Assignment
	Where Expr
	// Guard is what policies ask of a row that is there, and Rules what an updated one
	// has to be.
	Guard Expr
	Rules *Rules
}

// Assignment is one SET of an UPDATE.
type Assignment struct {
	Column int // index in Table.Columns
	Value  Expr
}

func (p *Planner) insert(ctx context.Context, s *pg.InsertStmt, out *Plan) error {
	if s.GetWithClause() != nil {
		var err error
		if s, err = withInside(s); err != nil {
			return err
		}
	}
	if to := p.instead(s.GetRelation(), cluster.OnInsert); to != nil {
		return p.insertInstead(ctx, s, to, out)
	}
	table, err := p.target(s.GetRelation(), "insert into")
	if err != nil {
		return err
	}
	if table.Schemaless() && p.view == nil {
		s = documentInsert(s)
	}
	if s, err = wholeInsert(s, table); err != nil {
		return err
	}
	ins := &Insert{Table: table, override: s.GetOverride()}
	targets, err := p.insertColumns(s, table)
	if err != nil {
		return err
	}
	if ins.Rules, err = p.rules(table); err != nil {
		return err
	}
	if ins.Defaults, err = p.defaults(table); err != nil {
		return err
	}
	if ins.Entries, err = EntriesOf(table); err != nil {
		return err
	}
	if err := p.insertSource(ctx, s, ins, targets); err != nil {
		return err
	}
	if err := p.conflict(s, ins); err != nil {
		return err
	}
	if err := p.guardInsert(ins, len(s.GetReturningList()) > 0); err != nil {
		return err
	}
	alias := s.GetRelation().GetAlias().GetAliasname()
	seen := p.changed(table, alias)
	list, err := tellInserted(s.GetReturningList(), seen)
	if err != nil {
		return err
	}
	if ins.Returning, out.Columns, err = p.returning(list, seen); err != nil {
		return err
	}
	out.Insert = ins
	return nil
}

// insertColumns returns the columns that the statement names, in its order.
func (p *Planner) insertColumns(s *pg.InsertStmt, table *catalog.Table) ([]int, error) {
	var targets []int
	if len(s.GetCols()) == 0 && p.view == nil {
		for i, c := range table.Columns {
			if !c.Hidden {
				targets = append(targets, i)
			}
		}
		return targets, nil
	}
	if len(s.GetCols()) == 0 {
		return p.view.insertColumns(valuesWidth(s))
	}
	seen := map[int]bool{}
	for _, n := range s.GetCols() {
		target := n.GetResTarget()
		position := syntax.Position(target.GetLocation())
		i, err := p.view.writtenColumn(table, target, "insert into", position)
		if err != nil {
			return nil, err
		}
		if seen[i] {
			return nil, fail("42701", position, "column %q specified more than once", target.GetName())
		}
		seen[i] = true
		targets = append(targets, i)
	}
	return targets, nil
}

// defaults compiles what each column gets when nothing is given.
func (p *Planner) defaults(table *catalog.Table) ([]Expr, error) {
	out := make([]Expr, len(table.Columns))
	for i, c := range table.Columns {
		var uses Uses
		e, err := CompileDefault(c, &uses)
		p.uses(uses)
		if err != nil {
			return nil, err
		}
		out[i] = e
	}
	return out, nil
}

// DefaultValue computes a column's default; volatile says that it has another value for
// each row.
func DefaultValue(env *Env, column catalog.Column) (v datum.Datum, volatile bool, err error) {
	e, err := CompileDefault(column, &Uses{})
	if err != nil || !rowFree(e) {
		return datum.MakeNull(column.Type), err == nil, err
	}
	v, err = e.Eval(env)
	return v, false, err
}

// CompileDefault compiles a column's default; null if it has none. uses is told what it calls.
func CompileDefault(column catalog.Column, uses *Uses) (Expr, error) {
	text := column.Default
	if text == "" && column.User != nil && column.User.Domain != nil {
		text = column.User.Domain.Default
	}
	if text == "" {
		return &Const{Value: datum.MakeNull(column.Type)}, nil
	}
	node, err := syntax.ParseExpression(text)
	if err != nil {
		return nil, err
	}
	c := uses.by(&compiler{params: &Params{}, elsewhere: true, kept: true, functions: keptCalls(column.Functions)})
	e, err := c.as(node, column.Type)
	if err == nil {
		if len(c.params.Types) > 0 {
			return nil, fail("42P02", 0, "there is no parameter $1")
		}
		e, err = assign(e, column, 0)
	}
	if err == nil {
		err = ofOneReading(e)
	}
	if isSlow(err) {
		if err := c.unknownFunction(node); err != nil {
			return nil, err
		}
		return nil, &syntax.Error{Code: "0A000", Message: "this DEFAULT of column " + column.Name + " is not supported",
			Hint: "Defaults may be constants, simple expressions of them, now() and gen_random_uuid()."}
	}
	return e, err
}

// assign converts e into a column, as INSERT and UPDATE do.
func assign(e Expr, column catalog.Column, position int) (Expr, error) {
	from := e.Type()
	out, err := convert(e, column.Type, column.Modifier, datum.Assignment)
	if isSlow(err) && (from.Storable() || from == datum.JSON) {
		err := fail("42804", position, "column %q is of type %s but expression is of type %s", column.Name, column.Type.SQLName(), from.SQLName())
		err.Hint = "You will need to rewrite or cast the expression."
		return nil, err
	}
	return out, at(err, position)
}

// insertSource plans where the rows come from.
func (p *Planner) insertSource(ctx context.Context, s *pg.InsertStmt, ins *Insert, targets []int) error {
	sel := s.GetSelectStmt().GetSelectStmt()
	if sel == nil { // DEFAULT VALUES
		ins.Rows = [][]Expr{ins.Defaults}
		return nil
	}
	if len(s.GetCols()) == 0 { // without a list, fewer values fill the first columns
		if lists := sel.GetValuesLists(); len(lists) > 0 {
			targets = targets[:min(len(targets), len(lists[0].GetList().GetItems()))]
		}
	}
	announced := append([]datum.Type(nil), p.params.Types...)
	simple := len(sel.GetValuesLists()) > 0 && sel.GetWithClause() == nil && len(sel.GetSortClause()) == 0 && sel.GetLimitCount() == nil && sel.GetLimitOffset() == nil
	if simple {
		err := p.valuesRows(sel, ins, targets)
		if err == nil || !isSlow(err) {
			return err
		}
		ins.Rows = nil
		p.params.Types = announced
	}
	return p.selectRows(ctx, s, ins, targets)
}

// valuesRows compiles VALUES (...), (...) into full rows.
func (p *Planner) valuesRows(sel *pg.SelectStmt, ins *Insert, targets []int) error {
	c := p.compiler(nil)
	for _, list := range sel.GetValuesLists() {
		items := list.GetList().GetItems()
		if err := p.checkWidth(len(items), targets, items); err != nil {
			return err
		}
		row := append([]Expr(nil), ins.Defaults...)
		for i, n := range items {
			if n.GetSetToDefault() != nil {
				continue
			}
			if useDefault, err := identityValue(ins.override, &ins.Table.Columns[targets[i]]); err != nil {
				return err
			} else if useDefault {
				continue
			}
			e, err := c.as(n, ins.Table.Columns[targets[i]].Type)
			if err != nil {
				return err
			}
			if row[targets[i]], err = assign(e, ins.Table.Columns[targets[i]], c.position(location(n))); err != nil {
				return err
			}
		}
		ins.Rows = append(ins.Rows, row)
	}
	return nil
}

func (p *Planner) checkWidth(n int, targets []int, items []*pg.Node) error {
	if n > len(targets) {
		return fail("42601", syntax.Position(location(items[len(targets)])), "INSERT has more expressions than target columns")
	}
	if n < len(targets) {
		return fail("42601", 0, "INSERT has more target columns than expressions")
	}
	return nil
}

// location finds where an expression begins, -1 if unknown.
func location(n *pg.Node) int32 {
	switch n := n.GetNode().(type) {
	case *pg.Node_AConst:
		return n.AConst.GetLocation()
	case *pg.Node_ParamRef:
		return n.ParamRef.GetLocation()
	case *pg.Node_ColumnRef:
		return n.ColumnRef.GetLocation()
	case *pg.Node_FuncCall:
		return n.FuncCall.GetLocation()
	case *pg.Node_TypeCast:
		if at := location(n.TypeCast.GetArg()); at >= 0 {
			return at
		}
		return n.TypeCast.GetLocation()
	case *pg.Node_AExpr:
		if at := location(n.AExpr.GetLexpr()); at >= 0 {
			return at
		}
		return n.AExpr.GetLocation()
	default:
		return -1
	}
}

// selectRows plans INSERT ... SELECT, and VALUES that Go cannot evaluate.
func (p *Planner) selectRows(ctx context.Context, s *pg.InsertStmt, ins *Insert, targets []int) error {
	sel, targets := withoutDefaults(s.GetSelectStmt().GetSelectStmt(), ins, targets)
	sel = typedTargets(sel, ins.Table, targets)
	p.inferTargets(sel, ins.Table, targets)
	var source Plan
	if err := p.query(ctx, sel, &source); err != nil {
		return err
	}
	columns := source.Columns
	if named := len(s.GetCols()) > 0; !named && len(columns) < len(targets) {
		targets = targets[:len(columns)]
	}
	if len(columns) != len(targets) {
		return p.checkWidth(len(columns), targets, make([]*pg.Node, len(columns)))
	}
	ins.Select, ins.Slow = source.Select, source.Slow
	ins.From = make([]int, len(ins.Table.Columns))
	for i := range ins.From {
		ins.From[i] = -1
	}
	for i, target := range targets {
		column := ins.Table.Columns[target]
		if !Assignable(columns[i].Type, column.Type) {
			err := fail("42804", 0, "column %q is of type %s but expression is of type %s", column.Name, column.Type.SQLName(), columns[i].Type.SQLName())
			err.Hint = "You will need to rewrite or cast the expression."
			return err
		}
		useDefault, err := identityValue(ins.override, &column)
		if err != nil {
			return err
		}
		if !useDefault {
			ins.From[target] = i
		}
	}
	return nil
}

// typedTargets is sel with the types of the columns given to the bare strings and nulls that
// go straight into them.
func typedTargets(sel *pg.SelectStmt, table *catalog.Table, targets []int) *pg.SelectStmt {
	open := func(i int) bool {
		return i < len(targets) && !table.Columns[targets[i]].Type.IsString()
	}
	found := false
	each := func(sel *pg.SelectStmt, see func(n *pg.Node, i int) *pg.Node) {
		for i, n := range sel.GetTargetList() {
			if t := n.GetResTarget(); open(i) && (bareString(t.GetVal()) || bareNull(t.GetVal())) {
				if v := see(t.GetVal(), i); v != nil {
					t.Val = v
				}
			}
		}
		for _, list := range sel.GetValuesLists() {
			items := list.GetList().GetItems()
			for i, n := range items {
				if !open(i) || !bareString(n) { // beside nulls other rows say the type
					continue
				}
				if v := see(n, i); v != nil {
					items[i] = v
				}
			}
		}
	}
	each(sel, func(*pg.Node, int) *pg.Node {
		found = true
		return nil // the statement may be another's too
	})
	if !found {
		return sel
	}
	own := proto.Clone(sel).(*pg.SelectStmt) //nolint:forcetypeassert // a clone is what it was
	each(own, func(n *pg.Node, i int) *pg.Node { return typed(n, table.Columns[targets[i]].Type) })
	return own
}

// inferTargets gives parameters that go straight into a column its type.
func (p *Planner) inferTargets(sel *pg.SelectStmt, table *catalog.Table, targets []int) {
	infer := func(n *pg.Node, i int) {
		ref := n.GetParamRef()
		if ref == nil || i >= len(targets) || ref.GetNumber() < 1 {
			return
		}
		e, err := p.compiler(nil).param(ref)
		if param, ok := e.(*Param); ok && err == nil && param.Type() == datum.Unknown {
			p.params.Types[param.Index] = table.Columns[targets[i]].Type
		}
	}
	for i, n := range sel.GetTargetList() {
		infer(n.GetResTarget().GetVal(), i)
	}
	for _, list := range sel.GetValuesLists() {
		for i, n := range list.GetList().GetItems() {
			infer(n, i)
		}
	}
}

// conflict plans ON CONFLICT.
func (p *Planner) conflict(s *pg.InsertStmt, ins *Insert) error {
	on := s.GetOnConflictClause()
	if on == nil {
		return nil
	}
	if p.view != nil {
		return syntax.Unsupported("ON CONFLICT of an INSERT into a view", "Insert into the table.")
	}
	ins.Conflict = &Conflict{}
	if err := p.conflictTarget(on, ins); err != nil {
		return err
	}
	if on.GetAction() != pg.OnConflictAction_ONCONFLICT_UPDATE {
		return nil
	}
	scope := tableScope(ins.Table, s.GetRelation().GetAlias().GetAliasname())
	scope.relations = append(scope.relations, relation{alias: "excluded", table: ins.Table, offset: len(ins.Table.Columns)})
	c := p.compiler(scope)
	targets, err := p.wholeColumns(on.GetTargetList(), s.GetRelation(), ins.Table)
	if err != nil {
		return err
	}
	set, err := c.assignments(targets, ins.Table, ins.Defaults)
	if err == nil {
		ins.Conflict.Where, err = c.where(on.GetWhereClause())
	}
	if isSlow(err) {
		if err := c.unknownFunction(append(slices.Clone(on.GetTargetList()), on.GetWhereClause())...); err != nil {
			return err
		}
		return &syntax.Error{Code: "0A000", Message: "this expression in ON CONFLICT DO UPDATE is not supported",
			Hint: "Simple expressions of the row, of excluded and of parameters are."}
	}
	for _, a := range set {
		if ins.Table.IsKey(a.Column) {
			return syntax.Unsupported("changing the primary key in ON CONFLICT DO UPDATE", "")
		}
	}
	ins.Conflict.Set = set
	return err
}

// conflictTarget finds what a conflict is.
func (p *Planner) conflictTarget(on *pg.OnConflictClause, ins *Insert) error {
	table, infer := ins.Table, on.GetInfer()
	unique := slices.DeleteFunc(slices.Clone(ins.Entries), func(e *Entries) bool { return !e.Index.Single() || !e.Index.Readable() })
	if infer == nil || infer.GetConname() != "" {
		for _, e := range ins.Entries {
			if d := e.Index.Desc; d.Deferrable && !d.Dropped && (infer == nil || d.Name == infer.GetConname()) {
				return noArbiter(e)
			}
		}
	}
	if infer == nil {
		if on.GetAction() == pg.OnConflictAction_ONCONFLICT_UPDATE {
			return fail("42601", 0, "ON CONFLICT DO UPDATE requires inference specification or constraint name")
		}
		ins.Conflict.Primary, ins.Conflict.Indexes = true, unique
		return nil
	}
	if name := infer.GetConname(); name != "" {
		ins.Conflict.Primary = name == table.KeyName()
		for _, e := range unique {
			if e.Index.Name() == name && e.Index.Desc.Constraint != "" {
				ins.Conflict.Indexes = []*Entries{e}
			}
		}
		if !ins.Conflict.Primary && ins.Conflict.Indexes == nil {
			return fail("42704", 0, "constraint %q for table %q does not exist", name, table.Name())
		}
		return nil
	}
	named, err := p.inferred(infer, table)
	if err != nil {
		return err
	}
	var where Expr
	if w := infer.GetWhereClause(); w != nil {
		if where, err = p.compiler(tableScope(table, "")).where(w); err != nil {
			return err
		}
	}
	key := make([]Expr, len(table.Key))
	for i, k := range table.Key {
		key[i] = (&relation{table: table}).ref(k)
	}
	if ins.Conflict.Primary = sameSet(named, key); ins.Conflict.Primary {
		return nil
	}
	for _, e := range unique {
		if sameSet(named, e.exprs) && implies(where, e.where) {
			ins.Conflict.Indexes = []*Entries{e}
			return nil
		}
	}
	for _, e := range ins.Entries {
		if e.Index.Desc.Deferrable && !e.Index.Desc.Dropped && sameSet(named, e.exprs) {
			return noArbiter(e)
		}
		if e.Index.Single() && !e.Index.Desc.Dropped && !e.Index.Readable() && sameSet(named, e.exprs) {
			return &syntax.Error{Code: "0A000", Message: "ON CONFLICT by unique index " + strconv.Quote(e.Index.Name()) + " before that is whole is not supported", Hint: "COMMIT first, if the transaction has made it; else wait for the operation that makes it."}
		}
	}
	return fail("42P10", 0, "there is no unique or exclusion constraint matching the ON CONFLICT specification")
}

// noArbiter refuses ON CONFLICT by what may be broken for a while.
func noArbiter(e *Entries) error {
	err := fail("55000", 0, "ON CONFLICT does not support deferrable unique constraints/exclusion constraints as arbiters")
	err.Schema, err.Table, err.Constraint = e.Index.Table.Schema().Name, e.Index.Table.Name(), e.Index.Name()
	return err
}

// inferred compiles what ON CONFLICT (...) names.
func (p *Planner) inferred(infer *pg.InferClause, table *catalog.Table) ([]Expr, error) {
	var out []Expr
	for _, n := range infer.GetIndexElems() {
		e := n.GetIndexElem()
		if e.GetExpr() != nil {
			x, err := p.compiler(tableScope(table, "")).expr(e.GetExpr())
			if isSlow(err) {
				err = fail("42P10", 0, "there is no unique or exclusion constraint matching the ON CONFLICT specification")
			}
			if err != nil {
				return nil, err
			}
			out = append(out, x)
			continue
		}
		i, ok := table.ColumnIndex(e.GetName())
		if !ok {
			return nil, fail("42703", 0, "column %q does not exist", e.GetName())
		}
		out = append(out, (&relation{table: table}).ref(i))
	}
	return out, nil
}

// returning compiles a RETURNING list over the row of scope.
func (p *Planner) returning(list []*pg.Node, s *scope) ([]Expr, []Column, error) {
	if len(list) == 0 {
		return nil, nil, nil
	}
	out := &Select{}
	c := p.compiler(s)
	columns, err := c.outputs(list, out)
	if isSlow(err) {
		if err := c.unknownFunction(list...); err != nil {
			return nil, nil, err
		}
		err = errReturning
	}
	return out.Output, columns, err
}
