package queryplan

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/builtin"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// matchConstants computes ~, ~*, !~ and !~*, and SIMILAR TO, of constants: others are the engine's.
func (c *compiler) matchConstants(n *pg.A_Expr, name string) (Expr, error) {
	pattern, function, option := n.GetRexpr(), builtin.MatchesRegex, ""
	negated := strings.HasPrefix(name, "!")
	if n.GetKind() == pg.A_Expr_Kind_AEXPR_SIMILAR {
		escaped := pattern.GetFuncCall().GetArgs()
		if len(escaped) != 1 {
			return nil, errSlow
		}
		pattern, function, option = escaped[0], builtin.MatchesSimilar, `\`
	} else if strings.HasSuffix(name, "*") {
		option = "i"
	}
	a, b, err := c.pair(n.GetLexpr(), pattern)
	if err != nil {
		return nil, err
	}
	for _, e := range []Expr{a, b} {
		if t := e.Type(); !isConst(e) || t == datum.Bpchar || t != datum.Unknown && !t.IsString() {
			return nil, errSlow
		}
	}
	e, ok, err := builtinFunction(function, []Expr{a, b, &Const{Value: datum.MakeText(option)}})
	if !ok {
		return nil, errSlow
	}
	if err == nil && negated {
		e = settled(not(e))
	}
	return e, at(err, c.position(n.GetLocation()))
}
