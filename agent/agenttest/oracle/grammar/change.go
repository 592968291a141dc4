package grammar

// change is an INSERT, UPDATE or DELETE of chg.
func (g *Generator) change() *Node {
	g.depth = 1
	g.now.After = "select * from chg order by id"
	returning := func() *Node {
		out := list(" returning ", ", ", "", 0)
		if g.chance(0.6) {
			for range 1 + g.below(2) {
				out.Kids = append(out.Kids, g.expression(pick(g, allTypes), 1))
			}
		}
		return out
	}
	target := relation{"chg", "id", tables[5].columns}
	g.scope = &scope{relations: []relation{target}}
	defer func() { g.scope = nil }()
	switch g.below(3) {
	case 0:
		return g.insert(returning)
	case 1:
		sets := list(" set ", ", ", "", 1)
		from, where := optional(""), optional(" where ")
		if g.chance(0.3) {
			r, item := g.table()
			from = optional(" from ", item)
			where.Least = 1
			where.Kids = []*Node{text("", r.alias+"."+r.key+" = chg.id")}
			if r.key == "k" {
				where.Kids = []*Node{text("", r.alias+".id = chg.id")}
			}
			g.scope.relations = append(g.scope.relations, r)
		} else if g.chance(0.7) {
			where.Kids = []*Node{g.expression("bool", 2)}
		}
		for _, c := range []column{{"g", "int4"}, {"t", "text"}, {"n", "num"}, {"ts", "ts"}} {
			if g.chance(0.4) {
				sets.Kids = append(sets.Kids, g.set(c))
			}
		}
		if len(sets.Kids) == 0 {
			sets.Kids = append(sets.Kids, g.set(column{"g", "int4"}))
		}
		return seq("query", text("", "update chg"), sets, from, where, returning())
	}
	where := optional(" where ")
	using := optional("")
	if g.chance(0.3) {
		r, item := g.table()
		using = optional(" using ", item)
		g.scope.relations = append(g.scope.relations, r)
		where.Kids = []*Node{text("", r.alias+".id = chg.id")}
	} else if g.chance(0.8) {
		where.Kids = []*Node{g.expression("bool", 2)}
	}
	return seq("query", text("", "delete from chg"), using, where, returning())
}

func (g *Generator) set(c column) *Node {
	if g.chance(0.1) {
		return text("", c.name+" = default")
	}
	return seq("", text("", c.name+" = "), g.expression(c.typ, 2))
}

// insert is an INSERT of VALUES or of a query, with ON CONFLICT or without.
func (g *Generator) insert(returning func() *Node) *Node {
	own := g.scope
	g.scope = nil
	rows := list(" values ", ", ", "", 1)
	types := []string{"int4", "int4", "text", "num"}
	for range 1 + g.below(3) {
		row := list("(", ", ", ")", 4)
		row.Kids = append(row.Kids, text("", pick(g, []string{"1", "2", "5", "6", "7", "8", "100"})))
		for _, t := range types[1:] {
			if g.chance(0.1) {
				row.Kids = append(row.Kids, text("", "default"))
			} else {
				row.Kids = append(row.Kids, g.expression(t, 1))
			}
		}
		rows.Kids = append(rows.Kids, row)
	}
	if g.chance(0.3) {
		rows = seq("", text("", " "), g.body(types, false))
	}
	g.scope = own
	conflict := optional("")
	switch g.below(5) {
	case 0:
		conflict = optional(pick(g, []string{" on conflict do nothing", " on conflict (id) do nothing", " on conflict (t) do nothing", " on conflict on constraint chg_pkey do nothing"}), text("", ""))
	case 1, 2:
		sets := list(pick(g, []string{" on conflict (id)", " on conflict (id)", " on conflict (t)"})+" do update set ", ", ", "", 1)
		g.scope.relations = append(g.scope.relations, relation{"excluded", "id", tables[5].columns})
		for _, c := range []column{{"g", "int4"}, {"t", "text"}, {"n", "num"}} {
			if g.chance(0.5) || c.name == "g" {
				sets.Kids = append(sets.Kids, g.set(c))
			}
		}
		where := optional(" where ")
		if g.chance(0.3) {
			where.Kids = []*Node{g.expression("bool", 1)}
		}
		g.scope.relations = g.scope.relations[:1]
		conflict = optional("", seq("", sets, where))
	}
	return seq("query", text("", "insert into chg (id, g, t, n)"), rows, conflict, returning())
}
