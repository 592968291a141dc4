package permit

import (
	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// relationNeed is what a query does with one relation that it names.
type relationNeed struct {
	object *cluster.Object
	// privileges on the relation, or of those that columns can have on columns.
	privileges cluster.Privileges
	// read and written are the columns that SELECT, and INSERT or UPDATE, are needed of.
	// Without one, any column will do.
	read, inserted, updated map[cluster.ColumnID]bool
}

// needs are what a query does with all relations. Where a name can mean the columns of
// several, all of them count as read: a role that may not read one of them is refused too
// much, and never too little.
type needs struct {
	scope     catalog.Scope
	relations []*relationNeed
	schemas   []namedSchema
}

// namedSchema is a schema that stands in a query.
type namedSchema struct {
	object   *cluster.Object
	position int
}

// names is what names in one part of a query mean.
type names struct {
	outer     *names
	relations []namedRelation
	with      map[string]bool // the queries of WITH
}

// namedRelation is one item of FROM; need is nil if it is no relation of the catalog.
type namedRelation struct {
	alias string
	need  *relationNeed
}

// Query refuses a query that reads or writes what the scope's role may not.
func Query(scope catalog.Scope, q *syntax.Query) error {
	if err := needsOf(scope, q).check(); err != nil {
		return err
	}
	return nil
}

// Relations is Query of one whose names were found for somebody else: the schemas that stand in
// it may be any.
func Relations(scope catalog.Scope, q *syntax.Query) error {
	if err := needsOf(scope, q).checkRelations(); err != nil {
		return err
	}
	return nil
}

// Schemas refuses a query that names schemas which the scope's role may not use.
func Schemas(scope catalog.Scope, q *syntax.Query) error {
	if err := needsOf(scope, q).checkSchemas(); err != nil {
		return err
	}
	return nil
}

// needsOf looks through a query.
func needsOf(scope catalog.Scope, q *syntax.Query) *needs {
	n := &needs{scope: scope}
	top := &names{}
	switch {
	case q.Select != nil:
		n.selects(q.Select, top)
	case q.Insert != nil:
		n.insert(q.Insert, top)
	case q.Update != nil:
		n.update(q.Update, top)
	case q.Delete != nil:
		n.delete(q.Delete, top)
	case q.Merge != nil:
		n.merge(q.Merge, top)
	}
	return n
}

// node looks through any part of a query.
func (n *needs) node(m *pg.Node, in *names) {
	if m != nil {
		n.message(m.ProtoReflect(), in)
	}
}

func (n *needs) nodes(list []*pg.Node, in *names) {
	for _, m := range list {
		n.node(m, in)
	}
}

func (n *needs) message(m protoreflect.Message, in *names) {
	switch x := m.Interface().(type) {
	case *pg.SelectStmt:
		n.selects(x, in)
		return
	case *pg.InsertStmt:
		n.insert(x, in)
		return
	case *pg.UpdateStmt:
		n.update(x, in)
		return
	case *pg.DeleteStmt:
		n.delete(x, in)
		return
	case *pg.ColumnRef:
		n.column(x, in)
		return
	case *pg.FuncCall:
		if names := x.GetFuncname(); len(names) == 2 {
			if schema, ok := n.scope.Schema(names[0].GetString_().GetSval()); ok {
				n.schemas = append(n.schemas, namedSchema{schema, syntax.Position(x.GetLocation())})
			}
		}
	case *pg.RangeVar: // in what FROM can hold beside joins
		if need := n.relation(x, in); need != nil {
			need.privileges |= cluster.Select
		}
		return
	}
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.Kind() != protoreflect.MessageKind || f.IsMap():
		case f.IsList():
			for i := range v.List().Len() {
				n.message(v.List().Get(i).Message(), in)
			}
		default:
			n.message(v.Message(), in)
		}
		return true
	})
}

// with looks through the queries of WITH, and has their names mean them.
func (n *needs) with(w *pg.WithClause, in *names) {
	if w == nil {
		return
	}
	in.with = map[string]bool{}
	if w.GetRecursive() {
		for _, c := range w.GetCtes() {
			in.with[c.GetCommonTableExpr().GetCtename()] = true
		}
	}
	for _, c := range w.GetCtes() {
		cte := c.GetCommonTableExpr()
		n.node(cte.GetCtequery(), in)
		in.with[cte.GetCtename()] = true
	}
}

func (n *needs) selects(s *pg.SelectStmt, outer *names) {
	if s == nil {
		return
	}
	in := &names{outer: outer}
	n.with(s.GetWithClause(), in)
	n.selects(s.GetLarg(), in)
	n.selects(s.GetRarg(), in)
	n.from(s.GetFromClause(), in)
	if len(s.GetLockingClause()) > 0 {
		n.lock(s.GetLockingClause(), in)
	}
	n.nodes(s.GetTargetList(), in)
	n.node(s.GetWhereClause(), in)
	n.nodes(s.GetGroupClause(), in)
	n.node(s.GetHavingClause(), in)
	n.nodes(s.GetWindowClause(), in)
	n.nodes(s.GetDistinctClause(), in)
	n.nodes(s.GetValuesLists(), in)
	n.node(s.GetLimitCount(), in)
	n.node(s.GetLimitOffset(), in)
	n.order(s, in)
}

// order looks through ORDER BY, in which a name alone means an output rather than a column.
func (n *needs) order(s *pg.SelectStmt, in *names) {
	outputs := map[string]bool{}
	for _, t := range s.GetTargetList() {
		outputs[t.GetResTarget().GetName()] = true
	}
	for _, by := range s.GetSortClause() {
		fields := by.GetSortBy().GetNode().GetColumnRef().GetFields()
		if len(fields) != 1 || !outputs[fields[0].GetString_().GetSval()] || fields[0].GetAStar() != nil {
			n.node(by, in)
		}
	}
}

// lock: who locks rows needs what an UPDATE needs.
func (n *needs) lock(clauses []*pg.Node, in *names) {
	for _, c := range clauses {
		only := map[string]bool{}
		for _, r := range c.GetLockingClause().GetLockedRels() {
			only[r.GetRangeVar().GetRelname()] = true
		}
		for _, r := range in.relations {
			if r.need != nil && (len(only) == 0 || only[r.alias]) {
				r.need.privileges |= cluster.Update
			}
		}
	}
}

// from looks through the items of FROM, which read what they name.
func (n *needs) from(items []*pg.Node, in *names) {
	for _, item := range items {
		n.fromItem(item, in)
	}
}

func (n *needs) fromItem(item *pg.Node, in *names) {
	switch {
	case item.GetRangeVar() != nil:
		if need := n.relation(item.GetRangeVar(), in); need != nil {
			need.privileges |= cluster.Select
		}
	case item.GetJoinExpr() != nil:
		j := item.GetJoinExpr()
		from := len(in.relations)
		n.fromItem(j.GetLarg(), in)
		n.fromItem(j.GetRarg(), in)
		n.node(j.GetQuals(), in)
		for _, u := range j.GetUsingClause() {
			for _, r := range in.relations[from:] {
				r.reads(u.GetString_().GetSval())
			}
		}
		if j.GetIsNatural() {
			natural(in.relations[from:])
		}
		if alias := j.GetAlias().GetAliasname(); alias != "" { // all columns by another name
			for _, r := range in.relations[from:] {
				r.readsAll()
			}
			in.relations = append(in.relations[:from], namedRelation{alias: alias})
		}
	case item.GetRangeSubselect() != nil:
		inner := in
		if !item.GetRangeSubselect().GetLateral() {
			inner = &names{outer: in.outer, with: in.with}
		}
		n.node(item.GetRangeSubselect().GetSubquery(), inner)
		in.relations = append(in.relations, namedRelation{alias: item.GetRangeSubselect().GetAlias().GetAliasname()})
	default:
		n.node(item, in)
		in.relations = append(in.relations, namedRelation{alias: item.GetRangeFunction().GetAlias().GetAliasname()})
	}
}

// natural has the columns that several of the relations have be read.
func natural(relations []namedRelation) {
	count := map[string]int{}
	for _, r := range relations {
		for _, c := range r.columns() {
			count[c.Name]++
		}
	}
	for name, of := range count {
		if of > 1 || len(relations) > 2 {
			for _, r := range relations {
				r.reads(name)
			}
		}
	}
}

// relation finds what a name in FROM means, and has names mean its columns.
func (n *needs) relation(r *pg.RangeVar, in *names) *relationNeed {
	alias := r.GetAlias().GetAliasname()
	if alias == "" {
		alias = r.GetRelname()
	}
	var need *relationNeed
	if r.GetSchemaname() != "" || !in.isWith(r.GetRelname()) {
		need = n.object(r)
	}
	if need != nil && len(r.GetAlias().GetColnames()) > 0 { // all columns by other names
		namedRelation{need: need}.readsAll()
		in.relations = append(in.relations, namedRelation{alias: alias})
		return need
	}
	in.relations = append(in.relations, namedRelation{alias: alias, need: need})
	return need
}

func (n *needs) object(r *pg.RangeVar) *relationNeed {
	if r.GetSchemaname() != "" {
		if schema, ok := n.scope.Schema(r.GetSchemaname()); ok {
			n.schemas = append(n.schemas, namedSchema{schema, syntax.Position(r.GetLocation())})
		}
	}
	o, ok := n.scope.Relation(syntax.Name{Schema: r.GetSchemaname(), Name: r.GetRelname()})
	if !ok {
		return nil
	}
	need := &relationNeed{object: o, read: map[cluster.ColumnID]bool{}, inserted: map[cluster.ColumnID]bool{}, updated: map[cluster.ColumnID]bool{}}
	n.relations = append(n.relations, need)
	return need
}

func (in *names) isWith(name string) bool {
	for ; in != nil; in = in.outer {
		if in.with[name] {
			return true
		}
	}
	return false
}

// column has the columns be read that a reference can mean.
func (n *needs) column(c *pg.ColumnRef, in *names) {
	fields := c.GetFields()
	last := fields[len(fields)-1]
	name := last.GetString_().GetSval()
	if len(fields) == 1 {
		if last.GetAStar() != nil {
			for _, r := range in.relations {
				r.readsAll()
			}
			return
		}
		in.find(func(r namedRelation) bool {
			if r.alias == name && !r.has(name) { // the row as a value
				r.readsAll()
				return true
			}
			return r.reads(name)
		})
		return
	}
	alias := fields[len(fields)-2].GetString_().GetSval()
	in.find(func(r namedRelation) bool {
		switch {
		case r.alias == alias && last.GetAStar() != nil:
			r.readsAll()
		case r.alias == alias:
			r.reads(name)
		}
		return r.alias == alias
	})
}

// find goes outwards until take takes one of a level.
func (in *names) find(take func(namedRelation) bool) {
	for ; in != nil; in = in.outer {
		taken := false
		for _, r := range in.relations {
			taken = take(r) || taken
		}
		if taken {
			return
		}
	}
}

func (r namedRelation) columns() []cluster.Column {
	if r.need == nil || r.need.object.Collection == nil {
		return nil
	}
	return r.need.object.Collection.Columns
}

func (r namedRelation) has(name string) bool {
	for _, c := range r.columns() {
		if c.Name == name {
			return true
		}
	}
	return false
}

// reads notes that the column of the name is read; there may be none.
func (r namedRelation) reads(name string) bool {
	for _, c := range r.columns() {
		if c.Name == name {
			r.need.read[c.ID] = true
			r.need.privileges |= cluster.Select
			return true
		}
	}
	return false
}

func (r namedRelation) readsAll() {
	for _, c := range r.columns() {
		if !c.Hidden {
			r.need.read[c.ID] = true
			r.need.privileges |= cluster.Select
		}
	}
}

// check refuses what the scope's role may not do.
func (n *needs) check() *syntax.Error {
	if err := n.checkSchemas(); err != nil {
		return err
	}
	return n.checkRelations()
}

// checkRelations refuses what the scope's role may not do with relations.
func (n *needs) checkRelations() *syntax.Error {
	for _, r := range n.relations {
		if !r.granted(n.scope.Rights) {
			return catalog.Denied(r.object)
		}
		if r.object.Kind == cluster.KindMaterializedView && r.privileges&cluster.Insert == 0 {
			continue // its rows are there: its owner read them when it was filled
		}
		changes := r.privileges & (cluster.Insert | cluster.Update | cluster.Delete)
		if r.object.Kind == cluster.KindMaterializedView {
			changes = 0 // those of its rows are none of what it reads
		}
		if err := n.checkView(r.object, changes, 0); err != nil {
			return err
		}
	}
	return nil
}

// mostViews is how many views over views are looked through: more cannot be planned.
const mostViews = 100

// checkView refuses a view whose owner, or, as it says, reader, may not read what it shows, or
// not change the rows that a statement changes through it: what is granted on some columns alone does not do.
func (n *needs) checkView(o *cluster.Object, changes cluster.Privileges, depth int) *syntax.Error {
	switch {
	case o.View == nil:
		return nil
	case depth > mostViews:
		return catalog.Denied(o)
	}
	rights := n.scope.Rights
	if !o.View.Invoker {
		rights = catalog.RightsOf(n.scope.View, o.Owner)
	}
	for _, read := range o.View.Reads {
		object, ok := n.scope.Object(read.Object)
		if !ok {
			continue
		}
		need := &relationNeed{object: object, privileges: cluster.Select, read: map[cluster.ColumnID]bool{}}
		for _, c := range read.Columns {
			if c.Used {
				need.read[c.ID] = true
			}
		}
		if !need.granted(rights) || !rights.May(object, changes) {
			return catalog.Denied(object)
		}
		if object.Kind == cluster.KindMaterializedView {
			continue
		}
		if err := n.checkView(object, changes, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// checkSchemas refuses names in schemas that the role may not use.
func (n *needs) checkSchemas() *syntax.Error {
	for _, s := range n.schemas {
		if !n.scope.Rights.May(s.object, cluster.Usage) {
			err := catalog.Denied(s.object)
			err.Position = s.position
			return err
		}
	}
	return nil
}

// granted reports whether a role may do all of it, by the relation or by its columns.
func (r *relationNeed) granted(rights *catalog.Rights) bool {
	rest := r.privileges &^ rights.Held(r.object, r.privileges)
	if rest == 0 {
		return true
	}
	if rest&^(cluster.Select|cluster.Insert|cluster.Update) != 0 {
		return false
	}
	for _, part := range []struct {
		privilege cluster.Privileges
		columns   map[cluster.ColumnID]bool
	}{{cluster.Select, r.read}, {cluster.Insert, r.inserted}, {cluster.Update, r.updated}} {
		if rest&part.privilege == 0 {
			continue
		}
		if len(part.columns) == 0 && !rights.MayAny(r.object, part.privilege) {
			return false
		}
		for id := range part.columns {
			if !rights.MayColumn(r.object, id, part.privilege) {
				return false
			}
		}
	}
	return true
}
