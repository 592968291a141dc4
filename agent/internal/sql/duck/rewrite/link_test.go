package rewrite

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// TestLinks: equalities of columns say which rows matter, and only those do that leave out no
// row that matters.
func TestLinks(t *testing.T) {
	table := func(name string) *Table {
		return &Table{Name: name, Columns: []TableColumn{
			{Name: "id", Type: datum.Int4, Modifier: -1}, {Name: "ref", Type: datum.Int8, Modifier: -1}, {Name: "x", Type: datum.Text, Modifier: -1},
		}}
	}
	resolve := func(_, name string) (*Table, bool) { return table(name), strings.Contains("abc", name) }
	for _, s := range []struct {
		sql  string
		want string // table.column<table.column, sorted
	}{
		{"select 1 from a join b on a.id = b.ref", "a.id<b.ref b.ref<a.id"},
		{"select 1 from a, b where a.id = b.ref and a.x = b.x", "a.id<b.ref a.x<b.x b.ref<a.id b.x<a.x"},
		{"select 1 from a left join b on a.id = b.ref", "b.ref<a.id"},
		{"select 1 from a right join b on a.id = b.ref", "a.id<b.ref"},
		{"select 1 from a full join b on a.id = b.ref", ""},
		{"select 1 from a left join b using (id)", "b.id<a.id"},
		{"select 1 from a full join b using (id)", ""},
		{"select 1 from a natural join b", "a.id<b.id a.ref<b.ref a.x<b.x b.id<a.id b.ref<a.ref b.x<a.x"},
		{"select 1 from a join b on a.id = b.ref or a.x = 'y'", ""},
		{"select 1 from a join b on not a.id = b.ref", ""},
		{"select 1 from a join b on a.id = b.ref + 1", ""},
		{"select 1 from a join b on a.x = b.id::text", ""},
		{"select (select count(*) from b where b.ref = a.id) from a", "b.ref<a.id"},
		{"select 1 from a where not exists (select 1 from b where b.ref = a.id)", "b.ref<a.id"},
		{"select 1 from a where id in (select ref from b)", "a.id<b.ref"},
		{"select 1 from a where id not in (select ref from b)", ""},
		{"select 1 from a where id in (select ref from b) or id = 1", ""},
		{"select 1 from a where id in (select ref from b union select id from c)", ""},
		{"select 1 from a where id in (select max(ref) from b)", ""},
		{"select 1 from a, lateral (select * from b where b.ref = a.id limit 1) s", "b.ref<a.id"},
		{"select 1 from a join (select * from b) s on s.ref = a.id", "a.id<b.ref b.ref<a.id"},
		{"select 1 from a join (select * from b limit 1) s on s.ref = a.id", "a.id<b.ref"},
		{"select 1 from a join (select distinct on (id) * from b) s on s.ref = a.id", "a.id<b.ref"},
		{"select 1 from a join (select ref, count(*) from b group by ref) s on s.ref = a.id", "a.id<b.ref"},
		{"select 1 from a join (select ref, row_number() over () from b) s on s.ref = a.id", "a.id<b.ref"},
		{"select 1 from a left join lateral (select a.id as q from b) s on s.q = 5", ""},
		{"with s as (select * from b) select 1 from a join s on s.ref = a.id", "a.id<b.ref"},
		{"with recursive s as (select id from a union all select b.id from b join s on b.ref = s.id) select 1 from c join s on c.ref = s.id", ""},
	} {
		_, got, err := rewriteWith(s.sql, resolve)
		if err != nil {
			t.Errorf("%s: %v", s.sql, err)
			continue
		}
		var links []string
		for _, scan := range got.Scans {
			for _, l := range scan.Links {
				from := got.Scans[l.From].Table
				links = append(links, fmt.Sprintf("%s.%s<%s.%s", scan.Table.Name, scan.Table.Columns[l.Column].Name, from.Name, from.Columns[l.FromColumn].Name))
			}
		}
		slices.Sort(links)
		if text := strings.Join(links, " "); text != s.want {
			t.Errorf("%s\n got %s\nwant %s", s.sql, text, s.want)
		}
	}
}

// TestConditionsReachThroughQueries: what is said of a column of a query in FROM is said of its
// table, where the query passes rows one by one.
func TestConditionsReachThroughQueries(t *testing.T) {
	for _, s := range []struct {
		sql  string
		want int
	}{
		{"select * from (select * from t) s where s.a = 1", 1},
		{"select * from (select a as b from (select * from t) u where a > 0) s where s.b = 1", 2},
		{"select * from (select * from t offset 1) s where s.a = 1", 0},
		{"select * from (select a, max(a) over () from t) s where s.a = 1", 0},
		{"select * from (select a, unnest(array[1, 2]) from t) s where s.a = 1", 0},
		{"select * from (select a from t union all select a from t) s where s.a = 1", 0},
		{"with s as (select * from t) select * from s where s.a = 1", 0},
		{"select * from t x left join (select * from t) s on s.a = 1", 1},
		{"select * from t x left join lateral (select x.a from t) s on s.a = 1", 0},
	} {
		_, got, err := rewriteText(s.sql)
		if err != nil {
			t.Errorf("%s: %v", s.sql, err)
			continue
		}
		n := 0
		for _, scan := range got.Scans {
			n += len(scan.Constraints)
		}
		if n != s.want {
			t.Errorf("%s: %d constraints, want %d", s.sql, n, s.want)
		}
	}
}
