package rewrite

import (
	"errors"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"

	"github.com/nodedb/nodedb/agent/internal/sql/builtin"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

type finish func(*pg.Node) (*pg.Node, error)

// beforeCast finds what a cast becomes.
func (r *rewriter) beforeCast(n *pg.Node, t *pg.TypeCast) (finish, error) {
	if after := r.castList(n); after != nil {
		return after, nil
	}
	if err := badModifiers(t.TypeName); err != nil {
		return nil, err
	}
	return r.soundCast(t)
}

// soundCast is beforeCast of a type that there can be.
func (r *rewriter) soundCast(t *pg.TypeCast) (finish, error) {
	name := lastName(t.TypeName.Names)
	if name == "jsonpath" {
		return pathCast(t)
	}
	to, _ := castType(t.TypeName)
	mod := typmod(to, t.TypeName)
	if _, ok := FrameType(to, mod); !ok {
		return catalogCast(t, name)
	}
	if ok, after, err := r.compositeCast(to, t); ok || err != nil {
		return after, err
	}
	if s, ok := literal(t.Arg); ok {
		n, err := r.castLiteral(to, mod, s, t)
		return func(*pg.Node) (*pg.Node, error) { return n, nil }, err
	}
	if c := t.Arg.GetAConst(); c.GetFval() != nil && to.IsFloat() {
		n, err := r.typedLiteral(to, c.GetFval().Fval, t.Location)
		return func(*pg.Node) (*pg.Node, error) { return n, nil }, err
	}
	if to == datum.Numeric && mod < 0 {
		if c := t.Arg.GetAConst(); c.GetFval() != nil {
			return func(n *pg.Node) (*pg.Node, error) { return n.GetTypeCast().Arg, nil }, nil
		}
	}
	if a := t.Arg.GetAArrayExpr(); a != nil {
		if len(a.Elements) == 0 {
			r.made[t.Arg] = true // its type is said
		}
		castElements(a, t.TypeName)
	}
	if after, err := r.numericCast(to, mod, t); after != nil || err != nil {
		return after, err
	}
	from := r.typeOf(t.Arg)
	if names, _ := fieldNames(&pg.ColumnRef{Fields: t.Arg.GetColumnRef().GetFields()}); lastOf(names) == "tableoid" && from == datum.Unknown {
		return nil, errorf("42703", t.Arg.GetColumnRef().Location, "column \"tableoid\" does not exist")
	}
	if name := clockCast(from, to, t); name != "" {
		return r.castCall(name, t)
	}
	if !datum.Castable(from, to) {
		return nil, errorf("42846", t.Location, "cannot cast type %s to %s", from.SQLName(), to.SQLName())
	}
	if after, err := r.registryCast(from, to, t); after != nil || err != nil {
		return after, err
	}
	if from == datum.Numeric && r.writes(t.Arg) && !opaque(to) {
		if after, err := r.writtenCast(to, mod, t); after != nil || err != nil {
			return after, err
		}
	}
	if after, err := r.elementsCast(from, to, t); after != nil || err != nil {
		return after, err
	}
	if r.castElsewhere(from, to, t) {
		if to == datum.Numeric && numericType(mod) != numericType(-1) {
			return r.scaledCast(to, mod, t)
		}
		return r.castCall(builtin.CastName(to, mod), t)
	}
	if to == datum.Numeric && from == to && mod < 0 {
		return func(n *pg.Node) (*pg.Node, error) { return n.GetTypeCast().Arg, nil }, nil
	}
	asText := r.textOf(t.Arg, to == datum.Name && from == datum.Bool) // t and f: of name there is no cast but by what is shown
	return func(n *pg.Node) (*pg.Node, error) {
		arg := n.GetTypeCast().Arg
		if to.IsString() && !from.IsVector() && !opaque(from) {
			arg, from = asText(arg), datum.Text
		}
		return castNode(arg, from, to, mod, t.TypeName)
	}, nil
}

// badModifiers refuses modifiers that a type cannot have.
func badModifiers(t *pg.TypeName) error {
	var wrong *syntax.Error
	if _, err := syntax.ConvertType(t); errors.As(err, &wrong) && wrong.Code == "22023" {
		return errorf(wrong.Code, t.Location, "%s", wrong.Message)
	}
	return nil
}

// elementsCast is a cast of an array to one with a modifier, which is that of its elements; nil:
// it is another.
func (r *rewriter) elementsCast(from, to datum.Type, t *pg.TypeCast) (finish, error) {
	if !from.IsArray() || !to.IsArray() || len(t.TypeName.Typmods) == 0 || to.Elem() == datum.Bpchar {
		return nil, nil
	}
	if to.Elem() == datum.Numeric {
		return nil, unsupported(t.Location, "a cast to an array of numeric of a precision in this statement")
	}
	return r.castCall(builtin.CastName(to, typmod(to.Elem(), t.TypeName)), t)
}

// castElements casts the literals of an array that is cast: they are read as what it is cast to.
func castElements(a *pg.A_ArrayExpr, t *pg.TypeName) {
	if len(t.ArrayBounds) == 0 {
		return
	}
	for i, e := range a.Elements {
		if _, isText := literal(e); isText || e.GetAConst().GetIsnull() {
			of := proto.CloneOf(t)
			of.ArrayBounds = nil
			a.Elements[i] = &pg.Node{Node: &pg.Node_TypeCast{TypeCast: &pg.TypeCast{Arg: e, TypeName: of, Location: e.GetAConst().Location}}}
		}
	}
}

// writtenCast is the cast of a numeric that is a text; nil: it is as that of a decimal.
func (r *rewriter) writtenCast(to datum.Type, mod int32, t *pg.TypeCast) (finish, error) {
	switch {
	case to.IsString():
		r.takesText(t.Arg)
	case to == datum.Numeric && mod < 0:
		if r.accepts {
			r.takesText(t.Arg)
		}
	case to == datum.Numeric && numericType(mod) != numericType(-1): // of that scale to the engine
		r.accepts = false
		return r.scaledCast(to, mod, t)
	case to.IsNumber():
		return r.castCall(builtin.CastName(to, mod), t)
	}
	return nil, nil
}

// scaledCast is the cast of what package builtin reads to a numeric that has a scale, which is a
// decimal of that to the engine.
func (r *rewriter) scaledCast(to datum.Type, mod int32, t *pg.TypeCast) (finish, error) {
	after, err := r.castCall(builtin.CastName(to, mod), t)
	if after == nil || err != nil {
		return nil, err
	}
	return func(n *pg.Node) (*pg.Node, error) {
		out, err := after(n)
		return cast(out, numericType(mod).SQL()), err
	}, nil
}

// numericCast is the cast of a constant to a numeric of a precision.
func (r *rewriter) numericCast(to datum.Type, mod int32, t *pg.TypeCast) (finish, error) {
	if to != datum.Numeric || mod < 0 {
		return nil, nil
	}
	if v, ok := r.constantValue(t.Arg); ok && v.Type.IsNumber() && !v.Null {
		if v, ok = r.as(v, to); ok {
			v, err := datum.ApplyModifier(v, mod, true)
			n, err := r.constantNode(v, err, t.Location)
			return func(*pg.Node) (*pg.Node, error) { return n, nil }, err
		}
	}
	if scale := (mod - 4) & 0x7ff; scale > (mod-4)>>16&0xffff { // or it is negative
		return nil, unsupported(t.Location, "a cast to a numeric of such a scale in this statement")
	}
	return nil, nil
}

// castCall makes a cast a call of a function of package builtin.
func (r *rewriter) castCall(name string, t *pg.TypeCast) (finish, error) {
	f := &pg.FuncCall{Funcname: []*pg.Node{str(name)}, Args: []*pg.Node{t.Arg}, Funcformat: pg.CoercionForm_COERCE_EXPLICIT_CALL, Location: t.Location}
	pad := r.padded(t.Arg)
	after, err := r.builtinFunction(f, name)
	if after == nil || err != nil {
		return nil, err
	}
	return func(n *pg.Node) (*pg.Node, error) {
		if f.Args[0] = n.GetTypeCast().Arg; pad != nil {
			f.Args[0] = pad(f.Args[0])
		}
		return after(&pg.Node{Node: &pg.Node_FuncCall{FuncCall: f}})
	}, nil
}

// clockCast is the function that a cast between times of day and intervals is; "": the
// cast is another.
func clockCast(from, to datum.Type, t *pg.TypeCast) string {
	switch {
	case len(t.TypeName.Typmods) > 0:
	case from == datum.Time && to == datum.Interval:
		return "interval"
	case from == datum.Interval && to == datum.Time:
		return "time"
	}
	return ""
}

// castElsewhere reports whether a cast is not the engine's: it reads other texts and json
// than PostgreSQL, and fails otherwise.
func (r *rewriter) castElsewhere(from, to datum.Type, t *pg.TypeCast) bool {
	if from == datum.Int4 && to == datum.Char {
		return true
	}
	if opaque(from) || opaque(to) || to.IsString() || from == to && len(t.TypeName.Typmods) == 0 || to == datum.JSON {
		return false
	}
	switch {
	case len(t.TypeName.Typmods) > 0 && (precise(to) || to == datum.Interval):
		return from == to || from.IsString() || from.IsDateTime()
	case from.IsString():
		return readable(to.Elem())
	case from == datum.JSONB:
		return to == datum.Bool || to.IsNumber()
	case from == datum.Numeric && to.IsInt():
		_, ok := r.constantValue(t.Arg)
		return ok
	case from == datum.Date && (to == datum.Timestamp || to == datum.Timestamptz):
		_, ok := r.constantValue(t.Arg)
		return ok
	case from.IsFloat():
		return to.IsInt() || to == datum.Numeric || from == datum.Float8 && to == datum.Float4
	case from == datum.Timestamp || from == datum.Timestamptz:
		return to == datum.Time
	case from.IsArray() && to.IsArray():
		return readable(from.Elem()) && readable(to.Elem()) && from.Elem() != to.Elem() && !(from.Elem().IsInt() && to.Elem().IsInt())
	}
	return false
}

// readable reports whether texts are read as values of a type by package builtin.
func readable(t datum.Type) bool {
	switch t {
	case datum.Bool, datum.Bytea, datum.UUID, datum.Date, datum.Timestamp, datum.Timestamptz, datum.JSONB, datum.Time, datum.Interval, datum.Timetz, datum.Text:
		return true
	}
	return t.IsInt() || t.IsFloat() || t == datum.Numeric
}

// catalogCast lets through the types that only catalogs have.
func catalogCast(t *pg.TypeCast, name string) (finish, error) {
	to := ""
	switch name {
	case "citext", "cstring", "txid_snapshot":
		to = "VARCHAR"
	default:
		if hint, known := datum.UnsupportedType(name); known {
			err := unsupported(t.Location, "type %s", name)
			err.Hint = hint
			return nil, err
		}
		return nil, errorf("42704", t.Location, "type \"%s\" does not exist", name)
	}
	if len(t.TypeName.ArrayBounds) > 0 {
		to += "[]"
	}
	return func(n *pg.Node) (*pg.Node, error) { return cast(n.GetTypeCast().Arg, to), nil }, nil
}

func (r *rewriter) castLiteral(to datum.Type, mod int32, s string, t *pg.TypeCast) (*pg.Node, error) {
	n, err := r.typedLiteral(to, s, t.Location)
	if datum.AtHand(to, s) {
		if len(t.TypeName.Typmods) > 0 {
			return nil, unsupported(t.Location, "a precision of '%s'", s)
		}
		return n, err
	}
	if to.IsBits() && mod >= 0 {
		d, err := datum.ParseText(to, s, nil)
		if err == nil {
			d, err = datum.ApplyModifier(d, mod, true)
		}
		return r.constantNode(d, err, t.Location)
	}
	if mods := t.TypeName.Typmods; len(mods) > 0 && (to == datum.Interval || precise(to)) {
		n, err = r.timeLiteral(to, s, t)
	}
	if err != nil {
		return nil, err
	}
	if to == datum.Numeric && mod >= 0 || isCharacter(to, t.TypeName) {
		return castNode(n, to, to, mod, t.TypeName)
	}
	return n, nil
}

// precise says whether the type may have a number of digits of a second.
func precise(t datum.Type) bool {
	return t == datum.Timestamp || t == datum.Timestamptz || t == datum.Time || t == datum.Timetz
}

// modifiers are the numbers of a type's modifier.
func modifiers(t *pg.TypeName) []int32 {
	var out []int32
	for _, m := range t.Typmods {
		out = append(out, m.GetAConst().GetIval().GetIval())
	}
	return out
}

// timeLiteral makes a constant of a type with fields or a precision.
func (r *rewriter) timeLiteral(to datum.Type, s string, t *pg.TypeCast) (*pg.Node, error) {
	mods := modifiers(t.TypeName)
	if to != datum.Interval {
		d, err := r.reading().Parse(to, s)
		return r.constantNode(datum.RoundTime(d, mods[0]), err, t.Location)
	}
	d, err := datum.ParseIntervalFields(s, mods[0])
	const exact = 6
	if len(mods) > 1 && mods[1] < exact && err == nil {
		d = datum.RoundTime(d, mods[1])
	}
	return r.constantNode(d, err, t.Location)
}

// isCharacter says whether the type is text of a limited length.
func isCharacter(to datum.Type, t *pg.TypeName) bool {
	return (to == datum.Varchar || to == datum.Bpchar) && len(t.Typmods) == 1
}

// How many digits smallint, integer and bigint have at most.
const (
	smallintDigits = 5
	integerDigits  = 10
	bigintDigits   = 19
)

// castNode casts a rewritten expression.
func castNode(n *pg.Node, from, to datum.Type, mod int32, t *pg.TypeName) (*pg.Node, error) {
	f, _ := FrameType(to, mod)
	switch {
	case opaque(from) || opaque(to):
		return opaqueCast(n, from, to, t)
	case (to == datum.OID || to.IsRegistry()) && from == datum.Int8:
		return call("nd_oid", n), nil
	case (to == datum.OID || to.IsRegistry()) && from.IsInt():
		return call("nd_oid_of_int", n), nil
	case to == datum.Int4 && (from == datum.OID || from.IsRegistry()):
		return call("nd_int_of_oid", n), nil
	case to.IsString() && from.IsVector():
		return call("array_to_string", n, text(" ")), nil
	case isCharacter(to, t):
		n = call("left", cast(n, "VARCHAR"), t.Typmods[0])
		if to == datum.Bpchar {
			n = unpadded(n)
		}
		return n, nil
	case to == datum.Bpchar && from != datum.Bpchar:
		return unpadded(cast(n, "VARCHAR")), nil
	case to == datum.Char && from != datum.Char:
		return call("left", cast(n, "VARCHAR"), integer(1)), nil
	case to == datum.JSONB && (from.IsString() || from == datum.JSON || from == datum.Unknown):
		return call("nd_jsonb", n, text("")), nil
	case to == datum.Bytea && from.IsString():
		return call("encode", n), nil
	case to == datum.Interval && len(t.Typmods) > 0:
		return nil, unsupported(t.Location, "a cast to an interval of certain fields")
	case precise(to) && len(t.Typmods) > 0 && modifiers(t)[0] < 6: // of what is not known to be a time
		return nil, unsupported(t.Location, "a cast to a precision of seconds")
	case to == datum.Numeric && mod >= 4 && (mod-4)>>16&0xffff > 38:
		return nil, unsupported(t.Location, "numeric of over 38 digits")
	case to == datum.Numeric && mod < 4 && from.IsInt(): // of no digits behind the point, which the free scale would not say
		f.Width, f.Scale = bigintDigits, 0
	}
	return cast(n, f.SQL()), nil
}

// unpadded is a char(n) as DuckDB has it: without the blanks at its end.
func unpadded(n *pg.Node) *pg.Node { return call("rtrim", n, text(" ")) }

// padded is a char(n) with its blanks, which LIKE and its kin see.
func (r *rewriter) padded(n *pg.Node) func(*pg.Node) *pg.Node {
	width := r.widthOf(n)
	switch {
	case r.typeOf(n) != datum.Bpchar:
		return nil
	case width < 0: // several
		if !r.tellsBlanks(n) {
			r.refuse(severalLengths())
		}
		return func(n *pg.Node) *pg.Node { return n }
	}
	return func(n *pg.Node) *pg.Node { return call("rpad", n, integer(int64(width-4)), text(" ")) }
}

// lookup returns what makes (SELECT column FROM table WHERE oid = arg); nil if
// there is no such catalog table.
func (r *rewriter) lookup(table, column string) (func(arg *pg.Node) *pg.Node, error) {
	return r.lookupBy(table, "oid", column)
}

func (r *rewriter) lookupBy(table, key, column string) (func(arg *pg.Node) *pg.Node, error) {
	find, _, err := r.lookupIn(table, key, column)
	return find, err
}

// lookupIn is lookupBy, and the relation in which it looks.
func (r *rewriter) lookupIn(table, key, column string) (func(arg *pg.Node) *pg.Node, *relation, error) {
	found, ok := r.in.Resolve("pg_catalog", table)
	if !ok {
		return nil, nil, nil
	}
	item, rel, err := r.scanOf(found, "nd_catalog", nil)
	if err != nil {
		return nil, nil, err
	}
	field := func(relation, name string) *pg.Node {
		return pg.MakeColumnRefNode([]*pg.Node{str(relation), str(name)}, -1)
	}
	selecting := func(target, from, where *pg.Node, more ...*pg.Node) *pg.SelectStmt {
		return &pg.SelectStmt{TargetList: append([]*pg.Node{target}, more...), FromClause: []*pg.Node{from}, WhereClause: where,
			LimitOption: pg.LimitOption_LIMIT_OPTION_DEFAULT, Op: pg.SetOperation_SETOP_NONE}
	}
	// Under names that arg cannot have, or it would be a column of the catalog.
	inner := &pg.Node{Node: &pg.Node_RangeSubselect{RangeSubselect: &pg.RangeSubselect{Alias: &pg.Alias{Aliasname: "nd_lookup"},
		Subquery: selectNode(selecting(pg.MakeResTargetNodeWithNameAndVal("nd_key", field(rel.name, key), -1), item, nil,
			pg.MakeResTargetNodeWithNameAndVal("nd_value", field(rel.name, column), -1)))}}}
	return func(arg *pg.Node) *pg.Node {
		equal := pg.MakeAExprNode(pg.A_Expr_Kind_AEXPR_OP, []*pg.Node{str("=")}, field("nd_lookup", "nd_key"), arg, -1)
		sub := selecting(pg.MakeResTargetNodeWithVal(field("nd_lookup", "nd_value"), -1), inner, equal)
		return &pg.Node{Node: &pg.Node_SubLink{SubLink: &pg.SubLink{
			SubLinkType: pg.SubLinkType_EXPR_SUBLINK, Subselect: selectNode(sub), Location: -1,
		}}}
	}, rel, nil
}

// definition is pg_get_indexdef(oid, 0, pretty) and pg_get_constraintdef(oid,
// pretty); the definition of a single column of an index is not told.
func definition(r *rewriter, f *pg.FuncCall) (finish, error) {
	if len(f.Args) == 0 {
		return nil, errorf("42883", f.Location, "function %s() does not exist", lastName(f.Funcname))
	}
	if len(f.Args) > 2 {
		if c := f.Args[1].GetAConst(); c == nil || c.GetIval().GetIval() != 0 {
			return indexColumn(r, f)
		}
	}
	if _, isText := literal(f.Args[0]); lastName(f.Funcname) == "pg_get_viewdef" && (isText || r.typeOf(f.Args[0]).IsString()) { // a name, not an OID
		f.Args[0] = &pg.Node{Node: &pg.Node_TypeCast{TypeCast: &pg.TypeCast{Arg: f.Args[0], TypeName: &pg.TypeName{Names: []*pg.Node{str("regclass")}, Typemod: -1, Location: -1}, Location: -1}}}
	}
	text := "definition"
	if f.Args[len(f.Args)-1].GetAConst().GetBoolval().GetBoolval() {
		text = "pretty"
	}
	find, err := r.lookup("nd_definition", text)
	if err != nil || find == nil {
		return noText(r, f)
	}
	return func(n *pg.Node) (*pg.Node, error) { return find(n.GetFuncCall().Args[0]), nil }, nil
}

// updatable is pg_relation_is_updatable(oid, triggers) and pg_column_is_updatable(oid, column,
// triggers): columns are if rows can be changed and deleted.
func updatable(r *rewriter, f *pg.FuncCall) (finish, error) {
	find, err := r.lookup("nd_updatable", "events")
	if err != nil || find == nil || len(f.Args) < 2 || len(f.Args) > 3 {
		return noNumber(r, f)
	}
	return func(n *pg.Node) (*pg.Node, error) {
		args := n.GetFuncCall().Args
		operator := func(name string, a, b *pg.Node) *pg.Node {
			return pg.MakeAExprNode(pg.A_Expr_Kind_AEXPR_OP, []*pg.Node{str(name)}, a, b, -1)
		}
		null := operator("-", clone(args[0]), clone(args[0])) // of what is null
		events := cast(&pg.Node{Node: &pg.Node_CoalesceExpr{CoalesceExpr: &pg.CoalesceExpr{Args: []*pg.Node{find(args[0]), null}, Location: -1}}}, "INTEGER")
		if len(args) == 2 {
			return events, nil
		}
		all := operator(">", events, integer(0))
		return pg.MakeBoolExprNode(pg.BoolExprType_AND_EXPR, []*pg.Node{all, operator(">", args[1], integer(0))}, -1), nil
	}, nil
}

// functionText is pg_get_functiondef(oid) and its like.
func functionText(column string) special {
	return func(r *rewriter, f *pg.FuncCall) (finish, error) {
		find, err := r.lookup("nd_function", column)
		if err != nil || find == nil || len(f.Args) != 1 {
			return noText(r, f)
		}
		return func(n *pg.Node) (*pg.Node, error) { return find(n.GetFuncCall().Args[0]), nil }, nil
	}
}

// indexColumn is pg_get_indexdef(oid, column, pretty): the whole for column 0.
func indexColumn(r *rewriter, f *pg.FuncCall) (finish, error) {
	find, err := r.lookup("nd_index_column", "definition")
	if err != nil || find == nil {
		return noText(r, f)
	}
	return byColumn(find), nil
}

// typeName returns what makes the name of the type with an OID and a modifier, or else what
// unknown makes of the OID: the catalogs know those types that users have made.
func (r *rewriter) typeName(unknown func(oid *pg.Node) *pg.Node) (func(oid, modifier *pg.Node) *pg.Node, error) {
	find, err := r.lookup("nd_regtype", "name")
	return func(oid, modifier *pg.Node) *pg.Node {
		args := []*pg.Node{call("nd_format_type", clone(oid), modifier)}
		if find != nil {
			args = append(args, find(clone(oid)))
		}
		return &pg.Node{Node: &pg.Node_CoalesceExpr{CoalesceExpr: &pg.CoalesceExpr{Args: append(args, unknown(oid)), Location: -1}}}
	}, err
}

// formatType is format_type(oid, typmod).
func formatType(r *rewriter, f *pg.FuncCall) (finish, error) {
	if len(f.Args) != 2 {
		return nil, errorf("42883", f.Location, "function format_type of %d arguments does not exist", len(f.Args))
	}
	named, err := r.typeName(func(oid *pg.Node) *pg.Node { // null of null
		return pg.MakeAExprNode(pg.A_Expr_Kind_AEXPR_OP, []*pg.Node{str("||")}, text("???"), call("left", cast(oid, "VARCHAR"), integer(0)), -1)
	})
	return func(n *pg.Node) (*pg.Node, error) {
		args := n.GetFuncCall().Args
		return named(args[0], args[1]), nil
	}, err
}

// splitName splits what a regclass literal holds.
func splitName(s string) (schema, name string) {
	unquote := func(p string) string {
		if len(p) > 1 && p[0] == '"' && p[len(p)-1] == '"' {
			return strings.ReplaceAll(p[1:len(p)-1], `""`, `"`)
		}
		return strings.ToLower(p)
	}
	if i := strings.LastIndexByte(s, '.'); i > 0 && !strings.HasSuffix(s[:i], `"."`) {
		return unquote(s[:i]), unquote(s[i+1:])
	}
	return "", unquote(s)
}
