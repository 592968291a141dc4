package pgcatalog

import (
	"slices"
	"strings"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
)

// foreignKey is a foreign key of a table with what it references.
type foreignKey struct {
	*cluster.ForeignKey
	of, table *catalog.Table
}

// foreignKeys are those of a table whose other tables are known.
func (in *Input) foreignKeys(t *catalog.Table) []foreignKey {
	var out []foreignKey
	for i := range t.Desc.Collection.ForeignKeys {
		k := &t.Desc.Collection.ForeignKeys[i]
		if k.Leaving {
			continue
		}
		if n := slices.IndexFunc(in.Tables, func(other *catalog.Table) bool { return other.ID() == k.Table }); n >= 0 {
			out = append(out, foreignKey{k, t, in.Tables[n]})
		}
	}
	return out
}

// unique is the oid of the index that is referenced, and the name of its constraint.
func (k *foreignKey) unique() (oid uint32, name string) {
	if x, ok := k.table.ReferencedKey(k.Referenced); ok && x != nil {
		return indexOID(x), x.Name()
	}
	return TableOID(k.table) + indexOffset, k.table.KeyName()
}

// actionLetters are what pg_constraint has for actions.
var actionLetters = map[string]string{cluster.NoAction: "a", cluster.Restrict: "r", cluster.Cascade: "c", cluster.SetNull: "n", cluster.SetDefault: "d"}

func (k *foreignKey) row() row {
	match := "s"
	if k.Full {
		match = "f"
	}
	oid, _ := k.unique()
	out := row{"oid": OID(k.ID), "conname": k.Name, "connamespace": OID(k.of.Schema().ID), "contype": "f", "condeferrable": k.Deferrable, "condeferred": k.Deferred,
		"convalidated": k.State == "" && !k.NotValid, "conrelid": TableOID(k.of), "conindid": oid, "confrelid": TableOID(k.table),
		"confupdtype": actionLetters[k.OnUpdate], "confdeltype": actionLetters[k.OnDelete], "confmatchtype": match, "conislocal": true, "connoinherit": true,
		"conkey": numbersOf(k.of, k.Columns), "confkey": numbersOf(k.table, k.Referenced)}
	if len(k.SetColumns) > 0 {
		out["confdelsetcols"] = numbersOf(k.of, k.SetColumns)
	}
	return out
}

func numbersOf(t *catalog.Table, ids []cluster.ColumnID) []int {
	out := t.ColumnsByID(ids)
	for i := range out {
		out[i]++
	}
	return out
}

func namesOf(t *catalog.Table, ids []cluster.ColumnID) string {
	var names []string
	for _, i := range t.ColumnsByID(ids) {
		names = append(names, quoted(t.Columns[i].Name))
	}
	return strings.Join(names, ", ")
}

// keyDefinition is what pg_get_constraintdef says of a foreign key.
func (in *Input) keyDefinition(k *foreignKey) row {
	var b strings.Builder
	b.WriteString("FOREIGN KEY (" + namesOf(k.of, k.Columns) + ") REFERENCES ")
	b.WriteString(in.relationName(k.table.Schema(), k.table.Name()) + "(" + namesOf(k.table, k.Referenced) + ")")
	if k.Full {
		b.WriteString(" MATCH FULL")
	}
	if k.OnUpdate != cluster.NoAction {
		b.WriteString(" ON UPDATE " + k.OnUpdate)
	}
	if k.OnDelete != cluster.NoAction {
		b.WriteString(" ON DELETE " + k.OnDelete)
	}
	if len(k.SetColumns) > 0 {
		b.WriteString(" (" + namesOf(k.of, k.SetColumns) + ")")
	}
	if k.Deferrable {
		b.WriteString(" DEFERRABLE")
	}
	if k.Deferred {
		b.WriteString(" INITIALLY DEFERRED")
	}
	if k.NotValid || k.State != "" {
		b.WriteString(" NOT VALID")
	}
	return row{"oid": OID(k.ID), "definition": b.String(), "pretty": b.String()}
}

// hasTriggers reports whether PostgreSQL would have triggers for a table: it keeps foreign
// keys by some, on both sides.
func hasTriggers(t *catalog.Table) bool {
	c := t.Desc.Collection
	return len(c.Triggers)+len(c.ForeignKeys)+len(c.ReferencedBy) > 0
}

// constraintRow begins a row about a constraint.
func (in *Input) constraintRow(t *catalog.Table, name string) row {
	return row{"constraint_catalog": in.Database, "constraint_schema": t.Schema().Name, "constraint_name": name}
}

// tableForeignKeys are the rows of information_schema.table_constraints of foreign keys.
func (in *Input) tableForeignKeys(t *catalog.Table) []row {
	var out []row
	for _, k := range t.Desc.Collection.ShownForeignKeys() {
		r := in.constraintRow(t, k.Name)
		r["constraint_type"], r["enforced"] = "FOREIGN KEY", "YES"
		r["is_deferrable"], r["initially_deferred"] = yesNo(k.Deferrable), yesNo(k.Deferred)
		out = append(out, in.named(t, r))
	}
	return out
}

// foreignColumns are those of key_column_usage of foreign keys, or, if used, those of
// constraint_column_usage: what they reference.
func (in *Input) foreignColumns(t *catalog.Table, used bool) []row {
	var out []row
	for _, k := range in.foreignKeys(t) {
		of, columns := k.of, k.Columns
		if used {
			of, columns = k.table, k.Referenced
		}
		over := k.table.Key
		if x, ok := k.table.ReferencedKey(k.Referenced); ok && x != nil {
			over = nil
			for _, c := range x.Columns {
				over = append(over, c.Column)
			}
		}
		referenced := k.table.ColumnsByID(k.Referenced)
		for n, i := range of.ColumnsByID(columns) {
			r := in.constraintRow(t, k.Name)
			r["column_name"] = of.Columns[i].Name
			if !used {
				r["ordinal_position"], r["position_in_unique_constraint"] = n+1, slices.Index(over, referenced[n])+1
			}
			out = append(out, in.named(of, r))
		}
	}
	return out
}

// referentialConstraints makes information_schema.referential_constraints.
func (in *Input) referentialConstraints() []row {
	rule := func(action string) string {
		if action == cluster.NoAction {
			return "NO ACTION"
		}
		return action
	}
	var out []row
	for _, t := range in.Tables {
		for _, k := range in.foreignKeys(t) {
			r := in.constraintRow(t, k.Name)
			_, name := k.unique()
			r["unique_constraint_catalog"], r["unique_constraint_schema"], r["unique_constraint_name"] = in.Database, k.table.Schema().Name, name
			r["match_option"], r["update_rule"], r["delete_rule"] = "NONE", rule(k.OnUpdate), rule(k.OnDelete)
			if k.Full {
				r["match_option"] = "FULL"
			}
			out = append(out, r)
		}
	}
	return out
}

// relationName is a relation's name, with its schema if that is not searched anyway.
func (in *Input) relationName(schema *cluster.Object, name string) string {
	if _, visible := in.place(schema.Name); !visible {
		return quoted(schema.Name) + "." + quoted(name)
	}
	return quoted(name)
}
