package store

import (
	"slices"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/replica"
)

// batchIn makes a batch of so many bytes.
func batchIn(format byte, bytes int) RaftBatch {
	b := make([]byte, bytes)
	b[0] = format
	return RaftBatch{From: 2, Bytes: b}
}

// TestLanes fills the bulk lane: what is urgent has its own room, goes first, whole,
// and the rest by shares, in order.
func TestLanes(t *testing.T) {
	q := NewLanes(LaneLimits{Requests: 40, Bytes: 16_000, ShareRequests: 10, ShareBytes: 1000}, replica.Planted{})
	var ran []int
	ask := func(l Lane, completes bool, n int) bool {
		return q.Ask(l, completes, time.Duration(n), func(*Core) { ran = append(ran, n) })
	}
	for i := range 41 {
		if ok := ask(Bulk, false, i); ok != (i < 40) {
			t.Errorf("bulk request %d: taken %v", i, ok)
		}
	}
	for i := range 33 {
		if ok := q.Message(batchIn(batchFormat, 500), 0); ok != (i < 32) {
			t.Errorf("bulk batch %d: taken %v", i, ok)
		}
	}
	for i := range 11 {
		if ok := ask(Urgent, false, 100+i); ok != (i < 10) {
			t.Errorf("urgent request %d: taken %v", i, ok)
		}
	}
	if !ask(Urgent, true, 200) || !ask(Bulk, true, 201) {
		t.Error("the end of something was refused")
	}
	for _, format := range []byte{urgentFormat, askFormat, answerFormat, whoFormat} {
		if !q.Message(batchIn(format, 200), 0) {
			t.Errorf("an urgent batch of format %d was refused", format)
		}
	}
	if q.Message(batchIn(urgentFormat, 201), 0) {
		t.Error("urgent batches have no bound")
	}
	var w Share
	rounds := 0
	for more := true; more; rounds++ {
		more, _ = q.Take(&w, 1000)
		if n := len(w.Batches); rounds == 0 && (n != 4+2 || w.Batches[0].Bytes[0] == batchFormat || w.Batches[4].Bytes[0] != batchFormat) || rounds > 0 && n > 2 {
			t.Errorf("round %d takes %d batches", rounds, n)
		}
		for _, fn := range w.Requests {
			fn(nil)
		}
		if rounds == 0 && len(ran) != 10+1+10 {
			t.Errorf("the first round takes %d requests", len(ran))
		}
	}
	want := []int{100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 200}
	for i := range 40 {
		want = append(want, i)
	}
	if want = append(want, 201); !slices.Equal(ran, want) || rounds != 16 {
		t.Errorf("%d rounds: %v", rounds, ran)
	}
	for _, u := range q.Usage(1000) {
		if u.Requests != 0 || u.Bytes != 0 || u.Oldest != 0 || u.Longest < 800 {
			t.Errorf("at the end: %+v", u)
		}
	}
}

// TestLaneAges tells for how long something waits, and waited lately.
func TestLaneAges(t *testing.T) {
	q := NewLanes(LaneLimits{Requests: 40, Bytes: 16_000, ShareRequests: 1, ShareBytes: 1000}, replica.Planted{})
	ages := func(now time.Duration, oldest, longest time.Duration) {
		t.Helper()
		if u := q.Usage(now)[Bulk]; u.Oldest != oldest || u.Longest != longest {
			t.Errorf("at %s: %+v, want %s and %s", now, u, oldest, longest)
		}
		if u := q.Usage(now)[Urgent]; u.Oldest != 0 || u.Longest != 0 {
			t.Errorf("urgent: %+v", u)
		}
	}
	const s = time.Second
	q.Ask(Bulk, false, 1*s, func(*Core) {})
	q.Ask(Bulk, false, 3*s, func(*Core) {})
	ages(5*s, 4*s, 4*s)
	var w Share
	q.Take(&w, 6*s)
	ages(6*s, 3*s, 5*s)
	q.Take(&w, 6*s)
	ages(20*s, 0, 5*s)
	ages(40*s, 0, 5*s)
	ages(100*s, 0, 0)
}

// TestAFullStoreTakesWhatIsUrgent keeps the core from working and fills the lane of
// data ranges: operators, the meta range and peers that elect get in.
func TestAFullStoreTakesWhatIsUrgent(t *testing.T) {
	c := newCluster(t, 1, nil)
	c.bootstrap(1)
	s := c.leader(2).get()
	stuck, free := make(chan struct{}), make(chan struct{})
	if err := s.inbox.complete(func(*Core) {
		close(stuck)
		<-free
	}); err != nil {
		t.Fatal(err)
	}
	<-stuck
	for s.inbox.ask(laneOf(2), func(*Core) {}) == nil {
	}
	if u := s.Lanes(); u[Bulk].Requests != s.cfg.QueueRequests || u[Urgent].Requests != 0 {
		t.Errorf("%+v", u)
	}
	if err := s.inbox.ask(laneOf(cluster.MetaRangeID), func(*Core) {}); err != nil {
		t.Errorf("a request of the meta range: %v", err)
	}
	if err := s.HandleRaft(2, batchIn(urgentFormat, 100).Bytes); err != nil {
		t.Errorf("an urgent batch: %v", err)
	}
	close(free)
	eventually(t, "all of it is done", func() error {
		h, err := s.ReadLocal(t.Context(), 2)
		if err == nil {
			h.Close()
		}
		return err
	})
}
