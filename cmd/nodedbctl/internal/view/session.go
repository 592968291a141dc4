package view

import (
	"time"

	"github.com/nodedb/nodedb/client/adminpb"
)

// Session is the kind Session: a client of SQL.
type Session struct {
	PID         uint32    `json:"pid"`
	Node        uint32    `json:"node"`
	User        string    `json:"user"`
	Application string    `json:"application"`
	Client      string    `json:"client"` // its address; empty if hidden
	State       string    `json:"state"`  // active | idle | idle in transaction | idle in transaction (aborted)
	Since       time.Time `json:"since"`  // of the state
	StateSecs   float64   `json:"stateSeconds"`
	Began       time.Time `json:"began"`     // when the client logged in
	Statement   string    `json:"statement"` // the head of the one that runs, or ran last; empty if hidden
	// StatementAt is when that began, TransactionAt when the session's transaction did.
	StatementAt     *time.Time `json:"statementAt"`
	TransactionAt   *time.Time `json:"transactionAt"`
	TransactionSecs *float64   `json:"transactionSeconds"`
	Hidden          bool       `json:"hidden"` // statement and client are not for the caller to see
}

// NewSession makes a Session; asOf is when it was looked at.
func NewSession(s *adminpb.Session, asOf time.Time) Session {
	out := Session{
		PID: s.GetPid(), Node: s.GetNode(), User: s.GetUser(), Application: s.GetApplication(), Client: s.GetClient(), State: s.GetState(),
		Since: s.GetSince().AsTime().UTC(), Began: s.GetBegan().AsTime().UTC(), Statement: s.GetStatement(), StatementAt: moment(s.GetStatementAt()),
		TransactionAt: moment(s.GetTransactionAt()), Hidden: s.GetHidden(),
	}
	out.StateSecs = age(out.Since, asOf)
	if out.TransactionAt != nil {
		secs := age(*out.TransactionAt, asOf)
		out.TransactionSecs = &secs
	}
	return out
}

// age is how long ago something was, in tenths of a second; clocks differ a little.
func age(at, asOf time.Time) float64 { return tenth(max(0, asOf.Sub(at).Seconds())) }

// Transaction is the kind Transaction.
type Transaction struct {
	ID          string    `json:"id"`   // empty: no range knows of it yet
	Node        uint32    `json:"node"` // its gateway
	PID         *uint32   `json:"pid"`  // of its session; null: it has none
	User        string    `json:"user"`
	Application string    `json:"application"`
	State       string    `json:"state"` // active | waiting | idle | failed | committing | ended
	Isolation   string    `json:"isolation"`
	Began       time.Time `json:"began"`
	AgeSecs     float64   `json:"ageSeconds"`
	Locks       uint32    `json:"locks"`    // rows that it has locked, or writes
	Ranges      uint32    `json:"ranges"`   // that it has touched
	RangeIDs    []uint32  `json:"rangeIds"` // the first 64 of them, ascending
	// WaitsFor are those whose locks it wants, for WaitSecs; Blocks wait for it.
	WaitsFor    []TransactionRef `json:"waitsFor"`
	WaitSecs    *float64         `json:"waitSeconds"`
	Blocks      []TransactionRef `json:"blocks"`
	Statement   string           `json:"statement"` // the head of its session's; empty if hidden
	StatementAt *time.Time       `json:"statementAt"`
	Hidden      bool             `json:"hidden"` // the statement is not for the caller to see
}

// TransactionRef names a transaction.
type TransactionRef struct {
	ID   string  `json:"id"`
	Node uint32  `json:"node"`
	PID  *uint32 `json:"pid"` // of its session; null: not known
}

// NewTransaction makes a Transaction; asOf is when it was looked at.
func NewTransaction(t *adminpb.Transaction, asOf time.Time) Transaction {
	out := Transaction{
		ID: t.GetId(), Node: t.GetNode(), PID: optionalNode(t.GetPid()), User: t.GetUser(), Application: t.GetApplication(), State: t.GetState(), Isolation: t.GetIsolation(),
		Began: t.GetBegan().AsTime().UTC(), Locks: t.GetLocks(), Ranges: t.GetRanges(), RangeIDs: orEmpty(t.GetRangeIds()), WaitsFor: newRefs(t.GetWaitsFor()), Blocks: newRefs(t.GetBlocks()),
		Statement: t.GetStatement(), StatementAt: moment(t.GetStatementAt()), Hidden: t.GetHidden(),
	}
	out.AgeSecs = age(out.Began, asOf)
	if since := t.GetWaitsSince(); since != nil {
		secs := age(since.AsTime(), asOf)
		out.WaitSecs = &secs
	}
	return out
}

func newRefs(refs []*adminpb.TransactionRef) []TransactionRef {
	out := []TransactionRef{}
	for _, r := range refs {
		out = append(out, TransactionRef{ID: r.GetId(), Node: r.GetNode(), PID: optionalNode(r.GetPid())})
	}
	return out
}
