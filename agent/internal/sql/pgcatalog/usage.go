package pgcatalog

import (
	"slices"
	"strconv"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// usage makes those tables of information_schema that say what uses what, and who may use it.
func (in *Input) usage(name string) []row {
	switch name {
	case "information_schema_catalog_name":
		return []row{{"catalog_name": in.Database}}
	case "character_sets":
		return []row{{"character_set_name": "UTF8", "character_repertoire": "UCS", "form_of_use": "UTF8", "default_collate_catalog": in.Database,
			"default_collate_schema": Schema, "default_collate_name": "C"}}
	case "domain_constraints", "domain_udt_usage":
		return in.domainUsage(name)
	case "constraint_table_usage":
		return in.constrainedTables()
	case "element_types", "column_udt_usage", "column_domain_usage":
		return in.columnUsage(name)
	case "usage_privileges", "role_usage_grants":
		return in.usagePrivileges(name == "role_usage_grants")
	case "routine_privileges", "role_routine_grants":
		return in.routinePrivileges(name == "role_routine_grants")
	case "view_table_usage", "view_column_usage":
		return in.viewUsage(name == "view_column_usage")
	case "triggered_update_columns":
		return in.triggeredColumns()
	}
	return nil
}

func (in *Input) domainUsage(name string) []row {
	var out []row
	for _, o := range in.Types {
		if o.Domain == nil || !in.Rights.Owns(o) {
			continue
		}
		named := func(r row) row {
			r["domain_catalog"], r["domain_schema"], r["domain_name"] = in.Database, in.schemaOf(o), o.Name
			return r
		}
		if name == "domain_udt_usage" {
			base, _ := datum.TypeByName(o.Domain.Type)
			out = append(out, named(row{"udt_catalog": in.Database, "udt_schema": Schema, "udt_name": internalName(base)}))
			continue
		}
		for _, k := range o.Domain.Checks {
			out = append(out, named(row{"constraint_catalog": in.Database, "constraint_schema": in.schemaOf(o), "constraint_name": k.Name, "is_deferrable": "NO", "initially_deferred": "NO"}))
		}
	}
	return out
}

// internalName is the name that pg_type has for a type.
func internalName(t datum.Type) string {
	if t.IsArray() {
		return "_" + t.Elem().String()
	}
	return t.String()
}

// constrainedTables are the tables that keys need: those that foreign keys reference.
func (in *Input) constrainedTables() []row {
	var out []row
	for _, t := range in.Tables {
		if !in.Rights.Owns(t.Desc) {
			continue
		}
		add := func(of *catalog.Table, name string) {
			out = append(out, in.named(of, row{"constraint_catalog": in.Database, "constraint_schema": t.Schema().Name, "constraint_name": name}))
		}
		if hasKey(t) {
			add(t, t.KeyName())
		}
		for _, x := range uniqueConstraints(t) {
			add(t, x.Name())
		}
		for _, k := range t.Desc.Collection.ShownForeignKeys() {
			if i := slices.IndexFunc(in.Tables, func(of *catalog.Table) bool { return of.ObjectID() == k.Table }); i >= 0 {
				add(in.Tables[i], k.Name)
			}
		}
	}
	return out
}

// columnUsage says of columns of tables which types they are of.
func (in *Input) columnUsage(name string) []row {
	var out []row
	for _, t := range in.Tables {
		if t.Desc.View != nil || !in.Rights.Owns(t.Desc) && name != "element_types" {
			continue
		}
		for i, c := range visible(t) {
			of := row{"udt_catalog": in.Database, "udt_schema": Schema, "udt_name": internalName(c.Type)}
			in.userParts(&c, of)
			domain := of["domain_name"]
			of["column_name"] = c.Name
			switch {
			case name == "column_domain_usage" && domain != nil, name == "column_udt_usage":
				out = append(out, in.named(t, of))
			case name == "element_types" && c.Type.IsArray():
				element := in.elementType(&c)
				element["object_catalog"], element["object_schema"], element["object_name"], element["object_type"] = in.Database, t.Schema().Name, t.Name(), "TABLE"
				element["collection_type_identifier"], element["dtd_identifier"] = strconv.Itoa(i+1), "a"+strconv.Itoa(i+1)
				out = append(out, element)
			}
		}
	}
	return out
}

// elementType is the type of the elements of a column.
func (in *Input) elementType(c *catalog.Column) row {
	out := row{"data_type": c.Type.Elem().SQLName(), "udt_catalog": in.Database, "udt_schema": Schema, "udt_name": c.Type.Elem().String()}
	if c.User != nil && c.User.Enum != nil {
		out["data_type"], out["udt_schema"], out["udt_name"] = "USER-DEFINED", in.schemaOf(c.User), c.User.Name
	}
	return out
}

// granted are what an object's privileges are, one by one, as far as the role may see them.
func (in *Input) granted(o *cluster.Object, of cluster.Privileges, roles bool, r func() row) []row {
	var out []row
	for _, item := range o.Access() {
		switch {
		case roles && item.Grantee == "", item.Grantee != "" && !in.Rights.Has(item.Grantee) && !in.Rights.Has(item.Grantor):
			continue
		}
		for _, name := range (item.Privileges & of).Names() {
			one := r()
			one["grantor"], one["grantee"], one["privilege_type"], one["is_grantable"] = item.Grantor, "PUBLIC", name, "NO"
			if item.Grantee != "" {
				one["grantee"] = item.Grantee
			}
			if p, _ := cluster.PrivilegeNamed(name); item.Options&p != 0 || item.Grantee == o.Owner {
				one["is_grantable"] = "YES"
			}
			out = append(out, one)
		}
	}
	return out
}

// usagePrivileges are those on sequences and domains.
func (in *Input) usagePrivileges(roles bool) []row {
	var out []row
	for i := range in.Sequences {
		s := &in.Sequences[i]
		if s.Object.ACL != nil { // without, PostgreSQL takes them for tables
			out = append(out, in.granted(s.Object, cluster.Usage, roles, func() row {
				return row{"object_catalog": in.Database, "object_schema": s.Schema.Name, "object_name": s.Object.Name, "object_type": "SEQUENCE"}
			})...)
		}
	}
	for _, o := range in.Types {
		if o.Domain == nil {
			continue
		}
		for _, grantee := range []string{"PUBLIC", o.Owner} {
			if roles && grantee == "PUBLIC" {
				continue
			}
			out = append(out, row{"grantor": o.Owner, "grantee": grantee, "object_catalog": in.Database, "object_schema": in.schemaOf(o), "object_name": o.Name, "object_type": "DOMAIN",
				"privilege_type": "USAGE", "is_grantable": yesNo(grantee == o.Owner)})
		}
	}
	return out
}

// routinePrivileges are those on the functions of the database.
func (in *Input) routinePrivileges(roles bool) []row {
	var out []row
	for i := range in.Functions {
		f := &in.Functions[i]
		schema := in.schemaName(f.Parent)
		out = append(out, in.granted(f.Object, cluster.Execute, roles, func() row {
			return row{"specific_catalog": in.Database, "specific_schema": schema, "specific_name": f.specific(), "routine_catalog": in.Database, "routine_schema": schema, "routine_name": f.Object.Name}
		})...)
	}
	return out
}

// viewUsage says which tables, and columns of them, views read.
func (in *Input) viewUsage(columns bool) []row {
	names := map[cluster.ObjectID]func(row) row{}
	for _, t := range in.Tables {
		if in.Rights.Owns(t.Desc) {
			names[t.ObjectID()] = func(r row) row { return in.named(t, r) }
		}
	}
	for i := range in.Views {
		v := &in.Views[i]
		if in.Rights.Owns(v.Desc) {
			names[v.Desc.ID] = func(r row) row {
				r["table_catalog"], r["table_schema"], r["table_name"] = in.Database, v.Schema().Name, v.Name()
				return r
			}
		}
	}
	var out []row
	for i := range in.Views {
		v := &in.Views[i]
		for _, read := range v.Desc.View.Reads {
			named := names[read.Object]
			if named == nil || v.materialized() {
				continue
			}
			of := func() row {
				return named(row{"view_catalog": in.Database, "view_schema": v.Schema().Name, "view_name": v.Name()})
			}
			used := false
			for _, c := range read.Columns {
				if used = used || c.Used; columns && c.Used {
					r := of()
					r["column_name"] = in.columnName(read.Object, c)
					out = append(out, r)
				}
			}
			if used && !columns {
				out = append(out, of())
			}
		}
	}
	return out
}

// columnName is what a column that a view reads is called now.
func (in *Input) columnName(of cluster.ObjectID, c cluster.ReadColumn) string {
	if i := slices.IndexFunc(in.Tables, func(t *catalog.Table) bool { return t.ObjectID() == of }); i >= 0 {
		if column, ok := in.Tables[i].Desc.Collection.ColumnByID(c.ID); ok {
			return column.Name
		}
	}
	return c.Name
}

// triggeredColumns are the columns of UPDATE OF.
func (in *Input) triggeredColumns() []row {
	var out []row
	for _, t := range in.triggered() {
		for i := range t.Desc.Collection.Triggers {
			tr := &t.Desc.Collection.Triggers[i]
			for _, id := range tr.Columns {
				if n := columnNumber(t, id); n > 0 {
					out = append(out, row{"trigger_catalog": in.Database, "trigger_schema": t.Schema().Name, "trigger_name": tr.Name, "event_object_catalog": in.Database,
						"event_object_schema": t.Schema().Name, "event_object_table": t.Name(), "event_object_column": t.Columns[n-1].Name})
				}
			}
		}
	}
	return out
}
