package datum

import (
	"encoding/binary"
	"strings"
)

// MakeRecord makes a row as a value. of is the OID of the type of a table's rows, 0: it is
// a record.
func MakeRecord(of uint32, fields []Datum) Datum {
	return Datum{Type: Record, I: int64(of), A: &Elements{Values: fields}}
}

// TypeOID is the OID of the type of a value: that of a row is known by the row alone.
func (d *Datum) TypeOID() uint32 {
	if d.Type == Record && d.I != 0 {
		return uint32(d.I)
	}
	return d.Type.OID()
}

// appendRecordText writes (1,"a b",): nothing is null.
func appendRecordText(dst []byte, d Datum, style *Style) []byte {
	dst = append(dst, '(')
	for i, v := range d.A.Values {
		if i > 0 {
			dst = append(dst, ',')
		}
		if !v.Null {
			dst = appendField(dst, string(AppendStyled(nil, v, style)))
		}
	}
	return append(dst, ')')
}

// appendField appends the text of a field: in quotes, if it needs them.
func appendField(dst []byte, s string) []byte {
	if s != "" && !strings.ContainsAny(s, "(),\"\\ \t\n\r\v\f") {
		return append(dst, s...)
	}
	dst = append(dst, '"')
	for i := 0; i < len(s); i++ {
		if s[i] == '"' || s[i] == '\\' {
			dst = append(dst, s[i])
		}
		dst = append(dst, s[i])
	}
	return append(dst, '"')
}

// appendRecordBinary writes the number of fields, and the type, length and value of each.
func appendRecordBinary(dst []byte, d Datum) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(d.A.Values)))
	for _, v := range d.A.Values {
		dst = binary.BigEndian.AppendUint32(dst, v.TypeOID())
		dst = appendSized(dst, v)
	}
	return dst
}
