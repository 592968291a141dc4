package pgcatalog

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// indexOID is the OID of an index, uniqueOID that of its constraint.
func indexOID(x *catalog.Index) uint32 { return OID(x.Desc.ID) }

func uniqueOID(x *catalog.Index) uint32 { return indexOID(x) + constraintOffset }

// indexClasses are the rows of pg_class of a table's indexes.
func (in *Input) indexClasses(t *catalog.Table) []row {
	var out []row
	for _, x := range t.ShownIndexes() {
		out = append(out, row{"oid": indexOID(x), "relname": x.Name(), "relnamespace": OID(t.Schema().ID), "relowner": in.ownerOID(t.Desc), "relam": methodOID(x),
			"relfilenode": indexOID(x), "relpersistence": persistence(t.Schema()), "relkind": "i", "relnatts": len(x.Columns) + len(x.Include), "relispopulated": true, "relreplident": "n"})
	}
	return out
}

func methodOID(x *catalog.Index) int {
	switch x.Desc.Method {
	case cluster.InvertedMethod:
		return ginAM
	case cluster.HashMethod:
		return hashAM
	}
	return btreeAM
}

// indexAttributes are the rows of pg_attribute of the columns of a table's indexes.
func indexAttributes(t *catalog.Table) []row {
	var out []row
	for _, x := range t.ShownIndexes() {
		for n, c := range x.Columns {
			column := catalog.Column{Name: catalog.ExpressionName(c.Expression), Type: datum.Text, Modifier: -1}
			if c.Column >= 0 {
				column = bare(t.Columns[c.Column])
			}
			out = append(out, attribute(indexOID(x), n+1, column))
		}
		for n, i := range x.Include {
			out = append(out, attribute(indexOID(x), len(x.Columns)+n+1, bare(t.Columns[i])))
		}
	}
	return out
}

// bare is a column without what only a table's has.
func bare(c catalog.Column) catalog.Column {
	return catalog.Column{Name: c.Name, Type: c.Type, Modifier: c.Modifier}
}

// secondary are the rows of pg_index of a table's indexes beside its key.
func secondary(t *catalog.Table) []row {
	var out []row
	for _, x := range t.ShownIndexes() {
		var numbers, options, classes []int
		for _, c := range x.Columns {
			of := datum.Text // as attributes show expressions
			if c.Column >= 0 {
				of = t.Columns[c.Column].Type
			}
			classes = append(classes, operatorClass(of, x))
			option := 0
			if c.Direction.Descending {
				option |= 1
			}
			if c.Direction.NullsFirst {
				option |= 2
			}
			numbers, options = append(numbers, c.Column+1), append(options, option)
		}
		for _, i := range x.Include {
			numbers = append(numbers, i+1)
		}
		r := row{"indexrelid": indexOID(x), "indrelid": TableOID(t), "indnatts": len(numbers), "indnkeyatts": len(x.Columns), "indisunique": x.Desc.Unique, "indisprimary": isPrimary(x),
			"indnullsnotdistinct": x.Desc.NullsNotDistinct, "indimmediate": !x.Desc.Deferrable, "indisvalid": x.Readable(), "indisready": x.Desc.State != cluster.ElementDeleteOnly, "indislive": true,
			"indkey": numbers, "indoption": options, "indclass": classes}
		if x.Desc.Where != "" {
			r["indpred"] = syntax.Parenthesized(x.Desc.Where)
		}
		if exprs := expressions(x); exprs != "" {
			r["indexprs"] = exprs
		}
		out = append(out, r)
	}
	return out
}

func expressions(x *catalog.Index) string {
	var out []string
	for _, c := range x.Columns {
		if c.Column < 0 {
			out = append(out, c.Expression)
		}
	}
	return strings.Join(out, ", ")
}

// indexStatistics are the indexes of all tables; what is counted of them is null.
func (in *Input) indexStatistics() []row {
	var out []row
	for _, t := range in.Tables {
		one := func(oid uint32, name string) row {
			return row{"relid": TableOID(t), "indexrelid": oid, "schemaname": t.Schema().Name, "relname": t.Name(), "indexrelname": name}
		}
		if hasKey(t) {
			out = append(out, one(TableOID(t)+indexOffset, t.KeyName()))
		}
		for _, x := range t.ShownIndexes() {
			out = append(out, one(indexOID(x), x.Desc.Name))
		}
	}
	return out
}

func isPrimary(x *catalog.Index) bool { return x.Desc.Constraint == cluster.PrimaryConstraint }

// uniqueConstraints are the UNIQUE constraints of a table, and the primary key that is an
// index.
func uniqueConstraints(t *catalog.Table) []*catalog.Index {
	return slices.DeleteFunc(slices.Clone(t.ShownIndexes()), func(x *catalog.Index) bool { return x.Desc.Constraint == "" })
}

// uniques are the rows of pg_constraint of a table's UNIQUE constraints.
func uniques(t *catalog.Table) []row {
	var out []row
	for _, x := range uniqueConstraints(t) {
		var numbers []int
		for _, c := range x.Columns {
			numbers = append(numbers, c.Column+1)
		}
		letter := "u"
		if isPrimary(x) {
			letter = "p"
		}
		out = append(out, row{"oid": uniqueOID(x), "conname": x.Name(), "connamespace": OID(t.Schema().ID), "contype": letter, "condeferrable": x.Desc.Deferrable, "condeferred": x.Desc.Deferred, "convalidated": x.Readable(),
			"conrelid": TableOID(t), "conindid": indexOID(x), "confupdtype": " ", "confdeltype": " ", "confmatchtype": " ", "conislocal": true, "connoinherit": true,
			"conkey": numbers})
	}
	return out
}

// secondaryDefinitions are what pg_get_indexdef and pg_get_constraintdef say of a table's
// indexes.
func secondaryDefinitions(t *catalog.Table) []row {
	var out []row
	for _, x := range t.ShownIndexes() {
		out = append(out, row{"oid": indexOID(x), "definition": secondaryDefinition(x, false), "pretty": secondaryDefinition(x, true)})
	}
	for _, x := range uniqueConstraints(t) {
		text := "UNIQUE"
		if isPrimary(x) {
			text = "PRIMARY KEY"
		}
		if x.Desc.NullsNotDistinct {
			text += " NULLS NOT DISTINCT"
		}
		text += " (" + keyParts(x) + ")" + includeList(x)
		if x.Desc.Deferrable {
			text += " DEFERRABLE"
		}
		if x.Desc.Deferred {
			text += " INITIALLY DEFERRED"
		}
		out = append(out, row{"oid": uniqueOID(x), "definition": text, "pretty": text})
	}
	return out
}

// secondaryDefinition is the CREATE INDEX that makes an index.
func secondaryDefinition(x *catalog.Index, pretty bool) string {
	var b strings.Builder
	b.WriteString("CREATE ")
	if x.Desc.Unique {
		b.WriteString("UNIQUE ")
	}
	fmt.Fprintf(&b, "INDEX %s ON %s.%s USING %s (%s)%s", quoted(x.Name()), quoted(x.Table.Schema().Name), quoted(x.Table.Name()), cmp.Or(x.Desc.Method, "btree"), keyParts(x), includeList(x))
	if x.Desc.NullsNotDistinct {
		b.WriteString(" NULLS NOT DISTINCT")
	}
	switch {
	case x.Desc.Where != "" && pretty:
		b.WriteString(" WHERE " + x.Desc.Where)
	case x.Desc.Where != "":
		b.WriteString(" WHERE " + syntax.Parenthesized(x.Desc.Where))
	}
	return b.String()
}

// indexColumns are what pg_get_indexdef says of the columns of indexes.
func (in *Input) indexColumns() []row {
	var out []row
	add := func(oid uint32, column int, text string) {
		out = append(out, row{"oid": int64(oid)*columnFactor + int64(column), "definition": text})
	}
	for _, t := range in.Tables {
		if hasKey(t) {
			for n, k := range t.Key {
				add(TableOID(t)+indexOffset, n+1, quoted(t.Columns[k].Name))
			}
			add(TableOID(t)+indexOffset, 0, indexDefinition(t))
		}
		for _, x := range t.ShownIndexes() {
			add(indexOID(x), 0, secondaryDefinition(x, true))
			for n := range x.Columns {
				add(indexOID(x), n+1, keyPart(x, n))
			}
			for n, i := range x.Include {
				add(indexOID(x), len(x.Columns)+n+1, quoted(t.Columns[i].Name))
			}
		}
	}
	return out
}

// keyPart is what a column of an index is of.
func keyPart(x *catalog.Index, n int) string {
	c := x.Columns[n]
	switch {
	case c.Column >= 0:
		return quoted(x.Table.Columns[c.Column].Name)
	case aCall.MatchString(c.Expression):
		return c.Expression
	}
	return "(" + c.Expression + ")"
}

func keyParts(x *catalog.Index) string {
	var parts []string
	for i, c := range x.Columns {
		part := keyPart(x, i)
		if class := x.Desc.Columns[i].OpClass; class != "" {
			part += " " + class
		}
		switch d := c.Direction; {
		case d.Descending && !d.NullsFirst:
			part += " DESC NULLS LAST"
		case d.Descending:
			part += " DESC"
		case d.NullsFirst:
			part += " NULLS FIRST"
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, ", ")
}

// aCall is an expression that is nothing but one call.
var aCall = regexp.MustCompile(`^(("#f"|[a-z_][a-z_0-9]*)\.)?("[0-9]+"|[a-z_][a-z_0-9]*)\([^()]*\)$`)

func includeList(x *catalog.Index) string {
	if len(x.Include) == 0 {
		return ""
	}
	var names []string
	for _, i := range x.Include {
		names = append(names, quoted(x.Table.Columns[i].Name))
	}
	return " INCLUDE (" + strings.Join(names, ", ") + ")"
}

// quoted is a name as SQL has it.
func quoted(name string) string { return syntax.QuoteIdent(name) }

// indexViews are the rows of pg_indexes of a table's indexes beside its key.
func indexViews(t *catalog.Table) []row {
	var out []row
	for _, x := range t.ShownIndexes() {
		out = append(out, row{"schemaname": t.Schema().Name, "tablename": t.Name(), "indexname": x.Name(), "indexdef": secondaryDefinition(x, false)})
	}
	return out
}

// tableUniques are the rows of information_schema.table_constraints of UNIQUE constraints.
func (in *Input) tableUniques(t *catalog.Table) []row {
	var out []row
	for _, x := range uniqueConstraints(t) {
		kind := "UNIQUE"
		if isPrimary(x) {
			kind = "PRIMARY KEY"
		}
		r := row{"constraint_catalog": in.Database, "constraint_schema": t.Schema().Name, "constraint_name": x.Name(),
			"constraint_type": kind, "is_deferrable": yesNo(x.Desc.Deferrable), "initially_deferred": yesNo(x.Desc.Deferred), "enforced": "YES"}
		out = append(out, in.named(t, r))
	}
	return out
}

// uniqueColumns are those of key_column_usage of UNIQUE constraints.
func (in *Input) uniqueColumns(t *catalog.Table) []row {
	var out []row
	for _, x := range uniqueConstraints(t) {
		for n, c := range x.Columns {
			out = append(out, in.named(t, row{"constraint_catalog": in.Database, "constraint_schema": t.Schema().Name, "constraint_name": x.Name(),
				"column_name": t.Columns[c.Column].Name, "ordinal_position": n + 1, "position_in_unique_constraint": nil}))
		}
	}
	return out
}

// constraintDepends are the rows of pg_depend of keys: a constraint needs its columns, and its
// index goes with it, by which tools tell it from others.
func constraintDepends(t *catalog.Table) []row {
	class, constraint := catalogOID("pg_class"), catalogOID("pg_constraint")
	var out []row
	add := func(of, index uint32, columns []int) {
		out = append(out, row{"classid": class, "objid": index, "refclassid": constraint, "refobjid": of, "deptype": "i"})
		for _, n := range columns {
			out = append(out, row{"classid": constraint, "objid": of, "refclassid": class, "refobjid": TableOID(t), "refobjsubid": n, "deptype": "a"})
		}
	}
	if hasKey(t) {
		add(TableOID(t)+constraintOffset, TableOID(t)+indexOffset, keyNumbers(t))
	}
	for _, x := range t.ShownIndexes() {
		var columns []int
		for _, c := range x.Columns {
			if c.Column >= 0 {
				columns = append(columns, c.Column+1)
			}
		}
		if x.Desc.Constraint != "" {
			add(uniqueOID(x), indexOID(x), columns)
			continue
		}
		for _, n := range columns {
			out = append(out, row{"classid": class, "objid": indexOID(x), "refclassid": class, "refobjid": TableOID(t), "refobjsubid": n, "deptype": "a"})
		}
	}
	return out
}
