package datum

import (
	"strconv"
	"strings"
)

// NoObject is the number of an object whose name nobody has looked up: S has the name.
const NoObject = -1

// parseRegistry reads the number of an object, or its name, which the catalogs know.
func parseRegistry(t Type, s string) (Datum, error) {
	switch {
	case s == "-":
		return MakeInt(t, 0), nil
	case s != "" && strings.Trim(s, "0123456789") == "":
		d, err := parseInt(OID, s)
		d.Type = t
		return d, err
	}
	return Datum{Type: t, I: NoObject, S: s}, nil
}

// appendRegistry shows an object by its name (S), or its number if it has none.
func appendRegistry(dst []byte, d Datum) []byte {
	switch {
	case d.S != "":
		return append(dst, d.S...)
	case d.I == 0:
		return append(dst, '-')
	}
	return strconv.AppendInt(dst, d.I, 10)
}

// parseVector reads 1 2 3.
func parseVector(t Type, s string) (Datum, error) {
	var values []Datum
	for field := range strings.FieldsSeq(s) {
		v, err := parseInt(t.Elem(), field)
		if err != nil {
			return Datum{}, err
		}
		values = append(values, v)
	}
	d := MakeArray(t.Elem(), values)
	d.Type = t
	return d, nil
}
