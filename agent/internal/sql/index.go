package sql

import (
	"context"
	"slices"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/exec"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// createIndex runs CREATE INDEX.
func (s *Session) createIndex(ctx context.Context, node *syntax.CreateIndex, at time.Time) (string, error) {
	const tag = "CREATE INDEX"
	if node.Concurrently && s.tx != nil {
		return "", &Error{Code: "25001", Message: "CREATE INDEX CONCURRENTLY cannot run inside a transaction block"}
	}
	var made *catalog.Index
	var notices []catalog.Notice
	err := s.changeObjects(ctx, tag, func(in catalog.Scope) (next *catalog.Draft, err error) {
		resolved := node
		if t, ok := in.Table(node.Table.Schema, node.Table.Name); ok && t.Schemaless() {
			if resolved, err = queryplan.IndexFields(t, node); err != nil {
				return nil, err
			}
		}
		next, made, notices, err = s.server.catalog.CreateIndex(ctx, in, resolved, s.indexing())
		return next, err
	})
	if err != nil {
		return "", err
	}
	for _, n := range notices {
		s.notice("NOTICE", n.Code, "%s", n.Message)
	}
	if made == nil || s.tx == nil || made.Desc.State != "" {
		return tag, nil
	}
	env := &queryplan.Env{Now: s.began, Statement: at, Session: s.environment(ctx)}
	run := &exec.Run{DB: s.server.cfg.DB, Tx: s.tx, Env: env}
	return tag, run.FillIndex(ctx, made)
}

func (s *Session) indexing() catalog.Indexing {
	return catalog.Indexing{Check: queryplan.CheckIndex, Own: s.draft.Made}
}

// dropIndex runs DROP INDEX.
func (s *Session) dropIndex(ctx context.Context, node *syntax.DropIndex) (string, error) {
	if node.Concurrently && s.tx != nil {
		return "", &Error{Code: "25001", Message: "DROP INDEX CONCURRENTLY cannot run inside a transaction block"}
	}
	switch {
	case node.Concurrently && len(node.Names) > 1:
		return "", &Error{Code: "0A000", Message: "DROP INDEX CONCURRENTLY does not support dropping multiple objects"}
	case node.Concurrently && node.Cascade:
		return "", &Error{Code: "0A000", Message: "DROP INDEX CONCURRENTLY does not support CASCADE"}
	}
	return s.alter(ctx, "DROP INDEX", func(in catalog.Scope) (*catalog.Draft, []catalog.Notice, error) {
		return s.server.catalog.DropIndex(in, node, s.indexing())
	})
}

// fillOwn fills new indexes of a table that the transaction has made and written to.
func (s *Session) fillOwn(ctx context.Context, name syntax.Name, indexes []cluster.ObjectID, env *queryplan.Env) error {
	t, err := s.scope().Resolve(name)
	if err != nil {
		return err
	}
	run := &exec.Run{DB: s.server.cfg.DB, Tx: s.tx, Env: env}
	for _, x := range t.Indexes {
		if slices.Contains(indexes, x.Desc.ID) {
			if err := run.FillIndex(ctx, x); err != nil {
				return err
			}
		}
	}
	return nil
}
