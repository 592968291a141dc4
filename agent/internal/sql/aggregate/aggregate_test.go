package aggregate

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// row is what a test adds up: a value to group by, and one of each type.
type row struct {
	by     datum.Datum
	values []datum.Datum
}

func functions(t *testing.T, types []datum.Type) (out []Function, of []int) {
	t.Helper()
	out, of = append(out, Function{Kind: Rows}), append(of, 0)
	for i, typ := range types {
		for _, name := range []string{"count", "sum", "avg", "min", "max", "bool_and", "bool_or", "every"} {
			if f, ok := Resolve(name, typ, true); ok {
				out, of = append(out, f), append(of, i)
			}
		}
	}
	return out, of
}

func parse(t *testing.T, typ datum.Type, s string) datum.Datum {
	t.Helper()
	v, err := datum.ParseText(typ, s, nil)
	if err != nil {
		t.Fatalf("parse %q as %s: %v", s, typ, err)
	}
	return v
}

// show is what groups say, in the order of their keys.
func show(t *testing.T, g *Groups, columns int) map[string]string {
	t.Helper()
	out := map[string]string{}
	values := make([]datum.Datum, columns)
	for i := range g.Len() {
		text := ""
		if err := g.Row(i, values); err != nil {
			text = err.Error()
		}
		for n := range values {
			if values[n].Null {
				text += " null"
			} else {
				text += " " + values[n].Text()
			}
		}
		out[g.keys[i]] = text
	}
	return out
}

func add(t *testing.T, g *Groups, fs []Function, of []int, r *row) {
	t.Helper()
	states := g.Of([]datum.Datum{r.by})
	for n, f := range fs {
		if err := f.Add(&states[n], &r.values[of[n]]); err != nil {
			t.Fatal(err)
		}
	}
}

// TestPartsAreAsGoodAsTheWhole adds rows up at once, and in parts that are sent and put
// together in any order.
func TestPartsAreAsGoodAsTheWhole(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	types := []datum.Type{datum.Int2, datum.Int4, datum.Int8, datum.Numeric, datum.Text, datum.Varchar, datum.Date, datum.Timestamptz, datum.Bool, datum.Time}
	texts := [][]string{
		{"0", "-32768", "32767", "5"}, {"0", "-2147483648", "2147483647", "-1"}, {"9223372036854775807", "-9223372036854775808", "3", "0"},
		{"1.50", "-2.5", "0", "99999999999999999999999999.123", "0.00001", "NaN", "Infinity", "-Infinity", "12"}, {"", "a", "é", "zz"}, {"v", "w"},
		{"2026-11-30", "infinity", "-infinity", "0044-03-15 BC"}, {"2026-11-30 01:02:03+00", "infinity"}, {"t", "f"}, {"00:00", "24:00", "12:34:56.789"},
	}
	for round := range 200 {
		finite := 0
		if round%2 == 0 {
			finite = 3 // no infinities: they hide all else
		}
		rows := make([]row, r.IntN(40))
		for i := range rows {
			by := datum.MakeInt(datum.Int4, int64(r.IntN(4)))
			if r.IntN(5) == 0 {
				by = datum.MakeNull(datum.Int4)
			}
			rows[i] = row{by: by}
			for n, typ := range types {
				v := datum.MakeNull(typ)
				if r.IntN(4) > 0 {
					list := texts[n]
					if typ == datum.Numeric && finite > 0 {
						list = []string{"1.50", "-2.5", "0", "99999999999999999999999999.123", "0.00001", "12"}
					}
					v = parse(t, typ, list[r.IntN(len(list))])
				}
				rows[i].values = append(rows[i].values, v)
			}
		}
		fs, of := functions(t, types)
		by := []datum.Type{datum.Int4}
		whole, together := NewGroups(by, fs), NewGroups(by, fs)
		parts := make([]*Groups, 1+r.IntN(5))
		for i := range parts {
			parts[i] = NewGroups(by, fs)
		}
		for i := range rows {
			add(t, whole, fs, of, &rows[i])
			add(t, parts[r.IntN(len(parts))], fs, of, &rows[i])
		}
		for _, p := range parts {
			p.Each(func(key, states []byte) {
				if err := together.Merge(key, states); err != nil {
					t.Fatal(err)
				}
			})
			if p.Reset(); p.Len() != 0 || p.Size() != 0 {
				t.Fatalf("%d groups of %d bytes are left", p.Len(), p.Size())
			}
		}
		want, got := show(t, whole, 1+len(fs)), show(t, together, 1+len(fs))
		if fmt.Sprint(want) != fmt.Sprint(got) {
			t.Fatalf("round %d: of %d rows\nwhole %v\nparts %v", round, len(rows), want, got)
		}
	}
}

// TestWhatComesOut are answers of PostgreSQL 15.
func TestWhatComesOut(t *testing.T) {
	for _, c := range []struct {
		function string
		typ      datum.Type
		in       []string
		want     string
	}{
		{"sum", datum.Int4, []string{"2147483647", "2147483647"}, "4294967294"},
		{"sum", datum.Int8, []string{"9223372036854775807", "9223372036854775807"}, "18446744073709551614"},
		{"sum", datum.Int8, []string{"-9223372036854775808", "-1"}, "-9223372036854775809"},
		{"sum", datum.Numeric, []string{"1.5", "2.25", "-3"}, "0.75"},
		{"sum", datum.Numeric, []string{"1.50", "2"}, "3.50"},
		{"sum", datum.Numeric, []string{"Infinity", "-Infinity"}, "NaN"},
		{"avg", datum.Int4, []string{"1", "2", "2"}, "1.6666666666666667"},
		{"avg", datum.Int2, []string{"1", "2"}, "1.5000000000000000"},
		{"avg", datum.Int8, []string{"9223372036854775807", "1"}, "4611686018427387904"},
		{"avg", datum.Numeric, []string{"0.1", "0.2"}, "0.15000000000000000000"},
		{"min", datum.Text, []string{"b", "B", "a"}, "B"},
		{"max", datum.Date, []string{"2026-01-01", "infinity"}, "infinity"},
		{"bool_and", datum.Bool, []string{"t", "f"}, "f"},
		{"bool_or", datum.Bool, []string{"t", "f"}, "t"},
		{"count", datum.Text, []string{"", "x"}, "2"},
	} {
		f, ok := Resolve(c.function, c.typ, true)
		if !ok {
			t.Errorf("there is no %s of %s", c.function, c.typ)
			continue
		}
		var s State
		for _, in := range c.in {
			v := parse(t, c.typ, in)
			if err := f.Add(&s, &v); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := f.Final(&s); err != nil || got.Text() != c.want || got.Type != f.Result() {
			t.Errorf("%s of %v: %s %s, %v, want %s", c.function, c.in, got.Type, got.Text(), err, c.want)
		}
	}
}

// FuzzMerge takes what no node has sent.
func FuzzMerge(f *testing.F) {
	f.Add([]byte{1, 2, 3})
	f.Fuzz(func(_ *testing.T, b []byte) {
		fs := []Function{{Kind: Rows}, {Kind: Sum, Arg: datum.Numeric}, {Kind: Max, Arg: datum.Text}}
		_ = NewGroups(nil, fs).Merge(nil, b) // it must not panic
	})
}
