package rewrite

import (
	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/builtin"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/duck/frame"
)

// orderedSet is an aggregate WITHIN GROUP that package builtin computes of all values at once: of
// intervals, and of what subqueries give, which the engine cannot order by there. nil: it is the
// engine's.
func (r *rewriter) orderedSet(f *pg.FuncCall, name string) finish {
	if !f.AggWithinGroup || len(f.AggOrder) != 1 || f.Over != nil || f.AggDistinct {
		return nil
	}
	by := f.AggOrder[0].GetSortBy()
	t := r.typeOf(by.Node)
	if name == "percentile_cont" && t.IsNumber() {
		t = datum.Float8
	}
	result, ok := FrameType(t, -1)
	if t != datum.Interval && !hasSubquery(by.Node) || t == datum.Interval && name == "mode" && !hasSubquery(by.Node) || t == datum.Unknown || t == datum.Numeric || t.IsArray() || opaque(t) || !ok || len(by.UseOp) > 0 {
		return nil
	}
	of, types := builtin.OrderedSet(name), []datum.Type{datum.Float8, t | datum.Array, datum.Text}
	c := builtin.Resolve(of, types)
	if c == nil || name != "mode" && (len(f.Args) != 1 || r.typeOf(f.Args[0]).IsArray()) {
		return nil
	}
	if r.given == nil {
		r.given = map[*pg.SortBy]bool{}
	}
	r.given[by] = true
	order := ""
	if by.SortbyDir == pg.SortByDir_SORTBY_DESC {
		order = "desc"
	}
	m := frame.Meaning{Zone: r.zone(), Types: []uint64{uint64(t | datum.Array)}, Modifiers: []int32{-1}}
	return func(n *pg.Node) (*pg.Node, error) {
		f := n.GetFuncCall()
		fraction := cast(null(), "VARCHAR")
		if len(f.Args) == 1 {
			fraction = cast(cast(f.Args[0], "DOUBLE"), "VARCHAR")
		}
		value := cast(f.AggOrder[0].GetSortBy().Node, result.SQL())
		f.AggWithinGroup, f.AggOrder = false, nil
		list := renamed(n, "list", value)
		out := call("nd_call_3", text(c.Signature(r.zone())), fraction, call("nd_text", list, text(m.Text())), text(order))
		return cast(out, result.SQL()), nil
	}
}
