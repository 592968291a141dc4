package kv

import (
	"context"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// BenchmarkAttempt is what a request costs its gateway beside the request itself.
func BenchmarkAttempt(b *testing.B) {
	c := newFakeCluster(b, 3, 3)
	d := c.nodes[1].db
	for name, x := range map[string]struct {
		id    cluster.RangeID
		waits bool
	}{"here": {2, false}, "elsewhere": {3, true}} {
		b.Run(name, func(b *testing.B) {
			d.cfg.Table.SetLeader(x.id, cluster.NodeID(x.id-1))
			ctx, cancel := context.WithCancel(b.Context())
			defer cancel()
			b.ReportAllocs()
			for b.Loop() {
				_ = d.request(x.id, Policy{}).run(ctx, func(ctx context.Context, _ cluster.NodeID) error {
					if x.waits {
						<-open(ctx)
					}
					return nil
				})
			}
		})
	}
}

// open asks for the context's channel, as whoever waits does.
func open(ctx context.Context) <-chan struct{} {
	ch := make(chan struct{})
	close(ch)
	select {
	case <-ctx.Done():
	case <-ch:
	}
	return ch
}
