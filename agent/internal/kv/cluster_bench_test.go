package kv_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/kv"
)

// BenchmarkCluster measures the gateway over three real stores in one process:
// consensus and its batches, but neither disk nor network.
func BenchmarkCluster(b *testing.B) {
	c := startCluster(b, 3, 64)
	n := c.all()[0]
	ctx := context.Background()
	for i := range 1000 {
		if err := n.put(ctx, i, "v", datastate.Any); err != nil {
			b.Fatal(err)
		}
	}
	for _, clients := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("put/clients=%d", clients), func(b *testing.B) {
			var next atomic.Int64
			b.SetParallelism((clients + 1) / 2) // of two cores
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := n.put(ctx, int(next.Add(1)), "v", datastate.Any); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
		b.Run(fmt.Sprintf("get/clients=%d", clients), func(b *testing.B) {
			var next atomic.Int64
			b.SetParallelism((clients + 1) / 2)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					k := rowKey(int(next.Add(1) % 1000))
					if _, err := n.db.Get(ctx, kv.GetRequest{Collection: collection, Keys: [][]byte{k}}); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
	for _, ordered := range []bool{false, true} {
		b.Run(fmt.Sprintf("scan of nothing/ordered=%v", ordered), func(b *testing.B) {
			for b.Loop() {
				it, err := n.db.Scan(ctx, kv.ScanRequest{Collection: collection + 1, Ordered: ordered})
				if err != nil {
					b.Fatal(err)
				}
				if rows, err := it.Next(ctx); err == nil {
					b.Fatalf("%d rows", len(rows))
				}
				it.Close()
			}
		})
	}
	b.Run("fresh", func(b *testing.B) {
		for b.Loop() {
			if _, err := n.db.Fresh(ctx); err != nil {
				b.Fatal(err)
			}
		}
	})
}
