package pgcatalog

import (
	"strings"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// typeOID is the OID of a column's type.
func typeOID(c *catalog.Column) uint32 {
	if c.User != nil && c.User.Domain != nil {
		return OID(c.User.ID)
	}
	return c.Type.OID()
}

// domainOf is what a type demands; of what is no domain, nothing.
func domainOf(o *cluster.Object) *cluster.Domain {
	if o.Domain == nil {
		return &cluster.Domain{}
	}
	return o.Domain
}

// schemaOf is the name of the schema that a type is in.
func (in *Input) schemaOf(o *cluster.Object) string {
	for _, s := range in.Schemas {
		if s.ID == o.Parent {
			return s.Name
		}
	}
	return ""
}

// functions are what pg_type says of how values of a type are read and written.
func (r row) functions(kind string) row {
	for column, suffix := range map[string]string{"typinput": "_in", "typoutput": "_out", "typreceive": "_recv", "typsend": "_send"} {
		r[column] = kind + suffix
	}
	return r
}

// arrayType is the row of pg_type of the arrays of a type.
func (in *Input) arrayType(o *cluster.Object, array cluster.ObjectID) row {
	return row{"oid": OID(array), "typname": "_" + o.Name, "typnamespace": OID(o.Parent), "typowner": in.ownerOID(o), "typlen": -1, "typtype": "b", "typcategory": "A",
		"typisdefined": true, "typdelim": ",", "typelem": OID(o.ID), "typalign": "i", "typstorage": "x", "typtypmod": -1,
		"typanalyze": "array_typanalyze", "typsubscript": "array_subscript_handler"}.functions("array")
}

// userTypes are the rows of pg_type of domains, enums and composite types, and of the arrays of these.
func (in *Input) userTypes() []row {
	var out []row
	for _, o := range in.Types {
		r := row{"oid": OID(o.ID), "typname": o.Name, "typnamespace": OID(o.Parent), "typowner": in.ownerOID(o), "typlen": 4, "typbyval": true, "typtype": "e",
			"typcategory": "E", "typisdefined": true, "typdelim": ",", "typalign": "i", "typstorage": "p", "typtypmod": -1}.functions("enum")
		if o.Composite != nil {
			out = append(out, in.compositeType(o), in.compositeArray(o))
			continue
		}
		if o.Enum != nil {
			r["typarray"] = OID(o.Enum.Array)
			out = append(out, r, in.arrayType(o, o.Enum.Array))
			continue
		}
		base, _ := datum.TypeByName(o.Domain.Type)
		of := typeOf(base) // it is stored and written as that
		r["typinput"], r["typreceive"], r["typoutput"], r["typsend"], r["typanalyze"] = "domain_in", "domain_recv", of.output, of.send, of.analyze
		r["typtype"], r["typcategory"], r["typlen"], r["typbyval"], r["typalign"], r["typstorage"] = "d", of.category, of.size, of.byValue, of.align, of.storage
		r["typnotnull"], r["typbasetype"], r["typtypmod"], r["typcollation"], r["typarray"] = o.Domain.NotNull, base.OID(), int(o.Domain.Modifier), collation(base), OID(o.Domain.Array)
		if o.Domain.Default != "" {
			text := in.defaultText(&catalog.Column{Type: base, Modifier: o.Domain.Modifier, Default: o.Domain.Default})
			r["typdefault"], r["typdefaultbin"] = text, text
		}
		out = append(out, r, in.arrayType(o, o.Domain.Array))
	}
	return out
}

// rowTypes are the rows of pg_type of the rows of tables and views.
func (in *Input) rowTypes() []row {
	var out []row
	for _, c := range in.classes() {
		of, has := c["reltype"]
		if !has || c["relkind"] == "c" {
			continue
		}
		array := catalog.RowArrayOID(number(c["oid"]))
		name, _ := c["relname"].(string)
		out = append(out, row{"oid": array, "typname": "_" + name, "typnamespace": c["relnamespace"], "typowner": c["relowner"], "typlen": -1, "typtype": "b", "typcategory": "A",
			"typisdefined": true, "typdelim": ",", "typelem": of, "typalign": "d", "typstorage": "x", "typtypmod": -1,
			"typanalyze": "array_typanalyze", "typsubscript": "array_subscript_handler"}.functions("array"))
		out = append(out, row{"oid": of, "typname": c["relname"], "typnamespace": c["relnamespace"], "typowner": c["relowner"], "typlen": -1, "typtype": "c",
			"typcategory": "C", "typisdefined": true, "typdelim": ",", "typrelid": c["oid"], "typarray": array, "typalign": "d", "typstorage": "x", "typtypmod": -1}.functions("record"))
	}
	return out
}

// enumLabels makes pg_enum.
func (in *Input) enumLabels() []row {
	var out []row
	for _, o := range in.Types {
		if o.Enum == nil {
			continue
		}
		for _, l := range o.Enum.Labels {
			// Ids of labels are small: with that of the type they are apart.
			out = append(out, row{"oid": OID(o.ID)*columnFactor + l.ID, "enumtypid": OID(o.ID), "enumsortorder": l.Order, "enumlabel": l.Name})
		}
	}
	return out
}

// valueText shows the expression of a domain's CHECK, in which the value stands as VALUE.
func valueText(text string) string {
	out, err := syntax.RenameInExpression(text, "value", "VALUE")
	if err != nil {
		return text
	}
	return strings.ReplaceAll(out, `"VALUE"`, "VALUE")
}

// domainChecks are the rows of pg_constraint of domains.
func (in *Input) domainChecks() []row {
	var out []row
	for _, o := range in.Types {
		for _, k := range domainOf(o).Checks {
			out = append(out, row{"oid": OID(k.ID), "conname": k.Name, "connamespace": OID(o.Parent), "contype": "c", "convalidated": true, "contypid": OID(o.ID),
				"confupdtype": " ", "confdeltype": " ", "confmatchtype": " ", "conislocal": true, "conbin": valueText(k.Expression)})
		}
	}
	return out
}

// domainDefinitions are what pg_get_constraintdef says of the checks of domains.
func (in *Input) domainDefinitions() []row {
	var out []row
	for _, o := range in.Types {
		for _, k := range domainOf(o).Checks {
			k.Expression = valueText(k.Expression)
			out = append(out, checkDefinition(&k))
		}
	}
	return out
}

// domains makes information_schema.domains.
func (in *Input) domains() []row {
	var out []row
	for _, o := range in.Types {
		if o.Domain == nil {
			continue
		}
		base, _ := datum.TypeByName(o.Domain.Type)
		r := informationColumn(1, catalog.Column{Type: base, Modifier: o.Domain.Modifier})
		r["domain_catalog"], r["domain_schema"], r["domain_name"], r["udt_catalog"], r["dtd_identifier"] = in.Database, in.schemaOf(o), o.Name, in.Database, "1"
		if o.Domain.Default != "" {
			r["domain_default"] = o.Domain.Default
		}
		out = append(out, r)
	}
	return out
}

// userParts adds what information_schema.columns says of a column of a domain or an enum.
func (in *Input) userParts(c *catalog.Column, r row) {
	if c.User == nil {
		return
	}
	schema := in.schemaOf(c.User)
	if c.User.Domain != nil {
		r["domain_catalog"], r["domain_schema"], r["domain_name"] = in.Database, schema, c.User.Name
		return
	}
	r["udt_schema"], r["udt_name"] = schema, c.User.Name
	if c.Type.IsArray() {
		r["udt_name"] = "_" + c.User.Name
	}
}

// RowTypeOID is the OID of the type of the rows of the table or view with an OID.
func RowTypeOID(relation uint32) uint32 { return catalog.RowTypeOID(relation) }
