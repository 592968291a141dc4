package metastate

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// CreatePool makes the record of a pool and gives out the ids of its ranges, which
// divide the key space evenly; each is made on one node, and grows from there.
type CreatePool struct {
	Name string           `json:"name"`
	Spec cluster.PoolSpec `json:"spec"`
	// Nodes are where its ranges begin, one after another.
	Nodes []cluster.NodeID `json:"nodes"`
}

// AlterPool changes what a pool wants.
type AlterPool struct {
	Name string           `json:"name"`
	To   cluster.PoolSpec `json:"to"`
	// Version is of the record that was looked at; 0: any.
	Version uint64 `json:"version,omitempty"`
}

// RenamePool gives a pool another name.
type RenamePool struct {
	Name string `json:"name"`
	To   string `json:"to"`
}

// DropPool ends a pool: its ranges are gone from the routing at once, and their
// replicas are removed wherever they are.
type DropPool struct {
	Name     string `json:"name"`
	IfExists bool   `json:"ifExists,omitempty"`
}

// ReadyPool says that the ranges of a pool are there.
type ReadyPool struct {
	Pool cluster.PoolID `json:"pool"`
}

// ReseedPool has a range of a new pool made on another node, under another id: the
// node where it was to be made is lost. Whether it was made there nobody knows, and
// nobody need: it is removed as the ranges of a dropped pool are. No row can be in
// it, for nothing is put into a pool before all of its ranges were published.
type ReseedPool struct {
	Pool  cluster.PoolID  `json:"pool"`
	Range cluster.RangeID `json:"range"`
	Node  cluster.NodeID  `json:"node"` // where it is made now
}

// ClearRemoved says that a node holds no replica of ranges that were removed, and
// never will.
type ClearRemoved struct {
	Node   cluster.NodeID    `json:"node"`
	Ranges []cluster.RangeID `json:"ranges"`
}

// RemovedRange remembers a range of a pool that was dropped, or one that was made
// under another id instead. It is kept for good:
// what is said of the range later, by a node that was away, is not believed.
type RemovedRange struct {
	ID   cluster.RangeID `json:"id"`
	Pool cluster.PoolID  `json:"pool"`
	// Nodes may still hold a replica; sorted.
	Nodes []cluster.NodeID `json:"nodes,omitempty"`
}

// maxPools is the last id of a pool: it is a byte in keys, and never given twice,
// for a node that was away may hold rows of a pool that was dropped.
const maxPools = 255

// Pool returns the pool called name.
func (v *View) Pool(name string) (*cluster.Pool, bool) {
	for _, p := range v.Pools {
		if p.Name == name {
			return p, true
		}
	}
	return nil, false
}

// PoolIDs returns the ids of all pools, ascending.
func (v *View) PoolIDs() []cluster.PoolID { return slices.Sorted(maps.Keys(v.Pools)) }

// PoolNames returns the names of all pools, the default one first.
func (v *View) PoolNames() []string {
	var names []string
	for _, id := range v.PoolIDs() {
		names = append(names, v.Pools[id].Name)
	}
	return names
}

// PoolName is what the pool with the id is called; of one that is gone its number.
func (v *View) PoolName(id cluster.PoolID) string {
	if p := v.Pools[id]; p != nil {
		return p.Name
	}
	return fmt.Sprintf("#%d", id)
}

// Span is the span of d's keys for people, with its pool by name.
func (v *View) Span(d *cluster.RangeDescriptor) string {
	if d.IsMeta() || d.Pool == cluster.DefaultPool {
		return d.Span()
	}
	return fmt.Sprintf("[%s,%s) of pool %s", d.Start, d.End, v.PoolName(d.Pool))
}

// DefaultPool is the pool that everything is in of which nothing else is said.
func (v *View) DefaultPool() *cluster.Pool {
	if p := v.Pools[cluster.DefaultPool]; p != nil {
		return p
	}
	return &cluster.Pool{Name: cluster.DefaultPoolName, PoolSpec: cluster.PoolSpec{Replicas: cluster.DefaultReplicas}, State: cluster.PoolReady}
}

// ReplicasWanted is how many replicas the pool of a data range wants.
func (v *View) ReplicasWanted(d *cluster.RangeDescriptor) int {
	if p := v.Pools[d.Pool]; p != nil {
		return p.Replicas
	}
	return v.DefaultPool().Replicas
}

// MostReplicas is the most replicas that a pool wants.
func (v *View) MostReplicas() int {
	most := v.DefaultPool().Replicas
	for _, p := range v.Pools {
		most = max(most, p.Replicas)
	}
	return most
}

// CollectionsIn lists the names of the collections of a pool, ascending.
func (v *View) CollectionsIn(id cluster.PoolID) []string {
	var names []string
	for _, o := range v.Collections() {
		if slices.ContainsFunc(o.Places(), func(p cluster.Place) bool { return p.Pool == id }) {
			names = append(names, v.FullName(o))
		}
	}
	return names
}

// RangesIn lists the ranges of a pool, ascending; the meta range is in none.
func (v *View) RangesIn(id cluster.PoolID) []cluster.RangeID {
	var ids []cluster.RangeID
	for _, rid := range v.RangeIDs() {
		if d := v.Ranges.Get(rid); !d.IsMeta() && d.Pool == id {
			ids = append(ids, rid)
		}
	}
	return ids
}

// RemovedIDs lists the ranges that were removed and that some node may still hold
// a replica of, ascending.
func (v *View) RemovedIDs() []cluster.RangeID {
	var ids []cluster.RangeID
	for id, r := range v.Removed {
		if len(r.Nodes) > 0 {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

func (c *change) putPool(p cluster.Pool) *cluster.Pool {
	stored := stage(c, kindPool, idKey(uint64(p.ID)), &p)
	own(c, &c.view.Pools)[p.ID] = stored
	return stored
}

// foundPool makes the pool that everything is in at first.
func (c *change) foundPool(replicas, ranges int) *Refusal {
	if replicas == 0 {
		replicas = cluster.DefaultReplicas
	}
	p := cluster.Pool{
		ID: cluster.DefaultPool, Name: cluster.DefaultPoolName, PoolSpec: cluster.PoolSpec{Replicas: replicas},
		Ranges: ranges, Version: 1, State: cluster.PoolReady,
	}
	if err := p.Validate(); err != nil {
		return refuse(CodeInvalid, "pool %s: %v", p.Name, err)
	}
	c.putPool(p)
	return nil
}

// pools are the commands about pools.
func (c *change) pools(cmd *Command) Result {
	switch {
	case cmd.CreatePool != nil:
		return c.createPool(cmd.CreatePool)
	case cmd.AlterPool != nil:
		return c.alterPool(cmd.AlterPool)
	case cmd.RenamePool != nil:
		return c.renamePool(cmd.RenamePool)
	case cmd.DropPool != nil:
		return c.dropPool(cmd.DropPool)
	case cmd.ReadyPool != nil:
		return c.readyPool(cmd.ReadyPool)
	case cmd.ReseedPool != nil:
		return c.reseedPool(cmd.ReseedPool)
	default:
		return c.clearRemoved(cmd.ClearRemoved)
	}
}

// noPool refuses a name that no pool has.
func (c *change) noPool(name string) Result {
	return refused(CodeNotFound, "there is no pool %q: %s", name, strings.Join(c.view.PoolNames(), ", "))
}

func (c *change) createPool(in *CreatePool) Result {
	if err := cluster.CheckPoolName(in.Name); err != nil {
		return refused(CodeInvalid, "%v", err)
	}
	if _, ok := c.view.Pool(in.Name); ok {
		return refused(CodeExists, "pool %q already exists", in.Name)
	}
	if err := in.Spec.Validate(); err != nil {
		return refused(CodeInvalid, "pool %q: %v", in.Name, err)
	}
	if err := cluster.CheckPoolRanges(len(in.Nodes)); err != nil {
		return refused(CodeInvalid, "pool %q: %v", in.Name, err)
	}
	if c.view.next.Pool >= maxPools {
		return refused(CodeLimit, "this cluster has made %d pools: numbers of pools are not given again", maxPools)
	}
	c.view.next.Pool++
	c.heads = true
	p := cluster.Pool{ID: c.view.next.Pool, Name: in.Name, PoolSpec: in.Spec, Ranges: len(in.Nodes), Version: 1, State: cluster.PoolCreating}
	for i, node := range in.Nodes {
		if _, r := c.liveNode(node); r != nil {
			return Result{Refusal: r}
		}
		p.Seeds = append(p.Seeds, cluster.PoolSeed{
			Range: c.newRangeID(), Node: node,
			Start: cluster.VShard(i * cluster.VShards / len(in.Nodes)), End: cluster.VShard((i + 1) * cluster.VShards / len(in.Nodes)),
		})
	}
	c.event(cluster.Event{Kind: cluster.EventPoolCreated, Text: fmt.Sprintf("pool %s was created: %s", p.Name, p.Text())})
	return Result{Pool: c.putPool(p)}
}

func (c *change) alterPool(in *AlterPool) Result {
	old, ok := c.view.Pool(in.Name)
	if !ok {
		return c.noPool(in.Name)
	}
	if err := in.To.Validate(); err != nil {
		return refused(CodeInvalid, "pool %q: %v", in.Name, err)
	}
	switch {
	case in.Version != 0 && in.Version != old.Version:
		return refused(CodeStale, "pool %q was changed meanwhile: look at it again", in.Name)
	case old.Same(&in.To):
		return Result{Existed: true, Pool: old}
	case old.State != cluster.PoolReady:
		return refused(CodeConflict, "pool %q is %s: it can be changed when it is ready", in.Name, old.State)
	}
	if op := c.workingOn(in.Name); op != nil && c.via != ViaOperation {
		return conflictOf(op)
	}
	p := *old
	p.PoolSpec = in.To
	p.Version++
	c.event(cluster.Event{Kind: cluster.EventPoolAltered, Text: fmt.Sprintf("pool %s is now %s, before %s", p.Name, p.Text(), old.Text())})
	return Result{Pool: c.putPool(p)}
}

func (c *change) renamePool(in *RenamePool) Result {
	old, ok := c.view.Pool(in.Name)
	if !ok {
		return c.noPool(in.Name)
	}
	if err := cluster.CheckPoolName(in.To); err != nil {
		return refused(CodeInvalid, "%v", err)
	}
	if old.ID == cluster.DefaultPool {
		return refused(CodeInvalid, "pool %q keeps its name: it is what a collection is in that names no pool", in.Name)
	}
	if op := c.workingOn(in.Name); op != nil {
		return conflictOf(op)
	}
	if _, taken := c.view.Pool(in.To); taken {
		return refused(CodeExists, "pool %q already exists", in.To)
	}
	p := *old
	p.Name = in.To
	p.Version++
	c.event(cluster.Event{Kind: cluster.EventPoolAltered, Text: fmt.Sprintf("pool %s is now called %s", in.Name, in.To)})
	return Result{Pool: c.putPool(p)}
}

// workingOn returns an operation on the pool that has not ended.
func (c *change) workingOn(pool string) *cluster.Operation {
	for _, id := range c.view.OperationIDs() {
		if op := c.view.Operations[id]; op.Spec.Pool == pool && !op.State.Final() {
			return op
		}
	}
	return nil
}

func conflictOf(op *cluster.Operation) Result {
	r := refuse(CodeConflict, "%s, a %s of pool %s, is %s", op.ID, op.Spec.Kind, op.Spec.Pool, op.State)
	r.Operation = op.ID
	return Result{Refusal: r}
}

func (c *change) dropPool(in *DropPool) Result {
	p, ok := c.view.Pool(in.Name)
	switch {
	case !ok && in.IfExists:
		return Result{Existed: true}
	case !ok:
		return c.noPool(in.Name)
	case p.ID == cluster.DefaultPool:
		return refused(CodeInvalid, "pool %q cannot be dropped: it is everybody's", in.Name)
	}
	if used := c.view.CollectionsIn(p.ID); len(used) > 0 {
		return refused(CodeReferenced, "pool %q cannot be dropped: it has the collections %s", in.Name, strings.Join(used, ", "))
	}
	if c.view.pendingIn(p.ID) {
		return refused(CodeReferenced, "pool %q cannot be dropped: a transaction makes a collection in it", in.Name)
	}
	if op := c.workingOn(in.Name); op != nil && c.via != ViaOperation {
		return conflictOf(op)
	}
	for _, id := range c.view.RangesIn(p.ID) {
		d := c.view.Ranges.Get(id)
		c.view.Ranges = c.view.Ranges.Without(id)
		c.erase(kindRange, idKey(uint64(id)))
		c.removeRange(RemovedRange{ID: id, Pool: p.ID, Nodes: holders(d)})
	}
	c.view.spans = slices.DeleteFunc(slices.Clone(c.view.spans), func(d *cluster.RangeDescriptor) bool { return d.Pool == p.ID })
	for _, s := range p.Seeds {
		c.removeRange(RemovedRange{ID: s.Range, Pool: p.ID, Nodes: []cluster.NodeID{s.Node}})
	}
	for id, d := range c.view.Dropped {
		if d.Object.Collection.Pool == p.ID { // their rows go with the ranges
			delete(own(c, &c.view.Dropped), id)
			c.erase(kindDropped, idKey(uint64(id)))
		}
	}
	delete(own(c, &c.view.Pools), p.ID)
	c.erase(kindPool, idKey(uint64(p.ID)))
	c.event(cluster.Event{Kind: cluster.EventPoolDropped, Text: fmt.Sprintf("pool %s was dropped", p.Name)})
	return Result{Pool: p}
}

func holders(d *cluster.RangeDescriptor) []cluster.NodeID {
	var nodes []cluster.NodeID
	for _, rep := range d.Replicas {
		nodes = append(nodes, rep.Node)
	}
	return nodes
}

// removeLate removes a range that was split off while its pool was dropped: nobody
// had heard of it then.
func (c *change) removeLate(d *cluster.RangeDescriptor) *Refusal {
	if d.Pool > c.view.next.Pool {
		return refuse(CodeInvalid, "%s is of pool #%d, and there never was one", d.ID, d.Pool)
	}
	c.removeRange(RemovedRange{ID: d.ID, Pool: d.Pool, Nodes: holders(d)})
	return nil
}

func (c *change) removeRange(r RemovedRange) {
	r.Nodes = slices.DeleteFunc(r.Nodes, func(id cluster.NodeID) bool {
		n := c.view.Nodes[id]
		return n == nil || n.Membership == cluster.Decommissioned
	})
	slices.Sort(r.Nodes)
	own(c, &c.view.Removed)[r.ID] = stage(c, kindRemoved, idKey(uint64(r.ID)), &r)
}

func (c *change) readyPool(in *ReadyPool) Result {
	p := c.view.Pools[in.Pool]
	switch {
	case p == nil:
		return refused(CodeNotFound, "there is no pool %d", in.Pool)
	case p.State == cluster.PoolReady:
		return Result{Existed: true, Pool: p}
	case len(p.Seeds) > 0:
		return refused(CodeConflict, "pool %q lacks %d of its ranges", p.Name, len(p.Seeds))
	}
	ready := *p
	ready.State = cluster.PoolReady
	ready.Version++
	c.event(cluster.Event{Kind: cluster.EventPoolReady, Text: fmt.Sprintf("pool %s is ready", p.Name)})
	return Result{Pool: c.putPool(ready)}
}

// planted takes in that a range of a pool exists: it was published.
func (c *change) planted(d *cluster.RangeDescriptor) {
	p := c.view.Pools[d.Pool]
	if p == nil {
		return
	}
	at := slices.IndexFunc(p.Seeds, func(s cluster.PoolSeed) bool { return s.Range == d.ID })
	if at < 0 {
		return
	}
	grown := *p
	grown.Seeds = slices.Delete(slices.Clone(p.Seeds), at, at+1)
	c.putPool(grown)
}

func (c *change) reseedPool(in *ReseedPool) Result {
	p := c.view.Pools[in.Pool]
	if p == nil {
		return refused(CodeNotFound, "there is no pool %d", in.Pool)
	}
	at := slices.IndexFunc(p.Seeds, func(s cluster.PoolSeed) bool { return s.Range == in.Range })
	if at < 0 || p.Seeds[at].Node == in.Node {
		return Result{Existed: true, Pool: p} // it was published meanwhile
	}
	if _, r := c.liveNode(in.Node); r != nil {
		return Result{Refusal: r}
	}
	lost := p.Seeds[at]
	c.removeRange(RemovedRange{ID: lost.Range, Pool: p.ID, Nodes: []cluster.NodeID{lost.Node}})
	moved := *p
	moved.Seeds = slices.Clone(p.Seeds)
	moved.Seeds[at].Range, moved.Seeds[at].Node = c.newRangeID(), in.Node
	moved.Version++
	c.event(cluster.Event{Kind: cluster.EventPoolAltered, Text: fmt.Sprintf(
		"%s of pool %s, which was to be made on %s, is made on %s as %s", lost.Range, p.Name, lost.Node, in.Node, moved.Seeds[at].Range)})
	return Result{Pool: c.putPool(moved)}
}

func (c *change) clearRemoved(in *ClearRemoved) Result {
	existed := true
	for _, id := range in.Ranges {
		r := c.view.Removed[id]
		if r == nil || !slices.Contains(r.Nodes, in.Node) {
			continue
		}
		left := *r
		left.Nodes = slices.DeleteFunc(slices.Clone(r.Nodes), func(n cluster.NodeID) bool { return n == in.Node })
		own(c, &c.view.Removed)[id] = stage(c, kindRemoved, idKey(uint64(id)), &left)
		existed = false
	}
	return Result{Existed: existed}
}

// forsake takes a node that was decommissioned off the ranges that were removed:
// it never comes back.
func (c *change) forsake(node cluster.NodeID) {
	var ids []cluster.RangeID
	for _, id := range c.view.RemovedIDs() {
		if slices.Contains(c.view.Removed[id].Nodes, node) {
			ids = append(ids, id)
		}
	}
	c.clearRemoved(&ClearRemoved{Node: node, Ranges: ids})
}

// checkPoolOperation refuses an operation on a pool beside another one on it.
func (c *change) checkPoolOperation(op *cluster.Operation) *Refusal {
	if op.Spec.Pool == "" || len(op.Spec.Nodes) > 0 {
		return refuse(CodeInvalid, "a %s is of a pool: it names one, and no nodes", op.Spec.Kind)
	}
	if other := c.workingOn(op.Spec.Pool); other != nil {
		return conflictOf(other).Refusal
	}
	return nil
}
