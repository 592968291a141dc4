package queryplan

import (
	"fmt"
	"strings"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/duck"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// Explain says how the plan is run.
func (p *Plan) Explain() *Step {
	switch {
	case p.With != nil:
		return p.With.explain()
	case p.Select != nil:
		return p.Select.explain()
	case p.Slow != nil:
		return explainSlow(p.Slow)
	case p.Insert != nil:
		return p.Insert.explain()
	case p.Instead != nil:
		return step("Instead Of", "INSTEAD OF "+p.Instead.Event+" triggers of "+p.Instead.View.Name()).
			with("Operation", p.Instead.Event).with("Relation Name", p.Instead.View.Name())
	case p.Merge != nil:
		return p.Merge.explain()
	case p.Call != nil:
		return step("Call", "Call of a procedure")
	default:
		return p.Change.explain()
	}
}

// explainSlow says how the engine's tables are read. How many rows they are joined to is not
// known before it runs: if these are too many, the whole table is read.
func explainSlow(slow duck.Prepared) *Step {
	out := step("SQL Engine", "SQL engine")
	scans := slow.TableScans()
	joins, err := explainJoins(scans)
	if err != nil {
		return out
	}
	for slot := range scans {
		if s := &joins.scans[slot]; s.table != nil && len(s.ways) > 0 {
			in := s.ways[0].explain(s.table, false)
			if len(s.of) > 0 {
				of := scans[s.of[len(s.of)-1]].Table.Name
				in.Text = append(in.Text, "  Joined to rows of "+of)
				in.with("Joined To", of)
			}
			out.over(in)
		}
	}
	return out
}

// explainJoins decides what is joined by keys as if all rows that may be read ahead were few.
func explainJoins(scans []*duck.TableScan) (*KeyJoins, error) {
	specs := make([]duck.ScanSpec, len(scans))
	for i, s := range scans {
		specs[i] = duck.ScanSpec{Slot: i, Table: s.Table, Links: s.Links}
	}
	conditions := func(slot int, t *catalog.Table) []Expr { return unbound(t, scans[slot].Constraints) }
	wanted := func(slot int, t *catalog.Table) []bool {
		out := make([]bool, len(t.Columns))
		for _, c := range scans[slot].Columns {
			out[c] = true
		}
		return out
	}
	j, err := NewKeyJoins(specs, conditions, wanted)
	for err == nil {
		slot, ok := j.Next()
		if !ok {
			break
		}
		err = j.Read(slot, func(index int, typ datum.Type) ([]Expr, error) {
			from := scans[slot].Table
			return []Expr{&joinValue{name: from.Name + "." + from.Columns[index].Name, typ: typ}}, nil
		})
	}
	return j, err
}

func (w *With) explain() *Step {
	out := w.Main.Explain()
	out = &Step{Type: "With", Text: []string{"Main query"}, Inputs: []*Step{out}}
	for _, part := range w.Parts {
		name := "CTE " + part.name
		out.Inputs = append(out.Inputs, step("CTE", name).with("CTE Name", part.name).over(part.Plan.Explain()))
	}
	return out
}

func (s *Select) explain() *Step {
	if s.Table == nil {
		return step("Result", "Result")
	}
	if s.Group != nil && s.Group.Ends != nil {
		out := step("Result", "Result")
		for _, end := range s.Group.Ends {
			out.Inputs = append(out.Inputs, end.explain())
		}
		return out
	}
	out := s.Access.explain(s.Table, s.Reverse)
	switch {
	case s.Access.Index != nil:
	case s.Ordered && s.Reverse:
		out.Text[0] += " by key, backwards"
		out.with("Scan Direction", "Backward")
	case s.Ordered:
		out.Text[0] += " by key"
		out.with("Scan Direction", "Forward")
	}
	switch {
	case s.Filter == nil:
	case s.Program != nil && s.Group == nil:
		out.filtered("  Filter on data nodes", "data nodes")
	default:
		out.filtered("  Filter", "gateway")
	}
	if len(s.rowOrder()) > 0 {
		out = after("Sort", "Sort in memory", out)
	}
	if s.Lock != nil {
		out = after("LockRows", "Lock rows "+s.Lock.String(), out).with("Lock Strength", s.Lock.String())
	}
	if s.Group != nil {
		out = s.explainGroup(out)
		if len(s.Sort) > 0 {
			out = after("Sort", "Sort in memory", out)
		}
	}
	if s.Limit != nil {
		out = after("Limit", "Limit", out)
	}
	return out
}

// explainGroup says that the rows of a step are added up, and where.
func (s *Select) explainGroup(rows *Step) *Step {
	by, strategy := "", "Plain"
	if len(s.Group.By) > 0 {
		by, strategy = "Group", "Hashed"
	}
	if s.Program == nil {
		return after("Aggregate", by+"Aggregate", rows).with("Strategy", strategy).with("Partial Mode", "Simple")
	}
	rows = after("Aggregate", "Partial "+by+"Aggregate on data nodes", rows).
		with("Strategy", strategy).with("Partial Mode", "Partial").with("Run At", "data nodes")
	return after("Aggregate", "Finalize "+by+"Aggregate", rows).with("Strategy", strategy).with("Partial Mode", "Finalize")
}

func (a *Access) explain(table *catalog.Table, reverse bool) *Step {
	switch {
	case a.Index != nil:
		return a.explainIndex(table, reverse)
	case a.ByKey():
		return step("Key Lookup", "Key lookup in "+table.Name()).of(table)
	case a.Bounded():
		return step("Range Scan", "Range scan of "+table.Name()).of(table)
	default:
		return step("Full Scan", "Full scan of "+table.Name()).of(table)
	}
}

func (a *Access) explainIndex(table *catalog.Table, reverse bool) *Step {
	what, direction := "Index Scan", "Forward"
	if a.Covering {
		what = "Index Only Scan"
	}
	text := what
	if reverse {
		direction, text = "Backward", what+" Backward"
	}
	out := step(what, fmt.Sprintf("%s using %s on %s", text, a.Index.Index.Name(), table.Name())).
		with("Scan Direction", direction).with("Index Name", a.Index.Index.Name()).of(table)
	if a.Recheck != "" {
		out.Text = append(out.Text, "  Index Cond: "+a.Recheck, "  Recheck Cond: "+a.Recheck)
		return out.with("Index Cond", a.Recheck).with("Recheck Cond", a.Recheck)
	}
	cond := ""
	if parts := a.conditions(table); len(parts) == 1 {
		cond = parts[0]
	} else if len(parts) > 1 {
		cond = "(" + strings.Join(parts, " AND ") + ")"
	}
	if cond != "" {
		out.Text = append(out.Text, "  Index Cond: "+cond)
		out.with("Index Cond", cond)
	}
	return out
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
		case k.tuples != nil:
			columns := make([]string, len(k.tuples[0]))
			for i := range columns {
				columns[i] = over(i)
			}
			out = append(out, fmt.Sprintf("((%s) = ANY (%s))", strings.Join(columns, ", "), tupleTexts(k.tuples)))
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

func tupleTexts(list [][]Expr) string {
	texts := make([]string, len(list))
	for i, tuple := range list {
		texts[i] = "(" + valueTexts(tuple) + ")"
	}
	return strings.Join(texts, ", ")
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
	case *joinValue:
		return e.name
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

func (i *Insert) explain() *Step {
	out := step("ModifyTable", "Insert into "+i.Table.Name()).with("Operation", "Insert").of(i.Table)
	if i.Conflict != nil {
		does := map[bool]string{true: "do nothing", false: "update"}[i.Conflict.Set == nil]
		out.Text[0] += ", on conflict of " + i.Conflict.explain() + " " + does
		out.with("Conflict Resolution", strings.ToUpper(does)).with("Conflict Arbiter", i.Conflict.explain())
	}
	switch {
	case i.Select != nil:
		return out.over(i.Select.explain())
	case i.Slow != nil:
		return out.over(explainSlow(i.Slow))
	default:
		return out.over(step("Values Scan", fmt.Sprintf("%d rows of values", len(i.Rows))).with("Rows", len(i.Rows)))
	}
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

func (c *Change) explain() *Step {
	verb, operation := "Update ", "Update"
	if c.Delete {
		verb, operation = "Delete from ", "Delete"
	}
	out := step("ModifyTable", verb+c.Table.Name()).with("Operation", operation).of(c.Table)
	if c.Slow != nil {
		return out.over(explainSlow(c.Slow))
	}
	var rows *Step
	if c.Keys != nil {
		rows = step("Key Lookup", "Keys of:").of(c.Table).over(c.Keys.Select.explain())
	} else {
		rows = c.Access.explain(c.Table, false)
	}
	if c.Filter != nil {
		rows.filtered("  Filter", "gateway")
	}
	return out.over(rows)
}

func (m *Merge) explain() *Step {
	out := step("ModifyTable", "Merge on "+m.Table.Name()).with("Operation", "Merge").of(m.Table)
	for _, c := range m.Changes {
		out.over(c.explain())
	}
	for _, i := range m.Inserts {
		out.over(i.explain())
	}
	return out
}
