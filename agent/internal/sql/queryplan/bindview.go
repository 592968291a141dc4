package queryplan

import (
	"slices"
	"strconv"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// Readable is what a name in FROM means to a view that is made.
type Readable struct {
	// Object is the collection or view; 0: it is a system table, of Schema.
	Object  cluster.ObjectID
	Schema  string
	Columns []cluster.ReadColumn
}

// BindView makes of a query what cluster.View keeps: names in FROM become those of Reads,
// stars the columns that there are, and columns stand with what they are of, so that
// nothing that is renamed, added or made later changes what the query means. The query
// was planned before: it is sound, and calls says what its calls of functions of users mean, by
// where they stand.
func BindView(s *pg.SelectStmt, find func(schema, name string) (Readable, bool), calls map[int32]*Routine) (query string, reads []cluster.ViewRead, err error) {
	b := NewBinder(find)
	b.calls = calls
	s = proto.CloneOf(s)
	if _, err := b.query(s, nil); err != nil {
		return "", nil, err
	}
	bindQueryCalls(s, calls)
	query, err = syntax.QueryText(s)
	return query, b.Reads, err
}

// Binder has names in queries be of what they mean now.
type Binder struct {
	// Reads are what the queries name so far.
	Reads []cluster.ViewRead

	find  func(schema, name string) (Readable, bool)
	calls map[int32]*Routine
	what  string // is bound, for errors
}

// NewBinder returns one that finds what names in FROM mean.
func NewBinder(find func(schema, name string) (Readable, bool)) *Binder {
	return &Binder{find: find, what: "a view"}
}

// fromItem is a FROM item, or a query in WITH.
type fromItem struct {
	name    string
	columns []string
	known   bool // columns are all there are
	read    int  // index in reads, -1: nothing that is kept
}

// level is what names mean within one SELECT.
type level struct {
	parent *level
	items  []*fromItem
	with   map[string]*fromItem
	// merged are columns that USING made one of two.
	merged map[string]bool
	// outputs are the names that ORDER BY may mean.
	outputs []string
}

func (l *level) inWith(name string) (*fromItem, bool) {
	for ; l != nil; l = l.parent {
		if b, ok := l.with[name]; ok {
			return b, true
		}
	}
	return nil, false
}

// query binds a SELECT, VALUES or set operation and returns what it gives.
func (b *Binder) query(s *pg.SelectStmt, parent *level) (*fromItem, error) {
	l := &level{parent: parent, with: map[string]*fromItem{}, merged: map[string]bool{}}
	for _, n := range s.GetWithClause().GetCtes() {
		if err := b.cte(n.GetCommonTableExpr(), s.GetWithClause().GetRecursive(), l); err != nil {
			return nil, err
		}
	}
	out := &fromItem{known: true, read: -1}
	var err error
	switch {
	case s.GetOp() != pg.SetOperation_SETOP_NONE:
		if out, err = b.query(s.GetLarg(), l); err == nil {
			_, err = b.query(s.GetRarg(), l)
		}
	case len(s.GetValuesLists()) > 0:
		for i := range s.GetValuesLists()[0].GetList().GetItems() {
			out.columns = append(out.columns, "column"+strconv.Itoa(i+1))
		}
		err = b.nodes(s.GetValuesLists(), l)
	default:
		err = b.block(s, l, out)
	}
	if err != nil {
		return nil, err
	}
	l.outputs = out.columns
	if err := b.nodes(s.GetSortClause(), l); err != nil {
		return nil, err
	}
	return out, b.nodes([]*pg.Node{s.GetLimitCount(), s.GetLimitOffset()}, l)
}

func (b *Binder) cte(c *pg.CommonTableExpr, recursive bool, l *level) error {
	sub := c.GetCtequery().GetSelectStmt()
	if sub == nil && b.what != "a view" {
		return syntax.Unsupported("a statement that changes rows, in WITH in "+b.what, "Write the body as AS '...'.")
	}
	if sub == nil {
		return fail("0A000", 0, "views must not contain data-modifying statements in WITH")
	}
	if recursive {
		l.with[c.GetCtename()] = &fromItem{read: -1}
		if len(c.GetAliascolnames()) > 0 {
			l.with[c.GetCtename()] = &fromItem{read: -1, known: true, columns: names(c.GetAliascolnames())}
		} else if first := sub.GetLarg(); first != nil {
			if outputs, ok := outputNames(first); ok {
				l.with[c.GetCtename()] = &fromItem{read: -1, known: true, columns: outputs}
			}
		}
	}
	out, err := b.query(sub, l)
	if err == nil {
		l.with[c.GetCtename()] = renamed(out, "", c.GetAliascolnames())
	}
	return err
}

// outputNames are those of a SELECT list without a star.
func outputNames(s *pg.SelectStmt) (out []string, ok bool) {
	for _, n := range s.GetTargetList() {
		t := n.GetResTarget()
		if _, star := star(t.GetVal()); star {
			return nil, false
		}
		out = append(out, outputOf(t))
	}
	return out, len(out) > 0
}

func outputOf(t *pg.ResTarget) string {
	if t.GetName() != "" {
		return t.GetName()
	}
	return outputName(t.GetVal())
}

func names(list []*pg.Node) []string {
	var out []string
	for _, n := range list {
		out = append(out, n.GetString_().GetSval())
	}
	return out
}

// renamed is b under an alias.
func renamed(b *fromItem, name string, aliases []*pg.Node) *fromItem {
	out := &fromItem{name: name, known: b.known, read: b.read, columns: slices.Clone(b.columns)}
	for i, a := range names(aliases) {
		if i < len(out.columns) {
			out.columns[i] = a
		} else if !out.known {
			out.columns = append(out.columns, a)
		}
	}
	return out
}

// block binds SELECT ... FROM ... WHERE.
func (b *Binder) block(s *pg.SelectStmt, l *level, out *fromItem) error {
	var all []starred
	for _, n := range s.GetFromClause() {
		columns, err := b.from(n, l)
		if err != nil {
			return err
		}
		all = append(all, columns...)
	}
	list, err := b.targets(s.GetTargetList(), all, l)
	if err != nil {
		return err
	}
	s.TargetList = list
	for _, n := range list {
		out.columns = append(out.columns, outputOf(n.GetResTarget()))
	}
	if err := b.nodes(list, l); err != nil {
		return err
	}
	if err := b.nodes(append([]*pg.Node{s.GetWhereClause(), s.GetHavingClause()}, s.GetDistinctClause()...), l); err != nil {
		return err
	}
	if err := b.nodes(s.GetWindowClause(), l); err != nil {
		return err
	}
	for _, n := range s.GetGroupClause() { // may name an output, if it is no column
		if fields := n.GetColumnRef().GetFields(); len(fields) == 1 && slices.Contains(out.columns, fields[0].GetString_().GetSval()) && !l.has(fields[0].GetString_().GetSval()) {
			continue
		}
		if err := b.nodes([]*pg.Node{n}, l); err != nil {
			return err
		}
	}
	return nil
}

// targets are those of a list, with the columns that stars in it stand for.
func (b *Binder) targets(list []*pg.Node, all []starred, l *level) (out []*pg.Node, err error) {
	for _, n := range list {
		relation, ok := star(n.GetResTarget().GetVal())
		if !ok {
			out = append(out, n)
			continue
		}
		columns, err := b.star(relation, all, l)
		if err != nil {
			return nil, err
		}
		for _, c := range columns {
			out = append(out, resTarget(c.node()))
		}
	}
	return out, nil
}

// has reports whether a FROM item of the SELECT itself has the column.
func (l *level) has(name string) bool {
	return slices.ContainsFunc(l.items, func(i *fromItem) bool { return slices.Contains(i.columns, name) })
}

// starred is a column that * stands for; item nil: one of USING.
type starred struct {
	item *fromItem
	name string
}

func (c starred) node() *pg.Node {
	fields := []*pg.Node{stringNode(c.name)}
	if c.item != nil {
		fields = []*pg.Node{stringNode(c.item.name), stringNode(c.name)}
	}
	return &pg.Node{Node: &pg.Node_ColumnRef{ColumnRef: &pg.ColumnRef{Fields: fields, Location: -1}}}
}

func (b *Binder) star(relation string, all []starred, l *level) ([]starred, error) {
	items := l.items
	if relation != "" {
		item := l.item(relation)
		if item == nil {
			return nil, fail("42P01", 0, "missing FROM-clause entry for table %q", relation)
		}
		items = []*fromItem{item}
		all = item.all()
	}
	for _, i := range items {
		if !i.known {
			return nil, syntax.Unsupported("* of "+i.name+" in "+b.what, "Name its columns.")
		}
	}
	return all, nil
}

func (i *fromItem) all() []starred {
	out := make([]starred, len(i.columns))
	for n, c := range i.columns {
		out[n] = starred{i, c}
	}
	return out
}

// item finds a FROM item by its name, in this SELECT or those around it.
func (l *level) item(name string) *fromItem {
	for ; l != nil; l = l.parent {
		for _, i := range l.items {
			if i.name == name {
				return i
			}
		}
	}
	return nil
}

// from binds a FROM item and returns what * stands for there.
func (b *Binder) from(n *pg.Node, l *level) ([]starred, error) {
	switch x := n.GetNode().(type) {
	case *pg.Node_RangeVar:
		item, err := b.table(x.RangeVar, l)
		if err != nil {
			return nil, err
		}
		l.items = append(l.items, item)
		return item.all(), nil
	case *pg.Node_JoinExpr:
		return b.join(x.JoinExpr, l)
	case *pg.Node_RangeSubselect:
		item, err := b.query(x.RangeSubselect.GetSubquery().GetSelectStmt(), l)
		if err != nil {
			return nil, err
		}
		item = renamed(item, x.RangeSubselect.GetAlias().GetAliasname(), x.RangeSubselect.GetAlias().GetColnames())
		l.items = append(l.items, item)
		return item.all(), nil
	case *pg.Node_RangeFunction:
		return b.function(x.RangeFunction, l)
	default:
		return nil, syntax.Unsupported("this kind of FROM item in "+b.what, "")
	}
}

// function binds a function in FROM. What columns it has is not known here, unless
// an alias says so or it gives one.
func (b *Binder) function(f *pg.RangeFunction, l *level) ([]starred, error) {
	if err := b.nodes(f.GetFunctions(), l); err != nil {
		return nil, err
	}
	item := &fromItem{read: -1, name: f.GetAlias().GetAliasname(), columns: names(f.GetAlias().GetColnames())}
	call := f.GetFunctions()[0].GetList().GetItems()[0]
	name := outputName(call)
	if item.name == "" {
		item.name = name
		f.Alias = &pg.Alias{Aliasname: name}
	}
	switch name {
	case "generate_series", "unnest", "regexp_split_to_table", "string_to_table", "jsonb_array_elements", "json_array_elements", "jsonb_object_keys", "json_object_keys":
		item.known = len(f.GetFunctions()) == 1 && !f.GetOrdinality()
		if item.known && len(item.columns) == 0 {
			item.columns = []string{item.name}
			f.Alias.Colnames = []*pg.Node{stringNode(item.name)}
		}
	}
	if r := b.calls[call.GetFuncCall().GetLocation()]; r != nil && len(f.GetFunctions()) == 1 && !f.GetOrdinality() && len(r.Columns) > 0 {
		item.known = true
		for i := len(item.columns); i < len(r.Columns); i++ {
			column := r.Columns[i].Name
			if !r.Composite && column == r.Object.Name {
				column = item.name
			}
			item.columns = append(item.columns, column)
			f.Alias.Colnames = append(f.Alias.Colnames, stringNode(column))
		}
	}
	l.items = append(l.items, item)
	return item.all(), nil
}

// table binds a name in FROM, which keeps that as its alias.
func (b *Binder) table(r *pg.RangeVar, l *level) (*fromItem, error) {
	alias := r.GetAlias().GetAliasname()
	if alias == "" {
		alias = r.GetRelname()
	}
	if r.GetSchemaname() == "" {
		if c, ok := l.inWith(r.GetRelname()); ok {
			return renamed(c, alias, r.GetAlias().GetColnames()), nil
		}
	}
	t, ok := b.find(r.GetSchemaname(), r.GetRelname())
	if !ok {
		return nil, fail("42P01", syntax.Position(r.GetLocation()), "relation %q does not exist", r.GetRelname())
	}
	if r.Alias == nil {
		r.Alias = &pg.Alias{Aliasname: alias}
	}
	item := &fromItem{known: true, read: -1}
	for _, c := range t.Columns {
		item.columns = append(item.columns, c.Name)
	}
	if t.Object == 0 {
		r.Schemaname = t.Schema
		return renamed(item, alias, r.GetAlias().GetColnames()), nil
	}
	item.read = slices.IndexFunc(b.Reads, func(v cluster.ViewRead) bool { return v.Object == t.Object })
	if item.read < 0 {
		item.read = len(b.Reads)
		b.Reads = append(b.Reads, cluster.ViewRead{Object: t.Object, Columns: slices.Clone(t.Columns)})
	}
	r.Schemaname, r.Relname = catalog.ReadSchema, strconv.Itoa(item.read+1)
	return renamed(item, alias, r.GetAlias().GetColnames()), nil
}

func (b *Binder) join(j *pg.JoinExpr, l *level) ([]starred, error) {
	first := len(l.items)
	left, err := b.from(j.GetLarg(), l)
	if err != nil {
		return nil, err
	}
	second := len(l.items)
	right, err := b.from(j.GetRarg(), l)
	if err != nil {
		return nil, err
	}
	if j.GetIsNatural() {
		for _, i := range l.items[first:] {
			if !i.known {
				return nil, syntax.Unsupported("NATURAL JOIN of "+i.name+" in "+b.what, "Use JOIN ... USING.")
			}
		}
		for _, c := range left {
			if slices.ContainsFunc(right, func(r starred) bool { return r.name == c.name }) {
				j.UsingClause = append(j.UsingClause, stringNode(c.name))
			}
		}
		if j.IsNatural = len(j.GetUsingClause()) == 0; j.IsNatural {
			return nil, syntax.Unsupported("NATURAL JOIN of tables without common columns in "+b.what, "Use CROSS JOIN.")
		}
	}
	using := names(j.GetUsingClause())
	if len(using) == 0 {
		return append(left, right...), b.nodes([]*pg.Node{j.GetQuals()}, l)
	}
	var out []starred
	for _, name := range using {
		l.merged[name] = true
		out = append(out, starred{name: name})
		for _, side := range [][]*fromItem{l.items[first:second], l.items[second:]} {
			for _, i := range side {
				b.use(i, name)
			}
		}
	}
	for _, c := range append(left, right...) {
		if !slices.Contains(using, c.name) {
			out = append(out, c)
		}
	}
	return out, nil
}

// use notes that a column is needed; "" stands for all.
func (b *Binder) use(i *fromItem, name string) {
	if i.read < 0 {
		return
	}
	columns := b.Reads[i.read].Columns
	for n := range columns {
		if name == "" || n < len(i.columns) && i.columns[n] == name {
			columns[n].Used = true
		}
	}
}

// nodes binds the columns that expressions name, and the queries in them.
func (b *Binder) nodes(list []*pg.Node, l *level) error {
	for _, n := range list {
		if n == nil {
			continue
		}
		if err := syntax.Walk(n, func(n *pg.Node) (below bool, err error) {
			switch x := n.GetNode().(type) {
			case *pg.Node_ColumnRef:
				b.column(x.ColumnRef, l)
				return false, nil
			case *pg.Node_SelectStmt:
				_, err := b.query(x.SelectStmt, l)
				return false, err
			}
			return true, nil
		}); err != nil {
			return err
		}
	}
	return nil
}

// column has a column stand with the name of what it is of.
func (b *Binder) column(r *pg.ColumnRef, l *level) {
	fields := r.GetFields()
	if n := len(fields); n > 2 { // schema.table.column
		r.Fields = fields[n-2:]
		fields = r.Fields
	}
	name := fields[len(fields)-1].GetString_().GetSval()
	if len(fields) == 2 {
		if i := l.item(fields[0].GetString_().GetSval()); i != nil {
			b.use(i, name) // all, if it is a star
		}
		return
	}
	if slices.Contains(l.outputs, name) { // of ORDER BY
		for _, i := range l.items {
			b.use(i, name)
		}
		return
	}
	for at := l; at != nil; at = at.parent {
		var hit, open *fromItem
		for _, i := range at.items {
			if slices.Contains(i.columns, name) {
				b.use(i, name)
				hit = i
			} else if !i.known {
				open = i
			}
		}
		switch {
		case at.merged[name]:
			return
		case hit == nil && open == nil:
			continue
		case hit == nil:
			hit = open
		}
		r.Fields = []*pg.Node{stringNode(hit.name), stringNode(name)}
		return
	}
	if i := l.item(name); i != nil { // a whole row
		b.use(i, "")
	}
}
