package sql

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// createTrigger runs CREATE TRIGGER.
func (s *Session) createTrigger(ctx context.Context, node *syntax.CreateTrigger) (string, error) {
	const tag = "CREATE TRIGGER"
	return tag, s.changeObjects(ctx, tag, func(in catalog.Scope) (*catalog.Draft, error) {
		return s.server.catalog.CreateTrigger(ctx, in, node, func(table *catalog.Table, t *cluster.TableTrigger) error {
			return s.soundTrigger(ctx, table, t, node)
		})
	})
}

// soundTrigger looks at a trigger before it is made. What a function does is looked at when
// it is called.
func (s *Session) soundTrigger(ctx context.Context, table *catalog.Table, t *cluster.TableTrigger, node *syntax.CreateTrigger) error {
	c, err := s.compileTrigger(ctx, table, t)
	if err == nil && c.when != nil {
		t.When = s.settledWhen(s.scope(), c.when, t.When)
	}
	if err != nil || c.function != nil {
		return err
	}
	defer s.naming(c.transitions(nil))()
	look := &bodyChecker{c.frame(&occasion{session: s, at: s.server.cfg.Now()}), ctx}
	return inStatementText(look.statements(c.body.statements), node.Body.Position)
}

// dropTrigger runs DROP TRIGGER.
func (s *Session) dropTrigger(ctx context.Context, node *syntax.DropTrigger) (string, error) {
	return s.alter(ctx, "DROP TRIGGER", func(in catalog.Scope) (*catalog.Draft, []catalog.Notice, error) {
		return s.server.catalog.DropTrigger(in, node)
	})
}

// raiseRedone has ranges refuse what is written by nodes that have not heard of a change of
// what is done beside or instead: once the statement is answered, nobody writes as if it had
// not been.
func (s *Session) raiseRedone(ctx context.Context, changed []catalog.Redone) error {
	planted := s.server.cfg.Planted
	for _, c := range changed {
		if planted.missTrigger() || planted.missBody() && c.Body || planted.missCall() && c.Calls {
			break
		}
		version := c.Version
		if o := s.server.catalog.View().Objects[c.Object.ID]; o != nil {
			version = max(version, o.Version)
		}
		fence := []cluster.SchemaFence{{SchemaVersion: cluster.SchemaVersion{Collection: c.Object.RowsID(), Version: version}}}
		if err := s.server.cfg.DB.Raise(ctx, c.Object.Collection.Pool, fence); err != nil {
			return &Error{Code: "40003", Message: fmt.Sprintf("what is done when table %q is written to is changed, but not all ranges could be told", c.Object.Name), cause: err,
				Detail: "Nodes that have not heard of the change may write as before for a while.", Hint: "Run the statement again, with OR REPLACE or IF EXISTS."}
		}
	}
	return nil
}

// truncateFired has TRUNCATE fire triggers, if the tables have any for it.
func (s *Session) truncateFired(ctx context.Context, node *syntax.Truncate, at time.Time, run func() error) error {
	tables := func() (out []*catalog.Table) {
		for _, name := range node.Names {
			if t, ok := s.scope().Table(name.Schema, name.Name); ok && slices.ContainsFunc(t.Desc.Collection.Triggers, func(t cluster.TableTrigger) bool {
				return !t.Disabled && t.On(cluster.OnTruncate)
			}) {
				out = append(out, t)
			}
		}
		return out
	}
	if len(tables()) == 0 {
		return run()
	}
	_, err := s.fireAsOne(ctx, at, func() (string, error) {
		fire := func(timing string) error {
			for _, t := range tables() {
				f := &firing{session: s, at: at, table: t, events: []string{cluster.OnTruncate}}
				f.choose()
				if err := f.statement(ctx, timing); err != nil {
					return err
				}
			}
			return nil
		}
		err := fire(cluster.BeforeRows)
		if err == nil {
			err = run()
		}
		if err == nil {
			err = fire(cluster.AfterRows)
		}
		return "", err
	})
	return err
}
