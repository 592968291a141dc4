package placement

import (
	"testing"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// TestBackFixCanComeTrue: who is told to wait is not told to wait for ever.
func TestBackFixCanComeTrue(t *testing.T) {
	for want, n := range map[string]Node{
		"nodedbctl wait n4 --for ready":          {ID: 4, Membership: cluster.Active, Service: cluster.Draining},
		"nodedbctl undrain n4":                   {ID: 4, Membership: cluster.Active, Service: cluster.Drained},
		"nodedbctl wait n4 --for decommissioned": {ID: 4, Membership: cluster.Decommissioning, Service: cluster.Ready},
	} {
		if got := n.backFix().Command; got != want {
			t.Errorf("%s, %s: got %q, want %q", n.Membership, n.Service, got, want)
		}
	}
}
