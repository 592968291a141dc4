package queryplan

import (
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"
)

// withoutDefaults is VALUES of an INSERT without DEFAULT, which only that knows: columns that have
// it in all rows are none of its targets, and elsewhere it is the constant that it means. sel and
// targets are as they were if it is none.
func withoutDefaults(sel *pg.SelectStmt, ins *Insert, targets []int) (*pg.SelectStmt, []int) {
	lists := sel.GetValuesLists()
	given := make([]bool, len(targets)) // has another value in some row
	found := false
	for _, list := range lists {
		items := list.GetList().GetItems()
		if len(items) != len(targets) {
			return sel, targets
		}
		for i, n := range items {
			isDefault := n.GetSetToDefault() != nil
			found, given[i] = found || isDefault, given[i] || !isDefault
		}
	}
	if !found || !slices.Contains(given, true) {
		return sel, targets
	}
	own := proto.CloneOf(sel)
	var left []int
	for i, t := range targets {
		if given[i] {
			left = append(left, t)
		}
	}
	for _, list := range own.GetValuesLists() {
		var items []*pg.Node
		for i, n := range list.GetList().GetItems() {
			if !given[i] {
				continue
			}
			if n.GetSetToDefault() != nil {
				k, ok := ins.Defaults[targets[i]].(*Const)
				if !ok {
					return sel, targets
				}
				if n = castOf(k.Value); k.Value.Null {
					n = nullNode()
				}
			}
			items = append(items, n)
		}
		list.GetList().Items = items
	}
	return own, left
}

func nullNode() *pg.Node {
	return &pg.Node{Node: &pg.Node_AConst{AConst: &pg.A_Const{Isnull: true, Location: -1}}}
}
