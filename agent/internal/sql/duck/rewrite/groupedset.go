package rewrite

import (
	"slices"
	"strconv"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// groupedSets has functions of several rows that stand in GROUP BY run before the rows are
// grouped, as in PostgreSQL: an item of FROM gives their rows beside each other, and its
// columns stand where the functions stood.
func (r *rewriter) groupedSets(s *pg.SelectStmt) error {
	if err := setsInAggregates(s); err != nil || len(s.GroupClause) == 0 {
		return err
	}
	var sets []*pg.Node
	for _, n := range s.GroupClause {
		sets = r.groupedSetsIn(n, s, sets)
	}
	if len(sets) == 0 {
		return nil
	}
	sub := &pg.SelectStmt{LimitOption: pg.LimitOption_LIMIT_OPTION_DEFAULT, Op: pg.SetOperation_SETOP_NONE}
	name := "nd_sets" + strconv.Itoa(len(r.scope.relations))
	for i, set := range sets {
		sub.TargetList = append(sub.TargetList, pg.MakeResTargetNodeWithNameAndVal(setColumn(i), clone(set), -1))
	}
	replaceSets(s, name, sets)
	return r.besideRows(s, name, sub, "a function of several rows in GROUP BY")
}

func setColumn(i int) string { return "nd_set" + strconv.Itoa(i+1) }

// groupedSetsIn adds the functions of several rows of an item of GROUP BY.
func (r *rewriter) groupedSetsIn(n *pg.Node, s *pg.SelectStmt, sets []*pg.Node) []*pg.Node {
	if set := n.GetGroupingSet(); set != nil {
		for _, n := range set.Content {
			sets = r.groupedSetsIn(n, s, sets)
		}
		return sets
	}
	of := n
	if at := int(n.GetAConst().GetIval().GetIval()); at >= 1 && at <= len(s.TargetList) {
		of = s.TargetList[at-1].GetResTarget().GetVal()
	} else if names, _ := fieldNames(&pg.ColumnRef{Fields: n.GetColumnRef().GetFields()}); len(names) == 1 && !r.scope.has(names[0]) {
		for _, t := range s.TargetList {
			if t := t.GetResTarget(); t.GetName() == names[0] || t.GetName() == "" && FigureName(t.GetVal()) == names[0] {
				of = t.GetVal()
			}
		}
	}
	eachSet(&pg.Node{Node: &pg.Node_List{List: &pg.List{Items: []*pg.Node{of}}}}, func(call *pg.Node) {
		if !slices.ContainsFunc(sets, func(o *pg.Node) bool { return proto.Equal(placeless(o), placeless(call)) }) {
			sets = append(sets, clone(call))
		}
	})
	return sets
}

// givesSet reports whether a node is a call of a function of several rows.
func givesSet(n *pg.Node) bool {
	f := n.GetFuncCall()
	if f == nil || len(f.Funcname) > 1 && f.Funcname[0].GetString_().GetSval() != "pg_catalog" {
		return false
	}
	name := lastName(f.Funcname)
	return setReturning[name] != nil || setsOf[name] != ""
}

// eachSet calls fn with the outermost calls of functions of several rows below n, of this very
// query.
func eachSet(n *pg.Node, fn func(*pg.Node)) {
	var look func(m protoreflect.Message)
	look = func(m protoreflect.Message) {
		children(m, func(c protoreflect.Message) {
			if n, ok := c.Interface().(*pg.Node); ok {
				if givesSet(n) {
					fn(n)
					return
				}
				if n.GetSubLink() != nil {
					return
				}
			}
			look(c)
		})
	}
	look(n.ProtoReflect())
}

// replaceSets puts the columns of the relation name where the functions stood. Columns of the
// result keep their names.
func replaceSets(s *pg.SelectStmt, name string, sets []*pg.Node) {
	lists := [][]*pg.Node{s.TargetList, s.GroupClause, s.DistinctClause, s.SortClause, s.WindowClause}
	if s.HavingClause != nil {
		lists = append(lists, []*pg.Node{s.HavingClause})
	}
	for _, l := range lists {
		for _, n := range l {
			if t := n.GetResTarget(); t != nil && t.Name == "" {
				t.Name = FigureName(t.Val)
			}
		}
		eachSet(pg.MakeListNode(l), func(n *pg.Node) {
			i := slices.IndexFunc(sets, func(o *pg.Node) bool { return proto.Equal(placeless(o), placeless(n)) })
			if i >= 0 {
				n.Node = pg.MakeColumnRefNode([]*pg.Node{str(name), str(setColumn(i))}, n.GetFuncCall().Location).Node
			}
		})
	}
}

// setsInAggregates refuses functions of several rows where PostgreSQL does.
func setsInAggregates(s *pg.SelectStmt) error {
	var wrong error
	refuse := func(where, hint string, n *pg.Node) {
		eachSet(n, func(call *pg.Node) {
			if wrong == nil {
				err := errorf("0A000", call.GetFuncCall().Location, "%s", where)
				err.Hint = hint
				wrong = err
			}
		})
	}
	const move = "You might be able to move the set-returning function into a LATERAL FROM item."
	of := func(n *pg.Node) *pg.Node { return pg.MakeListNode([]*pg.Node{n}) }
	if s.WhereClause != nil {
		refuse("set-returning functions are not allowed in WHERE", "", of(s.WhereClause))
	}
	if s.HavingClause != nil {
		refuse("set-returning functions are not allowed in HAVING", "", of(s.HavingClause))
	}
	var look func(m protoreflect.Message)
	look = func(m protoreflect.Message) {
		children(m, func(c protoreflect.Message) {
			if n, ok := c.Interface().(*pg.Node); ok {
				switch {
				case n.GetSubLink() != nil:
					return
				case n.GetCaseExpr() != nil:
					refuse("set-returning functions are not allowed in CASE", move, of(n))
				case n.GetCoalesceExpr() != nil:
					refuse("set-returning functions are not allowed in COALESCE", move, of(n))
				case n.GetFuncCall() != nil && n.GetFuncCall().Over == nil && aggregates[lastName(n.GetFuncCall().Funcname)]:
					refuse("aggregate function calls cannot contain set-returning function calls", move, of(n))
				}
			}
			look(c)
		})
	}
	for _, l := range [][]*pg.Node{s.TargetList, s.GroupClause, s.SortClause} {
		look(pg.MakeListNode(l).ProtoReflect())
	}
	return wrong
}
