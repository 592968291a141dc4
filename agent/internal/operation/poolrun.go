package operation

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/placement"
)

// MethodCreate makes the first replica of a range of a new pool.
const MethodCreate = "range.create"

// neverAgain is a replica id above all that a range gives out: behind a tombstone
// of it no replica of the range comes back.
const neverAgain cluster.ReplicaID = 1 << 62

// removedAtOnce bounds the replicas of dropped pools that are removed in one step.
const removedAtOnce = 32

// stepPool carries an operation on a pool on. Nothing of it is kept in memory but
// what is in flight: where it stands follows from the pool's record and the
// descriptors, so a new coordinator goes on where the one before stopped.
func (c *Controller) stepPool(r *run) {
	if r.op.State.Final() || r.command != 0 || c.in.Now.Before(r.retryAt) {
		return
	}
	was := r.op.Why
	c.carryPool(r)
	r.dirty = r.dirty || r.op.Why != was
}

func (c *Controller) carryPool(r *run) {
	if r.op.Spec.Kind == cluster.OpPoolDrop {
		c.removePool(r)
		return
	}
	pool, ok := c.in.View.Pool(r.op.Spec.Pool)
	switch {
	case !ok:
		r.fail(fmt.Sprintf("pool %s is gone", r.op.Spec.Pool))
	case r.op.State == cluster.OpCancelling:
		c.cancelPool(r, pool)
	case len(pool.Seeds) > 0:
		c.seed(r, pool)
	case r.op.Phase == PhaseVerify:
		c.verifyPool(r, pool)
	case r.op.Phase == PhaseLeaders:
		c.poolLeaders(r, pool)
	default:
		c.growPool(r, pool)
	}
}

// seed has each range made on the node that the pool's record names for it.
func (c *Controller) seed(r *run, pool *cluster.Pool) {
	r.phase(PhaseSeed, c.in.Now)
	notePhase(&r.op, PhaseSeed, fmt.Sprintf("%d of %d ranges are made", pool.Ranges-len(pool.Seeds), pool.Ranges))
	var away, lost []cluster.PoolSeed
	for _, s := range pool.Seeds {
		n := c.snap.Node(s.Node)
		if n == nil || !n.Live() {
			if c.cfg.Planted.seedsAgain() {
				c.seedAgain(r, pool, s)
			}
			away = append(away, s)
			if n == nil || n.Membership == cluster.Decommissioned || n.Down() && n.DownFor >= c.snap.DeadAfter {
				lost = append(lost, s)
			}
			continue
		}
		if c.seeding[s.Range] != 0 || c.in.Now.Sub(c.seeded[s.Range]) < tellEvery {
			continue
		}
		c.makeRange(r, pool, s)
	}
	if len(away) == 0 {
		r.say(cluster.OpRunning, cmp.Or(r.unmade, fmt.Sprintf("waits for the leaders of %d of its ranges", len(pool.Seeds))))
		return
	}
	var where []string
	for _, s := range away {
		where = append(where, fmt.Sprintf("%s on %s", s.Range, s.Node))
	}
	why := fmt.Sprintf("%s is to be made and the node is not alive: start it; when it has been dead for %s the range is made elsewhere", strings.Join(where, ", "), c.in.View.Settings.DeadAfter())
	if len(lost) > 0 && !c.reseed(r, pool, lost) {
		why = fmt.Sprintf("%s is to be made and the node is lost, and no other node can take it: see nodedbctl nodes", strings.Join(where, ", "))
	}
	r.say(cluster.OpBlocked, why)
}

// reseed has ranges whose nodes are lost made on others, and reports whether there
// are any. They get other ids: whether one was made on its node nobody knows, so it
// is never made elsewhere, but given up. Nothing can be in it: the pool is not
// ready, and no range grows that was not published.
func (c *Controller) reseed(r *run, pool *cluster.Pool, lost []cluster.PoolSeed) bool {
	nodes := placement.Seed(c.snap, &pool.PoolSpec, len(lost))
	if len(nodes) == 0 {
		return false
	}
	var batch []metastate.Command
	for i, s := range lost {
		batch = append(batch, metastate.Command{ReseedPool: &metastate.ReseedPool{Pool: pool.ID, Range: s.Range, Node: nodes[i]}})
	}
	r.command = c.command(r.op.ID, metastate.Command{Batch: batch})
	return true
}

// makeRange has one range of a new pool made.
func (c *Controller) makeRange(r *run, pool *cluster.Pool, s cluster.PoolSeed) {
	c.seeded[s.Range] = c.in.Now
	c.seeding[s.Range] = c.do(Action{Kind: ActCreate, Operation: r.op.ID, To: s.Node, Range: s.Range, Descriptor: seedDescriptor(pool, s)})
}

// seedAgain is what must not be: the same range on another node.
func (c *Controller) seedAgain(r *run, pool *cluster.Pool, s cluster.PoolSeed) {
	if nodes := placement.Seed(c.snap, &pool.PoolSpec, 1); len(nodes) > 0 && c.in.Now.Sub(c.seeded[s.Range]) >= tellEvery {
		s.Node = nodes[0]
		c.makeRange(r, pool, s)
	}
}

// seedDescriptor is a range of a new pool as it begins.
func seedDescriptor(pool *cluster.Pool, s cluster.PoolSeed) cluster.RangeDescriptor {
	return cluster.RangeDescriptor{
		ID: s.Range, Pool: pool.ID, Start: s.Start.Key(), End: s.End.Key(), Generation: 1, NextReplica: 2,
		Replicas: []cluster.ReplicaDescriptor{{Node: s.Node, Replica: 1, Role: cluster.Voter}},
	}
}

// seedDone takes in whether a range was made; that it is there its leader says.
func (c *Controller) seedDone(done Completion) {
	id := done.Action.Range
	if c.seeding[id] != done.Action.ID {
		return
	}
	delete(c.seeding, id)
	if r := c.runs[done.Action.Operation]; r != nil {
		r.unmade = ""
		if done.Err != nil {
			r.unmade = fmt.Sprintf("%s cannot be made on %s yet: %v", id, done.Action.To, done.Err)
		}
	}
}

// planPool plans what is left to be done for the ranges of a pool.
func (c *Controller) planPool(r *run, pool *cluster.Pool) (placement.Plan, placement.Verdict) {
	s := *c.snap
	if r.op.Spec.MaxDisk > 0 {
		s.MaxDisk = r.op.Spec.MaxDisk
	}
	return placement.Make(&s, placement.Intent{Goal: placement.GoalPool, Pool: pool.ID})
}

// growPool keeps as many moves going as there is room for, until the pool's ranges
// are as it wants them.
func (c *Controller) growPool(r *run, pool *cluster.Pool) {
	r.phase(PhaseMove, c.in.Now)
	if r.plannedA.IsZero() || c.in.Now.Sub(r.plannedA) >= replanEvery || len(r.work) == 0 && !c.movingFor(r.op.ID) {
		if c.replanPool(r, pool) {
			return
		}
	}
	c.begin(r)
}

// replanPool plans anew, and reports whether there is nothing to move any more.
func (c *Controller) replanPool(r *run, pool *cluster.Pool) (done bool) {
	r.plannedA = c.in.Now
	plan, verdict := c.planPool(r, pool)
	r.work = r.work[:0]
	left := cluster.Progress{Replicas: len(plan.Moves)}
	last := cluster.RangeID(0)
	for _, m := range plan.Moves {
		left.Bytes += m.Bytes - min(m.Bytes, c.copiedBy(m))
		if m.Range == last {
			continue // the next one of a range is planned when this one has ended
		}
		last = m.Range
		left.Ranges++
		if c.moves[m.Range] == nil {
			r.work = append(r.work, m)
		}
	}
	c.countPool(r, left)
	r.op.Refusals = obstacles(verdict)
	if len(plan.Moves) > 0 || c.movingFor(r.op.ID) {
		return false
	}
	if verdict.Passes() {
		r.say(cluster.OpRunning, "waits: "+verdict.String())
		return true
	}
	if !verdict.OK() && !c.enough(r, pool) {
		r.say(cluster.OpBlocked, verdict.String())
		return true
	}
	r.op.Items, r.op.ItemsTotal, r.op.Pace, r.op.Stalled, r.op.Refusals = nil, 0, cluster.Pace{}, false, nil
	r.say(cluster.OpRunning, "")
	r.phase(PhaseLeaders, c.in.Now)
	r.leadersA = c.in.Now
	return true
}

// countPool sets what is done of an operation from what is left.
func (c *Controller) countPool(r *run, left cluster.Progress) {
	t := &r.op.Total
	t.Ranges, t.Replicas, t.Bytes = max(t.Ranges, left.Ranges), max(t.Replicas, left.Replicas), max(t.Bytes, left.Bytes)
	r.op.Done.Ranges, r.op.Done.Replicas, r.op.Done.Bytes = t.Ranges-left.Ranges, t.Replicas-left.Replicas, t.Bytes-left.Bytes
}

// enough reports whether a new pool has all that it can get for now: every range
// leads, and lacks nothing but nodes. Repair adds the rest as they come.
func (c *Controller) enough(r *run, pool *cluster.Pool) bool {
	return r.op.Spec.Kind == cluster.OpPoolCreate && c.everyRange(pool, func(x *placement.Range) bool {
		return x.Leader != 0 && !x.Descriptor.Joint() && len(x.Descriptor.Voters()) < pool.Replicas
	})
}

func (c *Controller) everyRange(pool *cluster.Pool, ok func(*placement.Range) bool) bool {
	for i := range c.snap.Ranges {
		if x := &c.snap.Ranges[i]; !x.Descriptor.IsMeta() && x.Descriptor.Pool == pool.ID && !ok(x) {
			return false
		}
	}
	return true
}

// poolLeaders hands leaderships to where the pool prefers them.
func (c *Controller) poolLeaders(r *run, pool *cluster.Pool) {
	if r.leadersA.IsZero() {
		r.leadersA = c.in.Now
	}
	plan, _ := c.planPool(r, pool)
	if len(plan.Moves) > 0 {
		r.plannedA = c.in.Now.Add(-replanEvery)
		r.phase(PhaseMove, c.in.Now) // something came back: once more
		return
	}
	for _, t := range plan.Transfers {
		c.hand(r.op.ID, t)
	}
	r.op.Total.Leaders = max(r.op.Total.Leaders, len(plan.Transfers))
	r.op.Done.Leaders = r.op.Total.Leaders - len(plan.Transfers)
	if len(plan.Transfers) == 0 && !c.handing(r.op.ID) || c.in.Now.Sub(r.leadersA) > leadersFor {
		r.phase(PhaseVerify, c.in.Now)
	}
}

// verifyPool asks the leader of each range of the pool what it has applied, and
// ends the operation with the proof.
func (c *Controller) verifyPool(r *run, pool *cluster.Pool) {
	if r.proof == nil {
		c.beginPoolProof(r, pool)
	}
	if len(r.proof.waiting) > 0 {
		return
	}
	failed := r.proof.failed
	if k, missing := gap(r.proof.found); missing && failed == "" {
		failed = fmt.Sprintf("%s belongs to a range that was split off just now", k.Text())
	}
	for _, id := range sorted(r.proof.found) {
		d := r.proof.found[id]
		x := &placement.Range{Descriptor: d}
		if why := c.snap.Misfit(x); failed == "" && why != "" && !(r.op.Spec.Kind == cluster.OpPoolCreate && len(d.Voters()) < pool.Replicas && !d.Joint()) {
			failed = fmt.Sprintf("%s %s", id, why)
		}
	}
	if failed != "" {
		r.op.Why = "the proof waits: " + failed
		r.proof, r.retryAt = nil, c.in.Now.Add(c.cfg.Retry)
		r.phase(PhaseMove, c.in.Now)
		return
	}
	c.finishPool(r, pool)
}

// gap returns a key that none of the ranges of a pool owns, if there is one.
func gap(found map[cluster.RangeID]cluster.RangeDescriptor) (cluster.Key, bool) {
	var ds []cluster.RangeDescriptor
	for _, id := range sorted(found) {
		ds = append(ds, found[id])
	}
	slices.SortFunc(ds, func(a, b cluster.RangeDescriptor) int { return cmp.Compare(a.Start, b.Start) })
	at := cluster.VShard(0).Key()
	for i := range ds {
		if ds[i].Start > at {
			break
		}
		at = max(at, ds[i].End)
	}
	return at, at != cluster.VShard(cluster.VShards).Key()
}

func (c *Controller) beginPoolProof(r *run, pool *cluster.Pool) {
	r.proof = &proofing{waiting: map[uint64]bool{}, found: map[cluster.RangeID]cluster.RangeDescriptor{}}
	led := map[cluster.NodeID][]cluster.RangeID{}
	c.everyRange(pool, func(x *placement.Range) bool {
		if x.Leader == 0 {
			r.proof.failed = x.Descriptor.ID.String() + " has no leader that is known"
			return false
		}
		led[x.Leader] = append(led[x.Leader], x.Descriptor.ID)
		return true
	})
	if r.proof.failed != "" {
		return
	}
	for _, n := range sorted(led) {
		r.proof.waiting[c.do(Action{Kind: ActProof, Operation: r.op.ID, To: n, Ranges: led[n]})] = true
	}
}

// finishPool records the end, and that a new pool is ready, in one command.
func (c *Controller) finishPool(r *run, pool *cluster.Pool) {
	found := r.proof.found
	r.proof = nil
	publish := &metastate.UpdateRanges{}
	fewest := pool.Replicas
	for _, id := range sorted(found) {
		d := found[id]
		fewest = min(fewest, len(d.Voters()))
		if old := c.in.View.Ranges.Get(id); old == nil || old.Generation < d.Generation {
			publish.Descriptors = append(publish.Descriptors, d)
		}
	}
	end := c.ending(r, cluster.OpSucceeded)
	endPhase(&end, PhaseVerify, phaseDone, "", c.in.Now)
	end.Proof = &cluster.Proof{MetaIndex: c.in.View.Index, Descriptors: len(found), Leaders: len(found)}
	end.Done = end.Total
	end.ModelError = score(r.stored, end.Planned, c.in.Now)
	end.Why = fmt.Sprintf("%s, applied at their leaders", eachHas(len(found), pool.Replicas))
	if fewest < pool.Replicas {
		end.Why = fmt.Sprintf("%d ranges have a leader; some have %d of %d voters: the rest is added as nodes come", len(found), fewest, pool.Replicas)
	}
	var batch []metastate.Command
	if len(publish.Descriptors) > 0 {
		batch = append(batch, metastate.Command{UpdateRanges: publish})
	}
	if pool.State == cluster.PoolCreating {
		batch = append(batch, metastate.Command{ReadyPool: &metastate.ReadyPool{Pool: pool.ID}})
	}
	batch = append(batch, metastate.Command{UpdateOperation: &metastate.UpdateOperation{Operation: end, Term: c.term}})
	r.command = c.command(r.op.ID, metastate.Command{Batch: batch})
}

func eachHas(ranges, voters int) string {
	if voters == 1 {
		return fmt.Sprintf("%d ranges have 1 voter each", ranges)
	}
	return fmt.Sprintf("%d ranges have %d voters each", ranges, voters)
}

// ending is the record of r as it ends.
func (c *Controller) ending(r *run, state cluster.OperationState) cluster.Operation {
	end := r.op
	end.State, end.Items, end.Phases = state, nil, slices.Clone(r.op.Phases)
	end.ItemsTotal, end.Pace, end.Stalled, end.Refusals = 0, cluster.Pace{}, false, nil
	return end
}

// cancelPool lets what is in motion come to rest, and gives the pool back what it
// wanted before; of a new one nothing is left.
func (c *Controller) cancelPool(r *run, pool *cluster.Pool) {
	for _, id := range sorted(c.moves) {
		m := c.moves[id]
		if x := c.snap.Range(id); m.op == r.op.ID && m.inflight == 0 && (x == nil || !x.Descriptor.Joint()) {
			delete(c.moves, id)
		}
	}
	if c.movingFor(r.op.ID) || c.handing(r.op.ID) || r.saving != 0 {
		return
	}
	end := c.ending(r, cluster.OpCancelled)
	var batch []metastate.Command
	switch {
	case r.op.Spec.Kind == cluster.OpPoolCreate && pool.State == cluster.PoolCreating:
		batch = append(batch, metastate.Command{DropPool: &metastate.DropPool{Name: pool.Name}})
	case r.stored.PoolBefore != nil && !pool.Same(r.stored.PoolBefore):
		batch = append(batch, metastate.Command{AlterPool: &metastate.AlterPool{Name: pool.Name, To: *r.stored.PoolBefore}})
		end.Why = cmp.Or(r.stored.Why, "cancelled") + "; pool " + pool.Name + " wants again what it did: " + r.stored.PoolBefore.Text()
	}
	batch = append(batch, metastate.Command{UpdateOperation: &metastate.UpdateOperation{Operation: end, Term: c.term}})
	r.command = c.command(r.op.ID, metastate.Command{Batch: batch})
}

// removePool waits until the replicas of a dropped pool are gone; upkeep removes
// them. What nodes that are away hold goes when they are back.
func (c *Controller) removePool(r *run) {
	r.phase(PhaseRemove, c.in.Now)
	waiting, away, ranges := 0, map[cluster.NodeID]bool{}, 0
	for _, id := range c.in.View.RemovedIDs() {
		x := c.in.View.Removed[id]
		if x.Pool != r.op.PoolID {
			continue
		}
		ranges++
		for _, n := range x.Nodes {
			if node := c.snap.Node(n); node != nil && node.Live() {
				waiting++
			} else {
				away[n] = true
			}
		}
	}
	c.countPool(r, cluster.Progress{Ranges: ranges, Replicas: waiting})
	if waiting > 0 {
		r.say(cluster.OpRunning, fmt.Sprintf("%d replicas are still to be removed", waiting))
		return
	}
	end := c.ending(r, cluster.OpSucceeded)
	end.Done = end.Total
	endPhase(&end, PhaseRemove, phaseDone, "", c.in.Now)
	end.Why = ""
	if len(away) > 0 {
		end.Why = nodeNames(sorted(away)) + " will remove its replicas when it is back"
	}
	r.command = c.command(r.op.ID, metastate.Command{UpdateOperation: &metastate.UpdateOperation{Operation: end, Term: c.term}})
}

// replicaAt is a replica of a range that is gone.
type replicaAt struct {
	node cluster.NodeID
	id   cluster.RangeID
}

// clearRemoved has the replicas of dropped pools removed wherever they are: where
// the record says, and where a node reports one.
func (c *Controller) clearRemoved() {
	if len(c.in.View.Removed) == 0 {
		return
	}
	var at []replicaAt
	for _, id := range c.in.View.RemovedIDs() {
		for _, n := range c.in.View.Removed[id].Nodes {
			at = append(at, replicaAt{n, id})
		}
	}
	var told []cluster.RangeID // where no record says so too: a replica was added just before
	for id := range c.in.View.Removed {
		if len(c.lookout.told[id]) > 0 {
			told = append(told, id)
		}
	}
	slices.Sort(told)
	for _, id := range told {
		for _, x := range c.lookout.told[id] {
			at = append(at, replicaAt{x.node, id})
		}
	}
	asked := 0
	for _, x := range at {
		n := c.snap.Node(x.node)
		if n == nil || !n.Live() || c.in.Now.Sub(c.clearing[x]) < tellEvery || asked >= removedAtOnce {
			continue
		}
		asked++
		c.clearing[x] = c.in.Now
		c.do(Action{Kind: ActDestroy, To: x.node, Range: x.id, Replica: neverAgain})
	}
}

// removedDone records that a node holds no replica of a removed range any more.
func (c *Controller) removedDone(done Completion) {
	x := c.in.View.Removed[done.Action.Range]
	if x == nil || done.Err != nil || done.Action.Replica != neverAgain || !slices.Contains(x.Nodes, done.Action.To) {
		return
	}
	c.command(upkeepOperation, metastate.Command{ClearRemoved: &metastate.ClearRemoved{Node: done.Action.To, Ranges: []cluster.RangeID{x.ID}}})
}

// create makes the first replica of a range of a new pool here, once and for all.
func (s *Server) create(ctx context.Context, r *request) (*reply, error) {
	if r.Descriptor == nil {
		return nil, fmt.Errorf("create a range: no descriptor")
	}
	if err := s.Store.CreateRange(ctx, *r.Descriptor); err != nil {
		return nil, err
	}
	return s.standing(r.Descriptor.ID), nil
}
