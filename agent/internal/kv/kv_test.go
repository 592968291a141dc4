package kv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/store"
	"github.com/nodedb/nodedb/agent/internal/transport"
)

func put(i int, v string, expect datastate.Condition) Mutation {
	return Mutation{Collection: testCollection, Key: key(i), Value: []byte(v), Expect: expect}
}

// TestPatienceEndsBeforeRangesForget: a retry that comes later than a range
// remembers its command could only be told that nobody knows.
func TestPatienceEndsBeforeRangesForget(t *testing.T) {
	c := Config{}
	c.setDefaults()
	if last := c.Policy.Budget + 2*c.AttemptTimeout; last > store.IDAge {
		t.Errorf("by default the last attempt ends after %s, ranges remember %s", last, store.IDAge)
	}
	if p := (Policy{Budget: time.Hour}).orDefault(c.Policy); p.Budget+2*c.AttemptTimeout > store.IDAge {
		t.Errorf("a request is patient for %s, ranges remember %s", p.Budget, store.IDAge)
	}
	c.Policy.Budget = store.IDAge
	if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "a budget of 30s is longer than ranges remember commands: at most 25s") {
		t.Errorf("a budget of %s: %v", c.Policy.Budget, err)
	}
}

// get reads one row through a node at the newest time.
func get(t *testing.T, n *fakeNode, i int) Row {
	t.Helper()
	rows, err := n.db.Get(t.Context(), GetRequest{Collection: testCollection, Keys: [][]byte{key(i)}})
	if err != nil {
		t.Fatalf("get %d at %s: %v", i, n.id, err)
	}
	return rows[0]
}

func TestWriteAndReadThroughEveryNode(t *testing.T) {
	c := newFakeCluster(t, 3, 8)
	c.load(100)
	for _, n := range c.nodes {
		for i := range 100 {
			if got := get(t, n, i); !bytes.Equal(got.Value, value(i)) || got.Version == 0 {
				t.Fatalf("row %d at %s = %+v, want %s", i, n.id, got, value(i))
			}
		}
		rows, err := n.db.Get(t.Context(), GetRequest{Collection: testCollection, Keys: [][]byte{key(7), key(1000), key(3)}})
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(rows[0].Value, value(7)) || rows[1].Value != nil || !bytes.Equal(rows[2].Value, value(3)) {
			t.Errorf("rows come back as %+v, want 7, none, 3", rows)
		}
	}
}

func TestHintsAreFollowedAndKept(t *testing.T) {
	c := newFakeCluster(t, 3, 1)
	c.lead(2, 3)
	n := c.nodes[1]
	if _, err := n.db.Write(t.Context(), []Mutation{put(1, "a", datastate.Any)}, WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := n.db.Table().Leader(2); got != 3 {
		t.Errorf("the hint is %s, want n3", got)
	}
	before := c.callCount(MethodPropose)
	if _, err := n.db.Write(t.Context(), []Mutation{put(1, "b", datastate.Any)}, WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	if calls := c.callCount(MethodPropose) - before; calls != 1 {
		t.Errorf("a write with a right hint took %d calls, want 1", calls)
	}
}

func TestConditions(t *testing.T) {
	c := newFakeCluster(t, 3, 4)
	db := c.nodes[1].db
	ctx := t.Context()
	if _, err := db.Write(ctx, []Mutation{put(1, "a", datastate.Absent)}, WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	// The condition of mutation 2 fails; its index is that of the request.
	_, err := db.Write(ctx, []Mutation{put(5, "x", datastate.Any), put(6, "x", datastate.Any), put(1, "b", datastate.Absent)}, WriteOptions{})
	var failed *ConditionError
	if !errors.As(err, &failed) || failed.Mutation != 2 || string(failed.Existing) != "a" {
		t.Fatalf("got %v (%+v), want a ConditionError for mutation 2 with the value a", err, failed)
	}
	row := get(t, c.nodes[2], 1)
	m := put(1, "c", datastate.VersionIs)
	m.ExpectTS = row.Version
	if _, err := db.Write(ctx, []Mutation{m}, WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Write(ctx, []Mutation{m}, WriteOptions{}); !errors.As(err, &failed) {
		t.Errorf("the same version twice: %v, want a ConditionError", err)
	}
	if _, err := db.Write(ctx, []Mutation{{Collection: testCollection, Key: key(1), Delete: true, Expect: datastate.Present}}, WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := get(t, c.nodes[3], 1); got.Value != nil {
		t.Errorf("a deleted row reads %+v", got)
	}
}

func TestOneRange(t *testing.T) {
	c := newFakeCluster(t, 3, 4)
	muts := []Mutation{put(1, "a", datastate.Any), put(2, "a", datastate.Any), put(3, "a", datastate.Any), put(4, "a", datastate.Any)}
	_, err := c.nodes[1].db.Write(t.Context(), muts, WriteOptions{OneRange: true})
	var multi *MultiRangeError
	if !errors.As(err, &multi) || c.applied() != 0 {
		t.Errorf("got %v with %d commands applied, want a MultiRangeError and none", err, c.applied())
	}
	if _, err := c.nodes[1].db.Write(t.Context(), muts[:1], WriteOptions{OneRange: true}); err != nil {
		t.Errorf("one row: %v", err)
	}
}

// TestLostAnswer loses the answer of an applied write: the retry must find it.
func TestLostAnswer(t *testing.T) {
	c := newFakeCluster(t, 3, 1)
	c.lead(2, 2)
	lost := false
	c.failCalls(func(_, to cluster.NodeID, method string) fault {
		if method != MethodPropose || lost || to != 2 {
			return fault{}
		}
		lost = true
		return fault{after: &transport.UnreachableError{Node: to, Sent: true, Cause: io.ErrUnexpectedEOF}}
	})
	if _, err := c.nodes[1].db.Write(t.Context(), []Mutation{put(1, "a", datastate.Absent)}, WriteOptions{}); err != nil {
		t.Fatalf("the retry of an applied insert: %v, want success", err)
	}
	if n := c.applied(); n != 1 {
		t.Errorf("applied %d times, want once", n)
	}
}

func TestAmbiguousAndUnavailable(t *testing.T) {
	c := newFakeCluster(t, 3, 1)
	c.lead(2, 2)
	db := c.nodes[1].db
	write := func() error {
		_, err := db.Write(t.Context(), []Mutation{put(1, "a", datastate.Any)}, WriteOptions{Policy: Policy{Quick: 20 * time.Millisecond, Budget: -1}})
		return err
	}
	c.failCalls(func(_, to cluster.NodeID, _ string) fault {
		return fault{after: &transport.UnreachableError{Node: to, Sent: true, Cause: io.ErrUnexpectedEOF}}
	})
	var ambiguous *store.AmbiguousError
	if err := write(); !errors.As(err, &ambiguous) || !MaybeApplied(err) {
		t.Errorf("all answers lost: %v, want an AmbiguousError", err)
	}
	c.failCalls(func(_, to cluster.NodeID, _ string) fault {
		return fault{before: &transport.UnreachableError{Node: to, Cause: io.ErrClosedPipe}}
	})
	var unavailable *UnavailableError
	if err := write(); !errors.As(err, &unavailable) || MaybeApplied(err) || !Retryable(err) {
		t.Errorf("nobody reached: %v, want an UnavailableError", err)
	}
}

// TestElection has no leader for a while: requests wait and then succeed.
func TestElection(t *testing.T) {
	c := newFakeCluster(t, 3, 1)
	c.lead(2, 0)
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := c.nodes[1].db.Write(t.Context(), []Mutation{put(1, "a", datastate.Any)}, WriteOptions{}); err != nil {
			t.Errorf("write across an election: %v", err)
		}
	})
	for c.callCount(MethodPropose) < 6 { // three rounds over the two other nodes
		<-time.After(time.Millisecond)
	}
	c.lead(2, 3)
	wg.Wait()
}

// TestStoppedLeader hangs all calls to the leader until gossip suspects it.
func TestStoppedLeader(t *testing.T) {
	c := newFakeCluster(t, 3, 1)
	c.lead(2, 3)
	n := c.nodes[1]
	if _, err := n.db.Write(t.Context(), []Mutation{put(1, "a", datastate.Any)}, WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	hung := make(chan struct{})
	var once sync.Once
	c.failCalls(func(_, to cluster.NodeID, _ string) fault {
		if to != 3 {
			return fault{}
		}
		once.Do(func() { close(hung) })
		return fault{hang: true}
	})
	n.db.cfg.AttemptTimeout = time.Hour // only the suspicion may end the attempt
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := n.db.Write(t.Context(), []Mutation{put(1, "b", datastate.Any)}, WriteOptions{}); err != nil {
			t.Errorf("write: %v", err)
		}
	})
	<-hung
	c.lead(2, 2)
	n.db.Suspected(3)
	wg.Wait()
	if got := get(t, c.nodes[2], 1); string(got.Value) != "b" {
		t.Errorf("row = %q, want b", got.Value)
	}
}

func TestCancelledWriteIsAmbiguous(t *testing.T) {
	c := newFakeCluster(t, 3, 1)
	c.lead(2, 3)
	ctx, cancel := context.WithCancel(t.Context())
	c.failCalls(func(_, to cluster.NodeID, _ string) fault {
		if to == 3 {
			cancel()
			return fault{hang: true}
		}
		return fault{}
	})
	_, err := c.nodes[1].db.Write(ctx, []Mutation{put(1, "a", datastate.Any)}, WriteOptions{})
	if !MaybeApplied(err) || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want an AmbiguousError that wraps context.Canceled", err)
	}
}

func TestSnapshotReads(t *testing.T) {
	c := newFakeCluster(t, 3, 8)
	ts := c.load(50)
	db := c.nodes[2].db
	muts := make([]Mutation, 0, 25)
	for i := range 25 {
		muts = append(muts, Mutation{Collection: testCollection, Key: key(i), Delete: true})
	}
	if _, err := c.nodes[1].db.Write(t.Context(), muts, WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := scanAll(t, db, ScanRequest{TS: ts, Ordered: true}); len(got) != 50 {
		t.Errorf("a scan at the old time shows %d rows, want 50", len(got))
	}
	if got := scanAll(t, db, ScanRequest{}); len(got) != 25 {
		t.Errorf("a scan now shows %d rows, want 25", len(got))
	}
	rows, err := db.Get(t.Context(), GetRequest{TS: ts, Collection: testCollection, Keys: [][]byte{key(0), key(49)}})
	if err != nil || !bytes.Equal(rows[0].Value, value(0)) || !bytes.Equal(rows[1].Value, value(49)) {
		t.Errorf("a read at the old time: %+v, %v", rows, err)
	}
}

// TestFreshWithSlowClock writes through a node whose clock is ahead and reads
// through one whose clock is behind: what was acknowledged must be seen.
func TestFreshWithSlowClock(t *testing.T) {
	c := newFakeCluster(t, 3, 4)
	c.nodes[1].skew, c.nodes[3].skew = 200*time.Millisecond, -200*time.Millisecond
	c.leadAll(1)
	for i := range 20 {
		if _, err := c.nodes[1].db.Write(t.Context(), []Mutation{put(i, "a", datastate.Any)}, WriteOptions{}); err != nil {
			t.Fatal(err)
		}
		if got := get(t, c.nodes[3], i); string(got.Value) != "a" {
			t.Fatalf("row %d is not seen by a gateway whose clock is behind", i)
		}
		if got := scanAll(t, c.nodes[2].db, ScanRequest{}); len(got) != i+1 {
			t.Fatalf("a scan shows %d rows, want %d", len(got), i+1)
		}
	}
}

func scanAll(t *testing.T, db *DB, req ScanRequest) []Row {
	t.Helper()
	req.Collection = testCollection
	rows, err := collect(t.Context(), db, req)
	if err != nil {
		t.Fatalf("scan %+v: %v", req, err)
	}
	return rows
}

func collect(ctx context.Context, db *DB, req ScanRequest) ([]Row, error) {
	it, err := db.Scan(ctx, req)
	if err != nil {
		return nil, err
	}
	defer it.Close()
	var rows []Row
	for {
		batch, err := it.Next(ctx)
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return rows, err
		}
		if len(batch) == 0 {
			return rows, fmt.Errorf("an empty batch")
		}
		rows = append(rows, batch...)
	}
}

func TestScan(t *testing.T) {
	const n = 1000
	c := newFakeCluster(t, 3, 8)
	c.load(n)
	if _, err := c.nodes[1].db.Write(t.Context(), []Mutation{{Collection: testCollection + 1, Key: key(1), Value: value(1)}}, WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name     string
		req      ScanRequest
		from, to int
	}{
		{"all", ScanRequest{}, 0, n},
		{"ordered", ScanRequest{Ordered: true}, 0, n},
		{"reverse", ScanRequest{Reverse: true}, 0, n},
		{"span", ScanRequest{Start: key(100), End: key(200)}, 100, 200},
		{"span ordered", ScanRequest{Start: key(100), End: key(200), Ordered: true}, 100, 200},
		{"span reverse", ScanRequest{Start: key(100), End: key(200), Reverse: true}, 100, 200},
		{"ordered limit", ScanRequest{Ordered: true, Limit: 37}, 0, 37},
		{"reverse limit", ScanRequest{Reverse: true, Limit: 37}, n - 37, n},
		{"open end", ScanRequest{Start: key(990), Ordered: true, Limit: 5}, 990, 995},
		{"empty span", ScanRequest{Start: key(5), End: key(5)}, 5, 5},
	} {
		for _, node := range c.nodes {
			got := scanAll(t, node.db, tc.req)
			if !tc.req.Ordered && !tc.req.Reverse {
				slices.SortFunc(got, func(a, b Row) int { return bytes.Compare(a.Key, b.Key) })
			}
			if tc.req.Reverse {
				slices.Reverse(got)
			}
			if len(got) != tc.to-tc.from {
				t.Errorf("%s at %s: %d rows, want %d", tc.name, node.id, len(got), tc.to-tc.from)
				continue
			}
			for i, row := range got {
				if !bytes.Equal(row.Key, key(tc.from+i)) || !bytes.Equal(row.Value, value(tc.from+i)) || row.Version == 0 {
					t.Errorf("%s at %s: row %d is %s=%s", tc.name, node.id, i, row.Key, row.Value)
					break
				}
			}
		}
	}
	if got := scanAll(t, c.nodes[1].db, ScanRequest{Limit: 37}); len(got) != 37 {
		t.Errorf("limit without order: %d rows, want 37", len(got))
	}
}

// TestScanOfOneVShard: Only gives what lies in one vshard, whatever the range holds beside,
// and the vshards together give each row once.
func TestScanOfOneVShard(t *testing.T) {
	const n = 1000
	c := newFakeCluster(t, 3, 8)
	c.load(n)
	db := c.nodes[1].db
	want := map[cluster.VShard][]int{}
	for i := range n {
		v := keys.VShardOf(testCollection, key(i))
		want[v] = append(want[v], i)
	}
	for v := cluster.VShard(0); v < cluster.VShards; v++ {
		for _, reverse := range []bool{false, true} {
			got := scanAll(t, db, ScanRequest{Only: &v, Ordered: true, Reverse: reverse})
			if reverse {
				slices.Reverse(got)
			}
			if len(got) != len(want[v]) {
				t.Fatalf("vshard %d: %d rows, want %d", v, len(got), len(want[v]))
			}
			for i, row := range got {
				if !bytes.Equal(row.Key, key(want[v][i])) {
					t.Fatalf("vshard %d: row %d is %s, want %s", v, i, row.Key, key(want[v][i]))
				}
			}
		}
	}
	v := keys.VShardOf(testCollection, key(500))
	for _, req := range []ScanRequest{{Only: &v, Start: key(500), End: key(501)}, {Only: &v, Start: key(500), Limit: 1, Ordered: true}} {
		if got := scanAll(t, db, req); len(got) != 1 || !bytes.Equal(got[0].Key, key(500)) {
			t.Errorf("a span in one vshard: %v", got)
		}
	}
}

// TestScanSurvivesLeaderChanges breaks streams and moves leaders during scans.
func TestScanSurvivesLeaderChanges(t *testing.T) {
	const n = 3000
	c := newFakeCluster(t, 3, 4)
	c.load(n)
	for _, req := range []ScanRequest{{}, {Ordered: true}, {Reverse: true}} {
		step := 0
		c.failCalls(func(_, to cluster.NodeID, method string) fault {
			step++
			switch {
			case method == "scan stream":
				return fault{after: &transport.UnreachableError{Node: to, Sent: true, Cause: io.ErrUnexpectedEOF}}
			case step%5 == 0:
				for id, r := range c.ranges { // c.mu is held
					r.leader = cluster.NodeID((step+int(id))%3 + 1)
				}
			}
			return fault{}
		})
		got := scanAll(t, c.nodes[1].db, req)
		seen := map[string]bool{}
		for _, row := range got {
			seen[string(row.Key)] = true
		}
		if len(got) != n || len(seen) != n {
			t.Errorf("%+v: %d rows, %d distinct, want %d", req, len(got), len(seen), n)
		}
		c.failCalls(nil)
	}
}

func TestScanFails(t *testing.T) {
	c := newFakeCluster(t, 3, 4)
	c.load(100)
	c.leadAll(0)
	for _, ordered := range []bool{false, true} {
		_, err := collect(t.Context(), c.nodes[1].db, ScanRequest{Collection: testCollection, Ordered: ordered, Policy: Policy{Quick: 10 * time.Millisecond, Budget: -1}})
		var unavailable *UnavailableError
		if !errors.As(err, &unavailable) {
			t.Errorf("scan without leaders (ordered=%v): %v, want an UnavailableError", ordered, err)
		}
	}
}

// TestScanClosedEarly closes a scan that was hardly read: its readers must end.
func TestScanClosedEarly(t *testing.T) {
	c := newFakeCluster(t, 3, 4)
	c.load(2000)
	for _, req := range []ScanRequest{{}, {Ordered: true}} {
		req.Collection = testCollection
		it, err := c.nodes[1].db.Scan(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := it.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
		it.Close()
		it.Close()
		if _, err := it.Next(t.Context()); err == nil {
			// Rows that were read ahead may still come; the end may not.
			for err == nil {
				_, err = it.Next(t.Context())
			}
			if errors.Is(err, io.EOF) {
				t.Error("a closed scan pretends to be complete")
			}
		}
	}
}

// TestSplit gives half of a range away behind the gateway's back.
func TestSplit(t *testing.T) {
	c := newFakeCluster(t, 3, 1)
	c.load(300)
	c.mu.Lock()
	left := c.ranges[2]
	right := &fakeRange{desc: *left.desc.Clone(), machine: datastate.New(), leader: 3, results: map[[16]byte]fakeResult{}}
	left.desc.End, left.desc.Generation = cluster.VShard(512).Key(), 2
	right.desc.ID, right.desc.Start, right.desc.Generation = 3, cluster.VShard(512).Key(), 2
	c.ranges[3] = right
	c.mu.Unlock()
	n := c.nodes[1]
	n.db.Table().Learn(right.desc)
	if got := scanAll(t, n.db, ScanRequest{}); len(got) != 300 {
		t.Errorf("scan over a split: %d rows, want 300", len(got))
	}
	n = c.nodes[2]
	n.db.Table().Learn(right.desc)
	c.nodes[3].db.Table().Learn(right.desc)
	var muts []Mutation // in both halves
	for i := range 20 {
		muts = append(muts, put(i, "x", datastate.Any))
	}
	if _, err := n.db.Write(t.Context(), muts, WriteOptions{}); err != nil {
		t.Errorf("write to both halves: %v", err)
	}
	for i := range 20 {
		if got := get(t, c.nodes[3], i); string(got.Value) != "x" {
			t.Errorf("row %d: %q, want x", i, got.Value)
		}
	}
}

func TestPolicy(t *testing.T) {
	p := DefaultPolicy()
	var quick time.Duration
	for n := range p.Attempts {
		d, ok := p.pause(n, 0)
		if !ok {
			t.Fatalf("attempt %d is refused", n)
		}
		quick += d
	}
	if quick != p.Quick {
		t.Errorf("the quick pauses sum to %s, want %s", quick, p.Quick)
	}
	if d, ok := p.pause(p.Attempts, p.Budget); ok {
		t.Errorf("a pause of %s after the budget", d)
	}
	if p := (Policy{Budget: -1}).orDefault(p); p.Attempts != 5 {
		t.Errorf("Attempts = %d, want the default", p.Attempts)
	} else if _, ok := p.pause(5, 0); ok {
		t.Error("a negative budget must end after the quick attempts")
	}
}
