package clusterview

import (
	"maps"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/operation"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// Events makes the rows of SHOW EVENTS.
func Events(list []*cluster.Event) [][]datum.Datum {
	var out [][]datum.Datum
	optional := func(name string, set bool) datum.Datum {
		if !set {
			return datum.MakeNull(datum.Text)
		}
		return datum.MakeText(name)
	}
	for _, e := range list {
		out = append(out, []datum.Datum{datum.MakeCount(e.Sequence), datum.FromTime(e.Time), datum.MakeText(string(e.Kind)), datum.MakeText(string(e.Severity)),
			optional(e.Node.String(), e.Node != 0), optional(e.Range.String(), e.Range != 0), optional(e.Operation, e.Operation != ""),
			optional(e.By, e.By != ""), datum.MakeText(e.Text)})
	}
	return out
}

// Dropped are the collections that were dropped and whose rows are not gone from all
// ranges: when they may go at the earliest, and from how many ranges of the pool they are.
func Dropped(view *metastate.View, statuses map[cluster.NodeID]*cluster.NodeStatus) [][]datum.Datum {
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
			datum.MakeText(d.Object.Name), datum.MakeCount(uint64(id)), datum.MakeText(view.PoolName(d.Object.Collection.Pool)),
			datum.FromTime(d.DroppedAt), datum.FromTime(d.FreesAt().Add(view.Settings.GCTTL())), datum.MakeCount(len(ranges)), datum.MakeCount(done),
		})
	}
	return out
}

// HostRules are the rows of SHOW HBA.
func HostRules(view *metastate.View) [][]datum.Datum {
	rules := view.Settings.HostRules()
	out := make([][]datum.Datum, len(rules))
	for i := range rules {
		r := &rules[i]
		line := datum.MakeNull(datum.Int8)
		if r.Line > 0 {
			line = datum.MakeCount(r.Line)
		}
		out[i] = []datum.Datum{line, datum.MakeText(r.Type), datum.MakeText(r.DatabaseNames()), datum.MakeText(r.UserNames()), datum.MakeText(r.Address()), datum.MakeText(string(r.Method)), TextOrNull(r.Options())}
	}
	return out
}

// Operations makes the rows of SHOW OPERATIONS.
func Operations(view *metastate.View) [][]datum.Datum {
	var out [][]datum.Datum
	for _, id := range view.OperationIDs() {
		o := view.Operations[id]
		out = append(out, []datum.Datum{datum.MakeText(o.ID), datum.MakeText(string(o.Spec.Kind)), NodeNames(o.Spec.Nodes), datum.MakeText(string(o.State)),
			datum.MakeText(o.Phase), datum.MakeCount(o.Done.Ranges), datum.MakeCount(o.Total.Ranges), datum.MakeText(o.RequestedBy), datum.FromTime(o.CreatedAt), datum.MakeText(o.Why)})
	}
	return out
}

// Evenness makes the rows of SHOW REBALANCE.
func Evenness(r operation.Rebalance) [][]datum.Datum {
	var out [][]datum.Datum
	for _, d := range r.Dimensions {
		out = append(out, []datum.Datum{
			datum.MakeText(d.Name), datum.MakeFloat(datum.Float8, d.Min), datum.MakeFloat(datum.Float8, d.Mean), datum.MakeFloat(datum.Float8, d.Max),
			NodeName(d.MinNode), NodeName(d.MaxNode), datum.MakeBool(d.WouldAct), datum.MakeText(d.Why), datum.MakeText(r.Policy), datum.MakeText(r.Verdict),
		})
	}
	return out
}
