package builtin

import (
	"encoding/json"
	"strings"
	"unicode/utf8"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// asArrayText makes the text of an array of the json of one, as json_to_record does: a
// string is one already. By the second argument the elements are json themselves.
func asArrayText(_ *Env, a []datum.Datum) (datum.Datum, error) {
	switch kind(a[0].S) {
	case 'n':
		return datum.MakeNull(datum.Text), nil
	case '"':
		return one(a[0].S, datum.Text)
	case '[':
	default:
		return datum.Datum{}, &datum.Error{Code: "22P02", Message: "expected JSON array"}
	}
	var b strings.Builder
	err := appendArrayText(&b, a[0].S, a[1].Bool())
	return datum.MakeText(b.String()), err
}

func appendArrayText(b *strings.Builder, j string, asJSON bool) error {
	list, ok := written(j)
	if !ok {
		return fail("22P02", "malformed JSON array")
	}
	b.WriteByte('{')
	for i, e := range list {
		if i > 0 {
			b.WriteByte(',')
		}
		if err := appendElement(b, e, asJSON); err != nil {
			return err
		}
	}
	b.WriteByte('}')
	return nil
}

// elementQuoting puts what is special in the text of an array behind backslashes.
var elementQuoting = strings.NewReplacer(`\`, `\\`, `"`, `\"`) //nolint:gochecknoglobals // never changed

func appendElement(b *strings.Builder, e json.RawMessage, asJSON bool) error {
	text := string(e)
	switch k := kind(text); {
	case k == 'n':
		b.WriteString("NULL")
		return nil
	case k == '[' && !asJSON:
		return appendArrayText(b, text, asJSON)
	case k == '"' && !asJSON:
		v, err := one(text, datum.Text)
		if err != nil {
			return err
		}
		text = v.S
	}
	b.WriteString(`"` + elementQuoting.Replace(text) + `"`)
	return nil
}

// limited is a text that a type of so many characters takes; more are an error, but for
// blanks at the end.
func limited(_ *Env, a []datum.Datum) (datum.Datum, error) {
	n := int(a[1].I)
	if utf8.RuneCountInString(a[0].S) <= n || utf8.RuneCountInString(strings.TrimRight(a[0].S, " ")) <= n {
		return a[0], nil
	}
	return datum.Datum{}, fail("22001", "value too long for type %s(%d)", a[2].S, n)
}
