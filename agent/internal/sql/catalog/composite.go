package catalog

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// compositeType is what Column.Type says of a composite type.
const compositeType = "composite"

// rowTypeOffset is what the OID of the type of a relation's rows is beyond that of the relation,
// and rowArrayOffset that of the type of arrays of them.
const (
	rowTypeOffset  = 1<<30 + 1<<28
	rowArrayOffset = rowTypeOffset + 1<<27
)

// RowTypeOID is the OID of the type of the rows of the relation with an OID.
func RowTypeOID(relation uint32) uint32 { return relation + rowTypeOffset }

// RowArrayOID is the OID of the type of arrays of these.
func RowArrayOID(relation uint32) uint32 { return relation + rowArrayOffset }

// qualified is the name of what is in a schema as types have it: with that in front, unless it
// is public.
func (s Scope) qualified(o *cluster.Object) string {
	if schema, ok := s.Object(o.Parent); ok && schema.Name != Public {
		return schema.Name + "." + o.Name
	}
	return o.Name
}

// madeType is the type of the values of an enum or of a composite type.
func (s Scope) madeType(o *cluster.Object) datum.Type {
	if o.Composite != nil {
		return s.CompositeType(o)
	}
	return s.EnumType(o)
}

// CompositeType is the type of the values of a composite type.
func (s Scope) CompositeType(o *cluster.Object) datum.Type {
	out := datum.CompositeType{ID: o.ID, OID: OID(o.ID), ArrayOID: OID(o.Composite.Array), Name: s.qualified(o), Next: o.Composite.NextAttribute}
	for i := range o.Composite.Attributes {
		a := &o.Composite.Attributes[i]
		if t, ok := s.typeOf(&cluster.Column{Type: a.Type, UserType: a.UserType}); ok {
			out.Fields = append(out.Fields, datum.Field{ID: a.ID, Name: a.Name, Type: t, Modifier: a.Modifier})
		}
	}
	return datum.TypeOfComposite(out)
}

// RowType is the type of the rows of a table or a view.
func (s Scope) RowType(o *cluster.Object) (datum.Type, bool) {
	if o.Collection != nil {
		t, err := s.table(o)
		if err != nil {
			return datum.Unknown, false
		}
		return t.RowType(), true
	}
	if o.View == nil {
		return datum.Unknown, false
	}
	oid := OID(o.ID)
	out := datum.CompositeType{ID: o.ID, OID: RowTypeOID(oid), ArrayOID: RowArrayOID(oid), Name: s.qualified(o), Rows: true}
	for i, c := range o.View.Columns {
		t, ok := datum.TypeByName(c.Type)
		if !ok || !t.Storable() {
			return datum.Unknown, false
		}
		out.Fields = append(out.Fields, datum.Field{ID: cluster.ColumnID(i + 1), Name: c.Name, Type: t, Modifier: c.Modifier}) //nolint:gosec // few
	}
	out.Next = cluster.ColumnID(len(out.Fields) + 1) //nolint:gosec // few
	return datum.TypeOfComposite(out), true
}

// RowType is the type of the rows of the table.
func (t *Table) RowType() datum.Type {
	oid := OID(t.Desc.ID)
	out := datum.CompositeType{ID: t.Desc.ID, OID: RowTypeOID(oid), ArrayOID: RowArrayOID(oid), Name: t.Name(), Rows: true}
	if t.schema != nil && t.schema.Name != Public {
		out.Name = t.schema.Name + "." + out.Name
	}
	for i := range t.Columns {
		if c := &t.Columns[i]; !c.Hidden {
			out.Fields = append(out.Fields, datum.Field{ID: c.ID, Name: c.Name, Type: c.Type, Modifier: c.Modifier})
			out.Next = max(out.Next, c.ID+1)
		}
	}
	return datum.TypeOfComposite(out)
}

// ResolveAnyType finds a written type, which may be that of the rows of a relation.
func (s Scope) ResolveAnyType(n syntax.TypeName) (Resolved, error) {
	r, err := s.ResolveType(n)
	if err == nil || len(n.Modifiers) > 0 {
		return r, err
	}
	o, ok := s.Relation(syntax.Name{Schema: n.Schema, Name: n.Name})
	if !ok {
		return r, err
	}
	t, ok := s.RowType(o)
	if !ok {
		return r, err
	}
	if n.Array {
		t |= datum.Array
	}
	return Resolved{Type: t, Modifier: -1, User: o}, nil
}

// attribute is what a definition says of an attribute.
func (s Scope) attribute(def *syntax.ColumnDef) (cluster.Attribute, error) {
	if err := checkName(def.Name, def.Position); err != nil {
		return cluster.Attribute{}, err
	}
	if def.Serial {
		return cluster.Attribute{}, &syntax.Error{Code: "42704", Message: fmt.Sprintf("type %q does not exist", "serial"), Position: def.Type.Position}
	}
	def.Type.Position = 0 // PostgreSQL does not say where
	c, err := s.columnType(def.Type)
	if err != nil {
		return cluster.Attribute{}, err
	}
	if o, ok := s.Object(c.UserType); ok && o.Domain != nil {
		return cluster.Attribute{}, unsupportedAt("an attribute of a domain", "Give it the type that the domain is of.", def.Type.Position)
	}
	return cluster.Attribute{Name: def.Name, Type: c.Type, UserType: c.UserType, Modifier: c.Modifier}, nil
}

func attributed(c *cluster.Composite, name string) int {
	return slices.IndexFunc(c.Attributes, func(a cluster.Attribute) bool { return a.Name == name })
}

// CreateComposite makes a composite type in the draft of scope.
func (c *Catalog) CreateComposite(ctx context.Context, in Scope, stmt *syntax.CreateType, by string) (*Draft, error) {
	if schema, ok := in.CreationSchema(stmt.Name); ok && in.taken(schema.ID, stmt.Name.Name) {
		return nil, &syntax.Error{Code: "42P07", Message: fmt.Sprintf("relation %q already exists", stmt.Name.Name)}
	}
	o := &cluster.Object{Kind: cluster.KindComposite, Owner: by, Composite: &cluster.Composite{NextAttribute: 1}}
	next, array, err := c.newType(ctx, in, stmt.Name, o)
	if err != nil {
		return nil, err
	}
	o.Composite.Array = array
	if o.Composite.Relation, err = c.NewID(ctx); err != nil {
		return nil, err
	}
	for i := range stmt.Columns {
		a, err := in.attribute(&stmt.Columns[i])
		if err != nil {
			return nil, err
		}
		if attributed(o.Composite, a.Name) >= 0 {
			return nil, &syntax.Error{Code: "42701", Message: fmt.Sprintf("column %q specified more than once", a.Name)}
		}
		a.ID = o.Composite.NextAttribute
		o.Composite.NextAttribute++
		o.Composite.Attributes = append(o.Composite.Attributes, a)
	}
	in.typed(next, o)
	next.add(o)
	return next, nil
}

// typed has a composite type need the types of its attributes.
func (s Scope) typed(next *Draft, o *cluster.Object) {
	o.Needs = nil
	for _, a := range o.Composite.Attributes {
		if t, ok := s.Object(a.UserType); ok {
			next.rest(t) // nobody drops it before the type is there
			o.Needs = append(o.Needs, t.ID)
		}
	}
	slices.Sort(o.Needs)
	o.Needs = slices.Compact(o.Needs)
}

// composite finds a composite type that is to be changed, and makes what becomes of it.
func (s Scope) composite(name syntax.Name) (was, next *cluster.Object, err error) {
	o, ok := s.UserType(name)
	if !ok {
		if r, there := s.Relation(name); there {
			wrong := &syntax.Error{Code: "42809", Message: fmt.Sprintf("%q is not a composite type", r.Name)}
			return nil, nil, wrong
		}
		full := name.Name
		if name.Schema != "" {
			full = name.Schema + "." + full
		}
		return nil, nil, &syntax.Error{Code: "42P01", Message: fmt.Sprintf("relation %q does not exist", full)}
	}
	if o.Composite == nil {
		return nil, nil, &syntax.Error{Code: "42809", Message: fmt.Sprintf("%q is not a composite type", o.Name)}
	}
	changed, composite := *o, *o.Composite
	changed.Composite, composite.Attributes = &composite, slices.Clone(composite.Attributes)
	return o, &changed, nil
}

// AlterComposite adds, drops and changes attributes.
func (c *Catalog) AlterComposite(in Scope, stmt *syntax.AlterType) (*Draft, []Notice, error) {
	was, o, err := in.composite(stmt.Name)
	if err != nil {
		return nil, nil, err
	}
	var notices []Notice
	if table := in.defaulted(o.ID); table != "" {
		return nil, nil, syntax.Unsupported(fmt.Sprintf("ALTER TYPE while column %s of the type has a default", table), "Drop the default, and set it again behind.")
	}
	for _, action := range stmt.Actions {
		var i int
		switch action := action.(type) {
		case *syntax.AddColumn:
			a, err := in.attribute(&action.Column)
			if err != nil {
				return nil, nil, err
			}
			if attributed(o.Composite, a.Name) >= 0 {
				return nil, nil, takenAttribute(o, a.Name)
			}
			if t, ok := in.Object(a.UserType); ok && in.contains(t, o.ID) {
				return nil, nil, &syntax.Error{Code: "42P16", Message: fmt.Sprintf("composite type %s cannot be made a member of itself", o.Name)}
			}
			a.ID = o.Composite.NextAttribute
			o.Composite.NextAttribute++
			o.Composite.Attributes = append(o.Composite.Attributes, a)
		case *syntax.DropColumn:
			if i = attributed(o.Composite, action.Name); i < 0 {
				if !action.IfExists {
					return nil, nil, &syntax.Error{Code: "42703", Message: fmt.Sprintf("column %q of relation %q does not exist", action.Name, o.Name)}
				}
				notices = append(notices, Notice{Code: "00000", Message: fmt.Sprintf("column %q of relation %q does not exist, skipping", action.Name, o.Name)})
				continue
			}
			if err := in.unread(action.Name); err != nil {
				return nil, nil, err
			}
			o.Composite.Attributes = slices.Delete(o.Composite.Attributes, i, i+1)
		case *syntax.AlterColumnType:
			if i = attributed(o.Composite, action.Name); i < 0 {
				return nil, nil, &syntax.Error{Code: "42703", Message: fmt.Sprintf("column %q of relation %q does not exist", action.Name, o.Name)}
			}
			if err := in.retype(o, i, action); err != nil {
				return nil, nil, err
			}
		default:
			return nil, nil, syntax.Unsupported("this form of ALTER TYPE", "")
		}
	}
	next := in.change(was, o)
	in.typed(next, o)
	return next, notices, nil
}

// retype gives an attribute another type, of a type that nothing stored is of.
func (s Scope) retype(o *cluster.Object, i int, action *syntax.AlterColumnType) error {
	if user := s.columnOf(o.ID); user != "" {
		return &syntax.Error{Code: "0A000", Message: fmt.Sprintf("cannot alter type %q because column %q uses it", o.Name, user)}
	}
	a, err := s.attribute(&syntax.ColumnDef{Name: action.Name, Type: action.Type})
	if err != nil {
		return err
	}
	a.ID = o.Composite.NextAttribute // whoever has values of before does not read them as others
	o.Composite.NextAttribute++
	a.Comment = o.Composite.Attributes[i].Comment
	o.Composite.Attributes[i] = a
	return nil
}

// columnOf names a column of a type, or of one that has attributes of it; "": there is none.
func (s Scope) columnOf(id cluster.ObjectID) string {
	for _, t := range s.usersOf(id) {
		for _, c := range t.Collection.Columns {
			if c.UserType == id {
				return t.Name + "." + c.Name
			}
		}
	}
	for _, t := range s.objects(func(o *cluster.Object) bool { return o.Composite != nil && slices.Contains(o.Needs, id) }) {
		if user := s.columnOf(t.ID); user != "" {
			return user
		}
	}
	return ""
}

// contains reports whether a type is, or has attributes of, the one with the id.
func (s Scope) contains(o *cluster.Object, id cluster.ObjectID) bool {
	if o.ID == id {
		return true
	}
	return o.Composite != nil && slices.ContainsFunc(o.Needs, func(need cluster.ObjectID) bool {
		t, ok := s.Object(need)
		return ok && s.contains(t, id)
	})
}

func takenAttribute(o *cluster.Object, name string) error {
	return &syntax.Error{Code: "42701", Message: fmt.Sprintf("column %q of relation %q already exists", name, o.Name)}
}

// RenameAttribute gives an attribute another name.
func (c *Catalog) RenameAttribute(in Scope, stmt *syntax.Rename) (*Draft, error) {
	was, o, err := in.composite(stmt.Target.Name)
	if err != nil {
		return nil, err
	}
	i := attributed(o.Composite, stmt.Target.Part)
	switch {
	case i < 0:
		return nil, &syntax.Error{Code: "42703", Message: fmt.Sprintf("column %q does not exist", stmt.Target.Part)}
	case attributed(o.Composite, stmt.To) >= 0:
		return nil, takenAttribute(o, stmt.To)
	}
	if err := checkName(stmt.To, 0); err != nil {
		return nil, err
	}
	if err := in.unread(stmt.Target.Part); err != nil {
		return nil, err
	}
	o.Composite.Attributes[i].Name = stmt.To
	return in.change(was, o), nil
}

// settleComposites takes the attributes away whose types are gone.
func (s Scope) settleComposites(next *Draft, gone *going) (lines, cascades []string, err error) {
	for _, o := range s.objects(func(o *cluster.Object) bool {
		return o.Composite != nil && slices.ContainsFunc(o.Needs, func(id cluster.ObjectID) bool { return gone.objects[id] != nil })
	}) {
		changed, composite := *o, *o.Composite
		changed.Composite = &composite
		composite.Attributes = slices.DeleteFunc(slices.Clone(composite.Attributes), func(a cluster.Attribute) bool {
			t := gone.objects[a.UserType]
			if t == nil {
				return false
			}
			if failed := s.unread(a.Name); err == nil && gone.cascade {
				err = failed
			}
			what := fmt.Sprintf("column %s of composite type %s", a.Name, s.pathName(o))
			lines = append(lines, what+" depends on type "+s.pathName(t)+arrayMark(a.Type))
			cascades = append(cascades, what)
			return true
		})
		s.typed(next, &changed)
		next.alter(s, o, &changed)
	}
	return lines, cascades, err
}

// withParts are a type and those of its attributes.
func (s Scope) withParts(o *cluster.Object) []*cluster.Object {
	out := []*cluster.Object{o}
	if o.Composite == nil {
		return out
	}
	for _, id := range o.Needs {
		if t, ok := s.Object(id); ok {
			out = append(out, s.withParts(t)...)
		}
	}
	return out
}

// noCompositeKey refuses keys and indexes of values of a composite type.
func noCompositeKey(t datum.Type) error {
	return syntax.Unsupported("a key or an index of values of the composite type "+t.SQLName(), "Give it the fields: an index can be of expressions, ((column).field).")
}

// commentAttribute is COMMENT ON COLUMN of an attribute.
func (s Scope) commentAttribute(stmt *syntax.Comment) (*Draft, error) {
	was, o, err := s.composite(stmt.Target.Name)
	if err != nil {
		return nil, err
	}
	i := attributed(o.Composite, stmt.Target.Part)
	if i < 0 {
		return nil, &syntax.Error{Code: "42703", Message: fmt.Sprintf("column %q of relation %q does not exist", stmt.Target.Part, o.Name)}
	}
	o.Composite.Attributes[i].Comment = stmt.Text
	return s.change(was, o), nil
}

// defaulted names a column of a type, or of one that has attributes of it, that has a default:
// a text that is read as a value of the type. "": there is none.
func (s Scope) defaulted(id cluster.ObjectID) string {
	for _, t := range s.usersOf(id) {
		for _, c := range t.Collection.Columns {
			if c.UserType == id && c.Default != "" {
				return t.Name + "." + c.Name
			}
		}
	}
	for _, t := range s.objects(func(o *cluster.Object) bool { return o.Composite != nil && slices.Contains(o.Needs, id) }) {
		if column := s.defaulted(t.ID); column != "" {
			return column
		}
	}
	return ""
}

// unread refuses to take an attribute, or its name, away while an expression that is kept may
// read it: names of fields stand in these as they were written.
func (s Scope) unread(name string) error {
	field := ")." + syntax.QuoteIdent(name)
	reads := func(texts ...*string) bool {
		return slices.ContainsFunc(texts, func(text *string) bool { return strings.Contains(*text, field) })
	}
	for _, o := range s.objects(func(o *cluster.Object) bool {
		switch {
		case o.View != nil && reads(&o.View.Query):
			return true
		case o.Function != nil:
			return o.Function.Standard && reads(&o.Function.Body)
		case o.Collection == nil:
			return false
		}
		if reads(callTexts(o.Collection)...) {
			return true
		}
		return slices.ContainsFunc(o.Collection.Triggers, func(t cluster.TableTrigger) bool { return reads(&t.When) })
	}) {
		return syntax.Unsupported(fmt.Sprintf("renaming or dropping attribute %s while an expression of %s may read it", name, s.pathName(o)), "Drop the index, constraint, view or the like first, and make it again behind.")
	}
	return nil
}
