package metastate

import (
	"testing"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// vastView has n ranges of one vshard each, in as many pools as it takes.
func vastView(n int) *View {
	v := emptyView()
	for i := range n {
		at := cluster.VShard(i % cluster.VShards) //nolint:gosec // bounded
		v.Ranges = v.Ranges.With(&cluster.RangeDescriptor{
			ID: cluster.RangeID(i + 2), Pool: cluster.PoolID(i / cluster.VShards), Start: at.Key(), End: (at + 1).Key(), Generation: 1, NextReplica: 4, //nolint:gosec // bounded
			Replicas: []cluster.ReplicaDescriptor{{Node: 1, Replica: 1, Role: cluster.Voter}, {Node: 2, Replica: 2, Role: cluster.Voter}, {Node: 3, Replica: 3, Role: cluster.Voter}},
		})
	}
	v.spans = dataRanges(v.Ranges)
	return v
}

// BenchmarkPublish is what the meta range does with one descriptor that changed,
// among 100,000.
func BenchmarkPublish(b *testing.B) {
	v := vastView(100_000)
	b.ReportAllocs()
	for b.Loop() {
		c := newChange(v, v.Index+1, 1)
		d := *v.Ranges.Get(77)
		d.Generation++
		if r := c.updateRanges(&UpdateRanges{Descriptors: []cluster.RangeDescriptor{d}}); r.Refusal != nil || r.Existed {
			b.Fatalf("%+v", r)
		}
		v = c.view
	}
}

// BenchmarkSince finds what one published descriptor changed, among 100,000.
func BenchmarkSince(b *testing.B) {
	v := vastView(100_000)
	next := *v
	d := *v.Ranges.Get(77)
	next.Ranges = next.Ranges.With(&d)
	b.ReportAllocs()
	for b.Loop() {
		told := 0
		next.RangesSince(v, func(cluster.RangeID, *cluster.RangeDescriptor) { told++ })
		if told != 1 {
			b.Fatal(told)
		}
	}
}

// BenchmarkOwner finds the range of a key, among 100,000.
func BenchmarkOwner(b *testing.B) {
	v := vastView(100_000)
	at := cluster.VShard(300).Key()
	b.ReportAllocs()
	for b.Loop() {
		if d, ok := v.RangeOf(50, at); !ok || d.Pool != 50 {
			b.Fatal(d)
		}
	}
}
