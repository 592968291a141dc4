package rewrite

import (
	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// In t.id the engine takes t for a column of an inner query before it looks for a table of a
// query around it, which is what PostgreSQL means. Tables whose names are so shadowed have
// others in the statement that the engine runs.

// otherName begins the name that a shadowed table has.
const otherName = "nd_of_"

// shadowed notes that a name of a table in a query around this one is also that of a column here.
func (r *rewriter) shadowed(names []string) {
	if len(names) < 2 {
		return
	}
	name := names[len(names)-2]
	for s := r.scope; s != nil; s = s.parent {
		column := false
		for _, rel := range s.relations {
			if rel.name == name {
				return
			}
			_, has := rel.column(name)
			column = column || has || !rel.known
		}
		if column && s.parent.relation(name) != nil {
			r.shadows[ident(name)] = true
			return
		}
	}
}

// unshadow gives tables of such names others.
func (r *rewriter) unshadow(tree *pg.SelectStmt) {
	if len(r.shadows) == 0 {
		return
	}
	alias := func(a *pg.Alias) {
		if a != nil && r.shadows[a.Aliasname] {
			a.Aliasname = otherName + a.Aliasname
		}
	}
	var look func(m protoreflect.Message)
	look = func(m protoreflect.Message) {
		switch x := m.Interface().(type) {
		case *pg.RangeVar:
			if x.Alias == nil && r.shadows[x.Relname] {
				x.Alias = &pg.Alias{Aliasname: x.Relname}
			}
		case *pg.Alias:
			alias(x)
			return
		case *pg.ColumnRef:
			if at := len(x.Fields) - 2; at >= 0 {
				if name := x.Fields[at].GetString_(); r.shadows[name.GetSval()] {
					x.Fields = []*pg.Node{str(otherName + name.Sval), x.Fields[at+1]}
				}
			}
		}
		children(m, look)
	}
	look(tree.ProtoReflect())
}
