package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/store"
)

// methodMetaIndex asks the meta range's leader how far the range has come.
const methodMetaIndex = "meta.index"

func (n *Node) metaMethods() map[string]method {
	return map[string]method{
		methodMetaIndex: func(ctx context.Context, _ cluster.NodeID, _ []byte) ([]byte, error) {
			// A read waits until this node has proven that it leads and has applied
			// every proposal before it.
			h, err := n.store.Read(ctx, cluster.MetaRangeID, n.clock.Now(), store.Scope{})
			if err != nil {
				return nil, err
			}
			defer h.Close()
			return json.Marshal(n.machine.View().Index)
		},
	}
}

// catchUp returns when this node has applied all that the meta range had accepted
// when it was called. Nothing is proposed.
func (n *Node) catchUp(ctx context.Context) error {
	leader, _, _ := n.meta.Leader()
	if leader == 0 {
		return errors.New("no leader of the meta range is known here")
	}
	reply, err := n.transport.Call(ctx, leader, methodMetaIndex, nil)
	if err != nil {
		return fmt.Errorf("ask %s for the meta range's index: %w", leader, err)
	}
	var index uint64
	if err := json.Unmarshal(reply, &index); err != nil {
		return fmt.Errorf("ask %s for the meta range's index: %w", leader, err)
	}
	return n.meta.Wait(ctx, index)
}
