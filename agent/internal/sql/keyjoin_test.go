package sql

import (
	"context"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/agenttest/seed"
)

// TestKeyJoinsReadEachWayByItself: rows and entries of an index that were read ahead of one
// table are told apart.
func TestKeyJoinsReadEachWayByItself(t *testing.T) {
	f, c := slowFixture(t)
	c.run("create table line (k int, j int, m int, x int, primary key (k, j))")
	c.run("create index on line (m) include (m, k, j, x) where k = 7")
	c.run("insert into line select g % 10, g, g % 3, g * 10 from generate_series(1, 60) g")
	c.run("create table head (id int primary key, k int)")
	c.run("insert into head values (1, 7), (2, 3), (3, 7)")
	c.run("create table part (id int primary key, t text)")
	c.run("insert into part select g, 't' || g from generate_series(1, 1000) g")
	for _, ids := range []string{"1, 2", "2, 3"} {
		before := f.db.sent
		got := c.sorted("select line.k, line.j, part.t from head join line on line.k = head.k join part on part.id = line.x where line.m = 1 and head.id in (" + ids + ")")
		if want := "3|13|t130\n3|43|t430\n7|37|t370\n7|7|t70\nSELECT 4"; got != want {
			t.Errorf("%s: got %s, want %s", ids, got, want)
		}
		if sent := f.db.sent - before; sent > 100 {
			t.Errorf("%s: scans gave %d rows", ids, sent)
		}
	}
}

// TestKeyJoinsLeaveOutNothing: what is made up of joins, subqueries and conditions answers the
// same as where the engine is told nothing of what rows matter, which OFFSET 0 around each
// table has.
func TestKeyJoinsLeaveOutNothing(t *testing.T) {
	const schemas, statements = 1, 150
	first := seed.Of(t)
	executor := startDuck(t)
	for n := range uint64(schemas) {
		f := newFixture(t, executor)
		g := &joinMaker{rnd: rand.New(rand.NewPCG(first+n, 3)), c: f.open()}
		g.schema()
		compared := 0
		for range statements {
			with, without := g.statement()
			a, b := g.answers(with), g.answers(without)
			if a == "" || b == "" {
				continue
			}
			compared++
			if a != b {
				t.Fatalf("seed %d\n%s\nanswers  %s\nwithout  %s\nof %s\n%s", first+n, with, a, b, without, strings.Join(g.made, ";\n"))
			}
		}
		if compared == 0 {
			t.Errorf("seed %d: nothing was compared", first+n)
		}
	}
}

// joinMaker makes up tables and statements that join them.
type joinMaker struct {
	rnd   *rand.Rand
	c     *client
	made  []string
	names int
	ctes  []string
	views []string
}

const joinTables = 6

var joinColumns = []struct{ name, typ, class string }{
	{"id", "int4", "int"}, {"a", "int4", "int"}, {"b", "int8", "int"}, {"c", "int2", "int"}, {"m", "few", "int"},
	{"s", "text", "text"}, {"v", "varchar(5)", "text"}, {"p", "char(3)", "char"}, {"n", "numeric(6,2)", "numeric"}, {"w", "numeric(8,3)", "numeric"},
	{"q", "numeric", "numeric"}, {"u", "uuid", "uuid"}, {"d", "date", "date"}, {"z", "timestamptz", "time"}, {"f", "float8", "float"}, {"e", "mood", "mood"},
}

func (g *joinMaker) one(of ...string) string { return of[g.rnd.IntN(len(of))] }
func (g *joinMaker) chance(percent int) bool { return g.rnd.IntN(100) < percent }

func (g *joinMaker) run(sql string) {
	g.made = append(g.made, sql)
	if out := g.c.run(sql); strings.HasPrefix(out, "42") || strings.HasPrefix(out, "0A") {
		g.c.t.Errorf("%s: %s", sql, out)
	}
}

// refused is what the engine cannot do, or has no memory for, in one of the two forms.
var refused = regexp.MustCompile("^(0A000|42883|5....) ")

// answers is what a statement answers, in order; "" if it is not carried out.
func (g *joinMaker) answers(sql string) string {
	if !strings.HasPrefix(sql, "SELECT") && !strings.HasPrefix(sql, "WITH") {
		g.c.run("BEGIN")
		defer g.c.run("ROLLBACK")
	}
	ctx, cancel := context.WithTimeout(g.c.t.Context(), time.Second)
	defer cancel()
	lines := strings.Split(g.c.runContext(ctx, sql), "\n")
	if ctx.Err() != nil || len(lines) == 1 && refused.MatchString(lines[0]) {
		return ""
	}
	slices.Sort(lines[:len(lines)-1])
	return strings.Join(lines, "\n")
}

// value is a literal for a column of a class.
func (g *joinMaker) value(class string) string {
	k := g.rnd.IntN(12)
	switch class {
	case "int":
		return strconv.Itoa(k)
	case "text", "char":
		return fmt.Sprintf("'%s'", []string{"a", "b", "ab", "", "B", "a ", "c", "d", "e", "f", "g", "h"}[k])
	case "numeric":
		return []string{"0", "1", "1.5", "2.00", "2", "3.25", "-1", "-1.50", "4", "5", "6.10", "7"}[k]
	case "uuid":
		return fmt.Sprintf("'00000000-0000-0000-0000-%012d'", k)
	case "date":
		return fmt.Sprintf("'2026-01-%02d'", k+1)
	case "time":
		return fmt.Sprintf("'2026-01-01 %02d:00:00+00'", k)
	case "float":
		return []string{"0", "-0", "'NaN'", "1", "2", "3", "4.5", "5", "'Infinity'", "7", "8", "9"}[k]
	default:
		return []string{"'sad'", "'ok'", "'happy'"}[k%3]
	}
}

func (g *joinMaker) schema() {
	g.run("CREATE TYPE mood AS ENUM ('happy', 'ok', 'sad')")
	g.run("CREATE DOMAIN few AS int4 CHECK (value < 100000)")
	for i := range joinTables {
		var columns []string
		for _, c := range joinColumns {
			columns = append(columns, c.name+" "+c.typ)
		}
		key := g.one("", "id", "id", "id", "s, id", "a, id", "a, id", "b, c, id", "d, id", "u, id")
		if key != "" {
			columns = append(columns, "PRIMARY KEY ("+key+")")
		}
		g.run(fmt.Sprintf("CREATE TABLE t%d (%s)", i, strings.Join(columns, ", ")))
		early := g.chance(50)
		if early {
			g.indexes(i)
		}
		rows := []int{0, 5, 12, 12, 20, 30}[g.rnd.IntN(6)]
		if i == 0 {
			rows = 1100
		}
		var values []string
		for r := range rows {
			one := []string{strconv.Itoa(r)}
			for _, c := range joinColumns[1:] {
				v := g.value(c.class)
				if g.chance(8) && !strings.Contains(key, c.name) {
					v = "NULL"
				}
				if rows > 100 && c.class == "int" && g.chance(70) && c.name != "c" {
					v = strconv.Itoa(g.rnd.IntN(4000))
				}
				one = append(one, v)
			}
			values = append(values, "("+strings.Join(one, ", ")+")")
		}
		for part := range slices.Chunk(values, 300) {
			g.run(fmt.Sprintf("INSERT INTO t%d VALUES %s", i, strings.Join(part, ", ")))
		}
		if !early {
			g.indexes(i)
		}
	}
	for i := range 2 {
		on, _ := g.query(nil, 2, true)
		view := fmt.Sprintf("CREATE VIEW v%d AS %s", i, strip(on))
		if g.made = append(g.made, view); g.c.run(view) == "CREATE VIEW" {
			g.views = append(g.views, fmt.Sprintf("«v%d»", i))
		}
	}
}

func (g *joinMaker) indexes(table int) {
	for range g.rnd.IntN(5) {
		var keys []string
		for range 1 + g.rnd.IntN(2) {
			c := joinColumns[g.rnd.IntN(len(joinColumns))]
			keys = append(keys, c.name+g.one("", "", "", " DESC"))
		}
		if len(keys) == 2 && keys[0][:1] == keys[1][:1] {
			keys = keys[:1]
		}
		sql := fmt.Sprintf("CREATE INDEX ON t%d (%s)", table, strings.Join(keys, ", "))
		if g.chance(30) {
			var all []string
			for _, c := range joinColumns {
				if !strings.Contains(strings.Join(keys, " "), c.name) {
					all = append(all, c.name)
				}
			}
			sql += " INCLUDE (" + strings.Join(all, ", ") + ")"
		}
		if g.chance(30) {
			c := joinColumns[g.rnd.IntN(5)]
			sql += " WHERE " + c.name + g.one(" IS NOT NULL", " = "+g.value(c.class), " > "+g.value(c.class))
		}
		g.run(sql)
	}
}

// item is what a FROM item is called, and its columns.
type joinItem struct {
	name    string
	columns []joinColumn
	target  bool
}

type joinColumn struct{ name, class string }

func allColumns() (out []joinColumn) {
	for _, c := range joinColumns {
		out = append(out, joinColumn{c.name, c.class})
	}
	return out
}

func (g *joinMaker) name() string {
	g.names++
	return fmt.Sprintf("x%d", g.names)
}

// strip is a statement as it is written, without marks; plain has OFFSET 0 around each table.
func strip(s string) string {
	return strings.NewReplacer("«", "", "»", "", "‹", "", "›", "").Replace(s)
}

func plainTables(s string) string {
	for {
		before, rest, found := strings.Cut(s, "«")
		if !found {
			break
		}
		name, after, _ := strings.Cut(rest, "»")
		s = before + "(SELECT * FROM " + name + " OFFSET 0)" + after
	}
	for {
		before, rest, found := strings.Cut(s, "‹")
		if !found {
			return s
		}
		name, after, _ := strings.Cut(rest, "›")
		s = before + "coalesce(" + name + ")" + after
	}
}

func (g *joinMaker) statement() (with, without string) {
	g.ctes, g.names = nil, 0
	var s string
	switch g.rnd.IntN(12) {
	case 0:
		target := joinItem{name: g.name(), columns: allColumns(), target: true}
		from, items := g.from([]joinItem{}, 2)
		s = fmt.Sprintf("UPDATE t%d %s SET a = 77 FROM %s WHERE %s RETURNING %s.id, %[2]s.s", g.rnd.IntN(joinTables), target.name, from, g.where(append(items, target), nil, 2, target), target.name)
	case 1:
		target := joinItem{name: g.name(), columns: allColumns(), target: true}
		s = fmt.Sprintf("DELETE FROM t%d %s WHERE %s RETURNING %s.id, %[2]s.s", g.rnd.IntN(joinTables), target.name, g.where([]joinItem{target}, nil, 2, target), target.name)
	default:
		with := ""
		if g.chance(25) {
			n := 1 + g.rnd.IntN(2)
			for i := range n {
				q, _ := g.query(nil, 2, true)
				name := fmt.Sprintf("cte%d", i)
				with += []string{"WITH ", ", "}[min(i, 1)] + name + g.one(" AS ", " AS MATERIALIZED ", " AS NOT MATERIALIZED ") + "(" + q + ")"
				g.ctes = append(g.ctes, name)
			}
			with += " "
		}
		q, _ := g.query(nil, 3, false)
		s = with + q
		if g.chance(10) {
			r, _ := g.query(nil, 2, true)
			l, _ := g.query(nil, 2, true)
			s = with + l + g.one(" UNION ", " UNION ALL ", " EXCEPT ", " INTERSECT ") + r
		}
	}
	return strip(s), plainTables(s)
}

// query is a SELECT; fixed has it give the columns id, a, s, b.
func (g *joinMaker) query(outer []joinItem, depth int, fixed bool) (string, []joinColumn) {
	from, items := g.from(outer, depth)
	var list []string
	var out []joinColumn
	if fixed {
		for _, c := range []joinColumn{{"id", "int"}, {"a", "int"}, {"s", "text"}, {"b", "int"}} {
			list, out = append(list, g.column(items, c.class)+" AS "+c.name), append(out, c)
		}
	} else {
		for i := range 1 + g.rnd.IntN(3) {
			class := g.one("int", "int", "text", "numeric", "date", "uuid", "time", "mood", "char", "float")
			name := fmt.Sprintf("c%d", i)
			c, ok := g.find(items, class)
			if !ok {
				class = "int"
				c = g.column(items, class)
			}
			list, out = append(list, c+" AS "+name), append(out, joinColumn{name, class})
		}
		if g.chance(20) && depth > 1 {
			sub, _ := g.scalar(append(slices.Clone(outer), items...), depth-1)
			list = append(list, sub+" AS sub")
		}
	}
	s := "SELECT " + strings.Join(list, ", ") + " FROM " + from
	if g.chance(85) {
		s += " WHERE " + g.where(items, outer, depth, joinItem{})
	}
	if g.chance(8) && !fixed {
		s = "SELECT count(*) AS c0 FROM " + from + " WHERE " + g.where(items, outer, depth, joinItem{})
		out = []joinColumn{{"c0", "int"}}
	}
	if g.chance(8) && fixed {
		s = strings.Replace(s, "SELECT", "SELECT DISTINCT", 1)
	}
	return s, out
}

func (g *joinMaker) scalar(outer []joinItem, depth int) (string, bool) {
	from, items := g.from(outer, depth)
	agg := g.one("count(*)", "max("+g.column(items, "int")+")", "min("+g.column(items, "int")+")")
	return "(SELECT " + agg + " FROM " + from + " WHERE " + g.where(items, outer, depth, joinItem{}) + ")", true
}

func (g *joinMaker) from(outer []joinItem, depth int) (string, []joinItem) {
	s, items := g.item(outer, depth)
	for g.chance(25) && len(items) < 4 {
		more, add := g.item(append(slices.Clone(outer), items...), depth-1)
		s, items = s+", "+more, append(items, add...)
	}
	return s, items
}

// item is a FROM item. What is on its left is in outer.
func (g *joinMaker) item(outer []joinItem, depth int) (string, []joinItem) {
	name := g.name()
	switch k := g.rnd.IntN(10); {
	case depth <= 0 || k < 3:
		return g.table(name)
	case k < 8:
		left, l := g.item(outer, depth-1)
		inside := append(slices.Clone(outer), l...)
		how := g.one("JOIN", "JOIN", "LEFT JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN")
		if how == "RIGHT JOIN" || how == "FULL JOIN" {
			inside = nil
		}
		right, r := g.item(inside, depth-1)
		all := append(slices.Clone(l), r...)
		if g.chance(15) {
			if shared := g.shared(l, r); shared != "" {
				return "(" + left + " " + how + " " + right + " USING (" + shared + "))", all
			}
		}
		on := g.equality(l, r)
		if how != "FULL JOIN" && g.chance(30) {
			on += " AND " + g.condition(all, nil, depth-1)
		}
		return "(" + left + " " + how + " " + right + " ON " + on + ")", all
	case k == 8:
		q, columns := g.query(nil, depth-1, g.chance(60))
		if g.chance(15) {
			q += " ORDER BY 1, 2 LIMIT 3"
			if len(columns) < 2 || strings.Contains(q, "count(*)") {
				q = strings.TrimSuffix(q, " ORDER BY 1, 2 LIMIT 3")
			} else {
				q = "SELECT DISTINCT * FROM (" + strings.TrimSuffix(q, " ORDER BY 1, 2 LIMIT 3") + ") lim"
			}
		}
		return "(" + q + ") " + name, []joinItem{{name: name, columns: columns}}
	default:
		if len(outer) == 0 || outer[0].target {
			return g.table(name)
		}
		q, columns := g.query(outer, depth-1, g.chance(60))
		return "LATERAL (" + q + ") " + name, []joinItem{{name: name, columns: columns}}
	}
}

func (g *joinMaker) table(name string) (string, []joinItem) {
	four := []joinColumn{{"id", "int"}, {"a", "int"}, {"s", "text"}, {"b", "int"}}
	if len(g.ctes) > 0 && g.chance(40) {
		return g.one(g.ctes...) + " " + name, []joinItem{{name: name, columns: four}}
	}
	if len(g.views) > 0 && g.chance(12) {
		return g.one(g.views...) + " " + name, []joinItem{{name: name, columns: four}}
	}
	return fmt.Sprintf("«t%d» %s", g.rnd.IntN(joinTables), name), []joinItem{{name: name, columns: allColumns()}}
}

// shared is a column that exactly one of each has.
func (g *joinMaker) shared(l, r []joinItem) string {
	if len(l) != 1 || len(r) != 1 {
		return ""
	}
	name := g.one("id", "a", "s", "b")
	has := func(i joinItem) bool {
		return slices.ContainsFunc(i.columns, func(c joinColumn) bool { return c.name == name })
	}
	if has(l[0]) && has(r[0]) {
		return name
	}
	return ""
}

func (g *joinMaker) find(items []joinItem, class string) (string, bool) {
	for range 20 {
		i := items[g.rnd.IntN(len(items))]
		c := i.columns[g.rnd.IntN(len(i.columns))]
		if c.class == class {
			if i.target {
				return "‹" + i.name + "." + c.name + "›", true
			}
			return i.name + "." + c.name, true
		}
	}
	return "", false
}

func (g *joinMaker) column(items []joinItem, class string) string {
	c, ok := g.find(items, class)
	if !ok && class == "int" {
		return "5"
	}
	if !ok {
		return "'a'"
	}
	return c
}

func (g *joinMaker) equality(l, r []joinItem) string {
	for range 10 {
		class := g.one("int", "int", "int", "int", "text", "text", "char", "numeric", "uuid", "date", "time", "float", "mood")
		a, okA := g.find(l, class)
		b, okB := g.find(r, class)
		if okA && okB && a != b {
			if g.chance(50) {
				a, b = b, a
			}
			return a + " = " + b
		}
	}
	return "true"
}

func (g *joinMaker) where(items, outer []joinItem, depth int, target joinItem) string {
	var parts []string
	if len(items) > 1 {
		for range g.rnd.IntN(3) {
			parts = append(parts, g.equality(items[:1], items[1:]))
		}
	}
	if target.name != "" && len(items) > 1 {
		parts = append(parts, g.equality([]joinItem{target}, items[:len(items)-1]))
	}
	if len(outer) > 0 {
		parts = append(parts, g.equality(items, outer))
	}
	if g.chance(60) {
		parts = append(parts, g.constant(items))
	}
	for range g.rnd.IntN(2) {
		parts = append(parts, g.condition(items, outer, depth-1))
	}
	if len(parts) == 0 {
		return g.constant(items)
	}
	return strings.Join(parts, " AND ")
}

func (g *joinMaker) constant(items []joinItem) string {
	class := g.one("int", "int", "int", "text", "date", "uuid", "numeric", "char", "mood")
	c, ok := g.find(items, class)
	if !ok {
		return g.column(items, "int") + " = " + g.value("int")
	}
	switch g.rnd.IntN(8) {
	case 0:
		return c + " IN (" + g.value(class) + ", " + g.value(class) + ")"
	case 1:
		return c + " BETWEEN " + g.value(class) + " AND " + g.value(class)
	case 2:
		return c + g.one(" < ", " > ", " <= ", " >= ") + g.value(class)
	case 3:
		return c + " IS NOT NULL"
	default:
		return c + " = " + g.value(class)
	}
}

func (g *joinMaker) condition(items, outer []joinItem, depth int) string {
	around := append(slices.Clone(outer), items...)
	k := g.rnd.IntN(10)
	if depth <= 0 && k > 4 {
		k = 0
	}
	switch k {
	case 0, 1:
		return g.constant(items)
	case 2:
		return g.column(items, "int") + " IS NULL"
	case 3:
		return g.equality(items, around)
	case 4:
		return "(" + g.constant(items) + " OR " + g.equality(items, around) + ")"
	case 5, 6:
		class := g.one("int", "int", "text", "uuid", "date", "numeric", "char")
		from, inner := g.from(around, depth)
		c, ok := g.find(inner, class)
		mine, mineOK := g.find(items, class)
		if !ok || !mineOK {
			return g.constant(items)
		}
		return mine + g.one(" IN ", " IN ", " NOT IN ", " = ANY ") + "(SELECT " + c + " FROM " + from + " WHERE " + g.where(inner, around, depth, joinItem{}) + ")"
	case 7, 8:
		from, inner := g.from(around, depth)
		return g.one("EXISTS ", "EXISTS ", "NOT EXISTS ") + "(SELECT 1 FROM " + from + " WHERE " + g.where(inner, around, depth, joinItem{}) + ")"
	default:
		sub, _ := g.scalar(around, depth)
		return g.column(items, "int") + " = " + sub
	}
}
