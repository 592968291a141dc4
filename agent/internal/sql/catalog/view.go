package catalog

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// ReadSchema is the schema in which the text of a view finds what the view reads, by
// number. No other name in it is without one, but those of WITH.
const ReadSchema = "#"

// View is a view made ready for queries. It is immutable.
type View struct {
	Desc    *cluster.Object
	Columns []Column
	// Query is what it shows, with the names that things have now, and in their schemas whose
	// rights count there (InRights). It is not to be changed.
	Query *pg.SelectStmt

	schema *cluster.Object
	// reads are what Query names, and the schemas that they are in.
	reads []*cluster.Object
	rows  sync.Once
	table *Table // see Rows
}

// Name returns the view's name.
func (v *View) Name() string { return v.Desc.Name }

// Schema returns the schema that it is in.
func (v *View) Schema() *cluster.Object { return v.schema }

// Same reports whether v means what other does.
func (v *View) Same(other *View) bool {
	return v == other || v.Desc == other.Desc && v.schema == other.schema && slices.Equal(v.reads, other.reads)
}

// FindView finds a view; schema "" stands for the path.
func (s Scope) FindView(schema, name string) (*View, bool) {
	o, ok := s.Relation(syntax.Name{Schema: schema, Name: name})
	if !ok || o.Kind != cluster.KindView {
		return nil, false
	}
	v, err := s.view(o)
	return v, err == nil
}

// Views are all views of the database, materialized ones too, by name.
func (s Scope) Views() []*View {
	var out []*View
	for _, o := range s.objects(func(o *cluster.Object) bool { return o.View != nil && s.inDatabase(o) }) {
		if v, err := s.view(o); err == nil {
			out = append(out, v)
		}
	}
	return out
}

// view returns the prepared form of o, which is kept until something that it names is
// another.
func (s Scope) view(o *cluster.Object) (*View, error) {
	v := &View{Desc: o}
	v.schema, _ = s.Object(o.Parent)
	if err := v.read(s); err != nil {
		return nil, err
	}
	c := s.catalog
	c.mu.Lock()
	kept := c.mu.views[o.ID]
	c.mu.Unlock()
	if kept != nil && kept.Same(v) {
		return kept, nil
	}
	if err := v.prepare(s); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.mu.views) > len(s.View.Objects)+1000 {
		clear(c.mu.views) // what was dropped would stay for ever
	}
	c.mu.views[o.ID] = v
	return v, nil
}

// read finds what v reads.
func (v *View) read(in Scope) error {
	for i := range v.Desc.View.Reads {
		read, ok := in.Object(v.Desc.View.Reads[i].Object)
		if !ok {
			return fmt.Errorf("view %q reads object %d, which is not there", v.Desc.Name, v.Desc.View.Reads[i].Object)
		}
		schema, _ := in.Object(read.Parent)
		v.reads = append(v.reads, read, schema)
	}
	return nil
}

// Bound is the query of a view that is to be made, with the names that things have now.
func (s Scope) Bound(query string, reads []cluster.ViewRead) (*pg.SelectStmt, error) {
	v := &View{Desc: &cluster.Object{Kind: cluster.KindView, View: &cluster.View{Query: query, Reads: reads}}}
	err := v.read(s)
	if err == nil {
		err = v.prepare(s)
	}
	return v.Query, err
}

// prepare makes the query and the columns of v.
func (v *View) prepare(in Scope) error {
	for i, c := range v.Desc.View.Columns {
		t, ok := datum.TypeByName(c.Type)
		if !ok {
			return fmt.Errorf("column %q of view %q has the unknown type %q", c.Name, v.Desc.Name, c.Type)
		}
		v.Columns = append(v.Columns, Column{ID: cluster.ColumnID(i + 1), Name: c.Name, Type: t, Modifier: c.Modifier, Comment: c.Comment})
	}
	var err error
	if v.Query, err = syntax.ParseQuery(v.Desc.View.Query); err != nil {
		return fmt.Errorf("view %q: %w", v.Desc.Name, err)
	}
	n := &naming{in: in, of: fmt.Sprintf("view %q", v.Desc.Name), reads: v.Desc.View.Reads}
	if err := n.names(v.Query); err != nil || v.Desc.Kind != cluster.KindView || v.Desc.Owner == "" || v.Desc.View.Invoker {
		return err // REFRESH reads by a text, as its own role
	}
	return syntax.WalkQuery(v.Query, func(n *pg.Node) (bool, error) {
		if r := n.GetRangeVar(); r.GetSchemaname() != "" {
			r.Schemaname = InRights(v.Desc.Owner, r.GetSchemaname())
		}
		return true, nil
	})
}

// rightsMark stands in front of a role in a schema. No statement has it: it is no character.
const rightsMark = "\x00"

// InRights is a schema in a query, with the role whose rights and policies count for what is
// read there.
func InRights(role, schema string) string { return rightsMark + role + rightsMark + schema }

// RightsIn is the role that InRights has put into a schema, and the schema; "": it is that of
// the session.
func RightsIn(schema string) (role, plain string) {
	rest, ok := strings.CutPrefix(schema, rightsMark)
	if !ok {
		return "", schema
	}
	role, plain, _ = strings.Cut(rest, rightsMark)
	return role, plain
}

// ReadColumns are the columns that who reads an object sees.
func ReadColumns(o *cluster.Object) []cluster.ReadColumn {
	var out []cluster.ReadColumn
	if o.View != nil {
		for i, c := range o.View.Columns {
			out = append(out, cluster.ReadColumn{ID: cluster.ColumnID(i + 1), Name: c.Name})
		}
		return out
	}
	if o.Collection != nil {
		for _, c := range o.Collection.Columns {
			if !c.Hidden {
				out = append(out, cluster.ReadColumn{ID: c.ID, Name: c.Name})
			}
		}
	}
	return out
}

// Text is the query as it is shown to people, by names along the path.
func (s Scope) Text(v *View) string {
	names := make([]string, len(v.Columns))
	for i, c := range v.Columns {
		names[i] = c.Name
	}
	query, err := s.Bound(v.Desc.View.Query, v.Desc.View.Reads)
	if err != nil {
		return ""
	}
	text, err := syntax.ViewText(query, names, s.plain)
	if err != nil {
		return ""
	}
	return text
}

// plain reports whether a name of a relation is found without its schema.
func (s Scope) plain(schema, name string) bool {
	o, ok := s.Relation(syntax.Name{Name: name})
	if !ok {
		return schema == "pg_catalog"
	}
	found, ok := s.Relation(syntax.Name{Schema: schema, Name: name})
	return ok && found.ID == o.ID
}
