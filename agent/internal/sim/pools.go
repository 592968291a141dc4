package sim

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	ops "github.com/nodedb/nodedb/agent/internal/operation" // here an operation is a client's
	"github.com/nodedb/nodedb/agent/internal/replica"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// hotPool is what the pool is called that people make beside the default one.
const hotPool = "hot"

// pooler is a person who makes a pool, has it altered again and again, and drops it
// in some runs, with misfortunes at the worst moments.
type pooler struct {
	o        *operators
	wants    []cluster.PoolSpec // still to be asked for, the first at CREATE
	drops    bool
	dropping bool // nobody writes to the pool any more
	// made says where each range of a pool was made.
	made map[cluster.RangeID]cluster.NodeID
	// struck are the phases in which the coordinator has died.
	struck map[string]bool
}

// poolSpecs is what the pool wants, one after the other: it grows, shrinks, and
// leaves a zone.
func poolSpecs() []cluster.PoolSpec {
	notIn := func(zone string) cluster.Constraints {
		return cluster.Constraints{{Forbidden: true, Tier: cluster.Tier{Key: "zone", Value: zone}}}
	}
	return []cluster.PoolSpec{
		{Replicas: 1, Constraints: notIn("z")}, {Replicas: 3, Constraints: notIn("z")},
		{Replicas: 5, Constraints: notIn("z")}, {Replicas: 3, Constraints: notIn("a")},
	}
}

// locality is where a node is: zones a, b and c by turns, and the last one in z.
func (w *World) locality(id cluster.NodeID) string {
	switch {
	case !w.cfg.Pools:
		return ""
	case int(id) == w.cfg.Nodes:
		return "zone=z"
	}
	return fmt.Sprintf("zone=%c", 'a'+(id-1)%3)
}

func (o *operators) beginPools() {
	w := o.w
	if !w.cfg.Pools {
		return
	}
	o.pools = &pooler{o: o, wants: poolSpecs(), drops: w.chance(50), made: map[cluster.RangeID]cluster.NodeID{}, struck: map[string]bool{}}
	w.After(w.ms(8000, 11_000), o.pools.step)
}

// newest is the newest view that any node has.
func (w *World) newest() *metastate.View {
	var v *metastate.View
	for _, n := range w.nodes {
		if n.machine != nil && (v == nil || n.machine.View().Index > v.Index) {
			v = n.machine.View()
		}
	}
	return v
}

// step asks for the next thing once what was asked for before has ended.
func (p *pooler) step() {
	w := p.o.w
	w.After(w.ms(300, 1500), p.step)
	v := w.newest()
	pool, ok := v.Pool(hotPool)
	if op := p.underWay(v); op != nil {
		p.harass(op)
		return
	}
	late := w.now > w.cfg.Duration-settle-8*time.Second
	switch {
	case w.now > w.cfg.Duration-settle/2:
	case p.drops && (late || len(p.wants) == 0):
		if ok && pool.State == cluster.PoolReady {
			p.drop(v, pool)
		}
	case late, !w.faults:
	case !ok && len(p.wants) > 0:
		p.create(v)
	case ok && pool.State == cluster.PoolReady && len(p.wants) > 0:
		p.alter(pool)
	}
}

func (p *pooler) underWay(v *metastate.View) *cluster.Operation {
	for _, id := range v.OperationIDs() {
		if op := v.Operations[id]; op.Spec.Kind.OfPool() && !op.State.Final() {
			return op
		}
	}
	return nil
}

// harass has the coordinator die once in each phase, and a person lose patience.
func (p *pooler) harass(op *cluster.Operation) {
	w := p.o.w
	took := w.now - op.CreatedAt.Sub(epoch)
	cancel := w.faults && w.chance(4) || op.Spec.Kind == cluster.OpPoolCreate && op.State == cluster.OpBlocked && took > 15*time.Second
	if cancel && op.Spec.Kind != cluster.OpPoolDrop {
		p.o.propose(metastate.Command{RequestCancel: &metastate.RequestCancel{ID: op.ID}}, func(metastate.Result, error) {})
	}
	phase := fmt.Sprint(op.Spec.Kind, op.Phase)
	if n, _, ok := w.Leader(cluster.MetaRangeID); ok && w.faults && !p.struck[phase] && w.chance(50) {
		p.struck[phase] = true
		n.crash()
	}
}

// change asks for a change of the pool and the operation that carries it out, as a
// Service does.
func (p *pooler) change(cmd metastate.Command, op cluster.Operation, done func(*cluster.Pool)) {
	op.Spec.Pool, op.State = hotPool, cluster.OpQueued
	p.o.propose(metastate.Command{Batch: []metastate.Command{cmd, {CreateOperation: &metastate.CreateOperation{Operation: op}}}}, func(r metastate.Result, err error) {
		if err == nil && r.Refusal == nil {
			p.o.w.Stats.Pools++
			done(r.Batch[0].Pool)
		}
	})
}

func (p *pooler) create(v *metastate.View) {
	w := p.o.w
	var able []cluster.NodeID
	for i := range w.cfg.Nodes - 1 { // the last is in zone z
		if n := w.nodes[i]; v.Nodes[n.id] != nil && v.Nodes[n.id].Membership == cluster.Active && !w.gone(n.id) {
			able = append(able, n.id)
		}
	}
	if len(able) < 5 {
		return
	}
	on := []cluster.NodeID{able[w.rng.IntN(len(able))], able[w.rng.IntN(len(able))]}
	spec := p.wants[0]
	p.change(metastate.Command{CreatePool: &metastate.CreatePool{Name: hotPool, Spec: spec, Nodes: on}},
		cluster.Operation{Spec: cluster.OperationSpec{Kind: cluster.OpPoolCreate, Wanted: &spec, Ranges: len(on)}},
		func(*cluster.Pool) { p.strike(w.nodes[on[0]-1]) })
}

// strike is what befalls a node on which a range is being made: before, while or
// just after it is.
func (p *pooler) strike(n *Node) {
	w := p.o.w
	when := w.ms(0, 1500)
	switch w.rng.IntN(5) {
	case 0:
		w.After(when, n.crash)
	case 1:
		if n.up {
			n.crashIn = 1 + w.rng.IntN(4)
		}
	case 2:
		w.After(when, func() { n.stayDown(w.ms(5000, 15_000)) })
	case 3, 4:
		p.lose(n, 12)
	}
}

// stayDown crashes a node and starts it again after d.
func (n *Node) stayDown(d time.Duration) {
	w := n.w
	if !n.up || n.disk != nil || w.gone(n.id) {
		return
	}
	n.crash()
	n.life++ // what crash would do, is done later
	life := n.life
	w.After(d, func() {
		if n.life == life && !w.gone(n.id) {
			n.open()
		}
	})
}

// lose takes the disk of a node away for good, if what was published outlives it: a
// range of one replica does not, and is not promised to.
func (p *pooler) lose(n *Node, tries int) {
	w, o := p.o.w, p.o
	if tries == 0 || !w.faults || w.left() < w.cfg.Nodes {
		return
	}
	if w.chance(30) || !n.up || n.disk != nil || o.operating(n) || !p.mayLose(n) {
		w.After(w.ms(1, 150), func() { p.lose(n, tries-1) })
		return
	}
	w.Stats.Lost++
	n.crash()
	n.life++ // it does not start again
	n.lost, n.fs, n.old = true, storage.NewCrashableFS(), nil
	w.trace(uint64(n.id), uint64(n.life))
	w.After(w.ms(12_000, 25_000), func() { o.bury(n) })
}

// mayLose reports whether each range that was published has the voters to go on
// without n.
func (p *pooler) mayLose(n *Node) bool {
	w := p.o.w
	for _, d := range w.newest().Ranges.All() {
		_, st, ok := w.Leader(d.ID)
		_, named := d.On(n.id)
		_, holds := st.Descriptor.On(n.id)
		if (named || holds || !ok) && (!ok || d.Joint() || st.Descriptor.Joint() || len(d.Voters()) < 3 || len(st.Descriptor.Voters()) < 3) {
			return false
		}
	}
	return true
}

func (p *pooler) alter(pool *cluster.Pool) {
	w, to, before := p.o.w, p.wants[0], pool.PoolSpec
	if pool.Same(&to) {
		p.wants = p.wants[1:]
		return
	}
	p.change(metastate.Command{AlterPool: &metastate.AlterPool{Name: hotPool, To: to, Version: pool.Version}},
		cluster.Operation{Spec: cluster.OperationSpec{Kind: cluster.OpPoolAlter, Wanted: &to}, PoolID: pool.ID, PoolBefore: &before},
		func(*cluster.Pool) {
			w.Stats.Altered++
			if w.chance(20) {
				p.lose(w.nodes[w.rng.IntN(w.cfg.Nodes-1)], 12)
			}
		})
}

// drop ends the pool while a node that may hold some of it is down.
func (p *pooler) drop(v *metastate.View, pool *cluster.Pool) {
	w := p.o.w
	if ids := v.RangesIn(pool.ID); !p.dropping && len(ids) > 0 {
		voters := v.Ranges.Get(ids[w.rng.IntN(len(ids))]).Voters()
		w.nodes[voters[w.rng.IntN(len(voters))]-1].stayDown(w.ms(4000, 9000))
	}
	p.dropping = true
	p.change(metastate.Command{DropPool: &metastate.DropPool{Name: hotPool}},
		cluster.Operation{Spec: cluster.OperationSpec{Kind: cluster.OpPoolDrop}, PoolID: pool.ID},
		func(*cluster.Pool) { w.Stats.Dropped++ })
}

// create makes a range where a coordinator asks for it, and now and then once more
// much later: a call of a coordinator that hung, or is no more.
func (c *coordinator) create(a ops.Action, reply func(error)) {
	n, w := c.n, c.n.w
	make := func(reply func(error)) {
		_, here := n.core.RangeStatus(a.Range)
		n.core.CreateRange(a.Descriptor, func(err error) {
			if err == nil && !here {
				w.noteMade(a.Range, n.id)
			}
			reply(err)
		})
	}
	make(reply)
	if w.chance(60) {
		w.After(w.ms(0, 40_000), func() { n.do(func() { make(func(error) {}) }) })
	}
}

// noteMade holds that the initial state of a range is written once.
func (w *World) noteMade(id cluster.RangeID, on cluster.NodeID) {
	made := w.operators.pools.made
	if at, again := made[id]; again {
		w.fail("%s is made on %s, and was made on %s before", id, on, at)
	}
	made[id] = on
}

// hot is the pool, if clients may use it.
func (w *World) hot() (*cluster.Pool, bool) {
	if !w.cfg.Pools || w.operators.pools.dropping {
		return nil, false
	}
	pool, ok := w.newest().Pool(hotPool)
	return pool, ok && pool.State == cluster.PoolReady
}

// homeOfPool draws a key of the pool now and then.
func (w *World) homeOfPool(at place) place {
	if w.cfg.Pools && w.chance(50) {
		if pool, ok := w.hot(); ok {
			at.pool = pool.ID
		}
	}
	return at
}

// pooledView is what a gateway knows when there are pools: of the default one what
// it was at first, of the others what the meta range says.
type pooledView struct {
	bootstrappedView
	w *World
}

func (v pooledView) Range(id cluster.RangeID) (*cluster.RangeDescriptor, bool) {
	if d, ok := v.bootstrappedView.Range(id); ok {
		return d, ok
	}
	if d, ok := v.w.newest().Range(id); ok && d.Pool != cluster.DefaultPool {
		return d, ok
	}
	return nil, false
}

func (v pooledView) RangeOf(p cluster.PoolID, k cluster.Key) (*cluster.RangeDescriptor, bool) {
	if p == cluster.DefaultPool {
		return v.bootstrappedView.RangeOf(p, k)
	}
	return v.w.newest().RangeOf(p, k)
}

// removed reports whether a range went with its pool, or was given up.
func (w *World) removed(id cluster.RangeID) bool {
	return w.operators != nil && w.newest().Removed[id] != nil
}

// pooled are the spans of other pools than the default one that must have ranges.
func (w *World) pooled() []cluster.RangeDescriptor {
	pool, ok := w.hot()
	if !ok {
		return nil
	}
	return []cluster.RangeDescriptor{{Pool: pool.ID, Start: cluster.VShard(0).Key(), End: cluster.VShard(cluster.VShards).Key()}}
}

// checkPools looks at what pools promise when all is calm.
func (o *operators) checkPools(v *metastate.View) {
	w := o.w
	for _, id := range w.ranges() {
		_, st, ok := w.Leader(id)
		pool := v.Pools[st.Descriptor.Pool]
		if !ok || w.removed(id) || pool == nil {
			continue
		}
		for _, r := range st.Descriptor.Replicas {
			l, _ := cluster.ParseLocality(v.Nodes[r.Node].Locality)
			if !pool.Constraints.Admit(l) {
				w.fail("%s of pool %s has a replica on %s at %s: it wants %s", id, pool.Name, r.Node, l, pool.Text())
			}
		}
	}
	for id, r := range v.Removed {
		if len(r.Nodes) > 0 {
			w.fail("%s was removed, and %v may still hold it at the end", id, r.Nodes)
		}
	}
	for _, n := range w.nodes {
		if n.up {
			o.checkNothingLeft(v, n)
		}
	}
}

// checkNothingLeft wants no replica and no key of what was removed on a node.
func (o *operators) checkNothingLeft(v *metastate.View, n *Node) {
	for _, id := range slices.Sorted(maps.Keys(v.Removed)) {
		r := v.Removed[id]
		if st, ok := n.core.RangeStatus(id); ok {
			o.w.fail("%s still holds replica %d of %s, which was removed", n.id, st.Replica, id)
		}
		d := cluster.RangeDescriptor{ID: id, Pool: r.Pool, Start: cluster.VShard(0).Key(), End: cluster.VShard(cluster.VShards).Key()}
		spans := replica.Spans(&d)
		if v.Pools[r.Pool] != nil {
			spans = slices.DeleteFunc(spans, func(s keys.Span) bool { return string(s.Start) == string(keys.DataSpan(d.Pool, d.Start, d.End).Start) })
		}
		for _, s := range spans {
			it, err := n.engine.NewIter(s.Start, s.End)
			if err != nil {
				o.w.fail("%s: %v", n.id, err)
				return
			}
			if it.First() {
				o.w.fail("%s still has the key %x of %s, which was removed", n.id, it.Key(), id)
			}
			if err := it.Close(); err != nil {
				o.w.fail("%s: %v", n.id, err)
			}
		}
	}
}
