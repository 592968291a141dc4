package rewrite

import (
	"slices"
	"strconv"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Record is a column of the result, or a field of one: what column of the engine's it is, or
// of which fields it is put together. The engine has the fields as columns of their own: so
// they have all the types and forms that columns have, and rows are equal, and in order, as
// their fields are.
type Record struct {
	Name string
	At   int  // the column of the engine, if it is no row
	Row  bool // it is a row of Fields
	// Untyped says that it is a constant without a type.
	Untyped bool
	Fields  []Record
	// RowType is the OID of the type of a table's rows, 0: it is a record.
	RowType uint32
	// Key is the field that is null if there is no row, as of an outer join; -1: there is one.
	Key int
}

func refuseRow() *Error {
	err := unsupported(0, "a row as a value in this statement")
	err.Hint = "Select the columns of the row."
	return err
}

// nullFilled notes the names of FROM items that outer joins fill up with nulls.
func nullFilled(n *pg.Node, filled bool, out map[string]bool) {
	name := ""
	switch x := n.GetNode().(type) {
	case *pg.Node_JoinExpr:
		j := x.JoinExpr
		full := j.Jointype == pg.JoinType_JOIN_FULL
		nullFilled(j.Larg, filled || full || j.Jointype == pg.JoinType_JOIN_RIGHT, out)
		nullFilled(j.Rarg, filled || full || j.Jointype == pg.JoinType_JOIN_LEFT, out)
		return
	case *pg.Node_RangeVar:
		if name = x.RangeVar.Alias.GetAliasname(); name == "" {
			name = x.RangeVar.Relname
		}
	case *pg.Node_RangeSubselect:
		name = x.RangeSubselect.Alias.GetAliasname()
	case *pg.Node_RangeFunction:
		if filled = true; x.RangeFunction.Alias != nil { // its rows may be of a table's type
			name = x.RangeFunction.Alias.Aliasname
		} else if list := x.RangeFunction.Functions; len(list) > 0 && len(list[0].GetList().GetItems()) > 0 {
			name = lastName(list[0].GetList().Items[0].GetFuncCall().GetFuncname())
		}
	}
	out[name] = out[name] || filled
}

// rowNamed is the relation whose rows a name is of; nil: it is of none, or of one whose
// columns are not known.
func (r *rewriter) rowNamed(n *pg.Node) *relation {
	names, star := fieldNames(&pg.ColumnRef{Fields: n.GetColumnRef().GetFields()})
	if star || len(names) != 1 {
		return nil
	}
	rel := r.scope.relation(names[0])
	if rel == nil || !rel.known || rel.scalar || r.hidesRelation(names[0]) {
		return nil
	}
	return rel
}

// hidesRelation reports whether a name is, or may be, that of a column.
func (r *rewriter) hidesRelation(name string) bool {
	for s := r.scope; s != nil; s = s.parent {
		if s.has(name) || !known(s.relations) {
			return true
		}
	}
	return false
}

// scalarNamed is the function in FROM of values that are no rows that a name is of, nil: it is
// of none. FROM jsonb_array_elements(d) e has a column value, and e is that, too.
func (r *rewriter) scalarNamed(ref *pg.ColumnRef) *relation {
	names, star := fieldNames(&pg.ColumnRef{Fields: ref.GetFields()})
	if star || len(names) != 1 {
		return nil
	}
	if rel := r.scope.relation(names[0]); rel != nil && rel.scalar && !r.hidesRelation(names[0]) {
		return rel
	}
	return nil
}

// takeRows takes rows of a SELECT apart: fields of them, tests for NULL, and, in the result,
// the rows themselves. filled are the relations that outer joins fill up.
func (r *rewriter) takeRows(s *pg.SelectStmt, filled map[string]bool) error {
	if err := r.compositeKeys(s); err != nil {
		return err
	}
	for _, l := range [][]*pg.Node{s.TargetList, {s.WhereClause, s.HavingClause}, s.SortClause, s.GroupClause, s.DistinctClause} {
		for _, n := range l {
			if n == nil {
				continue
			}
			if err := r.takeFields(n); err != nil {
				return err
			}
		}
	}
	if s != r.top {
		return nil
	}
	return r.recordTargets(s, filled)
}

// takeFields puts columns in the place of fields of rows below n, but not in its subqueries:
// those have their own turn.
func (r *rewriter) takeFields(n *pg.Node) (err error) {
	if n.GetSelectStmt() != nil {
		return nil
	}
	r.takeWhole(n)
	children(n.ProtoReflect(), func(m protoreflect.Message) {
		err = firstError(err, r.takeFieldsIn(m))
	})
	if err != nil {
		return err
	}
	switch x := n.Node.(type) {
	case *pg.Node_AIndirection:
		return r.takeField(n, x.AIndirection)
	case *pg.Node_RowExpr:
		return r.takeStars(x.RowExpr)
	case *pg.Node_AExpr: // rows of t.* have their fields now
		if x.AExpr.Lexpr.GetRowExpr() != nil {
			return expandIn(n)
		}
	case *pg.Node_NullTest:
		if x.NullTest.Arg.GetRowExpr() != nil {
			return expandIn(n)
		}
		if rel := r.rowNamed(x.NullTest.Arg); rel != nil {
			if fields, ok := rel.items(); ok && len(fields) > 0 {
				row := &pg.RowExpr{Location: -1}
				for _, f := range fields {
					row.Args = append(row.Args, f.node)
				}
				x.NullTest.Arg = &pg.Node{Node: &pg.Node_RowExpr{RowExpr: row}}
				n.Node = rowNull(x.NullTest).Node
			}
		}
	}
	return nil
}

// takeWhole makes t.* the row that it is as an operand, t, and has (ROW(a)).f1 keep its name.
func (r *rewriter) takeWhole(n *pg.Node) {
	whole := func(operands ...*pg.Node) {
		for _, o := range operands {
			ref := o.GetColumnRef()
			if names, star := fieldNames(&pg.ColumnRef{Fields: ref.GetFields()}); star && len(names) > 0 {
				if row := pg.MakeColumnRefNode(ref.Fields[:len(names)], ref.Location); r.rowNamed(row) != nil {
					o.Node = row.Node
				}
			}
		}
	}
	switch x := n.Node.(type) {
	case *pg.Node_ResTarget: // what stands for a field has another name, or none
		if t := x.ResTarget; t.Name == "" && t.Val.GetAIndirection().GetArg().GetRowExpr() != nil {
			t.Name = FigureName(t.Val)
		}
	case *pg.Node_AExpr:
		whole(x.AExpr.Lexpr, x.AExpr.Rexpr)
	case *pg.Node_NullTest:
		whole(x.NullTest.Arg)
	case *pg.Node_TypeCast:
		whole(x.TypeCast.Arg)
	}
}

func (r *rewriter) takeFieldsIn(m protoreflect.Message) (err error) {
	if n, ok := m.Interface().(*pg.Node); ok {
		return r.takeFields(n)
	}
	if _, ok := m.Interface().(*pg.SelectStmt); ok {
		return nil
	}
	children(m, func(m protoreflect.Message) { err = firstError(err, r.takeFieldsIn(m)) })
	return err
}

func firstError(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// takeField makes (t).a and (t).* columns.
func (r *rewriter) takeField(n *pg.Node, x *pg.A_Indirection) error {
	if len(x.Indirection) == 0 {
		return nil
	}
	rel := r.rowNamed(x.Arg)
	if rel == nil {
		return takeNumbered(n, x)
	}
	first := x.Indirection[0]
	name := first.GetString_()
	if name == nil && first.GetAStar() == nil {
		return nil
	}
	if name != nil {
		if _, has := rel.column(name.Sval); !has {
			return errorf("42703", x.Arg.GetColumnRef().GetLocation(), "column %s.%s does not exist", rel.name, name.Sval)
		}
	}
	ref := pg.MakeColumnRefNode([]*pg.Node{str(rel.name), first}, x.Arg.GetColumnRef().GetLocation())
	if len(x.Indirection) == 1 {
		n.Node = ref.Node
		return nil
	}
	x.Arg, x.Indirection = ref, x.Indirection[1:]
	return nil
}

// takeNumbered is (ROW(a, b)).f1, of which nothing else is run.
func takeNumbered(n *pg.Node, x *pg.A_Indirection) error {
	row, name := x.Arg.GetRowExpr(), x.Indirection[0].GetString_()
	if row == nil || name == nil || len(x.Indirection) > 1 {
		return nil
	}
	at, err := strconv.Atoi(strings.TrimPrefix(name.Sval, "f"))
	if err != nil || at < 1 || at > len(row.Args) || name.Sval != "f"+strconv.Itoa(at) {
		return errorf("42703", row.Location, "could not identify column \"%s\" in record data type", name.Sval)
	}
	n.Node = row.Args[at-1].Node
	return nil
}

// takeStars puts columns in the place of t.* in ROW(t.*, ...).
func (r *rewriter) takeStars(row *pg.RowExpr) error {
	var out []*pg.Node
	for _, a := range row.Args {
		names, star := fieldNames(&pg.ColumnRef{Fields: a.GetColumnRef().GetFields()})
		if !star {
			out = append(out, a)
			continue
		}
		if len(names) == 0 {
			return refuseRow()
		}
		rel := r.scope.relation(names[len(names)-1])
		if rel == nil {
			return errorf("42P01", a.GetColumnRef().Location, "missing FROM-clause entry for table \"%s\"", names[len(names)-1])
		}
		fields, ok := rel.items()
		if !ok {
			return refuseRow()
		}
		for _, f := range fields {
			out = append(out, f.node)
		}
	}
	row.Args = out
	return nil
}

// isRow reports whether an expression of the SELECT list is a row.
func (r *rewriter) isRow(n *pg.Node) bool { return n.GetRowExpr() != nil || r.rowNamed(n) != nil }

// recordTargets puts the fields of rows in the place of the rows in the SELECT list, and
// notes what is to be put together of them.
func (r *rewriter) recordTargets(s *pg.SelectStmt, filled map[string]bool) error {
	if !slices.ContainsFunc(s.TargetList, func(n *pg.Node) bool { return r.isRow(n.GetResTarget().GetVal()) }) {
		return nil
	}
	x := recordTaker{r: r, filled: filled}
	r.records = []Record{}
	for _, n := range s.TargetList {
		t := n.GetResTarget()
		if _, star := fieldNames(&pg.ColumnRef{Fields: t.GetVal().GetColumnRef().GetFields()}); star {
			expanded, cols, ok := r.star(s, t.Val.GetColumnRef())
			if !ok {
				return refuseRow()
			}
			for i, n := range expanded {
				r.records = append(r.records, Record{Name: cols[i].name, At: len(x.list)})
				x.list = append(x.list, n)
			}
			continue
		}
		name := t.GetName()
		if name == "" {
			name = FigureName(t.GetVal())
		}
		record := Record{Name: name, At: len(x.list)}
		if r.isRow(t.GetVal()) {
			var err error
			if record, err = x.take(t.Val); err != nil {
				return err
			}
			record.Name = name
		} else {
			x.list = append(x.list, n)
		}
		r.records = append(r.records, record)
	}
	s.TargetList = x.list
	if len(s.TargetList) == 0 { // rows of no columns
		s.TargetList = []*pg.Node{pg.MakeResTargetNodeWithNameAndVal(fieldName(0), boolean(true), -1)}
	}
	for _, l := range []*[]*pg.Node{&s.SortClause, &s.GroupClause, &s.DistinctClause} {
		if err := x.keys(l, l == &s.GroupClause); err != nil {
			return err
		}
	}
	return nil
}

// fieldName is what a field is called to the engine: nothing that a statement names.
func fieldName(i int) string { return "nd field " + strconv.Itoa(i) }

// recordTaker takes the rows of one SELECT list apart.
type recordTaker struct {
	r      *rewriter
	filled map[string]bool
	list   []*pg.Node // the SELECT list
}

// take takes one row apart.
func (x *recordTaker) take(n *pg.Node) (Record, error) {
	out := Record{Row: true, Key: -1}
	rel := x.r.rowNamed(n)
	if rel == nil {
		for _, a := range n.GetRowExpr().GetArgs() {
			f, err := x.field(a)
			if err != nil {
				return Record{}, err
			}
			out.Fields = append(out.Fields, f)
		}
		return out, nil
	}
	fields, ok := rel.items()
	if !ok {
		return Record{}, refuseRow()
	}
	if rel.of != nil {
		if out.RowType = rel.of.RowType; out.RowType == 0 {
			return Record{}, refuseRow()
		}
	}
	for i, f := range fields {
		if f.scan != nil && rel.scan != nil && f.scan.Table.Columns[f.index].NotNull {
			out.Key = i
		}
		out.Fields = append(out.Fields, x.column(f.node))
	}
	switch filled, here := x.filled[rel.name]; {
	case !here:
		return Record{}, refuseRow()
	case !filled:
		out.Key = -1
	case out.Key < 0:
		return Record{}, refuseRow()
	}
	return out, nil
}

// field is a field of ROW(...).
func (x *recordTaker) field(n *pg.Node) (Record, error) {
	if x.r.isRow(n) {
		return x.take(n)
	}
	_, untyped := literal(n)
	if untyped || n.GetAConst().GetIsnull() {
		untyped, n = true, &pg.Node{Node: &pg.Node_TypeCast{TypeCast: &pg.TypeCast{Arg: n, TypeName: duckType("text"), Location: -1}}}
	}
	out := x.column(n)
	out.Untyped = untyped
	return out, nil
}

// column adds a field to the SELECT list.
func (x *recordTaker) column(n *pg.Node) Record {
	out := Record{At: len(x.list)}
	x.list = append(x.list, pg.MakeResTargetNodeWithNameAndVal(fieldName(out.At), n, -1))
	return out
}

// keys puts what ORDER BY and the like name of the SELECT list as it is now.
func (x *recordTaker) keys(l *[]*pg.Node, group bool) error {
	var out []*pg.Node
	for _, n := range *l {
		by := n
		if s := n.GetSortBy(); s != nil {
			by = s.Node
		}
		record, err := x.named(by, group)
		if err != nil {
			return err
		}
		var fields []*pg.Node
		switch {
		case record == nil && !x.r.isRow(by):
			out = append(out, n)
			continue
		case record == nil:
			inner := &recordTaker{r: x.r, filled: x.filled}
			if _, err := inner.take(by); err != nil {
				return err
			}
			fields = values(inner.list)
		case !record.Row:
			fields = []*pg.Node{integer(int64(record.At + 1))}
		default:
			fields = x.of(record)
		}
		for _, f := range fields {
			if s := n.GetSortBy(); s != nil {
				f = &pg.Node{Node: &pg.Node_SortBy{SortBy: &pg.SortBy{Node: f, SortbyDir: s.SortbyDir, SortbyNulls: s.SortbyNulls, UseOp: s.UseOp, Location: -1}}}
			}
			out = append(out, f)
		}
	}
	*l = out
	return nil
}

// named is the column of the result that a key means by its place, or by its name if that is
// a row; nil: it means none.
func (x *recordTaker) named(by *pg.Node, group bool) (*Record, error) {
	records := x.r.records
	if at, ok := by.GetAConst().GetVal().(*pg.A_Const_Ival); ok {
		i := int(at.Ival.GetIval())
		if i < 1 || i > len(records) {
			of := "ORDER BY"
			if group {
				of = "GROUP BY"
			}
			return nil, errorf("42P10", by.GetAConst().Location, "%s position %d is not in select list", of, i)
		}
		return &records[i-1], nil
	}
	names, star := fieldNames(&pg.ColumnRef{Fields: by.GetColumnRef().GetFields()})
	if len(names) != 1 || star || group && x.r.scope.has(names[0]) {
		return nil, nil
	}
	for i := range records {
		if records[i].Name == names[0] && records[i].Row {
			return &records[i], nil
		}
	}
	return nil, nil
}

// of are the expressions of the fields of a row in the SELECT list.
func (x *recordTaker) of(r *Record) (out []*pg.Node) {
	if !r.Row {
		return []*pg.Node{clone(x.list[r.At].GetResTarget().Val)}
	}
	for i := range r.Fields {
		out = append(out, x.of(&r.Fields[i])...)
	}
	return out
}

// values are the expressions of a SELECT list.
func values(l []*pg.Node) []*pg.Node {
	out := make([]*pg.Node, len(l))
	for i, n := range l {
		out[i] = n.GetResTarget().Val
	}
	return out
}
