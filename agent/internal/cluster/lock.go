package cluster

// LockMode is how strong a row lock is, in PostgreSQL's words for locks.
type LockMode string

// The modes, from the weakest: of SELECT FOR KEY SHARE, FOR SHARE, FOR NO KEY UPDATE and
// FOR UPDATE.
const (
	LockKeyShare    LockMode = "RowShareLock"
	LockShare       LockMode = "ShareLock"
	LockNoKeyUpdate LockMode = "ExclusiveLock"
	LockUpdate      LockMode = "AccessExclusiveLock"
)

// RowLock is a lock that a transaction holds, or waits for, as the range's leader tells.
type RowLock struct {
	Range       RangeID      `json:"range"`
	Node        NodeID       `json:"node"` // the leader
	Transaction string       `json:"transaction"`
	Collection  CollectionID `json:"collection"`
	Key         []byte       `json:"key"` // the encoded primary key of the row
	Mode        LockMode     `json:"mode"`
	Granted     bool         `json:"granted"`
}
