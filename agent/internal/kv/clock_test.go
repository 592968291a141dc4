package kv

import (
	"errors"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/datastate"
)

// TestARefusedClockIsNotTheEnd: the node that led was set back and refuses
// everybody; a request that still believes in it goes on to the new leader.
func TestARefusedClockIsNotTheEnd(t *testing.T) {
	c := newFakeCluster(t, 3, 1)
	c.lead(2, 3)
	n := c.nodes[1]
	if _, err := n.db.Write(t.Context(), []Mutation{put(1, "a", datastate.Any)}, WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	c.nodes[3].skew = -5 * time.Second
	c.lead(2, 2)
	if got := get(t, n, 1); string(got.Value) != "a" {
		t.Errorf("row 1 is %q, want a", got.Value)
	}
	n.db.Table().SetLeader(2, 3)
	if _, err := n.db.Write(t.Context(), []Mutation{put(1, "b", datastate.Any)}, WriteOptions{}); err != nil {
		t.Errorf("write: %v, want it to find the new leader", err)
	}
	n.db.Table().SetLeader(2, 3)
	if got := scanAll(t, n.db, ScanRequest{}); len(got) != 1 {
		t.Errorf("a scan shows %d rows, want 1", len(got))
	}
}

func TestAGatewayThatIsAheadIsToldSo(t *testing.T) {
	c := newFakeCluster(t, 3, 1)
	c.lead(2, 3)
	c.nodes[1].skew = 5 * time.Second
	_, err := c.nodes[1].db.Write(t.Context(), []Mutation{put(1, "a", datastate.Any)}, WriteOptions{})
	var clock *ClockError
	if !errors.As(err, &clock) || clock.Of != 1 || clock.At == 1 || !Retryable(err) || MaybeApplied(err) {
		t.Errorf("write: %v, want a retryable ClockError that names n1's clock and says that nothing was done", err)
	}
	if c.applied() > 0 {
		t.Error("the write was applied")
	}
}

// TestAGatewayThatIsBehindReadsNothingOld: its timestamps are older than what the
// others have acknowledged, and it cannot take theirs.
func TestAGatewayThatIsBehindReadsNothingOld(t *testing.T) {
	c := newFakeCluster(t, 3, 4)
	c.leadAll(1)
	c.nodes[3].skew = -5 * time.Second
	if _, err := c.nodes[1].db.Write(t.Context(), []Mutation{put(1, "a", datastate.Any)}, WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	rows, err := collect(t.Context(), c.nodes[3].db, ScanRequest{Collection: testCollection})
	var clock *ClockError
	if !errors.As(err, &clock) || clock.At != 3 {
		t.Errorf("a scan through the node that is behind: %d rows, %v, want a ClockError", len(rows), err)
	}
	if got := scanAll(t, c.nodes[1].db, ScanRequest{}); len(got) != 1 {
		t.Errorf("a scan through a good node shows %d rows, want 1", len(got))
	}
}

func TestRequestsWaitUntilTheClockMayBeUsed(t *testing.T) {
	c := newFakeCluster(t, 3, 1)
	c.lead(2, 3)
	awake := make(chan struct{})
	n := c.nodes[1]
	n.db.cfg.Awake = awake
	var unavailable *UnavailableError
	if _, err := n.db.Write(t.Context(), []Mutation{put(1, "a", datastate.Any)}, WriteOptions{Policy: Policy{Budget: -1}}); !errors.As(err, &unavailable) {
		t.Errorf("a write that cannot wait: %v, want an UnavailableError", err)
	}
	if _, err := n.db.Fresh(t.Context()); !errors.As(err, &unavailable) {
		t.Errorf("a timestamp: %v, want an UnavailableError", err)
	}
	if got := c.callCount(MethodPropose) + c.callCount(MethodClock); got > 0 {
		t.Errorf("%d calls were made", got)
	}
	written := make(chan error, 1)
	go func() {
		_, err := n.db.Write(t.Context(), []Mutation{put(1, "a", datastate.Any)}, WriteOptions{Policy: Policy{Budget: time.Minute}})
		written <- err
	}()
	close(awake)
	if err := <-written; err != nil {
		t.Errorf("a write that waited: %v", err)
	}
}
