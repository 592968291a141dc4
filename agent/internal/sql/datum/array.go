package datum

import (
	"encoding/binary"
	"strconv"
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
	dst = append(dst, '{')
	for i, v := range d.A.Values {
		if i > 0 {
			dst = append(dst, ',')
		}
		if v.Null {
			dst = append(dst, "NULL"...)
			continue
		}
		dst = AppendElement(dst, string(AppendStyled(nil, v, style)))
	}
	return append(dst, '}')
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

// errDimensions refuses an array that PostgreSQL has and this package has not.
func errDimensions() *Error {
	return errorf(codeNotSupported, "arrays of more than one dimension, or that do not begin at 1, are not supported")
}

// parseBounds reads the [1:3]= in front of an array; n is -1 without.
func parseBounds(s string) (rest string, n int, err error) {
	if !strings.HasPrefix(s, "[") {
		return s, -1, nil
	}
	bounds, rest, ok := strings.Cut(s, "=")
	bounds = strings.TrimSpace(bounds)
	lower, upper, two := strings.Cut(strings.TrimPrefix(strings.TrimSuffix(bounds, "]"), "["), ":")
	if !ok || !strings.HasSuffix(bounds, "]") {
		return "", 0, errorf(codeInvalidText, "malformed array literal: %q", clip(s))
	}
	n, bad := strconv.Atoi(upper)
	if !two || lower != "1" || bad != nil {
		return "", 0, errDimensions()
	}
	return strings.TrimSpace(rest), n, nil
}

// nested reports whether the braces of s, which has some within, are in pairs.
func nested(s string) bool {
	depth, quoted := 0, false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{':
			depth++
		case c == '}':
			if depth--; depth < 0 {
				return false
			}
		}
	}
	return depth == 0 && !quoted
}

// parseArrayText reads a one-dimensional array literal.
func (r *Reading) parseArrayText(t Type, s string) (Datum, error) {
	bad := errorf(codeInvalidText, "malformed array literal: %q", clip(s))
	text, count, err := parseBounds(strings.TrimSpace(s))
	if err != nil {
		return Datum{}, err
	}
	if !strings.HasPrefix(text, "{") && count < 0 {
		bad.Detail = `Array value must start with "{" or dimension information.`
	}
	if len(text) < 2 || text[0] != '{' || text[len(text)-1] != '}' {
		return Datum{}, bad
	}
	text = text[1 : len(text)-1]
	if strings.HasPrefix(strings.TrimSpace(text), "{") && nested(text) {
		return Datum{}, errDimensions()
	}
	values := []Datum{}
	if strings.TrimSpace(text) == "" && count < 0 {
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
			v, err := r.Parse(t.Elem(), elem)
			if err != nil {
				return Datum{}, err
			}
			values = append(values, v)
		}
		if rest == "" {
			if count >= 0 && count != len(values) {
				return Datum{}, bad
			}
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
	dims, oid := binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[8:])
	if dims == 0 && len(b) == 12 {
		return MakeArray(t.Elem(), []Datum{}), nil
	}
	if dims > 1 {
		return Datum{}, errDimensions()
	}
	elem, ok := TypeByOID(oid)
	if oid == t.Elem().OID() { // also of an enum
		elem, ok = t.Elem(), true
	}
	if dims != 1 || len(b) < 20 || !ok || elem != t.Elem() && !(elem.IsString() && t.Elem().IsString()) {
		return Datum{}, bad
	}
	if binary.BigEndian.Uint32(b[16:]) != 1 {
		return Datum{}, errDimensions()
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
