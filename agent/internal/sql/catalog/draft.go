package catalog

import (
	"cmp"
	"maps"
	"reflect"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
)

// Draft is what a transaction has changed of the objects, and nobody else sees. It is
// immutable; nil is one without changes.
type Draft struct {
	// put are objects as they are to be, nil those that are dropped; seen the versions of
	// those that were there, and of what else the changes rest on.
	put   map[cluster.ObjectID]*cluster.Object
	seen  map[cluster.ObjectID]uint64
	names map[cluster.ObjectName]cluster.ObjectID // of put
	// later is what operations are to carry on once the draft is published.
	later []*cluster.TableChange
	// truncated are tables in whose place new ones stand.
	truncated []*cluster.Object
	// bound are tables that ranges are to be told of before the draft is seen.
	bound []cluster.ObjectID
	// run is the end of the run of a schedule that the transaction is; nil: it is none.
	run *metastate.EndRun
}

// clone returns a draft that may be changed until it is given away.
func (d *Draft) clone() *Draft {
	if d == nil {
		return &Draft{put: map[cluster.ObjectID]*cluster.Object{}, seen: map[cluster.ObjectID]uint64{}, names: map[cluster.ObjectName]cluster.ObjectID{}}
	}
	return &Draft{put: maps.Clone(d.put), seen: maps.Clone(d.seen), names: maps.Clone(d.names), later: slices.Clone(d.later), truncated: slices.Clone(d.truncated), bound: slices.Clone(d.bound), run: d.run}
}

// rest notes that the changes rest on o, as it is.
func (d *Draft) rest(o *cluster.Object) {
	if _, own := d.put[o.ID]; own {
		return
	}
	if _, noted := d.seen[o.ID]; !noted {
		d.seen[o.ID] = o.Version
	}
}

// add makes an object that is new.
func (d *Draft) add(o *cluster.Object) { d.place(o) }

// alter has old become next; the schemas of both are in scope.
func (d *Draft) alter(in Scope, old, next *cluster.Object) {
	for _, id := range []cluster.ObjectID{old.Parent, next.Parent} {
		if parent, ok := in.Object(id); ok {
			d.rest(parent)
		}
	}
	d.replace(old, next)
}

// replace has old become next.
func (d *Draft) replace(old, next *cluster.Object) {
	d.rest(old)
	d.free(old)
	d.place(next)
}

// drop takes an object away.
func (d *Draft) drop(old *cluster.Object) {
	d.rest(old)
	d.free(old)
	d.put[old.ID] = nil
}

func (d *Draft) place(o *cluster.Object) {
	d.put[o.ID] = o
	for _, n := range o.Names() {
		d.names[n] = o.ID
	}
}

func (d *Draft) free(o *cluster.Object) {
	for _, n := range o.Names() {
		if d.names[n] == o.ID {
			delete(d.names, n)
		}
	}
}

// Truncated are tables in whose place the transaction has put new ones. What is written to
// them once it has committed would be lost.
func (d *Draft) Truncated() []*cluster.Object {
	if d == nil {
		return nil
	}
	return d.truncated
}

// bind has ranges ask for the version of a table that the draft gives it before anybody
// sees the draft. A table that the transaction has made nobody else writes to.
func (d *Draft) bind(id cluster.ObjectID) {
	if !d.Made(id) && !slices.Contains(d.bound, id) {
		d.bound = append(d.bound, id)
	}
}

// Bound are tables, and the versions that they have once the draft is seen: before that,
// ranges have to refuse what rests on older ones.
func (d *Draft) Bound() []cluster.SchemaVersion {
	if d == nil {
		return nil
	}
	var out []cluster.SchemaVersion
	for _, id := range d.bound {
		if o, seen := d.put[id], d.seen[id]; o != nil && seen != 0 {
			out = append(out, cluster.SchemaVersion{Collection: id, Version: seen + 1})
		}
	}
	return out
}

// Empty reports whether nothing is changed.
func (d *Draft) Empty() bool { return d.Unchanged() && (d == nil || d.run == nil) }

// Unchanged reports whether no object is: the end of a run may be among the changes.
func (d *Draft) Unchanged() bool {
	if d != nil {
		for id, o := range d.put {
			if o != nil || !d.Made(id) {
				return false
			}
		}
	}
	return true
}

// Made reports whether the transaction has made the object, and dropped it maybe.
func (d *Draft) Made(id cluster.ObjectID) bool {
	if d == nil {
		return false
	}
	_, changed := d.put[id]
	_, was := d.seen[id]
	return changed && !was
}

// Redone is a table whose writers a draft has do other things beside or instead, and the
// version that it has then: by triggers, since a foreign key is gone that references it, by
// policies, or by functions that those or its expressions call.
type Redone struct {
	Object  *cluster.Object
	Version uint64
	// Body says that nothing is other but what functions do that its triggers call, and
	// Calls that nothing is but those and what functions do that its expressions call.
	Body, Calls bool
}

// forgets reports whether a foreign key that references was does not reference o.
func forgets(o, was *cluster.Object) bool {
	return slices.ContainsFunc(was.Collection.ReferencedBy, func(r cluster.Referrer) bool { return !slices.Contains(o.Collection.ReferencedBy, r) })
}

// unrevised are the triggers of a table without how often their functions were changed.
func unrevised(o *cluster.Object) []cluster.TableTrigger {
	out := slices.Clone(o.Collection.Triggers)
	for i := range out {
		out[i].Revision = 0
	}
	return out
}

// secured reports whether row level security is the same.
func secured(o, was *cluster.Object) bool {
	a, b := o.Collection, was.Collection
	return a.RowSecurity == b.RowSecurity && a.ForceRowSecurity == b.ForceRowSecurity && reflect.DeepEqual(a.Policies, b.Policies)
}

// Redone are the tables of the view of which that is so.
func (d *Draft) Redone(view *metastate.View) []Redone {
	if d == nil {
		return nil
	}
	var out []Redone
	for _, id := range slices.Sorted(maps.Keys(d.put)) {
		o, was := d.put[id], view.Objects[id]
		if o == nil || was == nil || o.Collection == nil || was.Collection == nil {
			continue
		}
		fires, calls := !reflect.DeepEqual(o.Collection.Triggers, was.Collection.Triggers), o.Collection.CallsRevision != was.Collection.CallsRevision
		other := forgets(o, was) || !secured(o, was) || !reflect.DeepEqual(unrevised(o), unrevised(was))
		if fires || calls || other {
			out = append(out, Redone{Object: o, Version: d.seen[id] + 1, Body: !calls && !other, Calls: calls && !other})
		}
	}
	return out
}

// change is what the meta range is asked for.
func (d *Draft) change() *metastate.ChangeObjects {
	out := &metastate.ChangeObjects{Run: d.run}
	for _, id := range slices.Sorted(maps.Keys(d.seen)) {
		out.Seen = append(out.Seen, metastate.SeenObject{ID: id, Version: d.seen[id]})
	}
	for _, id := range slices.Sorted(maps.Keys(d.put)) {
		switch o := d.put[id]; {
		case o != nil:
			out.Put = append(out.Put, *o)
		case !d.Made(id): // else it was made and dropped here: nothing happened
			out.Drop = append(out.Drop, id)
		}
	}
	for _, b := range d.Bound() {
		out.Bound = append(out.Bound, b.Collection)
	}
	for _, what := range d.carriedOn() {
		out.Operations = append(out.Operations, cluster.OperationSpec{Kind: cluster.OpSchemaChange, Change: what})
	}
	return out
}

// EndRun has the end of a run be a part of the transaction.
func (d *Draft) EndRun(end *metastate.EndRun) *Draft {
	next := d.clone()
	next.run = end
	return next
}

// Object returns the object with the id.
func (s Scope) Object(id cluster.ObjectID) (*cluster.Object, bool) {
	if s.Draft != nil {
		if o, changed := s.Draft.put[id]; changed {
			return o, o != nil
		}
	}
	o, ok := s.View.Objects[id]
	return o, ok
}

// find returns the object with the name.
func (s Scope) find(parent cluster.ObjectID, space cluster.NameSpace, name string) (*cluster.Object, bool) {
	if s.Draft != nil {
		if id, ok := s.Draft.names[cluster.ObjectName{Parent: parent, Space: space, Name: name}]; ok {
			return s.Draft.put[id], true
		}
	}
	o, ok := s.View.Find(parent, space, name)
	if !ok {
		return nil, false
	}
	if s.Draft != nil {
		if _, changed := s.Draft.put[o.ID]; changed {
			return nil, false // dropped, or it has another name
		}
	}
	return o, true
}

// objects are those that take accepts, by name.
func (s Scope) objects(take func(*cluster.Object) bool) []*cluster.Object {
	var out []*cluster.Object
	for id, o := range s.View.Objects {
		if s.Draft != nil {
			if _, changed := s.Draft.put[id]; changed {
				continue
			}
		}
		if take(o) {
			out = append(out, o)
		}
	}
	if s.Draft != nil {
		for _, o := range s.Draft.put {
			if o != nil && take(o) {
				out = append(out, o)
			}
		}
	}
	slices.SortFunc(out, func(a, b *cluster.Object) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) })
	return out
}
