package datastate

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync/atomic"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/codec"
	"github.com/nodedb/nodedb/agent/internal/gate"
	"github.com/nodedb/nodedb/agent/internal/hlc"
)

// OpKind is what an Op does to its row.
type OpKind byte

// The kinds.
const (
	Put OpKind = iota + 1
	Delete
)

// Condition is what must hold of a row for a batch to be applied.
type Condition byte

// The conditions.
const (
	Any          Condition = iota // nothing
	Absent                        // no row, or a deleted one
	Present                       // a row
	VersionIs                     // a row whose newest version is ExpectTS
	NotNewerThan                  // no version, tombstones included, newer than ExpectTS
)

// Op writes one row on a condition.
type Op struct {
	Row      []byte // keys.Row
	Kind     OpKind
	Value    []byte // of a Put
	Expect   Condition
	ExpectTS hlc.Timestamp // of VersionIs and NotNewerThan

	opNext //nolint:unused // has fields in builds with the tag nextversion
}

// Batch is what a gateway asks of a range: all of its Ops are applied, or none. No
// row appears twice.
type Batch struct {
	planted   Planted
	threshold *atomic.Uint64 // of the range, as Machine.Passed has it; nil: none

	Writer cluster.WriterID // on whose behalf
	Ops    []Op

	batchNext //nolint:unused // has fields in builds with the tag nextversion
}

// Grows reports whether a batch that DecodeBatch takes writes more than tombstones.
func Grows(data []byte, s gate.Support) bool {
	b, err := DecodeBatch(data, s)
	return err == nil && slices.ContainsFunc(b.Ops, func(op Op) bool { return op.Kind == Put })
}

// Outcome is what became of a batch.
type Outcome byte

// The outcomes.
const (
	Applied Outcome = iota + 1
	ConditionFailed
	WrongRange // a row is not between this range's bounds
	Malformed  // a row is named twice
)

// Result is the answer to a batch.
type Result struct {
	Outcome Outcome
	// FailedOp is the index of the Op whose condition failed or whose row is elsewhere.
	FailedOp int
	// Existing is the failing row's value, nil if it has none; ExistingTS is the
	// timestamp of its newest version, tombstones included, 0 if it has none.
	Existing   []byte
	ExistingTS hlc.Timestamp
}

// ErrMalformed marks bytes that no encoder of this package made. Those that one of
// a newer version may have made are gate.ErrNewer.
var ErrMalformed = errors.New("malformed data command")

const (
	batchFormat  byte = 1
	resultFormat byte = 1
)

// EncodeBatch encodes b.
func EncodeBatch(b *Batch) []byte {
	n := 1 + binary.MaxVarintLen32 + binary.MaxVarintLen64
	for i := range b.Ops {
		n += 2 + 2*binary.MaxVarintLen32 + 8 + len(b.Ops[i].Row) + len(b.Ops[i].Value)
	}
	out := b.appendHead(make([]byte, 0, n))
	out = binary.AppendUvarint(out, uint64(b.Writer))
	out = binary.AppendUvarint(out, uint64(len(b.Ops)))
	for i := range b.Ops {
		op := &b.Ops[i]
		out = append(out, byte(op.Kind), byte(op.Expect))
		if op.Expect.hasTimestamp() {
			out = binary.BigEndian.AppendUint64(out, uint64(op.ExpectTS))
		}
		out = codec.AppendBytes(out, op.Row)
		if op.Kind == Put {
			out = codec.AppendBytes(out, op.Value)
		}
	}
	return out
}

func (c Condition) hasTimestamp() bool { return c == VersionIs || c == NotNewerThan }

// minOp is the shortest encoding of an Op; it bounds what a count may claim.
const minOp = 3

// DecodeBatch decodes what EncodeBatch made, as a binary does that supports s. The
// batch aliases data.
func DecodeBatch(data []byte, s gate.Support) (*Batch, error) {
	d := decode(data)
	b := &Batch{}
	if err := d.head(b, s); err != nil {
		return nil, err
	}
	writer, n := d.Uvarint(), d.Uvarint()
	if d.Err() == nil && writer > math.MaxUint32 {
		return nil, fmt.Errorf("%w: writer %d", ErrMalformed, writer)
	}
	if d.Err() == nil && n > uint64(d.Len()/minOp) {
		return nil, fmt.Errorf("%w: %d ops in %d bytes", ErrMalformed, n, d.Len())
	}
	if d.Err() != nil {
		return nil, d.Err()
	}
	b.Writer, b.Ops = cluster.WriterID(writer), make([]Op, n)
	for i := range b.Ops {
		if err := d.op(&b.Ops[i]); err != nil {
			return nil, fmt.Errorf("op %d: %w", i, err)
		}
		b.keep(&b.Ops[i])
	}
	if d.Len() > 0 {
		return nil, fmt.Errorf("%w: %d bytes after the batch", ErrMalformed, d.Len())
	}
	return b, nil
}

func (d *decoder) op(op *Op) error {
	op.Kind, op.Expect = OpKind(d.Byte()), Condition(d.Byte())
	if op.Expect.hasTimestamp() {
		op.ExpectTS = hlc.Timestamp(d.Uint64())
	}
	op.Row = d.Bytes()
	if op.Kind == Put {
		op.Value = d.Bytes()
	}
	switch {
	case d.Err() != nil:
		return d.Err()
	case op.Kind != Put && op.Kind != Delete:
		return gate.Newer("op of kind %d", op.Kind)
	case op.Expect > NotNewerThan:
		return gate.Newer("condition %d", op.Expect)
	}
	return nil
}

// EncodeResult encodes r. What was applied is nil: a range remembers the results of
// its commands for a while, and nearly all are that.
func EncodeResult(r *Result) []byte {
	if r.Outcome == Applied {
		return nil
	}
	out := []byte{resultFormat, byte(r.Outcome)}
	if r.Outcome == Malformed {
		return out
	}
	out = binary.AppendUvarint(out, uint64(r.FailedOp))
	out = binary.BigEndian.AppendUint64(out, uint64(r.ExistingTS))
	if r.Existing == nil {
		return append(out, 0)
	}
	return codec.AppendBytes(append(out, 1), r.Existing)
}

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
	if d.Err() == nil && (r.Outcome <= Applied || r.Outcome > Malformed) {
		return nil, fmt.Errorf("%w: outcome %d", ErrMalformed, r.Outcome)
	}
	if r.Outcome == ConditionFailed || r.Outcome == WrongRange {
		op := d.Uvarint()
		if op > 1<<31 {
			return nil, fmt.Errorf("%w: op %d failed", ErrMalformed, op)
		}
		r.FailedOp, r.ExistingTS = int(op), hlc.Timestamp(d.Uint64())
		if d.Byte() == 1 {
			r.Existing = d.Bytes()
		}
	}
	if d.Err() == nil && d.Len() > 0 {
		return nil, fmt.Errorf("%w: %d bytes after the result", ErrMalformed, d.Len())
	}
	return r, d.Err()
}

// decoder reads what this package encodes.
type decoder struct{ codec.Reader }

func decode(b []byte) decoder { return decoder{codec.Read(b, ErrMalformed)} }
