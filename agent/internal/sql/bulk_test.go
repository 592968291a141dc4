package sql

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// bulkInsert is an INSERT of rows with literals.
func bulkInsert(rows, from int) string {
	var b strings.Builder
	b.WriteString("insert into t (id, name) values ")
	for i := range rows {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "(%d, 'row %d')", from+i, i)
	}
	return b.String()
}

// bulkParams is an INSERT of rows with parameters.
func bulkParams(rows int) string {
	var b strings.Builder
	b.WriteString("insert into t (id, name) values ")
	for i := range rows {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "($%d, $%d)", 2*i+1, 2*i+2)
	}
	return b.String()
}

// bulkIn has a list of n literals.
func bulkIn(n int) string {
	var b strings.Builder
	b.WriteString("select id from t where id in (0")
	for i := range n {
		fmt.Fprintf(&b, ", %d", i)
	}
	return b.String() + ")"
}

// TestErrorPositions: clients are told characters, whichever path found the error.
func TestErrorPositions(t *testing.T) {
	f := newFixture(t, startDuck(t))
	c := f.open()
	c.run(createT)
	for _, s := range []struct {
		text string
		want int
	}{
		{"select 'äö€', nope from t", 15},
		{"select 'äö€', nofunc(name) from t group by name", 15},
		{"/* ä */ insert into t (id, name) values (1, 'ö'), ('ü', 'x')", 52},
		{"/* ä */ insert into t (id, ö) values (1, 'ö')", 28},
		{"/* ä */ insert into t (id) values (1), ('ö'::int4)", 41},
		{"/* ä */ create table ü (ö int4 unique)", 32},
		{"/* ä */ selec", 9},
		{"/* ä */ show routing for ü", 27},
		{"/* ä */ show routing for t key 'ü'", 32},
		{"/* ä */ select 'ö'::serial", 21},
	} {
		p, err := c.session.Prepare(t.Context(), s.text, nil)
		if err == nil {
			_, err = c.session.Execute(t.Context(), p, nil, nullSink{})
		}
		var e *Error
		if !errors.As(err, &e) {
			t.Fatalf("%s: %v", s.text, err)
		}
		if e.Position != s.want {
			t.Errorf("%s: got %v at %d, want position %d", s.text, err, e.Position, s.want)
		}
	}
}

func BenchmarkBulk(b *testing.B) {
	for _, rows := range []int{1_000, 10_000, 50_000} {
		b.Run(fmt.Sprint("insert/", rows), func(b *testing.B) {
			f := newFixture(b, nil)
			c := f.open()
			c.run(createT)
			from := 0
			for b.Loop() {
				from += rows
				if got := c.run(bulkInsert(rows, from)); got != fmt.Sprint("INSERT 0 ", rows) {
					b.Fatal(got)
				}
			}
		})
		b.Run(fmt.Sprint("duplicate/", rows), func(b *testing.B) {
			f := newFixture(b, nil)
			c := f.open()
			c.run(createT)
			text := bulkInsert(rows, 0)
			c.run(text)
			for b.Loop() {
				if got := c.run(text); !strings.HasPrefix(got, "23505") {
					b.Fatal(got)
				}
			}
		})
		b.Run(fmt.Sprint("in/", rows), func(b *testing.B) {
			f := newFixture(b, nil)
			c := f.open()
			c.run(createT)
			text := bulkIn(rows)
			for b.Loop() {
				if got := c.run(text); got != "SELECT 0" {
					b.Fatal(got)
				}
			}
		})
		if rows > 30_000 {
			continue
		}
		b.Run(fmt.Sprint("params/", rows), func(b *testing.B) {
			f := newFixture(b, nil)
			c := f.open()
			c.run(createT)
			text := bulkParams(rows)
			base := 0
			for b.Loop() {
				p, err := c.session.Prepare(b.Context(), text, nil)
				if err != nil {
					b.Fatal(err)
				}
				args := make([]datum.Datum, 0, 2*rows)
				for i := range rows {
					args = append(args, datum.MakeInt(datum.Int8, int64(base+i)), datum.MakeText("x"))
				}
				base += rows
				if _, err := c.session.Execute(b.Context(), p, args, nullSink{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	for _, size := range []int{1 << 20, 10 << 20} {
		b.Run(fmt.Sprint("literal/", size), func(b *testing.B) {
			f := newFixture(b, nil)
			c := f.open()
			text := "select length('" + strings.Repeat("x", size) + "')"
			for b.Loop() {
				c.run(text)
			}
		})
	}
}
