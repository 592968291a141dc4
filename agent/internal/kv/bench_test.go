package kv

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/datastate"
)

// The benchmarks run over fakeCluster: they measure this package, its messages
// and the state machine, without consensus, disk and network.

func BenchmarkGet(b *testing.B) {
	c := newFakeCluster(b, 3, 64)
	c.load(10000)
	for name, node := range map[string]*fakeNode{"local": c.nodes[1], "remote": c.nodes[2]} {
		c.leadAll(1)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for i := 0; pb.Next(); i++ {
					rows, err := node.db.Get(context.Background(), GetRequest{Collection: testCollection, Keys: [][]byte{key(i % 10000)}})
					if err != nil || rows[0].Value == nil {
						b.Errorf("row %d: %+v, %v", i%10000, rows, err)
						return
					}
				}
			})
		})
	}
}

func BenchmarkWrite(b *testing.B) {
	for name, id := range map[string]cluster.NodeID{"local": 1, "remote": 2} {
		for _, rows := range []int{1, 100} {
			b.Run(fmt.Sprintf("%s/rows=%d", name, rows), func(b *testing.B) {
				c := newFakeCluster(b, 3, 64)
				c.leadAll(1)
				db := c.nodes[id].db
				muts := make([]Mutation, rows)
				b.ReportAllocs()
				for n := 0; b.Loop(); n++ {
					for i := range muts {
						muts[i] = put(n*rows+i, "some value of a usual length, say fifty bytes....", datastate.Any)
					}
					if _, err := db.Write(context.Background(), muts, WriteOptions{}); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkScan(b *testing.B) {
	const rows = 100000
	c := newFakeCluster(b, 3, 64)
	for i := 0; i < rows; i += 10000 {
		muts := make([]Mutation, 10000)
		for j := range muts {
			muts[j] = put(i+j, "some value of a usual length, say fifty bytes....", datastate.Any)
		}
		if _, err := c.nodes[1].db.Write(context.Background(), muts, WriteOptions{}); err != nil {
			b.Fatal(err)
		}
	}
	c.nodes[1].db.cfg.ChunkRows = 2048
	for _, ordered := range []bool{false, true} {
		b.Run(fmt.Sprintf("ordered=%v", ordered), func(b *testing.B) {
			for b.Loop() {
				it, err := c.nodes[1].db.Scan(context.Background(), ScanRequest{Collection: testCollection, Ordered: ordered})
				if err != nil {
					b.Fatal(err)
				}
				n := 0
				for {
					batch, err := it.Next(context.Background())
					if errors.Is(err, io.EOF) {
						break
					}
					if err != nil {
						b.Fatal(err)
					}
					n += len(batch)
				}
				it.Close()
				if n != rows {
					b.Fatalf("%d rows, want %d", n, rows)
				}
			}
			b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
