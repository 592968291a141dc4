package keys

import (
	"encoding/binary"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// entryMark begins the key of every entry of an index, and of nothing else: each value of
// a primary key begins with another byte.
const entryMark byte = 0x01

// MaxIndexed is how long the values of an entry may be, encoded.
const MaxIndexed = 1<<16 - 1

// Entry is the primary key of an entry of an index: the values that the index is over,
// then what makes it the only one of them, which may be nothing, and at the end how long
// the values are. It is ordered as the values and what follows them are.
func Entry(values, rest []byte) []byte {
	k := make([]byte, 0, 1+len(values)+len(rest)+2)
	k = append(append(append(k, entryMark), values...), rest...)
	return binary.BigEndian.AppendUint16(k, uint16(len(values)))
}

// EntryPrefix is what the keys of the entries begin with whose values begin with values.
func EntryPrefix(values []byte) []byte { return append([]byte{entryMark}, values...) }

// SplitEntry takes apart what Entry returned. The parts alias key.
func SplitEntry(key []byte) (values, rest []byte, err error) {
	if len(key) < 3 || key[0] != entryMark {
		return nil, nil, ErrMalformed
	}
	body := key[1 : len(key)-2]
	n := int(binary.BigEndian.Uint16(key[len(key)-2:]))
	if n > len(body) {
		return nil, nil, ErrMalformed
	}
	return body[:n], body[n:], nil
}

// hashed is the part of a primary key that decides about its vshard.
func hashed(primary []byte) []byte {
	if values, _, err := SplitEntry(primary); err == nil {
		return values
	}
	return primary
}

// VShardOfValues is the vshard of the entries whose values are values.
func VShardOfValues(c cluster.CollectionID, values []byte) cluster.VShard {
	return vshardOfHashed(c, values)
}
