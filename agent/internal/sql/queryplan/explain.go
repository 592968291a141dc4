package queryplan

import (
	"fmt"
	"strings"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// Explain says in words how the plan is run.
func (p *Plan) Explain() []string {
	switch {
	case p.Select != nil:
		return p.Select.explain()
	case p.Slow != nil:
		return []string{"SQL engine over scans of: " + tableNames(p)}
	case p.Insert != nil:
		return p.Insert.explain()
	case p.Instead != nil:
		return []string{"INSTEAD OF " + p.Instead.Event + " triggers of " + p.Instead.View.Name()}
	default:
		return p.Change.explain()
	}
}

func tableNames(p *Plan) string {
	if len(p.Tables) == 0 {
		return "the tables that it names"
	}
	names := make([]string, len(p.Tables))
	for i, t := range p.Tables {
		names[i] = t.Name()
	}
	return strings.Join(names, ", ")
}

func (s *Select) explain() []string {
	if s.Table == nil {
		return []string{"Result"}
	}
	if s.Group != nil && s.Group.Ends != nil {
		lines := []string{"Result"}
		for _, end := range s.Group.Ends {
			for _, l := range end.explain() {
				lines = append(lines, "  "+l)
			}
		}
		return lines
	}
	lines := s.Access.explain(s.Table, s.Reverse)
	switch {
	case s.Access.Index != nil:
	case s.Ordered && s.Reverse:
		lines[0] += " by key, backwards"
	case s.Ordered:
		lines[0] += " by key"
	}
	switch {
	case s.Filter == nil:
	case s.Program != nil && s.Group == nil:
		lines = append(lines, "  Filter on data nodes")
	default:
		lines = append(lines, "  Filter")
	}
	if len(s.rowOrder()) > 0 {
		lines = append(lines, "  Sort in memory")
	}
	if s.Lock != nil {
		lines = append(lines, "  Lock rows "+s.Lock.String())
	}
	if s.Group != nil {
		lines = s.explainGroup(lines)
		if len(s.Sort) > 0 {
			lines = append(lines, "  Sort in memory")
		}
	}
	if s.Limit != nil {
		lines = append(lines, "  Limit")
	}
	return lines
}

// explainGroup says that the rows above are added up, and where.
func (s *Select) explainGroup(lines []string) []string {
	by := ""
	if len(s.Group.By) > 0 {
		by = "Group"
	}
	if s.Program == nil {
		return append(lines, "  "+by+"Aggregate")
	}
	return append(lines, "  Partial "+by+"Aggregate on data nodes", "  Finalize "+by+"Aggregate")
}

func (a *Access) explain(table *catalog.Table, reverse bool) []string {
	switch {
	case a.Index != nil:
		return a.explainIndex(table, reverse)
	case a.ByKey():
		return []string{fmt.Sprintf("Key lookup in %s", table.Name())}
	case a.Bounded():
		return []string{fmt.Sprintf("Range scan of %s", table.Name())}
	default:
		return []string{fmt.Sprintf("Full scan of %s", table.Name())}
	}
}

func (a *Access) explainIndex(table *catalog.Table, reverse bool) []string {
	what := "Index Scan"
	if a.Covering {
		what = "Index Only Scan"
	}
	if reverse {
		what += " Backward"
	}
	lines := []string{fmt.Sprintf("%s using %s on %s", what, a.Index.Index.Name(), table.Name())}
	if a.Recheck != "" {
		return append(lines, "  Index Cond: "+a.Recheck, "  Recheck Cond: "+a.Recheck)
	}
	if parts := a.conditions(table); len(parts) == 1 {
		lines = append(lines, "  Index Cond: "+parts[0])
	} else if len(parts) > 1 {
		lines = append(lines, "  Index Cond: ("+strings.Join(parts, " AND ")+")")
	}
	return lines
}

// conditions are what the entries have to be, in words.
func (a *Access) conditions(table *catalog.Table) []string {
	over := func(n int) string {
		c := a.Index.Index.Columns[n]
		if c.Column < 0 {
			return syntax.NameFunctions(c.Expression, func(id uint64) (string, bool) {
				f := table.Functions[cluster.ObjectID(id)]
				if f == nil {
					return "", false
				}
				return syntax.QuoteIdent(f.Object.Name), true
			})
		}
		return table.Columns[c.Column].Name
	}
	var out []string
	for n := range a.Points {
		k := &a.Points[n]
		switch {
		case k.single():
			out = append(out, fmt.Sprintf("(%s = %s)", over(n), valueText(k.values[0])))
		case k.array != nil:
			out = append(out, fmt.Sprintf("(%s = ANY (%s))", over(n), valueText(k.array)))
		default:
			out = append(out, fmt.Sprintf("(%s = ANY (%s))", over(n), valueTexts(k.values)))
		}
	}
	for n, e := range a.Prefix {
		out = append(out, fmt.Sprintf("(%s = %s)", over(n), valueText(e)))
	}
	for _, b := range []struct {
		*bound
		op string
	}{{a.Lower, ">"}, {a.Upper, "<"}} {
		if b.bound == nil {
			continue
		}
		if b.inclusive {
			b.op += "="
		}
		out = append(out, fmt.Sprintf("(%s %s %s)", over(len(a.Prefix)), b.op, valueText(b.value)))
	}
	return out
}

func valueTexts(list []Expr) string {
	texts := make([]string, len(list))
	for i, v := range list {
		texts[i] = valueText(v)
	}
	return strings.Join(texts, ", ")
}

// valueText is a value of a condition, as far as it is known before the statement runs.
func valueText(e Expr) string {
	switch e := plain(e).(type) {
	case *Param:
		return fmt.Sprintf("$%d", e.Index+1)
	case *Const:
		switch {
		case e.Value.Null:
			return "NULL"
		case e.Value.Type.IsNumber():
			return e.Value.Text()
		default:
			return "'" + strings.ReplaceAll(e.Value.Text(), "'", "''") + "'::" + e.Value.Type.SQLName()
		}
	}
	return "a value of the statement"
}

func (i *Insert) explain() []string {
	lines := []string{"Insert into " + i.Table.Name()}
	if i.Conflict != nil {
		lines[0] += ", on conflict of " + i.Conflict.explain() + " " + map[bool]string{true: "do nothing", false: "update"}[i.Conflict.Set == nil]
	}
	switch {
	case i.Select != nil:
		for _, l := range i.Select.explain() {
			lines = append(lines, "  "+l)
		}
	case i.Slow != nil:
		lines = append(lines, "  SQL engine")
	default:
		lines = append(lines, fmt.Sprintf("  %d rows of values", len(i.Rows)))
	}
	return lines
}

func (c *Conflict) explain() string {
	switch {
	case len(c.Indexes) == 0:
		return "the primary key"
	case c.Primary:
		return "any key"
	default:
		return c.Indexes[0].Index.Name()
	}
}

func (c *Change) explain() []string {
	verb := "Update "
	if c.Delete {
		verb = "Delete from "
	}
	lines := []string{verb + c.Table.Name()}
	if c.Slow != nil {
		return append(lines, "  SQL engine")
	}
	if c.Keys != nil {
		lines = append(lines, "  Keys of:")
		for _, l := range c.Keys.Select.explain() {
			lines = append(lines, "    "+l)
		}
	} else {
		for _, l := range c.Access.explain(c.Table, false) {
			lines = append(lines, "  "+l)
		}
	}
	if c.Filter != nil {
		lines = append(lines, "    Filter")
	}
	return lines
}
