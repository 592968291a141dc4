package clusterview

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/operation"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// OperationOn is the operation that changes the pool now.
func OperationOn(view *metastate.View, pool string) string {
	for _, id := range view.OperationIDs() {
		if op := view.Operations[id]; op.Spec.Pool == pool && !op.State.Final() {
			return id
		}
	}
	return ""
}

// Pools makes the rows of SHOW POOLS. What is misfit is what nodedbctl pools says.
func (s *Source) Pools(view *metastate.View, statuses map[cluster.NodeID]*cluster.NodeStatus) [][]datum.Datum {
	now := time.Now()
	reports := make(map[cluster.NodeID]operation.Report, len(statuses))
	for id, st := range statuses {
		reports[id] = operation.Report{Status: st, At: now}
	}
	snap := operation.Snapshot(now, s.Node, view, reports, s.Views.Liveness())
	misfits := map[cluster.PoolID]int{}
	for i := range snap.Ranges {
		if r := &snap.Ranges[i]; !r.Descriptor.IsMeta() && snap.Misfit(r) != "" {
			misfits[r.Descriptor.Pool]++
		}
	}
	var out [][]datum.Datum
	for _, id := range view.PoolIDs() {
		p := view.Pools[id]
		ranges, misfit := view.RangesIn(id), len(p.Seeds)+misfits[id]
		out = append(out, []datum.Datum{datum.MakeText(p.Name), datum.MakeText(string(p.State)), datum.MakeCount(p.Replicas), datum.MakeText(p.Constraints.String()),
			datum.MakeText(p.PreferLeader.String()), datum.MakeCount(len(ranges)), datum.MakeCount(misfit), datum.MakeCount(len(view.CollectionsIn(id))), datum.MakeText(OperationOn(view, p.Name))})
	}
	return out
}

// OnePool makes the rows of SHOW POOL.
func OnePool(view *metastate.View, p *cluster.Pool) [][]datum.Datum {
	return [][]datum.Datum{
		pair("name", p.Name), pair("state", string(p.State)), pair("replicas", strconv.Itoa(p.Replicas)), pair("constraints", p.Constraints.String()),
		pair("prefer_leader", p.PreferLeader.String()), pair("ranges", strconv.Itoa(len(view.RangesIn(p.ID)))),
		pair("ranges_missing", strconv.Itoa(len(p.Seeds))), pair("collections", strings.Join(view.CollectionsIn(p.ID), ", ")),
		pair("operation", OperationOn(view, p.Name)), pair("version", fmt.Sprint(p.Version)),
	}
}
