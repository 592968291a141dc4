package queryplan

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/builtin"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// like compiles LIKE and ILIKE (~~, !~~, ~~*, !~~*) with the default escape.
func (c *compiler) like(n *pg.A_Expr, name string) (Expr, error) {
	if n.GetRexpr().GetFuncCall() != nil {
		return nil, errSlow // LIKE ... ESCAPE
	}
	a, b, err := c.pair(n.GetLexpr(), n.GetRexpr())
	if err != nil {
		return nil, err
	}
	args := []Expr{a, b}
	for i := range args {
		if t := args[i].Type(); t != datum.Unknown && !t.IsString() {
			return nil, errSlow
		}
		if args[i].Type() == datum.Bpchar {
			continue // with its blanks
		}
		if args[i], err = coerce(args[i], datum.Text); err != nil {
			return nil, err
		}
	}
	negated, fold := strings.HasPrefix(name, "!"), strings.HasSuffix(name, "*")
	return &fn{typ: datum.Bool, args: args, strict: true, eval: func(_ *Env, v []datum.Datum) (datum.Datum, error) {
		ok, err := builtin.Like(v[0].S, v[1].S, fold)
		return datum.MakeBool(ok != negated), err
	}}, nil
}

// likeEach compiles LIKE ANY and ALL of an array.
func (c *compiler) likeEach(n *pg.A_Expr, op string) (Expr, error) {
	a, b, err := c.pair(n.GetLexpr(), n.GetRexpr())
	if err != nil {
		return nil, err
	}
	list := datum.Text | datum.Array
	if t := a.Type(); t != datum.Unknown && t != datum.Text && t != datum.Varchar || b.Type() != datum.Unknown && b.Type() != list {
		return nil, errSlow
	}
	name := builtin.LikeAny
	if n.GetKind() == pg.A_Expr_Kind_AEXPR_OP_ALL {
		name = builtin.LikeAll
	}
	e, ok, err := builtinCall(name, []datum.Type{datum.Text, list, datum.Text}, []Expr{a, b, &Const{Value: datum.MakeText(op)}})
	if err == nil && !ok {
		err = errSlow
	}
	return e, err
}
