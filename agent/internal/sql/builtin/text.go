package builtin

import (
	"strings"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

var texts = []Function{
	{Name: "quote_ident", Args: []datum.Type{datum.Text}, Result: datum.Text, Eval: ofText(syntax.QuoteIdent)},
	{Name: "quote_literal", Args: []datum.Type{datum.Text}, Result: datum.Text, Eval: ofText(quoteLiteral)},
	{Name: "quote_nullable", Args: []datum.Type{datum.Text}, Result: datum.Text, Nulls: true, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		if a[0].Null {
			return datum.MakeText("NULL"), nil
		}
		return datum.MakeText(quoteLiteral(a[0].S)), nil
	}},
	{Name: "quote_literal", Args: []datum.Type{AnyElement}, Result: datum.Text, Zoned: true, Eval: func(env *Env, a []datum.Datum) (datum.Datum, error) {
		return datum.MakeText(quoteLiteral(env.text(a[0]))), nil
	}},
	{Name: "quote_nullable", Args: []datum.Type{AnyElement}, Result: datum.Text, Nulls: true, Zoned: true, Eval: func(env *Env, a []datum.Datum) (datum.Datum, error) {
		if a[0].Null {
			return datum.MakeText("NULL"), nil
		}
		return datum.MakeText(quoteLiteral(env.text(a[0]))), nil
	}},
	{Name: "split_part", Args: []datum.Type{datum.Text, datum.Text, datum.Int4}, Result: datum.Text, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		if a[2].I == 0 {
			return datum.Datum{}, fail("22023", "field position must not be zero")
		}
		parts := []string{a[0].S}
		if a[1].S != "" {
			parts = strings.Split(a[0].S, a[1].S)
		}
		i := a[2].I - 1
		if a[2].I < 0 {
			i = int64(len(parts)) + a[2].I
		}
		if a[0].S == "" || i < 0 || i >= int64(len(parts)) {
			return datum.MakeText(""), nil
		}
		return datum.MakeText(parts[i]), nil
	}},
}

// quoteLiteral writes a constant; one with backslashes in the form that has them doubled.
func quoteLiteral(s string) string {
	out := "'" + strings.ReplaceAll(s, "'", "''") + "'"
	if strings.Contains(s, `\`) {
		return "E" + strings.ReplaceAll(out, `\`, `\\`)
	}
	return out
}

func ofText(f func(string) string) func(*Env, []datum.Datum) (datum.Datum, error) {
	return func(_ *Env, a []datum.Datum) (datum.Datum, error) { return datum.MakeText(f(a[0].S)), nil }
}
