package catalog

import (
	"context"
	"fmt"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// TempSchema stands for the schema of the session's temporary objects.
const TempSchema = "pg_temp"

// TemporarySchema is the schema of the session's temporary objects, if there is one by now.
func (s Scope) TemporarySchema() (*cluster.Object, bool) {
	if s.Temp == 0 {
		return nil, false
	}
	return s.Object(s.Temp)
}

// Temporary is the scope with a schema for the temporary objects of a session: it is made
// with the first of them. All roles of the session may use it.
func (c *Catalog) Temporary(ctx context.Context, in Scope, of cluster.TemporaryOf, by string) (Scope, error) {
	if _, ok := in.TemporarySchema(); ok {
		return in, nil
	}
	database, ok := in.Object(in.Database)
	if !ok {
		return in, &syntax.Error{Code: "3D000", Message: "the database of this session was dropped", Hint: "Connect to another one."}
	}
	id, err := c.NewID(ctx)
	if err != nil {
		return in, err
	}
	next := in.Draft.clone()
	next.rest(database)
	next.add(&cluster.Object{ID: id, Parent: database.ID, Kind: cluster.KindSchema, Name: fmt.Sprintf("%s_%d", TempSchema, id), Owner: by, Temporary: &of,
		ACL: &cluster.ACL{{Grantor: by, Privileges: cluster.Usage | cluster.Create}}})
	in.Draft, in.Temp = next, id
	return in, nil
}

// IsTemporary reports whether an object is a temporary one, of any session.
func (s Scope) IsTemporary(o *cluster.Object) bool {
	parent, ok := s.Object(o.Parent)
	return ok && parent.Temporary != nil
}

// OnCommit are the temporary tables of the session of which COMMIT does something.
func (s Scope) OnCommit(what string) []*cluster.Object {
	if _, ok := s.TemporarySchema(); !ok {
		return nil
	}
	return s.objects(func(o *cluster.Object) bool {
		return o.Parent == s.Temp && o.Collection != nil && o.Collection.OnCommit == what
	})
}

// DropTemporary drops all temporary objects of the session, and what needs them.
func (c *Catalog) DropTemporary(in Scope) (*Draft, error) {
	schema, ok := in.TemporarySchema()
	if !ok {
		return in.Draft, nil
	}
	next, _, _, err := c.DropSchemas(in, &syntax.DropSchema{Names: []string{schema.Name}, Drop: syntax.Drop{Cascade: true}})
	return next, err
}

// keepsApart refuses a foreign key between a temporary table and one that stays.
func (s Scope) keepsApart(table, parent *cluster.Object) error {
	temporary := s.IsTemporary(table)
	if temporary == s.IsTemporary(parent) {
		return nil
	}
	which := "permanent"
	if temporary {
		which = "temporary"
	}
	return &syntax.Error{Code: "42P16", Message: fmt.Sprintf("constraints on %s tables may reference only %s tables", which, which)}
}

// readsTemporary refuses to have what stays read what does not.
func (s Scope) readsTemporary(o *cluster.Object) error {
	if s.IsTemporary(o) {
		return nil
	}
	for _, r := range o.View.Reads {
		if read, ok := s.Object(r.Object); ok && s.IsTemporary(read) {
			if o.Kind == cluster.KindMaterializedView {
				return &syntax.Error{Code: "0A000", Message: "materialized views must not use temporary tables or views"}
			}
			return syntax.Unsupported("a view of temporary tables that is none itself", "Write CREATE TEMPORARY VIEW.")
		}
	}
	return nil
}
