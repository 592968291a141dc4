package cluster

import (
	"cmp"
	"slices"
	"time"
)

// TransactionState is what a transaction does.
type TransactionState string

// The states.
const (
	TransactionActive     TransactionState = "active"     // a statement of it runs
	TransactionWaiting    TransactionState = "waiting"    // for a lock of another
	TransactionIdle       TransactionState = "idle"       // for its client
	TransactionFailed     TransactionState = "failed"     // it can only be rolled back
	TransactionCommitting TransactionState = "committing" // its commit is under way
	TransactionEnded      TransactionState = "ended"      // what it left in ranges is cleared away
)

// TransactionRef names a transaction to who does not have it.
type TransactionRef struct {
	ID   string `json:"id"`
	Node NodeID `json:"node,omitempty"` // its gateway
	PID  uint32 `json:"pid,omitempty"`  // of its session; 0: not known
}

// Transaction is a transaction as its gateway sees it.
type Transaction struct {
	ID          string           `json:"id,omitempty"` // empty: no range knows of it yet
	Node        NodeID           `json:"node"`
	PID         uint32           `json:"pid,omitempty"` // of its session; 0: it has none
	User        string           `json:"user,omitempty"`
	Application string           `json:"application,omitempty"`
	State       TransactionState `json:"state"`
	Isolation   string           `json:"isolation,omitempty"`
	Began       time.Time        `json:"began"`
	// Statement is the head of its session's statement, and StatementAt when it began.
	Statement   string    `json:"statement,omitempty"`
	StatementAt time.Time `json:"statementAt,omitzero"`
	Locks       int       `json:"locks,omitempty"`    // rows that it has locked, or writes
	Ranges      int       `json:"ranges,omitempty"`   // that it has touched
	RangeIDs    []RangeID `json:"rangeIds,omitempty"` // the first of them, ascending
	// WaitsFor are those whose locks it wants, since WaitsSince.
	WaitsFor   []TransactionRef `json:"waitsFor,omitempty"`
	WaitsSince time.Time        `json:"waitsSince,omitzero"`
	// Blocks are those that wait for it. LinkTransactions fills it in.
	Blocks []TransactionRef `json:"blocks,omitempty"`
}

// Ref names the transaction.
func (t *Transaction) Ref() TransactionRef {
	return TransactionRef{ID: t.ID, Node: t.Node, PID: t.PID}
}

// LinkTransactions sorts the transactions of all nodes, the oldest first, and has each
// know by their sessions whom it waits for, and who waits for it.
func LinkTransactions(all []Transaction) {
	slices.SortFunc(all, func(a, b Transaction) int {
		return cmp.Or(a.Began.Compare(b.Began), cmp.Compare(a.PID, b.PID), cmp.Compare(a.ID, b.ID))
	})
	at := map[string]int{}
	for i := range all {
		all[i].Blocks = nil
		if all[i].ID != "" {
			at[all[i].ID] = i
		}
	}
	for i := range all {
		for k := range all[i].WaitsFor {
			w := &all[i].WaitsFor[k]
			if j, ok := at[w.ID]; ok {
				*w = all[j].Ref()
				all[j].Blocks = append(all[j].Blocks, all[i].Ref())
			}
		}
	}
}

// LongLockWait is from when on a wait for a lock is more than a queue: somebody has
// forgotten a transaction.
const LongLockWait = 30 * time.Second

// TransactionsStatus is what a node says of the transactions of its sessions.
type TransactionsStatus struct {
	Open    int `json:"open"`    // also those that only wait for their client
	Waiting int `json:"waiting"` // for locks
	// Longest has waited longest, for WaitsFor and perhaps others; zero: none waits.
	Longest     TransactionRef `json:"longest,omitzero"`
	LongestUser string         `json:"longestUser,omitempty"`
	WaitsFor    TransactionRef `json:"waitsFor,omitzero"`
	WaitSeconds float64        `json:"waitSeconds,omitempty"`
	// Oldest is the one that began first of those that are open, and when; zero: none is.
	Oldest      TransactionRef `json:"oldest,omitzero"`
	OldestUser  string         `json:"oldestUser,omitempty"`
	OldestBegan time.Time      `json:"oldestBegan,omitzero"`
}

// SumTransactions is what a node says of its transactions, in short. It links them: of
// those that wait for each other on this node the sessions are known.
func SumTransactions(all []Transaction, now time.Time) (s TransactionsStatus) {
	LinkTransactions(all)
	for i := range all {
		t := &all[i]
		if t.State != TransactionEnded {
			s.Open++
			if s.OldestBegan.IsZero() || t.Began.Before(s.OldestBegan) {
				s.Oldest, s.OldestUser, s.OldestBegan = t.Ref(), t.User, t.Began
			}
		}
		if len(t.WaitsFor) == 0 {
			continue
		}
		s.Waiting++
		if secs := now.Sub(t.WaitsSince).Seconds(); s.Longest == (TransactionRef{}) || secs > s.WaitSeconds {
			s.Longest, s.LongestUser, s.WaitsFor, s.WaitSeconds = t.Ref(), t.User, t.WaitsFor[0], secs
		}
	}
	return s
}
