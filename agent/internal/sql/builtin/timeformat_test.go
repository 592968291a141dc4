package builtin

import (
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// FuzzTimeFormats: no text and no format makes to_timestamp and to_char panic.
func FuzzTimeFormats(f *testing.F) {
	f.Add("2024-02-29 ", "YYYY-MM-DD TZH", int64(0))
	f.Add(" ", "Y,YYY", int64(-63082281600000000))
	f.Fuzz(func(_ *testing.T, s, format string, at int64) {
		env := &Env{Location: time.UTC}
		a := []datum.Datum{datum.MakeText(s), datum.MakeText(format)}
		_, _ = toDate(env, a)
		_, _ = toTimestamp(env, a)
		if !datum.InTimestamp(at) {
			return
		}
		for _, v := range []datum.Datum{datum.MakeInt(datum.Timestamptz, at), datum.MakeInterval(int32(at), int32(at>>32), at)} {
			_, _ = Resolve("to_char", []datum.Type{v.Type, datum.Text}).Eval(env, []datum.Datum{v, a[1]})
		}
	})
}
