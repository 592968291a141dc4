package store

import (
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// TestASleepingRangeClosesTime has a follower of a range in which nothing happens serve
// a time that its leader has closed when it was asked, and wakes nobody.
func TestASleepingRangeClosesTime(t *testing.T) {
	x := newTrio(t)
	l := x.leased()
	follower := x.nodes[(l+1)%3]
	for i := 0; !x.nodes[l].c.slots[2].r.Asleep() || !follower.c.slots[2].r.Asleep(); i++ {
		if i == 100 {
			t.Fatal("the range does not fall asleep")
		}
		x.step()
	}
	past, ok := follower.c.Past(2)
	if !ok {
		t.Fatal("no replica")
	}
	asked := x.nodes[l].c.cfg.Clock.Now()
	if _, lack := past.Begin(asked, false); lack != cluster.PastBehind {
		t.Fatalf("a time that nobody has closed: %q", lack)
	}
	x.said = 0
	follower.c.AskClosed(2)
	for i := 0; ; i++ {
		if ts, _ := past.Closed(); ts >= asked {
			break
		}
		if i == 20 {
			t.Fatal("nobody closes time")
		}
		x.step()
	}
	if x.said != 2 || !x.nodes[l].c.slots[2].r.Asleep() || !follower.c.slots[2].r.Asleep() {
		t.Errorf("%d words between replicas instead of a question and an answer, or somebody woke", x.said)
	}
	q, lack := past.Begin(asked, false)
	if lack != cluster.PastServes || !q.Check() {
		t.Fatalf("a closed time is not served: %q", lack)
	}
	q, _ = past.Begin(asked, false)
	follower.c.Damaged(2, storage.ErrCorruption)
	if q.Check() {
		t.Error("a read goes on at a damaged replica")
	}
	if _, lack = past.Begin(asked, true); lack != cluster.PastDamaged {
		t.Errorf("a damaged replica: %q", lack)
	}
}

// TestNobodyClosesTimeWithoutALease asks a leader whose promises have run out.
func TestNobodyClosesTimeWithoutALease(t *testing.T) {
	x := newTrio(t)
	l := x.leased()
	leader := x.nodes[l]
	past, _ := leader.c.Past(2)
	x.now = x.now.Add(2 * time.Second)
	before := past.Words()
	leader.c.AskClosed(2)
	if past.Words() != before {
		t.Error("a leader without a lease closes time")
	}
}
