package kv

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/budget"
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/store"
)

// loadLarge writes n rows of size bytes.
func (c *fakeCluster) loadLarge(n, size int) {
	c.t.Helper()
	for i := range n {
		v := bytes.Repeat([]byte{byte('a' + i%26)}, size)
		if _, err := c.nodes[1].db.Write(c.t.Context(), []Mutation{{Collection: testCollection, Key: key(i), Value: v}}, WriteOptions{}); err != nil {
			c.t.Fatal(err)
		}
	}
}

// TestLargeAnswersComeInParts reads more by key than one answer holds.
func TestLargeAnswersComeInParts(t *testing.T) {
	const n, size = 12, 400 << 10
	c := newFakeCluster(t, 2, 1)
	c.loadLarge(n, size)
	req := GetRequest{Collection: testCollection}
	for i := range n + 2 { // two are not there
		req.Keys = append(req.Keys, key(i))
	}
	for _, node := range c.nodes {
		before := c.callCount(MethodRead)
		memory := budget.New("statements", 64<<20)
		req.Memory = memory.Open()
		rows, err := node.db.Get(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		for i, row := range rows {
			if i < n && (len(row.Value) != size || row.Value[0] != byte('a'+i%26)) || i >= n && row.Value != nil {
				t.Errorf("%s: row %d has %d bytes", node.id, i, len(row.Value))
			}
		}
		if calls := c.callCount(MethodRead) - before; node.id == 2 && calls < n*size/(readBytes+size) {
			t.Errorf("%d calls brought %d bytes", calls, n*size)
		}
		if used := memory.Used(); used < n*size {
			t.Errorf("%d bytes are counted for %d", used, n*size)
		}
		req.Memory.Close()
		req.Memory = budget.New("statements", 1<<20).Open()
		var full *budget.FullError
		if _, err := node.db.Get(t.Context(), req); !errors.As(err, &full) {
			t.Errorf("%s: more than there is memory for: %v", node.id, err)
		}
	}
}

// TestScansKeepToTheirMemory reads with less memory than the readers of a scan would
// take: they take turns. A scan in order needs something of each range.
func TestScansKeepToTheirMemory(t *testing.T) {
	const n = 4000
	c := newFakeCluster(t, 3, 8)
	c.load(n)
	for _, tt := range []struct {
		limit int64
		req   ScanRequest
		fits  bool
	}{
		{700, ScanRequest{}, true}, // about one chunk
		{1 << 20, ScanRequest{Ordered: true}, true},
		{700, ScanRequest{Ordered: true}, false},
		{10, ScanRequest{}, false},
	} {
		memory := budget.New("statements", tt.limit)
		tt.req.Collection, tt.req.Memory = testCollection, memory.Open()
		rows, err := collect(t.Context(), c.nodes[1].db, tt.req)
		var full *budget.FullError
		switch {
		case tt.fits && (err != nil || len(rows) != n):
			t.Errorf("%d bytes, ordered %v: %d rows, %v", tt.limit, tt.req.Ordered, len(rows), err)
		case !tt.fits && !errors.As(err, &full):
			t.Errorf("%d bytes, ordered %v: %v", tt.limit, tt.req.Ordered, err)
		}
		if left := tt.req.Memory.Used(); left != 0 {
			t.Errorf("%d bytes, ordered %v: the scan keeps %d", tt.limit, tt.req.Ordered, left)
		}
		tt.req.Memory.Close()
		if memory.Used() != 0 {
			t.Errorf("%+v", memory.Usage())
		}
	}
}

// TestALeaderRefusesWhatItCannotHold has no room for requests of others, then none
// for what it reads.
func TestALeaderRefusesWhatItCannotHold(t *testing.T) {
	c := newFakeCluster(t, 2, 1) // node 1 leads
	c.load(100)
	leader, gateway := c.nodes[1].db.server, c.nodes[2].db
	policy := Policy{Quick: 5 * time.Millisecond, Budget: -1}
	large := []Mutation{{Collection: testCollection, Key: key(1), Value: bytes.Repeat([]byte("x"), 10<<10)}}

	leader.cfg.Requests = budget.New("requests", 8<<10)
	_, err := gateway.Write(t.Context(), large, WriteOptions{Policy: policy})
	var ambiguous *store.AmbiguousError
	if !errors.Is(err, store.ErrOverloaded) || errors.As(err, &ambiguous) {
		t.Errorf("a write without room for it: %v", err)
	}
	if _, err := gateway.Get(t.Context(), GetRequest{Collection: testCollection, Keys: [][]byte{key(1)}}); err != nil {
		t.Errorf("a small request: %v", err)
	}
	if leader.cfg.Requests.Used() != 0 {
		t.Errorf("%d bytes stay", leader.cfg.Requests.Used())
	}

	leader.cfg.Requests, leader.cfg.Reads = nil, budget.New("reads", 16)
	if _, err := collect(t.Context(), gateway, ScanRequest{Collection: testCollection, Policy: policy}); !errors.Is(err, store.ErrOverloaded) {
		t.Errorf("a scan without room for a chunk: %v", err)
	}
	if _, err := leader.admit(cluster.MetaRangeID, make([]byte, 1<<20)); err != nil {
		t.Errorf("the meta range's requests are refused: %v", err)
	}
}

// TestAReaderThatDoesNotReadLosesItsView stops in the middle of scans, at the
// leader itself and elsewhere, until the views are gone; then every row comes, once,
// as it was when the scan began.
func TestAReaderThatDoesNotReadLosesItsView(t *testing.T) {
	const n = 3000
	c := newFakeCluster(t, 2, 2)
	c.load(n)
	for _, node := range c.nodes {
		node.db.server.cfg.ViewAge = 20 * time.Millisecond
	}
	for _, gateway := range c.nodes {
		for _, req := range []ScanRequest{{}, {Ordered: true}, {Reverse: true}} {
			name := fmt.Sprintf("%s, ordered %v, reverse %v", gateway.id, req.Ordered, req.Reverse)
			req.Collection = testCollection
			taken := map[cluster.NodeID]uint64{}
			for id, node := range c.nodes {
				taken[id] = node.db.server.Views().Taken
			}
			it, err := gateway.db.Scan(t.Context(), req)
			if err != nil {
				t.Fatal(err)
			}
			rows, err := it.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for id, node := range c.nodes {
				server := node.db.server
				// An unordered scan may have come no further elsewhere than its first chunk,
				// which keeps no view.
				must := id == gateway.id || req.Ordered || req.Reverse
				wait(t, func() bool {
					st := server.Views()
					return (!must || st.Taken > taken[id]) && st.Open == 0 && st.Oldest == 0
				}, name+": a view of "+id.String()+" stays")
			}
			for {
				batch, err := it.Next(t.Context())
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				rows = append(rows, batch...)
			}
			it.Close()
			if req.Reverse {
				slices.Reverse(rows)
			}
			if !req.Ordered && !req.Reverse {
				slices.SortFunc(rows, func(a, b Row) int { return bytes.Compare(a.Key, b.Key) })
			}
			if len(rows) != n {
				t.Errorf("%s: %d rows, want %d", name, len(rows), n)
				continue
			}
			for i, row := range rows {
				if !bytes.Equal(row.Key, key(i)) || !bytes.Equal(row.Value, value(i)) {
					t.Errorf("%s: row %d is %s=%s", name, i, row.Key, row.Value)
					break
				}
			}
		}
	}
}

func wait(t *testing.T, cond func() bool, what string) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !cond() {
		if time.Now().After(deadline) {
			t.Fatal(what)
		}
		<-time.After(time.Millisecond)
	}
}
