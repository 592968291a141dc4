package grammar

import (
	"math/rand/v2"
	"slices"
)

// Statement is one that was made up.
type Statement struct {
	Node *Node
	// Ordered says that its rows have one order.
	Ordered bool
	// Rough says that sums of floating-point numbers are in it, whose order nobody decides.
	Rough bool
	// Lazy says that rows may be left out before or after something fails for them.
	Lazy bool
	// After is the query that shows what a change has done.
	After string
}

// Generator makes up statements.
type Generator struct {
	rng     *rand.Rand
	grammar *Grammar
	// weight says how seldom a production is taken, 1 if it is not there.
	weight map[*production]float64
	scope  *scope
	depth  int
	now    Statement
	names  int
	// ctes are the queries of WITH.
	ctes []relation
	// aliases are what the columns of the next query are called.
	aliases []string
}

// scope is what names mean within a query.
type scope struct {
	relations []relation
	outer     *scope
	// grouped are the expressions of GROUP BY: only they, and aggregates, can be seen.
	grouped []*Node
	isGroup bool
	// windows says that window functions can be called.
	windows bool
}

type relation struct {
	alias   string
	key     string // a column without duplicates
	columns []column
}

type column struct{ name, typ string }

// New makes a generator of one sequence of statements.
func New(grammar *Grammar, seed uint64) *Generator {
	return &Generator{rng: rand.New(rand.NewPCG(seed, seed)), grammar: grammar, weight: map[*production]float64{}} //nolint:gosec // repeatable
}

func (g *Generator) chance(p float64) bool { return g.rng.Float64() < p }

func (g *Generator) below(n int) int { return g.rng.IntN(n) }

func pick[T any](g *Generator, list []T) T { return list[g.rng.IntN(len(list))] }

// Productions are all that stand for scalars, by their names.
func (g *Generator) Productions() []string {
	var out []string
	for _, kind := range []productions{g.grammar.scalar, g.grammar.aggregate, g.grammar.window} {
		for _, t := range allTypes {
			for _, p := range kind[t] {
				out = append(out, p.name)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Seldom has a production be taken seldom.
func (g *Generator) Seldom(name string) {
	for _, kind := range []productions{g.grammar.scalar, g.grammar.aggregate, g.grammar.window} {
		for _, list := range kind {
			for _, p := range list {
				if p.name == name {
					g.weight[p] = 0.02
				}
			}
		}
	}
}

// choose takes one of the productions of a type; nil: there is none.
func (g *Generator) choose(list []*production) *production {
	for range 20 {
		if len(list) == 0 {
			return nil
		}
		p := pick(g, list)
		if w, ok := g.weight[p]; !ok || g.chance(w) {
			return p
		}
	}
	return nil
}

// Next makes up a statement.
func (g *Generator) Next() Statement {
	g.now, g.scope, g.names, g.ctes = Statement{}, nil, 0, nil
	switch p := g.rng.Float64(); {
	case p < 0.25:
		g.depth = 0
		g.now.Node = g.constants()
	case p < 0.45:
		g.depth = 0
		g.now.Node = g.rows()
	case p < 0.90:
		g.depth = 2
		g.now.Lazy = true
		g.now.Node = g.top()
	default:
		g.now.Node = g.change()
	}
	return g.now
}

// Only makes a statement of one production.
func (g *Generator) Only(name string) Statement {
	g.now, g.scope, g.names, g.ctes, g.depth = Statement{Ordered: true}, nil, 0, nil, 0
	kinds := []productions{g.grammar.scalar, g.grammar.aggregate, g.grammar.window}
	for k, kind := range kinds {
		for _, t := range allTypes {
			for _, p := range kind[t] {
				if p.name == name {
					g.now.Node = g.only(p, k)
					return g.now
				}
			}
		}
	}
	return g.now
}

func (g *Generator) only(p *production, kind int) *Node {
	if kind == 0 && g.chance(0.4) {
		return seq("query", list("select ", ", ", "", 1, g.fill(p, 0)))
	}
	from := g.begin(g.table())
	defer g.end()
	g.now.Lazy = kind > 0
	switch kind {
	case 1:
		return seq("query", list("select ", ", ", "", 1, g.fill(p, 0)), text("", " from "), from)
	case 2:
		return seq("query", list("select ", ", ", "", 1, g.fill(p, 0)), text("", " from "), from, text("", " order by "), g.order())
	}
	return seq("query", list("select ", ", ", "", 1, g.fill(p, 0)), text("", " from "), from, text("", " order by "), g.order())
}

// begin opens a scope over one relation and returns its text.
func (g *Generator) begin(r relation, item *Node) *Node {
	g.scope = &scope{outer: g.scope, relations: []relation{r}}
	return item
}

func (g *Generator) end() { g.scope = g.scope.outer }
