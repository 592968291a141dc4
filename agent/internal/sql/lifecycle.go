package sql

import (
	"context"
	"errors"
	"fmt"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/operation"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// Operator starts and ends what ALTER NODE asks for. The context carries who
// asks; errors are those of package operation.
type Operator interface {
	Start(ctx context.Context, r operation.StartRequest) (op cluster.Operation, existed bool, err error)
	Undrain(ctx context.Context, nodes []cluster.NodeID, by, reason string) ([]cluster.Operation, error)
	Recommission(ctx context.Context, nodes []cluster.NodeID, by, reason string) ([]cluster.Operation, error)
	SetCordon(ctx context.Context, node cluster.NodeID, cordon bool, by string) error
	RenamePool(ctx context.Context, name, to, by string) (cluster.Pool, error)
	Wait(ctx context.Context, id string, until func(*cluster.Operation) bool) (cluster.Operation, error)
}

// findNode finds a node as cluster.FindNode does.
func findNode(view *metastate.View, name string) (cluster.NodeID, error) {
	n, err := cluster.FindNode(view.Nodes, name)
	var ambiguous *cluster.AmbiguousNodeError
	if errors.As(err, &ambiguous) {
		return 0, &Error{Code: "42725", Message: "node " + ambiguous.Error(), Hint: "Use the node's number."}
	}
	if err != nil {
		return 0, &Error{Code: "42704", Message: fmt.Sprintf("node %q does not exist", name), Hint: "SHOW NODES lists them."}
	}
	return n.ID, nil
}

// alterColumns are those of ALTER NODE.
func alterColumns() []Column {
	return []Column{typedColumn("node", datum.Text), typedColumn("operation", datum.Text), typedColumn("state", datum.Text), typedColumn("why", datum.Text)}
}

// alterNode asks for an operation on a node, in the user's name.
func (s *Session) alterNode(ctx context.Context, node *syntax.AlterNode, sink RowSink) (string, error) {
	if s.tx != nil {
		return "", &Error{Code: "25001", Message: "ALTER NODE cannot run inside a transaction block"}
	}
	if err := s.need(roleOperator, "ALTER NODE"); err != nil {
		return "", err
	}
	if s.server.cfg.Operator == nil {
		return "", &Error{Code: "0A000", Message: "this node does not change the cluster"}
	}
	view := s.server.catalog.View()
	id, err := findNode(view, node.Node)
	if err != nil {
		return "", err
	}
	ctx = metastate.WithActor(ctx, metastate.Actor{By: s.options.User, Via: metastate.ViaSQL, Source: s.options.Remote})
	ops, err := s.operate(ctx, id, node.Action)
	if err != nil {
		return "", operationError(err)
	}
	out := &output{sink: sink, columns: alterColumns()}
	if len(ops) == 0 {
		ops = []cluster.Operation{{State: cluster.OpSucceeded}}
	}
	for _, op := range ops {
		if err := out.row([]datum.Datum{datum.MakeText(id.String()), datum.MakeText(op.ID), datum.MakeText(string(op.State)), datum.MakeText(op.Why)}); err != nil {
			return "", err
		}
	}
	return "ALTER NODE", out.begin()
}

func (s *Session) operate(ctx context.Context, id cluster.NodeID, action string) ([]cluster.Operation, error) {
	o, nodes, by := s.server.cfg.Operator, []cluster.NodeID{id}, s.options.User
	switch action {
	case "undrain":
		return o.Undrain(ctx, nodes, by, "")
	case "recommission":
		return o.Recommission(ctx, nodes, by, "")
	case "cordon", "uncordon":
		return nil, o.SetCordon(ctx, id, action == "cordon", by)
	}
	op, _, err := o.Start(ctx, operation.StartRequest{Spec: cluster.OperationSpec{Kind: cluster.OperationKind(action), Nodes: nodes}, By: by})
	return []cluster.Operation{op}, err
}

// operationError says a refusal in PostgreSQL's terms.
func operationError(err error) error {
	var refused *operation.RefusedError
	if !errors.As(err, &refused) {
		return err
	}
	codes := map[operation.RefusedKind]string{
		operation.Unsafe: "55000", operation.Conflict: "55006", operation.StalePlan: "55000", operation.NotFound: "42704", operation.Invalid: "22023",
		operation.Exists: "42710", operation.InUse: "2BP01", operation.Denied: "42501",
	}
	e := &Error{Code: codes[refused.Kind], Message: refused.Message, cause: err}
	for _, r := range refused.Verdict.Refusals {
		for _, f := range r.Fixes {
			if e.Hint == "" {
				e.Hint = f.Does
				if f.Command != "" {
					e.Hint += ": " + f.Command
				}
			}
		}
		if len(r.Ranges) > 0 && e.Detail == "" {
			e.Detail = fmt.Sprintf("%s concerns %d ranges, %s first. Nothing was changed.", r.Code, len(r.Ranges), r.Ranges[0])
		}
	}
	if refused.Operation != "" && e.Detail == "" {
		e.Detail = "The operation in the way is " + refused.Operation + "."
	}
	return e
}
