package datastate

import (
	"encoding/binary"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/codec"
	"github.com/nodedb/nodedb/agent/internal/evaluation"
	"github.com/nodedb/nodedb/agent/internal/gate"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/lock"
)

// What the coordinator of a transaction asks of a range. Whatever it asks twice is done
// once: what a row or a record says already is left as it is.

// Prewrite writes intents: versions that become some if the transaction commits, at a
// time that is not before that of the answer. All conditions hold, or nothing is
// written. Its locks are held until Resolve or Commit; who is refused may have some.
type Prewrite struct {
	machine *Machine
	touches [][]byte // once it is opened, as of a Batch

	Writer  cluster.WriterID
	Schemas []cluster.SchemaVersion // as of a Batch
	Ops     []Op
	Txn     cluster.TxnID
	Record  []byte // key of the transaction's record, wherever that is
}

// Commit decides, in the range that owns the record, unless somebody has decided
// before, and writes the versions of Ops. The locks of the transaction on their rows end;
// those on other rows do with Resolve.
type Commit struct {
	machine *Machine
	touches [][]byte // once it is opened, as of a Batch

	Writer  cluster.WriterID
	Schemas []cluster.SchemaVersion // as of a Batch
	Ops     []Op                    // of rows without intents, or that Prewrite has written
	Txn     cluster.TxnID
	Record  []byte
	Ranges  []TxnSpan // where it has left intents
	// Objects says that the meta range has a change of objects prepared for it.
	Objects bool
	Min     hlc.Timestamp // it commits not before this: no intent's time is above it
	// At is when it commits; then all Ops have intents. 0: when the command is applied.
	At hlc.Timestamp
}

// Resolve follows the end of a transaction: on Rows its intents become versions at
// CommitTS, or go if that is 0, and its locks end. Rows of others are left alone.
type Resolve struct {
	machine *Machine
	touches [][]byte // once it is opened, as of a Batch

	Txn      cluster.TxnID
	Record   []byte // nil: it has left nothing but locks in the leader's memory
	CommitTS hlc.Timestamp
	Rows     [][]byte
	// Span has the range look for what the transaction has left there itself, in place of
	// Rows: from its beginning on, as far as the range goes, and as one command holds.
	// Locks in memory are not looked for.
	Span TxnSpan
}

// Push asks the record of a transaction that is in the way: what became of it, and if
// nothing did, to abort it, or to have it commit above a time.
type Push struct {
	machine *Machine

	Txn    cluster.TxnID
	Record []byte
	Abort  bool
	Above  hlc.Timestamp
}

// Forget deletes the records of transactions that have ended and left nothing.
type Forget struct {
	machine *Machine

	Records [][]byte // their keys
}

// Lock locks rows and reads their newest versions. A durable lock outlives the leader.
// Who is not answered, or Blocked, may have locked some of the rows all the same.
type Lock struct {
	machine *Machine
	touches [][]byte // once it is opened, as of a Batch

	Txn      cluster.TxnID
	Record   []byte
	Rows     [][]byte
	Strength lock.Strength
	Durable  bool
	Wait     evaluation.Wait
	// NotNewerThan refuses rows that have a newer version; 0: none.
	NotNewerThan hlc.Timestamp
}

// The kinds of requests.
const (
	kindBatch byte = iota + 1
	kindTxnBatch
	kindPrewrite
	kindCommit
	kindResolve
	kindPush
	kindForget
	kindLock
	kindRemains
	kindRaise
)

func appendRequest(size int, kind byte, txn cluster.TxnID, record []byte) []byte {
	out := append(make([]byte, 0, 40+len(record)+size), batchFormat, kind)
	return codec.AppendBytes(append(out, txn[:]...), record)
}

func appendRows(out []byte, rows [][]byte) []byte {
	out = binary.AppendUvarint(out, uint64(len(rows)))
	for _, row := range rows {
		out = codec.AppendBytes(out, row)
	}
	return out
}

func flag(v bool) byte {
	if v {
		return 1
	}
	return 0
}

// Encode is the request as a gateway proposes it.
func (p *Prewrite) Encode() []byte {
	return appendOps(appendRequest(opsSize(p.Ops), kindPrewrite, p.Txn, p.Record), p.Writer, p.Schemas, p.Ops)
}

// Encode is the request as a gateway proposes it.
func (c *Commit) Encode() []byte {
	out := appendOps(appendRequest(opsSize(c.Ops), kindCommit, c.Txn, c.Record), c.Writer, c.Schemas, c.Ops)
	out = append(appendSpans(out, c.Ranges), flag(c.Objects))
	out = binary.BigEndian.AppendUint64(out, uint64(c.Min))
	return binary.BigEndian.AppendUint64(out, uint64(c.At))
}

// Encode is the request as a gateway proposes it.
func (r *Resolve) Encode() []byte {
	out := appendRequest(64*len(r.Rows), kindResolve, r.Txn, r.Record)
	out = binary.BigEndian.AppendUint64(out, uint64(r.CommitTS))
	if r.spanned() {
		return appendSpans(appendRows(out, nil), []TxnSpan{r.Span})
	}
	return appendSpans(appendRows(out, r.Rows), nil)
}

// Encode is the request as a gateway proposes it.
func (p *Push) Encode() []byte {
	out := append(appendRequest(9, kindPush, p.Txn, p.Record), flag(p.Abort))
	return binary.BigEndian.AppendUint64(out, uint64(p.Above))
}

// Encode is the request as a gateway proposes it.
func (f *Forget) Encode() []byte {
	return appendRows(append(make([]byte, 0, 8+64*len(f.Records)), batchFormat, kindForget), f.Records)
}

// Encode is the request as a gateway proposes it.
func (l *Lock) Encode() []byte {
	out := append(appendRequest(64*len(l.Rows), kindLock, l.Txn, l.Record), byte(l.Strength), flag(l.Durable), byte(l.Wait))
	return appendRows(binary.BigEndian.AppendUint64(out, uint64(l.NotNewerThan)), l.Rows)
}

// request is one of them, and a Batch.
type request interface {
	evaluation.Request
	of(m *Machine)
}

// decodeRequest decodes a request, as a binary does that supports s. It aliases data.
func decodeRequest(data []byte, s gate.Support) (request, error) {
	d, b := decode(data), &Batch{}
	if err := d.head(b, s); err != nil {
		return nil, err
	}
	kind := d.Byte()
	if d.Err() == nil && (kind < kindBatch || kind > kindRaise) {
		return nil, gate.Newer("a request of kind %d", kind)
	}
	req, err := d.request(kind, b)
	if err == nil {
		err = d.End()
	}
	if err != nil {
		return nil, err // and no typed nil
	}
	return req, nil
}

func (d *decoder) request(kind byte, b *Batch) (request, error) {
	var txn cluster.TxnID
	var record []byte
	switch kind {
	case kindForget:
		return &Forget{Records: d.rows()}, d.Err()
	case kindRaise:
		return d.raise()
	case kindBatch:
	default:
		copy(txn[:], d.Raw(uint64(len(txn))))
	}
	if kind > kindTxnBatch {
		record = d.Bytes()
	}
	switch kind {
	case kindPrewrite:
		writer, schemas, ops, err := d.ops()
		return &Prewrite{Writer: writer, Schemas: schemas, Ops: ops, Txn: txn, Record: record}, err
	case kindCommit:
		writer, schemas, ops, err := d.ops()
		if err != nil {
			return nil, err
		}
		return &Commit{Writer: writer, Schemas: schemas, Ops: ops, Txn: txn, Record: record, Ranges: d.spans(), Objects: d.UpTo(1) == 1, Min: d.ts(), At: d.ts()}, nil
	case kindResolve:
		r := &Resolve{Txn: txn, Record: record, CommitTS: d.ts(), Rows: d.rows()}
		spans := d.spans()
		if r.Span = first(spans); d.Err() == nil && (len(spans) > 1 || len(spans) == 1 && (len(r.Rows) > 0 || !r.spanned() || record == nil)) {
			d.Fail("not rows, and not one span of what is written down")
		}
		return r, d.Err()
	case kindPush:
		return &Push{Txn: txn, Record: record, Abort: d.UpTo(1) == 1, Above: d.ts()}, nil
	case kindLock:
		l := &Lock{Txn: txn, Record: record, Strength: lock.Strength(d.Byte()), Durable: d.UpTo(1) == 1, Wait: evaluation.Wait(d.Byte())}
		l.NotNewerThan, l.Rows = d.ts(), d.rows()
		if d.Err() == nil && (l.Strength < lock.KeyShare || l.Strength > lock.Update || l.Wait > evaluation.SkipLocked) {
			return nil, gate.Newer("a lock of strength %d that waits by rule %d", l.Strength, l.Wait)
		}
		return l, nil
	case kindRemains:
		spans := d.spans()
		if d.Err() == nil && len(spans) != 1 {
			d.Fail("not one span")
			return nil, d.Err()
		}
		return &Remains{Txn: txn, Record: record, Span: first(spans)}, d.Err()
	}
	writer, schemas, ops, err := d.ops()
	if err != nil {
		return nil, err
	}
	b.Writer, b.Schemas, b.Ops, b.Txn = writer, schemas, ops, txn
	for i := range b.Ops {
		b.keep(&b.Ops[i])
	}
	return b, nil
}

func first(spans []TxnSpan) (s TxnSpan) {
	if len(spans) > 0 {
		s = spans[0]
	}
	return s
}

func (d *decoder) ts() hlc.Timestamp { return hlc.Timestamp(d.Uint64()) }

func (d *decoder) rows() [][]byte {
	rows := make([][]byte, d.Count(1))
	for i := range rows {
		rows[i] = d.Bytes()
	}
	return rows
}

// Grows reports whether a request writes more than tombstones.
func Grows(data []byte, s gate.Support) bool {
	req, err := decodeRequest(data, s)
	if err != nil {
		return false
	}
	var ops []Op
	switch r := req.(type) {
	case *Batch:
		ops = r.Ops
	case *Prewrite:
		ops = r.Ops
	case *Commit:
		ops = r.Ops
	}
	return slices.ContainsFunc(ops, func(op Op) bool { return op.Kind == Put })
}

func (b *Batch) of(m *Machine)    { b.touches, b.machine = b.Touches(), m }
func (p *Prewrite) of(m *Machine) { p.touches, p.machine = p.Touches(), m }
func (c *Commit) of(m *Machine)   { c.touches, c.machine = c.Touches(), m }
func (p *Push) of(m *Machine)     { p.machine = m }
func (f *Forget) of(m *Machine)   { f.machine = m }
func (l *Lock) of(m *Machine)     { l.touches, l.machine = l.Touches(), m }

// Encode is the request as a gateway proposes it.
func (b *Batch) Encode() []byte { return EncodeBatch(b) }
