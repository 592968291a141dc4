package duck

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// TestManyParameters: values that are written into the text because there are many
// are the same as bound ones.
func TestManyParameters(t *testing.T) {
	e := open(t, Config{})
	for _, c := range []struct {
		typ    datum.Type
		values []string
	}{
		{datum.Bool, []string{"t", "f"}},
		{datum.Int2, []string{"-32768", "7"}},
		{datum.Int4, []string{"-2147483648", "0"}},
		{datum.Int8, []string{"-9223372036854775808", "9223372036854775807"}},
		{datum.Float4, []string{"1.1", "-3.4e38", "NaN", "Infinity"}},
		{datum.Float8, []string{"0.1", "-1.7976931348623157e+308", "5e-324", "NaN", "-Infinity", "-0"}},
		{datum.Numeric, []string{"1.50", "-0.001", "12345678901234567890.25"}},
		{datum.Text, []string{"", `it's`, `back\slash`, "ö€\n", "$1", "1.0"}},
		{datum.Bytea, []string{`\x`, `\x00ff27`}},
		{datum.UUID, []string{"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"}},
		{datum.Date, []string{"2024-02-29", "0044-03-15 BC", "infinity", "12024-01-01"}},
		{datum.Timestamp, []string{"2024-02-29 23:59:59.999999", "-infinity", "0044-03-15 01:02:03 BC", "12024-01-01 00:00:00"}},
		{datum.Timestamptz, []string{"2024-02-29 23:59:59.999999+00", "infinity", "1901-01-01 00:00:00+00"}},
		{datum.Interval, []string{"1 year 2 mons -3 days 04:05:06.7", "00:00:00"}},
		{datum.JSONB, []string{`{"a": [1, "x'y"]}`, "null"}},
		{datum.Int8 | datum.Array, []string{"{1,NULL,3}", "{}"}},
		{datum.Text | datum.Array, []string{`{a,"b c",NULL}`}},
	} {
		var few []datum.Datum
		for _, s := range c.values {
			d, err := datum.ParseText(c.typ, s, nil)
			if err != nil {
				t.Fatal(err)
			}
			few = append(few, d)
		}
		few = append(few, datum.MakeNull(c.typ))
		many := slices.Clone(few)
		for len(many) <= manyParams {
			many = append(many, few...)
		}
		want, err := query(t.Context(), e, newMemory(), valuesOf(len(few)), few...)
		if err != nil {
			t.Errorf("%s: %v", c.typ, err)
			continue
		}
		got, err := query(t.Context(), e, newMemory(), valuesOf(len(many)), many...)
		if err != nil {
			t.Errorf("many %s: %v", c.typ, err)
			continue
		}
		if !slices.EqualFunc(got[:len(want)], want, slices.Equal[[]string]) {
			t.Errorf("%s: got %q, want %q", c.typ, got[:len(want)], want)
		}
	}
}

// valuesOf is VALUES of n parameters, which are in order because they are numbered.
func valuesOf(n int) string {
	rows := make([]string, n)
	for i := range rows {
		rows[i] = fmt.Sprintf("(%d, $%d)", i, i+1)
	}
	return "select v from (values " + strings.Join(rows, ", ") + ") x (i, v) order by i"
}
