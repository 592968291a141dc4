package datastate

import (
	"encoding/binary"
	"fmt"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/codec"
	"github.com/nodedb/nodedb/agent/internal/evaluation"
	"github.com/nodedb/nodedb/agent/internal/gate"
	"github.com/nodedb/nodedb/agent/internal/hlc"
)

// Outcome is what became of a request.
type Outcome byte

// The outcomes.
const (
	Applied Outcome = iota + 1
	ConditionFailed
	WrongRange  // a row is not between this range's bounds
	Malformed   // a row is named twice, or a commit at a given time has a row without an intent
	Blocked     // by locks, or by those that wait for them
	Aborted     // the transaction's record says so
	TooEarly    // the transaction's record allows a later commit only
	Dropped     // the collection of a row is no more
	StaleSchema // it rests on a version of a descriptor that is not taken any more
)

// Blocker is what keeps a request from a row.
type Blocker = evaluation.Blocker

// Result is the answer to a request.
type Result struct {
	Outcome Outcome
	// FailedOp is the index of the Op or row whose condition failed, or which is elsewhere
	// or of a collection that is no more.
	FailedOp int
	// Existing is the failing row's value, nil if it has none; ExistingTS is the
	// timestamp of its newest version, tombstones included, 0 if it has none.
	Existing   []byte
	ExistingTS hlc.Timestamp

	// By says who is in the way of one that is Blocked.
	By []Blocker
	// Min is when one that is TooEarly may commit.
	Min hlc.Timestamp
	// TS is when a transaction committed, if not at the time of the answer.
	TS hlc.Timestamp
	// Record is what a Push left. A retry of one that was applied may get none: it asks
	// again, under another id.
	Record *TxnRecord
	// Rows are what a Lock found, of the first of its rows. If they are not all of
	// them, or none after a retry, it is asked again, under another id.
	Rows []LockedRow
	// Until is where a Remains, or a Resolve of a span, has looked up to, if that is not the
	// end of what it asked for; of a Raise the end of the range.
	Until cluster.Key
	// More says that a Resolve has more to do than one command holds, or that a Raise has
	// set a fence and not looked yet what is left from before: ask again.
	More bool
	// Schema is the least version that one that is StaleSchema has to rest on.
	Schema cluster.SchemaVersion
}

// LockedRow is a row that was locked, at its newest version.
type LockedRow struct {
	Value   []byte        // nil: there is none
	TS      hlc.Timestamp // of the newest version, tombstones included; 0: none
	Skipped bool          // somebody else has locked it
	By      []Blocker     // who has, maxSkippedBy of them at most
	// Contended: the request has waited for the lock of the row, or others do.
	Contended bool
}

// maxSkippedBy bounds who is named for a row that was skipped: nearly always it is one;
// only those who share a row are more.
const maxSkippedBy = 8

const resultFormat byte = 1

// plain reports whether nothing is to be said but that all was done.
func (r *Result) plain() bool {
	return r.Outcome == Applied && r.TS == 0 && r.Record == nil && len(r.Rows) == 0 && !r.More && r.Until == ""
}

// EncodeResult encodes r. What was applied is nil: a range remembers the results of
// its commands for a while, and nearly all are that.
func EncodeResult(r *Result) []byte {
	if r.plain() {
		return nil
	}
	out := []byte{resultFormat, byte(r.Outcome)}
	switch r.Outcome {
	case Applied:
		return r.appendDone(out)
	case ConditionFailed, WrongRange, Dropped:
		out = binary.AppendUvarint(out, uint64(r.FailedOp))
		out = binary.BigEndian.AppendUint64(out, uint64(r.ExistingTS))
		if r.Existing == nil {
			return append(out, 0)
		}
		return codec.AppendBytes(append(out, 1), r.Existing)
	case Blocked:
		out = appendBlockers(out, r.By)
	case TooEarly:
		out = binary.BigEndian.AppendUint64(out, uint64(r.Min))
	case StaleSchema:
		out = appendSchemas(out, []cluster.SchemaVersion{r.Schema})
	case Malformed, Aborted:
	}
	return out
}

// The flags of a locked row, and of what was done.
const (
	flagMore      byte = 1
	flagUntil     byte = 2
	flagSkipped   byte = 1
	flagValue     byte = 2
	flagContended byte = 4
)

func (r *Result) appendDone(out []byte) []byte {
	out = binary.BigEndian.AppendUint64(out, uint64(r.TS))
	var record []byte
	if r.Record != nil {
		record = r.Record.encode()
	}
	out = append(codec.AppendBytes(out, record), flag(r.More)*flagMore|flag(r.Until != "")*flagUntil)
	if r.Until != "" {
		out = codec.AppendBytes(out, []byte(r.Until))
	}
	out = binary.AppendUvarint(out, uint64(len(r.Rows)))
	for i := range r.Rows {
		row := &r.Rows[i]
		out = append(out, flag(row.Skipped)*flagSkipped|flag(row.Value != nil)*flagValue|flag(row.Contended)*flagContended)
		if out = binary.BigEndian.AppendUint64(out, uint64(row.TS)); row.Value != nil {
			out = codec.AppendBytes(out, row.Value)
		}
		if row.Skipped {
			out = appendBlockers(out, row.By)
		}
	}
	return out
}

// The shortest encodings of a Blocker and of a LockedRow.
const (
	minBlocker   = len(cluster.TxnID{}) + 2
	minLockedRow = 1 + 8
)

// DecodeResult decodes what EncodeResult made. The result aliases data.
func DecodeResult(data []byte) (*Result, error) {
	if len(data) == 0 {
		return &Result{Outcome: Applied}, nil
	}
	d := decode(data)
	if f := d.Byte(); d.Err() == nil && f != resultFormat {
		return nil, gate.Newer("result of format %d", f)
	}
	r := &Result{Outcome: Outcome(d.Byte())}
	switch r.Outcome {
	case Applied:
		if err := d.done(r); err != nil {
			return nil, err
		}
	case ConditionFailed, WrongRange, Dropped:
		r.FailedOp, r.ExistingTS = int(d.UpTo(1<<31)), d.ts() //nolint:gosec // bounded
		if d.UpTo(1) == 1 {
			r.Existing = d.Bytes()
		}
	case Blocked:
		r.By = d.blockers()
	case TooEarly:
		r.Min = d.ts()
	case StaleSchema:
		if s := d.schemas(); len(s) == 1 {
			r.Schema = s[0]
		}
	case Malformed, Aborted:
	default:
		return nil, fmt.Errorf("%w: outcome %d", ErrMalformed, r.Outcome)
	}
	return r, d.End()
}

func (d *decoder) done(r *Result) (err error) {
	r.TS = d.ts()
	if record := d.Bytes(); len(record) > 0 {
		if r.Record, err = decodeTxnRecord(record); err != nil {
			return err
		}
	}
	flags := d.UpTo(uint64(flagMore | flagUntil))
	if r.More = flags&uint64(flagMore) != 0; flags&uint64(flagUntil) != 0 {
		r.Until = cluster.Key(d.Bytes())
	}
	if n := d.Count(minLockedRow); n > 0 {
		r.Rows = make([]LockedRow, n)
	}
	for i := range r.Rows {
		flags := d.UpTo(uint64(flagSkipped | flagValue | flagContended))
		r.Rows[i] = LockedRow{TS: d.ts(), Skipped: flags&uint64(flagSkipped) != 0, Contended: flags&uint64(flagContended) != 0}
		if flags&uint64(flagValue) != 0 {
			if r.Rows[i].Value = d.Bytes(); r.Rows[i].Value == nil && d.Err() == nil {
				r.Rows[i].Value = []byte{}
			}
		}
		if r.Rows[i].Skipped {
			r.Rows[i].By = d.blockers()
		}
	}
	return d.Err()
}

func appendBlockers(out []byte, by []Blocker) []byte {
	out = binary.AppendUvarint(out, uint64(len(by)))
	for _, b := range by {
		out = codec.AppendBytes(codec.AppendBytes(append(out, b.Txn[:]...), b.Record), b.Row)
	}
	return out
}

func (d *decoder) blockers() []Blocker {
	by := make([]Blocker, d.Count(minBlocker))
	for i := range by {
		b := &by[i]
		copy(b.Txn[:], d.Raw(uint64(len(b.Txn))))
		b.Record, b.Row = d.Bytes(), d.Bytes()
	}
	return by
}
