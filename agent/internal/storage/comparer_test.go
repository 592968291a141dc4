package storage

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/keys"
)

// primaries are encoded primary keys, among them all that a suffix could be
// mistaken for.
func primaries(rng *rand.Rand) [][]byte {
	ps := [][]byte{
		{2, 9}, {2, 0, 9}, bytes.Repeat([]byte{9}, 20), bytes.Repeat([]byte{0}, 20), bytes.Repeat([]byte{0xff}, 12),
		{2, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9},
	}
	for range 3 {
		p := make([]byte, 1+rng.IntN(24))
		for i := range p {
			p[i] = []byte{0, 1, 2, 9, 0xfe, byte(rng.Uint32())}[rng.IntN(6)]
		}
		ps = append(ps, p)
	}
	return ps
}

// TestComparer runs Pebble's own checks over the rows of a collection. They take
// leading bytes off a row, which no table here does: the head of a row is put back.
func TestComparer(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	head := keys.CollectionSpan(cluster.DefaultPool, 417, 5).Start
	with := func(key []byte) []byte { return slices.Concat(head, key) }
	c := *comparer
	c.Split = func(key []byte) int { return keys.Split(with(key)) - len(head) }
	c.Compare = func(a, b []byte) int { return compare(with(a), with(b)) }
	var rows, suffixes [][]byte
	for _, p := range primaries(rng) {
		rows = append(rows, keys.Row(cluster.DefaultPool, 417, 5, p)[len(head):])
	}
	for _, ts := range []hlc.Timestamp{0, 1, 9, 9 << 40, hlc.Timestamp(rng.Uint64()), hlc.Max - 1, hlc.Max} {
		s := keys.Suffix(ts)
		suffixes = append(suffixes, s[:])
	}
	if err := pebble.CheckComparer(&c, rows, suffixes); err != nil {
		t.Error(err)
	}
	if !comparer.Split.HasSuffix(keys.Version(with(rows[0]), 3)) {
		t.Error("a version has no suffix")
	}
}

// storedKeys returns keys and bounds of all spaces.
func storedKeys(rng *rand.Rand) [][]byte {
	// Ids and numbers whose bytes look like a suffix's end, or like what is before one.
	numbers := []uint64{0, 1, 9, 0x0900, 0x0009000000000009, 256, 1<<64 - 1, rng.Uint64()}
	ks := [][]byte{keys.StoreIdent(), keys.StoreClock(), keys.StoreMark(), keys.StoreStarts(), keys.StoreGeneration()}
	spans := []keys.Span{keys.StoreHeardAll(), keys.EmptiedReplicas(), keys.RaftAll()}
	for _, n := range numbers {
		id := cluster.RangeID(n)
		ks = append(ks, keys.StoreHeard(cluster.NodeID(n)), keys.ReplicaTombstone(id), keys.EmptiedReplica(id), keys.RaftHardState(id),
			keys.RaftTruncated(id), keys.RaftReplica(id), keys.RaftLost(id), keys.RangeDescriptor(id), keys.RangeApplied(id))
		spans = append(spans, keys.RaftSpan(id), keys.RecordSpan(id), keys.RangeSpan(id), keys.AppliedIDsSpan(id))
		for _, m := range numbers {
			ks = append(ks, keys.RaftEntry(id, m), keys.Record(id, "node", binary.BigEndian.AppendUint64(nil, m)))
			ks = append(ks, keys.AppliedIDs(id, m, uint32(n)))
		}
		v := cluster.VShard(n % cluster.VShards)
		spans = append(spans, keys.DataSpan(cluster.PoolID(n), v.Key(), (v+1).Key()), keys.CollectionSpan(cluster.PoolID(n), v, cluster.CollectionID(n)))
		for _, p := range primaries(rng) {
			row := keys.Row(cluster.PoolID(n), v, cluster.CollectionID(n), p)
			ks = append(ks, row, keys.PrefixEnd(row), keys.Version(row, hlc.Timestamp(rng.Uint64())), keys.Version(row, 9), keys.Version(row, hlc.Max))
		}
	}
	for _, s := range spans {
		ks = append(ks, s.Start, s.End)
	}
	return ks
}

// TestComparerOfAllSpaces wants the order of bytes, splits at the end of rows
// alone, and what Pebble asks of the rest.
func TestComparerOfAllSpaces(t *testing.T) {
	for seed := range uint64(3) {
		ks := storedKeys(rand.New(rand.NewPCG(seed, 2)))
		rand.New(rand.NewPCG(seed, 3)).Shuffle(len(ks), func(i, j int) { ks[i], ks[j] = ks[j], ks[i] })
		ks = ks[:min(len(ks), 250)]
		for _, a := range ks {
			checkKey(t, a)
			for _, b := range ks {
				checkPair(t, a, b)
			}
		}
	}
}

func checkKey(t *testing.T, a []byte) {
	t.Helper()
	n := keys.Split(a)
	if _, _, err := keys.DecodeVersion(a); (err == nil) != (n < len(a)) {
		t.Errorf("% x is split at %d: %v", a, n, err)
	}
	if keys.Split(a[:n]) != n || n < len(a) && compare(a[:n], a) >= 0 {
		t.Errorf("% x does not come after its row", a)
	}
	if s := comparer.Successor([]byte("x"), a); s[0] != 'x' || compare(a, s[1:]) > 0 {
		t.Errorf("successor of % x: % x", a, s[1:])
	}
	if s := comparer.ImmediateSuccessor(nil, a[:n]); keys.Split(s) != len(s) || compare(a[:n], s) >= 0 || compare(a, s) >= 0 {
		t.Errorf("immediate successor of % x: % x", a[:n], s)
	}
}

func checkPair(t *testing.T, a, b []byte) {
	t.Helper()
	c := compare(a, b)
	if c == 0 != bytes.Equal(a, b) || compare(b, a) != -c {
		t.Errorf("compare % x and % x: %d", a, b, c)
	}
	if x, y := comparer.AbbreviatedKey(a), comparer.AbbreviatedKey(b); x < y && c >= 0 || x > y && c <= 0 {
		t.Errorf("abbreviated keys of % x and % x are in another order", a, b)
	}
	if c < 0 {
		s := comparer.Separator([]byte("x"), a, b)
		if s[0] != 'x' || compare(a, s[1:]) > 0 || compare(s[1:], b) >= 0 {
			t.Errorf("separator of % x and % x: % x", a, b, s[1:])
		}
	}
}

func versionsOf(t *testing.T, it *Iterator) (met []hlc.Timestamp) {
	t.Helper()
	for ok := it.First(); ok; ok = it.Next() {
		if _, ts, err := keys.DecodeVersion(it.Key()); err == nil {
			met = append(met, ts)
		}
	}
	if err := it.Close(); err != nil {
		t.Fatal(err)
	}
	return met
}

// TestTimesSkipBlocks: whoever asks for times meets all versions of them, and few
// others, in flushed tables, in ingested ones and with other keys around.
func TestTimesSkipBlocks(t *testing.T) {
	const rows = 20_000
	e := open(t, NewCrashableFS())
	defer e.Close()
	row := func(v cluster.VShard, n int) []byte {
		return keys.Row(cluster.DefaultPool, v, 5, fmt.Appendf(nil, "%08d", n))
	}
	b, table := e.NewWriteBatch(), mustTable(t, e)
	for n := range rows {
		ts := hlc.Timestamp(n + 1)
		err := errors.Join(
			b.Set(keys.Version(row(16, n), ts), []byte("flushed")), b.Set(keys.RaftEntry(3, uint64(n)), []byte("no version")),
			table.Set(keys.Version(row(17, n), ts), []byte("ingested")))
		if err != nil {
			t.Fatal(err)
		}
	}
	path, err := table.Finish()
	if err := errors.Join(err, b.Commit(true), b.Close(), e.Flush(), e.Ingest([]string{path})); err != nil {
		t.Fatal(err)
	}
	for _, from := range []hlc.Timestamp{1, rows / 2, rows - 99} {
		all := keys.DataSpan(cluster.DefaultPool, cluster.VShard(0).Key(), cluster.VShard(cluster.VShards).Key())
		it, err := e.NewSpanIter(Span{Start: all.Start, End: all.End, From: from, To: from + 99})
		if err != nil {
			t.Fatal(err)
		}
		wanted, met := 0, versionsOf(t, it)
		for _, ts := range met {
			if ts >= from && ts <= from+99 {
				wanted++
			}
		}
		if wanted != 200 || len(met) > rows/4 {
			t.Errorf("from %d: met %d of %d versions, %d of the 200 wanted", from, len(met), 2*rows, wanted)
		}
	}
	for _, none := range []Span{{Start: []byte{0}, End: []byte{0xff}, From: rows + 1, To: hlc.Max}, {Start: []byte{2}, End: []byte{3}, From: 1, To: hlc.Max}} {
		it, err := e.NewSpanIter(none)
		if err != nil {
			t.Fatal(err)
		}
		if met := versionsOf(t, it); len(met) > 0 {
			t.Errorf("met %d versions, there are none", len(met))
		}
	}
	if it, err := e.NewSpanIter(Span{Start: []byte{2}, End: []byte{5}}); err != nil || len(versionsOf(t, it)) != 2*rows {
		t.Errorf("without times not all versions are met: %v", err)
	}
}

func mustTable(t *testing.T, e *Engine) *TableWriter {
	t.Helper()
	w, err := e.NewTable()
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// TestDeletedVersionsStayDeleted: a filter of times that shows a version shows its
// deletion too, which is of the same time.
func TestDeletedVersionsStayDeleted(t *testing.T) {
	e := open(t, NewCrashableFS())
	defer e.Close()
	row := keys.Row(cluster.DefaultPool, 16, 5, []byte("k"))
	for _, write := range []func(*Batch) error{
		func(b *Batch) error { return b.Set(keys.Version(row, 7), []byte("v")) },
		func(b *Batch) error { return b.Delete(keys.Version(row, 7)) },
	} {
		b := e.NewWriteBatch()
		if err := errors.Join(write(b), b.Commit(false), b.Close(), e.Flush()); err != nil {
			t.Fatal(err)
		}
	}
	it, err := e.NewSpanIter(Span{Start: []byte{4}, End: []byte{5}, From: 7, To: 7})
	if err != nil {
		t.Fatal(err)
	}
	if met := versionsOf(t, it); len(met) > 0 {
		t.Errorf("met %d", met)
	}
}

// TestRowsOfOneHead: SeekRowGE and NextRow go by rows, in batches and tables alike.
func TestRowsOfOneHead(t *testing.T) {
	e := open(t, NewCrashableFS())
	defer e.Close()
	b := e.NewBatch()
	defer b.Close()
	short, long := keys.Row(cluster.DefaultPool, 16, 5, []byte("k")), keys.Row(cluster.DefaultPool, 16, 5, []byte("k\x00long"))
	for _, k := range [][]byte{keys.Version(short, 1), keys.Version(short, 3), keys.Version(long, 2)} {
		if err := b.Set(k, nil); err != nil {
			t.Fatal(err)
		}
	}
	check := func(r Reader) {
		t.Helper()
		it, err := r.NewRowIter()
		if err != nil {
			t.Fatal(err)
		}
		if !it.SeekRowGE(keys.Version(short, 2)) || !bytes.Equal(it.Key(), keys.Version(short, 1)) || it.Next() {
			t.Error("the row's versions at or before 2 are not [1]")
		}
		if it.SeekRowGE(keys.Version(keys.Row(cluster.DefaultPool, 16, 5, []byte("none")), 9)) {
			t.Error("found a row that is not there")
		}
		if err := it.Close(); err != nil {
			t.Fatal(err)
		}
		if it, err = r.NewIter([]byte{4}, []byte{5}); err != nil {
			t.Fatal(err)
		}
		if !it.First() || !it.NextRow() || !bytes.Equal(it.Key(), keys.Version(long, 2)) || it.NextRow() {
			t.Error("the rows are not [short, long]")
		}
		if err := it.Close(); err != nil {
			t.Fatal(err)
		}
	}
	check(b)
	if err := errors.Join(b.Commit(true), e.Flush()); err != nil {
		t.Fatal(err)
	}
	check(e)
}

func TestAnotherOrderIsRefused(t *testing.T) {
	fs := NewCrashableFS()
	db, err := pebble.Open("d", &pebble.Options{FS: fs, Logger: &engineLog{log: slog.New(slog.DiscardHandler)}})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if e, err := Open(Options{Dir: "d", FS: fs}); err == nil || errors.Is(err, ErrCorruption) {
		t.Errorf("opened %v, %v", e, err)
	}
}
