package metastate

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// foundObjects makes the objects that every cluster has.
func (c *change) foundObjects(owner string) *Refusal {
	for _, o := range []cluster.Object{
		{ID: cluster.MainDatabase, Kind: cluster.KindDatabase, Name: "nodedb"},
		{ID: cluster.MainPublic, Parent: cluster.MainDatabase, Kind: cluster.KindSchema, Name: "public"},
		{ID: cluster.MaintenanceDatabase, Kind: cluster.KindDatabase, Name: "postgres"},
		{ID: cluster.MaintenancePublic, Parent: cluster.MaintenanceDatabase, Kind: cluster.KindSchema, Name: "public"},
	} {
		if o.Owner = owner; o.Kind == cluster.KindSchema {
			o.ACL = cluster.PublicSchemaACL(owner)
		}
		if r := c.putObject(o); r != nil {
			return r
		}
	}
	return nil
}

const (
	// maxAllocated is how many ids are given out at once.
	maxAllocated = 256
	// maxUnmade is how many of those that were given out may be of objects that are not
	// made yet: fences (cluster.Fence) name them. Beyond it the oldest are made no more.
	maxUnmade = 1024
)

func (c *change) allocateObjects(in *AllocateObjects) Result {
	if in.Count < 1 || in.Count > maxAllocated {
		return refused(CodeInvalid, "1 to %d ids are given out at once, not %d", maxAllocated, in.Count)
	}
	first := c.view.next.Object
	unmade := slices.Clone(c.view.next.Unmade)
	for range in.Count {
		unmade = append(unmade, c.view.next.Object)
		c.view.next.Object++
	}
	c.view.next.Unmade = unmade[max(0, len(unmade)-maxUnmade):]
	c.heads = true
	return Result{Object: first}
}

// takeID has the id of an object that is made be given out no more. It is refused unless it
// was given out, and not so long ago that it counts as never made.
func (c *change) takeID(id cluster.ObjectID) *Refusal {
	i, ok := slices.BinarySearch(c.view.next.Unmade, id)
	if !ok {
		return refuse(CodeStale, "object %d is changed without having been seen, or its id was not given out, or too long ago", id)
	}
	c.view.next.Unmade = slices.Delete(slices.Clone(c.view.next.Unmade), i, i+1)
	return nil
}

// toBeMade are the ids that were given out for objects that are not there yet.
func (v *View) toBeMade() []cluster.ObjectID {
	out := slices.Clone(v.next.Unmade)
	for _, p := range v.Pending {
		for i := range p.Change.Put {
			o := &p.Change.Put[i]
			if v.Objects[o.ID] == nil {
				out = append(out, o.ID)
			}
			out = append(out, o.StoredIDs()...)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// newIDs are the ids that a change has things made under: of objects, and of indexes.
func (c *change) newIDs(in *ChangeObjects) []cluster.ObjectID {
	var out []cluster.ObjectID
	for i := range in.Put {
		o := &in.Put[i]
		old := c.view.Objects[o.ID]
		if old == nil {
			out = append(out, o.ID)
		}
		for _, id := range o.StoredIDs() {
			if id != o.ID && (old == nil || !slices.Contains(old.StoredIDs(), id)) {
				out = append(out, id)
			}
		}
	}
	return out
}

// takeIDs takes all ids that a change has things made under.
func (c *change) takeIDs(in *ChangeObjects) *Refusal {
	for _, id := range c.newIDs(in) {
		if r := c.takeID(id); r != nil {
			return r
		}
	}
	return nil
}

func (c *change) changeObjects(in *ChangeObjects) Result {
	if r := c.takeIDs(in); r != nil {
		return Result{Refusal: r}
	}
	return c.carryOutObjects(in, "")
}

// carryOutObjects is changeObjects with ids that were taken before. txn is the transaction
// that has prepared the change; "": none has.
func (c *change) carryOutObjects(in *ChangeObjects, txn string) Result {
	n := len(in.Put) + len(in.Drop)
	if n == 0 && in.Run == nil || n > maxBatch {
		return refused(CodeInvalid, "a change is of 1 to %d objects, not of %d", maxBatch, n)
	}
	if r := c.checkPending(in); r != nil {
		return Result{Refusal: r}
	}
	if in.Run != nil {
		if r := c.endRun(in.Run); r != nil || n == 0 {
			return Result{Refusal: r}
		}
	}
	seen, r := c.checkSeen(in.Seen)
	if r != nil {
		return Result{Refusal: r}
	}
	before := c.view.Objects
	if r := c.removeOld(seen, in); r != nil {
		return Result{Refusal: r}
	}
	for i := range in.Put {
		o := in.Put[i]
		if before[o.ID] != nil && !seen[o.ID] {
			return refused(CodeInvalid, "object %d is changed without having been seen", o.ID)
		}
		if o.Owner == "" {
			o.Owner = c.by
		}
		if r := c.checkRoles(&o); r != nil {
			return Result{Refusal: r}
		}
		if r := c.putObject(o); r != nil {
			return Result{Refusal: r}
		}
	}
	if r := c.checkObjects(before, seen, in); r != nil {
		return Result{Refusal: r}
	}
	c.view.SchemaVersion++
	c.heads = true
	c.tellObjects(before, in)
	return c.createSchemaChanges(in, txn)
}

// createSchemaChanges records the operations that carry changes of tables on.
func (c *change) createSchemaChanges(in *ChangeObjects, txn string) (res Result) {
	for i := range in.Operations {
		op := cluster.Operation{Spec: in.Operations[i], RequestedBy: c.by}
		if what := op.Spec.Change; op.Spec.Kind != cluster.OpSchemaChange || what == nil || c.view.Objects[what.Table] == nil || c.view.Objects[what.Table].Collection == nil {
			return refused(CodeInvalid, "a change of objects is carried on by schema changes of its tables")
		}
		if txn != "" {
			op.IdempotencyKey = fmt.Sprintf("%s/%d", txn, i)
		}
		made := c.createOperation(&CreateOperation{Operation: op}, c.by)
		if made.Refusal != nil {
			return made
		}
		res.Operations = append(res.Operations, made.Operation.ID)
	}
	return res
}

// SchemaChangesOf are the operations that carry on what a transaction has prepared.
func (v *View) SchemaChangesOf(txn string) []string {
	var out []string
	for _, id := range v.OperationIDs() {
		if strings.HasPrefix(v.Operations[id].IdempotencyKey, txn+"/") {
			out = append(out, id)
		}
	}
	return out
}

// removeOld drops what is to go, and frees the names of what is to change.
func (c *change) removeOld(seen map[cluster.ObjectID]bool, in *ChangeObjects) *Refusal {
	done := map[cluster.ObjectID]bool{}
	for _, id := range in.Drop {
		if !seen[id] || done[id] {
			return refuse(CodeInvalid, "object %d is dropped twice, or without having been seen", id)
		}
		done[id] = true
		c.dropObject(c.view.Objects[id])
	}
	for i := range in.Put {
		id := in.Put[i].ID
		if done[id] {
			return refuse(CodeInvalid, "object %d is changed twice", id)
		}
		done[id] = true
		if old := c.view.Objects[id]; old != nil {
			c.freeNames(old)
		}
	}
	return nil
}

// checkSeen compares what a change rests on with what there is.
func (c *change) checkSeen(list []SeenObject) (map[cluster.ObjectID]bool, *Refusal) {
	seen := make(map[cluster.ObjectID]bool, len(list))
	for _, s := range list {
		switch o := c.view.Objects[s.ID]; {
		case o == nil:
			return nil, refuse(CodeStale, "what the change rests on was dropped meanwhile (object %d)", s.ID)
		case o.Version != s.Version:
			return nil, refuse(CodeStale, "%s %q was changed meanwhile", o.Kind, o.Name)
		}
		seen[s.ID] = true
	}
	return seen, nil
}

func (c *change) putObject(o cluster.Object) *Refusal {
	if err := o.Validate(); err != nil {
		return refuse(CodeInvalid, "%s %q: %v", o.Kind, o.Name, err)
	}
	o.Version = 1
	if old := c.view.Objects[o.ID]; old != nil {
		if old.Kind != o.Kind {
			return refuse(CodeInvalid, "%s %q cannot become a %s", old.Kind, old.Name, o.Kind)
		}
		if o.Collection != nil {
			if err := o.Collection.Follows(old.Collection); err != nil {
				return refuse(CodeInvalid, "%s %q: %v", o.Kind, o.Name, err)
			}
		}
		if o.Enum != nil {
			if err := o.Enum.Follows(old.Enum); err != nil {
				return refuse(CodeInvalid, "%s %q: %v", o.Kind, o.Name, err)
			}
		}
		if o.Composite != nil {
			if err := o.Composite.Follows(old.Composite); err != nil {
				return refuse(CodeInvalid, "%s %q: %v", o.Kind, o.Name, err)
			}
		}
		o.Version = old.Version + 1
	}
	if old := c.view.Objects[o.ID]; old != nil {
		c.dropPlaces(old, &o)
	}
	if o.Sequence != nil {
		o.Sequence = c.putSequence(o.ID, o.Sequence)
	}
	if o.Schedule != nil {
		c.putSchedule(o.ID, o.Schedule)
	}
	names := own(c, &c.view.names)
	for _, n := range o.Names() {
		if _, taken := names[n]; taken {
			return refuse(CodeExists, "%s %q already exists", n.Space, n.Name)
		}
		names[n] = o.ID
	}
	own(c, &c.view.Objects)[o.ID] = stage(c, kindObject, idKey(uint64(o.ID)), &o)
	return nil
}

func (c *change) freeNames(o *cluster.Object) {
	names := own(c, &c.view.names)
	for _, n := range o.Names() {
		delete(names, n)
	}
}

func (c *change) dropObject(o *cluster.Object) {
	c.freeNames(o)
	delete(own(c, &c.view.Objects), o.ID)
	c.erase(kindObject, idKey(uint64(o.ID)))
	if o.Sequence != nil {
		delete(own(c, &c.view.Sequences), o.ID)
		c.erase(kindSequence, idKey(uint64(o.ID)))
	}
	if o.Schedule != nil {
		c.dropSchedule(o.ID)
	}
	if o.Collection != nil {
		c.dropPlaces(o, nil)
	}
}

// dropPlaces has what is in places be collected that next has no more; nil: all.
func (c *change) dropPlaces(old, next *cluster.Object) {
	for _, p := range old.Places() {
		if next != nil && slices.Contains(next.StoredIDs(), p.ID) {
			continue
		}
		d := DroppedCollection{Object: p.Stored(old), DroppedAt: c.now, Index: c.index}
		own(c, &c.view.Dropped)[p.ID] = stage(c, kindDropped, idKey(uint64(p.ID)), &d)
	}
}

// checkObjects refuses what would leave an object without what it is in.
func (c *change) checkObjects(before map[cluster.ObjectID]*cluster.Object, seen map[cluster.ObjectID]bool, in *ChangeObjects) *Refusal {
	for i := range in.Put {
		o := c.view.Objects[in.Put[i].ID]
		if parent := c.view.Objects[o.Parent]; o.Kind != cluster.KindDatabase && (parent == nil || parent.Kind != o.Kind.ParentKind()) {
			return refuse(CodeStale, "%s %q: its %s was dropped meanwhile", o.Kind, o.Name, o.Kind.ParentKind())
		}
		if o.Parent != 0 && !seen[o.Parent] && before[o.Parent] != nil {
			return refuse(CodeInvalid, "%s %q: its %s is not among what was seen", o.Kind, o.Name, o.Kind.ParentKind())
		}
		if r := c.checkPlaces(before[o.ID], o); r != nil {
			return r
		}
	}
	if r := c.checkNeeds(in); r != nil {
		return r
	}
	gone := map[cluster.ObjectID]bool{}
	for _, id := range in.Drop {
		gone[id] = before[id].Kind == cluster.KindDatabase || before[id].Kind == cluster.KindSchema
	}
	for _, id := range slices.Sorted(maps.Keys(c.view.Objects)) {
		if o := c.view.Objects[id]; gone[o.Parent] {
			return refuse(CodeReferenced, "%s %q is in what is dropped", o.Kind, o.Name)
		}
	}
	return nil
}

// checkPlaces refuses to put anything into a pool that is not ready.
func (c *change) checkPlaces(old, o *cluster.Object) *Refusal {
	for _, at := range o.Places() {
		if old != nil && slices.Contains(old.Places(), at) {
			continue
		}
		if p := c.view.Pools[at.Pool]; p == nil || p.State != cluster.PoolReady {
			return refuse(CodeConflict, "%s %q: pool %s is not ready yet", o.Kind, o.Name, c.view.PoolName(at.Pool))
		}
	}
	return nil
}

// checkNeeds refuses what would leave an object without what it needs.
func (c *change) checkNeeds(in *ChangeObjects) *Refusal {
	for i := range in.Put {
		o := c.view.Objects[in.Put[i].ID]
		for _, id := range o.Needs {
			if c.view.Objects[id] == nil {
				return refuse(CodeStale, "%s %q: what it needs was dropped meanwhile (object %d)", o.Kind, o.Name, id)
			}
		}
	}
	if len(in.Drop) == 0 {
		return nil
	}
	for _, id := range slices.Sorted(maps.Keys(c.view.Objects)) {
		o := c.view.Objects[id]
		for _, needed := range o.Needs {
			if c.view.Objects[needed] == nil {
				// Who saw what needs it would have dropped that, too.
				return refuse(CodeStale, "%s %q needs what is dropped (object %d)", o.Kind, o.Name, needed)
			}
		}
	}
	return nil
}

// tellObjects records the events of a change.
func (c *change) tellObjects(before map[cluster.ObjectID]*cluster.Object, in *ChangeObjects) {
	for _, id := range in.Drop {
		o, kind := before[id], cluster.EventObjectDropped
		if o.Collection != nil {
			kind = cluster.EventCollectionDropped
		}
		c.event(cluster.Event{Kind: kind, Text: fmt.Sprintf("%s %q was dropped", o.Kind, o.Name)})
	}
	for i := range in.Put {
		o := c.view.Objects[in.Put[i].ID]
		kind, what := cluster.EventObjectCreated, "created"
		switch {
		case before[o.ID] != nil:
			kind, what = cluster.EventObjectChanged, "changed"
		case o.Collection != nil:
			kind = cluster.EventCollectionCreated
		}
		c.event(cluster.Event{Kind: kind, Text: fmt.Sprintf("%s %q was %s", o.Kind, o.Name, what)})
	}
}

func (c *change) forgetDropped(in *ForgetDropped) Result {
	existed := true
	for _, id := range in.Collections {
		d := c.view.Dropped[id]
		if d == nil {
			continue
		}
		delete(own(c, &c.view.Dropped), id)
		c.erase(kindDropped, idKey(uint64(id)))
		c.event(cluster.Event{Kind: cluster.EventCollectionFreed, Text: fmt.Sprintf("the rows of collection %q, dropped at %s, are gone", d.Object.Name, d.DroppedAt.UTC().Format(time.RFC3339))})
		existed = false
	}
	return Result{Existed: existed}
}
