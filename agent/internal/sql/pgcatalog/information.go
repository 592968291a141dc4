package pgcatalog

import (
	"strconv"

	"strings"

	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// information makes the tables of information_schema.
func (in *Input) information(name string) []row {
	in = in.visible()
	var out []row
	switch name {
	case "schemata":
		for _, s := range []string{Schema, informationSchema, "nodedb_internal"} {
			out = append(out, row{"catalog_name": in.Database, "schema_name": s, "schema_owner": "root"})
		}
		for _, o := range in.Schemas {
			if !in.Rights.Owns(o) {
				continue
			}
			out = append(out, row{"catalog_name": in.Database, "schema_name": o.Name, "schema_owner": o.Owner})
		}
	case "tables":
		for _, t := range in.Tables {
			if t.Desc.View != nil {
				continue
			}
			r := row{"table_type": "BASE TABLE", "is_insertable_into": "YES", "is_typed": "NO"}
			if t.Schema().Temporary != nil {
				r["table_type"], r["commit_action"] = "LOCAL TEMPORARY", "PRESERVE"
			}
			out = append(out, in.named(t, r))
		}
	case "columns":
		out = in.informationColumns()
	case "table_privileges", "role_table_grants":
		return in.privilegeRows(false)
	case "column_privileges", "role_column_grants":
		return in.privilegeRows(true)
	case "enabled_roles", "applicable_roles":
		return in.enabledRoles(name)
	case "triggers":
		return in.informationTriggers()
	case "routines":
		return in.routines()
	case "parameters":
		return in.parameters()
	case "attributes":
		return in.informationAttributes()
	case "user_defined_types":
		return in.userDefinedTypes()
	case "element_types":
		return in.elementTypes()
	case "domains":
		return in.domains()
	case "sequences":
		return in.informationSequences()
	case "check_constraints":
		return in.checkConstraints()
	case "referential_constraints":
		out = in.referentialConstraints()
	case "table_constraints":
		out = in.tableConstraints()
	case "key_column_usage", "constraint_column_usage":
		out = in.constrainedColumns(name == "constraint_column_usage")
	}
	return append(append(out, in.usage(name)...), in.viewInformation(name)...)
}

func (in *Input) informationColumns() []row {
	var out []row
	for _, t := range in.Tables {
		if t.Desc.View != nil {
			continue
		}
		for i, c := range visible(t) {
			if !in.seesColumn(t, c.Name) {
				continue
			}
			r := informationColumn(i+1, c)
			if text := in.defaultText(&c); text != "" {
				r["column_default"] = text
			}
			if c.Generated != "" {
				r["is_generated"], r["generation_expression"], r["is_updatable"] = "ALWAYS", syntax.Parenthesized(c.Generated), "YES"
			}
			in.userParts(&c, r)
			in.identityParts(t, &c, r)
			out = append(out, in.named(t, r))
		}
	}
	return out
}

func (in *Input) tableConstraints() []row {
	var out []row
	for _, t := range in.Tables {
		out = append(append(out, in.tableChecks(t)...), in.tableUniques(t)...)
		out = append(out, in.tableForeignKeys(t)...)
		if hasKey(t) {
			out = append(out, in.named(t, row{"constraint_catalog": in.Database, "constraint_schema": t.Schema().Name, "constraint_name": t.KeyName(),
				"constraint_type": "PRIMARY KEY", "is_deferrable": "NO", "initially_deferred": "NO", "enforced": "YES"}))
		}
	}
	return out
}

// constrainedColumns are the columns of keys, and if wanted those of checks.
func (in *Input) constrainedColumns(checked bool) []row {
	var out []row
	for _, t := range in.Tables {
		if checked {
			out = append(out, in.checkedColumns(t)...)
		}
		out = append(append(out, in.uniqueColumns(t)...), in.foreignColumns(t, checked)...)
		for n, i := range t.Key {
			if hasKey(t) {
				out = append(out, in.named(t, row{"constraint_catalog": in.Database, "constraint_schema": t.Schema().Name, "constraint_name": t.KeyName(),
					"column_name": t.Columns[i].Name, "ordinal_position": n + 1, "position_in_unique_constraint": nil}))
			}
		}
	}
	return out
}

// named adds the names of a collection.
func (in *Input) named(t *catalog.Table, r row) row {
	r["table_catalog"], r["table_schema"], r["table_name"] = in.Database, t.Schema().Name, t.Name()
	return r
}

func informationColumn(position int, c catalog.Column) row {
	r := row{"column_name": c.Name, "ordinal_position": position, "is_nullable": "YES", "data_type": c.Type.SQLName(), "udt_catalog": nil, "udt_schema": Schema,
		"udt_name": c.Type.String(), "dtd_identifier": strconv.Itoa(position), "is_self_referencing": "NO", "is_identity": "NO", "identity_cycle": "NO", "is_generated": "NEVER", "is_updatable": "YES",
		"character_maximum_length": nil, "character_octet_length": nil, "numeric_precision": nil, "numeric_precision_radix": nil, "numeric_scale": nil,
		"datetime_precision": nil, "interval_precision": nil, "maximum_cardinality": nil}
	if c.NeverNull() {
		r["is_nullable"] = "NO"
	}
	switch {
	case c.Type.IsArray():
		r["data_type"], r["udt_name"] = "ARRAY", "_"+c.Type.Elem().String()
	case c.Type.IsEnum(), c.Type.IsComposite():
		r["data_type"] = "USER-DEFINED"
	}
	switch c.Type {
	case datum.Bit, datum.Varbit:
		if c.Modifier >= 0 {
			r["character_maximum_length"] = int(c.Modifier)
		}
	case datum.Varchar, datum.Bpchar:
		if c.Modifier >= 4 {
			r["character_maximum_length"] = int(c.Modifier - 4)
		}
	case datum.Int2, datum.Int4, datum.Int8:
		r["numeric_precision"], r["numeric_precision_radix"], r["numeric_scale"] = int(c.Type.Size())*8, 2, 0
	case datum.Float4:
		r["numeric_precision"], r["numeric_precision_radix"] = 24, 2
	case datum.Float8:
		r["numeric_precision"], r["numeric_precision_radix"] = 53, 2
	case datum.Numeric:
		r["numeric_precision_radix"] = 10
		if c.Modifier >= 4 {
			m := c.Modifier - 4
			r["numeric_precision"], r["numeric_scale"] = int(m>>16), int(m&0x7ff)
		}
	case datum.Date:
		r["datetime_precision"] = 0
	case datum.Timestamp, datum.Timestamptz, datum.Time, datum.Timetz:
		if r["datetime_precision"] = 6; c.Modifier >= 0 {
			r["datetime_precision"] = int(c.Modifier)
		}
	case datum.Interval:
		r["datetime_precision"] = 6
		if c.Modifier < 0 {
			break
		}
		if fields := datum.IntervalFields()[c.Modifier>>16]; fields != "" {
			r["interval_type"] = strings.ToUpper(strings.TrimSpace(fields))
		}
		if precision := int(c.Modifier & 0xffff); precision <= 6 {
			r["datetime_precision"] = precision
		}
	}
	return r
}
