package sql

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// bulk is a statement of n literals or parameters.
type bulk struct {
	name string
	text func(n int) string
	// other gives parameters a type that the statement does not want.
	other bool
}

func bulks() []bulk {
	return []bulk{
		{name: "insert", text: func(n int) string {
			return "insert into t (id, name) values " + listOf(n/2, "(%[1]d, 'row %[1]d')") + " on conflict do nothing"
		}},
		{name: "params", text: func(n int) string {
			return "insert into t (id, name) values " + listOf(n, "($%d, 'x')") + " on conflict do nothing"
		}},
		{name: "pairs", text: func(n int) string { // 16,000 rows of two parameters are the most that fit
			rows := make([]string, n/2)
			for i := range rows {
				rows[i] = fmt.Sprintf("($%d, $%d)", 2*i+1, 2*i+2)
			}
			return "insert into t (id, name) values " + strings.Join(rows, ", ") + " on conflict do nothing"
		}},
		{name: "other types", other: true, text: func(n int) string {
			return "insert into t (id, name) values " + listOf(n, "($%d, 'x')") + " on conflict do nothing"
		}},
		{name: "duplicate", text: func(n int) string {
			return "insert into t (id, name) values (1, 'x'), " + listOf(n/2, "(%[1]d, 'row %[1]d')")
		}},
		{name: "in", text: func(n int) string { return "select id from t where id in (" + listOf(n, "-%d") + ")" }},
		{name: "in params", text: func(n int) string { return "select id from t where id in (" + listOf(n, "$%d") + ")" }},
		{name: "slow in", text: func(n int) string { return "select count(*) from t where id in (" + listOf(n, "%d") + ") group by n" }},
		{name: "slow in params", text: func(n int) string { return "select count(*) from t where id in (" + listOf(n, "$%d") + ") group by n" }},
		{name: "values", text: func(n int) string { return "values " + listOf(n, "($%d::text)") }},
		{name: "long literal", text: func(n int) string { return "select length('" + strings.Repeat("ä", 100*n) + "')" }},
	}
}

// listOf writes n items, each with its number from 1, with commas between.
func listOf(n int, format string) string {
	items := make([]string, n)
	for i := range items {
		items[i] = fmt.Sprintf(format, i+1)
	}
	return strings.Join(items, ", ")
}

// run prepares and executes the statement. A duplicate key is no failure.
func (s *bulk) run(t testing.TB, c *client, text string) {
	p, err := c.session.Prepare(t.Context(), text, nil)
	if err != nil {
		t.Fatalf("%s: %v", s.name, err)
	}
	args := make([]datum.Datum, len(p.ParamOIDs))
	for i := range args {
		typ, _ := datum.TypeByOID(p.ParamOIDs[i])
		switch args[i] = datum.MakeInt(typ, int64(i+1)); {
		case typ == datum.Text:
			args[i] = datum.MakeText("x")
		case s.other:
			args[i] = datum.MakeInt(datum.Int4, int64(i+1))
		}
	}
	var e *Error
	if _, err := c.session.Execute(t.Context(), p, args, nullSink{}); err != nil && (!errors.As(err, &e) || e.Code != "23505") {
		t.Fatalf("%s: %v", s.name, err)
	}
}

// TestBulkIsLinear: four times the literals or parameters take about four times the
// memory, all that was allocated on the way included: nothing is copied for each.
func TestBulkIsLinear(t *testing.T) {
	f := newFixture(t, startDuck(t))
	c := f.open()
	c.run(createT)
	for _, s := range bulks() {
		allocated := func(n int) uint64 {
			text := s.text(n)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			s.run(t, c, text)
			runtime.ReadMemStats(&after)
			return after.TotalAlloc - before.TotalAlloc
		}
		if few, many := allocated(2000), allocated(8000); many > 6*few { // the texts are too long to be kept
			t.Errorf("%s: %d bytes for 2,000, %d for 8,000", s.name, few, many)
		}
	}
}

// TestErrorPositions: clients are told characters, whichever path found the error.
func TestErrorPositions(t *testing.T) {
	f := newFixture(t, startDuck(t))
	c := f.open(func(o *SessionOptions) { o.User = "root" }) // may see the routing
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
		{"/* ä */ create table ü (ö int4, exclude (ö with =))", 33},
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
	for _, s := range bulks() {
		for _, n := range []int{1_000, 10_000, 60_000} {
			b.Run(fmt.Sprint(s.name, "/", n), func(b *testing.B) {
				f := newFixture(b, startDuck(b))
				c := f.open()
				c.run(createT)
				text := s.text(n)
				for b.Loop() {
					s.run(b, c, text)
				}
			})
		}
	}
}
