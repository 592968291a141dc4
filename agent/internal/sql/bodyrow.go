package sql

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/nodedb/nodedb/agent/internal/sql/builtin"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/datum/jsonb"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// shape is what fields a row has.
type shape struct {
	names     []string
	types     []datum.Type
	modifiers []int32 // nil: there are none
	// of is the composite type that the row is of; Unknown: it is of none.
	of datum.Type
}

func (s *shape) field(name string) int {
	if s == nil {
		return -1
	}
	return slices.Index(s.names, name)
}

// modifier is that of a field.
func (s *shape) modifier(i int) int32 {
	if s.modifiers == nil {
		return -1
	}
	return s.modifiers[i]
}

// rowShape is that of the rows of a table, and where in these the fields are.
func rowShape(t *catalog.Table) (*shape, []int) {
	out := &shape{}
	var places []int
	for i, c := range t.Columns {
		if !c.Hidden {
			out.names, out.types, out.modifiers = append(out.names, c.Name), append(out.types, c.Type), append(out.modifiers, c.Modifier)
			places = append(places, i)
		}
	}
	return out, places
}

// compositeShape is that of the values of a composite type.
func compositeShape(t datum.Type) *shape {
	out := &shape{of: t}
	for _, f := range t.CompositeType().Fields {
		out.names, out.types, out.modifiers = append(out.names, f.Name), append(out.types, f.Type), append(out.modifiers, f.Modifier)
	}
	return out
}

// isOf gives a variable a type: one of a composite type is a record with its fields.
func (v *variable) isOf(t datum.Type, modifier int32) {
	if t.IsComposite() {
		v.record, v.fixed, v.shape, v.modifier = true, true, compositeShape(t), -1
		return
	}
	v.typ, v.modifier, v.value = t, modifier, datum.MakeNull(t)
}

// composite is a record of a composite type as one value.
func (v *variable) composite() datum.Datum {
	if v.row == nil {
		return datum.MakeNull(v.shape.of)
	}
	return datum.MakeComposite(v.shape.of, slices.Clone(v.row))
}

// asComposite makes a row a value of a composite type.
func (f *frame) asComposite(ctx context.Context, row []datum.Datum, t datum.Type) (datum.Datum, error) {
	fields := t.CompositeType().Fields
	if len(row) != len(fields) {
		return datum.Datum{}, &Error{Code: "42804", Message: "returned record type does not match expected record type",
			Detail: fmt.Sprintf("Number of returned columns (%d) does not match expected column count (%d).", len(row), len(fields))}
	}
	out := make([]datum.Datum, len(row))
	for i := range row {
		var err error
		if out[i], err = f.convert(ctx, row[i], fields[i].Type, fields[i].Modifier); err != nil {
			return datum.Datum{}, err
		}
	}
	return datum.MakeComposite(t, out), nil
}

// setFields has a record be the fields of a row that is one value.
func (f *frame) setFields(ctx context.Context, v *variable, value datum.Datum) error {
	var columns []queryplan.Column
	for i, d := range value.A.Values {
		c := queryplan.Column{Name: fmt.Sprintf("f%d", i+1), Type: d.Type}
		if value.Type.IsComposite() {
			c.Name = value.Type.CompositeType().Fields[i].Name
		}
		columns = append(columns, c)
	}
	return f.takeRow(ctx, v, columns, value.A.Values)
}

// recordIn is the record that an expression is, alone or the first that is not null of
// COALESCE, as functions have it that are fired by INSERT and DELETE; nil: it is none.
func (f *frame) recordIn(e *syntax.Expr) (found *variable) {
	if node, err := syntax.ParseExpression(e.SQL); err == nil && node.GetCoalesceExpr() != nil {
		for _, arg := range node.GetCoalesceExpr().GetArgs() {
			text, err := syntax.ExpressionText(arg)
			if err != nil || arg.GetColumnRef() == nil {
				return nil
			}
			v := f.recordIn(&syntax.Expr{SQL: text, Position: e.Position})
			if v == nil {
				return nil
			}
			if found == nil || found.row == nil {
				found = v
			}
		}
		return found
	}
	text := strings.TrimSuffix(strings.TrimSpace(e.SQL), ".*")
	name, err := syntax.RelationName(text)
	if err != nil || name.Schema != "" {
		return nil
	}
	if v, _ := f.lookup("", name.Name); v != nil && v.record {
		return v
	}
	return nil
}

// takeRow has a record be a row of a result.
func (f *frame) takeRow(ctx context.Context, v *variable, columns []queryplan.Column, row []datum.Datum) error {
	if !v.fixed {
		next := &shape{}
		for _, c := range columns {
			next.names, next.types = append(next.names, c.Name), append(next.types, c.Type)
		}
		if v.shape == nil || !slices.Equal(v.shape.names, next.names) || !slices.Equal(v.shape.types, next.types) {
			v.shape = next
		}
	}
	if v.row = nil; row == nil {
		return nil
	}
	out := make([]datum.Datum, len(v.shape.types))
	for i, t := range v.shape.types {
		if out[i] = datum.MakeNull(t); i < len(row) {
			var err error
			if out[i], err = f.convert(ctx, row[i], t, v.shape.modifier(i)); err != nil {
				return err
			}
		}
	}
	v.row = out
	return nil
}

// copyRow has a record be what another one is.
func (f *frame) copyRow(ctx context.Context, v, from *variable) error {
	if from.shape == nil {
		return unassigned(from)
	}
	columns := make([]queryplan.Column, len(from.shape.names))
	for i, name := range from.shape.names {
		columns[i] = queryplan.Column{Name: name, Type: from.shape.types[i]}
	}
	return f.takeRow(ctx, v, columns, from.row)
}

// setRow has a record be the row that an expression gives.
func (f *frame) setRow(ctx context.Context, v *variable, e *syntax.Expr) error {
	if from := f.recordIn(e); from != nil {
		return f.copyRow(ctx, v, from)
	}
	fields, ok := syntax.RowFields(e.SQL)
	if !ok {
		value, err := f.evaluate(ctx, e)
		switch {
		case err != nil:
			return err
		case value.Null:
			v.row = nil
			return nil
		case value.IsRow():
			return f.setFields(ctx, v, value)
		}
		return syntax.Unsupported("assigning a value to a whole row", "Use SELECT ... INTO.")
	}
	b, err := f.bind(ctx, "SELECT "+fields, e.Position)
	if err != nil {
		return err
	}
	var rows held
	if _, err := b.run(ctx, f.session, f.at, f.value, &rows); err != nil {
		return err
	}
	columns := slices.Clone(b.prepared.plan.Columns)
	for i := range columns {
		columns[i].Name = fmt.Sprintf("f%d", i+1)
	}
	return f.takeRow(ctx, v, columns, rows.rows[0])
}

func unassigned(v *variable) error {
	return &Error{Code: "55000", Message: fmt.Sprintf("record %q is not assigned yet", v.name), Detail: "The tuple structure of a not-yet-assigned record is indeterminate."}
}

// whole is a record as one value.
func (f *frame) whole(v *variable, as int) (datum.Datum, error) {
	switch {
	case v.row == nil && as == asText:
		return datum.MakeNull(datum.Text), nil
	case v.row == nil:
		return datum.MakeNull(map[int]datum.Type{asJSON: datum.JSON, asJSONB: datum.JSONB}[as]), nil
	case as == asText:
		return datum.MakeText(rowText(v.row)), nil
	}
	var out strings.Builder
	for i, name := range v.shape.names {
		out.WriteString(map[bool]string{true: "{", false: ","}[i == 0])
		key, err := jsonb.Of(datum.MakeText(name), f.session.style.Location)
		if err != nil {
			return datum.Datum{}, err
		}
		out.WriteString(key.Text() + ":")
		if err := f.writeJSON(&out, v.row[i]); err != nil {
			return datum.Datum{}, err
		}
	}
	out.WriteByte('}')
	if as == asJSON {
		return datum.ParseText(datum.JSON, out.String(), nil)
	}
	return datum.ParseText(datum.JSONB, out.String(), nil)
}

// writeJSON writes a value as to_json does.
func (f *frame) writeJSON(out *strings.Builder, v datum.Datum) error {
	switch {
	case v.Null:
		out.WriteString("null")
	case v.Type == datum.JSON || v.Type == datum.JSONB:
		out.WriteString(v.Text())
	case v.Type.IsArray() && len(v.A.Dims) == 0:
		out.WriteByte('[')
		for i, e := range v.A.Values {
			if i > 0 {
				out.WriteByte(',')
			}
			if err := f.writeJSON(out, e); err != nil {
				return err
			}
		}
		out.WriteByte(']')
	default:
		j, err := jsonb.Of(v, f.session.style.Location)
		if err != nil {
			return err
		}
		out.WriteString(j.Text())
	}
	return nil
}

// rowText is a row as PostgreSQL shows it.
func rowText(row []datum.Datum) string {
	var out strings.Builder
	out.WriteByte('(')
	for i, v := range row {
		if i > 0 {
			out.WriteByte(',')
		}
		if v.Null {
			continue
		}
		text := v.Text()
		if text != "" && !strings.ContainsAny(text, "\"\\(), \t\n\r\v\f") {
			out.WriteString(text)
			continue
		}
		out.WriteString(`"` + strings.NewReplacer(`"`, `""`, `\`, `\\`).Replace(text) + `"`)
	}
	out.WriteByte(')')
	return out.String()
}

// withElement is the array that a target has, with another element.
func (f *frame) withElement(ctx context.Context, t *syntax.BodyTarget, v *variable, i int, value datum.Datum) (datum.Datum, error) {
	now := v.value
	switch {
	case v.record && i < 0:
		return now, &Error{Code: "42804", Message: "cannot subscript type record because it does not support subscripting"}
	case v.record && v.row == nil:
		now = datum.MakeNull(v.shape.types[i])
	case v.record:
		now = v.row[i]
	default:
		now.Type = v.typ
	}
	if !now.Type.IsArray() {
		return now, &Error{Code: "42804", Message: fmt.Sprintf("cannot subscript type %s because it does not support subscripting", now.Type.SQLName())}
	}
	at := make([]datum.Datum, len(t.Index))
	for k := range t.Index {
		n, err := f.evaluate(ctx, &t.Index[k])
		if err == nil {
			at[k], err = f.convert(ctx, n, datum.Int4, -1)
		}
		if err != nil {
			return now, err
		}
	}
	value, err := f.convert(ctx, value, now.Type.Elem(), -1)
	if err != nil {
		return now, err
	}
	return builtin.WithElement(now, value, at...)
}
