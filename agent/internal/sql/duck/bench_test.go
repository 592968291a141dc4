package duck

import (
	"testing"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// columnar is numbers without the cost of making rows: one batch, given again.
func BenchmarkMillion(b *testing.B) {
	e := open(b, Config{})
	for _, c := range []struct{ name, sql string }{
		{"count", "SELECT count(*) FROM numbers"},
		{"sum", "SELECT sum(x) FROM numbers WHERE k < 500"},
		{"group", "SELECT v, count(*), sum(x), avg(k) FROM numbers GROUP BY v"},
		{"group1000", "SELECT k, count(*), max(id) FROM numbers GROUP BY k"},
		{"order", "SELECT id FROM numbers ORDER BY v DESC, id LIMIT 10"},
		{"fetch", "SELECT * FROM numbers"},
		{"ownFunction", "SELECT max(abs(x)) FROM numbers"},
		{"builtinFunction", "SELECT max(sign(x::float8)) FROM numbers"},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				if _, err := newNumbers(million).run(b.Context(), e, c.sql, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkPoint(b *testing.B) {
	e := open(b, Config{})
	n := newNumbers(1)
	s, err := selectOf("SELECT v FROM numbers WHERE id = $1")
	if err != nil {
		b.Fatal(err)
	}
	q := Query{Select: s, Resolve: func(_, _ string) (*Table, bool) { return numbersTable, true }}
	p, err := e.Prepare(b.Context(), q)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("execute", func(b *testing.B) {
		for b.Loop() {
			x := Execution{Args: []datum.Datum{datum.MakeInt(datum.Int8, 0)}, Source: n, Now: testNow}
			if err := p.Execute(b.Context(), x, func([]datum.Datum) error { return nil }); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("prepare", func(b *testing.B) {
		for b.Loop() {
			if _, err := e.Prepare(b.Context(), q); err != nil {
				b.Fatal(err)
			}
		}
	})
}
