// Package evaluation is what a leader and its state machine say to each other about
// requests: what one asks, what it needs of locks, and what becomes of it.
//
// # Concurrency
//
// A Request does not change, nor does a Mirror. Their methods may be called by any
// goroutine.
package evaluation

import (
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/lock"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// Request is what a gateway asks of a range, as the range's state machine reads it.
type Request interface {
	// Touches is all rows that it reads or writes.
	Touches() [][]byte
	// Locks is what it has to do with the locks of transactions.
	Locks() Locks
	// Blocked is the answer if locks of others keep it from being evaluated.
	Blocked(by []Blocker) []byte
	// Evaluate decides what becomes of the request, over what rows show of the range
	// that desc describes, and over pending: of each row, in the order of Touches, what
	// a command left that is not applied yet. Nobody else decides about these rows
	// meanwhile. An error means that the engine failed.
	Evaluate(rows *storage.Rows, desc *cluster.RangeDescriptor, pending []Pending) (Decision, error)
}

// Locks is what a request has to do with locks: the first N of its rows must not be
// locked by others.
type Locks struct {
	Txn    cluster.TxnID // on whose behalf; zero: of a statement outside of a transaction
	Record []byte        // key of the transaction's record
	N      int           // 0: locks do not matter to it
	// Strength is that of the lock that it wants, or that others' locks must allow.
	Strength lock.Strength
	Take     bool // it takes the locks, until the transaction ends
	Wait     Wait
}

// Wait says what to do about rows that others have locked.
type Wait byte

// What there is to do about them.
const (
	Block      Wait = iota // wait
	NoWait                 // be refused
	SkipLocked             // leave them out
)

// Blocker is a lock, or who waits for one, that keeps a request from a row.
type Blocker struct {
	Txn    cluster.TxnID
	Record []byte // key of the transaction's record; nil: a statement outside of a transaction
	Row    []byte
}

// Pending is what the leader knows of a row without the engine: what a command that is not
// applied yet leaves, or what the last one left, or an evaluation found.
type Pending struct {
	// Version is the state machine's own, from a Decision; nil: nothing is known.
	Version any
	// TS is when, unless Version says so itself; 0: that is not known yet, but above all
	// that anybody has seen.
	TS hlc.Timestamp
	// Settled: no command is under way. Without a time there is none.
	Settled bool
	// Skip are those who have locked the row; the request does without it, if there are any.
	Skip []Blocker
	// Contended: the request has waited for the lock of the row, or others do.
	Contended bool
}

// Times are the timestamps of the commands that an evaluation went on from, by the
// number of the row that they left.
type Times func(row int) hlc.Timestamp

// Decision is what becomes of a request.
type Decision struct {
	// Command is to be replicated; nil: nothing has to be.
	Command []byte
	// Result is the answer once Command is applied.
	Result []byte
	// Answer is the answer if there is no Command, or takes the place of Result once the
	// command is applied: it asks for the timestamps of pending versions, which are
	// known when the answer is due.
	Answer func(Times) []byte
	// Leaves has for each row, in the order of Touches, what Command leaves of it; nil:
	// it does not touch the row.
	Leaves []any
	// Found has for rows, in the order of Touches, what the engine has of them; nil, or
	// beyond its end: that was not looked for. It is to be worth remembering, and so are
	// those of Leaves: both say by a method Weight how many bytes they take; without it, or
	// if that is 0, they are forgotten once they are applied.
	Found []any
	// Saw is the newest timestamp that the evaluation met; Command comes after it.
	Saw hlc.Timestamp
	// Ends are rows on which the transaction's locks end when the answer is given;
	// EndsAll has all of them end that it has in the range in memory alone.
	Ends    [][]byte
	EndsAll bool

	// Again says that who is refused may ask anew, about the rows as they are.
	Again bool
	// Fences says that Command refuses what was not refused before: nothing that was
	// evaluated before comes behind it.
	Fences bool
	// Repeats says that without a Command nothing has to be recorded: an attempt that
	// arrives later may be decided anew.
	Repeats bool
}

// Mirror is what transactions have left in a range, as of one moment.
type Mirror interface {
	// Len is how many lock records and records of transactions there are.
	Len() int
	// Locks calls fn for each lock and each intent, in the order of rows.
	Locks(fn func(row []byte, txn cluster.TxnID, record []byte, s lock.Strength))
	// Records calls fn for each record of a transaction; decided: it is committed or aborted.
	Records(fn func(key []byte, decided bool))
	// Holds reports whether a transaction has a lock on a row, or an intent.
	Holds(row []byte, txn cluster.TxnID) bool
	// Closed reports whether a place is closed for good, and when it was: later than that
	// nothing is there.
	Closed(c cluster.CollectionID) (at hlc.Timestamp, closed bool)
	// Met returns the intents that a read meets, in the order of rows.
	Met(q *Query) []Intent
}

// Query is a read that may meet intents.
type Query struct {
	Rows   [][]byte              // of these rows
	Span   func(row []byte) bool // or, without Rows, of those that it is true of
	TS     hlc.Timestamp         // those that are not after this
	Passed []cluster.TxnID       // but not of these transactions, which commit after TS
	Limit  int
}

// Intent is an intent that a read met.
type Intent struct {
	Row    []byte
	Record []byte // key of its transaction's record
	TS     hlc.Timestamp
}
