package datastate

import (
	"fmt"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/evaluation"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// Rows returns the rows of the Ops, in their order.
func (b *Batch) Rows() [][]byte {
	rows := make([][]byte, len(b.Ops))
	for i := range b.Ops {
		rows[i] = b.Ops[i].Row
	}
	return rows
}

// Evaluate satisfies evaluation.Request. All conditions hold and all Ops are done, or
// the batch is refused.
func (b *Batch) Evaluate(rows *storage.Rows, desc *cluster.RangeDescriptor, pending []evaluation.Pending) (d evaluation.Decision, err error) {
	if hasDuplicates(b) {
		return refuse(0, &Result{Outcome: Malformed}), nil
	}
	c := &command{writes: make([]write, len(b.Ops))}
	c.of(b)
	d.Leaves = make([]any, len(b.Ops))
	for i := range b.Ops {
		op := &b.Ops[i]
		refusal, found, err := check(rows, desc, op, pending[i])
		if err != nil {
			return d, fmt.Errorf("check op %d: %w", i, err)
		}
		if refusal == nil && b.forgotten(op) {
			refusal = &Result{Outcome: ConditionFailed, Existing: found.Value, ExistingTS: found.TS}
		}
		if refusal != nil {
			return refuse(i, refusal), nil
		}
		if pending[i].Version == nil {
			d.Saw = max(d.Saw, found.TS)
		}
		stored := encodeVersion(op, b.Writer)
		leaves := &Version{Value: op.Value, Live: op.Kind != Delete, Writer: b.Writer, size: int64(len(op.Row) + keys.SuffixLen + len(stored))}
		if leaves.Live && leaves.Value == nil {
			leaves.Value = []byte{} // nil is no value
		}
		c.adds = c.adds.Plus(found.counted(leaves))
		c.writes[i], d.Leaves[i] = write{op.Row, stored}, leaves
	}
	if b.planted.countsLeftOut() {
		c.adds = cluster.Counts{}
	}
	d.Command, d.Result = c.encode(), EncodeResult(&Result{Outcome: Applied})
	return d, nil
}

// forgotten reports whether an op compares with a time of which the range knows no more
// what was there: a tombstone that is newer may have been collected. It is asked after
// the row was read: what is missing there was said to be before.
func (b *Batch) forgotten(op *Op) bool {
	return op.Expect == NotNewerThan && b.threshold != nil && op.ExpectTS < hlc.Timestamp(b.threshold.Load())
}

// refuse decides that nothing is done, because of the row of an Op.
func refuse(op int, res *Result) evaluation.Decision {
	res.FailedOp = op
	return evaluation.Decision{Row: op, Again: res.Outcome == ConditionFailed, Refusal: func(pending hlc.Timestamp) []byte {
		if res.ExistingTS == hlc.Max {
			res.ExistingTS = pending
		}
		return EncodeResult(res)
	}}
}

// hasDuplicates reports whether two ops name one row: both would write the same
// version, and the order would decide.
func hasDuplicates(b *Batch) bool {
	if len(b.Ops) < 2 {
		return false
	}
	seen := make(map[string]struct{}, len(b.Ops))
	for i := range b.Ops {
		seen[string(b.Ops[i].Row)] = struct{}{}
	}
	return len(seen) < len(b.Ops)
}

// check evaluates op's condition, on the newest version that it found.
func check(rows *storage.Rows, desc *cluster.RangeDescriptor, op *Op, pending evaluation.Pending) (refusal *Result, found Version, err error) {
	if !owns(desc, op.Row) {
		return &Result{Outcome: WrongRange}, found, nil
	}
	if v, ok := pending.Version.(*Version); ok {
		found = *v
		if found.TS = pending.TS; found.TS == 0 {
			found.TS = hlc.Max
		}
	} else if found, err = readFrom(rows, op.Row, hlc.Max); err != nil {
		return nil, found, err
	}
	if op.Expect.holds(op.ExpectTS, found.TS, found.Live) {
		return nil, found, nil
	}
	return &Result{Outcome: ConditionFailed, Existing: found.Value, ExistingTS: found.TS}, found, nil
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
	}
	return false
}
