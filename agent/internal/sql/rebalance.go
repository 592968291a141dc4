package sql

import (
	"context"
	"errors"
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
		return "", refusedOperation(err)
	}
	out := &output{sink: sink, columns: describeRebalance()}
	if err := out.row([]datum.Datum{
		datum.MakeText(op.ID), datum.MakeText(string(op.State)), datum.MakeText(op.Spec.Plan), number(op.Total.Replicas), number(op.Total.Leaders),
		datum.MakeFloat(datum.Float8, op.GainPredicted),
	}); err != nil {
		return "", err
	}
	return "REBALANCE", out.begin()
}

// refusedOperation says to a client why an operation was not begun.
func refusedOperation(err error) error {
	var r *operation.RefusedError
	if !errors.As(err, &r) {
		return err
	}
	codes := map[operation.RefusedKind]string{
		operation.Invalid: "22023", operation.NotFound: "42704", operation.Conflict: "55006", operation.StalePlan: "55000", operation.Unsafe: "55000",
	}
	e := &Error{Code: codes[r.Kind], Message: r.Message, cause: err}
	for _, refusal := range r.Verdict.Refusals {
		for _, f := range refusal.Fixes {
			if e.Hint == "" && f.Command != "" {
				e.Hint = f.Does + ": " + f.Command
			}
		}
	}
	return e
}

// evenness makes the rows of SHOW REBALANCE.
func (s *Server) evenness(ctx context.Context) ([][]datum.Datum, error) {
	if s.cfg.Rebalancer == nil {
		return nil, &Error{Code: "0A000", Message: "this server cannot rebalance"}
	}
	r := s.cfg.Rebalancer.Rebalance(ctx, 0)
	var out [][]datum.Datum
	for _, d := range r.Dimensions {
		out = append(out, []datum.Datum{
			datum.MakeText(d.Name), datum.MakeFloat(datum.Float8, d.Min), datum.MakeFloat(datum.Float8, d.Mean), datum.MakeFloat(datum.Float8, d.Max),
			leaderName(d.MinNode), leaderName(d.MaxNode), datum.MakeBool(d.WouldAct), datum.MakeText(d.Why), datum.MakeText(r.Policy), datum.MakeText(r.Verdict),
		})
	}
	return out, ctx.Err()
}
