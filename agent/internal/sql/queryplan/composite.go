package queryplan

import (
	"fmt"
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"

	"github.com/nodedb/nodedb/agent/internal/sql/builtin"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// fieldsOf compiles (value).field.field, of whose steps the one with the number first is a name.
func (c *compiler) fieldsOf(n *pg.A_Indirection, first int) (e Expr, err error) {
	if first == 0 {
		e, err = c.wholeOr(n.GetArg())
	} else {
		e, err = c.indirection(&pg.A_Indirection{Arg: n.GetArg(), Indirection: n.GetIndirection()[:first]})
	}
	if err != nil {
		return nil, err
	}
	for _, step := range n.GetIndirection()[first:] {
		name := step.GetString_()
		if name == nil || !e.Type().IsComposite() {
			return nil, errSlow
		}
		if e, err = c.field(e, name.GetSval(), n); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// field is a field of a value.
func (c *compiler) field(e Expr, name string, n *pg.A_Indirection) (Expr, error) {
	form := e.Type().CompositeType()
	i := form.Field(name)
	if i < 0 {
		if ref := columnName(n.GetArg()); form.Rows && len(ref) == 1 {
			return nil, fail("42703", c.position(location(n.GetArg())), "column %s.%s does not exist", ref[0], name)
		}
		return nil, fail("42703", c.position(location(n.GetArg())), "column %q not found in data type %s", name, form.Name)
	}
	return memberOf(e, i), nil
}

func memberOf(e Expr, i int) Expr {
	f := &e.Type().CompositeType().Fields[i]
	return &fn{name: "field " + f.Name, typ: f.Type, args: []Expr{e}, strict: true, eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		return a[0].A.Values[i], nil
	}}
}

// wholeOr compiles n, which may name the row of a relation: that is of the type of its rows.
func (c *compiler) wholeOr(n *pg.Node) (Expr, error) {
	names := columnName(n)
	if relation, is := star(n); is && relation != "" {
		names = []string{relation}
	}
	if len(names) != 1 || c.scope == nil || c.grouping != nil {
		return c.expr(n)
	}
	if _, err := c.scope.column("", names[0], 0); err == nil {
		return c.expr(n)
	}
	for _, r := range c.scope.relations {
		if r.alias != names[0] || r.table == nil || r.shown != nil || r.qualifiedOnly {
			continue
		}
		var fields []Expr
		for i := range r.table.Columns {
			if !r.table.Columns[i].Hidden {
				fields = append(fields, r.ref(i))
			}
		}
		return rowOf(r.table.RowType(), fields), nil
	}
	return c.expr(n)
}

// rowOf makes a value of its fields.
func rowOf(t datum.Type, fields []Expr) Expr {
	return &fn{name: "row", typ: t, args: fields, eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		return datum.MakeComposite(t, slices.Clone(a)), nil
	}}
}

// rowFields are the fields of ROW(...), of which t.* are several.
func (c *compiler) rowFields(n *pg.RowExpr) ([]Expr, error) {
	var out []Expr
	for _, a := range n.GetArgs() {
		if relation, ok := star(a); ok {
			refs, err := c.expandStar(relation)
			if err != nil {
				return nil, err
			}
			for _, ref := range refs {
				if ref.expr == nil {
					return nil, errSlow
				}
				out = append(out, ref.expr)
			}
			continue
		}
		e, err := c.expr(a)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, nil
}

// row compiles ROW(...) as a value of a composite type.
func (c *compiler) row(n *pg.RowExpr, t datum.Type, how datum.CastContext, location int32) (Expr, error) {
	position := c.position(location)
	form := t.CompositeType()
	wrong := func(format string, args ...any) error {
		err := fail("42846", position, "cannot cast type record to %s", form.Name)
		err.Detail = fmt.Sprintf(format, args...)
		return err
	}
	nested := make([]*pg.Node, 0, len(n.GetArgs()))
	for i, a := range n.GetArgs() { // rows within take the types of the fields
		if inner := a.GetRowExpr(); inner != nil && i < len(form.Fields) && form.Fields[i].Type.IsComposite() && len(n.GetArgs()) == len(form.Fields) {
			nested = append(nested, a)
		}
	}
	var fields []Expr
	var err error
	if len(nested) == 0 {
		if fields, err = c.rowFields(n); err != nil {
			return nil, err
		}
	} else {
		for i, a := range n.GetArgs() {
			var e Expr
			if slices.Contains(nested, a) {
				e, err = c.row(a.GetRowExpr(), form.Fields[i].Type, how, a.GetRowExpr().GetLocation())
			} else {
				e, err = c.expr(a)
			}
			if err != nil {
				return nil, err
			}
			fields = append(fields, e)
		}
	}
	switch {
	case len(fields) < len(form.Fields):
		return nil, wrong("Input has too few columns.")
	case len(fields) > len(form.Fields):
		return nil, wrong("Input has too many columns.")
	}
	for i := range fields {
		f, from := &form.Fields[i], fields[i].Type()
		if !datum.Allowed(from, f.Type, how) {
			return nil, wrong("Cannot cast type %s to %s in column %d.", from.SQLName(), f.Type.SQLName(), i+1)
		}
		out, err := convert(fields[i], f.Type, -1, how)
		if err != nil {
			return nil, at(err, position)
		}
		if fields[i], err = convert(out, f.Type, f.Modifier, how); err != nil {
			return nil, err
		}
	}
	return rowOf(t, fields), nil
}

// castOperand compiles what is cast to t: a row of a relation may be.
func (c *compiler) castOperand(n *pg.Node, t datum.Type) (Expr, error) {
	if t.IsComposite() {
		return c.wholeOr(n)
	}
	return c.expr(n)
}

// as compiles a value that goes into something of type t: ROW(...) is one of it.
func (c *compiler) as(n *pg.Node, t datum.Type) (Expr, error) {
	if row := n.GetRowExpr(); row != nil && t.IsComposite() {
		return c.row(row, t, datum.Assignment, row.GetLocation())
	}
	if a := n.GetAArrayExpr(); a != nil && t.IsArray() && t.Elem().IsComposite() && len(a.GetElements()) == 0 {
		return nil, errSlow
	}
	return c.expr(n)
}

// compareRows compiles a comparison of a value with ROW(...); nil: it is none.
func (c *compiler) compareRows(name string, n *pg.A_Expr) (Expr, error) {
	left, right := n.GetLexpr().GetRowExpr(), n.GetRexpr().GetRowExpr()
	switch name {
	case "=", "<>", "!=", "<", "<=", ">", ">=":
	default:
		return nil, nil
	}
	if (left == nil) == (right == nil) {
		return nil, nil
	}
	value, row := n.GetLexpr(), right
	if left != nil {
		value, row = n.GetRexpr(), left
	}
	e, err := c.expr(value)
	if err != nil {
		return nil, err
	}
	if !e.Type().IsComposite() {
		return nil, nil
	}
	fields, err := c.rowFields(row)
	if err != nil {
		return nil, err
	}
	form := e.Type().CompositeType()
	for i := range min(len(fields), len(form.Fields)) {
		if t, want := fields[i].Type(), form.Fields[i].Type; t != want { // a literal, too, has no type there
			return nil, fail("42804", 0, "cannot compare dissimilar column types %s and %s at record column %d", want.SQLName(), t.SQLName(), i+1)
		}
	}
	if len(fields) != len(form.Fields) {
		return nil, fail("42804", 0, "cannot compare record types with different numbers of columns")
	}
	a, b := e, rowOf(e.Type(), fields)
	if left != nil {
		a, b = b, a
	}
	return ordered(compare(name, a, b))
}

// anonymous refuses a literal beside a row: PostgreSQL takes it for a record.
func anonymous(a, b Expr) error {
	for _, e := range []Expr{a, b} {
		if k, ok := e.(*Const); ok && k.Value.Type == datum.Unknown && !k.Value.Null && (a.Type().IsComposite() || b.Type().IsComposite()) {
			return &syntax.Error{Code: "0A000", Message: "input of anonymous composite types is not implemented", Position: k.position}
		}
	}
	return nil
}

// ordered refuses comparisons of rows whose fields have no order.
func ordered(e Expr, err error) (Expr, error) {
	k, ok := e.(*compareExpr)
	if err != nil || !ok || !k.typ.Elem().IsComposite() {
		return e, err
	}
	if is, _ := k.typ.Comparable(); is {
		return e, nil
	}
	for _, f := range k.typ.CompositeType().Fields {
		if is, _ := f.Type.Comparable(); !is {
			what := "a comparison function"
			if k.op == "=" || k.op == "<>" || k.op == "!=" {
				what = "an equality operator"
			}
			return nil, fail("42883", 0, "could not identify %s for type %s", what, f.Type.SQLName())
		}
	}
	return nil, errSlow
}

// expandFields compiles (value).* of a SELECT list; ok is false if it is none.
func (c *compiler) expandFields(n *pg.Node) (fields []shownColumn, ok bool, err error) {
	x := n.GetAIndirection()
	steps := x.GetIndirection()
	if len(steps) == 0 || steps[len(steps)-1].GetAStar() == nil {
		return nil, false, nil
	}
	e, err := c.expandable(x.GetArg(), steps[:len(steps)-1])
	if err != nil {
		return nil, true, err
	}
	if !e.Type().IsComposite() {
		return nil, true, errSlow
	}
	for i, f := range e.Type().CompositeType().Fields {
		fields = append(fields, shownColumn{name: f.Name, expr: memberOf(e, i), column: -1})
	}
	return fields, true, nil
}

// expandable compiles what stands in front of .*.
func (c *compiler) expandable(n *pg.Node, steps []*pg.Node) (Expr, error) {
	if len(steps) == 0 {
		return c.wholeOr(n)
	}
	return c.indirection(&pg.A_Indirection{Arg: n, Indirection: steps})
}

// fieldSet is a column, whose value is before, with a field set.
func fieldSet(steps []*pg.Node, before, value *pg.Node, t datum.Type, location int32) (*pg.Node, error) {
	if len(steps) == 0 {
		return typed(value, t), nil
	}
	name := steps[0].GetString_().GetSval()
	if steps[0].GetString_() == nil || !t.IsComposite() {
		return nil, fail("42804", syntax.Position(location), "cannot assign to field %q of column because its type %s is not a composite type", name, t.SQLName())
	}
	form := t.CompositeType()
	at := form.Field(name)
	if at < 0 {
		return nil, fail("42703", syntax.Position(location), "cannot assign to field %q of column because there is no such column in data type %s", name, form.Name)
	}
	row := &pg.RowExpr{Location: location, RowFormat: pg.CoercionForm_COERCE_EXPLICIT_CALL}
	for i, f := range form.Fields {
		part := &pg.Node{Node: &pg.Node_AIndirection{AIndirection: &pg.A_Indirection{Arg: before, Indirection: []*pg.Node{stringNode(f.Name)}}}}
		if before == nil {
			part = &pg.Node{Node: &pg.Node_AConst{AConst: &pg.A_Const{Isnull: true, Location: -1}}}
		}
		if i == at {
			var err error
			if part, err = fieldSet(steps[1:], part, value, f.Type, location); err != nil {
				return nil, err
			}
		}
		row.Args = append(row.Args, part)
	}
	return madeRow(row, t), nil
}

// madeRow is a row cast to a composite type, as the statement's own casts are.
func madeRow(row *pg.RowExpr, t datum.Type) *pg.Node {
	return &pg.Node{Node: &pg.Node_TypeCast{TypeCast: &pg.TypeCast{Arg: &pg.Node{Node: &pg.Node_RowExpr{RowExpr: row}}, Location: row.GetLocation(),
		TypeName: &pg.TypeName{Names: []*pg.Node{stringNode(syntax.EnumTypeName(uint32(t)))}, Typemod: -1, Location: -1}}}}
}

// numbered finds a type that a statement names by its number.
func numbered(name syntax.TypeName) (catalog.Resolved, bool) {
	number, ok := syntax.EnumNumber(name.Name)
	if !ok {
		return catalog.Resolved{}, false
	}
	t := datum.Type(number)
	if name.Array {
		t |= datum.Array
	}
	return catalog.Resolved{Type: t, Modifier: -1}, true
}

// fieldOfColumn is a column with the field that t names set.
func fieldOfColumn(t *pg.ResTarget, before *pg.Node, column *catalog.Column) (*pg.Node, error) {
	position := syntax.Position(t.GetLocation())
	first := t.GetIndirection()[0].GetString_().GetSval()
	if !column.Type.IsComposite() {
		return nil, fail("42804", position, "cannot assign to field %q of column %q because its type %s is not a composite type", first, column.Name, column.Type.SQLName())
	}
	if form := column.Type.CompositeType(); form.Field(first) < 0 {
		return nil, fail("42703", position, "cannot assign to field %q of column %q because there is no such column in data type %s", first, column.Name, form.Name)
	}
	return fieldSet(t.GetIndirection(), before, t.GetVal(), column.Type, t.GetLocation())
}

// wholeInsert makes an INSERT into fields of columns, as INSERT INTO t (c.a, c.b), one into
// the columns. Without such s is returned.
func wholeInsert(s *pg.InsertStmt, table *catalog.Table) (*pg.InsertStmt, error) {
	if !slices.ContainsFunc(s.GetCols(), func(n *pg.Node) bool { return len(n.GetResTarget().GetIndirection()) > 0 }) {
		return s, nil
	}
	sel := s.GetSelectStmt().GetSelectStmt()
	if sel == nil || len(sel.GetValuesLists()) == 0 || sel.GetWithClause() != nil || len(sel.GetSortClause()) > 0 || sel.GetLimitCount() != nil || sel.GetLimitOffset() != nil {
		return nil, syntax.Unsupported("INSERT of a query into parts of columns", "Insert whole columns: ROW(...) makes the value of one.")
	}
	out := proto.CloneOf(s)
	places := make([]int, len(s.GetCols()))
	of := map[string]int{}
	out.Cols = nil
	for i, n := range s.GetCols() {
		t := n.GetResTarget()
		at, again := of[t.GetName()]
		whole := len(t.GetIndirection()) == 0
		if again && whole || again && len(s.GetCols()[slices.Index(places, at)].GetResTarget().GetIndirection()) == 0 {
			return nil, fail("42701", syntax.Position(t.GetLocation()), "column %q specified more than once", t.GetName())
		}
		if !again {
			at = len(out.Cols)
			of[t.GetName()] = at
			out.Cols = append(out.Cols, &pg.Node{Node: &pg.Node_ResTarget{ResTarget: &pg.ResTarget{Name: t.GetName(), Location: t.GetLocation()}}})
		}
		places[i] = at
	}
	for k, list := range sel.GetValuesLists() {
		items := list.GetList().GetItems()
		if len(items) != len(s.GetCols()) {
			return nil, syntax.Unsupported("INSERT into parts of columns of another number of values", "Give a value for each part.")
		}
		row := make([]*pg.Node, len(out.Cols))
		for i, n := range s.GetCols() {
			t := proto.CloneOf(n.GetResTarget())
			if len(t.GetIndirection()) == 0 {
				row[places[i]] = items[i]
				continue
			}
			if items[i].GetSetToDefault() != nil {
				return nil, &syntax.Error{Code: "0A000", Message: "cannot set a subfield to DEFAULT", Position: syntax.Position(items[i].GetSetToDefault().GetLocation())}
			}
			index, ok := table.ColumnIndex(t.GetName())
			if !ok {
				return nil, fail("42703", syntax.Position(t.GetLocation()), "column %q of relation %q does not exist", t.GetName(), table.Name())
			}
			if t.GetIndirection()[0].GetString_() == nil {
				return nil, syntax.Unsupported("INSERT into elements of an array", "Insert the whole array.")
			}
			t.Val = items[i]
			value, err := fieldOfColumn(t, row[places[i]], &table.Columns[index])
			if err != nil {
				return nil, err
			}
			row[places[i]] = value
		}
		out.GetSelectStmt().GetSelectStmt().ValuesLists[k] = pg.MakeListNode(row)
	}
	return out, nil
}

// populateRecord compiles jsonb_populate_record and its sibling.
func populateRecord(name string, args []Expr) (e Expr, ok bool, err error) {
	t := datum.JSONB
	if name == "json_populate_record" {
		t = datum.JSON
	}
	if name != "json_populate_record" && name != "jsonb_populate_record" || len(args) != 2 || !args[0].Type().IsComposite() {
		return nil, false, nil
	}
	j, err := coerce(args[1], t)
	if err != nil {
		return nil, true, err
	}
	return &fn{name: name, typ: args[0].Type(), args: []Expr{args[0], j}, stable: true, eval: func(env *Env, a []datum.Datum) (datum.Datum, error) {
		if a[1].Null {
			return a[0], nil
		}
		return builtin.Populate(env.asBuiltin(), a[0], a[1].S)
	}}, true, nil
}
