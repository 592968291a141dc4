package datastate

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

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
	AbsentSince                   // no row, and none that was deleted after ExpectTS
)

// Op writes one row on a condition.
type Op struct {
	Row      []byte // keys.Row
	Kind     OpKind
	Value    []byte // of a Put
	Expect   Condition
	ExpectTS hlc.Timestamp // of VersionIs, NotNewerThan and AbsentSince

	opNext //nolint:unused // has fields in builds with the tag nextversion
}

// Batch is what a gateway asks of a range: all of its Ops are applied, or none. No
// row appears twice.
type Batch struct {
	machine *Machine // whose mirror it asks; nil: the engine is asked
	touches [][]byte // set with machine: the leader asks for them again and again

	Writer cluster.WriterID // on whose behalf
	// Schemas are the versions of descriptors that it rests on, by collection.
	Schemas []cluster.SchemaVersion
	Ops     []Op
	// Txn is whose: the batch commits the transaction, and its locks in the range end.
	// Zero: a statement outside of a transaction.
	Txn cluster.TxnID

	batchNext //nolint:unused // has fields in builds with the tag nextversion
}

// ErrMalformed marks bytes that no encoder of this package made. Those that one of
// a newer version may have made are gate.ErrNewer.
var ErrMalformed = errors.New("malformed data command")

const batchFormat byte = 1

// EncodeBatch encodes b.
func EncodeBatch(b *Batch) []byte {
	out := b.appendHead(make([]byte, 0, 1+opsSize(b.Ops)))
	if b.Txn == (cluster.TxnID{}) {
		out = append(out, kindBatch)
	} else {
		out = append(append(out, kindTxnBatch), b.Txn[:]...)
	}
	return appendOps(out, b.Writer, b.Schemas, b.Ops)
}

// opsSize is how long at most appendOps makes the encoding of a request.
func opsSize(ops []Op) int {
	n := 32 + binary.MaxVarintLen32 + binary.MaxVarintLen64
	for i := range ops {
		n += 2 + 2*binary.MaxVarintLen32 + 8 + len(ops[i].Row) + len(ops[i].Value)
	}
	return n
}

func appendOps(out []byte, writer cluster.WriterID, schemas []cluster.SchemaVersion, ops []Op) []byte {
	out = appendSchemas(binary.AppendUvarint(out, uint64(writer)), schemas)
	out = binary.AppendUvarint(out, uint64(len(ops)))
	for i := range ops {
		op := &ops[i]
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

func (c Condition) hasTimestamp() bool { return c >= VersionIs && c <= AbsentSince }

// minOp is the shortest encoding of an Op; it bounds what a count may claim.
const minOp = 3

// DecodeBatch decodes what EncodeBatch made, as a binary does that supports s. The
// batch aliases data.
func DecodeBatch(data []byte, s gate.Support) (*Batch, error) {
	req, err := decodeRequest(data, s)
	if err != nil {
		return nil, err
	}
	b, ok := req.(*Batch)
	if !ok {
		return nil, fmt.Errorf("%w: it is no batch", ErrMalformed)
	}
	return b, nil
}

// ops takes what appendOps made.
func (d *decoder) ops() (cluster.WriterID, []cluster.SchemaVersion, []Op, error) {
	writer, schemas := d.UpTo(math.MaxUint32), d.schemas()
	ops := make([]Op, d.Count(minOp))
	if d.Err() != nil {
		return 0, nil, nil, d.Err()
	}
	for i := range ops {
		if err := d.op(&ops[i]); err != nil {
			return 0, nil, nil, fmt.Errorf("op %d: %w", i, err)
		}
	}
	return cluster.WriterID(writer), schemas, ops, nil
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
	case op.Expect > AbsentSince:
		return gate.Newer("condition %d", op.Expect)
	}
	return nil
}

// decoder reads what this package encodes.
type decoder struct{ codec.Reader }

func decode(b []byte) decoder { return decoder{codec.Read(b, ErrMalformed)} }
