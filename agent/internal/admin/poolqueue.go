package admin

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/client/adminpb"
)

// queueShown bounds what is said to wait for one pool.
const queueShown = 64

// poolQueue is what waits for one pool, by kind.
type poolQueue struct{ operations, moves, ranges, misfits []*adminpb.PoolWait }

// queue adds to each pool what is to be done in it and is not done yet: operations that
// wait for their turn or are at work, their moves, ranges that are still to be made, and
// ranges that lie otherwise than the pool wants while nobody moves them.
func (s *sight) queue(pools []*adminpb.Pool) {
	waits := map[string]*poolQueue{}
	for _, p := range pools {
		waits[p.GetName()] = &poolQueue{}
	}
	moving := map[cluster.RangeID]bool{}
	ids := s.View.OperationIDs()
	slices.SortStableFunc(ids, func(a, b string) int {
		return cmp.Or(s.View.Operations[a].CreatedAt.Compare(s.View.Operations[b].CreatedAt), cmp.Compare(a, b))
	})
	for _, id := range ids {
		if op := s.View.Operations[id]; !op.State.Final() {
			s.operationWaits(waits, op, moving)
		}
	}
	for _, p := range s.View.Pools {
		if q := waits[p.Name]; q != nil && len(p.Seeds) > 0 {
			w := &adminpb.PoolWait{What: "range", Count: uint32(len(p.Seeds)), Why: "still to be made"}
			if len(q.operations) > 0 {
				w.Operation = q.operations[0].GetOperation()
			}
			q.ranges = append(q.ranges, w)
		}
	}
	if s.Snapshot != nil {
		for _, id := range s.survey.misplaced(s.Snapshot) {
			r := s.Snapshot.Range(id)
			if q := waits[s.View.PoolName(r.Descriptor.Pool)]; q != nil && !moving[id] && !r.Descriptor.IsMeta() {
				q.misfits = append(q.misfits, &adminpb.PoolWait{What: "misfit", Range: uint32(id), Why: s.Snapshot.Misfit(r)})
			}
		}
	}
	for _, p := range pools {
		q := waits[p.GetName()]
		all := slices.Concat(q.operations, q.moves, q.ranges, q.misfits)
		p.QueueTotal, p.Queue = uint32(len(all)), all[:min(len(all), queueShown)]
	}
}

// operationWaits adds an operation to the pools that it is of or has moves in; moving
// gets the ranges that it has yet to move.
func (s *sight) operationWaits(waits map[string]*poolQueue, op *cluster.Operation, moving map[cluster.RangeID]bool) {
	count := map[string]uint32{}
	for i := range op.Items {
		it := &op.Items[i]
		d := s.View.Ranges.Get(it.Range)
		if it.Step == "done" || d == nil || d.IsMeta() {
			continue
		}
		moving[it.Range] = true
		pool := s.View.PoolName(d.Pool)
		count[pool]++
		if q := waits[pool]; q != nil {
			q.moves = append(q.moves, moveWait(op, it))
		}
	}
	if op.Spec.Pool != "" {
		count[op.Spec.Pool] += 0 // it is of the pool, whatever it moves
	}
	if len(op.Items) == 0 {
		for _, pool := range s.poolsOn(op.Spec.Nodes) {
			count[pool] += 0 // it will have moves there once its turn has come
		}
	}
	for _, pool := range sortedKeys(count) {
		if q := waits[pool]; q != nil {
			q.operations = append(q.operations, &adminpb.PoolWait{What: "operation", Operation: op.ID, Kind: string(op.Spec.Kind), State: string(op.State), Why: op.Why,
				Since: timestamp(op.CreatedAt), Count: count[pool]})
		}
	}
}

func moveWait(op *cluster.Operation, it *cluster.Item) *adminpb.PoolWait {
	w := &adminpb.PoolWait{What: "move", Operation: op.ID, Kind: string(op.Spec.Kind), Range: uint32(it.Range), From: uint32(it.From), To: uint32(it.To),
		State: it.Step, Why: it.Why, Since: timestamp(op.CreatedAt), RetryAt: timestamp(it.RetryAt)}
	if it.Leadership {
		w.What = "transfer"
	}
	if it.Needs != "" {
		w.Why = fmt.Sprintf("needs %s", it.Needs)
		if it.Why != "" {
			w.Why = it.Why + "; " + w.Why
		}
	}
	return w
}

// poolsOn are the pools with a replica on one of the nodes.
func (s *sight) poolsOn(nodes []cluster.NodeID) []string {
	if len(nodes) == 0 {
		return nil
	}
	found := map[string]bool{}
	for _, f := range s.ranges {
		if !f.descriptor.IsMeta() && !found[f.pool] && slices.ContainsFunc(nodes, func(n cluster.NodeID) bool { _, on := f.descriptor.On(n); return on }) {
			found[f.pool] = true
		}
	}
	return sortedKeys(found)
}
