package pgcatalog

import (
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
)

// checks are the rows of pg_constraint of a table's CHECK constraints.
func checks(t *catalog.Table) []row {
	var out []row
	for _, k := range t.Desc.Collection.ShownChecks() {
		numbers := make([]int, len(k.Columns))
		for n, id := range k.Columns {
			numbers[n] = columnNumber(t, id)
		}
		out = append(out, row{"oid": OID(k.ID), "conname": k.Name, "connamespace": OID(t.Schema().ID), "contype": "c", "convalidated": k.State == "",
			"conrelid": TableOID(t), "confupdtype": " ", "confdeltype": " ", "confmatchtype": " ", "conislocal": true, "connoinherit": k.NoInherit,
			"conkey": numbers, "conbin": k.Expression})
	}
	return out
}

// columnNumber is the attnum of the column with the id, 0 if there is none.
func columnNumber(t *catalog.Table, id cluster.ColumnID) int {
	for i, c := range t.Columns {
		if c.ID == id {
			return i + 1
		}
	}
	return 0
}

// checkDefinition is what pg_get_constraintdef says of a CHECK constraint.
func checkDefinition(k *cluster.Check) row {
	end := ""
	if k.NoInherit {
		end += " NO INHERIT"
	}
	if k.State != "" {
		end += " NOT VALID"
	}
	return row{"oid": OID(k.ID), "definition": "CHECK ((" + k.Expression + "))" + end, "pretty": "CHECK (" + k.Expression + ")" + end}
}

// generated is the letter of a generated column in pg_attribute.
func generated(c *catalog.Column) string {
	if c.Generated != "" {
		return "s"
	}
	return ""
}

// checkConstraints makes information_schema.check_constraints.
func (in *Input) checkConstraints() []row {
	var out []row
	add := func(t *catalog.Table, name, clause string) {
		out = append(out, row{"constraint_catalog": in.Database, "constraint_schema": t.Schema().Name, "constraint_name": name, "check_clause": clause})
	}
	for _, o := range in.Types {
		for _, k := range domainOf(o).Checks {
			out = append(out, row{"constraint_catalog": in.Database, "constraint_schema": in.schemaOf(o), "constraint_name": k.Name, "check_clause": "((" + valueText(k.Expression) + "))"})
		}
	}
	for _, t := range in.Tables {
		for _, k := range t.Desc.Collection.ShownChecks() {
			add(t, k.Name, "(("+k.Expression+"))")
		}
	}
	return out
}

// tableChecks are the rows of information_schema.table_constraints of CHECK constraints.
func (in *Input) tableChecks(t *catalog.Table) []row {
	var out []row
	for _, k := range t.Desc.Collection.ShownChecks() {
		out = append(out, in.named(t, row{"constraint_catalog": in.Database, "constraint_schema": t.Schema().Name, "constraint_name": k.Name,
			"constraint_type": "CHECK", "is_deferrable": "NO", "initially_deferred": "NO", "enforced": "YES"}))
	}
	return out
}

// checkedColumns are those of information_schema.constraint_column_usage that CHECK
// constraints name.
func (in *Input) checkedColumns(t *catalog.Table) []row {
	var out []row
	for _, k := range t.Desc.Collection.ShownChecks() {
		for _, id := range k.Columns {
			if n := columnNumber(t, id); n > 0 {
				out = append(out, in.named(t, row{"constraint_catalog": in.Database, "constraint_schema": t.Schema().Name, "constraint_name": k.Name,
					"column_name": t.Columns[n-1].Name}))
			}
		}
	}
	return out
}
