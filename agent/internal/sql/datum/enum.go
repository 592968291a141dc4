package datum

import (
	"encoding/binary"
	"encoding/json"
	"slices"
	"sync"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// EnumType is a form of an enum: each change of one makes another.
type EnumType struct {
	ID            cluster.ObjectID
	OID, ArrayOID uint32
	Name          string // as messages say it
	// Labels are in their order.
	Labels []cluster.EnumLabel
}

// Label finds a label by its name.
func (e *EnumType) Label(name string) (cluster.EnumLabel, bool) {
	return e.find(func(l cluster.EnumLabel) bool { return l.Name == name })
}

func (e *EnumType) find(is func(cluster.EnumLabel) bool) (cluster.EnumLabel, bool) {
	if i := slices.IndexFunc(e.Labels, is); i >= 0 {
		return e.Labels[i], true
	}
	return cluster.EnumLabel{}, false
}

// enumShift is where a Type has the number of a form of an enum.
const enumShift = 8

// enumForms are the forms of enums that the process has met. Types carry numbers of them,
// so that a value's type alone says how it is read, shown and compared. A form is never
// forgotten: there are as many as changes of enums.
var enumForms struct { //nolint:gochecknoglobals // see above
	sync.RWMutex
	list    []*EnumType
	numbers map[string]Type
}

// TypeOfEnum returns the type of the values of a form of an enum: the same for the same
// form.
func TypeOfEnum(e EnumType) Type {
	text, _ := json.Marshal(e) // of texts and numbers: cannot fail
	enumForms.Lock()
	defer enumForms.Unlock()
	if t, ok := enumForms.numbers[string(text)]; ok {
		return t
	}
	if enumForms.numbers == nil {
		enumForms.numbers = map[string]Type{}
	}
	t := Enum | Type(len(enumForms.list))<<enumShift //nolint:gosec // few
	enumForms.list = append(enumForms.list, &e)
	enumForms.numbers[string(text)] = t
	return t
}

// IsEnum reports whether t is the type of an enum.
func (t Type) IsEnum() bool { return t&(1<<enumShift-1) == Enum }

// EnumType returns the form of the enum that t, or its elements, are of: without labels if
// nobody has made it.
func (t Type) EnumType() *EnumType {
	enumForms.RLock()
	defer enumForms.RUnlock()
	if n := int(t.Elem() >> enumShift); n < len(enumForms.list) {
		return enumForms.list[n]
	}
	return &EnumType{Name: "of no form"}
}

// makeEnum returns the value of a label.
func makeEnum(t Type, l cluster.EnumLabel) Datum {
	return Datum{Type: t, I: int64(l.ID), F: l.Order, S: l.Name}
}

func parseEnum(t Type, s string) (Datum, error) {
	e := t.EnumType()
	l, ok := e.Label(s)
	if !ok {
		return Datum{}, errorf(codeInvalidText, "invalid input value for enum %s: %q", e.Name, s)
	}
	return makeEnum(t, l), nil
}

// enumOf reads the id of a label that a row holds.
func enumOf(t Type, id int64) (Datum, error) {
	e := t.EnumType()
	l, ok := e.find(func(l cluster.EnumLabel) bool { return int64(l.ID) == id })
	if !ok {
		return Datum{}, newer(e)
	}
	return makeEnum(t, l), nil
}

// enumAt returns the value with a place in the order, which keys hold.
func enumAt(t Type, order float64) (Datum, error) {
	e := t.EnumType()
	l, ok := e.find(func(l cluster.EnumLabel) bool { return l.Order == order })
	if !ok {
		return Datum{}, newer(e)
	}
	return makeEnum(t, l), nil
}

// newer is of a value that was added to an enum since: see wider.
func newer(e *EnumType) *Error {
	return errorf(codeWider, "could not serialize access: a row holds a value that enum %s has got meanwhile", e.Name)
}

// EnumKey is a value as bytes that have its order, which is all that the slow path knows
// of it.
func EnumKey(d Datum) string { return string(binary.BigEndian.AppendUint64(nil, orderedFloat(d.F))) }

// EnumOfKey is the other way round.
func EnumOfKey(t Type, key string) (Datum, error) {
	const size = 8
	if len(key) != size {
		return Datum{}, errKeyMalformed
	}
	return enumAt(t, floatFromOrdered(binary.BigEndian.Uint64([]byte(key))))
}
