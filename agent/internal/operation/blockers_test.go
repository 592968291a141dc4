package operation

import (
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// TestBlockers: one session is not "1 sessions", and those that are not named are counted.
func TestBlockers(t *testing.T) {
	at := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	one := Blocker{PID: 7, User: "app", Application: "shop", State: cluster.SessionInTransaction, InTransaction: true, Since: at.Add(-time.Minute)}
	if got, want := blockers([]Blocker{one}, at), `waits for 1 session (1 in a transaction): pid 7 (user app, application "shop", idle in transaction, 1m0s)`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	many := make([]Blocker, blockersNamed+2)
	for i := range many {
		many[i] = Blocker{PID: uint32(i), User: "app"}
	}
	want := "waits for 7 sessions (0 in a transaction): "
	if got := blockers(many, at); got[:len(want)] != want || got[len(got)-len("; and 2 more"):] != "; and 2 more" {
		t.Errorf("got %q", got)
	}
}
