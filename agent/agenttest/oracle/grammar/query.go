package grammar

import (
	"fmt"
	"slices"
	"strings"
)

// tables are those of schema.sql.
var tables = []relation{
	{"num", "id", columns("id int4 i2 int2 i4 int4 i8 int8 n num n2 num f4 f4 f8 f8 b bool")},
	{"txt", "id", columns("id int8 t text v vc c char y bytea u uuid e mood g int4")},
	{"dat", "id", columns("id int4 d date tm time ts ts tz tstz iv iv")},
	{"doc", "k", columns("k text id int4 j json b jsonb ia ia ta ta")},
	{"emp", "id", columns("id int4 i4 int4 t text n num d date")},
	{"chg", "id", columns("id int4 g int4 t text n num ts ts")},
	{"big", "id", columns("id int4 g int4 t text n num d date")},
}

func columns(s string) []column {
	words := strings.Fields(s)
	var out []column
	for i := 0; i < len(words); i += 2 {
		out = append(out, column{words[i], words[i+1]})
	}
	return out
}

func (g *Generator) alias(prefix string) string {
	g.names++
	return fmt.Sprint(prefix, g.names)
}

// table is one of the tables under a name of its own.
func (g *Generator) table() (relation, *Node) {
	r := pick(g, tables)
	if g.depth > 0 && r.alias == "big" && g.chance(0.5) {
		r = tables[0]
	}
	name := r.alias
	r.alias = g.alias("t")
	return r, text("", name+" "+r.alias)
}

// constants is a SELECT without FROM.
func (g *Generator) constants() *Node {
	g.now.Ordered = true
	targets := list("select ", ", ", "", 1)
	for range 1 + g.below(3) {
		targets.Kids = append(targets.Kids, g.expression(pick(g, allTypes), 2))
	}
	return seq("query", targets)
}

// rows is a SELECT of expressions over the rows of one table.
func (g *Generator) rows() *Node {
	r, item := g.table()
	g.begin(r, item)
	defer g.end()
	targets := list("select ", ", ", "", 1)
	for range 1 + g.below(3) {
		targets.Kids = append(targets.Kids, g.expression(pick(g, allTypes), 2))
	}
	where := optional(" where ")
	switch p := g.rng.Float64(); {
	case p < 0.25:
		key := pick(g, literals["int4"][:6])
		if r.key == "k" {
			key = pick(g, []string{"'one'", "'two'", "'ten'", "'x'"})
		}
		where.Kids = []*Node{text("", r.alias+"."+r.key+" = "+key)}
	case p < 0.6:
		g.now.Lazy = true
		where.Kids = []*Node{g.expression("bool", 2)}
	}
	g.now.Ordered = true
	return seq("query", targets, seq("", text("", " from "), item), where, text("", " order by "+r.alias+"."+r.key))
}

// top is a query with WITH, and in one order if that can be said.
func (g *Generator) top() *Node {
	with := optional("with ")
	g.scope = &scope{}
	defer func() { g.scope = nil }()
	if g.chance(0.2) {
		with = g.with()
	}
	types := g.types(1 + g.below(4))
	body := g.body(types, true)
	return seq("query", with, body, g.tail(types, true))
}

// types draws those of the columns of a query.
func (g *Generator) types(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = pick(g, allTypes)
		if g.chance(0.5) {
			out[i] = pick(g, []string{"int4", "text", "int8", "num", "bool", "date"})
		}
	}
	return out
}

// tail is ORDER BY all columns, LIMIT and OFFSET. That of the statement's own may be left
// out: rows are compared in any order then.
func (g *Generator) tail(types []string, own bool) *Node {
	if slices.ContainsFunc(types, func(t string) bool { return !comparable(t) }) || own && g.chance(0.4) {
		return optional("")
	}
	var keys []string
	for _, i := range g.rng.Perm(len(types)) {
		keys = append(keys, fmt.Sprint(i+1)+pick(g, []string{"", "", " desc", " asc nulls first", " desc nulls last", " nulls last"}))
	}
	all := slices.IndexFunc(types, func(t string) bool { return !distinct(t) }) < 0
	order := text("", " order by "+strings.Join(keys, ", "))
	limit := optional("")
	if all && g.chance(0.5) {
		limit = optional(pick(g, []string{" limit 1", " limit 3", " limit 5 offset 2", " offset 1", " limit 0", " offset 100", " limit all", " fetch first 2 rows only"}), text("", ""))
	}
	if own {
		g.now.Ordered = all
	}
	return optional("", seq("", order, limit))
}

// with makes WITH of one or two queries, which become relations of their own.
func (g *Generator) with() *Node {
	out := list("with ", ", ", " ", 0)
	if g.chance(0.35) {
		name := g.alias("r")
		step := pick(g, []string{"n + 1", "n * 2", "n + 3"})
		out.Text[0] = "with recursive "
		union := pick(g, []string{"union all", "union"})
		out.Kids = append(out.Kids, text("", fmt.Sprintf("%s(n, s) as (select 1, 'x'::text %s select %s, s || 'y' from %s where n < %d)", name, union, step, name, 2+g.below(8))))
		g.ctes = append(g.ctes, relation{name, "", columns("n int4 s text")})
	}
	for range 1 + g.below(2) {
		r, query := g.derived(g.alias("w"))
		materialized := pick(g, []string{" as (", " as (", " as materialized (", " as not materialized ("})
		out.Kids = append(out.Kids, seq("", text("", r.alias+materialized), query, text("", ")")))
		g.ctes = append(g.ctes, r)
	}
	return out
}

// derived is a query whose columns have names.
func (g *Generator) derived(name string) (relation, *Node) {
	types := g.types(1 + g.below(3))
	g.depth--
	defer func() { g.depth++ }()
	r := relation{alias: name}
	aliased := make([]string, len(types))
	for i, t := range types {
		aliased[i] = fmt.Sprint("c", i)
		r.columns = append(r.columns, column{aliased[i], t})
	}
	g.aliases = aliased
	query := g.body(types, g.chance(0.3))
	g.aliases = nil
	return r, seq("query", query, g.tailIf(types, 0.3))
}

func (g *Generator) tailIf(types []string, p float64) *Node {
	if g.chance(p) {
		return g.tail(types, false)
	}
	return optional("")
}

// body is a query without ORDER BY: a set operation, VALUES or a SELECT.
func (g *Generator) body(types []string, sets bool) *Node {
	aliases := g.aliases
	g.aliases = nil
	if sets && g.chance(0.2) {
		op := pick(g, []string{" union all ", " union ", " intersect ", " except ", " except all ", " intersect all "})
		if !slices.ContainsFunc(types, func(t string) bool { return !distinct(t) || !comparable(t) }) || op == " union all " {
			g.depth--
			defer func() { g.depth++ }()
			g.aliases = aliases
			left := g.body(types, g.depth > 0)
			return seq("body", left, text("", op), g.body(types, false))
		}
	}
	if aliases == nil && g.chance(0.05) {
		return g.values(types)
	}
	return g.block(types, aliases)
}

func (g *Generator) values(types []string) *Node {
	out := list("values ", ", ", "", 1)
	for range 1 + g.below(3) {
		row := list("(", ", ", ")", len(types))
		for _, t := range types {
			row.Kids = append(row.Kids, g.expression(t, 1))
		}
		out.Kids = append(out.Kids, row)
	}
	return out
}

// block is SELECT ... FROM ... WHERE ... GROUP BY ... HAVING.
func (g *Generator) block(types, aliases []string) *Node {
	g.scope = &scope{outer: g.scope}
	defer g.end()
	from := g.from()
	where := optional(" where ")
	if g.chance(0.4) {
		where.Kids = []*Node{g.expression("bool", 2)}
	}
	group, having := optional(""), optional(" having ")
	distinctly := ""
	switch p := g.rng.Float64(); {
	case p < 0.35:
		group = g.group()
		if g.chance(0.3) {
			having.Kids = []*Node{g.expression("bool", 2)}
		}
	case p < 0.55:
		g.scope.windows = true
	case p < 0.65 && !slices.ContainsFunc(types, func(t string) bool { return !distinct(t) || !comparable(t) }):
		distinctly = "distinct "
	}
	targets := list("select "+distinctly, ", ", "", 1)
	for i, t := range types {
		n := g.expression(t, 2)
		if aliases != nil {
			n = &Node{Text: []string{"", " as " + aliases[i]}, Kids: []*Node{n}}
		}
		targets.Kids = append(targets.Kids, n)
	}
	return seq("body", targets, from, where, group, having)
}

// group is GROUP BY, or nothing where aggregates are of all rows.
func (g *Generator) group() *Node {
	var keys []*Node
	for range g.below(3) {
		t := pick(g, []string{"int4", "text", "bool", "date", "int8", "mood", "int2"})
		n := g.column(t)
		if g.chance(0.3) || n == nil {
			if n = g.expression(t, 1); len(n.Kids) == 0 { // a constant is a position
				n = seq(t, text("", "("), n, text("", ")"))
			}
		}
		keys = append(keys, n)
	}
	g.scope.isGroup, g.scope.grouped = true, keys
	if len(keys) == 0 {
		return optional("")
	}
	begin, end := " group by ", ""
	if len(keys) > 1 {
		begin, end = pick(g, []string{" group by ", " group by ", " group by rollup (", " group by cube (", " group by grouping sets ((), "}), ")"
		if begin == " group by " {
			end = ""
		}
	}
	return list(begin, ", ", end, 0, keys...)
}

// subquery is one that stands for a value.
func (g *Generator) subquery(t string) *Node {
	g.depth--
	defer func() { g.depth++ }()
	was := *g.scope
	defer func() { *g.scope = was }()
	if t == "bool" {
		c := pick(g, []string{"int4", "text", "date", "int8"})
		switch g.below(3) {
		case 0:
			return g.simple(seq("bool", text("", pick(g, []string{"exists (", "not exists ("})), g.body([]string{c}, false), text("", ")")))
		case 1:
			left := g.expression(c, 1)
			return g.simple(seq("bool", text("", "("), left, text("", pick(g, []string{" in (", " not in (", " = any (", " < all (", " >= any ("})), g.body([]string{c}, false), text("", "))")))
		}
	}
	if (t == "ia" || t == "ta") && g.chance(0.5) {
		element := map[string]string{"ia": "int4", "ta": "text"}[t]
		return g.simple(seq(t, text("", "array("), g.body([]string{element}, false), text("", " order by 1)")))
	}
	g.scope = &scope{outer: g.scope}
	from := g.from()
	g.scope.isGroup = true
	p := g.choose(g.grammar.aggregate[t])
	var value *Node
	if p != nil {
		g.scope.isGroup = false
		value = g.fill(p, 1)
	}
	g.end()
	if value == nil {
		return nil
	}
	return g.simple(seq(t, text("", "(select "), value, from, text("", ")")))
}
