package metastate

import (
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/gate"
)

// Command is one change of the meta range. Exactly one of the pointers (or
// Batch) is set. It carries no time: the entry's timestamp is the time.
type Command struct {
	// By, Via and RequestID say who asked, through what (admin, sql, agent,
	// operation) and in which request: the entry is the audit record.
	By        string `json:"by,omitempty"`
	Via       string `json:"via,omitempty"`
	RequestID string `json:"requestId,omitempty"`
	// TokenID is the bearer token that was used, Source where the request came from.
	TokenID string `json:"tokenId,omitempty"`
	Source  string `json:"source,omitempty"`

	InitCluster     *InitCluster     `json:"initCluster,omitempty"`
	AddNode         *AddNode         `json:"addNode,omitempty"`
	UpdateNode      *UpdateNode      `json:"updateNode,omitempty"`
	ResetStore      *ResetStore      `json:"resetStore,omitempty"`
	SetMembership   *SetMembership   `json:"setMembership,omitempty"`
	SetCordon       *SetCordon       `json:"setCordon,omitempty"`
	UpdateRanges    *UpdateRanges    `json:"updateRanges,omitempty"`
	AllocateObjects *AllocateObjects `json:"allocateObjects,omitempty"`
	ChangeObjects   *ChangeObjects   `json:"changeObjects,omitempty"`
	PrepareObjects  *PrepareObjects  `json:"prepareObjects,omitempty"`
	ResolveObjects  *ResolveObjects  `json:"resolveObjects,omitempty"`
	AdvanceSequence *AdvanceSequence `json:"advanceSequence,omitempty"`
	SetSequence     *SetSequence     `json:"setSequence,omitempty"`
	ForgetDropped   *ForgetDropped   `json:"forgetDropped,omitempty"`
	StartRun        *StartRun        `json:"startRun,omitempty"`
	EndRun          *EndRun          `json:"endRun,omitempty"`
	CreateOperation *CreateOperation `json:"createOperation,omitempty"`
	UpdateOperation *UpdateOperation `json:"updateOperation,omitempty"`
	RequestCancel   *RequestCancel   `json:"requestCancel,omitempty"`
	CreateToken     *CreateToken     `json:"createToken,omitempty"`
	RevokeToken     *RevokeToken     `json:"revokeToken,omitempty"`
	CreateJoinToken *CreateJoinToken `json:"createJoinToken,omitempty"`
	RevokeJoinToken *RevokeJoinToken `json:"revokeJoinToken,omitempty"`
	PutUser         *PutUser         `json:"putUser,omitempty"`
	DropUser        *DropUser        `json:"dropUser,omitempty"`
	SetSetting      *SetSetting      `json:"setSetting,omitempty"`
	RecordEvents    *RecordEvents    `json:"recordEvents,omitempty"`
	PauseOperation  *PauseOperation  `json:"pauseOperation,omitempty"`
	ResumeOperation *ResumeOperation `json:"resumeOperation,omitempty"`
	LimitOperation  *LimitOperation  `json:"limitOperation,omitempty"`
	ChangeUser      *ChangeUser      `json:"changeUser,omitempty"`
	ChangeMember    *ChangeMember    `json:"changeMember,omitempty"`
	AnchorLog       *AnchorLog       `json:"anchorLog,omitempty"`
	PutPlan         *PutPlan         `json:"putPlan,omitempty"`
	RecordSweep     *RecordSweep     `json:"recordSweep,omitempty"`
	EndSession      *EndSession      `json:"endSession,omitempty"`
	RunNow          *RunNow          `json:"runNow,omitempty"`
	SwitchSchedule  *SwitchSchedule  `json:"switchSchedule,omitempty"`
	Prune           *Prune           `json:"prune,omitempty"`

	IssueCertificate  *IssueCertificate  `json:"issueCertificate,omitempty"`
	RevokeCertificate *RevokeCertificate `json:"revokeCertificate,omitempty"`
	MoveCAKey         *MoveCAKey         `json:"moveCaKey,omitempty"`
	EndCAKeyMove      *EndCAKeyMove      `json:"endCaKeyMove,omitempty"`
	RotateCA          *RotateCA          `json:"rotateCa,omitempty"`
	RotateGossip      *RotateGossip      `json:"rotateGossip,omitempty"`
	PromiseVersion    *PromiseVersion    `json:"promiseVersion,omitempty"`
	RaiseVersion      *RaiseVersion      `json:"raiseVersion,omitempty"`

	commandNext //nolint:unused // has fields in builds with the tag nextversion

	CreatePool   *CreatePool   `json:"createPool,omitempty"`
	AlterPool    *AlterPool    `json:"alterPool,omitempty"`
	RenamePool   *RenamePool   `json:"renamePool,omitempty"`
	DropPool     *DropPool     `json:"dropPool,omitempty"`
	ReadyPool    *ReadyPool    `json:"readyPool,omitempty"`
	ReseedPool   *ReseedPool   `json:"reseedPool,omitempty"`
	ClearRemoved *ClearRemoved `json:"clearRemoved,omitempty"`

	// Batch is applied all or nothing, in order; it may not hold another batch.
	// By, Via and RequestID of the outer command hold for all.
	Batch []Command `json:"batch,omitempty"`
}

// InitCluster makes the cluster: the first command of its meta range. Repeated
// with the same ClusterID it changes nothing and is no refusal.
type InitCluster struct {
	ClusterID string       `json:"clusterId"`
	Name      string       `json:"name"`
	CACert    string       `json:"caCert"` // PEM
	Settings  Settings     `json:"settings,omitempty"`
	Replicas  int          `json:"replicas,omitempty"` // of the default pool; 0: 3
	Active    gate.Version `json:"active,omitempty"`   // the cluster's version; 0: the first
	Node      cluster.Node `json:"node"`               // the first node; Membership and JoinedAt are set here
	// Ranges are all ranges as they were bootstrapped, the meta range included.
	Ranges []cluster.RangeDescriptor `json:"ranges"`
	Users  []PutUser                 `json:"users,omitempty"`
	Tokens []CreateToken             `json:"tokens,omitempty"`
}

// AddNode gives a joining node its id, consuming one use of a join token. A
// retry with the same token and key gets the same id.
type AddNode struct {
	UUID      string            `json:"uuid"`
	Name      string            `json:"name,omitempty"` // empty: the id, such as n4
	Addresses cluster.Addresses `json:"addresses"`
	Locality  string            `json:"locality,omitempty"`
	Version   string            `json:"version"`
	Supports  gate.Support      `json:"supports,omitzero"` // absent: the first version
	BootNonce string            `json:"bootNonce,omitempty"`
	TokenID   string            `json:"tokenId"`
	TokenHash []byte            `json:"tokenHash"` // SHA-256 of the secret that the node showed
	KeyHash   []byte            `json:"keyHash"`   // SHA-256 of the node's public key
}

// UpdateNode is what a node says of itself when it starts or changes.
type UpdateNode struct {
	Node      cluster.NodeID    `json:"node"`
	UUID      string            `json:"uuid"` // must be the recorded one
	Addresses cluster.Addresses `json:"addresses"`
	Locality  string            `json:"locality,omitempty"`
	Version   string            `json:"version"`
	Supports  gate.Support      `json:"supports,omitzero"` // absent: the first version
	BootNonce string            `json:"bootNonce"`
	// Claim, if given, must name the incarnation that is recorded.
	Claim *Claim `json:"claim,omitempty"`
}

// ResetStore records that a node's store is emptied: every replica that it had is
// lost. The node comes back under the same identity.
type ResetStore struct {
	Node cluster.NodeID `json:"node"`
	UUID string         `json:"uuid"` // must be the recorded one
}

// Claim is what a data directory knows of the incarnations that ran in it: the
// last one that was recorded, and those that may have been since. A copy of the
// directory, or an old backup, knows others than the record.
type Claim struct {
	Previous []string `json:"previous,omitempty"`
}

// SetMembership moves nodes to another membership, all or none. Allowed:
// joining to active, decommissioning or decommissioned; active to
// decommissioning and back; decommissioning to decommissioned, if no range
// descriptor names the node.
type SetMembership struct {
	Nodes     []cluster.NodeID   `json:"nodes"`
	To        cluster.Membership `json:"to"`
	Operation string             `json:"operation,omitempty"` // on whose behalf
	Reason    string             `json:"reason,omitempty"`
}

// SetCordon says whether a node may receive replicas.
type SetCordon struct {
	Node   cluster.NodeID `json:"node"`
	Cordon bool           `json:"cordon"`
	// Until is when the cordon ends by itself; zero: never.
	Until  time.Time `json:"until,omitzero"`
	Reason string    `json:"reason,omitempty"`
	// Expired, of a cordon's end, is the Until that has passed: a cordon that was
	// renewed meanwhile stays.
	Expired time.Time `json:"expired,omitzero"`
}

// EndSession records that a SQL session is ended, or its statement cancelled. It is
// recorded before it is done.
type EndSession struct {
	Node        cluster.NodeID `json:"node"`
	PID         uint32         `json:"pid"`
	User        string         `json:"user"` // whose session it is
	Application string         `json:"application,omitempty"`
	Terminate   bool           `json:"terminate,omitempty"` // the session ends; else its statement
	Reason      string         `json:"reason,omitempty"`
}

// UpdateRanges publishes descriptors of ranges. Those that are not newer than
// the recorded ones are skipped.
type UpdateRanges struct {
	Descriptors []cluster.RangeDescriptor `json:"descriptors"`
}

// AllocateObjects gives out ids of objects that are to be made: Count of them, from
// Result.Object on. Those that come to nothing are not given again.
type AllocateObjects struct {
	Count int `json:"count"`
}

// ChangeObjects makes, alters and drops objects, all or nothing.
type ChangeObjects struct {
	// Seen are the objects that the change rests on, as they were seen: if one is
	// another by now, or gone, the change is refused with CodeStale. All that are
	// altered or dropped are among them.
	Seen []SeenObject `json:"seen,omitempty"`
	// Put are objects as they are to be, new ones with an id that was given out. Their
	// Version is set here. If a name is taken, the change is refused with CodeExists.
	Put []cluster.Object `json:"put,omitempty"`
	// Drop goes before Put. Of collections it is remembered that their rows are garbage.
	Drop []cluster.ObjectID `json:"drop,omitempty"`
	// Bound are those of Put whose versions ranges may have been told of before the change is
	// carried out. If it comes to nothing they get them all the same.
	Bound []cluster.ObjectID `json:"bound,omitempty"`
	// Operations are the schema changes that carry on what the change leaves half-way.
	Operations []cluster.OperationSpec `json:"operations,omitempty"`
	// Run ends the run of a schedule together with what it did.
	Run *EndRun `json:"run,omitempty"`
}

// PrepareObjects is the part of a transaction that changes objects, which also writes
// rows: the change is as good as made, and seen by nobody until ResolveObjects.
type PrepareObjects struct {
	Txn    string        `json:"txn"`    // cluster.TxnID
	Record []byte        `json:"record"` // key of the transaction's record
	Change ChangeObjects `json:"change"`
}

// ResolveObjects follows the end of a transaction: its change is carried out, or goes.
type ResolveObjects struct {
	Txn    string `json:"txn"`
	Commit bool   `json:"commit,omitempty"`
}

// SeenObject is an object at a version.
type SeenObject struct {
	ID      cluster.ObjectID `json:"id"`
	Version uint64           `json:"version"`
}

// ForgetDropped says that the rows of dropped collections are gone.
type ForgetDropped struct {
	Collections []cluster.CollectionID `json:"collections"`
}

// CreateOperation records an operation. ID (if empty), CreatedAt and
// CoordinatorTerm are set here. The same request again attaches to the recorded
// operation (Result.Existed); see operations.md section 4.
type CreateOperation struct {
	Operation cluster.Operation `json:"operation"`
}

// UpdateOperation replaces the progress of an operation. Identity, spec, who
// and when of the creation stay as recorded. Refused if Term is older than that
// of the last writer, or the operation has ended. An operation that is being
// cancelled stays so until it ends.
type UpdateOperation struct {
	Operation cluster.Operation `json:"operation"`
	Term      uint64            `json:"term"` // of the meta leader that coordinates
}

// RequestCancel asks the coordinator to cancel an operation.
type RequestCancel struct {
	ID     string `json:"id"`
	Reason string `json:"reason,omitempty"`
}

// CreateToken adds a bearer token.
type CreateToken struct {
	ID        string    `json:"id"`
	Owner     string    `json:"owner"`
	Role      string    `json:"role"`
	Hash      []byte    `json:"hash"`
	ExpiresAt time.Time `json:"expiresAt,omitzero"`
}

// RevokeToken ends a bearer token.
type RevokeToken struct {
	ID string `json:"id"`
}

// CreateJoinToken adds a join token.
type CreateJoinToken struct {
	ID        string    `json:"id"`
	Hash      []byte    `json:"hash"`
	Node      string    `json:"node,omitempty"`
	Uses      int       `json:"uses"`
	ExpiresAt time.Time `json:"expiresAt"`
}

// RevokeJoinToken ends a join token.
type RevokeJoinToken struct {
	ID string `json:"id"`
}

// PutUser adds or replaces a user.
type PutUser struct {
	Name      string `json:"name"`
	Verifier  string `json:"verifier,omitempty"`
	AdminRole string `json:"adminRole,omitempty"`
}

// ChangeUser makes a user, or changes the parts of one that are set.
type ChangeUser struct {
	Name        string  `json:"name"`
	Create      bool    `json:"create,omitempty"` // refused if the user exists; else, if it does not
	IfNotExists bool    `json:"ifNotExists,omitempty"`
	Verifier    *string `json:"verifier,omitempty"`  // empty: no password
	AdminRole   *string `json:"adminRole,omitempty"` // empty: none
	// ConnectionLimit is the new limit; -1: the default.
	ConnectionLimit *int32 `json:"connectionLimit,omitempty"`
	NoLogin         *bool  `json:"noLogin,omitempty"`
	NoInherit       *bool  `json:"noInherit,omitempty"`
	CreateDB        *bool  `json:"createDB,omitempty"`
	CreateRole      *bool  `json:"createRole,omitempty"`
	BypassRLS       *bool  `json:"bypassRLS,omitempty"`
	// ValidUntil is the new end of the password; zero: none.
	ValidUntil *time.Time `json:"validUntil,omitempty"`
	// From is the role that AdminRole replaces: another one is left alone, as
	// REVOKE of a role that was not granted does.
	From *string `json:"from,omitempty"`
	// SessionSetting changes what sessions begin with.
	SessionSetting *SessionSetting `json:"sessionSetting,omitempty"`
}

// SessionSetting sets, or takes back, a setting that sessions of a role begin with.
type SessionSetting struct {
	Database cluster.ObjectID `json:"database,omitempty"` // 0: all
	Name     string           `json:"name,omitempty"`     // empty: all that the role has there are taken back
	Value    *string          `json:"value,omitempty"`    // nil: it is taken back
}

// ChangeMember makes a role a member of another, or ends that.
type ChangeMember struct {
	Role   string `json:"role"`
	Member string `json:"member"`
	Revoke bool   `json:"revoke,omitempty"`
	// Admin is WITH ADMIN OPTION, and OnlyAdmin, of Revoke, ADMIN OPTION FOR.
	Admin     bool   `json:"admin,omitempty"`
	OnlyAdmin bool   `json:"onlyAdmin,omitempty"`
	Grantor   string `json:"grantor,omitempty"`
}

// AnchorLog records where the chains of a node's log of logins begin and how far
// they have come, so that what they say up to there cannot be changed unseen.
type AnchorLog struct {
	Node   cluster.NodeID `json:"node"`
	Chains []LogChain     `json:"chains"`
}

// LogChain is one chain of a node's log. Hashes are hexadecimal.
type LogChain struct {
	Class  string `json:"class"`
	First  uint64 `json:"first"`            // the oldest record that is kept
	Before string `json:"before,omitempty"` // the hash that it names as the one before
	Last   uint64 `json:"last"`
	Hash   string `json:"hash"` // of the last
}

// DropUser removes a user.
type DropUser struct {
	Name     string `json:"name"`
	IfExists bool   `json:"ifExists,omitempty"`
}

// SetSetting sets a cluster setting; an empty value resets it to the default.
type SetSetting struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Reason string `json:"reason,omitempty"`
}

// RecordEvents adds events that the coordinator saw; sequence and time are set
// here.
type RecordEvents struct {
	Events []cluster.Event `json:"events"`
}

// PauseOperation has an operation begin nothing new until it is resumed.
type PauseOperation struct {
	ID     string `json:"id"`
	Reason string `json:"reason,omitempty"`
}

// ResumeOperation ends a pause.
type ResumeOperation struct {
	ID string `json:"id"`
}

// LimitOperation bounds the snapshot bytes per second that each node sends, and
// receives, while the operation runs; 0: what its request, or else the cluster's
// setting, says.
type LimitOperation struct {
	ID   string `json:"id"`
	Rate uint64 `json:"rate"`
}

// PutPlan stores a plan for later; CreatedAt, ExpiresAt and CreatedBy are set
// here.
type PutPlan struct {
	Plan cluster.StoredPlan `json:"plan"`
	TTL  float64            `json:"ttl,omitempty"` // seconds; 0: an hour
}

// RecordSweep keeps what the rebalancer did, or would have done. A sweep of the
// same id replaces the one before.
type RecordSweep struct {
	Sweep cluster.Sweep `json:"sweep"`
}
