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
