package keys

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/hlc"
)

func TestVersionsOrderNewestFirstWithinARow(t *testing.T) {
	row := Row(3, 7, 42, []byte("pk"))
	var ks [][]byte
	for _, ts := range []hlc.Timestamp{hlc.Max, 1 << 40, 77, 1, 0} {
		ks = append(ks, Version(row, ts))
	}
	if !slices.IsSortedFunc(ks, bytes.Compare) {
		t.Errorf("versions are not newest first: % x", ks)
	}
	got, ts, err := DecodeVersion(ks[2])
	if err != nil || !bytes.Equal(got, row) || ts != 77 {
		t.Errorf("decode: got % x %d %v", got, ts, err)
	}
	parts, err := DecodeRow(row)
	if err != nil || parts.Pool != 3 || parts.VShard != 7 || parts.Collection != 42 || string(parts.Primary) != "pk" {
		t.Errorf("decode row: got %+v %v", parts, err)
	}
	if PoolOf(row) != 3 || Bound(row).VShard() != 7 || Bound(row).Validate() != nil {
		t.Errorf("pool %d, bound %s", PoolOf(row), Bound(row))
	}
}

// TestSplitByTheKeyAlone holds the third invariant: what is no version never looks
// like one, whatever the primary key ends with.
func TestSplitByTheKeyAlone(t *testing.T) {
	for _, pk := range []string{"", "a", "\x09", "\x00\x09", strings.Repeat("\x09", 30)} {
		row := Row(9, 9, 9, []byte(pk))
		version := Version(row, 9)
		if Split(version) != len(row) {
			t.Errorf("%q: the row of % x has %d bytes, want %d", pk, version, Split(version), len(row))
		}
		span := CollectionSpan(9, 9, 9)
		data := DataSpan(9, cluster.VShard(9).Key(), Bound(row))
		for _, k := range [][]byte{row, RowEnd(row), span.Start, span.End, data.Start, data.End} {
			if Split(k) != len(k) {
				t.Errorf("%q: the bound % x looks like a version", pk, k)
			}
			if _, _, err := DecodeVersion(k); err == nil {
				t.Errorf("%q: the bound % x was decoded as a version", pk, k)
			}
		}
		if bytes.Compare(version, row) <= 0 || bytes.Compare(version, RowEnd(row)) >= 0 || !span.Contains(version) {
			t.Errorf("%q: % x is not within its row and collection", pk, version)
		}
	}
}

// TestSpansKeepRowsWhole: a bound in the middle of a row's versions, which is no row
// that anybody stored, belongs to the order of rows all the same.
func TestSpansKeepRowsWhole(t *testing.T) {
	row := Row(0, 9, 7, []byte("k"))
	bound := Bound(row) + "\x00"
	if err := bound.Validate(); err != nil {
		t.Fatal(err)
	}
	first, last := cluster.VShard(9).Key(), cluster.VShard(10).Key()
	for _, ts := range []hlc.Timestamp{0, 1 << 50, hlc.Max} {
		if v := Version(row, ts); !DataSpan(0, first, bound).Contains(v) || DataSpan(0, bound, last).Contains(v) {
			t.Errorf("% x is not left of %s, and its row is", v, bound)
		}
	}
}

func TestNoRowIsOfAVShardThatIsNot(t *testing.T) {
	for _, v := range []cluster.VShard{cluster.VShards, 1<<16 - 1} {
		if _, err := DecodeRow(Row(0, v, 7, []byte("k"))); !errors.Is(err, ErrMalformed) {
			t.Errorf("a row of vshard %d: %v, want %v", v, err, ErrMalformed)
		}
	}
}

func TestOwns(t *testing.T) {
	row := Row(2, 417, 7, []byte("k"))
	for _, c := range []struct {
		pool       cluster.PoolID
		start, end cluster.Key
		want       bool
	}{
		{2, cluster.VShard(417).Key(), cluster.VShard(418).Key(), true},
		{1, cluster.VShard(417).Key(), cluster.VShard(418).Key(), false},
		{2, cluster.VShard(417).Key(), Bound(row), false},
		{2, Bound(row), cluster.VShard(418).Key(), true},
		{2, cluster.VShard(418).Key(), cluster.VShard(419).Key(), false},
	} {
		d := &cluster.RangeDescriptor{ID: 5, Pool: c.pool, Start: c.start, End: c.end}
		span := DataSpan(d.Pool, d.Start, d.End)
		if Owns(d, row) != c.want || span.Contains(Version(row, 5)) != c.want || d.Contains(2, Bound(row)) != c.want {
			t.Errorf("%s owns the row: %v, its span %v, its descriptor %v; want %v", d.Span(), Owns(d, row), span.Contains(Version(row, 5)), d.Contains(2, Bound(row)), c.want)
		}
	}
}

func TestARangeIsExactlyItsSpans(t *testing.T) {
	data := DataSpan(0, cluster.VShard(16).Key(), cluster.VShard(32).Key())
	for v := range cluster.VShard(cluster.VShards) {
		key := Version(Row(0, v, 1<<63, []byte{0xff, 0xff}), 5)
		if got, want := data.Contains(key), v >= 16 && v < 32; got != want {
			t.Errorf("row of vshard %d in the span of [16,32): got %v", v, got)
		}
	}
	last := DataSpan(0, cluster.VShard(1008).Key(), cluster.VShard(cluster.VShards).Key())
	if !last.Contains(Row(0, 1023, 1<<64-1, []byte{0xff})) {
		t.Error("the last vshard's rows are outside the last span")
	}
	local := RangeSpan(5)
	for _, k := range [][]byte{RangeDescriptor(5), RangeApplied(5), AppliedIDs(5, 1<<63, 7), Record(5, "node", []byte{1})} {
		if !local.Contains(k) || RangeSpan(4).Contains(k) || RangeSpan(6).Contains(k) {
			t.Errorf("range-local key % x is not in the span of its range alone", k)
		}
	}
	raft := RaftSpan(5)
	for _, k := range [][]byte{RaftHardState(5), RaftTruncated(5), RaftEntry(5, 1<<64-1), RaftReplica(5)} {
		if !raft.Contains(k) || local.Contains(k) || !RaftAll().Contains(k) {
			t.Errorf("raft key % x is not in its span alone", k)
		}
		if id, err := DecodeRaftRange(k); err != nil || id != 5 {
			t.Errorf("range of raft key: got %d %v", id, err)
		}
	}
	if raft.Contains(ReplicaTombstone(5)) || local.Contains(ReplicaTombstone(5)) {
		t.Error("a tombstone must outlive its replica's spans")
	}
}

func TestVShardsAreEven(t *testing.T) {
	const rows = 200_000
	var count [cluster.VShards]int
	rng := rand.New(rand.NewPCG(1, 2))
	for range rows {
		count[VShardOf(3, []byte{byte(rng.Uint32()), byte(rng.Uint32()), byte(rng.Uint32()), byte(rng.Uint32())})]++
	}
	for v, n := range count {
		if mean := rows / cluster.VShards; n < mean/2 || n > mean*2 {
			t.Errorf("vshard %d holds %d of %d rows, mean %d", v, n, rows, mean)
		}
	}
}

// The hash is part of the format: a changed value would lose every stored row.
func TestVShardIsFixedForEver(t *testing.T) {
	for _, c := range []struct {
		collection cluster.CollectionID
		key        string
		want       cluster.VShard
	}{{1, "", 986}, {1, "a", 198}, {2, "a", 637}, {1 << 40, "order-4711", 463}} {
		if got := VShardOf(c.collection, []byte(c.key)); got != c.want {
			t.Errorf("vshard of (%d, %q): got %d, want %d", c.collection, c.key, got, c.want)
		}
	}
}

func TestRecordKeys(t *testing.T) {
	kind, rest, err := DecodeRecord(Record(1, "node", []byte{0, 4}))
	if err != nil || kind != "node" || !bytes.Equal(rest, []byte{0, 4}) {
		t.Errorf("got %q % x %v", kind, rest, err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(Version(Row(0, 1, 2, []byte("k")), 3))
	f.Add(Record(1, "node", []byte("n1")))
	f.Add(RaftEntry(9, 10))
	f.Fuzz(func(t *testing.T, b []byte) {
		if row, ts, err := DecodeVersion(b); err == nil && !bytes.Equal(Version(row, ts), b) {
			t.Errorf("version % x does not round trip", b)
		}
		if p, err := DecodeRow(b); err == nil && b[RowLen-1] == primarySpace && !bytes.Equal(Row(p.Pool, p.VShard, p.Collection, p.Primary), b) {
			t.Errorf("row % x does not round trip", b)
		}
		_, _, _ = DecodeRecord(b)
		_, _ = DecodeRaftRange(b)
		_, _ = DecodeAppliedIDs(b)
	})
}

// FuzzSplit wants every version split at the end of its row, whatever its key, and
// nothing split twice.
func FuzzSplit(f *testing.F) {
	f.Add(uint16(7), uint64(9), []byte{2, 9}, uint64(9), []byte{4, 0, 9})
	f.Add(uint16(0x0900), uint64(0x09), []byte{}, uint64(1<<63), RaftEntry(256, 9))
	f.Fuzz(func(t *testing.T, v uint16, c uint64, primary []byte, ts uint64, any []byte) {
		p := cluster.PoolID(c)
		row := Row(p, cluster.VShard(v), cluster.CollectionID(c), primary)
		key := Version(row, hlc.Timestamp(ts))
		if Split(key) != len(row) || Split(row) != len(row) {
			t.Errorf("row % x: split at %d, its version at %d", row, Split(row), Split(key))
		}
		if got, at, err := DecodeVersion(key); err != nil || !bytes.Equal(got, row) || at != hlc.Timestamp(ts) || !bytes.Equal(Primary(got), primary) {
			t.Errorf("row % x at %d: decoded % x at %s, %v", row, ts, got, at, err)
		}
		n := Split(any)
		if n < 0 || n > len(any) || n < len(any) && any[0] != spaceData || Split(any[:n:n]) != n {
			t.Errorf("% x is split at %d", any, n)
		}
		for _, s := range []Span{DataSpan(p, cluster.VShard(v).Key(), Bound(row)), CollectionSpan(p, cluster.VShard(v), cluster.CollectionID(c))} {
			if Split(s.Start) != len(s.Start) || Split(s.End) != len(s.End) {
				t.Errorf("a bound of [% x, % x) is split", s.Start, s.End)
			}
		}
	})
}
