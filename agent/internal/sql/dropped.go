package sql

import (
	"maps"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// dropped are the collections that were dropped and whose rows are not gone from all
// ranges: when they may go at the earliest, and from how many ranges of the pool they are.
func dropped(view *metastate.View, statuses map[cluster.NodeID]*cluster.NodeStatus) [][]datum.Datum {
	cleared := map[cluster.RangeID]uint64{}
	for _, st := range statuses {
		for _, r := range st.Ranges {
			cleared[r.Descriptor.ID] = max(cleared[r.Descriptor.ID], r.Cleared)
		}
	}
	var out [][]datum.Datum
	for _, id := range slices.Sorted(maps.Keys(view.Dropped)) {
		d := view.Dropped[id]
		ranges, done := view.RangesIn(d.Object.Collection.Pool), 0
		for _, r := range ranges {
			if cleared[r] >= d.Index {
				done++
			}
		}
		out = append(out, []datum.Datum{
			datum.MakeText(d.Object.Name), number(uint64(id)), datum.MakeText(view.PoolName(d.Object.Collection.Pool)),
			datum.FromTime(d.DroppedAt), datum.FromTime(d.FreesAt().Add(view.Settings.GCTTL())), number(len(ranges)), number(done),
		})
	}
	return out
}
