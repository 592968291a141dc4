package datum

import "testing"

// What PostgreSQL 15 prints.
func TestStyles(t *testing.T) {
	for _, c := range []struct {
		style Style
		typ   Type
		in    string
		want  string
	}{
		{Style{Interval: IntervalISO}, Interval, "1 year 2 mons -3 days 04:05:06.7", "P1Y2M-3DT4H5M6.7S"},
		{Style{Interval: IntervalISO}, Interval, "0", "PT0S"},
		{Style{Interval: IntervalISO}, Interval, "-1 month", "P-1M"},
		{Style{Interval: IntervalISO}, Interval, "1 day -00:00:01.5", "P1DT-1.5S"},
		{Style{Interval: IntervalISO}, Interval, "-00:00:00.5", "PT-0.5S"},
		{Style{Interval: IntervalVerbose}, Interval, "1 year 2 mons -3 days 04:05:06.7", "@ 1 year 2 mons -3 days 4 hours 5 mins 6.7 secs"},
		{Style{Interval: IntervalVerbose}, Interval, "0", "@ 0"},
		{Style{Interval: IntervalVerbose}, Interval, "-1 month", "@ 1 mon ago"},
		{Style{Interval: IntervalVerbose}, Interval, "1 day -00:00:01.5", "@ 1 day -1.5 secs"},
		{Style{Interval: IntervalVerbose}, Interval, "-00:00:00.5", "@ 0.5 secs ago"},
		{Style{Interval: IntervalVerbose}, Interval, "-1 year 1 day", "@ 1 year -1 days ago"},
		{Style{Interval: IntervalVerbose}, Interval, "-1 hour 2 seconds", "@ 59 mins 58 secs ago"},
		{Style{Interval: IntervalSQL}, Interval, "1 year 2 mons -3 days 04:05:06.7", "+1-2 -3 +4:05:06.7"},
		{Style{Interval: IntervalSQL}, Interval, "0", "0"},
		{Style{Interval: IntervalSQL}, Interval, "-1 month", "-0-1"},
		{Style{Interval: IntervalSQL}, Interval, "1 day -00:00:01.5", "+0-0 +1 -0:00:01.5"},
		{Style{Interval: IntervalSQL}, Interval, "-00:00:00.5", "-0:00:00.5"},
		{Style{Interval: IntervalSQL}, Interval, "1 mon 1 day", "+0-1 +1 +0:00:00"},
		{Style{Interval: IntervalSQL}, Interval, "-1 year 1 day", "-1-0 +1 +0:00:00"},
		{Style{Interval: IntervalSQL}, Interval, "1 day", "1 0:00:00"},
		{Style{Interval: IntervalSQL}, Interval, "1 year 2 mons", "1-2"},
		{Style{ByteaEscape: true}, Bytea, `\x00417f80275c`, `\000A\177\200'\\`},
		{Style{ByteaEscape: true}, Bytea | Array, `{"\\x0041"}`, `{"\\000A"}`},
		{Style{}, Bytea, `\x00417f80275c`, `\x00417f80275c`},
		{Style{FloatDigits: 15}, Float8, "0.30000000000000004", "0.3"},
		{Style{FloatDigits: 15}, Float8, "3333333333333333.5", "3.33333333333333e+15"},
		{Style{FloatDigits: 15}, Float8, "1e15", "1e+15"},
		{Style{FloatDigits: 15}, Float8, "100", "100"},
		{Style{FloatDigits: 15}, Float8, "0.00001", "1e-05"},
		{Style{FloatDigits: 15}, Float8, "NaN", "NaN"},
		{Style{FloatDigits: 15}, Float4, "1.1", "1.1"},
		{Style{FloatDigits: 12}, Float8, "33.333333333333336", "33.3333333333"},
		{Style{FloatDigits: 1}, Float8, "33.333333333333336", "3e+01"},
		{Style{FloatDigits: 1}, Float4, "1.1", "1"},
		{Style{}, Float8, "0.30000000000000004", "0.30000000000000004"},
	} {
		d, err := ParseText(c.typ, c.in, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(AppendStyled(nil, d, &c.style)); got != c.want {
			t.Errorf("%+v %s: got %s, want %s", c.style, c.in, got, c.want)
		}
	}
}
