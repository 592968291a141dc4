package grammar

import (
	"fmt"
	"slices"
)

// from is FROM with one to three relations, which it adds to the scope.
func (g *Generator) from() *Node {
	if g.chance(0.04) {
		g.scope.relations = nil
		return optional("")
	}
	r, first := g.item(false)
	g.scope.relations = append(g.scope.relations, r)
	out := seq("", text("", " from "), first)
	joins := list("", "", "", 0)
	for g.depth > 0 && len(joins.Kids) < 2 && g.chance(0.4) {
		joins.Kids = append(joins.Kids, g.join())
	}
	out.Kids, out.Text = append(out.Kids, joins), append(out.Text, "")
	return out
}

// item is a table, a query of WITH, a subquery or a function.
func (g *Generator) item(lateral bool) (relation, *Node) {
	switch p := g.rng.Float64(); {
	case p < 0.25 && len(g.ctes) > 0:
		r := pick(g, g.ctes)
		name := r.alias
		r.alias = g.alias("t")
		return r, text("", name+" as "+r.alias)
	case p < 0.35 && g.depth > 0:
		name := g.alias("q")
		hidden := g.scope.relations
		word := "("
		if lateral && g.chance(0.5) {
			word = "lateral ("
		} else {
			g.scope.relations = nil
		}
		r, query := g.derived(name)
		g.scope.relations = hidden
		return r, seq("", text("", word), query, text("", ") as "+name))
	case p < 0.43:
		return g.function()
	}
	return g.table()
}

// function is a function in FROM.
func (g *Generator) function() (relation, *Node) {
	name := g.alias("f")
	series := pick(g, []string{"(1, 5)", "(3, 1, -1)", "(0, 10, 3)", "(2, 1)", "(-2, 2)"})
	switch g.below(6) {
	case 0:
		return relation{name, "", columns("a int4 b text")}, text("", "unnest(array[1,2,2,null], array['x','y','z']) as "+name+"(a, b)")
	case 1:
		return relation{name, "", columns("v text ord int8")}, text("", "unnest(array['x','y',null]) with ordinality as "+name+"(v, ord)")
	case 2:
		return relation{name, "", columns("a int4 b text")}, text("", fmt.Sprintf("(values (1, 'one'), (2, 'two'), (3, null)) as %s(a, b)", name))
	case 3:
		return relation{name, "", columns("key text value jsonb")}, text("", `jsonb_each('{"a": 1, "b": [true, null]}') as `+name)
	}
	return relation{name, "", columns("v int4")}, text("", "generate_series"+series+" as "+name+"(v)")
}

// join adds a relation to those that there are.
func (g *Generator) join() *Node {
	kind := pick(g, []string{" join ", " join ", " left join ", " left join ", " right join ", " full join ", " cross join ", ", "})
	before := slices.Clone(g.scope.relations)
	r, item := g.item(kind != " right join " && kind != " full join ")
	g.scope.relations = append(g.scope.relations, r)
	if kind == " cross join " || kind == ", " {
		return seq("", text("", kind), item)
	}
	on := g.equal(before, r)
	if on == nil || kind != " full join " && g.chance(0.25) {
		if kind == " full join " {
			kind = " left join "
		}
		on = g.expression("bool", 1)
	}
	return seq("", text("", kind), item, text("", " on "), on)
}

// equal is a condition that two columns are; nil: none are of one type.
func (g *Generator) equal(before []relation, r relation) *Node {
	var pairs []string
	for _, l := range before {
		for _, a := range l.columns {
			for _, b := range r.columns {
				if a.typ == b.typ && comparable(a.typ) {
					pairs = append(pairs, l.alias+"."+a.name+" = "+r.alias+"."+b.name)
				}
			}
		}
	}
	if len(pairs) == 0 {
		return nil
	}
	return text("", pick(g, pairs))
}
