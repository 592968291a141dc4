package grammar

// expression makes one of a type.
func (g *Generator) expression(t string, depth int) *Node {
	s := g.scope
	if s != nil && s.isGroup {
		if n := g.grouped(t, depth); n != nil {
			return n
		}
	}
	if s != nil && s.windows && !s.isGroup && g.chance(0.25) {
		if p := g.choose(g.grammar.window[t]); p != nil {
			s.windows = false
			defer func() { s.windows = true }()
			return g.fill(p, 1)
		}
	}
	if depth <= 0 || g.chance(0.2) {
		return g.leaf(t)
	}
	if s != nil && g.depth > 0 && g.chance(0.06) {
		if n := g.subquery(t); n != nil {
			return n
		}
	}
	if p := g.choose(g.grammar.scalar[t]); p != nil {
		return g.fill(p, depth-1)
	}
	return g.leaf(t)
}

// leaf is a column or a literal.
func (g *Generator) leaf(t string) *Node {
	if g.scope != nil && !g.scope.isGroup && g.chance(0.75) {
		if c := g.column(t); c != nil {
			return c
		}
	}
	return g.literal(t)
}

// grouped is an aggregate or an expression of GROUP BY; nil: neither is there.
func (g *Generator) grouped(t string, depth int) *Node {
	s := g.scope
	if g.chance(0.4) {
		for _, i := range g.rng.Perm(len(s.grouped)) {
			if s.grouped[i].Class == t {
				return text(t, s.grouped[i].String())
			}
		}
	}
	if depth > 1 && g.chance(0.3) {
		return nil
	}
	p := g.choose(g.grammar.aggregate[t])
	if p == nil {
		return nil
	}
	s.isGroup = false
	windows, depthWas := s.windows, g.depth
	s.windows, g.depth = false, 0
	defer func() { s.isGroup, s.windows, g.depth = true, windows, depthWas }()
	if t == "f4" || t == "f8" {
		g.now.Rough = true
	}
	return g.fill(p, 1)
}

// fill makes an expression by a production.
func (g *Generator) fill(p *production, depth int) *Node {
	if g.scope != nil && len(g.scope.relations) > 0 && (p.result == "f4" || p.result == "f8") {
		g.now.Rough = true
	}
	n := &Node{Class: p.result, Text: make([]string, len(p.pieces))}
	copy(n.Text, p.pieces)
	chosen := map[string]string{}
	for _, gap := range p.gaps {
		n.Kids = append(n.Kids, g.gap(gap, depth, chosen))
	}
	if n.Text[0] == "" && n.Text[len(n.Text)-1] == "" || n.Text[0] != "" && n.Text[0][0] != '(' {
		n.Text[0] = "(" + n.Text[0]
		n.Text[len(n.Text)-1] += ")"
	} else if n.Text[0] == "" {
		n.Text[0] = "("
		n.Text[len(n.Text)-1] += ")"
	}
	return g.simple(n)
}

func (g *Generator) gap(gap string, depth int, chosen map[string]string) *Node {
	if words, ok := leaves[gap]; ok {
		return &Node{Class: "", Text: []string{pick(g, words)}, Simple: nil}
	}
	switch gap {
	case "T":
		return g.expression(pick(g, allTypes), depth)
	case "order":
		return g.order()
	}
	if gap[0] == '%' {
		t := gap[1:]
		if t == "D" {
			t = pick(g, []string{"int4", "text", "date", "int8"})
			if chosen[gap] != "" {
				t = chosen[gap]
			}
			chosen[gap] = t
		}
		if g.scope != nil {
			if c := g.column(t); c != nil {
				return c
			}
		}
		return g.literal(t)
	}
	return g.expression(gap, depth)
}
