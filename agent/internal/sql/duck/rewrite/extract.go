package rewrite

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

func divided(n *pg.Node, by string) *pg.Node {
	return pg.MakeAExprNode(pg.A_Expr_Kind_AEXPR_OP, []*pg.Node{str("/")}, n, constant(by), -1)
}

func specialExtract(r *rewriter, f *pg.FuncCall) (finish, error) {
	if len(f.Args) != 2 {
		return nil, errorf("42883", f.Location, "function %s does not exist", lastName(f.Funcname))
	}
	field, ok := literal(f.Args[0])
	if !ok {
		return nil, unsupported(f.Location, "a field that is not a constant")
	}
	field = strings.ToLower(field)
	name, of := lastName(f.Funcname), r.typeOf(f.Args[1])
	form := r.textOf(f.Args[1], false)
	guarded := f.Args[1].GetColumnRef() != nil && of.IsDateTime()
	return func(n *pg.Node) (*pg.Node, error) {
		arg := n.GetFuncCall().Args[1]
		out := call("date_part", text(field), arg)
		scale := "0"
		switch {
		case field == "second":
			out, scale = divided(call("date_part", text("microseconds"), arg), "1000000.0"), "6"
		case field == "milliseconds":
			out, scale = divided(call("date_part", text("microseconds"), arg), "1000.0"), "3"
		case field == "epoch" && of != datum.Date:
			scale = "6"
		}
		result := "DECIMAL(18," + scale + ")"
		if name == "date_part" {
			result = "DOUBLE"
		}
		out = cast(out, result)
		if !guarded {
			return out, nil
		}
		return r.ofThisEra(arg, of, out, func(arg *pg.Node) *pg.Node {
			other := r.computed(name, []datum.Type{datum.Text, of}, "", text(field), form(arg))
			if name == "extract" {
				other = r.asDecimal(other)
			}
			return cast(other, result)
		}), nil
	}, nil
}

// ofThisEra has the engine compute of years with four digits, of which it knows what
// PostgreSQL does.
func (r *rewriter) ofThisEra(arg *pg.Node, t datum.Type, native *pg.Node, other func(arg *pg.Node) *pg.Node) *pg.Node {
	f, _ := FrameType(t, -1)
	bounds := pg.MakeListNode([]*pg.Node{cast(text("0001-01-01"), f.SQL()), cast(text("9999-12-31"), f.SQL())})
	within := pg.MakeAExprNode(pg.A_Expr_Kind_AEXPR_BETWEEN, []*pg.Node{str("BETWEEN")}, r.again(arg), bounds, -1)
	when := &pg.Node{Node: &pg.Node_CaseWhen{CaseWhen: &pg.CaseWhen{Expr: within, Result: native, Location: -1}}}
	return &pg.Node{Node: &pg.Node_CaseExpr{CaseExpr: &pg.CaseExpr{Args: []*pg.Node{when}, Defresult: other(r.again(arg)), Location: -1}}}
}
