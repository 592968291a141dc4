package cluster

import "time"

// SessionState is what a SQL session does, in PostgreSQL's words.
type SessionState string

// The states.
const (
	SessionActive        SessionState = "active" // a statement runs, or waits
	SessionIdle          SessionState = "idle"
	SessionInTransaction SessionState = "idle in transaction"
	SessionAborted       SessionState = "idle in transaction (aborted)"
)

// Session is a client's SQL session as its node sees it.
type Session struct {
	Node        NodeID       `json:"node"`
	PID         uint32       `json:"pid"` // one of a kind in the cluster
	User        string       `json:"user"`
	Database    ObjectID     `json:"database,omitempty"`
	Application string       `json:"application,omitempty"`
	Client      string       `json:"client,omitempty"` // its address
	State       SessionState `json:"state"`
	Since       time.Time    `json:"since"` // of the state
	Began       time.Time    `json:"began"` // when the client logged in
	// Statement is the head of the statement that runs, or ran last, and StatementAt
	// when it began; empty and zero: there was none yet.
	Statement   string    `json:"statement,omitempty"`
	StatementAt time.Time `json:"statementAt,omitzero"`
	// TransactionAt is when its transaction began; zero: it is in none.
	TransactionAt time.Time `json:"transactionAt,omitzero"`
	Isolation     string    `json:"isolation,omitempty"` // of the transaction
	Blocked       bool      `json:"blocked,omitempty"`   // its statement waits for locks of another transaction
	// Copy is how far the COPY is that its statement is; nil: it is none.
	Copy *CopyProgress `json:"copy,omitempty"`
}

// CopyProgress is how far a COPY is.
type CopyProgress struct {
	Table    ObjectID `json:"table,omitempty"` // 0: it gives the rows of a query
	From     bool     `json:"from,omitempty"`  // it takes rows
	Bytes    int64    `json:"bytes"`
	Rows     int64    `json:"rows"`               // done
	Excluded int64    `json:"excluded,omitempty"` // by WHERE
}

// Busy is since when its transaction, or the statement that it runs outside of one,
// has taken; zero: it does nothing.
func (s *Session) Busy() time.Time {
	if s.TransactionAt.IsZero() && s.State == SessionActive {
		return s.StatementAt
	}
	return s.TransactionAt
}

// Idle reports whether the session waits for its client outside of a transaction.
func (s *Session) Idle() bool { return s.State == SessionIdle }
