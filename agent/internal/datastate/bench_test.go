package datastate

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/evaluation"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

const (
	benchRows  = 200_000
	benchCache = 16 << 20 // bytes: a tenth of the rows
)

// benchRow is a row whose number is even if it is there.
func benchRow(n int) []byte {
	return keys.Row(cluster.DefaultPool, 20, 5, append(binary.BigEndian.AppendUint64([]byte{2}, uint64(n)), 0))
}

// benchStore has rows with two versions each, written in a random order, so that
// every level of the store covers all of them.
func benchStore(b *testing.B) *storage.Engine {
	b.Helper()
	e, err := storage.Open(storage.Options{Dir: b.TempDir(), CacheBytes: benchCache, MemTableBytes: 4 << 20})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = e.Close() })
	rng, value := rand.New(rand.NewPCG(1, 2)), make([]byte, 400)
	for ts := hlc.Timestamp(1); ts <= 2; ts++ {
		batch := e.NewWriteBatch()
		for i, n := range rng.Perm(benchRows) {
			for j := range value {
				value[j] = byte(rng.Uint32())
			}
			if err := batch.Set(keys.Version(benchRow(2*n), ts), encodeVersion(&Op{Kind: Put, Value: value}, 7)); err != nil {
				b.Fatal(err)
			}
			if i%1000 == 999 {
				if err := errors.Join(batch.Commit(false), batch.Close()); err != nil {
					b.Fatal(err)
				}
				batch = e.NewWriteBatch()
			}
		}
		_ = batch.Close()
	}
	if err := e.Flush(); err != nil {
		b.Fatal(err)
	}
	return e
}

// BenchmarkGet reads single rows of a store ten times the size of its cache, and
// says how many blocks a read did not find there: that depends on no other load.
func BenchmarkGet(b *testing.B) {
	e := benchStore(b)
	for _, x := range []struct {
		name string
		odd  int
	}{{"present", 0}, {"absent", 1}} {
		b.Run(x.name, func(b *testing.B) {
			rng, before := rand.New(rand.NewPCG(3, 4)), e.Metrics().CacheMisses
			for b.Loop() {
				_, _, ok, err := Get(e, benchRow(2*rng.IntN(benchRows)+x.odd), hlc.Max)
				if err != nil || ok != (x.odd == 0) {
					b.Fatal(ok, err)
				}
			}
			b.ReportMetric(float64(e.Metrics().CacheMisses-before)/float64(b.N), "misses/op")
		})
	}
}

// BenchmarkEvaluate decides about INSERTs of rows that are not there: one on its own,
// and eight that share a view.
func BenchmarkEvaluate(b *testing.B) {
	e := benchStore(b)
	for _, together := range []int{1, 8} {
		b.Run(fmt.Sprintf("together=%d", together), func(b *testing.B) {
			rng := rand.New(rand.NewPCG(3, 4))
			var rows *storage.Rows
			pending := make([]evaluation.Pending, 1)
			for i := 0; b.Loop(); i++ {
				if i%together == 0 {
					rows = storage.NewRows(e)
				}
				req := &Batch{Ops: []Op{{Kind: Put, Row: benchRow(2*rng.IntN(benchRows) + 1), Value: make([]byte, 100), Expect: Absent}}}
				if d, err := req.Evaluate(rows, desc, pending); err != nil || d.Command == nil {
					b.Fatal(d, err)
				}
				if i%together == together-1 {
					if err := rows.Close(); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}
