package datum

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// CompositeType is a form of a composite type, or of the type of a table's rows: each change
// of one makes another.
type CompositeType struct {
	ID            cluster.ObjectID // of the type, or of the table
	OID, ArrayOID uint32
	Name          string // as messages say it
	Fields        []Field
	// Next is the next id of a field: those that are not below it are of later forms.
	Next cluster.ColumnID
	// Rows says that it is the type of the rows of a table or a view.
	Rows bool
}

// Field is one of a composite type.
type Field struct {
	ID       cluster.ColumnID
	Name     string
	Type     Type
	Modifier int32
}

// compositeForms are the forms of composite types that the process has met, as enumForms.
var compositeForms struct { //nolint:gochecknoglobals // as enumForms
	sync.RWMutex
	list    []*CompositeType
	numbers map[string]Type
}

// TypeOfComposite returns the type of the values of a form of a composite type: the same for
// the same form.
func TypeOfComposite(c CompositeType) Type {
	text, _ := json.Marshal(c) // of texts and numbers: cannot fail
	compositeForms.Lock()
	defer compositeForms.Unlock()
	if t, ok := compositeForms.numbers[string(text)]; ok {
		return t
	}
	if compositeForms.numbers == nil {
		compositeForms.numbers = map[string]Type{}
	}
	t := Composite | Type(len(compositeForms.list))<<enumShift //nolint:gosec // few
	c.Fields = slices.Clone(c.Fields)
	compositeForms.list = append(compositeForms.list, &c)
	compositeForms.numbers[string(text)] = t
	return t
}

// IsComposite reports whether t is a composite type.
func (t Type) IsComposite() bool { return t&(1<<enumShift-1) == Composite }

// CompositeType returns the form of the composite type that t, or its elements, are of:
// without fields if nobody has made it.
func (t Type) CompositeType() *CompositeType {
	compositeForms.RLock()
	defer compositeForms.RUnlock()
	if n := int(t.Elem() >> enumShift); n < len(compositeForms.list) {
		return compositeForms.list[n]
	}
	return &CompositeType{Name: "of no form"}
}

// Field is the place of a field, -1 if there is none of the name.
func (c *CompositeType) Field(name string) int {
	return slices.IndexFunc(c.Fields, func(f Field) bool { return f.Name == name })
}

// MakeComposite makes a value of its fields; the caller gives them away.
func MakeComposite(t Type, fields []Datum) Datum {
	return Datum{Type: t, A: &Elements{Values: fields}}
}

// IsRow reports whether d is a row: of a composite type, or a record.
func (d *Datum) IsRow() bool { return d.Type == Record || d.Type.IsComposite() }

// RowIs reports whether a value is null by the rule of rows: IS NULL if all fields are null,
// IS NOT NULL if none is.
func RowIs(d Datum, null bool) bool {
	if d.Null || !d.IsRow() {
		return d.Null == null
	}
	return !slices.ContainsFunc(d.A.Values, func(v Datum) bool { return v.Null != null })
}

// compareFields orders rows by their fields.
func compareFields(a, b *Elements) int {
	for i := range min(len(a.Values), len(b.Values)) {
		if c := Compare(a.Values[i], b.Values[i]); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(a.Values), len(b.Values))
}

// Comparable reports whether values of t, or of all its fields, have an order; exact says
// that equal ones are the same.
func (t Type) Comparable() (is, exact bool) {
	switch {
	case !t.Elem().IsComposite():
		return t.Ordered(), KeyExact(t)
	case t.IsArray(): // whose dimensions the key has not
		is, _ = t.Elem().Comparable()
		return is, false
	}
	is, exact = true, true
	for _, f := range t.CompositeType().Fields {
		i, e := f.Type.Comparable()
		is, exact = is && i, exact && e
	}
	return is, exact
}

// malformed is a text that is no row.
func malformed(s, detail string) *Error {
	err := errorf(codeInvalidText, "malformed record literal: %q", clip(s))
	err.Detail = detail
	return err
}

const blanks = " \t\n\r\v\f"

// parseComposite reads (1,"a b",).
func (r *Reading) parseComposite(t Type, s string) (Datum, error) {
	form := t.CompositeType()
	rest := strings.TrimLeft(s, blanks)
	if !strings.HasPrefix(rest, "(") {
		return Datum{}, malformed(s, "Missing left parenthesis.")
	}
	rest = rest[1:]
	values := make([]Datum, len(form.Fields))
	for i, f := range form.Fields {
		if i > 0 {
			if !strings.HasPrefix(rest, ",") {
				return Datum{}, malformed(s, "Too few columns.")
			}
			rest = rest[1:]
		}
		values[i] = MakeNull(f.Type)
		if rest != "" && (rest[0] == ',' || rest[0] == ')') {
			continue
		}
		text, n := scanField(rest)
		if n < 0 {
			return Datum{}, malformed(s, "Unexpected end of input.")
		}
		rest = rest[n:]
		v, err := r.Parse(f.Type, text)
		if err == nil {
			v, err = ApplyModifier(v, f.Modifier, false)
		}
		if err != nil {
			return Datum{}, err
		}
		values[i] = v
	}
	if !strings.HasPrefix(rest, ")") {
		return Datum{}, malformed(s, "Too many columns.")
	}
	if strings.TrimLeft(rest[1:], blanks) != "" {
		return Datum{}, malformed(s, "Junk after right parenthesis.")
	}
	return MakeComposite(t, values), nil
}

// scanField reads the text of a field, which n bytes have, -1: it does not end.
func scanField(s string) (text string, n int) {
	var b strings.Builder
	quoted := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case !quoted && (c == ',' || c == ')'):
			return b.String(), i
		case c == '\\':
			if i++; i == len(s) {
				return "", -1
			}
			b.WriteByte(s[i])
		case c == '"' && quoted && i+1 < len(s) && s[i+1] == '"':
			b.WriteByte('"')
			i++
		case c == '"':
			quoted = !quoted
		default:
			b.WriteByte(c)
		}
	}
	return "", -1
}

// parseCompositeBinary reads what appendRecordBinary writes.
func parseCompositeBinary(t Type, b []byte) (Datum, error) {
	form := t.CompositeType()
	short := tooShort()
	const word = 4
	if len(b) < word {
		return Datum{}, short
	}
	if n := int(int32(binary.BigEndian.Uint32(b))); n != len(form.Fields) {
		return Datum{}, errorf("42804", "wrong number of columns: %d, expected %d", n, len(form.Fields))
	}
	b = b[word:]
	values := make([]Datum, len(form.Fields))
	for i, f := range form.Fields {
		if len(b) < 2*word {
			return Datum{}, short
		}
		oid, size := binary.BigEndian.Uint32(b), int(int32(binary.BigEndian.Uint32(b[word:])))
		b = b[2*word:]
		if otherType(oid, f.Type) {
			return Datum{}, errorf(codeOtherType, "binary data has type %d (%s) instead of expected %d (%s) in record column %d", oid, nameOfOID(oid), f.Type.OID(), f.Type.SQLName(), i+1)
		}
		if values[i] = MakeNull(f.Type); size == -1 {
			continue
		}
		if size < 0 || size > len(b) {
			return Datum{}, short
		}
		v, err := ParseBinary(f.Type, b[:size])
		if errors.Is(err, ErrSurplus) {
			return Datum{}, errorf(codeInvalidBinary, "improper binary format in record column %d", i+1)
		}
		if err == nil {
			v, err = ApplyModifier(v, f.Modifier, false)
		}
		if err != nil {
			return Datum{}, err
		}
		values[i], b = v, b[size:]
	}
	if len(b) > 0 {
		return Datum{}, ErrSurplus
	}
	return MakeComposite(t, values), nil
}

// appendComposite writes the fields as the columns of a row.
func appendComposite(dst []byte, d Datum) []byte {
	form := d.Type.CompositeType()
	ids := make([]cluster.ColumnID, len(form.Fields))
	values := make([]Datum, len(form.Fields))
	order := form.byID()
	for i, at := range order {
		ids[i], values[i] = form.Fields[at].ID, d.A.Values[at]
	}
	row := AppendRow(nil, ids, values)
	dst = binary.AppendUvarint(append(dst, tagRow), uint64(len(row)))
	return append(dst, row...)
}

// byID are the places of the fields in the order of their ids.
func (c *CompositeType) byID() []int {
	out := make([]int, len(c.Fields))
	for i := range out {
		out[i] = i
	}
	slices.SortFunc(out, func(a, b int) int { return cmp.Compare(c.Fields[a].ID, c.Fields[b].ID) })
	return out
}

// decodeComposite reads what appendComposite has written, of this form or an earlier one.
func decodeComposite(t Type, row []byte) (Datum, error) {
	form := t.CompositeType()
	values := make([]Datum, len(form.Fields))
	want := make([]RowColumn, len(form.Fields))
	for i, at := range form.byID() {
		f := &form.Fields[at]
		want[i], values[at] = RowColumn{ID: f.ID, Type: f.Type, Index: at}, MakeNull(f.Type)
	}
	if later, err := TakeLater(row, form.Next); err != nil {
		return Datum{}, err
	} else if later.first != 0 {
		return Datum{}, errorf(codeWider, "could not serialize access: a row holds a value of type %s with an attribute that it has got meanwhile", form.Name)
	}
	if err := DecodeRow(row, want, values); err != nil {
		return Datum{}, err
	}
	return MakeComposite(t, values), nil
}

// appendCompositeKey writes the fields so that bytes have the order of rows.
func appendCompositeKey(dst []byte, d Datum) ([]byte, error) {
	var err error
	for _, v := range d.A.Values {
		switch {
		case v.Null:
			dst = append(dst, keyNull)
		case v.Type.IsComposite():
			dst, err = appendCompositeKey(append(dst, keyValue), v)
		case v.Type.IsArray() && v.Type.Elem().IsComposite():
			dst = append(dst, keyValue)
			for _, e := range v.A.Values {
				if e.Null {
					dst = append(dst, keyNull)
				} else if dst, err = appendCompositeKey(append(dst, keyValue), e); err != nil {
					return nil, err
				}
			}
			dst = append(dst, keyEnd)
		default:
			dst, err = AppendKey(dst, v)
		}
		if err != nil {
			return nil, err
		}
	}
	return dst, nil
}

// CompositeKey is a value as bytes, which the slow path has: of types that are compared they
// have the order of the values, and behind it is the value.
func CompositeKey(d Datum) string {
	var key []byte
	if is, _ := d.Type.Comparable(); is {
		key, _ = appendCompositeKey(nil, d) // all fields have an order
	}
	value := EncodeStored(d)
	return string(binary.BigEndian.AppendUint32(append(key, value...), uint32(len(value))))
}

// CompositeOfKey is the other way round.
func CompositeOfKey(t Type, key string) (Datum, error) {
	const word = 4
	if len(key) < word {
		return Datum{}, errKeyMalformed
	}
	body := key[:len(key)-word]
	n := int(binary.BigEndian.Uint32([]byte(key[len(body):])))
	if n < 1 || n > len(body) {
		return Datum{}, errKeyMalformed
	}
	return DecodeStored(t, []byte(body[len(body)-n:]))
}
