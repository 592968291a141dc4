package worker

import (
	"strconv"
	"strings"
	"time"

	bind "github.com/duckdb/duckdb-go-bindings"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/duck/columnar"
	"github.com/nodedb/nodedb/agent/internal/sql/duck/frame"
)

// reader reads values of one type of the engine and writes them as PostgreSQL does.
type reader struct {
	// One of these is what the values are.
	leaf    *leafReader
	element *reader // of a list
	fields  []fieldReader
}

type fieldReader struct {
	name string
	reader
}

// leafReader reads what has no parts.
type leafReader struct {
	form    form
	decoder columnar.Decoder
	one     *frame.Batch
	zone    *time.Location
}

// readerOf makes the reader of a type; the caller keeps t.
func readerOf(t bind.LogicalType, meaning string) (*reader, error) {
	m := frame.MeaningOf(meaning)
	zone, err := datum.LoadZone(m.Zone)
	if err != nil {
		zone = time.UTC
	}
	if bind.GetTypeId(t) == bind.TypeStruct {
		return structReader(t, &m, zone)
	}
	as, modifier := datum.Unknown, int32(-1)
	if len(m.Types) == 1 {
		as, modifier = datum.Type(m.Types[0]), m.Modifiers[0]
	}
	return plainReader(t, as, modifier, zone)
}

func structReader(t bind.LogicalType, m *frame.Meaning, zone *time.Location) (*reader, error) {
	r := &reader{}
	n := int(bind.StructTypeChildCount(t))
	for i := range n {
		as, modifier := datum.Unknown, int32(-1)
		if len(m.Types) == n {
			as, modifier = datum.Type(m.Types[i]), m.Modifiers[i]
		}
		child := bind.StructTypeChildType(t, bind.IdxT(i))
		f, err := plainReader(child, as, modifier, zone)
		bind.DestroyLogicalType(&child)
		if err != nil {
			return nil, err
		}
		r.fields = append(r.fields, fieldReader{frame.Unspelled(bind.StructTypeChildName(t, bind.IdxT(i))), *f})
	}
	return r, nil
}

// plainReader makes the reader of a type that PostgreSQL calls as; Unknown: which one is
// told by the engine's.
func plainReader(t bind.LogicalType, as datum.Type, modifier int32, zone *time.Location) (*reader, error) {
	switch bind.GetTypeId(t) {
	case bind.TypeStruct:
		return structReader(t, &frame.Meaning{}, zone)
	case bind.TypeList:
		child := bind.ListTypeChildType(t)
		defer bind.DestroyLogicalType(&child)
		e, err := plainReader(child, as.Elem(), modifier, zone)
		return &reader{element: e}, err
	default:
	}
	f, err := formOf(t)
	if err != nil {
		return nil, err
	}
	l := &leafReader{form: f, one: frame.NewBatch([]frame.Type{f.typ}), zone: zone}
	l.decoder = columnar.Decoder{Type: columnar.TypeOf(f.typ), Normal: true}
	switch {
	case as == datum.Numeric && l.decoder.Type == datum.Text: // see rewrite, numeric.go
		l.decoder.To = as
	case as == datum.Numeric:
		l.decoder.Declared = modifier >= 4
	case as == datum.Bpchar && modifier > 4:
		l.decoder.Type, l.decoder.Width = as, modifier
	case columnar.Convertible(l.decoder.Type, as):
		l.decoder.To = as
	}
	return &reader{leaf: l}, nil
}

// datum reads a value that is not null.
func (l *leafReader) datum(v vector, row int) (datum.Datum, error) {
	l.one.Reset()
	if l.form.convert == copied {
		l.one.Columns[0].AppendFixed(v.raw(row, l.form.typ.Size()), nil)
	} else if err := l.form.value(l.one, 0, v, row); err != nil {
		return datum.Datum{}, err
	}
	l.one.FinishRow()
	return l.decoder.Datum(&l.one.Columns[0], 0)
}

// text appends PostgreSQL's text of a value that is not null.
func (r *reader) text(dst []byte, v vector, row int) ([]byte, error) {
	if r.leaf != nil {
		d, err := r.leaf.datum(v, row)
		if err != nil {
			return dst, err
		}
		return datum.AppendText(dst, d, r.leaf.zone), nil
	}
	if r.element != nil {
		if r.element.element != nil {
			return nil, &failure{bind.ErrorTypeNotImplemented, "ND0A000 arrays of arrays are not supported"}
		}
		return r.each(dst, v, row, marks{"{", ",", "}"}, func(dst []byte, child vector, at int) ([]byte, error) {
			if child.null(at) {
				return append(dst, "NULL"...), nil
			}
			s, err := r.element.text(nil, child, at)
			return datum.AppendElement(dst, string(s)), err
		})
	}
	dst = append(dst, '(')
	for i := range r.fields {
		if i > 0 {
			dst = append(dst, ',')
		}
		child := vectorOf(bind.StructVectorGetChild(v.vec, bind.IdxT(i)))
		if child.null(row) {
			continue
		}
		s, err := r.fields[i].text(nil, child, row)
		if err != nil {
			return dst, err
		}
		dst = appendField(dst, string(s))
	}
	return append(dst, ')'), nil
}

// appendField appends a column of a row as PostgreSQL quotes it.
func appendField(dst []byte, s string) []byte {
	if s != "" && !strings.ContainsAny(s, "(),\"\\ \t\n\r\v\f") {
		return append(dst, s...)
	}
	s = strings.ReplaceAll(strings.ReplaceAll(s, `\`, `\\`), `"`, `""`)
	return append(append(append(dst, '"'), s...), '"')
}

// marks stand around and between the elements of a list.
type marks struct{ begin, between, end string }

// each appends the elements of a list.
func (r *reader) each(dst []byte, v vector, row int, m marks, one func([]byte, vector, int) ([]byte, error)) ([]byte, error) {
	entry := at[[2]uint64](v, row)
	child := vectorOf(bind.ListVectorGetChild(v.vec))
	dst = append(dst, m.begin...)
	for k := range int(entry[1]) {
		if k > 0 {
			dst = append(dst, m.between...)
		}
		var err error
		if dst, err = one(dst, child, int(entry[0])+k); err != nil {
			return dst, err
		}
		if len(dst) > maxValueBytes {
			return dst, tooLong(len(dst))
		}
	}
	return append(dst, m.end...), nil
}

// json appends the value as to_json has it; it is not null.
func (r *reader) json(dst []byte, v vector, row int) ([]byte, error) {
	if r.leaf != nil {
		d, err := r.leaf.datum(v, row)
		if err != nil {
			return dst, err
		}
		return datum.AppendAsJSON(dst, d, r.leaf.zone), nil
	}
	if r.element != nil {
		return r.each(dst, v, row, marks{"[", ",", "]"}, func(dst []byte, child vector, at int) ([]byte, error) {
			return r.element.jsonOrNull(dst, child, at)
		})
	}
	dst = append(dst, '{')
	for i := range r.fields {
		if i > 0 {
			dst = append(dst, ',')
		}
		name := r.fields[i].name
		if name == "" { // of a ROW
			name = "f" + strconv.Itoa(i+1)
		}
		dst = append(append(dst, datum.QuoteJSON(name)...), ':')
		var err error
		if dst, err = r.fields[i].jsonOrNull(dst, vectorOf(bind.StructVectorGetChild(v.vec, bind.IdxT(i))), row); err != nil {
			return dst, err
		}
	}
	return append(dst, '}'), nil
}

func (r *reader) jsonOrNull(dst []byte, v vector, row int) ([]byte, error) {
	if v.null(row) {
		return append(dst, "null"...), nil
	}
	return r.json(dst, v, row)
}

// joined is array_to_string; without a separator it is null.
func (r *reader) joined(dst []byte, v vector, row int, separator, null *string) ([]byte, error) {
	if separator == nil || r.element == nil {
		return nil, nil
	}
	some := false
	dst, err := r.each(dst, v, row, marks{}, func(dst []byte, child vector, at int) ([]byte, error) {
		missing := child.null(at)
		if missing && null == nil {
			return dst, nil
		}
		if some {
			dst = append(dst, *separator...)
		}
		some = true
		if missing {
			return append(dst, *null...), nil
		}
		return r.element.text(dst, child, at)
	})
	if dst == nil {
		dst = []byte{}
	}
	return dst, err
}
