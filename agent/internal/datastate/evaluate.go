package datastate

import (
	"bytes"
	"fmt"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/evaluation"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/invariant"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/lock"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// writeStrength is the lock that a write takes, and prewriteStrength that of an intent:
// who only wants the key of a row to stay is not in the way. What changes keys is a
// delete and an insert here.
const (
	writeStrength    = lock.NoKeyUpdate
	prewriteStrength = lock.NoKeyUpdate
)

// strength is the strongest lock that ops need: a deletion takes the key away.
func strength(ops []Op) lock.Strength {
	for i := range ops {
		if ops[i].Kind == Delete {
			return lock.Update
		}
	}
	return writeStrength
}

// opRows are the rows of ops, then, if their locks matter, the keys of their locks, then
// more.
func opRows(ops []Op, locks bool, more ...[]byte) [][]byte {
	n := len(ops)
	if locks {
		n *= 2
	}
	rows := make([][]byte, len(ops), n+len(more))
	for i := range ops {
		rows[i] = ops[i].Row
	}
	if locks {
		rows = withLocks(rows)
	}
	return append(rows, more...)
}

// withLocks are rows, then the keys of their locks.
func withLocks(rows [][]byte) [][]byte {
	for _, row := range rows[:len(rows):len(rows)] {
		rows = append(rows, lockKey(row))
	}
	return rows
}

// lockKey is keys.Lock, of whatever a request calls a row.
func lockKey(row []byte) []byte {
	if len(row) == 0 {
		return nil
	}
	return keys.Lock(row)
}

// Touches returns the rows of the Ops, in their order, and for a transaction the keys of
// their locks.
func (b *Batch) Touches() [][]byte {
	if b.machine != nil {
		return b.touches
	}
	return opRows(b.Ops, b.Txn != (cluster.TxnID{}))
}

// Locks satisfies evaluation.Request.
func (b *Batch) Locks() evaluation.Locks {
	return evaluation.Locks{Txn: b.Txn, N: len(b.Ops), Strength: strength(b.Ops)}
}

// Blocked satisfies evaluation.Request.
func (b *Batch) Blocked(by []Blocker) []byte { return blocked(by) }

func blocked(by []Blocker) []byte { return EncodeResult(&Result{Outcome: Blocked, By: by}) }

// Evaluate satisfies evaluation.Request. All conditions hold and all Ops are done, or
// the batch is refused.
func (b *Batch) Evaluate(rows *storage.Rows, desc *cluster.RangeDescriptor, pending []evaluation.Pending) (d evaluation.Decision, err error) {
	e := evaluating{machine: b.machine, rows: rows, desc: desc, pending: pending, writer: b.Writer, txn: b.Txn, schemas: b.Schemas}
	if hasDuplicates(b.Ops) {
		return refuse(0, &Result{Outcome: Malformed}), nil
	}
	c := &command{writes: make([]write, len(b.Ops))}
	c.of(b)
	d.Leaves = make([]any, len(pending))
	for i := range b.Ops {
		op := &b.Ops[i]
		refusal, found, err := e.check(i, op)
		if err != nil {
			return d, fmt.Errorf("check op %d: %w", i, err)
		}
		if refusal != nil {
			return refuse(i, refusal), nil
		}
		d.Saw = max(d.Saw, e.saw(i, &found))
		w, leaves, adds := e.write(op, &found, 0)
		c.writes[i], d.Leaves[i], c.adds = w, leaves, c.adds.Plus(adds)
		if b.Txn == (cluster.TxnID{}) {
			continue
		}
		if err := e.end(c, &d, b.Txn, op.Row, len(b.Ops)+i); err != nil {
			return d, err
		}
		d.EndsAll = true
	}
	if b.machine.plants().countsLeftOut() {
		c.adds = cluster.Counts{}
	}
	d.Command, d.Result = c.encode(), EncodeResult(&Result{Outcome: Applied})
	return d, nil
}

// evaluating is the evaluation of one request.
type evaluating struct {
	machine *Machine // nil: in tests
	rows    *storage.Rows
	desc    *cluster.RangeDescriptor
	pending []evaluation.Pending
	writer  cluster.WriterID
	txn     cluster.TxnID // whose request it is; zero: of a statement outside of a transaction
	schemas []cluster.SchemaVersion
}

// refuse decides that nothing is done, because of a row.
func refuse(row int, res *Result) evaluation.Decision {
	res.FailedOp = row
	return evaluation.Decision{Again: res.Outcome == ConditionFailed, Answer: func(times evaluation.Times) []byte {
		if res.ExistingTS == hlc.Max {
			res.ExistingTS = times(row)
		}
		return EncodeResult(res)
	}}
}

// say answers without having done anything: whoever asks again is told again.
func say(res *Result) evaluation.Decision {
	return evaluation.Decision{Repeats: true, Answer: func(evaluation.Times) []byte { return EncodeResult(res) }}
}

// hasDuplicates reports whether two ops name one row: both would write the same
// version, and the order would decide.
func hasDuplicates(ops []Op) bool {
	if len(ops) < 2 {
		return false
	}
	seen := make(map[string]struct{}, len(ops))
	for i := range ops {
		seen[string(ops[i].Row)] = struct{}{}
	}
	return len(seen) < len(ops)
}

// newest returns the newest version of a row, number i of the request; its time is
// hlc.Max if it is not known yet.
func (e *evaluating) newest(i int, row []byte) (found Version, err error) {
	v, ok := e.pending[i].Version.(*Version)
	if !ok {
		return readFrom(e.rows, row, hlc.Max)
	}
	if found = *v; found.TS == 0 {
		found.TS = e.pending[i].TS
	}
	if found.TS == 0 && !e.pending[i].Settled {
		found.TS = hlc.Max
	}
	if e.pending[i].Settled && e.rows.Readable() && invariant.Enabled() {
		return found, e.agrees(row, &found)
	}
	return found, nil
}

// agrees compares what the leader remembers of a row with the engine. A tombstone may have
// been collected there.
func (e *evaluating) agrees(row []byte, known *Version) error {
	has, err := readFrom(e.rows, row, hlc.Max)
	if err != nil {
		return err
	}
	same := has.TS == known.TS && has.Live == known.Live && bytes.Equal(has.Value, known.Value)
	invariant.Check(same || !has.Live && !known.Live, "row % x is remembered as of %s, live %t, the engine has it as of %s, live %t", row, known.TS, known.Live, has.TS, has.Live)
	return nil
}

// saw is the time of what was found in the store: a command comes after what its leader
// knows anyhow.
func (e *evaluating) saw(i int, found *Version) hlc.Timestamp {
	if e.pending[i].Version != nil {
		return 0
	}
	return found.TS
}

// forgotten reports whether the range knows no more what was there at a time that a
// request compares with: a tombstone that is newer may have been collected. It is asked
// after the row was read: what is missing there was said to be before.
func (e *evaluating) forgotten(ts hlc.Timestamp) bool {
	return e.machine != nil && ts < hlc.Timestamp(e.machine.threshold.Load())
}

// check evaluates op's condition, on the newest version that it found.
func (e *evaluating) check(i int, op *Op) (refusal *Result, found Version, err error) {
	if refusal := e.unwritable(op.Row); refusal != nil {
		return refusal, found, nil
	}
	if found, err = e.newest(i, op.Row); err != nil {
		return nil, found, err
	}
	if op.Expect.holds(op.ExpectTS, found.TS, found.Live) && !(op.Expect >= NotNewerThan && e.forgotten(op.ExpectTS)) {
		return nil, found, nil
	}
	return &Result{Outcome: ConditionFailed, Existing: found.Value, ExistingTS: found.TS}, found, nil
}

// covered reports whether another transaction has an intent on a row: nobody may write
// it, and no lock table lets anybody come as far as here.
func (e *evaluating) covered(row []byte) bool {
	if e.machine == nil {
		return false
	}
	l := e.machine.shown.Load().lockOf(row)
	return l != nil && l.Intent != nil && l.intentOf(e.txn) == nil
}

// write is what op writes over the newest version, at a given time or at the command's,
// what it leaves, and what it adds to the range's counts.
func (e *evaluating) write(op *Op, found *Version, at hlc.Timestamp) (write, *Version, cluster.Counts) {
	invariant.Check(!e.covered(op.Row), "row % x is written over an intent of another than %s", op.Row, e.txn)
	stored := encodeVersion(op, e.writer)
	leaves := &Version{TS: at, Value: op.Value, Live: op.Kind != Delete, Writer: e.writer, size: int64(len(op.Row) + keys.SuffixLen + len(stored))}
	if leaves.Live && leaves.Value == nil {
		leaves.Value = []byte{} // nil is no value
	}
	return write{op.Row, stored}, leaves, found.counted(leaves)
}

// owns reports whether row is a row of desc's range.
func owns(desc *cluster.RangeDescriptor, row []byte) bool {
	_, err := keys.DecodeRow(row)
	return err == nil && keys.Owns(desc, row)
}

func (c Condition) holds(want, version hlc.Timestamp, present bool) bool {
	switch c {
	case Any:
		return true
	case Absent:
		return !present
	case Present:
		return present
	case VersionIs:
		return present && version == want
	case NotNewerThan:
		return version <= want
	case AbsentSince:
		return !present && version <= want
	}
	return false
}
