package catalog

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// Showing is what a view that is to be made shows.
type Showing struct {
	By      string
	Query   string // as cluster.View has it
	Text    string // of Query, with the names of now
	Reads   []cluster.ViewRead
	Columns []Column
}

// CreateView makes a view in the draft of scope, or changes one.
func (c *Catalog) CreateView(ctx context.Context, in Scope, stmt *syntax.CreateView, show *Showing) (*Draft, error) {
	if err := checkName(stmt.Name.Name, stmt.Name.Position); err != nil {
		return nil, err
	}
	for _, r := range show.Reads {
		if o, ok := in.Object(r.Object); ok && o.Collection != nil {
			if err := unconverted(o); err != nil {
				return nil, err
			}
		}
	}
	view := &cluster.View{Query: show.Query, Reads: show.Reads, CheckOption: stmt.CheckOption}
	var err error
	if err := viewOptions(view, stmt.Options, false); err != nil {
		return nil, err
	}
	if view.Columns, err = viewColumns(show.Columns, stmt.Columns); err != nil {
		return nil, err
	}
	if err := in.namesNoTypes(show.Query); err != nil {
		return nil, err
	}
	schema, err := in.creationSchema(stmt.Name)
	if err != nil {
		return nil, err
	}
	next := in.Draft.clone()
	next.rest(schema)
	o := &cluster.Object{Parent: schema.ID, Kind: cluster.KindView, Name: stmt.Name.Name, Owner: show.By, View: view}
	if err := in.readBy(next, o); err != nil {
		return nil, err
	}
	if err := in.readsTemporary(o); err != nil {
		return nil, err
	}
	old, taken := in.find(schema.ID, cluster.RelationNames, o.Name)
	switch {
	case taken && !stmt.Replace:
		return nil, &syntax.Error{Code: "42P07", Message: fmt.Sprintf("relation %q already exists", o.Name)}
	case taken && old.Kind != cluster.KindView:
		return nil, &syntax.Error{Code: "42809", Message: fmt.Sprintf("%q is not a view", o.Name)}
	case taken:
		if err := in.replaceable(old, view); err != nil {
			return nil, err
		}
		o.ID, o.Owner, o.Comment, o.ACL = old.ID, old.Owner, old.Comment, old.ACL
		view.Triggers = old.View.Triggers
		next.alter(in, old, o)
		return next, nil
	}
	if o.ID, err = c.NewID(ctx); err != nil {
		return nil, err
	}
	in.born(o)
	next.add(o)
	return next, nil
}

// viewOptions reads WITH, SET and RESET of a view.
func viewOptions(v *cluster.View, options []syntax.Option, reset bool) error {
	for _, o := range options {
		if o.Name != "security_invoker" {
			return unsupportedAt("the option "+o.Name+" of a view", "", o.Position)
		}
		if v.Invoker, v.Option = false, ""; reset {
			continue
		}
		v.Option = cmp.Or(o.Value, "true")
		on, err := datum.ParseText(datum.Bool, v.Option, nil)
		if err != nil {
			return &syntax.Error{Code: "22023", Message: fmt.Sprintf("invalid value for boolean option %q: %s", o.Name, o.Value)}
		}
		v.Invoker = on.Bool()
	}
	return nil
}

// alterViewOptions is SET and RESET of options of a view.
func (s Scope) alterViewOptions(stmt *syntax.AlterCollection, action *syntax.SetOptions) (*Draft, []Notice, error) {
	o, notices, err := s.toName(stmt.Name, "VIEW", stmt.IfExists)
	if err != nil || o == nil {
		return s.Draft, notices, err
	}
	next, view := *o, *o.View
	next.View = &view
	if err := viewOptions(&view, action.Options, action.Reset); err != nil {
		return nil, nil, err
	}
	return s.change(o, &next), notices, nil
}

// namesNoTypes refuses a view that names types of users, which may get other names.
func (s Scope) namesNoTypes(query string) error {
	q, err := syntax.ParseQuery(query)
	if err != nil {
		return err
	}
	return syntax.EachCast(q, func(c *pg.TypeCast) error {
		name, err := syntax.ConvertType(c.GetTypeName())
		if err != nil {
			return nil //nolint:nilerr // who plans the query says so
		}
		if r, err := s.ResolveType(name); err == nil && r.User != nil {
			return syntax.Unsupported(fmt.Sprintf("a view with a cast to the type %s", r.User.Name), "Write constants without casts: they get the type of what they meet.")
		}
		return nil
	})
}

// readBy has o need what its query reads.
func (s Scope) readBy(next *Draft, o *cluster.Object) error {
	o.Needs = append(triggerFunctions(o.View.Triggers), calledBy(&o.View.Query)...)
	for _, id := range o.Needs {
		if f, ok := s.Object(id); ok {
			next.rest(f) // nobody drops it before the view is there
		}
	}
	for i := range o.View.Reads {
		read, ok := s.Object(o.View.Reads[i].Object)
		if !ok {
			return &syntax.Error{Code: "42P01", Message: "what the view reads was dropped meanwhile"}
		}
		next.rest(read)
		o.Needs = append(o.Needs, read.ID)
	}
	slices.Sort(o.Needs)
	o.Needs = slices.Compact(o.Needs)
	return nil
}

// viewColumns describes the columns of a view; named are other names of the first ones.
func viewColumns(columns []Column, named []string) ([]cluster.ViewColumn, error) {
	if len(named) > len(columns) {
		return nil, &syntax.Error{Code: "42601", Message: "CREATE VIEW specifies more column names than columns"}
	}
	var out []cluster.ViewColumn
	for i, c := range columns {
		name, t := c.Name, c.Type
		if i < len(named) {
			name = named[i]
		}
		if t == datum.Unknown {
			t = datum.Text
		}
		if slices.ContainsFunc(out, func(c cluster.ViewColumn) bool { return c.Name == name }) {
			return nil, &syntax.Error{Code: "42701", Message: fmt.Sprintf("column %q specified more than once", name)}
		}
		if err := checkName(name, 0); err != nil {
			return nil, err
		}
		if t.Elem().IsEnum() || t.Elem().IsComposite() {
			return nil, &syntax.Error{Code: "0A000", Message: fmt.Sprintf("column %q of a view is of the type %s: that is not supported", name, t.SQLName()),
				Hint: "Cast it to text."}
		}
		out = append(out, cluster.ViewColumn{Name: name, Type: t.String(), Modifier: c.Modifier})
	}
	return out, nil
}

// replaceable refuses what CREATE OR REPLACE VIEW cannot change.
func (s Scope) replaceable(old *cluster.Object, next *cluster.View) error {
	if len(next.Columns) < len(old.View.Columns) {
		return &syntax.Error{Code: "42P16", Message: "cannot drop columns from view"}
	}
	for i, was := range old.View.Columns {
		is := &next.Columns[i]
		switch {
		case was.Name != is.Name:
			return &syntax.Error{Code: "42P16", Message: fmt.Sprintf("cannot change name of view column %q to %q", was.Name, is.Name),
				Hint: "Use ALTER VIEW ... RENAME COLUMN ... to change name of view column instead."}
		case was.Type != is.Type || was.Modifier != is.Modifier:
			return &syntax.Error{Code: "42P16", Message: fmt.Sprintf("cannot change data type of view column %q from %s to %s", was.Name, typeText(was), typeText(*is))}
		}
		is.Comment = was.Comment
	}
	if s.readsThrough(next, old.ID) {
		return &syntax.Error{Code: "42P17", Message: fmt.Sprintf("infinite recursion detected in rules for relation %q", old.Name)}
	}
	return nil
}

func typeText(c cluster.ViewColumn) string {
	t, ok := datum.TypeByName(c.Type)
	if !ok {
		return c.Type
	}
	return datum.TypeString(t, c.Modifier)
}

// readsThrough reports whether a view reads the object, by itself or by other views.
func (s Scope) readsThrough(v *cluster.View, id cluster.ObjectID) bool {
	for i := range v.Reads {
		if v.Reads[i].Object == id {
			return true
		}
		if o, ok := s.Object(v.Reads[i].Object); ok && o.View != nil && s.readsThrough(o.View, id) {
			return true
		}
	}
	return false
}

// DropView drops views in the draft of scope.
func (c *Catalog) DropView(in Scope, stmt *syntax.DropView) (*Draft, Dropped, error) {
	if stmt.Materialized {
		return in.drop(stmt.Names, stmt.Drop, cluster.KindMaterializedView)
	}
	return in.drop(stmt.Names, stmt.Drop, cluster.KindView)
}

// viewColumn is o with a copy of its columns, and the column of the name.
func viewColumn(o *cluster.Object, name string) (*cluster.Object, *cluster.ViewColumn) {
	next, view := *o, *o.View
	view.Columns = slices.Clone(view.Columns)
	next.View = &view
	for i := range view.Columns {
		if view.Columns[i].Name == name {
			return &next, &view.Columns[i]
		}
	}
	return &next, nil
}

func (s Scope) renameViewColumn(o *cluster.Object, stmt *syntax.Rename) (*Draft, error) {
	next, column := viewColumn(o, stmt.Target.Part)
	if column == nil {
		return nil, &syntax.Error{Code: "42703", Message: fmt.Sprintf("column %q does not exist", stmt.Target.Part)}
	}
	if err := checkName(stmt.To, 0); err != nil {
		return nil, err
	}
	if _, taken := viewColumn(o, stmt.To); taken != nil {
		return nil, &syntax.Error{Code: "42701", Message: fmt.Sprintf("column %q of relation %q already exists", stmt.To, o.Name)}
	}
	column.Name = stmt.To
	if o.Collection != nil { // materialized
		rows := *o.Collection
		rows.Columns = slices.Clone(rows.Columns)
		if kept, ok := rows.Column(stmt.Target.Part); ok {
			kept.Name = stmt.To
		}
		next.Collection = &rows
	}
	return s.change(o, next), nil
}

func (s Scope) commentViewColumn(o *cluster.Object, stmt *syntax.Comment) (*Draft, error) {
	next, column := viewColumn(o, stmt.Target.Part)
	if column == nil {
		return nil, &syntax.Error{Code: "42703", Message: fmt.Sprintf("column %q of relation %q does not exist", stmt.Target.Part, o.Name)}
	}
	column.Comment = stmt.Text
	return s.change(o, next), nil
}

// OwnView gives a view to another owner in the draft of scope.
func (c *Catalog) OwnView(in Scope, target *syntax.Target, owner string) (*Draft, error) {
	o, _, err := in.toName(target.Name, string(target.Kind), false)
	if err != nil {
		return nil, err
	}
	next := *o
	own(&next, owner)
	return in.change(o, &next), nil
}

// shownBy refuses another type for a column that a view shows, or that a function names.
func (s Scope) shownBy(table *cluster.Object, column *cluster.Column) error {
	functions := s.objects(func(o *cluster.Object) bool { return o.Function != nil })
	slices.SortFunc(functions, func(a, b *cluster.Object) int { return cmp.Compare(a.ID, b.ID) })
	for _, o := range functions {
		if read, ok := o.Function.Read(table.ID); ok && read.Uses(column.ID) {
			return &syntax.Error{Code: "0A000", Message: "cannot alter type of a column used by a function or procedure",
				Detail: fmt.Sprintf("function %s depends on column %q", s.described(o), column.Name)}
		}
	}
	for _, o := range s.objects(func(o *cluster.Object) bool { return o.View != nil }) {
		if read, ok := o.View.Read(table.ID); ok && read.Uses(column.ID) {
			return &syntax.Error{Code: "0A000", Message: "cannot alter type of a column used by a view or rule",
				Detail: fmt.Sprintf("rule _RETURN on %s %s depends on column %q", o.Kind, s.pathName(o), column.Name)}
		}
	}
	return nil
}

// CreateMaterialized makes a materialized view, without rows; existed says that IF NOT
// EXISTS found something.
func (c *Catalog) CreateMaterialized(ctx context.Context, in Scope, stmt *syntax.CreateTableAs, show *Showing) (next *Draft, existed bool, err error) {
	view := &cluster.View{Query: show.Query, Reads: show.Reads, Populated: !stmt.WithNoData}
	if view.Columns, err = viewColumns(show.Columns, stmt.Columns); err != nil {
		return nil, false, err
	}
	next, existed, err = c.CreateAs(ctx, in, stmt, show.By, show.Columns)
	if err != nil || existed {
		return next, existed, err
	}
	in.Draft = next
	made, ok := in.Relation(stmt.Name)
	if !ok {
		return nil, false, fmt.Errorf("materialized view %q is not among what was made", stmt.Name.Name)
	}
	made.Kind, made.View = cluster.KindMaterializedView, view // nobody else has it yet
	if err := in.readsTemporary(made); err != nil {
		return nil, false, err
	}
	return next, false, in.readBy(next, made)
}

// Refresh has a materialized view be a new one without rows, for those that its query gives
// now: whoever reads finds the old ones until that is published. query is its text.
func (c *Catalog) Refresh(ctx context.Context, in Scope, stmt *syntax.RefreshMaterializedView) (next *Draft, made *cluster.Object, query string, err error) {
	o, ok := in.Relation(stmt.Name)
	switch {
	case !ok:
		return nil, nil, "", noTable(stmt.Name, "")
	case o.Kind != cluster.KindMaterializedView:
		return nil, nil, "", &syntax.Error{Code: "0A000", Message: fmt.Sprintf("%q is not a materialized view", o.Name)}
	case stmt.Concurrently && !o.View.Populated:
		return nil, nil, "", &syntax.Error{Code: "0A000", Message: "CONCURRENTLY cannot be used when the materialized view is not populated"}
	}
	v, err := in.view(o)
	if err != nil {
		return nil, nil, "", err
	}
	if query, err = syntax.QueryText(v.Query); err != nil {
		return nil, nil, "", err
	}
	again, view := *o, *o.View
	view.Populated = !stmt.WithNoData
	again.View = &view
	if again.ID, err = c.NewID(ctx); err != nil {
		return nil, nil, "", err
	}
	next = in.Draft.clone()
	if schema, ok := in.Object(o.Parent); ok {
		next.rest(schema)
	}
	next.drop(o)
	next.add(&again)
	in.Draft = next
	if err := in.readBy(next, &again); err != nil {
		return nil, nil, "", err
	}
	in.renumber(next, o.ID, again.ID, false)
	return next, &again, query, nil
}
