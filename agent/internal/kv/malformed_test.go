package kv

import (
	"errors"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/keys"
)

// TestARowOfNoVShardIsRefused: a peer that asks for one gets an error, not a loop
// in search of its range.
func TestARowOfNoVShardIsRefused(t *testing.T) {
	c := newFakeCluster(t, 1, 1)
	n := c.nodes[1]
	req := readRequest{Range: 2, Rows: [][]byte{keys.Row(cluster.DefaultPool, 1<<16-1, 7, []byte("k"))}}
	if _, err := n.db.server.read(t.Context(), &req); !errors.Is(err, keys.ErrMalformed) {
		t.Errorf("read: %v, want %v", err, keys.ErrMalformed)
	}
}
