package queryplan

import (
	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// insertedExpr is xmax = 0 in RETURNING of an INSERT: whether the row is new, and was not
// updated by ON CONFLICT. There is no other xmax.
type insertedExpr struct{}

// Type is that of conditions.
func (insertedExpr) Type() datum.Type { return datum.Bool }

// Eval satisfies Expr.
func (insertedExpr) Eval(env *Env) (datum.Datum, error) { return datum.MakeBool(!env.Updated), nil }

// insertedName is what insertedExpr is called in a list of RETURNING.
const insertedName = "#inserted"

// tellInserted has insertedExpr stand for xmax = 0 in a list of RETURNING, and seen find it.
func tellInserted(list []*pg.Node, seen *scope) ([]*pg.Node, error) {
	aliases := map[string]bool{"": true}
	for i := range seen.relations {
		aliases[seen.relations[i].alias] = true
	}
	query := &syntax.Query{Select: &pg.SelectStmt{TargetList: list}}
	found := false
	err := query.Walk(func(n *pg.Node) (bool, error) {
		found = found || isInserted(n, aliases)
		return !found, nil
	})
	if err != nil || !found {
		return list, err
	}
	query.Select = proto.CloneOf(query.Select) // the statement may be another's too
	err = query.Walk(func(n *pg.Node) (bool, error) {
		if t := n.GetResTarget(); t != nil && t.GetName() == "" && isInserted(t.GetVal(), aliases) {
			t.Name = "?column?"
		}
		if isInserted(n, aliases) {
			n.Node = &pg.Node_ColumnRef{ColumnRef: &pg.ColumnRef{Fields: []*pg.Node{stringNode(insertedName), stringNode(insertedName)}, Location: -1}}
			return false, nil
		}
		return true, nil
	})
	seen.relations = append(seen.relations, relation{alias: insertedName, qualifiedOnly: true, shown: []shownColumn{{name: insertedName, expr: insertedExpr{}, column: -1}}})
	return query.Select.GetTargetList(), err
}

// isInserted reports whether an expression is xmax = 0.
func isInserted(n *pg.Node, aliases map[string]bool) bool {
	e := n.GetAExpr()
	if e.GetKind() != pg.A_Expr_Kind_AEXPR_OP || len(e.GetName()) != 1 || e.GetName()[0].GetString_().GetSval() != "=" {
		return false
	}
	zero, left := e.GetRexpr().GetAConst(), e.GetLexpr()
	name := columnName(left)
	if text := uncast(left); text != left && zero.GetSval() != nil {
		name = columnName(text)
	}
	k := len(name)
	return zero.GetVal() != nil && isZero(zero) && k > 0 && k <= 2 && name[k-1] == "xmax" && (k == 1 || aliases[name[0]])
}

// uncast is what is cast to text, or n.
func uncast(n *pg.Node) *pg.Node {
	cast := n.GetTypeCast()
	if names := cast.GetTypeName().GetNames(); len(names) > 0 && names[len(names)-1].GetString_().GetSval() == "text" {
		return cast.GetArg()
	}
	return n
}

func isZero(c *pg.A_Const) bool {
	if s := c.GetSval(); s != nil {
		return s.GetSval() == "0"
	}
	return c.GetFval() == nil && c.GetBoolval() == nil && c.GetBsval() == nil && c.GetIval().GetIval() == 0
}
