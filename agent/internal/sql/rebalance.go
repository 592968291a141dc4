package sql

import (
	"context"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/operation"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// Rebalancer is what REBALANCE and SHOW REBALANCE are views of;
// *operation.Service satisfies it.
type Rebalancer interface {
	Rebalance(ctx context.Context, perNode time.Duration) operation.Rebalance
	Start(ctx context.Context, r operation.StartRequest) (op cluster.Operation, existed bool, err error)
}

func describeRebalance() []Column {
	return []Column{
		typedColumn("operation", datum.Text), typedColumn("state", datum.Text), typedColumn("plan", datum.Text),
		typedColumn("moves", datum.Int8), typedColumn("transfers", datum.Int8), typedColumn("gain", datum.Float8),
	}
}

// rebalance starts an operation and says which; it does not wait for its end.
func (s *Session) rebalance(ctx context.Context, node *syntax.Rebalance, sink RowSink) (string, error) {
	if err := s.allowAlone("REBALANCE"); err != nil {
		return "", err
	}
	if err := s.need(roleOperator, "REBALANCE"); err != nil {
		return "", err
	}
	if s.server.cfg.Rebalancer == nil {
		return "", &Error{Code: "0A000", Message: "this server cannot rebalance"}
	}
	op, _, err := s.server.cfg.Rebalancer.Start(ctx, operation.StartRequest{
		By: s.options.User, Reason: "REBALANCE",
		Spec: cluster.OperationSpec{Kind: cluster.OpRebalance, Goal: node.Goal, Plan: node.Plan, Strict: node.Strict},
	})
	if err != nil {
		return "", operationError(err)
	}
	out := &output{sink: sink, columns: describeRebalance()}
	if err := out.row([]datum.Datum{
		datum.MakeText(op.ID), datum.MakeText(string(op.State)), datum.MakeText(op.Spec.Plan), datum.MakeCount(op.Total.Replicas), datum.MakeCount(op.Total.Leaders),
		datum.MakeFloat(datum.Float8, op.GainPredicted),
	}); err != nil {
		return "", err
	}
	return "REBALANCE", out.begin()
}
