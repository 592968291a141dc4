package rewrite

import (
	"slices"
	"strconv"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/duck/frame"
)

// What is written of values: DuckDB's own texts and json differ from PostgreSQL's, so the
// worker writes them (nd_text, nd_json), and is told what PostgreSQL's types are.

// meaning is what the worker is told of the value of n, which is PostgreSQL's still.
func (r *rewriter) meaning(n *pg.Node) *pg.Node {
	m := frame.Meaning{Zone: r.zone()}
	add := func(t datum.Type, modifier int32) {
		if opaque(t) || t.Elem().IsNumbered() || t.IsVector() {
			t = datum.Unknown // the worker knows no enums
		}
		m.Types, m.Modifiers = append(m.Types, uint64(t)), append(m.Modifiers, modifier)
	}
	if rel := r.rowOf(n); rel != nil {
		for _, c := range rel.columns {
			if t := c.typ; !c.hidden {
				if t.IsComposite() { // namedRow makes json of it
					t = datum.JSON
				}
				add(t, c.modifier)
			}
		}
	} else {
		add(r.typeOf(n), r.modifierOf(n))
	}
	return text(m.Text())
}

// rowOf is the relation whose rows n names; nil: n is no row, or not all columns are known.
func (r *rewriter) rowOf(n *pg.Node) *relation {
	ref := n.GetColumnRef()
	if ref == nil {
		return nil
	}
	if _, isColumn := r.scope.find(ref); isColumn {
		return nil
	}
	names, _ := fieldNames(ref)
	if len(names) == 0 {
		return nil
	}
	rel := r.scope.relation(names[len(names)-1])
	if rel == nil || !rel.known {
		return nil
	}
	return rel
}

// modifierOf is the modifier of a char(n), or of a numeric column; -1: none is known.
func (r *rewriter) modifierOf(n *pg.Node) int32 {
	if width := r.widthOf(n); width >= 0 {
		return width
	}
	if ref := n.GetColumnRef(); ref != nil {
		if c, ok := r.scope.find(ref); ok && c.scan != nil {
			return c.modifier
		}
	}
	return -1
}

// textOf returns what makes the text of n when that is DuckDB's. shown says that it is the
// one that clients see: t of a truth value, which casts call true.
func (r *rewriter) textOf(n *pg.Node, shown bool) func(*pg.Node) *pg.Node {
	t := r.typeOf(n)
	_, isText := literal(n)
	if r.writes(n) {
		r.takesText(n)
		return func(n *pg.Node) *pg.Node { return cast(n, "VARCHAR") }
	}
	if shown && t == datum.Bpchar && r.widthOf(n) < 0 {
		if !r.tellsBlanks(n) {
			r.refuse(severalLengths())
		}
		return func(n *pg.Node) *pg.Node { return cast(n, "VARCHAR") }
	}
	switch {
	case isText, n.GetParamRef() != nil && !t.IsArray(), n.GetAConst().GetIsnull(), t == datum.Bpchar && !shown,
		t.IsString() && t != datum.Bpchar, t.IsInt(), t == datum.OID, t == datum.UUID, t == datum.Bool && !shown, t.IsVector(), t.IsNumbered() && !t.IsRegistry(), t >= datum.Tid && t <= datum.AnyArray:
		return func(n *pg.Node) *pg.Node { return cast(n, "VARCHAR") }
	case t == datum.Unknown && n.GetColumnRef() == nil && n.GetFuncCall() == nil && n.GetSubLink() == nil && n.GetAArrayExpr() == nil && n.GetRowExpr() == nil:
		return func(n *pg.Node) *pg.Node { return call("nd_text", n, text("UTC")) }
	}
	if t.IsRegistry() {
		shown, err := r.shown(t)
		if err == nil {
			return shown
		}
		r.refuse(err)
	}
	if t.Elem().IsRegistry() {
		r.refuse(unsupported(0, "a text of %s in this statement", t.SQLName()))
	}
	paddedFields(r, n)
	meaning := r.meaning(n)
	return func(n *pg.Node) *pg.Node { return call("nd_text", n, meaning) }
}

// paddedFields gives values of char(n) in rows that are written out their blanks.
func paddedFields(r *rewriter, n *pg.Node) {
	for _, e := range n.GetAArrayExpr().GetElements() {
		paddedFields(r, e)
	}
	fields := n.GetRowExpr().GetArgs()
	for i, f := range fields {
		if width := r.widthOf(f); r.typeOf(f) == datum.Bpchar && width >= 4 {
			fields[i] = call("rpad", castTo(f, "text"), integer(int64(width-4)))
			continue
		}
		paddedFields(r, f)
	}
}

// refuse notes what has to be said of the statement where no error can be returned.
func (r *rewriter) refuse(err error) {
	if r.refused == nil {
		r.refused = err
	}
}

func (r *rewriter) textsOf(l []*pg.Node, shown bool) []func(*pg.Node) *pg.Node {
	out := make([]func(*pg.Node) *pg.Node, len(l))
	for i := range l {
		out[i] = r.textOf(l[i], shown)
	}
	return out
}

// specialConcat is concat and concat_ws.
func specialConcat(r *rewriter, f *pg.FuncCall) (finish, error) {
	forms := r.textsOf(f.Args, true)
	name := lastName(f.Funcname)
	return func(n *pg.Node) (*pg.Node, error) {
		a := n.GetFuncCall().Args
		for i := range a {
			a[i] = forms[i](a[i])
		}
		return renamed(n, name, a...), nil
	}, nil
}

// arrayToString is array_to_string(array, separator [, text for null]).
func arrayToString(r *rewriter, f *pg.FuncCall) (finish, error) {
	if n := len(f.Args); n != 2 && n != 3 {
		return nil, errorf("42883", f.Location, "function array_to_string(%s) does not exist", r.signature(f))
	}
	meaning := r.meaning(f.Args[0])
	return func(n *pg.Node) (*pg.Node, error) {
		a := n.GetFuncCall().Args
		missing := cast(null(), "VARCHAR")
		if len(a) == 3 {
			missing = cast(a[2], "VARCHAR")
		}
		return call("nd_array_to_string", a[0], meaning, cast(a[1], "VARCHAR"), missing), nil
	}, nil
}

// asJSON returns what makes the json of n, without null, when that is DuckDB's.
func (r *rewriter) asJSON(n *pg.Node) func(*pg.Node) *pg.Node {
	if _, isText := literal(n); isText {
		return func(n *pg.Node) *pg.Node { return call("nd_json", cast(n, "VARCHAR"), text("UTC")) }
	}
	r.paramIs(n, datum.Text)
	if r.writes(n) {
		r.takesText(n)
	}
	if r.typeOf(n) == datum.Bpchar && r.widthOf(n) < 0 && !r.tellsBlanks(n) {
		r.refuse(severalLengths())
	}
	r.namedFields(n)
	meaning := r.meaning(n)
	named := r.named(n)
	return func(n *pg.Node) *pg.Node { return call("nd_json", named(n), meaning) }
}

// named makes the names of an enum's values of them; of others it makes what they are.
func (r *rewriter) named(n *pg.Node) func(*pg.Node) *pg.Node {
	t, rel := r.typeOf(n), r.rowOf(n)
	return func(n *pg.Node) *pg.Node {
		out := n
		var err error
		if rel != nil {
			if slices.ContainsFunc(rel.columns, func(c column) bool { return !c.hidden && c.typ == numericList && c.modifier < 0 }) {
				r.refuse(manyScaled("json"))
			}
			out, err = r.namedRow(n, rel)
		} else if t.Elem().IsEnum() {
			out, err = enumTexts(n, t)
		}
		if err != nil {
			r.refuse(err)
		}
		return out
	}
}

// namedFields casts the values of enums in a row that is written out to their names, and gives
// those of char(n) their blanks.
func (r *rewriter) namedFields(n *pg.Node) {
	fields := n.GetRowExpr().GetArgs()
	for i, f := range fields {
		t := r.typeOf(f)
		if width := r.widthOf(f); t == datum.Bpchar && width >= 4 {
			fields[i] = call("rpad", castTo(f, "text"), integer(int64(width-4)))
			continue
		}
		if !t.Elem().IsEnum() {
			r.namedFields(f)
			continue
		}
		if fields[i] = castTo(f, "text"); t.IsArray() {
			fields[i] = castTo(f, "text[]")
		}
	}
}

// namedRow is a row with the names of the values of enums, and the json of those of composite
// types.
func (r *rewriter) namedRow(n *pg.Node, rel *relation) (*pg.Node, error) {
	update := []*pg.Node{n}
	for _, c := range rel.columns {
		if c.hidden || !c.typ.Elem().IsEnum() && !c.typ.IsComposite() {
			continue
		}
		value := call("struct_extract", clone(n), text(ident(c.name)))
		var err error
		if c.typ.IsComposite() {
			value = r.compositeJSON(value, c.typ)
		} else {
			value, err = enumTexts(value, c.typ)
		}
		if err != nil {
			return nil, err
		}
		update = append(update, &pg.Node{Node: &pg.Node_NamedArgExpr{NamedArgExpr: &pg.NamedArgExpr{Name: ident(c.name), Arg: value, Argnumber: -1, Location: -1}}})
	}
	if len(update) == 1 {
		return n, nil
	}
	isNull := &pg.Node{Node: &pg.Node_NullTest{NullTest: &pg.NullTest{Arg: clone(n), Nulltesttype: pg.NullTestType_IS_NULL, Location: -1}}}
	return &pg.Node{Node: &pg.Node_CaseExpr{CaseExpr: &pg.CaseExpr{Args: []*pg.Node{caseWhen(not(isNull), call("struct_update", update...))}, Location: -1}}}, nil
}

// orNull makes of a missing json that of a null.
func orNull(n *pg.Node) *pg.Node {
	return &pg.Node{Node: &pg.Node_CoalesceExpr{CoalesceExpr: &pg.CoalesceExpr{Args: []*pg.Node{cast(n, "VARCHAR"), text("null")}, Location: -1}}}
}

// jsonResult makes text that is json the result of a function of json or jsonb.
func jsonResult(name string, n *pg.Node) *pg.Node {
	if isJSONB(name) {
		return call("nd_jsonb", n, text(""))
	}
	return cast(n, "JSON")
}

func isJSONB(name string) bool { return resultTypes[name] == datum.JSONB }

// jsonOf is to_json and its like.
func jsonOf(r *rewriter, f *pg.FuncCall) (finish, error) {
	name := lastName(f.Funcname)
	if len(f.Args) != 1 {
		return nil, errorf("42883", f.Location, "function %s(%s) does not exist", name, r.signature(f))
	}
	if r.typeOf(f.Args[0]) == datum.JSONB {
		return firstArgument(r, f)
	}
	form := r.asJSON(f.Args[0])
	return func(n *pg.Node) (*pg.Node, error) {
		out := form(n.GetFuncCall().Args[0])
		if isJSONB(name) {
			out = jsonResult(name, out)
		}
		return out, nil
	}, nil
}

// jsonArray is json_build_array.
func jsonArray(r *rewriter, f *pg.FuncCall) (finish, error) {
	name := lastName(f.Funcname)
	forms := make([]func(*pg.Node) *pg.Node, len(f.Args))
	for i, a := range f.Args {
		forms[i] = r.asJSON(a)
	}
	return func(n *pg.Node) (*pg.Node, error) {
		parts := []*pg.Node{text("[")}
		for i, a := range n.GetFuncCall().Args {
			if i > 0 {
				parts = append(parts, text(", "))
			}
			parts = append(parts, orNull(forms[i](a)))
		}
		return jsonResult(name, call("concat", append(parts, text("]"))...)), nil
	}, nil
}

// key returns what makes the key of a member of an object, or an error for null.
func (r *rewriter) key(n *pg.Node, whenNull string) func(*pg.Node) *pg.Node {
	if _, isText := literal(n); isText {
		return func(n *pg.Node) *pg.Node {
			return call("nd_json_key", cast(n, "VARCHAR"), text("UTC"), text(whenNull))
		}
	}
	r.paramIs(n, datum.Text)
	meaning, named := r.meaning(n), r.named(n)
	return func(n *pg.Node) *pg.Node { return call("nd_json_key", named(n), meaning, text(whenNull)) }
}

// jsonObject is json_build_object.
func jsonObject(r *rewriter, f *pg.FuncCall) (finish, error) {
	name := lastName(f.Funcname)
	if len(f.Args)%2 != 0 {
		err := errorf("22023", 0, "argument list must have even number of elements")
		err.Hint = "The arguments of " + name + "() must consist of alternating keys and values."
		return nil, err
	}
	forms := make([]func(*pg.Node) *pg.Node, len(f.Args))
	for i := 0; i < len(f.Args); i += 2 {
		whenNull := "argument " + strconv.Itoa(i+1) + " cannot be null"
		if isJSONB(name) {
			whenNull = "argument " + strconv.Itoa(i+1) + ": key must not be null"
		}
		if f.Args[i].GetAConst().GetIsnull() {
			return nil, errorf("22023", 0, "%s", whenNull)
		}
		forms[i], forms[i+1] = r.key(f.Args[i], whenNull), r.asJSON(f.Args[i+1])
	}
	return func(n *pg.Node) (*pg.Node, error) {
		parts := []*pg.Node{text("{")}
		args := n.GetFuncCall().Args
		for i := 0; i < len(args); i += 2 {
			if i > 0 {
				parts = append(parts, text(", "))
			}
			parts = append(parts, forms[i](args[i]), text(" : "), orNull(forms[i+1](args[i+1])))
		}
		return jsonResult(name, call("concat", append(parts, text("}"))...)), nil
	}, nil
}

// jsonAgg is json_agg: a list of json first, whose elements are joined.
func jsonAgg(r *rewriter, f *pg.FuncCall) (finish, error) {
	name := lastName(f.Funcname)
	if len(f.Args) != 1 {
		return nil, errorf("42883", f.Location, "function %s(%s) does not exist", name, r.signature(f))
	}
	t := r.typeOf(f.Args[0])
	lines := t.IsArray() || r.rowOf(f.Args[0]) != nil || f.Args[0].GetRowExpr() != nil || isCompositeJSON(f.Args[0])
	if f.AggDistinct && !lines && !t.Elem().IsEnum() { // what is distinct are the values, not their json
		meaning := r.meaning(f.Args[0])
		return func(n *pg.Node) (*pg.Node, error) {
			list := renamed(n, "list", n.GetFuncCall().Args[0])
			return jsonResult(name, enclosed("[", call("nd_json_list", list, meaning), ", ", "]")), nil
		}, nil
	}
	form := r.asJSON(f.Args[0])
	return func(n *pg.Node) (*pg.Node, error) {
		element := form(n.GetFuncCall().Args[0])
		if lines { // each begins a line, but the first and nulls
			element = cast(call("nd_line", cast(element, "VARCHAR")), "VARCHAR")
		}
		list := renamed(n, "list", orNull(element))
		out := enclosed("[", list, ", ", "]")
		if lines {
			out = call("nd_lines", out)
		}
		return jsonResult(name, out), nil
	}, nil
}

// jsonObjectAgg is json_object_agg.
func jsonObjectAgg(r *rewriter, f *pg.FuncCall) (finish, error) {
	name := lastName(f.Funcname)
	if len(f.Args) != 2 {
		return nil, errorf("42883", f.Location, "function %s(%s) does not exist", name, r.signature(f))
	}
	key, form := r.key(f.Args[0], "field name must not be null"), r.asJSON(f.Args[1])
	return func(n *pg.Node) (*pg.Node, error) {
		args := n.GetFuncCall().Args
		list := renamed(n, "list", call("concat", key(args[0]), text(" : "), orNull(form(args[1]))))
		return jsonResult(name, enclosed("{ ", list, ", ", " }")), nil
	}, nil
}

// enclosed joins the texts of a list; of none there is none.
func enclosed(begin string, list *pg.Node, between, end string) *pg.Node {
	joined := call("nd_array_to_string", list, text("UTC"), text(between), cast(null(), "VARCHAR"))
	op := func(a, b *pg.Node) *pg.Node {
		return pg.MakeAExprNode(pg.A_Expr_Kind_AEXPR_OP, []*pg.Node{str("||")}, a, b, -1)
	}
	return op(op(text(begin), joined), text(end))
}
