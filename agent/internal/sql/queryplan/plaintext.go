package queryplan

import (
	"crypto/md5" //nolint:gosec // PostgreSQL's function of the name
	"encoding/hex"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// plainFunction is a function of texts that the engine has as PostgreSQL has it.
type plainFunction struct {
	args   []datum.Type
	result datum.Type
	eval   func(a []datum.Datum) datum.Datum
}

// plainTexts are those by their names: constants of them are computed before the engine sees
// them.
//
//nolint:gochecknoglobals // a constant table
var plainTexts = map[string]*plainFunction{
	"replace": {[]datum.Type{datum.Text, datum.Text, datum.Text}, datum.Text, func(a []datum.Datum) datum.Datum {
		if a[1].S == "" {
			return a[0]
		}
		return datum.MakeText(strings.ReplaceAll(a[0].S, a[1].S, a[2].S))
	}},
	"left": {[]datum.Type{datum.Text, datum.Int4}, datum.Text, func(a []datum.Datum) datum.Datum {
		r := []rune(a[0].S)
		return datum.MakeText(string(r[:taken(len(r), a[1].I)]))
	}},
	"right": {[]datum.Type{datum.Text, datum.Int4}, datum.Text, func(a []datum.Datum) datum.Datum {
		r := []rune(a[0].S)
		return datum.MakeText(string(r[len(r)-taken(len(r), a[1].I):]))
	}},
	"reverse": {[]datum.Type{datum.Text}, datum.Text, func(a []datum.Datum) datum.Datum {
		r := []rune(a[0].S)
		slices.Reverse(r)
		return datum.MakeText(string(r))
	}},
	"translate": {[]datum.Type{datum.Text, datum.Text, datum.Text}, datum.Text, func(a []datum.Datum) datum.Datum {
		return datum.MakeText(translated(a[0].S, []rune(a[1].S), []rune(a[2].S)))
	}},
	"strpos": {[]datum.Type{datum.Text, datum.Text}, datum.Int4, func(a []datum.Datum) datum.Datum {
		at := strings.Index(a[0].S, a[1].S)
		if at >= 0 {
			at = utf8.RuneCountInString(a[0].S[:at])
		}
		return datum.MakeInt(datum.Int4, int64(at+1))
	}},
	"starts_with": {[]datum.Type{datum.Text, datum.Text}, datum.Bool, func(a []datum.Datum) datum.Datum {
		return datum.MakeBool(strings.HasPrefix(a[0].S, a[1].S))
	}},
	"ascii": {[]datum.Type{datum.Text}, datum.Int4, func(a []datum.Datum) datum.Datum {
		for _, r := range a[0].S {
			return datum.MakeInt(datum.Int4, int64(r))
		}
		return datum.MakeInt(datum.Int4, 0)
	}},
	"md5": {[]datum.Type{datum.Text}, datum.Text, func(a []datum.Datum) datum.Datum {
		sum := md5.Sum([]byte(a[0].S)) //nolint:gosec // PostgreSQL's function of the name
		return datum.MakeText(hex.EncodeToString(sum[:]))
	}},
}

// taken is how many of n characters left and right take.
func taken(n int, want int64) int {
	if want < 0 {
		want += int64(n)
	}
	return int(min(max(want, 0), int64(n)))
}

func translated(s string, from, to []rune) string {
	return strings.Map(func(r rune) rune {
		switch i := slices.Index(from, r); {
		case i < 0:
			return r
		case i < len(to):
			return to[i]
		}
		return -1
	}, s)
}

// plainText compiles the call of one of plainTexts.
func plainText(name string, args []Expr) (Expr, error) {
	f := plainTexts[name]
	if len(args) != len(f.args) {
		return nil, errSlow
	}
	args = slices.Clone(args)
	for i := range args {
		t := args[i].Type()
		if t != datum.Unknown && t.IsString() != f.args[i].IsString() {
			return nil, errSlow
		}
		var err error
		if args[i], err = coerce(args[i], f.args[i]); err != nil {
			return nil, err
		}
	}
	return fold(&fn{name: name, typ: f.result, args: args, strict: true, eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) { return f.eval(a), nil }})
}
