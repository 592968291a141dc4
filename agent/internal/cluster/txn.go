package cluster

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
)

// TxnID names a transaction, for ever: the time at which it began (a hybrid timestamp,
// u64), then the node that coordinates it (u32), then which start of that node (u32).
// So older transactions have lower ids. The zero value is none.
type TxnID [16]byte

// NewTxnID returns the id of a transaction that begins at ts, which no other
// transaction of the node has.
func NewTxnID(ts uint64, node NodeID, start uint32) (id TxnID) {
	binary.BigEndian.PutUint64(id[:8], ts)
	binary.BigEndian.PutUint32(id[8:12], uint32(node))
	binary.BigEndian.PutUint32(id[12:], start)
	return id
}

// Began is the hybrid timestamp at which the transaction began.
func (id TxnID) Began() uint64 { return binary.BigEndian.Uint64(id[:8]) }

// Node is the node that coordinates the transaction.
func (id TxnID) Node() NodeID { return NodeID(binary.BigEndian.Uint32(id[8:12])) }

// Start says in which start of its node the transaction began: in another it is over.
func (id TxnID) Start() uint32 { return binary.BigEndian.Uint32(id[12:]) }

// String is the id as it is shown, and as ParseTxnID takes it.
func (id TxnID) String() string { return hex.EncodeToString(id[:]) }

// ParseTxnID reads what String shows.
func ParseTxnID(s string) (id TxnID, err error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(id) {
		return id, fmt.Errorf("%q is no id of a transaction: it has 32 hexadecimal digits", s)
	}
	return TxnID(b), nil
}
