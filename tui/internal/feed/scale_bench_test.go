package feed

import (
	"testing"
	"time"

	"github.com/nodedb/nodedb/client/adminpb"
)

// largeResponse is a first response of a cluster.
func largeResponse(nodes, ranges int) *adminpb.WatchResponse {
	r := &adminpb.WatchResponse{Reset_: true}
	for id := range uint32(nodes) {
		r.Nodes = append(r.Nodes, &adminpb.Node{Id: id + 1})
	}
	for id := range uint32(ranges) {
		r.Ranges = append(r.Ranges, &adminpb.Range{Id: id + 1, Leader: id%uint32(nodes) + 1, ReadsPerSecond: 4, WritesPerSecond: 2})
	}
	return r
}

// BenchmarkScaleApply is a response of the cluster that is the goal, and the
// snapshot that is made of it.
func BenchmarkScaleApply(b *testing.B) {
	topics := []string{Nodes, Ranges}
	whole := largeResponse(1000, 100_000)
	now := time.Unix(1000, 0)
	b.Run("first", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var st state
			st.apply(whole, topics, now)
			st.publish()
		}
	})
	for _, c := range []struct {
		name string
		busy int
	}{{"changed=1", 1}, {"changed=1000", 1000}} {
		b.Run(c.name, func(b *testing.B) {
			var st state
			st.apply(whole, topics, now)
			delta := &adminpb.WatchResponse{}
			for i := range c.busy {
				old := whole.GetRanges()[i*97]
				delta.Ranges = append(delta.Ranges, &adminpb.Range{Id: old.GetId(), Leader: old.GetLeader(), ReadsPerSecond: 5, WritesPerSecond: 2})
			}
			b.ReportAllocs()
			for b.Loop() {
				now = now.Add(time.Second)
				st.apply(delta, topics, now)
				st.publish()
			}
		})
	}
}
