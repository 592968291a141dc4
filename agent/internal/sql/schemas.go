package sql

import (
	"context"
	"fmt"

	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// createSchema runs CREATE SCHEMA, with the collections that are made in it.
func (s *Session) createSchema(ctx context.Context, node *syntax.CreateSchema) (string, error) {
	const tag = "CREATE SCHEMA"
	name, owner := node.Name, s.user
	if node.Owner != nil {
		var err error
		if owner, err = s.owner(*node.Owner); err != nil {
			return "", err
		}
	}
	if name == "" {
		name = owner
	}
	elements, err := elementsOf(node, name)
	if err != nil {
		return "", err
	}
	existed := false
	err = s.changeObjects(ctx, tag, func(in catalog.Scope) (next *catalog.Draft, err error) {
		next, existed, err = s.server.catalog.CreateSchema(ctx, in, name, owner, node.IfNotExists)
		for _, e := range elements {
			if err != nil {
				return nil, err
			}
			in.Draft = next
			next, _, err = s.server.catalog.Create(ctx, in, e, owner, sound(in, e))
		}
		return next, err
	})
	if err != nil {
		return "", err
	}
	if existed {
		s.notice("NOTICE", "42P06", "schema %q already exists, skipping", name)
	}
	return tag, nil
}

// sound refuses a new collection with expressions that cannot be computed.
func sound(in catalog.Scope, node *syntax.CreateCollection) func(*catalog.Table) error {
	return func(t *catalog.Table) error {
		return queryplan.Sound(t, node.Columns, node.Constraints, finder(in))
	}
}

// elementsOf are the collections that CREATE SCHEMA makes, named as in the schema.
func elementsOf(node *syntax.CreateSchema, schema string) ([]*syntax.CreateCollection, error) {
	var out []*syntax.CreateCollection
	for _, e := range node.Elements {
		create, ok := e.(*syntax.CreateCollection)
		if !ok {
			return nil, syntax.Unsupported("CREATE SCHEMA with anything but CREATE TABLE", "Make it with a statement of its own.")
		}
		inside := *create
		if inside.Name.Schema != "" && inside.Name.Schema != schema {
			return nil, &syntax.Error{Code: "42P15", Position: inside.Name.Position,
				Message: fmt.Sprintf("CREATE specifies a schema (%s) different from the one being created (%s)", inside.Name.Schema, schema)}
		}
		inside.Name.Schema = schema
		out = append(out, &inside)
	}
	return out, nil
}

// dropSchema runs DROP SCHEMA.
func (s *Session) dropSchema(ctx context.Context, node *syntax.DropSchema) (string, error) {
	const tag = "DROP SCHEMA"
	var missing, cascaded []string
	err := s.changeObjects(ctx, tag, func(in catalog.Scope) (next *catalog.Draft, err error) {
		next, missing, cascaded, err = s.server.catalog.DropSchemas(in, node)
		return next, err
	})
	if err != nil {
		return "", err
	}
	for _, name := range missing {
		s.notice("NOTICE", "00000", "schema %q does not exist, skipping", name)
	}
	s.noticeCascade(cascaded)
	return tag, nil
}

// noticeCascade tells what CASCADE has dropped.
func (s *Session) noticeCascade(dropped []string) {
	if message, detail := catalog.CascadeText(dropped); message != "" {
		s.tell(&Error{Severity: "NOTICE", Code: "00000", Message: message, Detail: detail})
	}
}

// changeOwner runs ALTER ... OWNER TO.
func (s *Session) changeOwner(ctx context.Context, node *syntax.ChangeOwner) (string, error) {
	kind, name := node.Target.Kind, node.Target.Name.Name
	if kind == syntax.KindType || kind == syntax.KindDomain {
		return s.ownType(ctx, node)
	}
	ofView := func(in catalog.Scope, _, owner string) (*catalog.Draft, error) {
		if _, ok := in.Relation(node.Target.Name); !ok && node.IfExists {
			s.notice("NOTICE", "00000", "relation %q does not exist, skipping", name)
			return in.Draft, nil
		}
		return s.server.catalog.OwnView(in, &node.Target, owner)
	}
	ofSchedule := func(in catalog.Scope, _, owner string) (*catalog.Draft, error) {
		next, notices, err := s.server.catalog.OwnSchedule(in, node.Target.Name, node.IfExists, owner)
		for _, n := range notices {
			s.notice("NOTICE", n.Code, "%s", n.Message)
		}
		return next, err
	}
	ofFunction := func(in catalog.Scope, _, owner string) (*catalog.Draft, error) {
		return s.server.catalog.OwnFunction(in, node.Target, owner)
	}
	change := map[syntax.Kind]func(in catalog.Scope, name, owner string) (*catalog.Draft, error){
		syntax.KindSchema: s.server.catalog.OwnSchema, syntax.KindDatabase: s.server.catalog.OwnDatabase,
		syntax.KindView: ofView, syntax.KindMaterializedView: ofView, syntax.KindSchedule: ofSchedule,
		syntax.KindFunction: ofFunction, syntax.KindProcedure: ofFunction, syntax.KindRoutine: ofFunction,
	}[kind]
	if change == nil {
		return "", syntax.Unsupported(fmt.Sprintf("ALTER ... OWNER TO of a %s", kind), "")
	}
	owner, err := s.owner(node.To)
	if err != nil {
		return "", err
	}
	tag := "ALTER " + string(kind)
	return tag, s.changeObjects(ctx, tag, func(in catalog.Scope) (*catalog.Draft, error) { return change(in, name, owner) })
}
