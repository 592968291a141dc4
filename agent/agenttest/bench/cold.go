package bench

import (
	"context"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/agenttest"
	"github.com/nodedb/nodedb/agent/agenttest/bench/figures"
)

// cold kills all nodes that run and measures from their start until a write is
// acknowledged, and until all are ready. A node that was decommissioned before
// does not run, and cannot be started again.
func (b *bench) cold(t *testing.T) {
	var first, all []float64
	for range b.opts.Faults {
		var nodes []*agenttest.Node
		for _, n := range b.c.Nodes() {
			if n.Running() {
				nodes = append(nodes, n)
			}
		}
		for _, n := range nodes {
			n.Kill()
		}
		begin := time.Now()
		for _, n := range nodes {
			n.StartUnready()
		}
		b.firstWrite(t)
		first = append(first, time.Since(begin).Seconds())
		for _, n := range nodes {
			n.WaitReady()
		}
		all = append(all, time.Since(begin).Seconds())
		b.c.WaitReplicated()
	}
	b.add(t, figures.Of(b.step, "3 nodes", figures.Ours, "first write", "s", figures.Less, first...))
	b.add(t, figures.Of(b.step, "3 nodes", figures.Ours, "all ready", "s", figures.Less, all...))
}

// firstWrite tries until a write is acknowledged.
func (b *bench) firstWrite(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	w := &sqlWriter{urls: b.ours.URLs, id: 1}
	defer w.close()
	for {
		err := w.write(ctx)
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("no write was acknowledged within a minute of a cold start: %v", err)
		}
		waitUntil(ctx, time.Now().Add(5*time.Millisecond))
	}
}
