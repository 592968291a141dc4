package queryplan

import (
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"

	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// Fields has the names in a statement that are no columns mean fields of documents, where
// it names schemaless collections: name becomes document_field(doc, 'name'). What fields
// are compared with becomes jsonb, too. found is false if the statement names no such
// collection. It is for a statement that could not be planned as it stands.
func (p *Planner) Fields(q *syntax.Query) (resolved *syntax.Query, found bool, err error) {
	out := *q
	r := &fieldResolver{planner: p}
	switch {
	case q.Select != nil:
		out.Select = proto.CloneOf(q.Select)
		err = r.query(out.Select, nil)
	case q.Insert != nil:
		out.Insert = proto.CloneOf(q.Insert)
		err = r.insert(out.Insert)
	case q.Update != nil:
		out.Update = proto.CloneOf(q.Update)
		err = r.update(out.Update)
	case q.Delete != nil:
		out.Delete = proto.CloneOf(q.Delete)
		err = r.delete(out.Delete)
	}
	return &out, r.found, err
}

// fieldResolver is the state of one Fields.
type fieldResolver struct {
	planner *Planner
	found   bool // a schemaless collection
}

// fieldLevel is what names mean within one SELECT.
type fieldLevel struct {
	parent *fieldLevel
	items  []fieldItem
	with   map[string][]string // columns of queries in WITH
}

// fieldItem is a FROM item.
type fieldItem struct {
	alias     string
	columns   []string
	documents bool // rows are documents
	anything  bool // what columns it has is not known
}

func (i *fieldItem) has(name string) bool { return slices.Contains(i.columns, name) }

func (r *fieldResolver) query(s *pg.SelectStmt, parent *fieldLevel) error {
	l := &fieldLevel{parent: parent, with: map[string][]string{}}
	for _, n := range s.GetWithClause().GetCtes() {
		c := n.GetCommonTableExpr()
		columns := names(c.GetAliascolnames())
		if sub := c.GetCtequery().GetSelectStmt(); sub != nil {
			l.with[c.GetCtename()] = columns // of a recursive one
			if err := r.query(sub, l); err != nil {
				return err
			}
			columns = r.given(sub, columns)
		}
		l.with[c.GetCtename()] = columns
	}
	if s.GetOp() != pg.SetOperation_SETOP_NONE {
		if err := r.query(s.GetLarg(), l); err != nil {
			return err
		}
		return r.query(s.GetRarg(), l)
	}
	for _, n := range s.GetFromClause() {
		if err := r.from(n, l); err != nil {
			return err
		}
	}
	return r.block(s, l)
}

// given are the names of what a query gives, under aliases; nil: they are not known.
func (r *fieldResolver) given(s *pg.SelectStmt, aliases []string) []string {
	for s.GetOp() != pg.SetOperation_SETOP_NONE {
		s = s.GetLarg()
	}
	out, ok := outputNames(s)
	if !ok {
		return aliases
	}
	copy(out, aliases)
	return out
}

// block resolves the parts of SELECT ... FROM ... behind FROM.
func (r *fieldResolver) block(s *pg.SelectStmt, l *fieldLevel) error {
	outputs := map[string]*pg.ResTarget{}
	for _, n := range s.GetTargetList() {
		t := n.GetResTarget()
		if _, ok := star(t.GetVal()); ok {
			continue
		}
		if t.GetName() != "" {
			outputs[t.GetName()] = t
		} else if name := fieldName(t.GetVal()); name != "?column?" {
			t.Name = name
		}
		if err := r.each(l, anyValue, t.GetVal()); err != nil {
			return err
		}
	}
	for _, n := range append(slices.Clone(s.GetSortClause()), s.GetGroupClause()...) {
		if by := n.GetSortBy(); by != nil {
			n = by.GetNode()
		}
		if fields := n.GetColumnRef().GetFields(); len(fields) == 1 {
			if t := outputs[fields[0].GetString_().GetSval()]; t != nil && !l.column(fields[0].GetString_().GetSval()) {
				n.Node = proto.CloneOf(t.GetVal()).Node
				continue
			}
		}
		if err := r.each(l, anyValue, n); err != nil {
			return err
		}
	}
	if err := r.each(l, asBool, s.GetWhereClause(), s.GetHavingClause()); err != nil {
		return err
	}
	for _, list := range [][]*pg.Node{s.GetDistinctClause(), s.GetWindowClause(), s.GetValuesLists()} {
		if err := r.each(l, anyValue, list...); err != nil {
			return err
		}
	}
	return r.each(l, anyValue, s.GetLimitCount(), s.GetLimitOffset())
}

func (r *fieldResolver) from(n *pg.Node, l *fieldLevel) error {
	switch x := n.GetNode().(type) {
	case *pg.Node_RangeVar:
		l.items = append(l.items, r.item(x.RangeVar, l))
		return nil
	case *pg.Node_JoinExpr:
		if err := r.from(x.JoinExpr.GetLarg(), l); err != nil {
			return err
		}
		if err := r.from(x.JoinExpr.GetRarg(), l); err != nil {
			return err
		}
		return r.each(l, asBool, x.JoinExpr.GetQuals())
	case *pg.Node_RangeSubselect:
		sub := x.RangeSubselect.GetSubquery().GetSelectStmt()
		if err := r.query(sub, l); err != nil {
			return err
		}
		columns := r.given(sub, names(x.RangeSubselect.GetAlias().GetColnames()))
		l.items = append(l.items, fieldItem{alias: x.RangeSubselect.GetAlias().GetAliasname(), columns: columns, anything: columns == nil})
		return nil
	case *pg.Node_RangeFunction:
		if err := r.each(l, anyValue, x.RangeFunction.GetFunctions()...); err != nil {
			return err
		}
		alias := x.RangeFunction.GetAlias()
		l.items = append(l.items, fieldItem{alias: alias.GetAliasname(), columns: append(names(alias.GetColnames()), alias.GetAliasname())})
		return nil
	default:
		return r.each(l, anyValue, n)
	}
}

// item is a name in FROM.
func (r *fieldResolver) item(v *pg.RangeVar, l *fieldLevel) fieldItem {
	out := fieldItem{alias: v.GetAlias().GetAliasname()}
	if out.alias == "" {
		out.alias = v.GetRelname()
	}
	if v.GetSchemaname() == "" {
		for at := l; at != nil; at = at.parent {
			if columns, ok := at.with[v.GetRelname()]; ok {
				out.columns, out.anything = columns, columns == nil
				return out
			}
		}
	}
	if t, ok := r.planner.Resolve(v.GetSchemaname(), v.GetRelname()); ok {
		for i := range t.Columns {
			out.columns = append(out.columns, t.Columns[i].Name)
		}
		if table, ok := t.Ref.(*catalog.Table); ok {
			out.documents = table.Schemaless()
			r.found = r.found || out.documents
		}
	}
	copy(out.columns, names(v.GetAlias().GetColnames()))
	return out
}

// column reports whether a name is that of a column of any item, here or around.
func (l *fieldLevel) column(name string) bool {
	for ; l != nil; l = l.parent {
		if slices.ContainsFunc(l.items, func(i fieldItem) bool { return i.has(name) }) {
			return true
		}
	}
	return false
}

// named finds an item by its alias.
func (l *fieldLevel) named(alias string) *fieldItem {
	for ; l != nil; l = l.parent {
		for i := range l.items {
			if l.items[i].alias == alias {
				return &l.items[i]
			}
		}
	}
	return nil
}

// documents finds the one item of documents that a bare name may be a field of; nil: there
// is none.
func (l *fieldLevel) documents(name string, position int) (*fieldItem, error) {
	for ; l != nil; l = l.parent {
		var out *fieldItem
		for i := range l.items {
			switch {
			case l.items[i].anything:
				return nil, nil // it may be one of its columns
			case l.items[i].documents && out != nil:
				return nil, fail("42702", position, "column reference %q is ambiguous", name)
			case l.items[i].documents:
				out = &l.items[i]
			}
		}
		if out != nil {
			return out, nil
		}
	}
	return nil, nil
}

// field makes the field that names stand for; nil: they are no field.
func (l *fieldLevel) field(path []string, position int) (*pg.Node, error) {
	if item := l.named(path[0]); item != nil {
		if len(path) == 1 || !item.documents || item.has(path[1]) {
			return nil, nil
		}
		return fieldOf(item, path[1:]), nil
	}
	if l.column(path[0]) {
		return nil, nil
	}
	item, err := l.documents(path[0], position)
	if item == nil || err != nil {
		return nil, err
	}
	return fieldOf(item, path), nil
}

func fieldOf(item *fieldItem, path []string) *pg.Node {
	column := &pg.ColumnRef{Fields: []*pg.Node{stringNode(item.alias), stringNode(catalog.DocumentColumn)}, Location: -1}
	args := []*pg.Node{{Node: &pg.Node_ColumnRef{ColumnRef: column}}}
	for _, step := range path {
		args = append(args, stringConst(step))
	}
	return callNode(documentField, args...)
}

// The functions that fields become.
const (
	documentField  = "document_field"
	documentText   = "document_text"
	documentNumber = "document_number"
	documentBool   = "document_bool"
)

func callNode(name string, args ...*pg.Node) *pg.Node {
	return pg.MakeFuncCallNode([]*pg.Node{stringNode(name)}, args, -1)
}

func stringConst(s string) *pg.Node {
	return &pg.Node{Node: &pg.Node_AConst{AConst: &pg.A_Const{Val: &pg.A_Const_Sval{Sval: &pg.String{Sval: s}}, Location: -1}}}
}

// changed is the level of a statement that changes a relation.
func (r *fieldResolver) changed(v *pg.RangeVar) *fieldLevel {
	l := &fieldLevel{with: map[string][]string{}}
	l.items = append(l.items, r.item(v, l))
	return l
}

func (r *fieldResolver) delete(s *pg.DeleteStmt) error {
	l := r.changed(s.GetRelation())
	for _, n := range s.GetUsingClause() {
		if err := r.from(n, l); err != nil {
			return err
		}
	}
	if err := r.each(l, asBool, s.GetWhereClause()); err != nil {
		return err
	}
	return r.returning(s.GetReturningList(), l)
}

// returning resolves a RETURNING list.
func (r *fieldResolver) returning(list []*pg.Node, l *fieldLevel) error {
	return r.block(&pg.SelectStmt{TargetList: list}, l)
}

func (r *fieldResolver) update(s *pg.UpdateStmt) error {
	l := r.changed(s.GetRelation())
	for _, n := range s.GetFromClause() {
		if err := r.from(n, l); err != nil {
			return err
		}
	}
	var err error
	if s.TargetList, err = r.assignments(s.GetTargetList(), l); err != nil {
		return err
	}
	if err := r.each(l, asBool, s.GetWhereClause()); err != nil {
		return err
	}
	return r.returning(s.GetReturningList(), l)
}

// assignments makes those of fields one of the document.
func (r *fieldResolver) assignments(list []*pg.Node, l *fieldLevel) ([]*pg.Node, error) {
	item := &l.items[0]
	var out []*pg.Node
	var document *pg.Node
	for _, n := range list {
		t := n.GetResTarget()
		if err := r.each(l, anyValue, t.GetVal()); err != nil {
			return nil, err
		}
		if !item.documents || item.has(t.GetName()) && len(t.GetIndirection()) == 0 {
			out = append(out, n)
			continue
		}
		path, ok := steps([]string{t.GetName()}, t.GetIndirection())
		if item.has(t.GetName()) && t.GetName() == catalog.DocumentColumn {
			path = path[1:]
		}
		if !ok || t.GetVal().GetMultiAssignRef() != nil {
			return nil, syntax.Unsupported("this assignment to a field", "Write SET field.part = value, or SET list[0] = value.")
		}
		if document == nil {
			document = &pg.Node{Node: &pg.Node_ColumnRef{ColumnRef: &pg.ColumnRef{Fields: []*pg.Node{stringNode(item.alias), stringNode(catalog.DocumentColumn)}, Location: -1}}}
		}
		document = assigned(document, path, t.GetVal())
	}
	if document != nil {
		out = append(out, &pg.Node{Node: &pg.Node_ResTarget{ResTarget: &pg.ResTarget{Name: catalog.DocumentColumn, Val: document, Location: -1}}})
	}
	return out, nil
}

// assigned is a document with a field set; DEFAULT takes the field away.
func assigned(document *pg.Node, path []string, to *pg.Node) *pg.Node {
	keys := make([]*pg.Node, len(path))
	for i, step := range path {
		keys[i] = stringConst(step)
	}
	if to.GetSetToDefault() != nil {
		array := &pg.Node{Node: &pg.Node_AArrayExpr{AArrayExpr: &pg.A_ArrayExpr{Elements: keys, Location: -1}}}
		return callNode("jsonb_delete_path", document, array)
	}
	// A null is one of the document, not one in its place.
	value := &pg.Node{Node: &pg.Node_CoalesceExpr{CoalesceExpr: &pg.CoalesceExpr{Args: []*pg.Node{jsonOf(to), jsonConst("null")}, Location: -1}}}
	return callNode("document_set", append([]*pg.Node{document, value}, keys...)...)
}

func (r *fieldResolver) insert(s *pg.InsertStmt) error {
	l := r.changed(s.GetRelation())
	item := &l.items[0]
	if sel := s.GetSelectStmt().GetSelectStmt(); sel != nil {
		if err := r.query(sel, nil); err != nil {
			return err
		}
	}
	if item.documents && slices.ContainsFunc(s.GetCols(), func(n *pg.Node) bool { return !item.has(n.GetResTarget().GetName()) }) {
		if err := r.fieldColumns(s, item); err != nil {
			return err
		}
	}
	if on := s.GetOnConflictClause(); on != nil {
		l.items = append(l.items, fieldItem{alias: "excluded", documents: item.documents, columns: item.columns})
		list, err := r.conflictAssignments(on.GetTargetList(), l)
		if err != nil {
			return err
		}
		on.TargetList = list
		l.items = l.items[:1]
		if err := r.each(l, asBool, on.GetWhereClause()); err != nil {
			return err
		}
	}
	return r.returning(s.GetReturningList(), l)
}

// conflictAssignments are those of ON CONFLICT DO UPDATE: bare names are of the row that is
// there.
func (r *fieldResolver) conflictAssignments(list []*pg.Node, l *fieldLevel) ([]*pg.Node, error) {
	outer := &fieldLevel{items: l.items[1:], with: l.with}
	inner := &fieldLevel{parent: outer, items: l.items[:1], with: l.with}
	return r.assignments(list, inner)
}

// fieldColumns makes INSERT INTO c (name, born) VALUES ('Ada', 1815) one of documents.
func (r *fieldResolver) fieldColumns(s *pg.InsertStmt, item *fieldItem) error {
	var kept []*pg.Node
	var at, fields []int
	for i, n := range s.GetCols() {
		if t := n.GetResTarget(); len(t.GetIndirection()) > 0 || t.GetName() == catalog.DocumentColumn {
			return syntax.Unsupported("this list of columns of a schemaless collection", "Name fields, or doc, or write INSERT INTO "+item.alias+" {field: value}.")
		} else if item.has(t.GetName()) {
			kept, at = append(kept, n), append(at, i)
		} else {
			fields = append(fields, i)
		}
	}
	lists := s.GetSelectStmt().GetSelectStmt().GetValuesLists()
	if len(lists) == 0 {
		return syntax.Unsupported("fields in INSERT ... SELECT", "Select documents: INSERT INTO "+item.alias+" SELECT jsonb_build_object('field', value) ....")
	}
	for _, n := range lists {
		list := n.GetList()
		if len(list.GetItems()) != len(s.GetCols()) {
			return r.planner.checkWidth(len(list.GetItems()), make([]int, len(s.GetCols())), list.GetItems())
		}
		var row, args []*pg.Node
		for _, i := range at {
			row = append(row, list.Items[i])
		}
		for _, i := range fields {
			if list.Items[i].GetSetToDefault() == nil {
				args = append(args, stringConst(s.GetCols()[i].GetResTarget().GetName()), list.Items[i])
			}
		}
		list.Items = append(row, callNode("jsonb_build_object", args...))
	}
	s.Cols = append(kept, &pg.Node{Node: &pg.Node_ResTarget{ResTarget: &pg.ResTarget{Name: catalog.DocumentColumn, Location: -1}}})
	return nil
}
