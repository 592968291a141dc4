package datastate

import (
	"encoding/binary"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/codec"
	"github.com/nodedb/nodedb/agent/internal/gate"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/lock"
)

// What transactions leave in a range while they are open: a lock record for each row
// that one of them has locked for good or wants to change, and, in one range of a
// transaction, its record, which decides.

const (
	lockFormat   byte = 1
	recordFormat byte = 1
)

// Holder is a transaction's lock of a row that outlives the leader.
type Holder struct {
	Record   []byte // key of the transaction's record; it ends with the transaction's id
	Strength lock.Strength
}

// Txn is whose lock it is.
func (h *Holder) Txn() cluster.TxnID { return txnOf(h.Record) }

// Intent is a version that becomes one of its row if its transaction commits, at the
// time of the commit, which is not before TS.
type Intent struct {
	Record []byte // key of the transaction's record
	TS     hlc.Timestamp
	Stored []byte // as a version is stored
}

// Txn is whose intent it is.
func (i *Intent) Txn() cluster.TxnID { return txnOf(i.Record) }

// LockRecord is what is stored about a row that transactions have locked: those that
// hold locks on it, and the intent of one of them, if there is one.
type LockRecord struct {
	Holders []Holder
	Intent  *Intent
}

// Weight is about how many bytes it takes. The mirror says where there is none.
func (l *LockRecord) Weight() int {
	if l.empty() {
		return 0
	}
	n := 64
	for i := range l.Holders {
		n += 32 + len(l.Holders[i].Record)
	}
	if l.Intent != nil {
		n += 64 + len(l.Intent.Record) + len(l.Intent.Stored)
	}
	return n
}

// stays is the lock record as it is written again: when an intent was left that the leader
// knows of before that is applied, only those know who apply it.
func (l *LockRecord) stays() *LockRecord {
	if l.Intent == nil || l.Intent.TS != 0 {
		return l
	}
	in := *l.Intent
	in.TS = asItWas
	return &LockRecord{Holders: l.Holders, Intent: &in}
}

// asItWas is the time of an intent, in the lock record of a command, that the row has
// already, and that keeps its time. It must: one that is later than the transaction commits
// is passed over by who reads in between.
const asItWas = hlc.Max

func txnOf(record []byte) (id cluster.TxnID) {
	if len(record) >= len(id) {
		copy(id[:], record[len(record)-len(id):])
	}
	return id
}

func (l *LockRecord) encode() []byte {
	out := append(make([]byte, 0, 64), lockFormat)
	out = binary.AppendUvarint(out, uint64(len(l.Holders)))
	for _, h := range l.Holders {
		out = append(codec.AppendBytes(out, h.Record), byte(h.Strength))
	}
	if l.Intent == nil {
		return append(out, 0)
	}
	out = codec.AppendBytes(append(out, 1), l.Intent.Record)
	out = binary.BigEndian.AppendUint64(out, uint64(l.Intent.TS))
	return append(out, l.Intent.Stored...)
}

// minHolder is the shortest encoding of a Holder; it bounds what a count may claim.
const minHolder = 2

// decodeLockRecord decodes a lock record. It aliases b.
func decodeLockRecord(b []byte) (*LockRecord, error) {
	d := decode(b)
	if f := d.Byte(); d.Err() == nil && f != lockFormat {
		return nil, gate.Newer("a lock record of format %d", f)
	}
	l := &LockRecord{}
	if n := d.Count(minHolder); n > 0 {
		l.Holders = make([]Holder, n)
	}
	for i := range l.Holders {
		l.Holders[i] = Holder{d.Bytes(), lock.Strength(d.Byte())}
	}
	switch has := d.Byte(); {
	case d.Err() != nil:
		return nil, d.Err()
	case has > 1:
		return nil, gate.Newer("a lock record with an intent of kind %d", has)
	case has == 1:
		l.Intent = &Intent{Record: d.Bytes(), TS: hlc.Timestamp(d.Uint64())}
		l.Intent.Stored = d.Raw(uint64(d.Len()))
	}
	return l, d.End()
}

// TxnStatus is what a transaction's record says of it. One without a record is open,
// or was never heard of.
type TxnStatus byte

// The statuses.
const (
	// TxnOpen: the record says only that the transaction may not commit before Min.
	TxnOpen TxnStatus = iota + 1
	// TxnAborted: it never commits. Whoever finds an intent and no record writes this.
	TxnAborted
	// TxnCommitted: it committed at TS; its intents are versions at that time.
	TxnCommitted
)

// TxnRecord is a transaction's record.
type TxnRecord struct {
	Status TxnStatus
	// TS is when it committed; of an open one the earliest that it may commit at, of an
	// aborted one when that was written.
	TS hlc.Timestamp
	// Ranges are where it has left intents, as bounds of rows: [From, To) each.
	Ranges []TxnSpan
	// Objects says that the meta range has a change of objects prepared, which is a part of
	// a committed one.
	Objects bool
}

// TxnSpan is a part of the rows of a pool.
type TxnSpan struct {
	Pool     cluster.PoolID
	From, To cluster.Key
}

func (r *TxnRecord) encode() []byte {
	out := append(make([]byte, 0, 16), recordFormat, byte(r.Status))
	out = binary.BigEndian.AppendUint64(out, uint64(r.TS))
	return append(appendSpans(out, r.Ranges), flag(r.Objects))
}

func appendSpans(out []byte, spans []TxnSpan) []byte {
	out = binary.AppendUvarint(out, uint64(len(spans)))
	for _, s := range spans {
		out = append(out, byte(s.Pool))
		out = codec.AppendBytes(codec.AppendBytes(out, []byte(s.From)), []byte(s.To))
	}
	return out
}

// minSpan is the shortest encoding of a TxnSpan.
const minSpan = 3

func (d *decoder) spans() []TxnSpan {
	n := d.Count(minSpan)
	if n == 0 {
		return nil
	}
	spans := make([]TxnSpan, n)
	for i := range spans {
		spans[i] = TxnSpan{cluster.PoolID(d.Byte()), cluster.Key(d.Bytes()), cluster.Key(d.Bytes())}
	}
	return spans
}

func decodeTxnRecord(b []byte) (*TxnRecord, error) {
	d := decode(b)
	if f := d.Byte(); d.Err() == nil && f != recordFormat {
		return nil, gate.Newer("a transaction record of format %d", f)
	}
	r := &TxnRecord{Status: TxnStatus(d.Byte()), TS: hlc.Timestamp(d.Uint64())}
	if d.Err() == nil && (r.Status < TxnOpen || r.Status > TxnCommitted) {
		return nil, gate.Newer("a transaction of status %d", r.Status)
	}
	r.Ranges, r.Objects = d.spans(), d.UpTo(1) == 1
	return r, d.End()
}

// empty reports whether nothing is left of a lock record.
func (l *LockRecord) empty() bool { return len(l.Holders) == 0 && l.Intent == nil }

// without is what is left of a lock record when a transaction ends.
func (l *LockRecord) without(txn cluster.TxnID) *LockRecord {
	left := &LockRecord{Intent: l.Intent}
	for _, h := range l.Holders {
		if h.Txn() != txn {
			left.Holders = append(left.Holders, h)
		}
	}
	if l.intentOf(txn) != nil {
		left.Intent = nil
	}
	return left
}

// intentOf is the intent, if it is txn's.
func (l *LockRecord) intentOf(txn cluster.TxnID) *Intent {
	if l.Intent == nil || l.Intent.Txn() != txn {
		return nil
	}
	return l.Intent
}

// holds reports whether txn has left anything.
func (l *LockRecord) holds(txn cluster.TxnID) bool {
	return l.intentOf(txn) != nil || slices.ContainsFunc(l.Holders, func(h Holder) bool { return h.Txn() == txn })
}

// with is the lock record with a lock more, or a stronger one.
func (l *LockRecord) with(record []byte, s lock.Strength) *LockRecord {
	txn := txnOf(record)
	next := &LockRecord{Intent: l.Intent, Holders: make([]Holder, 0, len(l.Holders)+1)}
	for _, h := range l.Holders {
		if h.Txn() == txn {
			s = max(s, h.Strength)
		} else {
			next.Holders = append(next.Holders, h)
		}
	}
	next.Holders = append(next.Holders, Holder{record, s})
	return next
}
