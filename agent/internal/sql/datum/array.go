package datum

import (
	"encoding/binary"
	"errors"
	"strings"
)

func appendArrayText(dst []byte, d Datum, style *Style) []byte {
	if d.Type.IsVector() {
		for i, v := range d.A.Values {
			if i > 0 {
				dst = append(dst, ' ')
			}
			dst = AppendStyled(dst, v, style)
		}
		return dst
	}
	dims := d.A.Dimensions()
	if len(d.A.Dims) > 0 {
		dst = appendBounds(dst, d.A.Dims)
	}
	return d.A.appendNested(dst, dims, "{}", func(dst []byte, v Datum) []byte {
		if v.Null {
			return append(dst, "NULL"...)
		}
		return AppendElement(dst, string(AppendStyled(nil, v, style)))
	})
}

// AppendElement appends the text of an element as arrays have it: in quotes, if it needs them.
func AppendElement(dst []byte, s string) []byte {
	if s != "" && !strings.EqualFold(s, "null") && !strings.ContainsAny(s, "{},\"\\ \t\n\r\v\f") {
		return append(dst, s...)
	}
	dst = append(dst, '"')
	for i := 0; i < len(s); i++ {
		if s[i] == '"' || s[i] == '\\' {
			dst = append(dst, '\\')
		}
		dst = append(dst, s[i])
	}
	return append(dst, '"')
}

func appendArrayBinary(dst []byte, d Datum) []byte {
	elem := d.Type.Elem()
	if len(d.A.Values) == 0 {
		dst = append(dst, 0, 0, 0, 0, 0, 0, 0, 0)
		return binary.BigEndian.AppendUint32(dst, elem.OID())
	}
	nulls := uint32(0)
	for _, v := range d.A.Values {
		if v.Null {
			nulls = 1
		}
	}
	dims := d.A.Dimensions()
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(dims)))
	dst = binary.BigEndian.AppendUint32(dst, nulls)
	dst = binary.BigEndian.AppendUint32(dst, elem.OID())
	for _, m := range dims {
		dst = binary.BigEndian.AppendUint32(dst, uint32(m.Size))
		dst = binary.BigEndian.AppendUint32(dst, uint32(m.Lower))
	}
	for _, v := range d.A.Values {
		dst = appendSized(dst, v)
	}
	return dst
}

// appendSized writes the length of a value, or -1 of a null, and the value.
func appendSized(dst []byte, v Datum) []byte {
	if v.Null {
		return append(dst, 0xff, 0xff, 0xff, 0xff)
	}
	mark := len(dst)
	dst = AppendBinary(append(dst, 0, 0, 0, 0), v)
	binary.BigEndian.PutUint32(dst[mark:], uint32(len(dst)-mark-4))
	return dst
}

func parseArrayBinary(t Type, b []byte) (Datum, error) {
	const header, word, perDimension = 12, 4, 8
	if len(b) < word {
		return Datum{}, tooShort()
	}
	count := int(int32(binary.BigEndian.Uint32(b)))
	switch {
	case count < 0:
		return Datum{}, errorf(codeInvalidBinary, "invalid number of dimensions: %d", count)
	case count > maxDimensions:
		return Datum{}, tooManyDimensions(count)
	case len(b) < 2*word:
		return Datum{}, tooShort()
	case binary.BigEndian.Uint32(b[word:]) > 1:
		return Datum{}, errorf(codeInvalidBinary, "invalid array flags")
	case len(b) < header:
		return Datum{}, tooShort()
	}
	if oid, want := binary.BigEndian.Uint32(b[2*word:]), t.Elem(); otherType(oid, want) {
		return Datum{}, errorf(codeOtherType, "binary data has array element type %d (%s) instead of expected %d (%s)", oid, nameOfOID(oid), want.OID(), want.SQLName())
	}
	if len(b) < header+perDimension*count {
		return Datum{}, tooShort()
	}
	dims := make([]Dimension, count)
	for i := range dims {
		at := b[header+perDimension*i:]
		dims[i] = Dimension{Size: int32(binary.BigEndian.Uint32(at)), Lower: int32(binary.BigEndian.Uint32(at[word:]))}
	}
	n, err := checkDimensions(dims)
	if err != nil {
		return Datum{}, err
	}
	values, err := parseElementsBinary(t.Elem(), n, b[header+perDimension*count:])
	if err != nil {
		return Datum{}, err
	}
	return MakeArrayOf(t.Elem(), values, dims), nil
}

// parseElementsBinary reads n elements of an array.
func parseElementsBinary(t Type, n int64, b []byte) ([]Datum, error) {
	const word = 4
	values := make([]Datum, 0, min(n, int64(len(b)/word)))
	for i := range n {
		if len(b) < word {
			return nil, tooShort()
		}
		size := int32(binary.BigEndian.Uint32(b))
		b = b[word:]
		if size == -1 {
			values = append(values, MakeNull(t))
			continue
		}
		if size < 0 || int(size) > len(b) {
			return nil, errorf(codeInvalidBinary, "insufficient data left in message")
		}
		v, err := ParseBinary(t, b[:size])
		if errors.Is(err, ErrSurplus) {
			return nil, errorf(codeInvalidBinary, "improper binary format in array element %d", i+1)
		}
		if err != nil {
			return nil, err
		}
		values, b = append(values, v), b[size:]
	}
	if len(b) != 0 {
		return nil, ErrSurplus
	}
	return values, nil
}

// otherType reports whether a binary value is told to be of another type than is wanted: those
// that users make may be other ones of the same form, as for PostgreSQL.
func otherType(oid uint32, want Type) bool {
	const firstMade = 16384
	return oid != want.OID() && oid < firstMade && want.OID() < firstMade
}

// nameOfOID is what PostgreSQL calls a type in errors.
func nameOfOID(oid uint32) string {
	if t, ok := TypeByOID(oid); ok {
		return t.SQLName()
	}
	return "???"
}
