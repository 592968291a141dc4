package sql

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// alter runs a statement that changes a table, and tells the notices of it.
func (s *Session) alter(ctx context.Context, tag string, change func(in catalog.Scope) (*catalog.Draft, []catalog.Notice, error)) (string, error) {
	var notices []catalog.Notice
	err := s.changeObjects(ctx, tag, func(in catalog.Scope) (next *catalog.Draft, err error) {
		next, notices, err = change(in)
		return next, err
	})
	if err != nil {
		return "", err
	}
	for _, n := range notices {
		s.tell(&Error{Severity: "NOTICE", Code: n.Code, Message: n.Message, Detail: n.Detail})
	}
	return tag, nil
}

// alterCollection runs ALTER TABLE, but for RENAME and SET SCHEMA.
func (s *Session) alterCollection(ctx context.Context, node *syntax.AlterCollection, at time.Time) (string, error) {
	env := &queryplan.Env{Now: at, Statement: at, Session: s.environment(ctx)}
	if s.tx != nil {
		env.Now = s.began
	}
	var fill []cluster.ObjectID // of the last attempt
	ask := catalog.Altering{
		Value: func(c catalog.Column) (datum.Datum, bool, error) { return queryplan.DefaultValue(env, c) },
		Owner: s.owner,
		Empty: func(id cluster.ObjectID) bool {
			return s.draft.Made(id) && !s.tx.Wrote(func(t *catalog.Table) bool { return t.ObjectID() == id })
		},
		Own:   s.draft.Made,
		Fill:  func(id cluster.ObjectID) { fill = append(fill, id) },
		Block: s.tx != nil, UnderWay: s.changeUnderWay, Moment: env.Now,
	}
	ask.Zone, _ = s.settings.Get("timezone")
	var keys []cluster.Referrer
	ask.Prove = func(table, key cluster.ObjectID) { keys = append(keys, cluster.Referrer{Table: table, Key: key}) }
	tag, err := s.alter(ctx, "ALTER "+node.Word, func(in catalog.Scope) (*catalog.Draft, []catalog.Notice, error) {
		ask.Sound = func(t *catalog.Table, written []syntax.Constraint) error {
			return queryplan.Sound(t, nil, written, finder(in))
		}
		keys, fill = nil, nil
		return s.server.catalog.Alter(ctx, in, s.settledActions(in, node), ask)
	})
	if err == nil {
		err = s.prove(ctx, env, keys)
	}
	if err == nil && s.tx != nil {
		err = s.convertible(ctx)
	}
	if err == nil && len(fill) > 0 {
		err = s.fillOwn(ctx, node.Name, fill, env)
	}
	var under *catalog.UnderWayError
	if errors.As(err, &under) {
		return "ALTER " + node.Word, s.awaitChange(ctx, under.Operation)
	}
	return tag, err
}

// rename runs ALTER ... RENAME.
func (s *Session) rename(ctx context.Context, node *syntax.Rename) (string, error) {
	if isRoutine(node.Target.Kind) {
		return s.changeFunction(ctx, node.Target, func(_ catalog.Scope, o *cluster.Object) error {
			o.Name = node.To
			return nil
		})
	}
	tag := "ALTER " + node.Word
	switch node.Target.Kind {
	case syntax.KindTable, syntax.KindView, syntax.KindMaterializedView, syntax.KindIndex, syntax.KindSequence:
		return s.alter(ctx, tag, func(in catalog.Scope) (*catalog.Draft, []catalog.Notice, error) {
			if _, ok := in.Indexed(node.Target.Name); ok || node.Target.Kind == syntax.KindIndex {
				return s.server.catalog.RenameIndex(in, node)
			}
			return s.server.catalog.RenameTable(in, node)
		})
	case syntax.KindColumn:
		return s.alter(ctx, tag, func(in catalog.Scope) (*catalog.Draft, []catalog.Notice, error) {
			return s.server.catalog.RenameColumn(in, node)
		})
	case syntax.KindType, syntax.KindDomain:
		return s.renameType(ctx, node)
	case syntax.KindAttribute:
		return s.alter(ctx, "ALTER TYPE", func(in catalog.Scope) (*catalog.Draft, []catalog.Notice, error) {
			next, err := s.server.catalog.RenameAttribute(in, node)
			return next, nil, err
		})
	case syntax.KindDomainConstraint:
		const tag = "ALTER DOMAIN"
		return tag, s.changeObjects(ctx, tag, func(in catalog.Scope) (*catalog.Draft, error) {
			return s.server.catalog.RenameDomainConstraint(in, node)
		})
	case syntax.KindConstraint:
		return s.alter(ctx, tag, func(in catalog.Scope) (*catalog.Draft, []catalog.Notice, error) {
			return s.server.catalog.RenameConstraint(in, node)
		})
	case syntax.KindSchedule:
		return s.alter(ctx, tag, func(in catalog.Scope) (*catalog.Draft, []catalog.Notice, error) {
			return s.server.catalog.RenameSchedule(in, node)
		})
	case syntax.KindTrigger:
		return s.alter(ctx, tag, func(in catalog.Scope) (*catalog.Draft, []catalog.Notice, error) {
			next, err := s.server.catalog.RenameTrigger(in, node)
			return next, nil, err
		})
	case syntax.KindSchema:
		return tag, s.changeObjects(ctx, tag, func(in catalog.Scope) (*catalog.Draft, error) {
			return s.server.catalog.RenameSchema(in, node.Target.Name.Name, node.To)
		})
	case syntax.KindDatabase:
		return tag, s.renameDatabase(ctx, tag, node.Target.Name.Name, node.To)
	default:
		return "", syntax.Unsupported(fmt.Sprintf("ALTER ... RENAME of a %s", node.Target.Kind), "")
	}
}

// comment runs COMMENT ON.
func (s *Session) comment(ctx context.Context, node *syntax.Comment) (string, error) {
	const tag = "COMMENT"
	return tag, s.changeObjects(ctx, tag, func(in catalog.Scope) (*catalog.Draft, error) {
		return s.server.catalog.Comment(in, node)
	})
}

// setSchema runs ALTER ... SET SCHEMA.
func (s *Session) setSchema(ctx context.Context, node *syntax.SetSchema) (string, error) {
	if node.Target.Kind == syntax.KindType || node.Target.Kind == syntax.KindDomain {
		return s.moveType(ctx, node)
	}
	if isRoutine(node.Target.Kind) {
		return s.changeFunction(ctx, node.Target, func(in catalog.Scope, o *cluster.Object) error {
			schema, ok := in.Schema(node.To)
			if !ok {
				return &syntax.Error{Code: "3F000", Message: fmt.Sprintf("schema %q does not exist", node.To)}
			}
			o.Parent = schema.ID
			return nil
		})
	}
	if node.Target.Kind == syntax.KindSchedule {
		return s.alter(ctx, "ALTER SCHEDULE", func(in catalog.Scope) (*catalog.Draft, []catalog.Notice, error) {
			return s.server.catalog.MoveSchedule(in, node)
		})
	}
	if node.Target.Kind != syntax.KindTable && node.Target.Kind != syntax.KindView && node.Target.Kind != syntax.KindMaterializedView {
		return "", syntax.Unsupported(fmt.Sprintf("ALTER ... SET SCHEMA of a %s", node.Target.Kind), "")
	}
	return s.alter(ctx, "ALTER "+node.Word, func(in catalog.Scope) (*catalog.Draft, []catalog.Notice, error) {
		return s.server.catalog.SetSchema(in, node)
	})
}

// owner finds the user that a statement names as the owner of something.
func (s *Session) owner(r syntax.RoleName) (string, error) {
	name := r.Name
	switch r.Which {
	case syntax.RoleCurrent:
		return s.user, nil
	case syntax.RoleSession:
		return s.sessionUser(), nil
	case syntax.RolePublic:
		name = "public"
	}
	if s.server.catalog.View().Users[name] == nil {
		return "", &syntax.Error{Code: "42704", Message: fmt.Sprintf("role %q does not exist", name), Position: r.Position}
	}
	return name, nil
}
