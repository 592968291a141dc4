package syntax

import (
	"slices"
	"strconv"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// ParseExpression reads the SQL text of an expression that is kept.
func ParseExpression(text string) (*pg.Node, error) {
	tree, err := pg.Parse("SELECT " + text)
	if err != nil {
		return nil, parserError(text, err)
	}
	targets := tree.GetStmts()[0].GetStmt().GetSelectStmt().GetTargetList()
	if len(tree.GetStmts()) != 1 || len(targets) != 1 {
		return nil, Unsupported("this expression", "")
	}
	return targets[0].GetResTarget().GetVal(), nil
}

// ExpressionColumns are the columns that an expression names, each once, in the order of
// the text.
func ExpressionColumns(text string) ([]string, error) {
	e, err := ParseExpression(text)
	if err != nil {
		return nil, err
	}
	var out []string
	EachColumn(e, func(r *pg.ColumnRef) {
		if name := r.GetFields()[len(r.GetFields())-1].GetString_(); name != nil && !slices.Contains(out, name.GetSval()) {
			out = append(out, name.GetSval())
		}
	})
	return out, nil
}

// RenameInExpression has an expression name a column by another name.
func RenameInExpression(text, from, to string) (string, error) {
	return mapColumns(text, func(r *pg.ColumnRef) {
		if name := r.GetFields()[len(r.GetFields())-1].GetString_(); name.GetSval() == from {
			name.Sval = to
		}
	})
}

// Parenthesized shows an expression as PostgreSQL does by itself: operators and conditions
// stand in parentheses, columns, constants, calls and casts do not.
func Parenthesized(text string) string {
	e, err := ParseExpression(text)
	if err != nil {
		return text
	}
	switch n := e.GetNode().(type) {
	case *pg.Node_AExpr:
		if n.AExpr.Kind == pg.A_Expr_Kind_AEXPR_NULLIF { // a call
			return text
		}
	case *pg.Node_BoolExpr, *pg.Node_NullTest, *pg.Node_BooleanTest, *pg.Node_CollateClause:
	default:
		return text
	}
	return "(" + text + ")"
}

// BareColumns has an expression name the columns of the table without its name, so that
// the table may get another.
func BareColumns(text, table string) (string, error) {
	return mapColumns(text, func(r *pg.ColumnRef) {
		if f := r.GetFields(); len(f) == 2 && f[0].GetString_().GetSval() == table {
			r.Fields = f[1:]
		}
	})
}

func mapColumns(text string, change func(*pg.ColumnRef)) (string, error) {
	e, err := ParseExpression(text)
	if err != nil {
		return "", err
	}
	EachColumn(e, change)
	out, wrong := deparse(e)
	if wrong != nil {
		return "", wrong
	}
	return out, nil
}

// ExpressionText is the SQL text of an expression.
func ExpressionText(e *pg.Node) (string, error) {
	out, err := deparse(e)
	if err != nil {
		return "", err
	}
	return out, nil
}

// AsStored is the location of a column of a row that is changed: what the engine gives of it is
// not looked at, but for where it is asked for besides.
const AsStored = -2

// EachColumn calls fn with each name of a column in m.
func EachColumn(m proto.Message, fn func(*pg.ColumnRef)) {
	_ = eachMessage(m.ProtoReflect(), func(m proto.Message) error {
		if r, ok := m.(*pg.ColumnRef); ok && len(r.GetFields()) > 0 {
			fn(r)
		}
		return nil
	})
}

// eachMessage calls fn with each part of m, in the order of the fields.
func eachMessage(m protoreflect.Message, fn func(proto.Message) error) error {
	if err := fn(m.Interface()); err != nil {
		return err
	}
	fields := m.Descriptor().Fields()
	if _, ok := m.Interface().(*pg.Node); ok { // one of some 270
		if field := m.WhichOneof(m.Descriptor().Oneofs().Get(0)); field != nil {
			return eachMessage(m.Get(field).Message(), fn)
		}
		return nil
	}
	for i := range fields.Len() {
		field := fields.Get(i)
		if field.Kind() != protoreflect.MessageKind || !m.Has(field) {
			continue
		}
		if !field.IsList() {
			if err := eachMessage(m.Get(field).Message(), fn); err != nil {
				return err
			}
			continue
		}
		for list, n := m.Get(field).List(), 0; n < list.Len(); n++ {
			if err := eachMessage(list.Get(n).Message(), fn); err != nil {
				return err
			}
		}
	}
	return nil
}

// Place is where an expression stands that is computed for one row.
type Place struct{ one, many string }

// The places.
var (
	InCheck     = Place{"check constraint", "check constraints"}
	InGenerated = Place{"column generation expression", "column generation expressions"}
	InIndex     = Place{"index expression", "index expressions"}
	InTransform = Place{"transform expression", "transform expressions"}
	InWhen      = Place{"trigger WHEN condition", "trigger WHEN conditions"}
)

// OfOneRow refuses what an expression that is computed for one row cannot have, as
// PostgreSQL does: subqueries, aggregates, windows, sets.
func OfOneRow(e *pg.Node, in Place) error {
	return eachMessage(e.ProtoReflect(), func(m proto.Message) error {
		switch n := m.(type) {
		case *pg.SubLink:
			return &Error{Code: codeNotSupported, Message: "cannot use subquery in " + in.one, Position: Position(n.GetLocation())}
		case *pg.ParamRef:
			return &Error{Code: "42P02", Message: "there is no parameter $1", Position: Position(n.GetLocation())}
		case *pg.FuncCall:
			names := texts(n.GetFuncname())
			switch name := names[len(names)-1]; {
			case n.GetOver() != nil:
				return &Error{Code: "42P20", Message: "window functions are not allowed in " + in.many, Position: Position(n.GetLocation())}
			case aggregates[name] || n.GetAggStar() || n.GetAggFilter() != nil:
				return &Error{Code: "42803", Message: "aggregate functions are not allowed in " + in.many, Position: Position(n.GetLocation())}
			case setReturning[name]:
				return &Error{Code: codeNotSupported, Message: "set-returning functions are not allowed in " + in.many, Position: Position(n.GetLocation())}
			}
		}
		return nil
	})
}

// aggregates and setReturning are the functions of PostgreSQL that are one and that need
// more, or give more, than one row.
var (
	aggregates = named("array_agg", "avg", "bit_and", "bit_or", "bit_xor", "bool_and", "bool_or", "corr", "count", "covar_pop", "covar_samp", "every",
		"json_agg", "json_object_agg", "jsonb_agg", "jsonb_object_agg", "max", "min", "range_agg", "regr_count", "stddev", "stddev_pop", "stddev_samp",
		"string_agg", "sum", "var_pop", "var_samp", "variance", "xmlagg")
	setReturning = named("generate_series", "generate_subscripts", "json_array_elements", "json_array_elements_text", "json_each", "json_each_text",
		"json_object_keys", "jsonb_array_elements", "jsonb_array_elements_text", "jsonb_each", "jsonb_each_text", "jsonb_object_keys", "jsonb_path_query",
		"regexp_matches", "regexp_split_to_table", "string_to_table", "unnest")
)

func named(names ...string) map[string]bool {
	out := make(map[string]bool, len(names))
	for _, n := range names {
		out[n] = true
	}
	return out
}

// enumPrefix begins the names by which a statement that DuckDB runs names enums.
const enumPrefix = "nd_enum_"

// EnumTypeName is the name of an enum's form for the slow path.
func EnumTypeName(number uint32) string { return enumPrefix + strconv.FormatUint(uint64(number), 10) }

// EnumNumber is the other way round.
func EnumNumber(name string) (uint32, bool) {
	digits, ok := strings.CutPrefix(name, enumPrefix)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 32)
	return uint32(n), err == nil //nolint:gosec // of 32 bits
}

// EachCast calls fn with each cast in m.
func EachCast(m proto.Message, fn func(*pg.TypeCast) error) error {
	return eachMessage(m.ProtoReflect(), func(m proto.Message) error {
		if c, ok := m.(*pg.TypeCast); ok {
			return fn(c)
		}
		return nil
	})
}

// EachType calls fn with the type of each cast in m, and of each column that a function in FROM
// is said to give.
func EachType(m proto.Message, fn func(*pg.TypeName) error) error {
	return eachMessage(m.ProtoReflect(), func(m proto.Message) error {
		switch m := m.(type) {
		case *pg.TypeCast:
			return fn(m.GetTypeName())
		case *pg.ColumnDef:
			return fn(m.GetTypeName())
		}
		return nil
	})
}

// BareEnums takes the casts to enums off the constants of an expression that is kept: they
// get the type of what they meet, whatever becomes of its name.
func BareEnums(text string, isEnum func(TypeName) bool) (string, error) {
	if !strings.Contains(text, "::") && !strings.Contains(strings.ToLower(text), "cast") {
		return text, nil
	}
	e, err := ParseExpression(text)
	if err != nil {
		return "", err
	}
	bare := func(n *pg.Node) *pg.Node {
		c := n.GetTypeCast()
		if c == nil || c.GetArg().GetAConst().GetSval() == nil {
			return n
		}
		if t, err := ConvertType(c.GetTypeName()); err == nil && isEnum(t) {
			return c.GetArg()
		}
		return n
	}
	e = bare(e)
	if c := e.GetTypeCast(); c.GetArg().GetRowExpr() != nil { // a default
		if t, err := ConvertType(c.GetTypeName()); err == nil && isEnum(t) {
			e = c.GetArg()
		}
	}
	_ = eachMessage(e.ProtoReflect(), func(m proto.Message) error {
		if n, ok := m.(*pg.Node); ok {
			if b := bare(n); b != n {
				n.Node = b.Node
			}
		}
		return nil
	})
	out, wrong := deparse(e)
	if wrong != nil {
		return "", wrong
	}
	return out, nil
}
