package rewrite

import (
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// family tells the types whose values PostgreSQL compares with each other, and brings to
// one type where alternatives are put together; 0: this does not say.
func family(t datum.Type) int {
	switch {
	case t == datum.Unknown || t.IsArray():
		return 0
	case t.IsEnum(): // each for itself
		return int(t)
	case t.IsNumber() || t == datum.OID:
		return 1
	case t.IsString():
		return 2
	case t.IsDateTime():
		return 3
	case t == datum.Time || t == datum.Timetz || t == datum.Interval:
		return 4
	case t.IsInet():
		return 5
	case t.IsBits():
		return 6
	}
	switch t {
	case datum.Bool, datum.UUID, datum.Bytea, datum.JSON, datum.JSONB:
		return 7 + int(t)
	}
	return 0
}

// apart reports whether two types are known, and of different families. An array has the
// operators that two of one type have.
func apart(a, b datum.Type) bool {
	if a == datum.Unknown || b == datum.Unknown || a.IsVector() || b.IsVector() {
		return false
	}
	if a.IsArray() || b.IsArray() {
		return a != b && (a.IsArray() != b.IsArray() || family(a.Elem()) != 0 && family(b.Elem()) != 0)
	}
	x, y := family(a), family(b)
	return x != 0 && y != 0 && x != y
}

func noOperator(location int32, op string, left, right datum.Type) *Error {
	err := errorf("42883", location, "operator does not exist: %s %s %s", left.SQLName(), op, right.SQLName())
	err.Hint = "No operator matches the given name and argument types. You might need to add explicit type casts."
	return err
}

// comparable refuses comparisons that PostgreSQL has not: DuckDB would convert one side.
func (r *rewriter) comparable(e *pg.A_Expr) error {
	op := lastName(e.Name)
	if e.Lexpr == nil {
		if t := r.typeOf(e.Rexpr); e.Kind == pg.A_Expr_Kind_AEXPR_OP && t != datum.Unknown && !prefixed(op, t) {
			err := errorf("42883", e.Location, "operator does not exist: %s %s", op, t.SQLName())
			err.Hint = "No operator matches the given name and argument type. You might need to add an explicit type cast."
			return err
		}
		return r.decided(e, op)
	}
	left, right := r.typeOf(e.Lexpr), r.typeOf(e.Rexpr)
	switch e.Kind {
	case pg.A_Expr_Kind_AEXPR_OP:
		lists := left.IsArray() && right.IsArray() && (op == "@>" || op == "<@" || op == "&&")
		if (compares(op) || lists) && apart(left, right) {
			return noOperator(e.Location, op, left, right)
		}
		return r.decided(e, op)
	case pg.A_Expr_Kind_AEXPR_DISTINCT, pg.A_Expr_Kind_AEXPR_NOT_DISTINCT, pg.A_Expr_Kind_AEXPR_NULLIF:
		if apart(left, right) {
			return noOperator(e.Location, "=", left, right)
		}
	case pg.A_Expr_Kind_AEXPR_IN:
		for _, item := range e.Rexpr.GetList().GetItems() {
			if t := r.typeOf(item); apart(left, t) {
				return noOperator(e.Location, op, left, t)
			}
		}
	case pg.A_Expr_Kind_AEXPR_BETWEEN, pg.A_Expr_Kind_AEXPR_BETWEEN_SYM, pg.A_Expr_Kind_AEXPR_NOT_BETWEEN, pg.A_Expr_Kind_AEXPR_NOT_BETWEEN_SYM:
		ops := []string{">=", "<="}
		if e.Kind == pg.A_Expr_Kind_AEXPR_NOT_BETWEEN || e.Kind == pg.A_Expr_Kind_AEXPR_NOT_BETWEEN_SYM {
			ops = []string{"<", ">"}
		}
		for i, bound := range e.Rexpr.GetList().GetItems() {
			if t := r.typeOf(bound); i < len(ops) && apart(left, t) {
				return noOperator(e.Location, ops[i], left, t)
			}
		}
	case pg.A_Expr_Kind_AEXPR_OP_ANY, pg.A_Expr_Kind_AEXPR_OP_ALL:
		if elem := r.elementOf(e.Rexpr); compares(op) && left.IsArray() && elem != datum.Unknown {
			return noOperator(e.Location, op, left, elem)
		}
		if compares(op) && right.IsArray() && family(right.Elem()) != 0 && !left.IsArray() && apart(left, right.Elem()) {
			return noOperator(e.Location, op, left, right.Elem())
		}
	default:
	}
	return nil
}

// prefixed reports whether values of a type may have an operator in front.
func prefixed(op string, t datum.Type) bool {
	switch op {
	case "+", "@", "|/", "||/":
		return t.IsNumber()
	case "-":
		return t.IsNumber() || t == datum.Interval
	case "~":
		return t.IsInt() || t.IsBits() || t == datum.Inet
	}
	return true
}

// elementOf is the type of the elements of an array, be it one of arrays.
func (r *rewriter) elementOf(n *pg.Node) datum.Type {
	if t := r.typeOf(n); t.IsArray() {
		return t.Elem()
	}
	for _, e := range n.GetAArrayExpr().GetElements() {
		if t := r.typeOf(e); t.IsArray() {
			return t.Elem()
		}
	}
	return datum.Unknown
}

// decided refuses operators whose operands are both literals where there are several of the
// name that take them.
func (r *rewriter) decided(e *pg.A_Expr, op string) error {
	_, right := literal(e.Rexpr)
	if e.Lexpr == nil {
		if right && (op == "+" || op == "@") { // of double precision, which is preferred
			return r.typeLiteral(&e.Rexpr, datum.Float8)
		}
		if right && (op == "-" || op == "~") {
			return notUnique(e.Location, op+" unknown")
		}
		return nil
	}
	_, left := literal(e.Lexpr)
	switch op {
	case "+", "-", "*", "/", "%", "&", "|", "#", "@>", "<@", "&&", "#>", "#>>":
	case "->", "->>":
		if left && r.typeOf(e.Rexpr).IsInt() {
			return notUnique(e.Location, "unknown "+op+" "+r.typeOf(e.Rexpr).SQLName())
		}
	default:
		return nil
	}
	if left && right {
		return notUnique(e.Location, "unknown "+op+" unknown")
	}
	return nil
}

func notUnique(location int32, signature string) *Error {
	err := errorf("42725", location, "operator is not unique: %s", signature)
	err.Hint = "Could not choose a best candidate operator. You might need to add explicit type casts."
	return err
}

// condition refuses what is no truth value; DuckDB would convert it.
func (r *rewriter) condition(n *pg.Node, of string) error {
	if t := r.typeOf(n); n != nil && t != datum.Unknown && t != datum.Bool {
		return errorf("42804", 0, "argument of %s must be type boolean, not type %s", of, t.SQLName())
	}
	return nil
}

// conditions looks at those within an expression.
func (r *rewriter) conditions(n *pg.Node) error {
	switch x := n.Node.(type) {
	case *pg.Node_BoolExpr:
		op := strings.TrimSuffix(x.BoolExpr.Boolop.String(), "_EXPR")
		for _, a := range x.BoolExpr.Args {
			if err := r.condition(a, op); err != nil {
				return err
			}
		}
	case *pg.Node_CaseExpr:
		if x.CaseExpr.Arg != nil {
			return r.comparedCase(x.CaseExpr)
		}
		for _, w := range x.CaseExpr.Args {
			if err := r.condition(w.GetCaseWhen().GetExpr(), "CASE/WHEN"); err != nil {
				return err
			}
		}
	case *pg.Node_BooleanTest:
		return r.condition(x.BooleanTest.Arg, strings.ReplaceAll(x.BooleanTest.Booltesttype.String(), "_", " "))
	}
	return nil
}

// comparedCase refuses CASE x WHEN y of types that have no operator in common.
func (r *rewriter) comparedCase(c *pg.CaseExpr) error {
	of := r.typeOf(c.Arg)
	if _, ok := literal(c.Arg); ok {
		of = datum.Text
	}
	for _, w := range c.Args {
		if t := r.typeOf(w.GetCaseWhen().GetExpr()); apart(of, t) {
			return noOperator(c.Location, "=", of, t)
		}
	}
	return nil
}

// matched refuses alternatives of types that have none in common.
func (r *rewriter) matched(of string, a, b datum.Type) error {
	if !apart(a, b) || a.IsArray() && b.IsArray() && family(a.Elem()) == family(b.Elem()) {
		return nil
	}
	return errorf("42804", 0, "%s types %s and %s cannot be matched", of, a.SQLName(), b.SQLName())
}

// alternatives refuses results of CASE and the like that have no type in common.
func (r *rewriter) alternatives(of string, l []*pg.Node) error {
	first := datum.Unknown
	for _, n := range l {
		t := r.typeOf(n)
		if err := r.matched(of, first, t); err != nil {
			return err
		}
		if first == datum.Unknown {
			first = t
		}
	}
	return nil
}

// plain reports whether the relation is a table without an alias: such may be of one name,
// of two schemas.
func (r *relation) plain() bool { return r.scan != nil && r.name == r.scan.Table.Name }

// distinctNames refuses two FROM items of one name.
func distinctNames(rels []*relation) error {
	for i, a := range rels {
		if a.name == "" {
			continue
		}
		for _, b := range rels[:i] {
			if a.name == b.name && !(a.plain() && b.plain() && a.scan.Table.OID != b.scan.Table.OID) {
				return errorf("42712", 0, "table name \"%s\" specified more than once", a.name)
			}
		}
	}
	return nil
}

// sortable refuses ORDER BY of what is not selected where only that may be named.
func sortable(s *pg.SelectStmt) error {
	if err := ambiguous(s); err != nil {
		return err
	}
	if len(s.DistinctClause) == 0 || s.Op != pg.SetOperation_SETOP_NONE {
		return nil
	}
	var selected []string
	for _, n := range s.TargetList {
		t := n.GetResTarget()
		if names, star := fieldNames(&pg.ColumnRef{Fields: t.GetVal().GetColumnRef().GetFields()}); star {
			return nil
		} else if len(names) > 0 {
			selected = append(selected, names[len(names)-1])
		}
		selected = append(selected, t.GetName(), FigureName(t.GetVal()))
	}
	var first []string // what DISTINCT ON names
	for _, n := range s.DistinctClause {
		ref := n.GetColumnRef()
		if ref == nil && n.GetNode() != nil {
			return nil
		}
		if names, star := fieldNames(&pg.ColumnRef{Fields: ref.GetFields()}); !star && len(names) > 0 {
			first = append(first, names[len(names)-1])
		}
	}
	for i, n := range s.SortClause {
		ref := n.GetSortBy().GetNode().GetColumnRef()
		if ref == nil {
			continue
		}
		names, _ := fieldNames(ref)
		name := lastOf(names)
		switch {
		case len(first) == 0 && !slices.Contains(selected, name):
			return errorf("42P10", ref.Location, "for SELECT DISTINCT, ORDER BY expressions must appear in select list")
		case i < len(first) && !slices.Contains(first, name):
			return errorf("42P10", ref.Location, "SELECT DISTINCT ON expressions must match initial ORDER BY expressions")
		}
	}
	return nil
}

func lastOf(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return names[len(names)-1]
}

// ambiguous refuses ORDER BY of a name that several columns of the result have.
func ambiguous(s *pg.SelectStmt) error {
	for _, n := range s.SortClause {
		ref := n.GetSortBy().GetNode().GetColumnRef()
		names, star := fieldNames(&pg.ColumnRef{Fields: ref.GetFields()})
		if star || len(names) != 1 {
			continue
		}
		var first *pg.ResTarget
		for _, t := range s.TargetList {
			t := t.GetResTarget()
			name := t.GetName()
			if name == "" && t.GetVal().GetColumnRef() == nil {
				name = FigureName(t.GetVal())
			} else if name == "" {
				fields, _ := fieldNames(t.GetVal().GetColumnRef())
				name = lastOf(fields)
			}
			if name != names[0] {
				continue
			}
			if first == nil {
				first = t
			} else if !alike(first.Val, t.Val) {
				return errorf("42702", ref.Location, "ORDER BY \"%s\" is ambiguous", names[0])
			}
		}
	}
	return nil
}

// alike reports whether two expressions may be the same one.
func alike(a, b *pg.Node) bool {
	x, y := a.GetColumnRef(), b.GetColumnRef()
	if x == nil || y == nil {
		return proto.Equal(placeless(a), placeless(b))
	}
	namesX, starX := fieldNames(x)
	namesY, starY := fieldNames(y)
	if starX || starY || len(namesX) != len(namesY) {
		return lastOf(namesX) == lastOf(namesY)
	}
	return slices.Equal(namesX, namesY)
}

// positions refuses numbers of columns that there are not.
func positions(l []*pg.Node, of string, cols columns) error {
	for _, n := range l {
		if s := n.GetSortBy(); s != nil {
			n = s.Node
		}
		if within := append(n.GetGroupingSet().GetContent(), n.GetRowExpr().GetArgs()...); of == "GROUP BY" && len(within) > 0 {
			if err := positions(within, of, cols); err != nil {
				return err
			}
		}
		_, ok := n.GetAConst().GetVal().(*pg.A_Const_Ival)
		if n.GetAConst() != nil && !ok && !n.GetAConst().Isnull {
			return errorf("42601", n.GetAConst().Location, "non-integer constant in %s", of)
		}
		if at := int(n.GetAConst().GetIval().GetIval()); ok && cols.known && (at < 1 || at > len(cols.list)) {
			return errorf("42P10", n.GetAConst().Location, "%s position %d is not in select list", of, at)
		}
	}
	return nil
}
