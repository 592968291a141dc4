package sql

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// diagnose carries GET DIAGNOSTICS out.
func (f *frame) diagnose(ctx context.Context, st *syntax.BodyDiagnostics) error {
	if st.Stacked && f.handling == nil {
		return &Error{Code: "0Z002", Message: "GET STACKED DIAGNOSTICS cannot be used outside an exception handler"}
	}
	e := f.handling
	for i, item := range st.Items {
		var value datum.Datum
		switch item {
		case "row_count":
			value = datum.MakeInt(datum.Int8, f.rows)
		case "pg_context":
			value = datum.MakeText(f.body.name)
		default:
			value = datum.MakeText(map[string]string{"returned_sqlstate": e.Code, "message_text": e.Message, "pg_exception_detail": e.Detail, "pg_exception_hint": e.Hint,
				"pg_exception_context": e.Context, "column_name": e.Column, "constraint_name": e.Constraint, "pg_datatype_name": e.DataType, "table_name": e.Table, "schema_name": e.Schema}[item])
		}
		if err := f.assign(ctx, &st.Targets[i], value); err != nil {
			return err
		}
	}
	return nil
}

// raise carries RAISE out.
func (f *frame) raise(ctx context.Context, st *syntax.BodyRaise) error {
	if st.Again {
		if f.handling == nil {
			return &Error{Code: "0Z002", Message: "RAISE without parameters cannot be used outside an exception handler"}
		}
		return &placedError{told: f.handling}
	}
	message, err := f.message(ctx, st)
	if err != nil {
		return err
	}
	e := &Error{Message: message}
	if codes := syntax.ConditionCodes(st.Condition); codes != nil {
		e.Code = codes[0]
	} else {
		e.Code = st.Condition
	}
	if st.Message == "" && st.Condition != "" {
		e.Message = st.Condition
	}
	if err := f.raiseOptions(ctx, st, e); err != nil {
		return err
	}
	if e.Message == "" && e.Code != "" {
		e.Message = e.Code
	}
	if st.Level == "EXCEPTION" {
		if e.Code == "" {
			e.Code = "P0001"
		}
		return e
	}
	if e.Code == "" {
		if e.Code = "00000"; st.Level == "WARNING" {
			e.Code = "01000"
		}
	}
	f.mark(st.Position, "RAISE")
	e.Severity, e.Context = st.Level, fmt.Sprintf("%s line %d at RAISE", f.body.name, f.line)
	if slices.Contains([]string{"INFO", "NOTICE", "WARNING"}, st.Level) {
		f.session.tell(e)
	}
	return nil
}

// assert carries ASSERT out.
func (f *frame) assert(ctx context.Context, st *syntax.BodyAssert) error {
	if yes, err := f.condition(ctx, &st.Condition); err != nil || yes {
		return err
	}
	failed := &Error{Code: "P0004", Message: "assertion failed"}
	if st.Message != nil {
		v, err := f.evaluate(ctx, st.Message)
		if err != nil {
			return err
		}
		if !v.Null {
			failed.Message = v.Text()
		}
	}
	return failed
}

// raiseOptions reads USING.
func (f *frame) raiseOptions(ctx context.Context, st *syntax.BodyRaise, e *Error) error {
	to := map[string]*string{"errcode": &e.Code, "message": &e.Message, "detail": &e.Detail, "hint": &e.Hint, "column": &e.Column, "constraint": &e.Constraint,
		"datatype": &e.DataType, "table": &e.Table, "schema": &e.Schema}
	for name, expr := range st.Options {
		v, err := f.evaluate(ctx, &expr)
		if err != nil {
			return err
		}
		if v.Null {
			return &Error{Code: "22004", Message: "RAISE statement option cannot be null"}
		}
		text := v.Text()
		if name == "errcode" {
			if codes := syntax.ConditionCodes(text); codes != nil {
				text = codes[0]
			} else if len(text) != 5 {
				return &Error{Code: "42704", Message: fmt.Sprintf("unrecognized exception condition %q", text)}
			}
		}
		*to[name] = text
	}
	return nil
}

// message is that of RAISE, with values in the place of %.
func (f *frame) message(ctx context.Context, st *syntax.BodyRaise) (string, error) {
	var out strings.Builder
	args := st.Args
	for text := st.Message; text != ""; {
		i := strings.IndexByte(text, '%')
		if i < 0 {
			out.WriteString(text)
			break
		}
		out.WriteString(text[:i])
		if strings.HasPrefix(text[i:], "%%") {
			out.WriteByte('%')
			text = text[i+2:]
			continue
		}
		var v datum.Datum
		var err error
		if row := f.recordIn(&args[0]); row != nil {
			v, err = f.whole(row, asText)
		} else {
			v, err = f.evaluate(ctx, &args[0])
		}
		if err != nil {
			return "", err
		}
		if v.Null {
			out.WriteString("<NULL>")
		} else {
			out.WriteString(v.Text())
		}
		args, text = args[1:], text[i+1:]
	}
	return out.String(), nil
}
