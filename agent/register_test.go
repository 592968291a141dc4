package agent

import (
	"testing"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// TestAnOlderRecordIsNoOtherProcess: a node that starts again may see the record of the time
// before for a moment.
func TestAnOlderRecordIsNoOtherProcess(t *testing.T) {
	earlier := []string{"first", "second"}
	for nonce, want := range map[string]bool{"": false, "third": false, "second": false, "first": false, "copy": true} {
		if got := taken(&cluster.Node{BootNonce: nonce, Membership: cluster.Active}, "third", earlier); got != want {
			t.Errorf("the record of %q: %v, want %v", nonce, got, want)
		}
	}
	if taken(&cluster.Node{BootNonce: "copy", Membership: cluster.Decommissioned}, "third", earlier) {
		t.Error("a node that was decommissioned")
	}
}
