package metastate

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/gate"
	"github.com/nodedb/nodedb/agent/internal/hlc"
)

// View is the state of the meta range after the command at Index. It and all
// that it points to are immutable.
type View struct {
	// Index is the raft index of the last command applied, refused ones included.
	Index uint64
	// TS is the timestamp of that command.
	TS hlc.Timestamp

	ClusterID   string // empty: not initialised
	ClusterName string
	CreatedAt   time.Time
	CACert      string // PEM
	// CARotation and GossipRotation are under way; nil: none is.
	CARotation     *Rotation
	GossipRotation *Rotation
	GossipKey      string     // fingerprint of the key, after its first rotation
	CAKeyMove      *CAKeyMove // nil: none is asked for
	Settings       Settings
	// Active is the version of the cluster, and Raising the one to come; nil: none is
	// being raised.
	Active  gate.Version
	Raising *Raising

	Nodes  map[cluster.NodeID]*cluster.Node
	Ranges RangeMap

	Pools map[cluster.PoolID]*cluster.Pool
	// Removed are the ranges of pools that were dropped.
	Removed map[cluster.RangeID]*RemovedRange

	// SchemaVersion rises with every change of an object.
	SchemaVersion uint64
	Objects       map[cluster.ObjectID]*cluster.Object
	names         map[cluster.ObjectName]cluster.ObjectID // of all Objects
	Sequences     map[cluster.ObjectID]*SequenceState     // how far they have come
	Schedules     map[cluster.ObjectID]*ScheduleState     // likewise
	// Runs are the newest of each schedule, oldest first. The slices are shared.
	Runs map[cluster.ObjectID][]*cluster.ScheduleRun
	// Pending are the changes of objects of transactions that have not ended, by transaction.
	Pending map[string]*PendingChange
	// Dropped holds the collections whose rows are still to be collected.
	Dropped map[cluster.CollectionID]*DroppedCollection

	Operations map[string]*cluster.Operation
	Tokens     map[string]*Token
	JoinTokens map[string]*JoinToken
	Users      map[string]*User
	// Certificates of clients that were issued or revoked, by serial.
	Certificates map[string]*Certificate
	// Audit is where the chains of audit records stand; ReadAudit reads them.
	Audit AuditHeads
	// LogHeads says of each node how far its log of logins is anchored.
	LogHeads map[cluster.NodeID]*AnchorLog
	// Events are the newest events, oldest first; see EventsAfter.
	Events []*cluster.Event
	Plans  map[string]*cluster.StoredPlan // by id
	Sweeps map[string]*cluster.Sweep      // of the rebalancer, by id

	viewNext //nolint:unused // has fields in builds with the tag nextversion

	next counters
	// spans are the data ranges in the order of their keys; replaced, never changed.
	spans []*cluster.RangeDescriptor
}

// counters are the next ids to give out.
type counters struct {
	Node   cluster.NodeID   `json:"node"`
	Object cluster.ObjectID `json:"object"`
	// Unmade are those that were given out and are not made yet, ascending.
	Unmade []cluster.ObjectID `json:"unmade,omitempty"`
	Range  cluster.RangeID    `json:"range,omitempty"` // 0: none was given out
	Pool   cluster.PoolID     `json:"pool,omitempty"`  // the last one, not the next
	// Roles is the version of all roles together.
	Roles uint64           `json:"roles,omitempty"`
	User  cluster.WriterID `json:"user,omitempty"` // 0: none was given out
}

// DroppedCollection remembers a collection whose rows are garbage.
type DroppedCollection struct {
	Object    cluster.Object `json:"object"`
	DroppedAt time.Time      `json:"droppedAt"`
	Index     uint64         `json:"index"` // of the command
}

// Token is a bearer token of the admin API. The secret itself is never stored.
type Token struct {
	ID        string    `json:"id"`
	Owner     string    `json:"owner"`
	Role      string    `json:"role"` // viewer | operator | admin
	Hash      []byte    `json:"hash"` // SHA-256 of the secret
	CreatedAt time.Time `json:"createdAt"`
	CreatedBy string    `json:"createdBy,omitempty"`
	ExpiresAt time.Time `json:"expiresAt,omitzero"` // zero: never
	RevokedAt time.Time `json:"revokedAt,omitzero"`
}

// Valid reports whether the token may be used at now.
func (t *Token) Valid(now time.Time) bool {
	return t.RevokedAt.IsZero() && (t.ExpiresAt.IsZero() || now.Before(t.ExpiresAt))
}

// JoinToken lets nodes join. The secret itself is never stored.
type JoinToken struct {
	ID        string      `json:"id"`
	Hash      []byte      `json:"hash"`           // SHA-256 of the secret
	Node      string      `json:"node,omitempty"` // the only node name that may use it
	Uses      int         `json:"uses"`           // how many nodes may join with it
	CreatedAt time.Time   `json:"createdAt"`
	CreatedBy string      `json:"createdBy,omitempty"`
	ExpiresAt time.Time   `json:"expiresAt"`
	RevokedAt time.Time   `json:"revokedAt,omitzero"`
	Consumed  []JoinedKey `json:"consumed,omitempty"`
}

// JoinedKey says which node key consumed one use of a join token.
type JoinedKey struct {
	KeyHash []byte         `json:"keyHash"` // SHA-256 of the node's public key
	Node    cluster.NodeID `json:"node"`
	At      time.Time      `json:"at"`
}

// User is a SQL role.
type User struct {
	Name string `json:"name"`
	// Number stands for the user in versions of rows; the next user of that name has
	// another.
	Number    cluster.WriterID `json:"number"`
	Verifier  string           `json:"verifier,omitempty"`  // SCRAM-SHA-256$..., as PostgreSQL stores it; empty: no password
	AdminRole string           `json:"adminRole,omitempty"` // viewer | operator | admin; empty: none
	// ConnectionLimit bounds the user's SQL sessions on each node; nil: the default.
	ConnectionLimit *int32 `json:"connectionLimit,omitempty"`
	// NoLogin says that nobody logs in as it: it is there to have members.
	NoLogin bool `json:"noLogin,omitempty"`
	// NoInherit says that it has what it is a member of only by SET ROLE.
	NoInherit  bool `json:"noInherit,omitempty"`
	CreateDB   bool `json:"createDB,omitempty"`
	CreateRole bool `json:"createRole,omitempty"`
	BypassRLS  bool `json:"bypassRLS,omitempty"`
	// ValidUntil ends its password; zero: nothing does.
	ValidUntil time.Time    `json:"validUntil,omitzero"`
	MemberOf   []Membership `json:"memberOf,omitempty"`
	// SessionSettings are what its sessions begin with, by the database that they are in and by
	// the names of settings; those of 0 are of all.
	SessionSettings map[cluster.ObjectID]map[string]string `json:"sessionSettings,omitempty"`
	ChangedAt       time.Time                              `json:"changedAt"`
}

func emptyView() *View {
	return &View{
		Settings:     Settings{},
		Nodes:        map[cluster.NodeID]*cluster.Node{},
		Pools:        map[cluster.PoolID]*cluster.Pool{},
		Removed:      map[cluster.RangeID]*RemovedRange{},
		Objects:      map[cluster.ObjectID]*cluster.Object{},
		names:        map[cluster.ObjectName]cluster.ObjectID{},
		Sequences:    map[cluster.ObjectID]*SequenceState{},
		Schedules:    map[cluster.ObjectID]*ScheduleState{},
		Runs:         map[cluster.ObjectID][]*cluster.ScheduleRun{},
		Pending:      map[string]*PendingChange{},
		Dropped:      map[cluster.CollectionID]*DroppedCollection{},
		Operations:   map[string]*cluster.Operation{},
		Tokens:       map[string]*Token{},
		JoinTokens:   map[string]*JoinToken{},
		Users:        map[string]*User{},
		LogHeads:     map[cluster.NodeID]*AnchorLog{},
		Certificates: map[string]*Certificate{},
		Plans:        map[string]*cluster.StoredPlan{},
		Sweeps:       map[string]*cluster.Sweep{},
		next:         counters{Node: 1, Object: cluster.FirstObject},
	}
}

// Epoch rises with every change of a range's replicas, of a node's membership
// and of what a pool wants: at the same epoch the same plan has the same moves.
func (v *View) Epoch() uint64 {
	var e uint64
	for _, d := range v.Ranges.All() {
		e += d.Generation
	}
	for _, p := range v.Pools {
		e += p.Version
	}
	for _, n := range v.Nodes {
		e++
		if n.Membership != cluster.Joining {
			e++
		}
	}
	return e
}

// Initialized reports whether the cluster was initialised.
func (v *View) Initialized() bool { return v.ClusterID != "" }

// RangeOf returns the range that owns the key k of pool p. Of a range that was
// split off just now and is not known yet it returns the left neighbour, whose
// leader knows: a key always has a range.
func (v *View) RangeOf(p cluster.PoolID, k cluster.Key) (*cluster.RangeDescriptor, bool) {
	if k >= lastBound {
		return nil, false
	}
	i := after(v.spans, p, k)
	if i == 0 || v.spans[i-1].Pool != p {
		return nil, false
	}
	return v.spans[i-1], true
}

// Range returns the range with the id.
func (v *View) Range(id cluster.RangeID) (*cluster.RangeDescriptor, bool) {
	d := v.Ranges.Get(id)
	return d, d != nil
}

// MetaRange returns the meta range's descriptor.
func (v *View) MetaRange() (*cluster.RangeDescriptor, bool) {
	return v.Range(cluster.MetaRangeID)
}

// NodeIDs returns all node ids, ascending, tombstones included.
func (v *View) NodeIDs() []cluster.NodeID { return slices.Sorted(maps.Keys(v.Nodes)) }

// RangeIDs returns all range ids, ascending.
func (v *View) RangeIDs() []cluster.RangeID {
	ids := make([]cluster.RangeID, 0, v.Ranges.Len())
	for id := range v.Ranges.All() {
		ids = append(ids, id)
	}
	return ids
}

// NodeByUUID returns the node with the identity uuid.
func (v *View) NodeByUUID(uuid string) (*cluster.Node, bool) {
	for _, id := range v.NodeIDs() {
		if v.Nodes[id].UUID == uuid {
			return v.Nodes[id], true
		}
	}
	return nil, false
}

// OperationIDs returns the ids of all operations, oldest first.
func (v *View) OperationIDs() []string {
	ids := slices.Sorted(maps.Keys(v.Operations))
	slices.SortStableFunc(ids, func(a, b string) int {
		return v.Operations[a].CreatedAt.Compare(v.Operations[b].CreatedAt)
	})
	return ids
}

// Find returns the object with the name.
func (v *View) Find(parent cluster.ObjectID, space cluster.NameSpace, name string) (*cluster.Object, bool) {
	id, ok := v.names[cluster.ObjectName{Parent: parent, Space: space, Name: name}]
	return v.Objects[id], ok
}

// Collections returns the objects that have rows, by database, schema and name.
func (v *View) Collections() []*cluster.Object {
	var out []*cluster.Object
	for _, o := range v.Objects {
		if o.Collection != nil {
			out = append(out, o)
		}
	}
	slices.SortFunc(out, func(a, b *cluster.Object) int {
		return cmp.Or(cmp.Compare(v.FullName(a), v.FullName(b)), cmp.Compare(a.ID, b.ID))
	})
	return out
}

// Collection returns the object with rows that has the full name.
func (v *View) Collection(fullName string) (*cluster.Object, bool) {
	for _, o := range v.Objects {
		if o.Collection != nil && v.FullName(o) == fullName {
			return o, true
		}
	}
	return nil, false
}

// FullName is the name of o with that of its schema in front, unless it is public,
// and with that of its database, unless it is the main one.
func (v *View) FullName(o *cluster.Object) string {
	schema := v.Objects[o.Parent]
	if schema == nil {
		return o.Name
	}
	out := o.Name
	if schema.Name != "public" {
		out = schema.Name + "." + out
	}
	if db := v.Objects[schema.Parent]; db != nil && db.ID != cluster.MainDatabase {
		out = db.Name + ":" + out
	}
	return out
}
