package rewrite

import (
	"cmp"
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// limit rewrites LIMIT and OFFSET; counted has rows be counted for them.
func (r *rewriter) limit(s *pg.SelectStmt, out columns, counted bool) error {
	ties := s.LimitOption == pg.LimitOption_LIMIT_OPTION_WITH_TIES
	for _, n := range []**pg.Node{&s.LimitCount, &s.LimitOffset} {
		if (*n).GetAConst().GetIsnull() { // LIMIT ALL
			if ties && n == &s.LimitCount {
				return errorf("2201W", 0, "row count cannot be null in FETCH FIRST ... WITH TIES clause")
			}
			*n = nil
		}
		if err := r.ownInLimit(*n, n == &s.LimitOffset); err != nil {
			return err
		}
		if why := r.noLimit(*n, n == &s.LimitOffset); why != nil {
			r.fails, *n = cmp.Or(r.fails, why), integer(0)
		}
		r.paramIs(*n, datum.Int8)
		var err error
		if *n, err = r.node(*n); err != nil {
			return err
		}
	}
	if s.LimitCount == nil && s.LimitOffset == nil {
		s.LimitOption = pg.LimitOption_LIMIT_OPTION_DEFAULT
		return nil
	}
	if !ties && (!counted || !out.known) {
		return nil
	}
	return r.count(s, out, ties)
}

// noLimit says why a constant is no LIMIT or OFFSET; nil: it is one, or is known later.
func (r *rewriter) noLimit(n *pg.Node, offset bool) *Error {
	if e := n.GetAExpr(); e.GetLexpr() != nil && slices.Contains([]string{"/", "%"}, lastName(e.Name)) {
		if by, ok := r.constantValue(e.Rexpr); ok && by.Type.IsInt() && !by.Null && by.I == 0 {
			return errorf("22012", 0, "division by zero")
		}
	}
	v, ok := r.constantValue(n)
	switch {
	case !ok || !v.Type.IsInt() || v.Null || v.I >= 0:
		return nil
	case offset:
		return errorf("2201X", 0, "OFFSET must not be negative")
	}
	return errorf("2201W", 0, "LIMIT must not be negative")
}

// ownInLimit refuses columns of the query itself in its LIMIT.
func (r *rewriter) ownInLimit(n *pg.Node, offset bool) (wrong error) {
	if n == nil {
		return nil
	}
	of := "LIMIT"
	if offset {
		of = "OFFSET"
	}
	look := func(n *pg.Node) {
		if ref := n.GetColumnRef(); ref != nil && wrong == nil {
			if _, _, ok := r.scope.own(ref); ok {
				wrong = errorf("42P10", ref.Location, "argument of %s must not contain variables", of)
			}
		}
	}
	if look(n); !hasSubquery(n) {
		visit(n.ProtoReflect(), look)
	}
	return wrong
}

// counts reports whether LIMIT or OFFSET of s is computed for rows of a query around it: the
// engine takes no more than constants there. It may say so of some that are not.
func counts(s *pg.SelectStmt, parent *scope) bool {
	if parent == nil || fixed(s.LimitCount) && fixed(s.LimitOffset) {
		return false
	}
	found := false
	visit(s.ProtoReflect(), func(n *pg.Node) {
		names, star := fieldNames(&pg.ColumnRef{Fields: n.GetColumnRef().GetFields()})
		switch {
		case len(names) == 0 || found:
		case len(names) > 1:
			found = parent.relation(names[len(names)-2]) != nil
		case star:
			found = parent.relation(names[0]) != nil
		default:
			found = parent.names(names[0])
		}
	})
	return found
}

// fixed reports whether a LIMIT is a constant for the engine.
func fixed(n *pg.Node) bool {
	if n == nil {
		return true
	}
	found := false
	look := func(n *pg.Node) {
		found = found || n.GetParamRef() != nil || n.GetColumnRef() != nil || n.GetSubLink() != nil || n.GetFuncCall() != nil
	}
	look(n)
	visit(n.ProtoReflect(), look)
	return !found
}

// The hidden columns of counted rows come behind those of the query: what it is ordered by, then
// the number of the row and, WITH TIES, of the first that is ordered as it.

// count makes of a query with LIMIT one of those of its rows whose numbers are in reach.
func (r *rewriter) count(s *pg.SelectStmt, out columns, ties bool) error {
	if !out.known {
		return unsupported(0, "FETCH FIRST WITH TIES of columns that are not known before")
	}
	plain := s.Op == pg.SetOperation_SETOP_NONE && len(s.ValuesLists) == 0
	inner := &pg.SelectStmt{
		DistinctClause: s.DistinctClause, TargetList: s.TargetList, FromClause: s.FromClause, WhereClause: s.WhereClause,
		GroupClause: s.GroupClause, GroupDistinct: s.GroupDistinct, HavingClause: s.HavingClause, WindowClause: s.WindowClause,
		ValuesLists: s.ValuesLists, Op: s.Op, All: s.All, Larg: s.Larg, Rarg: s.Rarg, LimitOption: pg.LimitOption_LIMIT_OPTION_DEFAULT,
	}
	if len(s.DistinctClause) > 0 && s.DistinctClause[0].GetNode() != nil { // DISTINCT ON takes the first
		inner.SortClause = s.SortClause
	}
	if plain && len(inner.TargetList) == 0 { // of EXISTS
		inner.TargetList = []*pg.Node{pg.MakeResTargetNodeWithVal(integer(1), -1)}
		out = columns{list: []column{{name: "?column?"}}, known: true}
	}
	width := len(out.list)
	var by []*pg.Node
	for _, n := range s.SortClause {
		at, err := sortedColumn(n.GetSortBy().Node, inner, out, plain)
		if err != nil {
			return err
		}
		if at < 0 {
			inner.TargetList = append(inner.TargetList, pg.MakeResTargetNodeWithVal(n.GetSortBy().Node, -1))
			at, width = width, width+1
		}
		by = append(by, &pg.Node{Node: &pg.Node_SortBy{SortBy: &pg.SortBy{
			Node: sideRef(at), SortbyDir: n.GetSortBy().SortbyDir, SortbyNulls: n.GetSortBy().SortbyNulls, Location: -1,
		}}})
	}
	numbered := &pg.SelectStmt{FromClause: []*pg.Node{around(inner, width)}, LimitOption: pg.LimitOption_LIMIT_OPTION_DEFAULT, Op: pg.SetOperation_SETOP_NONE}
	for i := range width {
		numbered.TargetList = append(numbered.TargetList, pg.MakeResTargetNodeWithVal(sideRef(i), -1))
	}
	numbered.TargetList = append(numbered.TargetList, pg.MakeResTargetNodeWithVal(over("row_number", by), -1))
	number, first := sideRef(width), sideRef(width)
	width++
	if ties {
		numbered.TargetList = append(numbered.TargetList, pg.MakeResTargetNodeWithVal(over("rank", by), -1))
		first = sideRef(width)
		width++
	}
	r.reach(s, out, number, call("nd_within_limit", number, first, given(s.LimitCount), given(s.LimitOffset)))
	s.FromClause = []*pg.Node{around(numbered, width)}
	return nil
}

// reach makes s the query of the columns of rows that are within, ordered by their numbers.
func (r *rewriter) reach(s *pg.SelectStmt, out columns, number, within *pg.Node) {
	s.DistinctClause, s.GroupClause, s.GroupDistinct, s.HavingClause, s.WindowClause, s.ValuesLists = nil, nil, false, nil, nil, nil
	s.Op, s.All, s.Larg, s.Rarg = pg.SetOperation_SETOP_NONE, false, nil, nil
	s.LimitCount, s.LimitOffset, s.LimitOption = nil, nil, pg.LimitOption_LIMIT_OPTION_DEFAULT
	s.TargetList, s.WhereClause = nil, within
	for i, c := range out.list {
		s.TargetList = append(s.TargetList, pg.MakeResTargetNodeWithNameAndVal(ident(c.name), sideRef(i), -1))
	}
	s.SortClause = []*pg.Node{{Node: &pg.Node_SortBy{SortBy: &pg.SortBy{
		Node: clone(number), SortbyDir: pg.SortByDir_SORTBY_DEFAULT, SortbyNulls: pg.SortByNulls_SORTBY_NULLS_DEFAULT, Location: -1,
	}}}}
}

// sortedColumn finds the column that an item of ORDER BY is; -1: it is none.
func sortedColumn(by *pg.Node, s *pg.SelectStmt, out columns, plain bool) (int, error) {
	if at := by.GetAConst().GetIval(); at != nil {
		return int(at.GetIval()) - 1, nil
	}
	if names, star := fieldNames(&pg.ColumnRef{Fields: by.GetColumnRef().GetFields()}); len(names) == 1 && !star {
		if at := slices.IndexFunc(out.list, func(c column) bool { return ident(c.name) == names[0] }); at >= 0 {
			return at, nil
		}
	}
	for i, n := range s.TargetList {
		if proto.Equal(placeless(n.GetResTarget().GetVal()), placeless(by)) {
			return i, nil
		}
	}
	if !plain || len(s.DistinctClause) > 0 && s.DistinctClause[0].GetNode() == nil {
		return 0, unsupported(0, "ORDER BY of what is not selected, with such a LIMIT")
	}
	return -1, nil
}

// defaultFrame is what the parser gives a window that says nothing of its frame.
const defaultFrame = 1058

// over makes a window function's call.
func over(name string, by []*pg.Node) *pg.Node {
	n := call(name)
	n.GetFuncCall().Over = &pg.WindowDef{FrameOptions: defaultFrame, Location: -1}
	for _, s := range by {
		n.GetFuncCall().Over.OrderClause = append(n.GetFuncCall().Over.OrderClause, clone(s))
	}
	return n
}

func given(n *pg.Node) *pg.Node {
	if n == nil {
		return null()
	}
	return n
}
