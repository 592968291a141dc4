package datastate

import (
	"testing"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/keys"
)

// TestCountsFollowTheirVShards holds that both halves of a span know what they
// hold, by the stored counts or, without them, by counting.
func TestCountsFollowTheirVShards(t *testing.T) {
	e, m := open(t), New()
	whole := &cluster.RangeDescriptor{Start: 16, End: 32}
	if err := m.LoadCounts(e, whole, 0, 0); err != nil {
		t.Fatal(err)
	}
	b := e.NewBatch()
	put := func(v cluster.VShard, key, value string) {
		t.Helper()
		op := Op{Row: keys.Row(v, 7, append([]byte(key), 0)), Kind: Put, Value: []byte(value)}
		if _, err := m.Apply(b, whole, 1, 100, EncodeBatch(&Batch{Ops: []Op{op}})); err != nil {
			t.Fatal(err)
		}
	}
	put(16, "a", "1")
	put(20, "b", "22")
	put(31, "c", "333")
	put(31, "d", "4444")
	rows, bytes, err := m.StoreCounts(b, whole)
	if err != nil || rows != 4 || bytes == 0 {
		t.Fatalf("%d rows, %d bytes, %v", rows, bytes, err)
	}
	if at := m.Middle(whole); at <= 20 || at > 31 {
		t.Errorf("the middle is %d, want it between the rows of 20 and 31", at)
	}
	if err := b.Commit(false); err != nil {
		t.Fatal(err)
	}
	left, right := &cluster.RangeDescriptor{Start: 16, End: 31}, &cluster.RangeDescriptor{Start: 31, End: 32}
	lr, lb, _ := m.StoreCounts(e.NewBatch(), left)
	rr, rb, _ := m.StoreCounts(e.NewBatch(), right)
	if lr != 2 || rr != 2 || lb+rb != bytes || lb >= rb {
		t.Errorf("left %d rows, %d bytes; right %d rows, %d bytes; %d in all", lr, lb, rr, rb, bytes)
	}
	sums := func(rows, bytes int64) (int64, int64) {
		t.Helper()
		n := New()
		if err := n.LoadCounts(e, right, rows, bytes); err != nil {
			t.Fatal(err)
		}
		x := n.counts.sum(right.Start, right.End)
		return x.rows, x.bytes
	}
	if r, b := sums(rr, rb); r != rr || b != rb {
		t.Errorf("loaded %d rows, %d bytes, want %d and %d", r, b, rr, rb)
	}
	drop := e.NewBatch()
	if err := drop.DeleteRange(keys.VShardCounts(31), append(keys.VShardCounts(31), 0)); err != nil {
		t.Fatal(err)
	}
	if err := drop.Commit(false); err != nil {
		t.Fatal(err)
	}
	if r, b := sums(rr, rb); r != rr || b != rb {
		t.Errorf("counted %d rows, %d bytes anew, want %d and %d", r, b, rr, rb)
	}
	if at := m.Middle(right); at != 0 {
		t.Errorf("a single vshard has the middle %d", at)
	}
}
