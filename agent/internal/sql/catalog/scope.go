package catalog

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// Scope is what the names in a session's statements mean.
type Scope struct {
	catalog *Catalog
	View    *metastate.View
	// Draft is over View.
	Draft *Draft
	// Database is the session's.
	Database cluster.ObjectID
	// Path are the names of the schemas that are searched for a name without one, in
	// their order. Those that are not there are left out.
	Path []string
	// Temp is the schema of the session's temporary objects, which is searched first; it may
	// not be there. Those of others are not found.
	Temp cluster.ObjectID
	// Rights are those of whoever asks; nil: nobody is asked.
	Rights *Rights
	// Bind has the functions that an expression over rows of a table calls stand by their
	// ids; nil: expressions stay as they are.
	Bind func(Scope, *Table, string) (string, error)
}

// Scope returns what names mean now, to who has made draft.
func (c *Catalog) Scope(draft *Draft, database cluster.ObjectID, path []string) Scope {
	return Scope{catalog: c, View: c.View(), Draft: draft, Database: database, Path: path}
}

// now is the scope with another draft.
func (s Scope) now(draft *Draft) Scope {
	s.Draft = draft
	return s
}

// Schema finds a schema of the database.
func (s Scope) Schema(name string) (*cluster.Object, bool) {
	if name == TempSchema {
		return s.TemporarySchema()
	}
	o, ok := s.find(s.Database, cluster.SchemaNames, name)
	return o, ok && (o.Temporary == nil || o.ID == s.Temp)
}

// Schemas are those of the path that are there.
func (s Scope) Schemas() []*cluster.Object {
	var out []*cluster.Object
	for _, name := range s.Path {
		if o, ok := s.Schema(name); ok {
			out = append(out, o)
		}
	}
	return out
}

// SearchPath are the names of those of the path that are there.
func (s Scope) SearchPath() []string {
	var out []string
	for _, o := range s.Schemas() {
		out = append(out, o.Name)
	}
	return out
}

// AllSchemas are those of the database, by name.
func (s Scope) AllSchemas() []*cluster.Object {
	return s.objects(func(o *cluster.Object) bool { return o.Kind == cluster.KindSchema && o.Parent == s.Database })
}

// Databases are all databases, by name.
func (s Scope) Databases() []*cluster.Object {
	return s.objects(func(o *cluster.Object) bool { return o.Kind == cluster.KindDatabase })
}

// Relation finds what a name in FROM means. Indexes are none.
func (s Scope) Relation(name syntax.Name) (*cluster.Object, bool) {
	o, ok := s.named(name)
	return o, ok && o.Name == name.Name
}

// named finds what has a name among those of relations: itself, or an index of its.
func (s Scope) named(name syntax.Name) (*cluster.Object, bool) {
	return s.within(cluster.RelationNames, name)
}

// within finds what has a name of a space, in the schema that the name says or by the path.
func (s Scope) within(space cluster.NameSpace, name syntax.Name) (*cluster.Object, bool) {
	path := s.Path
	switch {
	case name.Schema != "":
		path = []string{name.Schema}
	case s.Temp != 0 && space != cluster.ScheduleNames && !slices.Contains(path, TempSchema):
		path = slices.Insert(slices.Clone(path), 0, TempSchema)
	}
	for _, p := range path {
		schema, ok := s.Schema(p)
		if !ok {
			continue
		}
		if o, ok := s.find(schema.ID, space, name.Name); ok {
			return o, true
		}
	}
	return nil, false
}

// Table finds a collection; schema "" stands for the path.
func (s Scope) Table(schema, name string) (*Table, bool) {
	desc, ok := s.Relation(syntax.Name{Schema: schema, Name: name})
	if !ok || desc.Collection == nil {
		return nil, false
	}
	t, err := s.table(desc)
	return t, err == nil
}

// Before is a table without the indexes that were filled after a time: none of its rows is
// looked for by them.
func (s Scope) Before(t *Table, time uint64) (*Table, error) {
	a := newAlteration(t.Desc)
	young := false
	for i := range a.rows.Indexes {
		if x := &a.rows.Indexes[i]; x.Since > time {
			x.State, young = cluster.ElementWriteOnly, true
		}
	}
	if !young {
		return t, nil
	}
	return s.NewTable(a.object, t.schema)
}

// Resolve is Table with the error that PostgreSQL gives.
func (s Scope) Resolve(name syntax.Name) (*Table, error) {
	if desc, ok := s.Relation(name); ok && desc.Collection != nil {
		return s.table(desc)
	}
	full := name.Name
	if name.Schema != "" {
		full = name.Schema + "." + name.Name
	}
	return nil, &syntax.Error{Code: "42P01", Message: fmt.Sprintf("relation %q does not exist", full), Position: name.Position}
}

// TableOf returns the prepared form of a table.
func (s Scope) TableOf(desc *cluster.Object) (*Table, error) { return s.table(desc) }

// table returns the prepared form of desc, which is kept until somebody asks for another
// version of it.
func (s Scope) table(desc *cluster.Object) (*Table, error) {
	schema, _ := s.Object(desc.Parent)
	c := s.catalog
	c.mu.Lock()
	defer c.mu.Unlock()
	if t, ok := c.mu.tables[desc.ID]; ok && t.Desc == desc && t.schema == schema && t.current(s) {
		return t, nil
	}
	t, err := s.NewTable(desc, schema)
	if err != nil {
		return nil, &syntax.Error{Code: "0A000", Message: err.Error(), Hint: "A newer version of NodeDB made it: upgrade this node."}
	}
	if len(c.mu.tables) > len(s.View.Objects)+1000 {
		clear(c.mu.tables) // what was dropped would stay for ever
	}
	c.mu.tables[desc.ID] = t
	return t, nil
}

// Tables are all collections of the database, by schema and name.
func (s Scope) Tables() []*Table {
	var out []*Table
	for _, o := range s.objects(func(o *cluster.Object) bool { return o.Collection != nil }) {
		schema, ok := s.Object(o.Parent)
		if !ok || schema.Parent != s.Database {
			continue
		}
		if t, err := s.table(o); err == nil {
			out = append(out, t)
		}
	}
	slices.SortStableFunc(out, func(a, b *Table) int { return cmp.Compare(a.schema.Name, b.schema.Name) })
	return out
}

// CreationSchema is where an object of the name would be made.
func (s Scope) CreationSchema(name syntax.Name) (*cluster.Object, bool) {
	o, err := s.creationSchema(name)
	return o, err == nil
}

// creationSchema is the schema in which an object of the name is made: the first of
// the path, if it names none.
func (s Scope) creationSchema(name syntax.Name) (*cluster.Object, error) {
	if name.Schema != "" {
		if o, ok := s.Schema(name.Schema); ok {
			return o, nil
		}
		return nil, &syntax.Error{Code: "3F000", Message: fmt.Sprintf("schema %q does not exist", name.Schema), Position: name.Position}
	}
	if path := s.Schemas(); len(path) > 0 {
		return path[0], nil
	}
	return nil, &syntax.Error{Code: "3F000", Message: "no schema has been selected to create in", Position: name.Position}
}
