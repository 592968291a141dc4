package rewrite

import (
	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// subquery rewrites a query of FROM or WITH. Its columns of which nothing says the type
// are texts to what reads them.
func (r *rewriter) subquery(s *pg.SelectStmt) (columns, error) {
	plain := stringColumns(s)
	r.derived[s] = true
	cols, err := r.query(s, r.scope)
	if err != nil {
		return cols, err
	}
	for k := range cols.list {
		if l := plain[k]; l != nil && cols.list[k].typ == datum.Unknown {
			for _, n := range l {
				r.paramIs(n, datum.Text)
			}
			if r.areTexts(l) {
				cols.list[k].typ = datum.Text
			}
		}
	}
	return cols, nil
}

// areTexts reports whether the parameters among l are texts.
func (r *rewriter) areTexts(l []*pg.Node) bool {
	for _, n := range l {
		if r.typeOf(n) != datum.Text {
			return false
		}
	}
	return true
}

// stringColumns are the columns of a query that are strings, NULL and parameters alone, with
// the parameters. A star in front of one has it found nowhere.
func stringColumns(s *pg.SelectStmt) map[int][]*pg.Node {
	out := map[int][]*pg.Node{}
	switch {
	case s.Larg != nil:
		left, right := stringColumns(s.Larg), stringColumns(s.Rarg)
		for k, l := range left {
			if r, both := right[k]; both {
				out[k] = append(l, r...)
			}
		}
	case len(s.ValuesLists) > 0:
		for k := range s.ValuesLists[0].GetList().GetItems() {
			var l []*pg.Node
			for _, row := range s.ValuesLists {
				if items := row.GetList().GetItems(); k < len(items) {
					l = append(l, items[k])
				}
			}
			addStrings(out, k, l)
		}
	default:
		for k, n := range s.TargetList {
			v := n.GetResTarget().GetVal()
			if f := v.GetColumnRef().GetFields(); len(f) > 0 && f[len(f)-1].GetAStar() != nil {
				break
			}
			addStrings(out, k, []*pg.Node{v})
		}
	}
	return out
}

// addStrings adds column k to out if it is nothing but strings, NULL and parameters.
func addStrings(out map[int][]*pg.Node, k int, l []*pg.Node) {
	params := []*pg.Node{}
	for _, n := range l {
		if _, ok := literal(n); ok || n.GetAConst().GetIsnull() {
			continue
		}
		if n.GetParamRef() == nil {
			return
		}
		params = append(params, n)
	}
	out[k] = params
}
