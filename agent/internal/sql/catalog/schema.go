package catalog

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// systemSchemas are there in every database, and are no objects.
var systemSchemas = []string{"pg_catalog", "information_schema", "nodedb_internal", "pg_toast"}

// checkSchemaName refuses names that no schema can get.
func (s Scope) checkSchemaName(name string) error {
	if err := checkName(name, 0); err != nil {
		return err
	}
	if _, taken := s.Schema(name); taken && name != TempSchema || slices.Contains(systemSchemas, name) {
		return &syntax.Error{Code: "42P06", Message: fmt.Sprintf("schema %q already exists", name)}
	}
	if strings.HasPrefix(name, "pg_") {
		return &syntax.Error{Code: "42939", Message: fmt.Sprintf("unacceptable schema name %q", name), Detail: `The prefix "pg_" is reserved for system schemas.`}
	}
	return nil
}

// schema is Schema with the errors that PostgreSQL gives to who wants to change it.
func (s Scope) schema(name, verb string) (*cluster.Object, error) {
	if o, ok := s.Schema(name); ok {
		return o, nil
	}
	if slices.Contains(systemSchemas, name) {
		return nil, &syntax.Error{Code: "2BP01", Message: fmt.Sprintf("cannot %s schema %s because it is required by the database system", verb, name)}
	}
	return nil, &syntax.Error{Code: "3F000", Message: fmt.Sprintf("schema %q does not exist", name)}
}

// CreateSchema makes a schema in the draft of scope; existed says that ifNotExists found
// one.
func (c *Catalog) CreateSchema(ctx context.Context, in Scope, name, owner string, ifNotExists bool) (next *Draft, existed bool, err error) {
	if _, taken := in.Schema(name); ifNotExists && (taken || slices.Contains(systemSchemas, name)) {
		return in.Draft, true, nil
	}
	if err := in.checkSchemaName(name); err != nil {
		return nil, false, err
	}
	database, ok := in.Object(in.Database)
	if !ok {
		return nil, false, &syntax.Error{Code: "3D000", Message: "the database of this session was dropped", Hint: "Connect to another one."}
	}
	id, err := c.NewID(ctx)
	if err != nil {
		return nil, false, err
	}
	next = in.Draft.clone()
	next.rest(database)
	schema := &cluster.Object{ID: id, Parent: database.ID, Kind: cluster.KindSchema, Name: name, Owner: owner}
	in.born(schema)
	next.add(schema)
	return next, false, nil
}

// DropSchemas drops schemas in the draft of scope. Missing are those that IF EXISTS did
// not find, cascaded what went with them, as DETAIL says it.
func (c *Catalog) DropSchemas(in Scope, stmt *syntax.DropSchema) (next *Draft, missing, cascaded []string, err error) {
	next = in.Draft.clone()
	var details []string
	dropped := map[cluster.ObjectID]bool{}
	gone := &going{objects: map[cluster.ObjectID]*cluster.Object{}, cascade: true}
	for _, name := range stmt.Names {
		schema, err := in.schema(name, "drop")
		if err != nil {
			if stmt.IfExists && !slices.Contains(systemSchemas, name) {
				missing = append(missing, name)
				continue
			}
			return nil, nil, nil, err
		}
		if dropped[schema.ID] {
			continue
		}
		dropped[schema.ID] = true
		for _, o := range in.contents(schema.ID) {
			if o.Sequence == nil || o.Sequence.OwnedBy == nil { // else it goes with its table
				what := kindWord(o.Kind) + " " + in.visibleName(o)
				cascaded = append(cascaded, what)
				details = append(details, fmt.Sprintf("%s depends on schema %s", what, schema.Name))
			}
			gone.objects[o.ID] = o
			next.drop(o)
		}
		next.drop(schema)
	}
	if len(details) == 0 || stmt.Cascade {
		defaults, err := in.settleNeeds(next, gone)
		return next, missing, append(cascaded, defaults...), err
	}
	message := "cannot drop desired object(s) because other objects depend on them"
	if len(stmt.Names) == 1 {
		message = fmt.Sprintf("cannot drop schema %s because other objects depend on it", stmt.Names[0])
	}
	return nil, nil, nil, &syntax.Error{Code: "2BP01", Message: message, Detail: Lines(details), Hint: "Use DROP ... CASCADE to drop the dependent objects too."}
}

// kindWord is what PostgreSQL calls an object of the kind.
func kindWord(k cluster.ObjectKind) string {
	if k == cluster.KindDomain || k == cluster.KindEnum || k == cluster.KindComposite {
		return "type"
	}
	return string(k)
}

// maxLines is how many objects a DETAIL names, as PostgreSQL does.
const maxLines = 100

// Lines makes a DETAIL of a line for each object.
func Lines(lines []string) string {
	if more := len(lines) - maxLines; more > 0 {
		lines = append(slices.Clone(lines[:maxLines]), fmt.Sprintf("and %d other objects", more))
	}
	return strings.Join(lines, "\n")
}

// CascadeText tells what CASCADE has taken along, as PostgreSQL does; "": nothing.
func CascadeText(dropped []string) (message, detail string) {
	switch len(dropped) {
	case 0:
		return "", ""
	case 1:
		return "drop cascades to " + dropped[0], ""
	}
	lines := slices.Clone(dropped)
	for i := range lines {
		lines[i] = "drop cascades to " + lines[i]
	}
	return fmt.Sprintf("drop cascades to %d other objects", len(dropped)), Lines(lines)
}

// contents are the objects in a schema or a database, in the order in which they were
// made.
func (s Scope) contents(parent cluster.ObjectID) []*cluster.Object {
	out := s.objects(func(o *cluster.Object) bool { return o.Parent == parent })
	slices.SortFunc(out, func(a, b *cluster.Object) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// visibleName is the name of what is in a schema: with that in front, unless the name
// alone finds it.
func (s Scope) visibleName(o *cluster.Object) string {
	if o.Function != nil {
		return strings.ReplaceAll(s.described(o), ", ", ",")
	}
	find := s.Relation
	if o.Domain != nil || o.Enum != nil || o.Composite != nil {
		find = s.UserType
	}
	if found, ok := find(syntax.Name{Name: o.Name}); ok && found.ID == o.ID {
		return o.Name
	}
	schema, ok := s.Object(o.Parent)
	if !ok {
		return o.Name
	}
	return schema.Name + "." + o.Name
}

// RenameSchema gives a schema another name in the draft of scope.
func (c *Catalog) RenameSchema(in Scope, name, to string) (*Draft, error) {
	old, err := in.schema(name, "rename")
	if err != nil {
		return nil, err
	}
	if err := in.checkSchemaName(to); err != nil {
		return nil, err
	}
	next := *old
	next.Name = to
	return in.change(old, &next), nil
}

// OwnSchema gives a schema to another owner in the draft of scope.
func (c *Catalog) OwnSchema(in Scope, name, owner string) (*Draft, error) {
	old, err := in.schema(name, "change")
	if err != nil {
		return nil, err
	}
	next := *old
	own(&next, owner)
	return in.change(old, &next), nil
}
