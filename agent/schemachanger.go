package agent

import (
	"context"
	"errors"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/operation"
)

// schemaChanger does the work of schema changes that this node coordinates, once its SQL
// has started.
type schemaChanger struct{ n *Node }

// Change satisfies operation.SchemaChanger.
func (s schemaChanger) Change(ctx context.Context, op *cluster.Operation) (operation.SchemaProgress, error) {
	server := s.n.sql.Load()
	if server == nil {
		return operation.SchemaProgress{}, errNoSQL
	}
	return server.Change(ctx, op)
}

var errNoSQL = errors.New("this node's SQL is starting")
