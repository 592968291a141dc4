package sql

import (
	"context"
	"fmt"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// createEnum runs CREATE TYPE ... AS ENUM.
func (s *Session) createEnum(ctx context.Context, node *syntax.CreateEnum) (string, error) {
	const tag = "CREATE TYPE"
	return tag, s.changeObjects(ctx, tag, func(in catalog.Scope) (*catalog.Draft, error) {
		return s.server.catalog.CreateEnum(ctx, in, node, s.user)
	})
}

// alterEnum runs ALTER TYPE ... ADD and RENAME VALUE.
func (s *Session) alterEnum(ctx context.Context, node *syntax.AlterEnum) (string, error) {
	return s.alter(ctx, "ALTER TYPE", func(in catalog.Scope) (*catalog.Draft, []catalog.Notice, error) {
		return s.server.catalog.AlterEnum(in, node)
	})
}

// createComposite runs CREATE TYPE ... AS (...).
func (s *Session) createComposite(ctx context.Context, node *syntax.CreateType) (string, error) {
	const tag = "CREATE TYPE"
	return tag, s.changeObjects(ctx, tag, func(in catalog.Scope) (*catalog.Draft, error) {
		return s.server.catalog.CreateComposite(ctx, in, node, s.user)
	})
}

// alterComposite runs ALTER TYPE ... ADD, DROP and ALTER ATTRIBUTE.
func (s *Session) alterComposite(ctx context.Context, node *syntax.AlterType) (string, error) {
	return s.alter(ctx, "ALTER TYPE", func(in catalog.Scope) (*catalog.Draft, []catalog.Notice, error) {
		return s.server.catalog.AlterComposite(in, node)
	})
}

// createDomain runs CREATE DOMAIN.
func (s *Session) createDomain(ctx context.Context, node *syntax.CreateDomain) (string, error) {
	const tag = "CREATE DOMAIN"
	return tag, s.changeObjects(ctx, tag, func(in catalog.Scope) (*catalog.Draft, error) {
		return s.server.catalog.CreateDomain(ctx, in, node, s.user, func(o *cluster.Object) error {
			s.settledDomain(o)
			return queryplan.SoundDomain(o, node.Constraints, finder(in))
		})
	})
}

// alterDomain runs ALTER DOMAIN, but for RENAME, OWNER TO and SET SCHEMA.
func (s *Session) alterDomain(ctx context.Context, node *syntax.AlterDomain) (string, error) {
	var written []syntax.Constraint
	if add, ok := node.Action.(*syntax.AddConstraint); ok {
		written = append(written, add.Constraint)
	}
	return s.alter(ctx, "ALTER DOMAIN", func(in catalog.Scope) (*catalog.Draft, []catalog.Notice, error) {
		return s.server.catalog.AlterDomain(ctx, in, node, func(o *cluster.Object) error {
			s.settledDomain(o)
			return queryplan.SoundDomain(o, written, finder(in))
		})
	})
}

// dropType runs DROP TYPE and DROP DOMAIN.
func (s *Session) dropType(ctx context.Context, node *syntax.DropType) (string, error) {
	tag := "DROP TYPE"
	if node.Domain {
		tag = "DROP DOMAIN"
	}
	var told catalog.Dropped
	err := s.changeObjects(ctx, tag, func(in catalog.Scope) (next *catalog.Draft, err error) {
		next, told, err = s.server.catalog.DropTypes(in, node)
		return next, err
	})
	if err != nil {
		return "", err
	}
	s.tellDropped(told, "type")
	return tag, nil
}

// changeType runs RENAME, OWNER TO and SET SCHEMA of a domain or an enum.
func (s *Session) changeType(ctx context.Context, target syntax.Target, change func(in catalog.Scope, o *cluster.Object) error) (string, error) {
	tag := "ALTER " + string(target.Kind)
	return tag, s.changeObjects(ctx, tag, func(in catalog.Scope) (*catalog.Draft, error) {
		return s.server.catalog.ChangeType(in, target, func(o *cluster.Object) error { return change(in, o) })
	})
}

// renameType runs ALTER TYPE and DOMAIN ... RENAME TO.
func (s *Session) renameType(ctx context.Context, node *syntax.Rename) (string, error) {
	return s.changeType(ctx, node.Target, func(_ catalog.Scope, o *cluster.Object) error {
		o.Name = node.To
		return nil
	})
}

// ownType runs ALTER TYPE and DOMAIN ... OWNER TO.
func (s *Session) ownType(ctx context.Context, node *syntax.ChangeOwner) (string, error) {
	owner, err := s.owner(node.To)
	if err != nil {
		return "", err
	}
	return s.changeType(ctx, node.Target, func(_ catalog.Scope, o *cluster.Object) error {
		o.Owner = owner
		return nil
	})
}

// moveType runs ALTER TYPE and DOMAIN ... SET SCHEMA.
func (s *Session) moveType(ctx context.Context, node *syntax.SetSchema) (string, error) {
	return s.changeType(ctx, node.Target, func(in catalog.Scope, o *cluster.Object) error {
		schema, ok := in.Schema(node.To)
		if !ok {
			return &syntax.Error{Code: "3F000", Message: fmt.Sprintf("schema %q does not exist", node.To)}
		}
		o.Parent = schema.ID
		return nil
	})
}
