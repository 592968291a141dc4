package store

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/evaluation"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/lease"
	"github.com/nodedb/nodedb/agent/internal/replica"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// leased waits until range 2 has a leader with a lease, and returns its place.
func (x *trio) leased() int {
	x.t.Helper()
	for range 200 {
		for i, n := range x.nodes {
			if n.c == nil {
				continue
			}
			if q, ok := n.c.BeginRead(2, n.c.cfg.Clock.Now(), Scope{}); ok && q.Ready() && q.Check() {
				return i
			}
		}
		x.step()
	}
	x.t.Fatal("nobody has a lease")
	return 0
}

// TestALeaseServesReadsWithoutARound reads under a lease, and not without support.
func TestALeaseServesReadsWithoutARound(t *testing.T) {
	x := newTrio(t)
	l := x.leased()
	leader := x.nodes[l]
	for i := range x.nodes {
		if i != l {
			if _, ok := x.nodes[i].c.BeginRead(2, x.nodes[i].c.cfg.Clock.Now(), Scope{}); ok {
				t.Error("a follower reads under a lease")
			}
		}
	}
	q, ok := leader.c.BeginRead(2, leader.c.cfg.Clock.Now(), Scope{})
	if !ok || !q.Check() {
		t.Fatal("no lease")
	}
	x.now = x.now.Add(lease.Duration)
	if q.Check() {
		t.Error("the lease outlives the promises")
	}
	if _, ok := leader.c.BeginRead(2, leader.c.cfg.Clock.Now(), Scope{}); ok {
		t.Error("a lease without promises")
	}
}

// TestACleanStopKeepsWhatWasPromised has a follower stop: its next start must begin above
// all that its leader may have read under its promise.
func TestACleanStopKeepsWhatWasPromised(t *testing.T) {
	x := newTrio(t)
	l := x.leased()
	for i, n := range x.nodes {
		if i == l {
			continue
		}
		promised := n.c.leases.pairs.Ceiling()
		x.must(n.c.StopClock())
		if found, err := Ceiling(n.e); err != nil || promised <= n.c.cfg.Clock.Now() || found < promised {
			t.Errorf("n%d has promised %s, and begins at %s the next time (%v)", n.id, promised, found, err)
		}
	}
}

// TestTheLeaseOfATransferIsGone gives a lease up with a transfer, for the term.
func TestTheLeaseOfATransferIsGone(t *testing.T) {
	x := newTrio(t)
	l := x.leased()
	leader := x.nodes[l]
	q, _ := leader.c.BeginRead(2, leader.c.cfg.Clock.Now(), Scope{})
	leader.c.Transfer(2, x.nodes[(l+1)%3].id, func(error) {})
	if q.Check() {
		t.Error("a read goes on under a lease that was given up")
	}
	if got := x.leased(); got != (l+1)%3 {
		t.Logf("n%d leads", got+1)
	}
}

// TestIdleRangesAreSilent has a range fall asleep, and wake when something happens.
func TestIdleRangesAreSilent(t *testing.T) {
	x := newTrio(t)
	leader := x.nodes[x.leased()]
	asleep := func() bool {
		for _, n := range x.nodes {
			if !n.c.slots[2].r.Asleep() {
				return false
			}
		}
		return true
	}
	for i := 0; !asleep(); i++ {
		if i == 100 {
			t.Fatal("the range does not fall asleep")
		}
		x.step()
	}
	x.said = 0
	for range 30 {
		x.step()
	}
	if x.said != 0 || !asleep() {
		t.Errorf("%d messages of replicas while all sleep", x.said)
	}
	if q, ok := leader.c.BeginRead(2, leader.c.cfg.Clock.Now(), Scope{}); !ok || !q.Ready() || !q.Check() {
		t.Error("no lease while asleep")
	}
	if st, _ := leader.c.RangeStatus(2); st.Lease == nil || !st.Lease.Held() || st.Lease.Awake != "" {
		t.Errorf("while it sleeps the leader says %+v", st.Lease)
	}
	if st, err := leader.c.Inspect(2); err != nil || !st.Asleep || !asleep() {
		t.Errorf("who looks at a range that sleeps: %+v, %v, and it sleeps: %v", st, err, asleep())
	}
	if n, _ := leader.c.slots[2].r.LeaseReads().Wakes(); n != 0 {
		t.Errorf("%d commands woke it before there was one", n)
	}
	var done bool
	leader.c.Propose(2, &replica.Proposal{
		ID: newID(leader.c.cfg.Clock), Payload: datastate.EncodeBatch(&datastate.Batch{Ops: []datastate.Op{putOp("a", "1")}}),
		Done: func(o replica.Outcome) { done = o.Err == nil || done },
	})
	for i := 0; !done && i < 50; i++ {
		x.step()
	}
	if !done {
		t.Error("nothing was written to a range that slept")
	}
	if n, took := leader.c.slots[2].r.LeaseReads().Wakes(); n != 1 || took <= 0 || took > 5*leader.c.cfg.Tick {
		t.Errorf("%d commands woke the range, in %s", n, took)
	}
}

// TestLeaseStatus has a leader say what its lease rests on, what it lacks, and for what
// reads it asked a quorum.
func TestLeaseStatus(t *testing.T) {
	x := newTrio(t)
	l := x.leased()
	leader := x.nodes[l].c
	said := func() *cluster.LeaseStatus {
		t.Helper()
		st, ok := leader.RangeStatus(2)
		if !ok || st.Lease == nil {
			t.Fatalf("the leader says %+v", st)
		}
		return st.Lease
	}
	read := func(want cluster.LeaseLack, of int) {
		t.Helper()
		leader.Read(2, leader.cfg.Clock.Now(), func(h *ReadHandle, err error) {
			if err == nil {
				h.Close()
			}
		})
		for i, lack := range cluster.LeaseLacks {
			if n := leader.leases.rounds[i].Load(); lack == want && n != uint64(of) {
				t.Errorf("%d reads asked a quorum for want of %q, want %d", n, lack, of)
			}
		}
	}
	for i := 0; i < 50 && (!said().Voters[0].Counts() || !said().Voters[1].Counts()); i++ {
		x.step()
	}
	s := said()
	if !s.Held() || len(s.Voters) != 2 || !s.Voters[0].Counts() || !s.Voters[1].Counts() || s.Why() != "" {
		t.Errorf("held: %+v", s)
	}
	if f, _ := x.nodes[(l+1)%3].c.RangeStatus(2); f.Lease != nil {
		t.Errorf("a follower speaks of its lease: %+v", f.Lease)
	}
	read(cluster.LeaseEnded, 1) // it holds now: it was away a moment ago
	leader.leases.off.Store(true)
	leader.leases.unused(s)
	if s.Lack != cluster.LeaseOff {
		t.Errorf("lease_reads is off: %+v", s)
	}
	read(cluster.LeaseOff, 1)
	leader.leases.off.Store(false)
	confirmed := said().Confirmed
	for i := 0; i < 20 && said().Confirmed == confirmed; i++ {
		x.step()
	}
	if got := said().Confirmed; got != confirmed+2 {
		t.Errorf("%d reads confirmed by a quorum, %d before", got, confirmed)
	}
	x.now = x.now.Add(lease.Duration)
	if s := said(); s.Lack != cluster.LeaseUnsupported || s.Voters[0].Supports || s.Why() == "" {
		t.Errorf("without promises: %+v", s)
	}
	read(cluster.LeaseUnsupported, 1)
	l = x.leased()
	leader = x.nodes[l].c
	leader.Transfer(2, x.nodes[(l+1)%3].id, func(error) {})
	if s := said(); s.Lack != cluster.LeaseHandingOver {
		t.Errorf("in a transfer: %+v", s)
	}
}

// TestAReadWaitsForItsRowsOnly has a command under way that no follower has yet: who
// reads its row at its time or later waits for it, and nobody else does. For a split
// everybody waits.
func TestAReadWaitsForItsRowsOnly(t *testing.T) {
	x := newTrio(t)
	c := x.nodes[x.leased()].c
	before := c.cfg.Clock.Now()
	written := putOp("a", "1")
	c.Propose(2, &replica.Proposal{
		ID: newID(c.cfg.Clock), Payload: datastate.EncodeBatch(&datastate.Batch{Ops: []datastate.Op{written}}),
		Done: func(o replica.Outcome) { x.must(o.Err) },
	})
	c.Process()
	evaluateAll(c)
	c.Process() // raft has it
	other := putOp("b", "")
	span := func(only []byte) Scope {
		return Scope{Span: func(row []byte) bool { return bytes.Equal(row, only) }}
	}
	ready := func(at hlc.Timestamp, rows Scope) bool {
		t.Helper()
		q, ok := c.BeginRead(2, at, rows)
		if !ok {
			t.Fatal("no lease")
		}
		return q.Ready()
	}
	now := c.cfg.Clock.Now()
	for name, want := range map[string]struct {
		at    hlc.Timestamp
		rows  Scope
		ready bool
	}{
		"its row":                       {now, Scope{Rows: [][]byte{other.Row, written.Row}}, false},
		"its row, before":               {before, Scope{Rows: [][]byte{written.Row}}, true},
		"another row":                   {now, Scope{Rows: [][]byte{other.Row}}, true},
		"a span with it":                {now, span(written.Row), false},
		"a span beside it":              {now, span(other.Row), true},
		"everything":                    {now, Scope{}, false},
		"more than is worth a look":     {now, Scope{Rows: slices.Repeat([][]byte{other.Row}, 5000)}, false},
		"everything, but before it was": {before, Scope{}, true},
	} {
		if ready(want.at, want.rows) != want.ready {
			t.Errorf("%s: ready %v", name, !want.ready)
		}
	}
	x.deliver()
	if !ready(c.cfg.Clock.Now(), Scope{}) {
		t.Error("a read waits for what is applied")
	}
	at := keys.Bound(other.Row)
	c.Split(2, cluster.RangeSplit{At: at, Child: 9, Expect: c.slots[2].r.Descriptor().Generation}, func(o replica.Outcome) { x.must(o.Err) })
	c.Process()
	if ready(before, Scope{Rows: [][]byte{written.Row}}) {
		t.Error("a read does not wait for a split")
	}
}

// TestReadsUnderALeaseSeeWhatWasWritten has many read, in goroutines of their own, what
// was answered before they began.
func TestReadsUnderALeaseSeeWhatWasWritten(t *testing.T) {
	c := newCluster(t, 3, nil)
	c.bootstrap(1)
	c.grow(2, 2, 3)
	c.write(2, "a", "0")
	var newest atomic.Int64
	ctx, cancel := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for ctx.Err() == nil {
				want := newest.Load()
				n := c.leader(2)
				at := n.clock.Now()
				var got string
				err := n.get().ReadRows(ctx, 2, at, [][]byte{c.row(2, "a")}, func(r storage.Reader, _ *cluster.RangeDescriptor, _ evaluation.Mirror) error {
					v, _, _, err := datastate.Get(r, c.row(2, "a"), at)
					got = string(v)
					return err
				})
				if err != nil {
					continue // leadership may have moved
				}
				if i, err := strconv.ParseInt(got, 10, 64); err != nil || i < want {
					t.Errorf("read %q when %d had been written (%v)", got, want, err)
					return
				}
			}
		})
	}
	served := func() (n uint64) {
		for _, x := range c.nodes {
			n += x.get().core.slots[2].r.LeaseReads().Served()
		}
		return n
	}
	for i := int64(1); i <= 50 || served() < 1000 && i < 5000; i++ {
		c.write(2, "a", fmt.Sprint(i))
		newest.Store(i)
	}
	cancel()
	readers.Wait()
	if served() < 1000 {
		t.Errorf("%d reads were served under leases", served())
	}
}
