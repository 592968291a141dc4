package render

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strings"

	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/term"
)

// One is an answer of a single object.
type One[T any] struct {
	Kind string // Node
	Meta Meta
	Item T
	Name string
	// Text writes it for people.
	Text func(io.Writer) error
	// Table says that Text has a table that takes --columns, --sort and --filter.
	Table bool
}

// Print writes the object; its fields stand beside apiVersion, kind and meta.
func (o *One[T]) Print(s *term.Streams, opts Options) error {
	kind, text, _ := strings.Cut(opts.Format, "=")
	if err := o.options(kind, opts); err != nil {
		return err
	}
	switch kind {
	case "json", "yaml", "jsonl":
		b, err := envelope(o.Kind, &o.Meta, o.Item)
		if err != nil {
			return err
		}
		if kind == "jsonl" {
			_, err = s.Out.Write(append(b, '\n'))
			return err
		}
		return document(s.Out, kind, json.RawMessage(b))
	case "name":
		_, err := fmt.Fprintln(s.Out, o.Name)
		return err
	case "template":
		fields, err := fieldsOf(o.Item)
		if err != nil {
			return err
		}
		return runTemplate(s.Out, text, fields)
	case "csv":
		return o.writeCSV(s.Out, opts)
	}
	var b bytes.Buffer
	out := s.Out
	s.Out = &b // a text may have tables in it
	err := o.Text(&b)
	s.Out = out
	if err != nil {
		return err
	}
	_, err = io.WriteString(out, s.Complete(b.String()))
	return err
}

// options refuses those that would be ignored.
func (o *One[T]) options(kind string, opts Options) error {
	switch {
	case o.Table:
	case len(opts.Filter) > 0 || opts.Sort != "":
		return optionf("--filter and --sort are for lists: this is one %s", o.Kind)
	case len(opts.Columns) > 0 && kind != "csv":
		return optionf("--columns is for lists and for -o csv: this is one %s", o.Kind)
	}
	return nil
}

// writeCSV writes the object as a head and one row: every field, or --columns.
func (o *One[T]) writeCSV(w io.Writer, opts Options) error {
	fields, err := fieldsOf(o.Item)
	if err != nil {
		return err
	}
	heads := opts.Columns
	if len(heads) == 0 {
		if heads, err = fieldOrder(o.Item); err != nil {
			return err
		}
	}
	row := make([]string, len(heads))
	for i, h := range heads {
		v, ok := fields[h]
		if !ok {
			return optionf("no field %q", h)
		}
		row[i] = text(v)
	}
	out := csv.NewWriter(w)
	if !opts.NoHeaders {
		if err := out.Write(heads); err != nil {
			return err
		}
	}
	if err := out.Write(row); err != nil {
		return err
	}
	out.Flush()
	return out.Error()
}

// fieldOrder lists the fields of an item's JSON form in their order.
func fieldOrder(item any) ([]string, error) {
	b, err := json.Marshal(item)
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(b))
	if _, err := d.Token(); err != nil { // the {
		return nil, err
	}
	var names []string
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, err
		}
		var skipped json.RawMessage
		if err := d.Decode(&skipped); err != nil {
			return nil, err
		}
		names = append(names, fmt.Sprint(name))
	}
	return names, nil
}

// Line writes one object as one line of JSON.
func Line[T any](w io.Writer, kind string, item T) error {
	b, err := envelope(kind, nil, item)
	if err != nil {
		return err
	}
	_, err = w.Write(append(b, '\n'))
	return err
}

// envelope puts apiVersion, kind and meta before the fields of item.
func envelope(kind string, meta *Meta, item any) ([]byte, error) {
	head, err := json.Marshal(struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Meta       *Meta  `json:"meta,omitempty"`
	}{APIVersion, kind, meta})
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(item)
	if err != nil {
		return nil, err
	}
	if len(body) < 2 || body[0] != '{' {
		return nil, fmt.Errorf("a %s is no JSON object", kind)
	}
	if bytes.Equal(body, []byte("{}")) {
		return head, nil
	}
	return append(append(head[:len(head)-1], ','), body[1:]...), nil
}

// fieldNames lists the fields that the JSON form of a struct may have.
func fieldNames(t reflect.Type) []string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return nil
	}
	var names []string
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "":
			names = append(names, fieldNames(f.Type)...)
		case f.IsExported() && name != "" && name != "-":
			names = append(names, name)
		}
	}
	return names
}

// fieldsOf is the JSON form of an item, with numbers as they are written.
func fieldsOf(item any) (map[string]any, error) {
	b, err := json.Marshal(item)
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var m map[string]any
	return m, d.Decode(&m)
}
