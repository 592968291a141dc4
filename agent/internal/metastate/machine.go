package metastate

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/gate"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/keys"
)

// Machine is the state machine of the meta range.
type Machine struct {
	support gate.Support
	view    atomic.Pointer[View]

	mu struct {
		sync.Mutex
		next int
		subs []subscription // in the order they were made
	}
}

type subscription struct {
	id int
	fn func(*View)
}

// New returns a machine with an empty view, of this binary; Reload fills it.
func New() *Machine { return NewFor(gate.Binary()) }

// NewFor returns the machine of a binary that supports s.
func NewFor(s gate.Support) *Machine {
	m := &Machine{support: s}
	m.view.Store(emptyView())
	return m
}

// View returns the newest view.
func (m *Machine) View() *View { return m.view.Load() }

// Subscribe calls fn with the new view after every Apply and Reload, in order,
// on the goroutine that applies: fn must not block and must not call Subscribe
// or cancel. A subscriber may see views coalesced, never out of order.
func (m *Machine) Subscribe(fn func(*View)) (cancel func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	id := m.mu.next
	m.mu.next++
	m.mu.subs = append(m.mu.subs, subscription{id, fn})
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.mu.subs = slices.DeleteFunc(m.mu.subs, func(s subscription) bool { return s.id == id })
	}
}

// Watch returns a channel that holds a signal whenever the view has changed
// since the last receive. It is never closed; it falls silent when ctx ends.
func (m *Machine) Watch(ctx context.Context) <-chan struct{} {
	ch := make(chan struct{}, 1)
	cancel := m.Subscribe(func(*View) {
		select {
		case ch <- struct{}{}:
		default:
		}
	})
	context.AfterFunc(ctx, cancel)
	return ch
}

func (m *Machine) publish(v *View) {
	m.view.Store(v)
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.mu.subs {
		s.fn(v)
	}
}

// apply runs one command and returns its result. An error means that the
// engine failed.
func (m *Machine) apply(w Writer, index uint64, ts hlc.Timestamp, command []byte) ([]byte, error) {
	cmd, err := DecodeCommand(command, m.support)
	if err != nil {
		// Another binary may read it and change its state: this replica has to stop.
		return nil, fmt.Errorf("apply meta command at %d: %w", index, err)
	}
	old := m.View()
	c := newChange(old, index, ts)
	res := c.carryOut(&cmd)
	if res.Refusal == nil && c.refusal != nil {
		res = Result{Refusal: c.refusal}
	}
	if res.Refusal != nil {
		c = newChange(old, index, ts) // drop what was staged
	}
	c.view.Index, c.view.TS = index, ts
	if c.view.Initialized() {
		c.audit(&cmd, index, res.Refusal)
	}
	c.stageHeads()
	res.stamp(index, ts)
	out, err := EncodeResult(res)
	if err != nil {
		return nil, fmt.Errorf("apply meta command at %d: %w", index, err)
	}
	for _, r := range c.writes {
		if err := r.apply(w); err != nil {
			return nil, fmt.Errorf("apply meta command at %d: %w", index, err)
		}
	}
	m.publish(c.view)
	return out, nil
}

func (r *Result) stamp(index uint64, ts hlc.Timestamp) {
	r.Index, r.TS = index, ts
	for i := range r.Batch {
		r.Batch[i].stamp(index, ts)
	}
}

// Writer is the part of a storage batch that Apply uses.
type Writer interface {
	Set(key, value []byte) error
	Delete(key []byte) error
}

// The kinds of records.
const (
	kindApplied     = "applied"
	kindCluster     = "cluster"
	kindNode        = "node"
	kindRange       = "range"
	kindObject      = "object"
	kindSequence    = "sequence"
	kindSchedule    = "schedule"
	kindRun         = "run"
	kindPending     = "pending"
	kindDropped     = "dropped"
	kindOperation   = "operation"
	kindToken       = "token"
	kindJoinToken   = "jointoken"
	kindUser        = "user"
	kindAudit       = "audit"
	kindLogHead     = "loghead"
	kindEvent       = "event"
	kindPlan        = "plan"
	kindSweep       = "sweep"
	kindCertificate = "certificate"
	kindPool        = "pool"
	kindRemoved     = "removed"
)

// appliedRecord is rewritten by every command.
type appliedRecord struct {
	Index uint64        `json:"index"`
	TS    hlc.Timestamp `json:"ts"`
	Audit AuditHeads    `json:"audit,omitzero"`
}

// clusterRecord holds what there is one of.
type clusterRecord struct {
	ID            string    `json:"id"`
	Name          string    `json:"name"`
	CreatedAt     time.Time `json:"createdAt"`
	CACert        string    `json:"caCert"`
	Settings      Settings  `json:"settings"`
	SchemaVersion uint64    `json:"schemaVersion"`
	Next          counters  `json:"next"`

	CARotation     *Rotation `json:"caRotation,omitempty"`
	GossipRotation *Rotation `json:"gossipRotation,omitempty"`
	GossipKey      string    `json:"gossipKey,omitempty"`

	CAKeyMove *CAKeyMove `json:"caKeyMove,omitempty"`

	Active  gate.Version `json:"active"`
	Raising *Raising     `json:"raising,omitempty"`
}

// load rebuilds the view from the records that next returns until it returns
// no key.
func (m *Machine) load(next func() (key, value []byte, err error)) error {
	v := emptyView()
	for {
		key, value, err := next()
		if err != nil {
			return fmt.Errorf("read meta records: %w", err)
		}
		if key == nil {
			break
		}
		kind, _, err := keys.DecodeRecord(key)
		if err != nil {
			return fmt.Errorf("read meta records: %w", err)
		}
		if recordNeeds(kind) > m.support.Max {
			return gate.Newer("a meta record of kind %q", kind)
		}
		if err := v.loadRecord(kind, value); err != nil {
			return fmt.Errorf("read meta record of kind %q: %w", kind, err)
		}
	}
	v.spans = dataRanges(v.Ranges)
	if err := disjoint(v.spans); err != nil {
		return fmt.Errorf("read meta records: %w", err)
	}
	m.publish(v)
	return nil
}

func (v *View) loadRecord(kind string, value []byte) error {
	switch kind {
	case kindApplied:
		var a appliedRecord
		if err := decodeRecord(value, &a); err != nil {
			return err
		}
		v.Index, v.TS, v.Audit = a.Index, a.TS, a.Audit
		return nil
	case kindCluster:
		var c clusterRecord
		if err := decodeRecord(value, &c); err != nil {
			return err
		}
		v.ClusterID, v.ClusterName, v.CreatedAt, v.CACert = c.ID, c.Name, c.CreatedAt, c.CACert
		v.SchemaVersion, v.next = c.SchemaVersion, c.Next
		v.CARotation, v.GossipRotation, v.GossipKey = c.CARotation, c.GossipRotation, c.GossipKey
		v.CAKeyMove, v.Active, v.Raising = c.CAKeyMove, c.Active, c.Raising
		if c.Settings != nil {
			v.Settings = c.Settings
		}
		return nil
	case kindNode:
		return loadInto(value, v.Nodes, func(n *cluster.Node) cluster.NodeID { return n.ID })
	case kindRange:
		d := &cluster.RangeDescriptor{}
		err := decodeRecord(value, d)
		v.Ranges = v.Ranges.With(d)
		return err
	case kindObject:
		o := new(cluster.Object)
		if err := decodeRecord(value, o); err != nil {
			return err
		}
		v.Objects[o.ID] = o
		for _, name := range o.Names() {
			v.names[name] = o.ID
		}
		return nil
	case kindPending:
		return loadInto(value, v.Pending, func(p *PendingChange) string { return p.Txn })
	case kindDropped:
		return loadInto(value, v.Dropped, func(d *DroppedCollection) cluster.CollectionID { return d.Object.ID })
	case kindOperation:
		return loadInto(value, v.Operations, func(o *cluster.Operation) string { return o.ID })
	case kindToken:
		return loadInto(value, v.Tokens, func(t *Token) string { return t.ID })
	case kindJoinToken:
		return loadInto(value, v.JoinTokens, func(t *JoinToken) string { return t.ID })
	case kindUser:
		return loadInto(value, v.Users, func(u *User) string { return u.Name })
	case kindEvent:
		e := new(cluster.Event)
		v.Events = append(v.Events, e) // the keys are in the order of the sequence
		return decodeRecord(value, e)
	}
	return v.loadMore(kind, value)
}

// loadMore loads the kinds of what is kept about changes.
func (v *View) loadMore(kind string, value []byte) error {
	switch kind {
	case kindAudit:
		return nil // many, and read from the store by who asks for them
	case kindSequence:
		return loadInto(value, v.Sequences, func(s *SequenceState) cluster.ObjectID { return s.ID })
	case kindSchedule:
		return loadInto(value, v.Schedules, func(s *ScheduleState) cluster.ObjectID { return s.ID })
	case kindRun:
		r := new(cluster.ScheduleRun)
		err := decodeRecord(value, r)
		v.Runs[r.Schedule] = append(v.Runs[r.Schedule], r) // the keys are in the order of the numbers
		return err
	case kindLogHead:
		return loadInto(value, v.LogHeads, func(a *AnchorLog) cluster.NodeID { return a.Node })
	case kindCertificate:
		return loadInto(value, v.Certificates, func(c *Certificate) string { return c.Serial })
	case kindPlan:
		return loadInto(value, v.Plans, func(p *cluster.StoredPlan) string { return p.ID })
	case kindPool:
		return loadInto(value, v.Pools, func(p *cluster.Pool) cluster.PoolID { return p.ID })
	case kindRemoved:
		return loadInto(value, v.Removed, func(r *RemovedRange) cluster.RangeID { return r.ID })
	case kindSweep:
		return loadInto(value, v.Sweeps, func(s *cluster.Sweep) string { return s.ID })
	}
	return v.loadNext(kind, value)
}

func loadInto[K comparable, T any](value []byte, m map[K]*T, key func(*T) K) error {
	t := new(T)
	if err := decodeRecord(value, t); err != nil {
		return err
	}
	m[key(t)] = t
	return nil
}

// decodeRecord reads a record. One with a field that is not known would lose it
// when it is written again.
func decodeRecord(b []byte, into any) error { return decode("record", b, into) }
