package keys

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// The lock space has what transactions leave in a range while they are open: the lock
// record of a row under the row's own key, and the records of transactions under the
// head of a collection in a vshard. It is ordered as the data space is, so that the
// bounds of a range cut both alike.

// recordSpace is the space byte of a transaction's record.
const recordSpace byte = 0x01

// recordLen is the length of the key of a transaction's record.
const recordLen = RowLen + len(cluster.TxnID{})

// Lock is the key of the lock record of a row.
func Lock(row []byte) []byte {
	k := bytes.Clone(row)
	k[0] = spaceLock
	return k
}

// DecodeLock returns the row of a key made by Lock.
func DecodeLock(key []byte) (row []byte, err error) {
	if len(key) <= RowLen || key[0] != spaceLock {
		return nil, fmt.Errorf("%w: lock % x", ErrMalformed, key)
	}
	row = bytes.Clone(key)
	row[0] = spaceData
	if _, err := DecodeRow(row); err != nil || row[RowLen-1] != primarySpace {
		return nil, fmt.Errorf("%w: lock % x", ErrMalformed, key)
	}
	return row, nil
}

// TxnRecord is the key of the record of a transaction whose first row is row: beside
// that, so that they are nearly always in one range.
func TxnRecord(row []byte, id cluster.TxnID) []byte {
	k := append(make([]byte, 0, recordLen), row[:RowLen]...)
	k[0], k[RowLen-1] = spaceLock, recordSpace
	return append(k, id[:]...)
}

// DecodeTxnRecord returns the transaction of a key made by TxnRecord.
func DecodeTxnRecord(key []byte) (id cluster.TxnID, err error) {
	if len(key) != recordLen || key[0] != spaceLock || key[RowLen-1] != recordSpace ||
		cluster.VShard(binary.BigEndian.Uint16(key[2:4])) >= cluster.VShards {
		return id, fmt.Errorf("%w: transaction record % x", ErrMalformed, key)
	}
	return cluster.TxnID(key[RowLen:]), nil
}

// IsTxnRecord tells the records of transactions from lock records.
func IsTxnRecord(key []byte) bool {
	return len(key) == recordLen && key[0] == spaceLock && key[RowLen-1] == recordSpace
}

// OwnsRecord reports whether the range d owns a transaction's record.
func OwnsRecord(d *cluster.RangeDescriptor, key []byte) bool {
	return !d.IsMeta() && IsTxnRecord(key) && key[1] == byte(d.Pool) &&
		string(key[2:]) >= string(d.Start) && string(key[2:]) < string(d.End)
}

// LockSpan holds what transactions have left in pool p in [start, end).
func LockSpan(p cluster.PoolID, start, end cluster.Key) Span {
	return Span{append([]byte{spaceLock, byte(p)}, start...), append([]byte{spaceLock, byte(p)}, end...)}
}

// BesideRecord is a row that no collection has, and that a range owns if it owns the
// record; nil: it is none.
func BesideRecord(record []byte) []byte {
	if !IsTxnRecord(record) {
		return nil
	}
	row := append(bytes.Clone(record), terminator)
	row[0] = spaceData
	return row
}
