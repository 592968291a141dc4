package operation

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/placement"
)

const copySize = 1 << 20 // bytes of each range

// copying begins a decommission of n5 whose snapshots, many at once, take two
// minutes altogether.
func copying(t *testing.T) (r *rig, id string) {
	r = newRig(t, 31, 5, 5, 20)
	for _, x := range r.ranges {
		if x.desc.IsMeta() {
			x.bytes = 0
			continue
		}
		x.bytes = copySize
	}
	r.copyRate = 12 * copySize / 120
	id = r.start(decommission(5))
	r.until("replicas move", 30*time.Second, func() bool { return r.op(id).Phase == PhaseMove })
	return r, id
}

// TestProgressWithinSnapshots: what was sent of snapshots that are not complete
// counts, and the time left is one that a person can plan with.
func TestProgressWithinSnapshots(t *testing.T) {
	r, id := copying(t)
	began := r.now
	type said struct {
		at  time.Time
		eta float64
	}
	var etas []said
	seenPart := false
	r.until("decommission", 5*time.Minute, func() bool {
		op := r.op(id)
		if r.now.Sub(began) > 10*time.Second && op.Done.Bytes == 0 {
			t.Fatalf("after %s of copying nothing is said to be copied: %+v", r.now.Sub(began), op.Done)
		}
		seenPart = seenPart || slices.ContainsFunc(op.Items, func(it cluster.Item) bool {
			return it.Step == "snapshot" && it.BytesDone > 0 && it.BytesDone < it.Bytes
		})
		if op.Phase == PhaseMove && r.now.Sub(began) > 10*time.Second && (len(etas) == 0 || r.now.Sub(etas[len(etas)-1].at) >= time.Second) {
			etas = append(etas, said{r.now, op.Pace.ETA})
		}
		return op.State.Final()
	})
	if !seenPart {
		t.Error("no item said how much of its snapshot was sent")
	}
	end := r.now
	for i, e := range etas {
		truth := end.Sub(e.at).Seconds()
		// The plan was made for a network that is fifty times faster.
		if late := e.at.Sub(began) > 20*time.Second; late && truth > 20 && math.Abs(e.eta-truth) > 0.4*truth {
			t.Errorf("at %s: %.0f s left were said, it took %.0f", e.at.Sub(began), e.eta, truth)
		}
		if i > 5 && truth > 20 {
			if jump := math.Abs(e.eta - (etas[i-1].eta - e.at.Sub(etas[i-1].at).Seconds())); jump > 0.15*e.eta {
				t.Errorf("at %s the time left jumps from %.0f to %.0f s", e.at.Sub(began), etas[i-1].eta, e.eta)
			}
		}
	}
}

// TestProgressAfterAFailover: a coordinator that has not heard of the ranges yet
// says what the one before said, not that all is done, nor that nothing is.
func TestProgressAfterAFailover(t *testing.T) {
	r, id := copying(t)
	r.until("a third is copied", 5*time.Minute, func() bool { return r.op(id).Done.Bytes > r.op(id).Total.Bytes/3 })
	before := r.op(id).Done
	r.kill(r.ranges[cluster.MetaRangeID].leader)
	r.until("decommission", 10*time.Minute, func() bool {
		op := r.op(id)
		if op.State.Final() {
			return true
		}
		if op.Done.Replicas < op.Total.Replicas/2 && op.Done.Bytes == op.Total.Bytes {
			t.Fatalf("all bytes are said to be moved with most replicas left: %+v of %+v", op.Done, op.Total)
		}
		if op.Done.Bytes < before.Bytes/2 {
			t.Fatalf("progress goes back from %+v to %+v", before, op.Done)
		}
		return false
	})
}

// TestLearnerThatWasGivenUp: a copy that was made for a target that was given up
// is no progress of the move that goes on elsewhere.
func TestLearnerThatWasGivenUp(t *testing.T) {
	d := cluster.RangeDescriptor{ID: 2, Generation: 3, NextReplica: 6, Start: cluster.VShard(0).Key(), End: cluster.VShard(16).Key()}
	for i, role := range []cluster.ReplicaRole{cluster.Voter, cluster.Voter, cluster.Voter, cluster.Learner, cluster.Learner} {
		d.Replicas = append(d.Replicas, cluster.ReplicaDescriptor{Node: cluster.NodeID(i + 1), Replica: cluster.ReplicaID(i + 1), Role: role})
	}
	st := &cluster.RangeStatus{Descriptor: d, Replica: 1, Leader: 1, Term: 3, Commit: 100, Bytes: 1000, Progress: []cluster.ReplicaProgress{
		{Node: 2, Match: 100}, {Node: 3, Match: 100}, {Node: 4, Match: 100}, {Node: 5, Snapshot: true, Sent: 250},
	}}
	c := NewController(DefaultConfig())
	c.lookout.told = map[cluster.RangeID][]seen{2: {{node: 1, status: st}}}
	x := &placement.Range{Descriptor: d, Leader: 1, Bytes: 1000}
	r := &run{op: cluster.Operation{ID: "op-1", Spec: decommission(3)}}
	c.moves[2] = &moving{op: "op-1", move: placement.Move{Range: 2, From: 3, To: 5}}
	if n, part := c.arriving(r, x); n != 250 || part != 0.25 {
		t.Errorf("a quarter is sent to n5, n4 was given up: %d bytes, %v of a replica", n, part)
	}
	delete(c.moves, 2) // a new coordinator goes on with the one that is further
	if n, _ := c.arriving(r, x); n != 1000 {
		t.Errorf("n4 holds all: %d bytes", n)
	}
}

// TestLimitOfAnother: the rate is the least that any operation asks for; the
// others say so, and whose it is.
func TestLimitOfAnother(t *testing.T) {
	r := newRig(t, 33, 6, 6, 20)
	for _, x := range r.ranges {
		x.bytes = copySize
	}
	r.copyRate = copySize / 10
	slow := decommission(5)
	slow.Rate = copySize / 10
	first := r.start(slow)
	second := r.start(decommission(6))
	r.until("both say the limit", time.Minute, func() bool {
		a, b := r.op(first).Pace, r.op(second).Pace
		return a.Limit == slow.Rate && a.LimitOf == first && b.Limit == slow.Rate && b.LimitOf == first
	})
}

// TestSmooth: the band holds the estimate, and the pace of the last seconds.
func TestSmooth(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct{ left, rate, recent, eta, low, high float64 }{
		{0, 10, 10, 0, 0, 0},
		{100, 0, 0, 0, 0, 0},
		{100, 10, 0, 10, 9, 11},
		{100, 10, 5, 10, 9, 20},
		{100, 10, 20, 10, 5, 11},
	} {
		r := &run{}
		if eta, low, high := r.smooth(c.left, c.rate, c.recent, now); eta != c.eta || low != c.low || high != c.high {
			t.Errorf("smooth(%v, %v, %v) = %v %v %v, want %v %v %v", c.left, c.rate, c.recent, eta, low, high, c.eta, c.low, c.high)
		}
	}
	r := &run{}
	r.smooth(100, 10, 0, now)
	if eta, _, _ := r.smooth(100, 5, 0, now.Add(time.Second)); eta < 9 || eta > 12 {
		t.Errorf("half the rate for a second makes %v s of 10 s left", eta)
	}
}
