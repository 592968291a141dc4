package metastate

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/keys"
)

// change stages what one command does: a new view that shares with the old one
// what it does not touch, and the records to write. A command that is refused
// half-way leaves nothing, because nothing staged is used then.
type change struct {
	now    time.Time
	index  uint64 // of the command
	by     string // who asked for the command
	via    string // and through what
	view   *View
	writes []recordWrite
	// refusal is set by a record that cannot be encoded.
	refusal *Refusal
	// heads says that the cluster record changed.
	heads bool
	// cloned says which maps of view are already its own.
	cloned map[any]bool
}

// recordWrite sets a record, or deletes it if value is nil.
type recordWrite struct{ key, value []byte }

func (r recordWrite) apply(w Writer) error {
	if r.value == nil {
		return w.Delete(r.key)
	}
	return w.Set(r.key, r.value)
}

func newChange(old *View, index uint64, ts hlc.Timestamp) *change {
	v := *old
	return &change{now: ts.Time(), index: index, view: &v, cloned: map[any]bool{}}
}

// own makes *m the change's own copy.
func own[K comparable, T any](c *change, m *map[K]T) map[K]T {
	if !c.cloned[m] {
		*m = maps.Clone(*m)
		c.cloned[m] = true
	}
	return *m
}

// stage writes value as a record and returns it as a reader of the record will
// see it.
func stage[T any](c *change, kind string, key []byte, value *T) *T {
	b, err := encode(kind, value)
	if err == nil {
		stored := new(T)
		if err = decodeRecord(b, stored); err == nil {
			c.writes = append(c.writes, recordWrite{keys.Record(cluster.MetaRangeID, kind, key), b})
			return stored
		}
	}
	c.refusal = refuse(CodeInvalid, "the %s cannot be stored: %v", kind, err)
	return value
}

func (c *change) erase(kind string, key []byte) {
	c.writes = append(c.writes, recordWrite{key: keys.Record(cluster.MetaRangeID, kind, key)})
}

func (c *change) putNode(n cluster.Node) {
	own(c, &c.view.Nodes)[n.ID] = stage(c, kindNode, idKey(uint64(n.ID)), &n)
}

func (c *change) putRange(d cluster.RangeDescriptor) {
	c.view.Ranges = c.view.Ranges.With(stage(c, kindRange, idKey(uint64(d.ID)), &d))
}

func (c *change) putOperation(o cluster.Operation) *cluster.Operation {
	s := stage(c, kindOperation, []byte(o.ID), &o)
	own(c, &c.view.Operations)[o.ID] = s
	return s
}

func (c *change) dropOperation(id string) {
	delete(own(c, &c.view.Operations), id)
	c.erase(kindOperation, []byte(id))
}

func (c *change) putToken(t Token) {
	own(c, &c.view.Tokens)[t.ID] = stage(c, kindToken, []byte(t.ID), &t)
}

func (c *change) putJoinToken(t JoinToken) {
	own(c, &c.view.JoinTokens)[t.ID] = stage(c, kindJoinToken, []byte(t.ID), &t)
}

// putUser stages a user, who gets a number with the first record and keeps it.
func (c *change) putUser(u User) {
	if old := c.view.Users[u.Name]; old != nil {
		u.Number = old.Number
	} else {
		u.Number = max(c.view.next.User, cluster.FirstUser)
		c.view.next.User = u.Number + 1
	}
	c.view.next.Roles++
	c.heads = true
	own(c, &c.view.Users)[u.Name] = stage(c, kindUser, []byte(u.Name), &u)
}

func (c *change) dropUser(name string) {
	c.view.next.Roles++
	c.heads = true
	delete(own(c, &c.view.Users), name)
	c.erase(kindUser, []byte(name))
}

// stageHeads stages the records that there is one of.
func (c *change) stageHeads() {
	v := c.view
	stage(c, kindApplied, nil, &appliedRecord{Index: v.Index, TS: v.TS, Audit: v.Audit})
	if !c.heads {
		return
	}
	stage(c, kindCluster, nil, &clusterRecord{
		ID: v.ClusterID, Name: v.ClusterName, CreatedAt: v.CreatedAt, CACert: v.CACert,
		Settings: v.Settings, SchemaVersion: v.SchemaVersion, Next: v.next,
		CARotation: v.CARotation, GossipRotation: v.GossipRotation, GossipKey: v.GossipKey,
		CAKeyMove: v.CAKeyMove, Active: v.Active, Raising: v.Raising,
	})
}

func idKey(id uint64) []byte { return binary.BigEndian.AppendUint64(nil, id) }

func refuse(code Code, format string, args ...any) *Refusal {
	return &Refusal{Code: code, Message: fmt.Sprintf(format, args...)}
}

func refused(code Code, format string, args ...any) Result {
	return Result{Refusal: refuse(code, format, args...)}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
