package datum

import (
	"cmp"
	"encoding/binary"
	"math"
	"strconv"
)

// Dimension is how many subscripts there are in one dimension of an array, and the first.
type Dimension struct{ Size, Lower int32 }

// Upper is the last subscript.
func (d Dimension) Upper() int32 { return d.Lower + d.Size - 1 }

const (
	maxDimensions = 6
	// maxElements bounds what an array can hold, as in PostgreSQL.
	maxElements = 1<<27 - 1
)

// Dimensions are those of an array; none without elements.
func (e *Elements) Dimensions() []Dimension {
	switch {
	case len(e.Values) == 0:
		return nil
	case len(e.Dims) == 0:
		return []Dimension{{Size: int32(len(e.Values)), Lower: 1}}
	}
	return e.Dims
}

// errTooManyElements refuses an array that PostgreSQL has not.
func errTooManyElements() error {
	return errorf(codeTooMany, "array size exceeds the maximum allowed (%d)", maxElements)
}

func tooManyDimensions(n int) error {
	return errorf(codeTooMany, "number of array dimensions (%d) exceeds the maximum allowed (%d)", n, maxDimensions)
}

// CheckDimensions is how many elements an array of some dimensions has, or why there is no
// such array.
func CheckDimensions(dims []Dimension) (int, error) {
	n, err := checkDimensions(dims)
	return int(n), err
}

func checkDimensions(dims []Dimension) (int64, error) {
	if len(dims) > maxDimensions {
		return 0, tooManyDimensions(len(dims))
	}
	n := int64(min(len(dims), 1))
	for _, d := range dims {
		if d.Size < 0 {
			return 0, errTooManyElements()
		}
		if n *= int64(d.Size); n > maxElements {
			return 0, errTooManyElements()
		}
	}
	for _, d := range dims {
		if int64(d.Lower)+int64(d.Size) > math.MaxInt32 {
			return 0, errorf(codeTooMany, "array lower bound is too large: %d", d.Lower)
		}
	}
	return n, nil
}

// appendBounds writes [1:2][0:1]= if one of the dimensions does not begin at 1.
func appendBounds(dst []byte, dims []Dimension) []byte {
	plain := true
	for _, d := range dims {
		plain = plain && d.Lower == 1
	}
	if plain {
		return dst
	}
	return append(AppendDims(dst, dims), '=')
}

// AppendDims writes dimensions as array_dims has them.
func AppendDims(dst []byte, dims []Dimension) []byte {
	for _, d := range dims {
		dst = strconv.AppendInt(append(dst, '['), int64(d.Lower), 10)
		dst = strconv.AppendInt(append(dst, ':'), int64(d.Upper()), 10)
		dst = append(dst, ']')
	}
	return dst
}

// appendNested writes the elements in brackets, those of each dimension in their own.
func (e *Elements) appendNested(dst []byte, dims []Dimension, brackets string, one func([]byte, Datum) []byte) []byte {
	if len(dims) == 0 {
		return append(dst, brackets...)
	}
	values := e.Values
	var level func(dst []byte, dims []Dimension) []byte
	level = func(dst []byte, dims []Dimension) []byte {
		dst = append(dst, brackets[0])
		for i := range dims[0].Size {
			if i > 0 {
				dst = append(dst, ',')
			}
			if len(dims) > 1 {
				dst = level(dst, dims[1:])
				continue
			}
			dst = one(dst, values[0])
			values = values[1:]
		}
		return append(dst, brackets[1])
	}
	return level(dst, dims)
}

// compareArrays orders by the elements, then by how many there are, then by the dimensions.
func compareArrays(a, b *Elements) int {
	for i := range min(len(a.Values), len(b.Values)) {
		if c := Compare(a.Values[i], b.Values[i]); c != 0 {
			return c
		}
	}
	if c := cmp.Compare(len(a.Values), len(b.Values)); c != 0 || len(a.Dims)+len(b.Dims) == 0 {
		return c
	}
	x, y := a.Dimensions(), b.Dimensions()
	if len(x) != len(y) {
		return cmp.Compare(len(x), len(y))
	}
	for i := range x {
		if x[i].Size != y[i].Size {
			return cmp.Compare(x[i].Size, y[i].Size)
		}
	}
	for i := range x {
		if x[i].Lower != y[i].Lower {
			return cmp.Compare(x[i].Lower, y[i].Lower)
		}
	}
	return 0
}

// appendDimensions writes how many there are, and of each the size and the first subscript.
func appendDimensions(dst []byte, dims []Dimension) []byte {
	dst = append(dst, byte(len(dims)))
	for _, d := range dims {
		dst = binary.AppendVarint(binary.AppendUvarint(dst, uint64(d.Size)), int64(d.Lower))
	}
	return dst
}

// takeDimensions reads what appendDimensions wrote.
func takeDimensions(b []byte) (dims []Dimension, rest []byte, ok bool) {
	if len(b) == 0 || b[0] > maxDimensions {
		return nil, nil, false
	}
	n := b[0]
	b = b[1:]
	for range n {
		size, i := binary.Uvarint(b)
		if i <= 0 || size > maxElements {
			return nil, nil, false
		}
		lower, j := binary.Varint(b[i:])
		if j <= 0 || lower != int64(int32(lower)) {
			return nil, nil, false
		}
		dims, b = append(dims, Dimension{Size: int32(size), Lower: int32(lower)}), b[i+j:]
	}
	return dims, b, true
}

// What stands in a key behind the elements of an array: of one dimension, whether that begins
// before 1, at 1 or after it; of several, how many, plus keyPlain.
const (
	keyBefore = 0x01
	keyPlain  = 0x02
	keyAfter  = 0x03
)

// appendArrayKey writes the elements, keyEnd, and the dimensions in the order of compareArrays.
func appendArrayKey(dst []byte, a *Elements) ([]byte, error) {
	var err error
	for _, v := range a.Values {
		if dst, err = AppendKey(dst, v); err != nil {
			return nil, err
		}
	}
	dst = append(dst, keyEnd)
	lower := func(i int32) { dst = binary.BigEndian.AppendUint32(dst, uint32(i)^(1<<31)) }
	switch dims := a.Dims; {
	case len(dims) == 0:
		return append(dst, keyPlain), nil
	case len(dims) == 1 && dims[0].Lower < 1:
		dst = append(dst, keyBefore)
		lower(dims[0].Lower)
		return dst, nil
	case len(dims) == 1:
		dst = append(dst, keyAfter)
		lower(dims[0].Lower)
		return dst, nil
	}
	dst = append(dst, byte(len(a.Dims))+keyPlain)
	for _, d := range a.Dims {
		dst = binary.BigEndian.AppendUint32(dst, uint32(d.Size))
	}
	for _, d := range a.Dims {
		lower(d.Lower)
	}
	return dst, nil
}

func decodeArrayKey(elem Type, b []byte) (Datum, []byte, error) {
	values := []Datum{}
	for {
		if len(b) == 0 {
			return Datum{}, nil, errKeyTruncated
		}
		if b[0] == keyEnd {
			dims, rest, err := decodeKeyDimensions(b[1:], len(values))
			if err != nil {
				return Datum{}, nil, err
			}
			return MakeArrayOf(elem, values, dims), rest, nil
		}
		v, rest, err := DecodeKey(elem, b)
		if err != nil {
			return Datum{}, nil, err
		}
		values, b = append(values, v), rest
	}
}

// decodeKeyDimensions reads the dimensions of an array of n elements.
func decodeKeyDimensions(b []byte, n int) (dims []Dimension, rest []byte, err error) {
	if len(b) == 0 {
		return nil, nil, errKeyTruncated
	}
	form := b[0]
	b = b[1:]
	count := 1
	switch {
	case form == keyPlain:
		return nil, b, nil
	case form > keyPlain+1 && form <= keyPlain+maxDimensions:
		count = int(form - keyPlain)
	case form != keyBefore && form != keyAfter:
		return nil, nil, errKeyMalformed
	}
	several := count > 1
	dims = make([]Dimension, count)
	dims[0].Size = int32(n)
	for i := range dims {
		if !several {
			break
		}
		if len(b) < 4 {
			return nil, nil, errKeyTruncated
		}
		dims[i].Size, b = int32(binary.BigEndian.Uint32(b)), b[4:]
	}
	for i := range dims {
		if len(b) < 4 {
			return nil, nil, errKeyTruncated
		}
		dims[i].Lower, b = int32(binary.BigEndian.Uint32(b)^(1<<31)), b[4:]
	}
	all, err := checkDimensions(dims)
	wrong := !several && (dims[0].Lower == 1 || (form == keyBefore) != (dims[0].Lower < 1))
	if err != nil || all != int64(n) || n == 0 || wrong {
		return nil, nil, errKeyMalformed
	}
	return dims, b, nil
}

// Plain refuses an array of several dimensions, or of one that does not begin at 1, where
// there can be none, as in the engine.
func (e *Elements) Plain() error {
	if len(e.Dims) == 0 {
		return nil
	}
	return errorf(codeNotSupported, "arrays of more than one dimension, or that do not begin at 1, are not supported in this statement")
}
