package datum

import (
	"encoding/json"
	"sync"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// writtenForm is the form of a composite type as another process is told of it: there numbers
// of forms mean nothing.
type writtenForm struct {
	Name   string             `json:"name"`
	Next   cluster.ColumnID   `json:"next"`
	Fields []writtenFormField `json:"fields,omitempty"`
}

type writtenFormField struct {
	ID        cluster.ColumnID `json:"id"`
	Name      string           `json:"name"`
	Type      string           `json:"type,omitempty"`
	Array     bool             `json:"array,omitempty"`
	Modifier  int32            `json:"modifier"`
	Enum      *EnumType        `json:"enum,omitempty"`
	Composite *writtenForm     `json:"composite,omitempty"`
}

// WriteForm describes the form of a composite type to another process.
func WriteForm(t Type) string {
	text, _ := json.Marshal(writeForm(t)) // of texts and numbers: cannot fail
	return string(text)
}

func writeForm(t Type) *writtenForm {
	form := t.CompositeType()
	out := &writtenForm{Name: form.Name, Next: form.Next}
	for _, f := range form.Fields {
		w := writtenFormField{ID: f.ID, Name: f.Name, Array: f.Type.IsArray(), Modifier: f.Modifier}
		switch e := f.Type.Elem(); {
		case e.IsEnum():
			w.Enum = e.EnumType()
		case e.IsComposite():
			w.Composite = writeForm(e)
		default:
			w.Type = e.String()
		}
		out.Fields = append(out.Fields, w)
	}
	return out
}

// readForms are the forms that were read, by their text.
var readForms sync.Map //nolint:gochecknoglobals // a cache

// ReadForm is the other way round.
func ReadForm(text string) (Type, error) {
	if t, ok := readForms.Load(text); ok {
		return t.(Type), nil //nolint:forcetypeassert // nothing else is in there
	}
	var w writtenForm
	if err := json.Unmarshal([]byte(text), &w); err != nil {
		return Unknown, errorf(codeCorrupt, "the form of a composite type is malformed")
	}
	t, err := readForm(&w)
	if err == nil {
		readForms.Store(text, t)
	}
	return t, err
}

func readForm(w *writtenForm) (Type, error) {
	out := CompositeType{Name: w.Name, Next: w.Next}
	for _, f := range w.Fields {
		field := Field{ID: f.ID, Name: f.Name, Modifier: f.Modifier}
		var err error
		ok := true
		switch {
		case f.Enum != nil:
			field.Type = TypeOfEnum(*f.Enum)
		case f.Composite != nil:
			field.Type, err = readForm(f.Composite)
		default:
			field.Type, ok = TypeByName(f.Type)
		}
		if err != nil || !ok {
			return Unknown, errorf(codeCorrupt, "the form of a composite type has a field of an unknown type")
		}
		if f.Array {
			field.Type |= Array
		}
		out.Fields = append(out.Fields, field)
	}
	return TypeOfComposite(out), nil
}
