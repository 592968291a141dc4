package datum

import "encoding/binary"

// The first byte of a jsonb value in a key: by kind, in PostgreSQL's order. An empty array
// that is all of the value comes before scalars.
const (
	keyJSONEmpty  = 0x01
	keyJSONNull   = 0x02
	keyJSONString = 0x03
	keyJSONNumber = 0x04
	keyJSONFalse  = 0x05
	keyJSONTrue   = 0x06
	keyJSONArray  = 0x07
	keyJSONObject = 0x08
)

// appendJSONKey appends an encoding that is ordered as CompareJSON orders values.
func appendJSONKey(dst []byte, j string) []byte {
	if j == "[]" {
		return append(dst, keyJSONEmpty)
	}
	return appendNestedJSONKey(dst, j)
}

func appendNestedJSONKey(dst []byte, j string) []byte {
	switch KindOfJSON(j) {
	case JSONNull:
		return append(dst, keyJSONNull)
	case JSONString:
		return appendKeyString(append(dst, keyJSONString), JSONText(j))
	case JSONNumber:
		return appendNumericKey(append(dst, keyJSONNumber), jsonNumber(j).D)
	case JSONBool:
		if j == "false" {
			return append(dst, keyJSONFalse)
		}
		return append(dst, keyJSONTrue)
	case JSONArray:
		dst = binary.BigEndian.AppendUint32(append(dst, keyJSONArray), uint32(JSONLength(j)))
		for e := range JSONElements(j) {
			dst = appendNestedJSONKey(dst, e)
		}
		return dst
	default:
		dst = binary.BigEndian.AppendUint32(append(dst, keyJSONObject), uint32(JSONLength(j)))
		for key, value := range JSONFields(j) {
			dst = appendNestedJSONKey(appendKeyString(dst, JSONText(key)), value)
		}
		return dst
	}
}

// decodeJSONKey reads what appendJSONKey wrote. Numbers come back with the smallest scale
// that shows them.
func decodeJSONKey(b []byte) (Datum, []byte, error) {
	if len(b) > 0 && b[0] == keyJSONEmpty {
		return MakeString(JSONB, "[]"), b[1:], nil
	}
	out, rest, err := decodeNestedJSONKey(nil, b, 0)
	return MakeString(JSONB, string(out)), rest, err
}

func decodeNestedJSONKey(dst, b []byte, depth int) (out, rest []byte, err error) {
	if len(b) == 0 {
		return nil, nil, errKeyTruncated
	}
	if depth > maxJSONDepth {
		return nil, nil, errKeyMalformed
	}
	kind := b[0]
	b = b[1:]
	switch kind {
	case keyJSONNull:
		return append(dst, "null"...), b, nil
	case keyJSONFalse:
		return append(dst, "false"...), b, nil
	case keyJSONTrue:
		return append(dst, "true"...), b, nil
	case keyJSONString:
		s, rest, err := decodeKeyString(b)
		return appendJSONString(dst, s), rest, err
	case keyJSONNumber:
		d, rest, err := decodeNumericKey(b)
		if err != nil {
			return nil, nil, err
		}
		if numericRank(d.D) != 0 {
			return nil, nil, errKeyMalformed
		}
		return appendNumeric(dst, d.D), rest, nil
	case keyJSONArray, keyJSONObject:
		return decodeJSONItems(dst, b, depth, kind == keyJSONObject)
	default:
		return nil, nil, errKeyMalformed
	}
}

func decodeJSONItems(dst, b []byte, depth int, object bool) (out, rest []byte, err error) {
	if len(b) < 4 {
		return nil, nil, errKeyTruncated
	}
	n := binary.BigEndian.Uint32(b)
	b = b[4:]
	if uint64(n) > uint64(len(b)) {
		return nil, nil, errKeyTruncated
	}
	opening, closing := byte('['), byte(']')
	if object {
		opening, closing = '{', '}'
	}
	dst = append(dst, opening)
	for i := range n {
		if i > 0 {
			dst = append(dst, ", "...)
		}
		if object {
			var key string
			if key, b, err = decodeKeyString(b); err != nil {
				return nil, nil, err
			}
			dst = append(appendJSONString(dst, key), ": "...)
		}
		if dst, b, err = decodeNestedJSONKey(dst, b, depth+1); err != nil {
			return nil, nil, err
		}
	}
	return append(dst, closing), b, nil
}
