package datum

import (
	"encoding/binary"
	"strings"
	"time"
)

func appendArrayText(dst []byte, d Datum, style *Style) []byte {
	dst = append(dst, '{')
	for i, v := range d.A.Values {
		if i > 0 {
			dst = append(dst, ',')
		}
		if v.Null {
			dst = append(dst, "NULL"...)
			continue
		}
		s := string(AppendStyled(nil, v, style))
		if s != "" && !strings.EqualFold(s, "null") && !strings.ContainsAny(s, "{},\"\\ \t\n\r\v\f") {
			dst = append(dst, s...)
			continue
		}
		dst = append(dst, '"')
		for i := 0; i < len(s); i++ {
			if s[i] == '"' || s[i] == '\\' {
				dst = append(dst, '\\')
			}
			dst = append(dst, s[i])
		}
		dst = append(dst, '"')
	}
	return append(dst, '}')
}

// parseArrayText reads a one-dimensional array literal.
func parseArrayText(t Type, s string, loc *time.Location) (Datum, error) {
	bad := errorf(codeInvalidText, "malformed array literal: %q", clip(s))
	text := strings.TrimSpace(s)
	if len(text) < 2 || text[0] != '{' || text[len(text)-1] != '}' {
		return Datum{}, bad
	}
	text = text[1 : len(text)-1]
	values := []Datum{}
	if strings.TrimSpace(text) == "" {
		return MakeArray(t.Elem(), values), nil
	}
	for {
		elem, quoted, rest, ok := scanElement(text)
		if !ok {
			return Datum{}, bad
		}
		if !quoted && strings.EqualFold(elem, "null") {
			values = append(values, MakeNull(t.Elem()))
		} else {
			v, err := ParseText(t.Elem(), elem, loc)
			if err != nil {
				return Datum{}, err
			}
			values = append(values, v)
		}
		if rest == "" {
			return MakeArray(t.Elem(), values), nil
		}
		text = rest[1:] // the comma
	}
}

// scanElement reads one element; rest begins with a comma or is empty.
func scanElement(s string) (elem string, quoted bool, rest string, ok bool) {
	s = strings.TrimLeft(s, " \t\n\r\v\f")
	var b strings.Builder
	if strings.HasPrefix(s, `"`) {
		for i := 1; i < len(s); i++ {
			switch s[i] {
			case '\\':
				if i++; i == len(s) {
					return "", false, "", false
				}
				b.WriteByte(s[i])
			case '"':
				rest = strings.TrimLeft(s[i+1:], " \t\n\r\v\f")
				return b.String(), true, rest, rest == "" || rest[0] == ','
			default:
				b.WriteByte(s[i])
			}
		}
		return "", false, "", false
	}
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '{', '}', '"':
			return "", false, "", false
		case ',':
			elem = strings.TrimSpace(b.String())
			return elem, false, s[i:], elem != ""
		case '\\':
			if i++; i == len(s) {
				return "", false, "", false
			}
		}
		b.WriteByte(s[i])
	}
	elem = strings.TrimSpace(b.String())
	return elem, false, "", elem != ""
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
	dst = binary.BigEndian.AppendUint32(dst, 1)
	dst = binary.BigEndian.AppendUint32(dst, nulls)
	dst = binary.BigEndian.AppendUint32(dst, elem.OID())
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(d.A.Values)))
	dst = binary.BigEndian.AppendUint32(dst, 1)
	for _, v := range d.A.Values {
		if v.Null {
			dst = append(dst, 0xff, 0xff, 0xff, 0xff)
			continue
		}
		mark := len(dst)
		dst = AppendBinary(append(dst, 0, 0, 0, 0), v)
		binary.BigEndian.PutUint32(dst[mark:], uint32(len(dst)-mark-4))
	}
	return dst
}

func parseArrayBinary(t Type, b []byte) (Datum, error) {
	bad := errorf(codeInvalidBinary, "invalid binary value of type %s", t)
	if len(b) < 12 {
		return Datum{}, bad
	}
	dims, oid := binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[8:])
	if dims == 0 && len(b) == 12 {
		return MakeArray(t.Elem(), []Datum{}), nil
	}
	if dims > 1 {
		return Datum{}, errorf(codeNotSupported, "arrays of more than one dimension are not supported")
	}
	if elem, ok := TypeByOID(oid); dims != 1 || len(b) < 20 || !ok || elem != t.Elem() && !(elem.IsString() && t.Elem().IsString()) {
		return Datum{}, bad
	}
	n := int64(binary.BigEndian.Uint32(b[12:]))
	b = b[20:]
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
	return MakeArray(t.Elem(), values), nil
}
