package jsonb

import (
	"strings"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// each makes an array of what of gives for each member of an object.
func each(j, function string, of func(key, v string) (datum.Datum, error)) (datum.Datum, error) {
	if datum.KindOfJSON(j) != datum.JSONObject {
		return datum.Datum{}, fail("22023", "cannot call "+function+" on a non-object")
	}
	var values []datum.Datum
	for key, v := range datum.JSONFields(j) {
		d, err := of(key, v)
		if err != nil {
			return d, err
		}
		values = append(values, d)
	}
	t := datum.Text
	if len(values) > 0 {
		t = values[0].Type
	}
	return datum.MakeArray(t, values), nil
}

// pretty appends j as jsonb_pretty has it, in so many steps from the left.
func pretty(dst []byte, j string, level int) []byte {
	indent := func(n int) string { return "\n" + strings.Repeat("    ", n) }
	first := true
	item := func() {
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(dst, indent(level+1)...)
	}
	switch datum.KindOfJSON(j) {
	case datum.JSONObject:
		dst = append(dst, '{')
		for key, v := range datum.JSONFields(j) {
			item()
			dst = pretty(append(append(dst, key...), ": "...), v, level+1)
		}
		return append(append(dst, indent(level)...), '}')
	case datum.JSONArray:
		dst = append(dst, '[')
		for v := range datum.JSONElements(j) {
			item()
			dst = pretty(dst, v, level+1)
		}
		return append(append(dst, indent(level)...), ']')
	default:
		return append(dst, j...)
	}
}
