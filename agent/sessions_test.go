package agent

import (
	"slices"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// TestCancelTargets: a cancel request goes to the node whose session it names, unless
// that is gone.
func TestCancelTargets(t *testing.T) {
	others := []cluster.NodeID{2, 3, 4, 2050} // n2 and n2050 have the same bits
	dead := func(id cluster.NodeID) bool { return id == 3 || id == 2050 }
	for _, c := range []struct {
		node uint32
		want []cluster.NodeID
	}{{2, []cluster.NodeID{2}}, {3, nil}, {4, []cluster.NodeID{4}}, {5, nil}} {
		if got := cancelTargets(others, c.node<<20|7, dead); !slices.Equal(got, c.want) {
			t.Errorf("n%d: %v, want %v", c.node, got, c.want)
		}
	}
	if len(others) != 4 || others[3] != 2050 {
		t.Errorf("the nodes were changed: %v", others)
	}
}
