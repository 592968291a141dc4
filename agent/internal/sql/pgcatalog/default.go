package pgcatalog

import (
	"strings"
	"time"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// defaultText shows the default of a column as PostgreSQL does, where tools look for values in
// it: a constant as its type writes it, with the type behind it; "": there is none, or NULL.
func (in *Input) defaultText(c *catalog.Column) string {
	if c.Default == "" || c.Identity {
		return ""
	}
	text := in.DefaultText(c.Default)
	if strings.Trim(text, "0123456789.") == "" {
		return text
	}
	n, err := syntax.ParseExpression(text)
	if err != nil {
		return text
	}
	if v, ok := constantText(n); ok {
		return in.constantText(c, v, text)
	}
	switch x := n.GetNode().(type) {
	case *pg.Node_AConst:
		if x.AConst.GetIsnull() {
			return ""
		}
		if strings.HasPrefix(text, "-") {
			return "'" + text + "'::" + numberType(x.AConst, c.Type).SQLName()
		}
	case *pg.Node_SqlvalueFunction:
		return strings.ToUpper(text)
	case *pg.Node_AExpr, *pg.Node_BoolExpr, *pg.Node_NullTest, *pg.Node_BooleanTest:
		return "(" + text + ")"
	case *pg.Node_FuncCall:
		if x.FuncCall.GetFuncformat() == pg.CoercionForm_COERCE_SQL_SYNTAX && strings.Contains(text, " AT TIME ZONE ") {
			return "(" + text + ")"
		}
	}
	return text
}

// constantText is the text of a constant, or of a cast of one.
func constantText(n *pg.Node) (string, bool) {
	if c := n.GetTypeCast(); c != nil {
		n = c.GetArg()
	}
	_, ok := n.GetAConst().GetVal().(*pg.A_Const_Sval)
	return n.GetAConst().GetSval().GetSval(), ok
}

// numberType is the type that a negative number is shown with.
func numberType(c *pg.A_Const, of datum.Type) datum.Type {
	if c.GetIval() != nil {
		return datum.Int4
	}
	if of == datum.Int8 {
		return datum.Int8
	}
	return datum.Numeric
}

// constantText shows a constant that is a column's default; text is what it was given as.
func (in *Input) constantText(c *catalog.Column, value, text string) string {
	if c.Type.Elem().IsEnum() {
		name := syntax.Name{Name: c.User.Name}
		if _, visible := in.place(c.UserSchema); !visible {
			name.Schema = c.UserSchema
		}
		return literal(value) + "::" + syntax.QuoteName(name) + brackets(c.Type)
	}
	if c.Type != datum.Timestamptz { // which is another text in each time zone
		d, err := datum.ParseText(c.Type, value, time.UTC)
		if err != nil {
			return text // of another type, which the value is cast from
		}
		value = d.Text()
	}
	switch t := c.Type; {
	case t == datum.Bool:
		return map[string]string{"t": "true", "f": "false"}[value]
	case t.IsInt() || t == datum.Numeric:
		if !strings.HasPrefix(value, "-") {
			return value
		}
		return literal(value) + "::" + t.SQLName()
	case t.Elem() == datum.Bpchar:
		return literal(value) + "::bpchar" + brackets(t)
	default:
		return literal(value) + "::" + t.SQLName()
	}
}

func brackets(t datum.Type) string {
	if t.IsArray() {
		return "[]"
	}
	return ""
}

// literal is a string constant as PostgreSQL shows it, where a backslash is one.
func literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
