package rewrite

import (
	"fmt"
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/nodedb/nodedb/agent/internal/sql/builtin"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/datum/jsonb"
)

// from rewrites a FROM item and tells the relations it brings in.
func (r *rewriter) from(n *pg.Node) (*pg.Node, []*relation, error) {
	switch x := n.Node.(type) {
	case *pg.Node_RangeVar:
		out, rel, err := r.table(n, x.RangeVar)
		return out, []*relation{rel}, err
	case *pg.Node_JoinExpr:
		rels, err := r.join(x.JoinExpr)
		return n, rels, err
	case *pg.Node_RangeSubselect:
		return r.subselect(n, x.RangeSubselect)
	case *pg.Node_RangeFunction:
		if list := x.RangeFunction.GetFunctions(); len(x.RangeFunction.Coldeflist) > 0 && len(list) == 1 {
			if f := list[0].GetList().GetItems()[0].GetFuncCall(); f != nil {
				return r.recordSet(f, x.RangeFunction)
			}
		} else if len(list) == 1 {
			f := list[0].GetList().GetItems()[0].GetFuncCall()
			switch lastName(f.GetFuncname()) {
			case "json_populate_record", "jsonb_populate_record", "json_populate_recordset", "jsonb_populate_recordset":
				return r.populated(f, x.RangeFunction)
			}
			if n, rels, ok, err := r.unnested(f, x.RangeFunction); ok {
				return n, rels, err
			}
		}
		out, rel, err := r.tableFunction(n, x.RangeFunction)
		return out, []*relation{rel}, err
	case *pg.Node_RangeTableSample:
		return nil, nil, unsupported(x.RangeTableSample.Location, "TABLESAMPLE")
	}
	return nil, nil, unsupported(0, "this kind of FROM item")
}

func (r *rewriter) table(n *pg.Node, rv *pg.RangeVar) (*pg.Node, *relation, error) {
	if rv.Schemaname == "" {
		if cte, ok := r.scope.cte(rv.Relname); ok {
			rel := &relation{name: rv.Relname, columns: cte.columns, known: cte.known}
			rv.Relname = ident(rv.Relname)
			applyAlias(rel, rv.Alias)
			return n, rel, nil
		}
	}
	name := rv.Relname
	if rv.Schemaname != "" {
		name = rv.Schemaname + "." + rv.Relname
	}
	table, ok := r.in.Resolve(rv.Schemaname, rv.Relname)
	if !ok {
		return nil, nil, errorf("42P01", rv.Location, "relation \"%s\" does not exist", name)
	}
	if table.Query != nil {
		return r.view(table, rv)
	}
	return r.scanOf(table, rv.Relname, rv.Alias)
}

// scanOf makes nscan(slot) of a table.
func (r *rewriter) scanOf(table *Table, name string, alias *pg.Alias) (*pg.Node, *relation, error) {
	s := &Scan{Slot: len(r.scans), Table: table}
	rel := &relation{name: name, scan: s, known: true, of: table}
	for i, c := range table.Columns {
		if c.Hidden && !r.hidden[c.Name] {
			continue
		}
		text := c.Type == datum.Numeric && numericType(c.Modifier) == numericType(-1)
		s.Columns, s.Text = append(s.Columns, i), append(s.Text, text)
		rel.columns = append(rel.columns, column{
			name: c.Name, typ: c.Type, modifier: c.Modifier, scan: s, index: i, hidden: c.Hidden, notNull: c.NotNull, text: text,
		})
	}
	r.scans = append(r.scans, s)
	if alias == nil {
		alias = &pg.Alias{Aliasname: name}
	}
	applyAlias(rel, alias)
	return rangeFunction(call("nscan", integer(int64(s.Slot))), alias), rel, nil
}

func rangeFunction(f *pg.Node, alias *pg.Alias) *pg.Node {
	return &pg.Node{Node: &pg.Node_RangeFunction{RangeFunction: &pg.RangeFunction{
		Functions: []*pg.Node{pg.MakeListNode([]*pg.Node{f, {}})}, Alias: alias,
	}}}
}

// applyAlias gives rel its new names, and the alias names that DuckDB takes.
func applyAlias(rel *relation, alias *pg.Alias) {
	if alias == nil {
		return
	}
	rel.name = alias.Aliasname
	rel.columns = rename(columns{rel.columns, rel.known}, alias.Colnames)
	alias.Aliasname = ident(alias.Aliasname)
	quoteNames(alias.Colnames)
}

func (r *rewriter) join(j *pg.JoinExpr) ([]*relation, error) {
	if j.Alias != nil || j.JoinUsingAlias != nil {
		return nil, unsupported(0, "an alias of a join")
	}
	var left, right []*relation
	var err error
	if j.Larg, left, err = r.from(j.Larg); err != nil {
		return nil, err
	}
	before := len(r.scope.relations)
	r.scope.relations = append(r.scope.relations, left...) // LATERAL on the right sees them
	j.Rarg, right, err = r.from(j.Rarg)
	if err != nil {
		return nil, err
	}
	r.scope.relations = append(r.scope.relations, right...)
	if err := r.condition(j.Quals, "JOIN/ON"); err != nil {
		return nil, err
	}
	if err := besideJoin(j.Quals, r.scope.relations[:before], append(slices.Clone(left), right...)); err != nil {
		return nil, err
	}
	defer func() { r.scope.relations = r.scope.relations[:before] }()
	if err := r.merge(j, left, right); err != nil {
		return nil, err
	}
	quoteNames(j.UsingClause)
	switch j.Jointype {
	case pg.JoinType_JOIN_INNER:
		r.constrain(j.Quals, append(append([]*relation(nil), left...), right...))
	case pg.JoinType_JOIN_LEFT:
		r.constrain(j.Quals, right)
	case pg.JoinType_JOIN_RIGHT:
		r.constrain(j.Quals, left)
	default:
	}
	if j.Quals, err = r.node(j.Quals); err != nil {
		return nil, err
	}
	return append(left, right...), nil
}

// besideJoin refuses the names of other items of FROM in the condition of a join: the engine
// knows those before it.
func besideJoin(quals *pg.Node, others, of []*relation) error {
	if quals == nil {
		return nil
	}
	var wrong error
	named := func(l []*relation, name string) bool {
		return slices.ContainsFunc(l, func(r *relation) bool { return r.name == name })
	}
	var look func(m protoreflect.Message)
	look = func(m protoreflect.Message) {
		n, _ := m.Interface().(*pg.Node)
		if n.GetSubLink() != nil { // which may have items of the name itself
			return
		}
		names, star := fieldNames(&pg.ColumnRef{Fields: n.GetColumnRef().GetFields()})
		if !star && len(names) == 2 && wrong == nil && !named(of, names[0]) && named(others, names[0]) {
			err := errorf("42P01", n.GetColumnRef().Location, "invalid reference to FROM-clause entry for table \"%s\"", names[0])
			err.Hint = fmt.Sprintf("There is an entry for table \"%s\", but it cannot be referenced from this part of the query.", names[0])
			wrong = err
		}
		children(m, look)
	}
	look(quals.ProtoReflect())
	return wrong
}

func (r *rewriter) subselect(n *pg.Node, sub *pg.RangeSubselect) (*pg.Node, []*relation, error) {
	s := sub.Subquery.GetSelectStmt()
	if s == nil {
		return nil, nil, unsupported(0, "this kind of FROM item")
	}
	if sub.Alias == nil {
		return nil, nil, withoutAlias(s)
	}
	ofValues := beginsWithValues(s)
	r.mayWrite = true
	cols, err := r.subquery(s)
	r.mayWrite = false
	if err != nil {
		return nil, nil, err
	}
	rel := &relation{columns: cols.list, known: cols.known}
	if n := len(sub.Alias.GetColnames()); cols.known && n > len(cols.list) {
		return nil, nil, errorf("42P10", 0, "table \"%s\" has %d columns available but %d columns specified", sub.Alias.Aliasname, len(cols.list), n)
	}
	if ofValues && sub.Alias != nil && len(sub.Alias.Colnames) < len(cols.list) {
		sub.Alias.Colnames = append(sub.Alias.Colnames, names(cols)[len(sub.Alias.Colnames):]...)
	}
	applyAlias(rel, sub.Alias)
	return n, []*relation{rel}, nil
}

func withoutAlias(s *pg.SelectStmt) error {
	what, example := "subquery", "SELECT"
	if len(s.ValuesLists) > 0 {
		what, example = "VALUES", "VALUES"
	}
	err := errorf("42601", 0, "%s in FROM must have an alias", what)
	err.Hint = "For example, FROM (" + example + " ...) [AS] foo."
	return err
}

// setOf is how one of setReturning is made; nil: it is none. The elements of vectors count
// from 0.
func (r *rewriter) setOf(f *pg.FuncCall, name string) func(*pg.FuncCall) (*pg.Node, []string, error) {
	if name == "generate_subscripts" && len(f.Args) == 2 && r.typeOf(f.Args[0]).IsVector() {
		return unnested("nd_vector_subscripts")
	}
	return setReturning[name]
}

// setFunction finds how a function that gives a set is made; nil: it gives no set.
func (r *rewriter) setFunction(f *pg.FuncCall, item *pg.Node) (func(*pg.FuncCall) (*pg.Node, []string, error), error) {
	name := lastName(f.Funcname)
	array, isSet := setsOf[name]
	if !isSet {
		return r.setOf(f, name), nil
	}
	after, err := r.builtinFunction(f, array)
	if after == nil || err != nil {
		return nil, err
	}
	return func(*pg.FuncCall) (*pg.Node, []string, error) {
		out, err := after(item)
		return elementsOf(name, out), nil, err
	}, nil
}

// tableFunction rewrites a function in FROM.
func (r *rewriter) tableFunction(n *pg.Node, rf *pg.RangeFunction) (*pg.Node, *relation, error) {
	if len(rf.Functions) != 1 || rf.IsRowsfrom || len(rf.Coldeflist) > 0 {
		return nil, nil, unsupported(0, "ROWS FROM or a column definition list")
	}
	item := rf.Functions[0].GetList().GetItems()
	f := item[0].GetFuncCall()
	if f == nil { // current_date and the like
		return r.scalarInFrom(item[0], rf)
	}
	name := lastName(f.Funcname)
	switch name {
	case "jsonb_each", "jsonb_each_text":
		return r.eachMember(f, rf)
	case "json_each", "json_each_text":
		return r.eachWritten(f, rf)
	case "pg_options_to_table":
		return r.eachOption(f, rf)
	}
	if err := undecided(f, name); err != nil {
		return nil, nil, err
	}
	if err := r.keepsDigits(f, name); err != nil {
		return nil, nil, err
	}
	make, err := r.setFunction(f, item[0])
	switch {
	case err != nil:
		return nil, nil, err
	case make == nil:
		return r.scalarInFrom(item[0], rf)
	}
	if name == "unnest" && (len(f.Args) > 1 || rf.Ordinality && hasParam(f)) {
		return r.unnestSeveral(f, rf)
	}
	r.infer(item[0])
	if err := r.series(f); err != nil {
		return nil, nil, err
	}
	typ := r.functionType(f)
	written := r.unnestedTexts(f)
	if written != nil {
		f.Args[0] = written
	}
	if err := r.list(f.Args); err != nil {
		return nil, nil, err
	}
	out, cols, err := make(f)
	if err != nil {
		return nil, nil, err
	}
	item[0] = out
	narrow := name == "generate_series" && typ == datum.Int4
	switch {
	case hasParam(f) || narrow && hasColumn(f) && !rf.Ordinality:
		if narrow {
			out = call("unnest", cast(out, "INTEGER[]"))
		}
		if n, err = subqueryOf(out, rf, len(cols)); err != nil {
			return nil, nil, err
		}
	case narrow:
		n = narrowed(n, rf)
	}
	nameColumns(rf, name, cols)
	rel := rowsOf(rf, typ, len(cols))
	rel.scalar = len(rel.columns) == 1 && !rf.Ordinality
	rel.columns[0].text = written != nil
	if sub := n.GetRangeSubselect(); sub != nil {
		sub.Alias = rf.Alias
	}
	applyAlias(rel, rf.Alias)
	return n, rel, nil
}

// rowsOf is the relation of a function in FROM that gives so many columns.
func rowsOf(rf *pg.RangeFunction, typ datum.Type, columns int) *relation {
	rel := &relation{known: columns < 2}
	for i, c := range rf.Alias.Colnames {
		col := column{name: c.GetString_().GetSval()}
		if i == 0 && columns < 2 {
			col.typ, col.written = typ, typ == datum.JSON
		} else if rf.Ordinality {
			col.typ = datum.Int8
		}
		rel.columns = append(rel.columns, col)
	}
	return rel
}

// unnestSeveral makes FROM unnest(a, b) a subquery: beside each other in SELECT arrays are
// filled up with nulls to the longest, as there.
func (r *rewriter) unnestSeveral(f *pg.FuncCall, rf *pg.RangeFunction) (*pg.Node, *relation, error) {
	rel := &relation{known: true, name: "unnest"}
	for i, a := range f.Args {
		c := column{name: "unnest", typ: r.typeOf(a).Elem()}
		if list := r.textElements(a); list != nil {
			f.Args[i], c.text = list, true
		}
		rel.columns = append(rel.columns, c)
	}
	if len(f.Args) == 1 && rf.Alias != nil {
		rel.columns[0].name = rf.Alias.Aliasname
	}
	if err := r.list(f.Args); err != nil {
		return nil, nil, err
	}
	return r.beside(rel, f.Args, rf), rel, nil
}

// eachMember makes FROM jsonb_each(j) a subquery of its keys and its values.
func (r *rewriter) eachMember(f *pg.FuncCall, rf *pg.RangeFunction) (*pg.Node, *relation, error) {
	name := lastName(f.Funcname)
	values, typ := "document_each", datum.JSONB
	if name == "jsonb_each_text" {
		values, typ = "document_each_text", datum.Text
	}
	if len(f.Args) != 1 {
		return nil, nil, errorf("42883", f.Location, "function %s(%s) does not exist", name, r.signature(f))
	}
	r.paramIs(f.Args[0], datum.JSONB)
	if err := r.list(f.Args); err != nil {
		return nil, nil, err
	}
	rel := &relation{known: true, name: name, columns: []column{{name: "key", typ: datum.Text}, {name: "value", typ: typ}}}
	arrays := make([]*pg.Node, 2)
	for i, of := range []string{"document_each_keys", values} {
		g := jsonb.Named(of)[0]
		arrays[i] = call(g.EngineName(1), jsonArgument(datum.JSONB, clone(f.Args[0])))
	}
	return r.beside(rel, arrays, rf), rel, nil
}

// eachWritten is eachMember of a json: its values keep their writing.
func (r *rewriter) eachWritten(f *pg.FuncCall, rf *pg.RangeFunction) (*pg.Node, *relation, error) {
	name := lastName(f.Funcname)
	values, typ := builtin.JSONValues, datum.JSON
	if name == "json_each_text" {
		values, typ = builtin.JSONValuesText, datum.Text
	}
	if t := r.typeOf(f.Args[0]); len(f.Args) != 1 || t != datum.JSON && t != datum.Unknown {
		return nil, nil, noFunction(f, name+"("+r.signature(f)+")")
	}
	r.paramIs(f.Args[0], datum.JSON)
	if err := r.list(f.Args); err != nil {
		return nil, nil, err
	}
	rel := &relation{known: true, name: name, columns: []column{{name: "key", typ: datum.Text}, {name: "value", typ: typ, written: typ == datum.JSON}}}
	arrays := make([]*pg.Node, 2)
	for i, of := range []string{builtin.JSONMembers, values} {
		c := builtin.Resolve(of, []datum.Type{datum.JSON})
		arrays[i] = call("nd_list_1", text(c.Signature("UTC")), cast(clone(f.Args[0]), "VARCHAR"))
	}
	if typ == datum.JSON {
		arrays[1] = cast(arrays[1], "JSON[]")
	}
	return r.beside(rel, arrays, rf), rel, nil
}

// eachOption makes FROM pg_options_to_table(a) a subquery of the names and the values of
// options, each of which is written name=value.
func (r *rewriter) eachOption(f *pg.FuncCall, rf *pg.RangeFunction) (*pg.Node, *relation, error) {
	if len(f.Args) != 1 {
		return nil, nil, noFunction(f, "pg_options_to_table("+r.signature(f)+")")
	}
	if err := r.list(f.Args); err != nil {
		return nil, nil, err
	}
	rel := &relation{known: true, name: "pg_options_to_table", columns: []column{{name: "option_name", typ: datum.Text}, {name: "option_value", typ: datum.Text}}}
	names, values := call("nd_option_names", f.Args[0]), call("nd_option_values", clone(f.Args[0]))
	return r.beside(rel, []*pg.Node{names, values}, rf), rel, nil
}

// beside makes a subquery of the elements of arrays beside each other, and fills rel.
func (r *rewriter) beside(rel *relation, arrays []*pg.Node, rf *pg.RangeFunction) *pg.Node {
	sub := &pg.SelectStmt{LimitOption: pg.LimitOption_LIMIT_OPTION_DEFAULT, Op: pg.SetOperation_SETOP_NONE}
	var lengths []*pg.Node
	for _, a := range arrays {
		sub.TargetList = append(sub.TargetList, pg.MakeResTargetNodeWithVal(call("unnest", a), -1))
		lengths = append(lengths, call("nd_length", r.again(a)))
	}
	if rf.Ordinality {
		rel.columns = append(rel.columns, column{name: "ordinality", typ: datum.Int8})
		sub.TargetList = append(sub.TargetList, pg.MakeResTargetNodeWithVal(call("unnest", call("generate_series", integer(1), call("greatest", lengths...))), -1))
	}
	alias := &pg.Alias{Aliasname: rel.name}
	if rf.Alias != nil {
		alias.Aliasname = rf.Alias.Aliasname
	}
	for i := range rel.columns {
		if i < len(rf.Alias.GetColnames()) {
			rel.columns[i].name = rf.Alias.Colnames[i].GetString_().GetSval()
		}
		alias.Colnames = append(alias.Colnames, str(rel.columns[i].name))
	}
	n := &pg.Node{Node: &pg.Node_RangeSubselect{RangeSubselect: &pg.RangeSubselect{Lateral: true, Subquery: selectNode(sub), Alias: alias}}}
	applyAlias(rel, alias)
	return n
}

// series refuses the forms of generate_series that DuckDB has not, and gives times the types
// that they have there.
func (r *rewriter) series(f *pg.FuncCall) error {
	if lastName(f.Funcname) != "generate_series" {
		return nil
	}
	all := r.common(f.Args)
	for i, a := range f.Args {
		if _, is := literal(a); is && all.IsInt() {
			if err := r.typeLiteral(&f.Args[i], all); err != nil {
				return err
			}
		}
		switch t := r.typeOf(a); {
		case t == datum.Numeric:
			return unsupported(f.Location, "generate_series of numeric: give it integers and divide them; this")
		case t.IsFloat():
			return noFunction(f, "generate_series("+r.signature(f)+")")
		}
	}
	if step, ok := f.Args[len(f.Args)-1].GetAConst().GetVal().(*pg.A_Const_Ival); ok && len(f.Args) == 3 && step.Ival.GetIval() == 0 {
		return errorf("22023", f.Location, "step size cannot equal zero")
	}
	r.seriesOfTimes(f)
	return nil
}

// nameColumns gives a function in FROM the names that the statement has not.
func nameColumns(rf *pg.RangeFunction, name string, cols []string) {
	if rf.Alias == nil {
		rf.Alias = &pg.Alias{Aliasname: name}
	}
	if len(rf.Alias.Colnames) == 0 {
		if cols == nil { // one column is called as the function
			cols = []string{rf.Alias.Aliasname}
		}
		for _, c := range cols {
			rf.Alias.Colnames = append(rf.Alias.Colnames, str(c))
		}
		if rf.Ordinality {
			rf.Alias.Colnames = append(rf.Alias.Colnames, str("ordinality"))
		}
	}
}

// narrowed makes FROM generate_series(1, 2) a subquery of integers; DuckDB's are all bigint.
func narrowed(n *pg.Node, rf *pg.RangeFunction) *pg.Node {
	column := func(name string) *pg.Node { return pg.MakeColumnRefNode([]*pg.Node{str(name)}, -1) }
	inner := &pg.Alias{Aliasname: "nd_series", Colnames: []*pg.Node{str("nd_value")}}
	sub := &pg.SelectStmt{
		TargetList:  []*pg.Node{pg.MakeResTargetNodeWithVal(cast(column("nd_value"), "INTEGER"), -1)},
		LimitOption: pg.LimitOption_LIMIT_OPTION_DEFAULT, Op: pg.SetOperation_SETOP_NONE,
	}
	if rf.Ordinality {
		inner.Colnames = append(inner.Colnames, str("nd_number"))
		sub.TargetList = append(sub.TargetList, pg.MakeResTargetNodeWithVal(column("nd_number"), -1))
	}
	from := clone(n)
	from.GetRangeFunction().Alias = inner
	sub.FromClause = []*pg.Node{from}
	return &pg.Node{Node: &pg.Node_RangeSubselect{RangeSubselect: &pg.RangeSubselect{Lateral: true, Subquery: selectNode(sub)}}}
}

func hasColumn(f *pg.FuncCall) bool {
	found := false
	visit(f.ProtoReflect(), func(n *pg.Node) { found = found || n.GetColumnRef() != nil || n.GetSubLink() != nil })
	return found
}

func hasParam(f *pg.FuncCall) bool {
	found := false
	visit(f.ProtoReflect(), func(n *pg.Node) { found = found || n.GetParamRef() != nil })
	return found
}

// subqueryOf makes FROM f($1) a subquery: DuckDB does not know the columns of a table
// function before its arguments have values.
func subqueryOf(f *pg.Node, rf *pg.RangeFunction, columns int) (*pg.Node, error) {
	if columns > 1 || rf.Ordinality {
		return nil, unsupported(f.GetFuncCall().Location, "a parameter of this table function")
	}
	if lastName(f.GetFuncCall().Funcname) != "unnest" {
		f = call("unnest", f)
	}
	sub := &pg.SelectStmt{
		TargetList:  []*pg.Node{pg.MakeResTargetNodeWithVal(f, -1)},
		LimitOption: pg.LimitOption_LIMIT_OPTION_DEFAULT, Op: pg.SetOperation_SETOP_NONE,
	}
	return &pg.Node{Node: &pg.Node_RangeSubselect{RangeSubselect: &pg.RangeSubselect{Lateral: true, Subquery: selectNode(sub)}}}, nil
}

// scalarInFrom makes FROM f() a subquery of one row.
func (r *rewriter) scalarInFrom(f *pg.Node, rf *pg.RangeFunction) (*pg.Node, *relation, error) {
	if rf.Ordinality {
		return nil, nil, unsupported(0, "WITH ORDINALITY of this function")
	}
	name := FigureName(f)
	if rf.Alias == nil {
		rf.Alias = &pg.Alias{Aliasname: name}
	}
	if len(rf.Alias.Colnames) == 0 {
		rf.Alias.Colnames = []*pg.Node{str(rf.Alias.Aliasname)}
	}
	sub := &pg.SelectStmt{
		TargetList:  []*pg.Node{pg.MakeResTargetNodeWithNameAndVal(name, f, -1)},
		LimitOption: pg.LimitOption_LIMIT_OPTION_DEFAULT, Op: pg.SetOperation_SETOP_NONE,
	}
	n := &pg.Node{Node: &pg.Node_RangeSubselect{RangeSubselect: &pg.RangeSubselect{
		Lateral: true, Subquery: selectNode(sub), Alias: rf.Alias,
	}}}
	out, rels, err := r.subselect(n, n.GetRangeSubselect())
	if err != nil {
		return nil, nil, err
	}
	rels[0].scalar = len(rels[0].columns) == 1 // none of rows comes here
	return out, rels[0], nil
}
