package datum

import (
	"bytes"
	"encoding/binary"
	"math"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// Later are the columns of an encoded row that its reader does not know because they were
// added since: who writes the row anew keeps them. The zero value has none.
type Later struct {
	first cluster.ColumnID
	rest  []byte // from the tag of the first on
}

// TakeLater returns the columns of a row from the id on.
func TakeLater(row []byte, from cluster.ColumnID) (Later, error) {
	if len(row) == 0 || row[0] != RowVersion {
		return Later{}, errRow()
	}
	id := uint64(0)
	for b := row[1:]; len(b) > 0; {
		delta, n := binary.Uvarint(b)
		if n <= 0 || delta > math.MaxUint32 {
			return Later{}, errRow()
		}
		if id += delta; id >= uint64(from) {
			return Later{first: cluster.ColumnID(id), rest: bytes.Clone(b[n:])}, nil
		}
		_, rest, err := splitValue(b[n:])
		if err != nil {
			return Later{}, err
		}
		b = rest
	}
	return Later{}, nil
}

// AppendLater appends columns to a row whose last column is last, 0 if it has none.
func AppendLater(dst []byte, last cluster.ColumnID, l Later) []byte {
	if l.first == 0 {
		return dst
	}
	return append(binary.AppendUvarint(dst, uint64(l.first-last)), l.rest...)
}

// EncodeStored encodes one value as rows hold it.
func EncodeStored(d Datum) []byte { return appendValue(nil, d) }

// AppendStoredInt is EncodeStored of an integer, at the end of dst.
func AppendStoredInt(dst []byte, i int64) []byte { return binary.AppendVarint(append(dst, tagInt), i) }

// DecodeStored reads what EncodeStored has made, as a t.
func DecodeStored(t Type, b []byte) (Datum, error) {
	v, rest, err := TakeStored(t, b)
	if err != nil || len(rest) > 0 {
		return Datum{}, errRow()
	}
	return v, nil
}

// TakeStored reads the first of what EncodeStored has made, and returns what is behind it.
func TakeStored(t Type, b []byte) (v Datum, rest []byte, err error) {
	value, rest, err := splitValue(b)
	if err != nil {
		return Datum{}, nil, errRow()
	}
	v, err = decodeValue(t, value)
	return v, rest, err
}
