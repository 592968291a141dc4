package metastate

import (
	"maps"
	"slices"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// A transaction that changes objects and rows prepares the change of objects here while
// it lays its intents in the ranges of the rows. Until its record says what became of it
// nobody else changes what the change rests on, nor takes its names; then the change is
// carried out, or goes. Nobody sees it before.

// PendingChange is the change of objects of a transaction that has not ended.
type PendingChange struct {
	Txn    string        `json:"txn"`    // its id, as cluster.TxnID shows it
	Record []byte        `json:"record"` // key of the record that decides
	By     string        `json:"by"`
	At     time.Time     `json:"at"` // when it was prepared
	Change ChangeObjects `json:"change"`
}

// maxPending bounds the transactions that have prepared changes: each is a person's
// migration, or has been forgotten.
const maxPending = 1000

func (c *change) prepareObjects(in *PrepareObjects) Result {
	if _, err := cluster.ParseTxnID(in.Txn); err != nil || len(in.Record) == 0 {
		return refused(CodeInvalid, "a change that is prepared names its transaction and the record of that")
	}
	if _, ok := c.view.Pending[in.Txn]; ok {
		return Result{Existed: true}
	}
	if len(c.view.Pending) >= maxPending {
		return refused(CodeLimit, "%d transactions that change objects are open", maxPending)
	}
	trial := newChange(c.view, c.index, c.view.TS)
	trial.by, trial.now = c.by, c.now
	if r := trial.changeObjects(&in.Change); r.Refusal != nil {
		return r
	}
	if trial.refusal != nil {
		return Result{Refusal: trial.refusal}
	}
	c.view.next, c.heads = trial.view.next, true // the ids are taken
	own(c, &c.view.Pending)[in.Txn] = stage(c, kindPending, []byte(in.Txn), &PendingChange{Txn: in.Txn, Record: in.Record, By: c.by, At: c.now, Change: in.Change})
	return Result{}
}

func (c *change) resolveObjects(in *ResolveObjects) Result {
	p, ok := c.view.Pending[in.Txn]
	if !ok {
		return Result{Existed: true}
	}
	delete(own(c, &c.view.Pending), in.Txn)
	c.erase(kindPending, []byte(in.Txn))
	if !in.Commit {
		c.leaveVersions(p.Change.Bound)
		return Result{}
	}
	c.by = p.By
	return c.carryOutObjects(&p.Change, p.Txn)
}

// leaveVersions gives objects the versions that a change would have given them which came
// to nothing: ranges may ask for them.
func (c *change) leaveVersions(ids []cluster.ObjectID) {
	for _, id := range ids {
		o := c.view.Objects[id]
		if o == nil {
			continue // cannot be: nobody changes what a prepared change rests on
		}
		next := *o
		next.Version++
		own(c, &c.view.Objects)[id] = stage(c, kindObject, idKey(uint64(id)), &next)
		c.view.SchemaVersion++
		c.heads = true
	}
}

// checkPending refuses a change that rests on what a prepared one changes, changes what
// that rests on, or takes a name that it takes.
func (c *change) checkPending(in *ChangeObjects) *Refusal {
	if len(c.view.Pending) == 0 {
		return nil
	}
	seen, changed, names := in.touches()
	for _, id := range slices.Sorted(maps.Keys(c.view.Pending)) {
		p := c.view.Pending[id]
		otherSeen, otherChanged, otherNames := p.Change.touches()
		if in.Run.same(p.Change.Run) || overlap(seen, otherChanged) || overlap(changed, otherSeen) || overlap(names, otherNames) {
			r := refuse(CodePending, "a transaction of %s is changing the same objects", p.By)
			r.Txn, r.Record = p.Txn, p.Record
			return r
		}
	}
	return nil
}

// touches are the objects that the change rests on, those that it changes, and the names
// that it takes.
func (in *ChangeObjects) touches() (seen, changed map[cluster.ObjectID]bool, names map[cluster.ObjectName]bool) {
	seen, changed, names = map[cluster.ObjectID]bool{}, map[cluster.ObjectID]bool{}, map[cluster.ObjectName]bool{}
	for _, s := range in.Seen {
		seen[s.ID] = true
	}
	if in.Run != nil {
		seen[in.Run.Schedule] = true
	}
	for _, id := range in.Drop {
		changed[id] = true
	}
	for i := range in.Put {
		o := &in.Put[i]
		changed[o.ID] = true
		for _, n := range o.Names() {
			names[n] = true
		}
	}
	return seen, changed, names
}

func overlap[K comparable](a, b map[K]bool) bool {
	for k := range a {
		if b[k] {
			return true
		}
	}
	return false
}

// pendingIn reports whether a prepared change puts a collection into a pool.
func (v *View) pendingIn(pool cluster.PoolID) bool {
	for _, p := range v.Pending {
		for i := range p.Change.Put {
			if rows := p.Change.Put[i].Collection; rows != nil && rows.Pool == pool {
				return true
			}
		}
	}
	return false
}
