package kv_test

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/kv"
	"github.com/nodedb/nodedb/agent/internal/lock"
	"github.com/nodedb/nodedb/agent/internal/txn"
)

// coordinator is a manager of transactions at the first of nodes in one process.
func coordinator(b *testing.B, nodes int) *txn.Manager {
	n := startCluster(b, nodes, 16).all()[0]
	m := txn.New(txn.Config{
		Self: n.id, Start: 1, Clock: n.clock,
		Fresh: func(context.Context) (hlc.Timestamp, error) { return n.clock.Now(), nil },
		Ask: func(context.Context, cluster.NodeID, []byte) ([]byte, error) {
			return nil, errors.New("there is one gateway")
		},
	})
	m.Open(n.db)
	b.Cleanup(m.Close)
	return m
}

// cleaned waits until nothing is left of transactions.
func cleaned(m *txn.Manager) {
	for m.Stats().Cleanups > 0 {
		<-time.After(time.Millisecond)
	}
}

// BenchmarkTPCB measures TPC-B's transactions of 16 clients without SQL, network and disk:
// three rows are locked one after the other, the last of which is one of ten, then these
// and a new one are written.
func BenchmarkTPCB(b *testing.B) {
	m, ctx := coordinator(b, 1), context.Background()
	key := func(table byte, n uint64) []byte { return binary.BigEndian.AppendUint64([]byte{table}, n) }
	var next atomic.Uint64
	b.SetParallelism(8) // of two cores
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			t := m.Begin(txn.ReadCommitted, txn.Info{})
			muts := []kv.Mutation{{Collection: collection, Key: key(4, next.Add(1)), Value: make([]byte, 60), Expect: datastate.Absent}}
			for table, n := range []uint64{100_000, 100, 10} {
				k := key(byte(table+1), rand.Uint64N(n))
				rows, _, err := t.Lock(ctx, txn.LockRequest{Collection: collection, Keys: [][]byte{k}, Strength: lock.NoKeyUpdate})
				if err != nil {
					b.Error(err)
					return
				}
				muts = append(muts, kv.Mutation{Collection: collection, Key: k, Value: make([]byte, 100), Expect: datastate.NotNewerThan, ExpectTS: max(rows[0].Version, 1)})
			}
			if _, err := t.Commit(ctx, muts, 1); err != nil {
				b.Error(err)
				return
			}
		}
	})
	cleaned(m)
	b.ReportMetric(float64(m.Stats().LockWaits)/float64(b.N), "longwaits/op")
}

// BenchmarkLargeTransaction measures the commit of 20,000 rows, and how long after it
// nothing is left of it.
func BenchmarkLargeTransaction(b *testing.B) {
	m, ctx := coordinator(b, 1), context.Background()
	muts := make([]kv.Mutation, 20_000)
	for i := range muts {
		muts[i] = kv.Mutation{Collection: collection, Key: rowKey(i), Value: make([]byte, 100)}
	}
	var settled time.Duration
	for b.Loop() {
		if _, err := m.Begin(txn.ReadCommitted, txn.Info{}).Commit(ctx, muts, 1); err != nil {
			b.Fatal(err)
		}
		begun := time.Now()
		cleaned(m)
		settled += time.Since(begun)
	}
	b.ReportMetric(settled.Seconds()/float64(b.N), "settled-s/op")
}
