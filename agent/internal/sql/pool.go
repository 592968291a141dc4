package sql

import (
	"context"
	"fmt"
	"strings"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/operation"
	"github.com/nodedb/nodedb/agent/internal/sql/clusterview"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// changePool begins an operation on a pool in the user's name.
func (s *Session) changePool(ctx context.Context, statement string, spec cluster.OperationSpec) (cluster.Operation, error) {
	if err := s.mayChangePools(statement); err != nil {
		return cluster.Operation{}, err
	}
	op, _, err := s.server.cfg.Operator.Start(s.asUser(ctx), operation.StartRequest{Spec: spec, By: s.options.User, Reason: statement})
	if err != nil {
		return op, operationError(err)
	}
	return op, nil
}

func (s *Session) mayChangePools(statement string) error {
	if s.tx != nil {
		return &Error{Code: "25001", Message: statement + " cannot run inside a transaction block"}
	}
	if err := s.need(roleOperator, statement); err != nil {
		return err
	}
	if s.server.cfg.Operator == nil {
		return &Error{Code: "0A000", Message: "this node does not change the cluster"}
	}
	return nil
}

func (s *Session) asUser(ctx context.Context) context.Context {
	return metastate.WithActor(ctx, metastate.Actor{By: s.options.User, Via: metastate.ViaSQL, Source: s.options.Remote})
}

// wanted is what the options make of what a pool wants.
func wanted(from cluster.PoolSpec, o *syntax.PoolOptions) (*cluster.PoolSpec, error) {
	out := from
	var err error
	if o.Replicas != nil {
		out.Replicas = *o.Replicas
	}
	if o.Constraints != nil {
		if out.Constraints, err = cluster.ParseConstraints(*o.Constraints); err != nil {
			return nil, &Error{Code: "22023", Message: err.Error()}
		}
	}
	if o.PreferLeader != nil {
		if out.PreferLeader, err = cluster.ParsePreference(*o.PreferLeader); err != nil {
			return nil, &Error{Code: "22023", Message: err.Error()}
		}
	}
	if err := out.Validate(); err != nil {
		return nil, &Error{Code: "22023", Message: err.Error()}
	}
	return &out, nil
}

// createPool makes a pool and waits until it is ready, or statement_timeout ends
// the waiting: the operation goes on then.
func (s *Session) createPool(ctx context.Context, node *syntax.CreatePool) (string, error) {
	want, err := wanted(cluster.PoolSpec{Replicas: s.server.catalog.View().DefaultPool().Replicas}, &node.Options)
	if err != nil {
		return "", err
	}
	if _, ok := s.server.catalog.View().Pool(node.Name); ok && node.IfNotExists {
		return s.poolIsThere(ctx, node.Name)
	}
	spec := cluster.OperationSpec{Kind: cluster.OpPoolCreate, Pool: node.Name, Wanted: want}
	if node.Options.Ranges != nil {
		if err := cluster.CheckPoolRanges(*node.Options.Ranges); err != nil {
			return "", &Error{Code: "22023", Message: err.Error()}
		}
		spec.Ranges = *node.Options.Ranges
	}
	op, err := s.changePool(ctx, "CREATE POOL", spec)
	if err != nil {
		return "", err
	}
	return s.awaitPool(ctx, op.ID)
}

// poolIsThere answers CREATE POOL IF NOT EXISTS: a pool that is being created is
// waited for, so that it can be used when the statement has succeeded.
func (s *Session) poolIsThere(ctx context.Context, name string) (string, error) {
	if err := s.mayChangePools("CREATE POOL"); err != nil {
		return "", err
	}
	s.notice("NOTICE", "42710", "pool %q already exists, skipping", name)
	view := s.server.catalog.View()
	if pool, ok := view.Pool(name); ok && pool.State == cluster.PoolCreating {
		if id := clusterview.OperationOn(view, name); id != "" {
			return s.awaitPool(ctx, id)
		}
	}
	return "CREATE POOL", nil
}

// awaitPool waits until the operation that makes a pool has ended.
func (s *Session) awaitPool(ctx context.Context, id string) (string, error) {
	s.notice("NOTICE", "00000", "%s makes the pool and goes on if this statement ends before it", id)
	last := ""
	op, err := s.server.cfg.Operator.Wait(ctx, id, func(o *cluster.Operation) bool {
		if o.Why != "" && o.Why != last {
			last = o.Why
			s.notice("NOTICE", "00000", "%s is %s: %s", o.ID, o.State, o.Why)
		}
		return false
	})
	if over := ended(err); err != nil && over != nil {
		over.Detail = id + " goes on and makes the pool."
		over.Hint = "SHOW POOL tells its state; nodedbctl ops watch " + id + ", or nodedbctl ops cancel " + id + "."
		return "", over
	}
	if err != nil {
		return "", err
	}
	if op.State != cluster.OpSucceeded {
		return "", &Error{Code: "55000", Message: fmt.Sprintf("%s ended %s: %s", op.ID, op.State, op.Why)}
	}
	return "CREATE POOL", nil
}

// alterPool returns when the change is recorded; the operation says the rest.
func (s *Session) alterPool(ctx context.Context, node *syntax.AlterPool) (string, error) {
	if node.RenameTo != "" {
		if err := s.mayChangePools("ALTER POOL"); err != nil {
			return "", err
		}
		if _, err := s.server.cfg.Operator.RenamePool(s.asUser(ctx), node.Name, node.RenameTo, s.options.User); err != nil {
			return "", operationError(err)
		}
		return "ALTER POOL", nil
	}
	pool, err := findPool(s.server.catalog.View(), node.Name)
	if err != nil {
		return "", err
	}
	want, err := wanted(pool.PoolSpec, &node.Options)
	if err != nil {
		return "", err
	}
	op, err := s.changePool(ctx, "ALTER POOL", cluster.OperationSpec{Kind: cluster.OpPoolAlter, Pool: node.Name, Wanted: want})
	if err != nil {
		return "", err
	}
	s.notice("NOTICE", "00000", "%s moves the replicas: SHOW OPERATIONS, or nodedbctl ops watch %s", op.ID, op.ID)
	return "ALTER POOL", nil
}

func (s *Session) dropPool(ctx context.Context, node *syntax.DropPool) (string, error) {
	if _, ok := s.server.catalog.View().Pool(node.Name); !ok && node.IfExists {
		s.notice("NOTICE", "00000", "pool %q does not exist, skipping", node.Name)
		return "DROP POOL", nil
	}
	op, err := s.changePool(ctx, "DROP POOL", cluster.OperationSpec{Kind: cluster.OpPoolDrop, Pool: node.Name})
	if err != nil {
		return "", err
	}
	s.notice("NOTICE", "00000", "%s removes its replicas", op.ID)
	return "DROP POOL", nil
}

func findPool(view *metastate.View, name string) (*cluster.Pool, error) {
	pool, ok := view.Pool(name)
	if !ok {
		return nil, &Error{Code: "42704", Message: fmt.Sprintf("there is no pool %q: %s", name, strings.Join(view.PoolNames(), ", "))}
	}
	return pool, nil
}
