package store

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// BenchmarkPropose measures replicated commands over three stores in this
// process, on disk, with syncs: one iteration is one command of 256 bytes.
func BenchmarkPropose(b *testing.B) {
	for _, x := range []struct{ ranges, clients int }{{1, 1}, {1, 64}, {62, 1}, {62, 16}, {62, 64}, {62, 256}} {
		b.Run(fmt.Sprintf("ranges=%d/clients=%d", x.ranges, x.clients), func(b *testing.B) {
			c := benchCluster(b, x.ranges)
			value := string(make([]byte, 256))
			b.ResetTimer()
			runClients(b, x.clients, func(i int) error {
				id := cluster.RangeID(2 + i%x.ranges)
				n := c.nodes[cluster.NodeID(1+int(id)%3)]
				_, _, err := n.get().Propose(context.Background(), id, Command{ID: newID(n.clock), Payload: put(c.row(id, fmt.Sprint("k", i)), value)})
				return err
			})
		})
	}
}

// BenchmarkRead measures linearizable views at the leader.
func BenchmarkRead(b *testing.B) {
	for _, x := range []struct{ ranges, clients int }{{1, 1}, {62, 64}} {
		b.Run(fmt.Sprintf("ranges=%d/clients=%d", x.ranges, x.clients), func(b *testing.B) {
			c := benchCluster(b, x.ranges)
			b.ResetTimer()
			runClients(b, x.clients, func(i int) error {
				id := cluster.RangeID(2 + i%x.ranges)
				n := c.nodes[cluster.NodeID(1+int(id)%3)]
				h, err := n.get().Read(context.Background(), id, n.clock.Now(), Scope{})
				if err == nil {
					h.Close()
				}
				return err
			})
		})
	}
}

// BenchmarkReadBesideWrites measures reads of a row that nobody writes, while 16 clients
// write to others of its range: as they are, and when they wait for the whole range.
func BenchmarkReadBesideWrites(b *testing.B) {
	c := benchCluster(b, 1)
	n := c.nodes[3] // leads range 2
	var wrong atomic.Int64
	ctx, cancel := context.WithCancel(b.Context())
	var writers sync.WaitGroup
	for w := range 16 {
		writers.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				if _, _, err := n.get().Propose(ctx, 2, Command{ID: newID(n.clock), Payload: put(c.row(2, fmt.Sprint("w", w)), "x")}); err != nil && ctx.Err() == nil {
					wrong.Add(1)
				}
			}
		})
	}
	for name, rows := range map[string]Scope{"its row": {Rows: [][]byte{c.row(2, "a")}}, "the range": {}} {
		b.Run(name, func(b *testing.B) {
			for range b.N {
				h, err := n.get().Read(ctx, 2, n.clock.Now(), rows)
				if err != nil {
					b.Fatal(err)
				}
				h.Close()
			}
		})
	}
	cancel()
	writers.Wait()
	if wrong.Load() > 0 {
		b.Errorf("%d writes failed", wrong.Load())
	}
}

func benchCluster(b *testing.B, ranges int) *testCluster {
	c := &testCluster{t: b, nodes: map[cluster.NodeID]*testNode{}, down: map[cluster.NodeID]bool{}, tune: func(cfg *Config) {
		cfg.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
		cfg.Tick = 100 * time.Millisecond
	}}
	for i := cluster.NodeID(1); i <= 3; i++ {
		c.nodes[i] = &testNode{c: c, id: i, dir: b.TempDir()}
		c.nodes[i].open()
	}
	b.Cleanup(func() {
		for _, n := range c.nodes {
			n.close()
		}
	})
	c.bootstrap(ranges)
	var wg sync.WaitGroup
	for i := range ranges {
		id := cluster.RangeID(2 + i)
		wg.Go(func() {
			c.grow(id, 2, 3)
			to := cluster.NodeID(1 + int(id)%3)
			eventually(b, "transfer", func() error {
				l := c.leader(id)
				if l.id == to {
					return nil
				}
				return l.get().Transfer(context.Background(), id, to)
			})
		})
	}
	wg.Wait()
	return c
}

func runClients(b *testing.B, clients int, fn func(i int) error) {
	var next, failed atomic.Int64
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for i := int(next.Add(1)); i <= b.N; i = int(next.Add(1)) {
				if fn(i) != nil {
					failed.Add(1)
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(failed.Load()), "failed")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
}
