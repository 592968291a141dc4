package queryplan

import (
	"slices"

	"github.com/nodedb/nodedb/agent/internal/sql/aggregate"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// ends finds the least and the greatest values that a Select asks for where an index or the
// key has them first: each is a Select of one row. None, unless all of its functions are such.
func (s *Select) ends(condition Expr) ([]*Select, error) {
	g := s.Group
	if len(g.By) > 0 || len(g.Functions) == 0 || s.Filter != nil {
		return nil, nil
	}
	var out []*Select
	for i, f := range g.Functions {
		arg, ok := g.Args[i].(*ColumnRef)
		if !ok || g.Filters[i] != nil || f.Kind != aggregate.Min && f.Kind != aggregate.Max {
			return nil, nil
		}
		end, err := s.end(arg, f.Kind == aggregate.Max, condition)
		if end == nil || err != nil {
			return nil, err
		}
		out = append(out, end)
	}
	return out, nil
}

// end is a Select of the first row by arg that is not null; nil: that has to look at others.
func (s *Select) end(arg *ColumnRef, greatest bool, condition Expr) (*Select, error) {
	out := &Select{Table: s.Table, Output: []Expr{arg}, Sort: []SortKey{{Expr: arg, Descending: greatest, NullsFirst: greatest}}}
	out.Limit = &Const{Value: datum.MakeInt(datum.Int8, 1)}
	if !s.Table.Columns[arg.Index].NeverNull() {
		condition = both(condition, &fn{name: isNotNull, typ: datum.Bool, args: []Expr{arg}, eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
			return datum.MakeBool(!a[0].Null), nil
		}})
	}
	if err := out.choose(condition); isSlow(err) {
		return nil, nil //nolint:nilnil // there is no such order
	} else if err != nil {
		return nil, err
	}
	if out.Access.ByKey() || len(out.Sort) > 0 {
		return nil, nil //nolint:nilnil // the same
	}
	if out.Access.Index == nil && out.Filter != nil { // what a span says of the key needs no second look
		var over []Expr
		for _, k := range s.Table.Key {
			over = append(over, (&relation{table: s.Table}).ref(k))
		}
		parts := conjuncts(condition)
		_, used := matched(parts, over)
		out.Filter = remaining(parts, used)
	}
	if out.Filter != nil && slices.ContainsFunc(conjuncts(out.Filter), func(e Expr) bool {
		f, ok := e.(*fn)
		return !ok || f.name != isNotNull
	}) {
		return nil, nil //nolint:nilnil // it may be far from the first
	}
	return out, nil
}
