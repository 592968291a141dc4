package datum

import (
	"encoding/binary"
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
	bad := errorf(codeInvalidBinary, "invalid binary value of type %s", t)
	if len(b) < 12 {
		return Datum{}, bad
	}
	count, oid := binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[8:])
	if count > maxDimensions {
		return Datum{}, tooManyDimensions(int(count))
	}
	elem, ok := TypeByOID(oid)
	if oid == t.Elem().OID() { // also of an enum
		elem, ok = t.Elem(), true
	}
	if len(b) < 12+8*int(count) || count > 0 && (!ok || elem != t.Elem() && !(elem.IsString() && t.Elem().IsString())) {
		return Datum{}, bad
	}
	dims := make([]Dimension, count)
	for i := range dims {
		at := b[12+8*i:]
		dims[i] = Dimension{Size: int32(binary.BigEndian.Uint32(at)), Lower: int32(binary.BigEndian.Uint32(at[4:]))}
	}
	n, err := checkDimensions(dims)
	if err != nil {
		return Datum{}, err
	}
	b = b[12+8*count:]
	if n*4 > int64(len(b)) {
		return Datum{}, bad
	}
	values := make([]Datum, 0, n)
	for range n {
		if len(b) < 4 {
			return Datum{}, bad
		}
		size := int32(binary.BigEndian.Uint32(b))
		b = b[4:]
		if size == -1 {
			values = append(values, MakeNull(t.Elem()))
			continue
		}
		if size < 0 || int(size) > len(b) {
			return Datum{}, bad
		}
		v, err := ParseBinary(t.Elem(), b[:size])
		if err != nil {
			return Datum{}, err
		}
		values, b = append(values, v), b[size:]
	}
	if len(b) != 0 {
		return Datum{}, bad
	}
	return MakeArrayOf(t.Elem(), values, dims), nil
}
