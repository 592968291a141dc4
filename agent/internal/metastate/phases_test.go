package metastate

import (
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// TestPhasesEndWithTheirOperation: nothing runs, or is still to come, in an
// operation that has ended.
func TestPhasesEndWithTheirOperation(t *testing.T) {
	at := time.Date(2026, 11, 2, 10, 0, 0, 0, time.UTC)
	for state, want := range map[cluster.OperationState][3]string{
		cluster.OpCancelled: {"done", "cancelled", "skipped"},
		cluster.OpFailed:    {"done", "failed", "skipped"},
		cluster.OpSucceeded: {"done", "running", "pending"}, // whoever writes the success ends them
	} {
		op := &cluster.Operation{State: state, EndedAt: at, Phases: []cluster.Phase{{Name: "check", State: "done"}, {Name: "move", State: "running"}, {Name: "stop", State: "pending"}}}
		got := endedPhases(op)
		for i, w := range want {
			if got[i].State != w {
				t.Errorf("%s: phase %s is %s, want %s", state, got[i].Name, got[i].State, w)
			}
		}
		if got[1].State != "running" && !got[1].Ended.Equal(at) {
			t.Errorf("%s: the phase ended at %s", state, got[1].Ended)
		}
		if op.Phases[1].State != "running" {
			t.Errorf("%s: the record that others read was changed", state)
		}
	}
}
