package jsonb

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// Of is to_jsonb: a value of another type as one of jsonb, in the time zone. A null
// becomes null.
func Of(d datum.Datum, loc *time.Location) (datum.Datum, error) {
	j, err := textOf(d, loc)
	if err != nil {
		return datum.Datum{}, err
	}
	return value(j), nil
}

func textOf(d datum.Datum, loc *time.Location) (string, error) {
	switch {
	case d.Null:
		return "null", nil
	case d.Type.IsArray():
		list := make([]string, len(d.A.Values))
		for i, v := range d.A.Values {
			var err error
			if list[i], err = textOf(v, loc); err != nil {
				return "", err
			}
		}
		dims := d.A.Dimensions()
		for n := len(dims) - 1; n > 0; n-- {
			var outer []string
			for part := range slices.Chunk(list, int(dims[n].Size)) {
				outer = append(outer, Array(part))
			}
			list = outer
		}
		return Array(list), nil
	case d.Type.IsComposite():
		v, err := datum.NormalizeJSONB(datum.AppendAsJSON(nil, d, loc))
		return v.S, err
	}
	switch d.Type {
	case datum.JSONB:
		return d.S, nil
	case datum.JSON:
		v, err := datum.NormalizeJSONB([]byte(d.S))
		return v.S, err
	case datum.Bool:
		if d.Bool() {
			return "true", nil
		}
		return "false", nil
	case datum.Date, datum.Timestamp, datum.Timestamptz:
		return datum.QuoteJSON(isoTime(string(datum.AppendText(nil, d, loc)))), nil
	}
	if !d.Type.IsNumber() {
		return datum.QuoteJSON(d.Text()), nil
	}
	if d.Type.IsFloat() && (math.IsNaN(d.F) || math.IsInf(d.F, 0)) {
		return datum.QuoteJSON(d.Text()), nil
	}
	n, err := datum.ParseText(datum.Numeric, d.Text(), nil)
	if err != nil {
		return "", err
	}
	if text := n.Text(); text != "NaN" && !strings.HasSuffix(text, "nity") {
		return text, nil
	}
	return datum.QuoteJSON(n.Text()), nil
}

// isoTime has minutes in the offset from UTC, as ISO 8601 has it, and a T before the time.
func isoTime(s string) string {
	written := s
	s, bc := strings.CutSuffix(s, " BC")
	date, clock, ok := strings.Cut(s, " ")
	if !ok {
		return written // a date, or infinity
	}
	if i := strings.LastIndexAny(clock, "+-"); i >= 0 && len(clock)-i == len("+00") {
		clock += ":00"
	}
	if bc {
		clock += " BC"
	}
	return date + "T" + clock
}

// BuildArray is jsonb_build_array.
func BuildArray(values []datum.Datum, loc *time.Location) (datum.Datum, error) {
	list := make([]string, len(values))
	for i, v := range values {
		var err error
		if list[i], err = textOf(v, loc); err != nil {
			return datum.Datum{}, err
		}
	}
	return value(Array(list)), nil
}

// BuildObject is jsonb_build_object: keys and values take turns.
func BuildObject(args []datum.Datum, loc *time.Location) (datum.Datum, error) {
	fields := make([]Field, 0, len(args)/2)
	for i := 0; i+1 < len(args); i += 2 {
		if args[i].Null {
			return datum.Datum{}, fail("22023", fmt.Sprintf("argument %d: key must not be null", i+1))
		}
		if t := args[i].Type; t.IsArray() || t == datum.JSON || t == datum.JSONB {
			return datum.Datum{}, fail("22023", "key value must be scalar, not array, composite, or json")
		}
		v, err := textOf(args[i+1], loc)
		if err != nil {
			return datum.Datum{}, err
		}
		fields = append(fields, Field{datum.QuoteJSON(string(datum.AppendText(nil, args[i], loc))), v})
	}
	return value(Object(fields)), nil
}
