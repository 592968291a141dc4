package datastate

import (
	"encoding/binary"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/evaluation"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// Raise has the range refuse requests that rest on older versions of descriptors than
// those of Schemas, from its command on. The answer says up to where the range goes; it is
// given when no intent is left there that was laid before, and in a place that is closed no
// durable lock: until then it is Blocked, by their transactions. A range that is split off later refuses the same.
type Raise struct {
	machine *Machine

	Pool cluster.PoolID
	From cluster.Key // the range is the one that owns it
	// Schemas are what is to be refused, ascending by collection; their At is not asked for.
	Schemas []cluster.SchemaFence
}

// maxOlder bounds the intents that one answer names.
const maxOlder = 64

// Touches satisfies evaluation.Request. What is decided about rows meanwhile comes before
// the command, or is decided anew behind it.
func (r *Raise) Touches() [][]byte { return nil }

// Locks satisfies evaluation.Request.
func (r *Raise) Locks() evaluation.Locks { return evaluation.Locks{} }

// Blocked satisfies evaluation.Request. Locks do not block the evaluation of a Raise.
func (r *Raise) Blocked(by []Blocker) []byte { return blocked(by) }

// Evaluate satisfies evaluation.Request.
func (r *Raise) Evaluate(_ *storage.Rows, desc *cluster.RangeDescriptor, _ []evaluation.Pending) (d evaluation.Decision, err error) {
	if desc.IsMeta() || r.Pool != desc.Pool || r.From < desc.Start || r.From >= desc.End {
		return refuse(0, &Result{Outcome: WrongRange}), nil
	}
	fence := r.machine.Fence()
	if !fence.Covers(r.Schemas) {
		d.Command, d.Fences = (&command{raised: &raised{r.Schemas}}).encode(), true
		d.Result = EncodeResult(&Result{Outcome: Applied, More: true})
		return d, nil
	}
	if older := r.older(fence); len(older) > 0 && !r.machine.planted.oldLeft() {
		return say(&Result{Outcome: Blocked, By: older}), nil
	}
	return say(&Result{Outcome: Applied, Until: desc.End}), nil
}

// older are intents of the collections that were laid before the fence was there, and the
// durable locks in those that are closed, since who comes later does not meet them.
func (r *Raise) older(fence *cluster.Fence) (by []Blocker) {
	shown := r.machine.shown.Load()
	for key, l := range shown.rows.from("") {
		row := []byte(key)
		parts, err := keys.DecodeRow(row)
		if err != nil || !r.names(parts.Collection) {
			continue
		}
		set := fence.Schema(parts.Collection)
		if l.Intent != nil && uint64(l.Intent.TS) < set.At {
			by = append(by, Blocker{Txn: l.Intent.Txn(), Record: l.Intent.Record, Row: row})
		}
		for i := range l.Holders {
			if set.Closes() {
				by = append(by, Blocker{Txn: l.Holders[i].Txn(), Record: l.Holders[i].Record, Row: row})
			}
		}
		if len(by) >= maxOlder {
			break
		}
	}
	return by
}

func (r *Raise) names(c cluster.CollectionID) bool {
	for i := range r.Schemas {
		if r.Schemas[i].Collection == c {
			return true
		}
	}
	return false
}

// Encode is the request as a gateway proposes it.
func (r *Raise) Encode() []byte {
	out := append(make([]byte, 0, 32+16*len(r.Schemas)), batchFormat, kindRaise)
	return appendSchemaFences(appendSpans(out, []TxnSpan{{Pool: r.Pool, From: r.From}}), r.Schemas)
}

func (r *Raise) of(m *Machine) { r.machine = m }

func (d *decoder) raise() (request, error) {
	spans := d.spans()
	if d.Err() == nil && len(spans) != 1 {
		d.Fail("not one place")
	}
	at := first(spans)
	return &Raise{Pool: at.Pool, From: at.From, Schemas: d.schemaFences()}, d.Err()
}

// raised is what a command has a range refuse from here on.
type raised struct{ schemas []cluster.SchemaFence }

func (r *raised) append(out []byte) []byte { return appendSchemaFences(out, r.schemas) }

func (d *decoder) raised() *raised { return &raised{d.schemaFences()} }

// writeRaised has requests be refused that rest on older versions. None that was evaluated
// before comes after, see package replica.
func (m *Machine) writeRaised(w storage.Writer, desc *cluster.RangeDescriptor, ts hlc.Timestamp, c *raised) (applied bool, err error) {
	next := m.Fence().Raised(c.schemas, uint64(ts))
	m.fence.Store(next)
	return true, storeFence(w, desc.ID, next)
}

// unwritable is the refusal of a row that the request may not write; nil: it may.
func (e *evaluating) unwritable(row []byte) *Result {
	c, refusal := e.own(row)
	if refusal != nil || e.machine == nil {
		return refusal
	}
	want := e.machine.Fence().Schema(c)
	if want.Version == 0 || restsOn(e.schemas, c) >= want.Version || e.machine.planted.staleTaken() {
		return nil
	}
	return &Result{Outcome: StaleSchema, Schema: want.SchemaVersion}
}

// unlockable is the refusal of a row that nobody may lock; nil: the request may. Where a
// place is closed for good, others would not meet the lock.
func (e *evaluating) unlockable(row []byte) *Result {
	c, refusal := e.own(row)
	if refusal != nil || e.machine == nil {
		return refusal
	}
	if want := e.machine.Fence().Schema(c); want.Closes() && !e.machine.planted.staleTaken() {
		return &Result{Outcome: StaleSchema, Schema: want.SchemaVersion}
	}
	return nil
}

// restsOn is the version that a request rests on of a collection's descriptor; 0: it says
// of none.
func restsOn(schemas []cluster.SchemaVersion, c cluster.CollectionID) uint64 {
	for i := range schemas {
		if schemas[i].Collection == c {
			return schemas[i].Version
		}
	}
	return 0
}

// minSchema and minSchemaFence are the shortest encodings of them.
const (
	minSchema      = 2
	minSchemaFence = 2 + 1 + 8
)

func appendSchemas(out []byte, schemas []cluster.SchemaVersion) []byte {
	out = binary.AppendUvarint(out, uint64(len(schemas)))
	for _, s := range schemas {
		out = binary.AppendUvarint(binary.AppendUvarint(out, uint64(s.Collection)), s.Version)
	}
	return out
}

func (d *decoder) schemas() []cluster.SchemaVersion {
	n := d.Count(minSchema)
	if n == 0 {
		return nil
	}
	schemas := make([]cluster.SchemaVersion, n)
	for i := range schemas {
		schemas[i] = cluster.SchemaVersion{Collection: cluster.CollectionID(d.Uvarint()), Version: d.Uvarint()}
	}
	return schemas
}

func appendSchemaFences(out []byte, schemas []cluster.SchemaFence) []byte {
	out = binary.AppendUvarint(out, uint64(len(schemas)))
	for _, s := range schemas {
		out = binary.AppendUvarint(binary.AppendUvarint(out, uint64(s.Collection)), s.Version)
		out = binary.BigEndian.AppendUint64(append(out, flag(s.Reads)), s.At)
	}
	return out
}

func (d *decoder) schemaFences() []cluster.SchemaFence {
	n := d.Count(minSchemaFence)
	if n == 0 {
		return nil
	}
	schemas := make([]cluster.SchemaFence, n)
	for i := range schemas {
		s := &schemas[i]
		s.Collection, s.Version, s.Reads, s.At = cluster.CollectionID(d.Uvarint()), d.Uvarint(), d.UpTo(1) == 1, d.Uint64()
	}
	return schemas
}

// ReadsNeed is the least version of a descriptor that reads of a collection have to rest
// on in a range; 0: any. A read at a time before the fence finds what was maintained then:
// it is refused only if the range refuses such reads in the view that it reads.
func ReadsNeed(r storage.Reader, id cluster.RangeID, c cluster.CollectionID) (version uint64, err error) {
	f, err := loadFence(r, id)
	if err != nil {
		return 0, err
	}
	if s := f.Schema(c); s.Reads {
		version = s.Version
	}
	return version, nil
}
