package datastate

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/keys"
)

// TestMiddle wants the row that comes nearest to half of the bytes, to a
// hundredth, however rows and versions are spread.
func TestMiddle(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 9))
		e := open(t)
		b := e.NewWriteBatch()
		rows, total := rng.IntN(5000), int64(0)
		before := map[string]int64{} // bytes before a row
		for n := range rows {
			row := testRow(20, n)
			before[string(row)] = total
			for ts := range hlc.Timestamp(1 + rng.IntN(3)) {
				value := encodeVersion(&Op{Kind: Put, Value: make([]byte, rng.IntN(1+n))}, 7)
				if err := b.Set(keys.Version(row, ts+1), value); err != nil {
					t.Fatal(err)
				}
				total += int64(len(row) + keys.SuffixLen + len(value))
			}
		}
		if err := errors.Join(b.Commit(false), b.Close()); err != nil {
			t.Fatal(err)
		}
		told := int64(0)
		row, err := Middle(e, keys.CollectionSpan(cluster.DefaultPool, 20, 5), func(n int64) error { told += n; return nil })
		if err != nil || (row == nil) != (rows < 2) {
			t.Fatalf("seed %d: %d rows: row % x, %v", seed, rows, row, err)
		}
		if row == nil {
			continue
		}
		if left, ok := before[string(row)]; !ok || left == 0 || rows > 500 && max(2*left-total, total-2*left) > total/50 {
			t.Errorf("seed %d: %d of %d bytes are left of row % x", seed, left, total, row)
		}
		if told > total || told < total-paceBytes-20_000 {
			t.Errorf("seed %d: told of %d bytes, read %d", seed, told, total)
		}
	}
}

func TestMiddleOfFewRows(t *testing.T) {
	e := open(t)
	put := func(n int) {
		b := e.NewWriteBatch()
		if err := errors.Join(b.Set(keys.Version(testRow(20, n), 1), encodeVersion(&Op{Kind: Put, Value: make([]byte, 1000)}, 7)), b.Commit(false), b.Close()); err != nil {
			t.Fatal(err)
		}
	}
	for n, want := range [][]byte{nil, testRow(20, 1), testRow(20, 1), testRow(20, 2)} {
		put(n)
		if row, err := Middle(e, keys.CollectionSpan(cluster.DefaultPool, 20, 5), nil); err != nil || !bytes.Equal(row, want) {
			t.Errorf("%d rows: % x, %v; want % x", n+1, row, err, want)
		}
	}
	for n := range 1000 {
		put(n)
	}
	stop := fmt.Errorf("stop")
	if _, err := Middle(e, keys.CollectionSpan(cluster.DefaultPool, 20, 5), func(int64) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("stopped: %v", err)
	}
}
