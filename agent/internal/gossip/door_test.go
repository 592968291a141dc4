package gossip

import (
	"net"
	"sync/atomic"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// TestDoor runs over real sockets: what the door does not let in is not served.
func TestDoor(t *testing.T) {
	var asked atomic.Int64
	var open atomic.Bool
	node := func(id cluster.NodeID, door func(net.Conn) net.Conn) *Gossip {
		g, err := New(Config{Self: id, UUID: uuidOf(id), ClusterID: testCluster, BindAddr: "127.0.0.1:0", Keys: [][]byte{testKey(1)}, Door: door})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := g.Close(); err != nil {
				t.Error(err)
			}
		})
		return g
	}
	one := node(1, func(c net.Conn) net.Conn {
		asked.Add(1)
		if !open.Load() {
			_ = c.Close()
			return nil
		}
		return c
	})
	two := node(2, func(c net.Conn) net.Conn { return c })
	there := []Seed{{Node: 1, UUID: uuidOf(1), Addr: one.Addr()}}
	if err := two.Join(there); err == nil || asked.Load() == 0 {
		t.Errorf("a closed door: got %v, asked %d times", err, asked.Load())
	}
	open.Store(true)
	before := asked.Load()
	if err := two.Join(there); err != nil || asked.Load() == before {
		t.Errorf("an open door: got %v, asked %d times", err, asked.Load())
	}
}
