package catalog

import (
	"context"
	"fmt"
	"maps"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// FindDatabase finds a database by its name.
func (s Scope) FindDatabase(name string) (*cluster.Object, error) {
	if o, ok := s.find(0, cluster.DatabaseNames, name); ok {
		return o, nil
	}
	return nil, noDatabase(name)
}

func noDatabase(name string) error {
	return &syntax.Error{Code: "3D000", Message: fmt.Sprintf("database %q does not exist", name)}
}

// checkDatabaseName refuses names that no database can get.
func (s Scope) checkDatabaseName(name string) error {
	if _, taken := s.find(0, cluster.DatabaseNames, name); taken {
		return &syntax.Error{Code: "42P04", Message: fmt.Sprintf("database %q already exists", name)}
	}
	return checkName(name, 0)
}

// CreateDatabase makes a database, with a schema public, in the draft of scope.
func (c *Catalog) CreateDatabase(ctx context.Context, in Scope, name, owner string) (*Draft, error) {
	if err := in.checkDatabaseName(name); err != nil {
		return nil, err
	}
	next := in.Draft.clone()
	database := &cluster.Object{Kind: cluster.KindDatabase, Name: name, Owner: owner}
	public := &cluster.Object{Kind: cluster.KindSchema, Name: Public, Owner: owner, ACL: cluster.PublicSchemaACL(owner)}
	var err error
	for _, o := range []*cluster.Object{database, public} {
		if o.ID, err = c.NewID(ctx); err != nil {
			return nil, err
		}
		if o != database {
			o.Parent = database.ID
		}
		next.add(o)
	}
	return next, nil
}

// maxDropped is how many objects one command drops, with room to spare for the database.
const maxDropped = 900

// DropDatabase drops a database and all that is in it in the draft of scope.
func (c *Catalog) DropDatabase(in Scope, name string) (*Draft, error) {
	database, err := in.FindDatabase(name)
	if err != nil {
		return nil, err
	}
	if keptDatabase(database.ID) {
		return nil, &syntax.Error{Code: "2BP01", Message: fmt.Sprintf("cannot drop database %s because it is required by the database system", name)}
	}
	next := in.Draft.clone()
	count := 0
	for _, schema := range in.contents(database.ID) {
		for _, o := range in.contents(schema.ID) {
			next.drop(o)
			count++
		}
		next.drop(schema)
		count++
	}
	if count > maxDropped {
		return nil, &syntax.Error{Code: "54000", Message: fmt.Sprintf("database %q has more than %d objects", name, maxDropped), Hint: "Drop some of its schemas first."}
	}
	next.drop(database)
	return next, nil
}

// keptDatabase reports whether a database is one that clients expect to be there.
func keptDatabase(id cluster.ObjectID) bool {
	return id == cluster.MainDatabase || id == cluster.MaintenanceDatabase
}

// RenameDatabase gives a database another name in the draft of scope.
func (c *Catalog) RenameDatabase(in Scope, name, to string) (*Draft, error) {
	old, err := in.FindDatabase(name)
	if err != nil {
		return nil, err
	}
	if keptDatabase(old.ID) {
		return nil, &syntax.Error{Code: "2BP01", Message: fmt.Sprintf("cannot rename database %s because it is required by the database system", name)}
	}
	if err := in.checkDatabaseName(to); err != nil {
		return nil, err
	}
	next := *old
	next.Name = to
	return in.change(old, &next), nil
}

// SetDatabase has sessions in a database begin with a setting, in the draft of scope; with nil
// without it, and without any if name is empty.
func (c *Catalog) SetDatabase(in Scope, database, name string, value *string) (*Draft, error) {
	old, err := in.FindDatabase(database)
	if err != nil {
		return nil, err
	}
	next := *old
	next.SessionSettings = maps.Clone(old.SessionSettings)
	switch {
	case name == "":
		next.SessionSettings = nil
	case value == nil:
		delete(next.SessionSettings, name)
	default:
		if next.SessionSettings == nil {
			next.SessionSettings = map[string]string{}
		}
		next.SessionSettings[name] = *value
		if len(next.SessionSettings) > metastate.MaxSessionSettings || len(name)+len(*value) > metastate.MaxSessionSettingBytes {
			return nil, &syntax.Error{Code: "54000", Message: fmt.Sprintf("sessions may begin with %d settings of %d bytes", metastate.MaxSessionSettings, metastate.MaxSessionSettingBytes)}
		}
	}
	return in.change(old, &next), nil
}

// OwnDatabase gives a database to another owner in the draft of scope.
func (c *Catalog) OwnDatabase(in Scope, name, owner string) (*Draft, error) {
	old, err := in.FindDatabase(name)
	if err != nil {
		return nil, err
	}
	next := *old
	own(&next, owner)
	d := in.change(old, &next)
	in.Draft = d
	// The schema public goes with it, as that of pg_database_owner does in PostgreSQL.
	if public, ok := in.find(old.ID, cluster.SchemaNames, Public); ok && public.Owner == old.Owner {
		changed := *public
		own(&changed, owner)
		d = in.change(public, &changed)
	}
	return d, nil
}
