package datum

import "bytes"

// Direction is how a column of an index is ordered.
type Direction struct{ Descending, NullsFirst bool }

// keyNullFirst is a null before all values; keyNull is one after them. A descending value
// is the complement of an ascending one, and begins with neither.
const keyNullFirst = 0x01

// AppendIndexKey appends an encoding of d that is ordered as dir says, and prefix-free.
func AppendIndexKey(dst []byte, d Datum, dir Direction) ([]byte, error) {
	if d.Null {
		return append(dst, nullByte(dir)), nil
	}
	from := len(dst)
	dst, err := AppendKey(dst, d)
	if err == nil && dir.Descending {
		complement(dst[from:])
	}
	return dst, err
}

// DecodeIndexKey reads one value of type t from the front of b, as DecodeKey does.
func DecodeIndexKey(t Type, b []byte, dir Direction) (d Datum, rest []byte, err error) {
	switch {
	case len(b) == 0:
		return Datum{}, nil, errKeyTruncated
	case b[0] == keyNullFirst || b[0] == keyNull:
		return MakeNull(t), b[1:], nil
	case !dir.Descending:
		return DecodeKey(t, b)
	}
	up := bytes.Clone(b)
	complement(up)
	d, rest, err = DecodeKey(t, up)
	return d, b[len(b)-len(rest):], err
}

// ValueByte is the first byte of each value that is not null.
func (dir Direction) ValueByte() byte {
	if dir.Descending {
		return keyValue ^ 0xff
	}
	return keyValue
}

func nullByte(dir Direction) byte {
	if dir.NullsFirst {
		return keyNullFirst
	}
	return keyNull
}

func complement(b []byte) {
	for i := range b {
		b[i] = ^b[i]
	}
}
