package rewrite

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// rewriter is the state of one Rewrite.
type rewriter struct {
	in        Input
	top       *pg.SelectStmt
	scans     []*Scan
	params    []datum.Type
	paramRefs []*pg.Node
	hidden    map[string]bool // names of columns that the statement uses
	scope     *scope
	now       int
	nowRefs   []*pg.ParamRef
	usesNow   bool
	// made are expressions that are DuckDB's already.
	made map[*pg.Node]bool
	// textual are expressions in whose places numerics may be texts; mayWrite says that
	// columns of the query may be.
	textual map[*pg.Node]bool
	// digitless are expressions of whose values nobody sees the digits.
	digitless map[*pg.Node]bool
	// derived are queries of FROM or WITH.
	derived  map[*pg.SelectStmt]bool
	mayWrite bool
	// blanks are GREATEST and LEAST of values of char(n) with their blanks.
	blanks map[*pg.Node]bool
	// keyed are numerics in whose places their order keys stand, once they are written by this.
	keyed map[*pg.Node]func(*pg.Node) *pg.Node
	// accepts says so of the expression that before looks at.
	accepts bool
	// views counts those that were expanded, inView those that stand within each other.
	views, inView int
	// inlined counts the calls of functions that were put in, outers the items of FROM that
	// bring in columns of queries around.
	inlined, outers int
	// members are columns that have to be one of what a query gives.
	members map[*pg.SelectStmt]column
	// seeds are told the columns of the first part of a recursive query: the second knows
	// them by its name.
	seeds map[*pg.SelectStmt]func(columns)
	// shadows are names of tables that are also those of columns of queries within.
	shadows map[string]bool
	// subtracted are the sides of EXCEPT and INTERSECT.
	subtracted map[*pg.SelectStmt]bool
	// merged are the columns that joins make of two each.
	merged map[*pg.JoinExpr][]string
	// givesText are subqueries of one value that turned out to give a text.
	givesText map[*pg.Node]bool
	// results are what subqueries give that were tried, within trial others.
	results map[*pg.SelectStmt][]column
	trial   int
	trials  *int // how many there were in all
	// tries is query: the tables of functions know what finds out types.
	tries func(r *rewriter, s *pg.SelectStmt, parent *scope) (columns, error)
	// given are orders of values of which an aggregate gives one.
	given map[*pg.SortBy]bool
	// nesting counts macros that name an argument twice within each other.
	nesting int
	// copied counts the bytes of expressions that comparisons name twice.
	copied int
	// records are what the columns of the result are made of where some are rows.
	records []Record
	// refused is what is not supported where no error can be returned.
	refused error
	// fails is Statement.Fails.
	fails *Error
}

// query rewrites a SELECT, VALUES or set operation and tells its columns.
func (r *rewriter) query(s *pg.SelectStmt, parent *scope) (columns, error) {
	outer, mayWrite := r.scope, r.mayWrite
	defer func() { r.scope, r.mayWrite = outer, mayWrite }()
	r.scope = &scope{parent: parent, ctes: map[string]*relation{}, distinct: len(s.DistinctClause) > 0, derived: r.derived[s]}
	if s.IntoClause != nil {
		return columns{}, unsupported(0, "SELECT INTO")
	}
	if err := r.with(s.WithClause); err != nil {
		return columns{}, err
	}
	if len(s.LockingClause) > 0 {
		return columns{}, unsupported(0, "FOR UPDATE or the like in a subquery")
	}
	if err := sortable(s); err != nil {
		return columns{}, err
	}
	sortedValues(s)
	counted := counts(s, parent)
	var out columns
	var err error
	switch {
	case s.Op != pg.SetOperation_SETOP_NONE:
		if out, err = r.setOperation(s); err == nil && s.Op != pg.SetOperation_SETOP_NONE {
			err = r.sortsDocuments(s, out)
		}
	case len(s.ValuesLists) > 0:
		if out, err = r.values(s); err == nil {
			err = r.sortsDocuments(s, out)
		}
	default:
		if out, err = r.block(s); err == nil {
			err = r.sortNames(s)
		}
	}
	if err != nil {
		return columns{}, err
	}
	if err := positions(s.SortClause, "ORDER BY", out); err != nil {
		return columns{}, err
	}
	if err := r.list(s.SortClause); err != nil {
		return columns{}, err
	}
	return out, r.limit(s, out, counted)
}

func (r *rewriter) with(w *pg.WithClause) error {
	if w == nil {
		return nil
	}
	seen := map[string]bool{}
	for _, n := range w.Ctes {
		c := n.GetCommonTableExpr()
		if c.SearchClause != nil || c.CycleClause != nil {
			return unsupported(c.Location, "SEARCH or CYCLE in WITH")
		}
		sub := c.Ctequery.GetSelectStmt()
		if sub == nil {
			return unsupported(c.Location, "a data-modifying statement in WITH")
		}
		rel := &relation{}
		name := c.Ctename
		if seen[name] {
			return errorf("42712", c.Location, "WITH query name \"%s\" specified more than once", name)
		}
		seen[name] = true
		if w.Recursive {
			r.scope.ctes[name] = rel
			if r.seeds == nil {
				r.seeds = map[*pg.SelectStmt]func(columns){}
			}
			r.seeds[sub] = func(left columns) {
				rel.columns, rel.known = rename(left, c.Aliascolnames), left.known
				for i := range rel.columns {
					rel.columns[i].grown, rel.columns[i].passed = true, false
				}
			}
		}
		mayWrite, ofValues := r.mayWrite, beginsWithValues(sub)
		r.mayWrite = !w.Recursive
		cols, err := r.subquery(sub)
		if r.mayWrite = mayWrite; err != nil {
			return err
		}
		if given := len(c.Aliascolnames); cols.known && given > len(cols.list) {
			return errorf("42P10", c.Location, "WITH query \"%s\" has %d columns available but %d columns specified", name, len(cols.list), given)
		}
		rel.columns, rel.known = rename(cols, c.Aliascolnames), cols.known
		for i := range rel.columns { // it is read as often as it is named
			rel.columns[i].passed = false
		}
		r.scope.ctes[name] = rel
		c.Ctename = ident(c.Ctename)
		if given := len(c.Aliascolnames); ofValues && given < len(cols.list) {
			c.Aliascolnames = append(c.Aliascolnames, names(cols)[given:]...)
		}
		quoteNames(c.Aliascolnames)
	}
	return nil
}

// beginsWithValues reports whether the columns of a query are called as those of VALUES, to which
// the engine gives other names.
func beginsWithValues(s *pg.SelectStmt) bool {
	for s.GetOp() != pg.SetOperation_SETOP_NONE {
		s = s.Larg
	}
	return len(s.GetValuesLists()) > 0
}

// rename applies an alias' column names.
func rename(c columns, aliases []*pg.Node) []column {
	out := append([]column(nil), c.list...)
	for i, a := range aliases {
		if i < len(out) {
			out[i].name = a.GetString_().GetSval()
		} else if !c.known {
			out = append(out, column{name: a.GetString_().GetSval()})
		}
	}
	return out
}

func names(c columns) []*pg.Node {
	out := make([]*pg.Node, len(c.list))
	for i := range c.list {
		out[i] = str(c.list[i].name)
	}
	return out
}

func (r *rewriter) setOperation(s *pg.SelectStmt) (columns, error) {
	if s.Op > pg.SetOperation_SETOP_UNION || r.subtracted[s] {
		r.subtracted[s.Larg], r.subtracted[s.Rarg] = true, true
	}
	left, right, err := r.sides(s)
	if err != nil {
		return columns{}, err
	}
	op := strings.TrimPrefix(s.Op.String(), "SETOP_")
	if left.known && right.known && len(left.list) != len(right.list) {
		return columns{}, errorf("42601", 0, "each %s query must have the same number of columns", op)
	}
	out := columns{known: left.known}
	both := left.known && right.known
	forms := [2][]form{make([]form, len(left.list)), make([]form, len(right.list))}
	for i, c := range left.list {
		m := column{scale: -1}
		if err := inexact(-1, c.typ); err != nil && !s.All {
			return columns{}, err
		}
		if both {
			if c.null && right.list[i].typ.IsInt() { // what it is united with next are integers
				c.typ = right.list[i].typ
			}
			c.typ, right.list[i].typ = besideNull(c, right.list[i]), besideNull(right.list[i], c)
			if m, forms[0][i], forms[1][i] = r.unites(c, right.list[i]); s.Op > pg.SetOperation_SETOP_UNION && (m.text || manyScales(c, right.list[i])) {
				err := unsupported(0, "%s of numerics with scales of their own", op)
				err.Hint = "Cast the values to numeric(precision, scale)."
				return columns{}, err
			}
			if r.seeds[s] != nil && c.typ == datum.Numeric {
				if err := grows(c, right.list[i]); err != nil {
					return columns{}, err
				}
				forms[0][i] = asWide
			}
		}
		if both && s.Op > pg.SetOperation_SETOP_UNION && (c.typ == datum.Interval || right.list[i].typ == datum.Interval) && !c.null && !right.list[i].null {
			forms[0][i], forms[1][i] = asLength, asLength
		}
		m.name = c.name
		if i < len(right.list) && right.known {
			if err := r.matched(op, c.typ, right.list[i].typ); err != nil {
				return columns{}, err
			}
		}
		if i < len(right.list) && right.known && opaque(c.typ) && opaque(right.list[i].typ) && !c.typ.IsArray() {
			m.typ = mixed(c.typ, right.list[i].typ)
		}
		if i < len(right.list) && right.known && right.list[i].typ.IsString() && (c.typ == datum.Text || c.typ == datum.Varchar) { // each becomes the other by itself
			m.typ = c.typ
		}
		if i < len(right.list) && right.known && right.list[i].typ == c.typ {
			m.typ = c.typ
			m.written = c.asWritten() && right.list[i].asWritten()
			if c.modifier == right.list[i].modifier {
				m.modifier = c.modifier
			}
		}
		out.list = append(out.list, m)
	}
	if both {
		s.Larg, s.Rarg = r.side(s.Larg, left, forms[0]), r.side(s.Rarg, right, forms[1])
	}
	return out, r.overUnion(s, out)
}

// sides rewrites those of a set operation: literals of one have the types of the other.
func (r *rewriter) sides(s *pg.SelectStmt) (left, right columns, err error) {
	seed := r.seeds[s]
	if seed != nil {
		untypedAreText(s.Larg)
	}
	if seed != nil || !literals(s.Larg) {
		if left, err = r.query(s.Larg, r.scope); err != nil {
			return left, right, err
		}
		if seed != nil {
			seed(left)
		}
		right, err = r.typedSide(s.Rarg, left)
		return left, right, err
	}
	if right, err = r.query(s.Rarg, r.scope); err != nil {
		return left, right, err
	}
	left, err = r.typedSide(s.Larg, right)
	return left, right, err
}

// besideNull is the type of a column of a set operation: that of the other side, if it is null
// and the engine does not say so.
func besideNull(c, other column) datum.Type {
	if c.null && c.typ == datum.Unknown && opaque(other.typ) {
		return other.typ
	}
	return c.typ
}

// typedSide rewrites a side of a set operation whose literals have the types of the other.
func (r *rewriter) typedSide(s *pg.SelectStmt, other columns) (columns, error) {
	typed, err := r.typeTargets(s, other)
	if err != nil {
		return columns{}, err
	}
	own, err := r.query(s, r.scope)
	for _, i := range typed {
		if own.known && i < len(own.list) {
			own.list[i].typ = other.list[i].typ
		}
	}
	return own, err
}

// untypedAreText makes text of what nothing gives a type: a string is text as it is.
func untypedAreText(s *pg.SelectStmt) {
	for _, n := range s.TargetList {
		if t := n.GetResTarget(); t.GetVal().GetAConst().GetIsnull() {
			t.Name = cmp.Or(t.Name, "?column?")
			t.Val = sqlNull()
		}
	}
}

// literals reports whether a SELECT has some for columns.
func literals(s *pg.SelectStmt) bool {
	return slices.ContainsFunc(s.TargetList, func(n *pg.Node) bool {
		_, ok := literal(n.GetResTarget().GetVal())
		return ok
	})
}

// typeTargets gives literals of a SELECT list the types of other columns, and says which have them.
func (r *rewriter) typeTargets(s *pg.SelectStmt, other columns) (typed []int, err error) {
	if !other.known || len(s.TargetList) != len(other.list) {
		return nil, nil
	}
	for i, n := range s.TargetList {
		t := n.GetResTarget()
		if t == nil || other.list[i].typ.IsString() {
			continue
		}
		if _, ok := literal(t.Val); ok {
			t.Name = cmp.Or(t.Name, "?column?")
			if err := r.typeLiteral(&t.Val, other.list[i].typ); err != nil {
				return nil, err
			}
			typed = append(typed, i)
		}
	}
	return typed, nil
}

func (r *rewriter) values(s *pg.SelectStmt) (columns, error) {
	out := columns{known: true}
	var typed []datum.Type
	texts := map[int][]func(*pg.Node) *pg.Node{}
	for k := range s.ValuesLists[0].GetList().GetItems() {
		var l []*pg.Node
		for _, row := range s.ValuesLists {
			if items := row.GetList().GetItems(); k < len(items) {
				l = append(l, items[k])
			}
		}
		if err := r.alternatives("VALUES", l); err != nil {
			return columns{}, err
		}
		typed = append(typed, r.common(l))
		if r.mayWrite && typed[k] == datum.Numeric && len(l) == len(s.ValuesLists) && r.writesOneOf(l) {
			texts[k] = r.writtenTexts(l)
		}
	}
	r.mayWrite = false
	for i, row := range s.ValuesLists {
		for k, n := range row.GetList().GetItems() {
			if i == 0 {
				out.list = append(out.list, column{name: "column" + strconv.Itoa(k+1), typ: r.typeOf(n), modifier: r.widthOf(n), scale: r.scaleOfAll(s, k)})
				out.list[k].written = out.list[k].typ == datum.JSON
				continue
			}
			if n.GetAConst().GetIsnull() { // it is of any type
				continue
			}
			if k < len(out.list) && out.list[k].modifier != r.widthOf(n) {
				out.list[k].modifier = -1
			}
			if k < len(out.list) && (typed[k].IsNumber() || typed[k].IsString() && typed[k] != datum.Bpchar) {
				out.list[k].typ = typed[k]
				continue
			}
			if _, isText := literal(n); k < len(out.list) && out.list[k].typ != r.typeOf(n) && !(isText && typed[k] == out.list[k].typ) {
				out.list[k].typ = mixed(out.list[k].typ, r.typeOf(n))
			}
		}
	}
	for k := range out.list {
		if k < len(typed) && opaque(typed[k]) { // what the literals beside them are read as
			out.list[k].typ = typed[k]
		}
	}
	r.valuesWithBlanks(s, out)
	for _, row := range s.ValuesLists {
		for k, n := range row.GetList().GetItems() {
			if k < len(typed) {
				if err := r.typeLiteral(&n, typed[k]); err != nil {
					return columns{}, err
				}
				if t := r.typeOf(n); typed[k] == datum.Float8 && t.IsNumber() && t != datum.Float8 {
					n = cast8(n)
				}
				row.GetList().Items[k] = n
			}
		}
	}
	if err := r.list(s.ValuesLists); err != nil {
		return columns{}, err
	}
	for k := range out.list {
		for i, form := range texts[k] {
			items := s.ValuesLists[i].GetList().Items
			items[k] = form(items[k])
			out.list[k].text, out.list[k].typ = true, datum.Numeric
		}
	}
	return out, nil
}

// block rewrites SELECT .. FROM .. WHERE .. without set operations.
func (r *rewriter) block(s *pg.SelectStmt) (columns, error) {
	mayWrite := r.mayWrite
	filled := map[string]bool{}
	for _, f := range s.FromClause {
		nullFilled(f, false, filled)
	}
	for i, f := range s.FromClause {
		n, rels, err := r.from(f)
		if err != nil {
			return columns{}, err
		}
		s.FromClause[i] = n
		r.scope.relations = append(r.scope.relations, rels...)
	}
	if err := distinctNames(r.scope.relations); err != nil {
		return columns{}, err
	}
	r.scope.filled = filled
	if err := cmp.Or(r.outerInSets(s), r.outerInWindows(s), r.takeRows(s, filled)); err != nil {
		return columns{}, err
	}
	r.spellCalls(s)
	if err := r.groupedConstants(s); err != nil {
		return columns{}, err
	}
	if err := r.groupedSets(s); err != nil {
		return columns{}, err
	}
	if err := r.condition(s.WhereClause, "WHERE"); err != nil {
		return columns{}, err
	}
	if err := r.condition(s.HavingClause, "HAVING"); err != nil {
		return columns{}, err
	}
	if err := r.ungrouped(s); err != nil {
		return columns{}, err
	}
	r.constrain(s.WhereClause, r.scope.relations)
	out, err := r.targets(s)
	if err != nil {
		return columns{}, err
	}
	r.pass(s, out)
	if err := r.sortsDocuments(s, out); err != nil {
		return columns{}, err
	}
	r.dependent(s, out)
	r.mayWrite = mayWrite
	r.writesTargets(s, out)
	r.showBlanks(s, out)
	r.mayWrite = false
	if err := positions(s.GroupClause, "GROUP BY", out); err != nil {
		return columns{}, err
	}
	if s.WhereClause, err = r.node(s.WhereClause); err != nil {
		return columns{}, err
	}
	if s.HavingClause, err = r.node(s.HavingClause); err != nil {
		return columns{}, err
	}
	for _, l := range [][]*pg.Node{s.DistinctClause, s.TargetList, s.GroupClause, s.WindowClause} {
		if err := r.list(l); err != nil {
			return columns{}, err
		}
	}
	for i, n := range s.TargetList {
		if i < len(out.list) && r.givesText[n.GetResTarget().GetVal()] {
			out.list[i].text, out.list[i].typ = true, datum.Numeric
		}
	}
	return out, nil
}

// targets expands stars, names columns as PostgreSQL does and tells what they are.
func (r *rewriter) targets(s *pg.SelectStmt) (columns, error) {
	out := columns{known: true}
	var list []*pg.Node
	for _, n := range s.TargetList {
		t := n.GetResTarget()
		if t == nil {
			return columns{}, unsupported(0, "this form of SELECT list")
		}
		ref := t.Val.GetColumnRef()
		if ref != nil && len(ref.Fields) > 0 && ref.Fields[len(ref.Fields)-1].GetAStar() != nil {
			expanded, cols, ok := r.star(s, ref)
			out.list = append(out.list, cols...)
			if out.known = out.known && ok; !ok {
				expanded = []*pg.Node{n}
			}
			list = append(list, expanded...)
			continue
		}
		if s == r.top && t.Val.GetAConst().GetIsnull() {
			t.Val = sqlNull()
			t.Name = cmp.Or(t.Name, "?column?")
		}
		c := column{name: t.Name, typ: r.typeOf(t.Val), modifier: r.widthOf(t.Val), scale: r.scaleOf(t.Val)}
		c.written, c.null = c.typ == datum.JSON, nullNumber(t.Val, c.typ)
		if c.name == "" {
			c.name = FigureName(t.Val)
		}
		if ref != nil {
			if found, ok := r.scope.find(ref); ok {
				c.scan, c.index, c.modifier, c.written = found.scan, found.index, found.modifier, found.written
				c.passed, c.grown = found.passed, found.grown
			}
		}
		if ref == nil || t.Name != "" || r.scalarNamed(ref) != nil {
			t.Name = ident(c.name)
		}
		out.list = append(out.list, c)
		list = append(list, n)
	}
	s.TargetList = list
	return out, nil
}
