package queryplan

import (
	"fmt"
	"strings"

	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
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
	lines := []string{s.Access.explain(s.Table)}
	switch {
	case s.Ordered && s.Reverse:
		lines[0] += " by key, backwards"
	case s.Ordered:
		lines[0] += " by key"
	}
	if s.Filter != nil {
		lines = append(lines, "  Filter")
	}
	if len(s.Sort) > 0 {
		lines = append(lines, "  Sort in memory")
	}
	if s.Lock != nil {
		lines = append(lines, "  Lock rows "+s.Lock.String())
	}
	if s.Count {
		lines = append(lines, "  Count")
	}
	if s.Limit != nil {
		lines = append(lines, "  Limit")
	}
	return lines
}

func (a *Access) explain(table *catalog.Table) string {
	switch {
	case a.ByKey():
		return fmt.Sprintf("Key lookup in %s", table.Name())
	case a.Bounded():
		return fmt.Sprintf("Range scan of %s", table.Name())
	default:
		return fmt.Sprintf("Full scan of %s", table.Name())
	}
}

func (i *Insert) explain() []string {
	lines := []string{"Insert into " + i.Table.Name()}
	if i.Conflict != nil {
		lines[0] += ", on conflict of the primary key " + map[bool]string{true: "do nothing", false: "update"}[i.Conflict.Set == nil]
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
		lines = append(lines, "  "+c.Access.explain(c.Table))
	}
	if c.Filter != nil {
		lines = append(lines, "    Filter")
	}
	return lines
}
