package pgcatalog

import (
	"strconv"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
)

// relationOf is the OID by which pg_class lists the attributes of a composite type.
func relationOf(o *cluster.Object) uint32 { return OID(o.Composite.Relation) }

// composites are the composite types of the database.
func (in *Input) composites() []*cluster.Object {
	var out []*cluster.Object
	for _, o := range in.Types {
		if o.Composite != nil {
			out = append(out, o)
		}
	}
	return out
}

// attributesOf are the attributes of a composite type, as columns.
func (in *Input) attributesOf(o *cluster.Object) []catalog.Column {
	var out []catalog.Column
	for i, f := range in.Composite(o).CompositeType().Fields {
		c := catalog.Column{ID: f.ID, Name: f.Name, Type: f.Type, Modifier: f.Modifier}
		if i < len(o.Composite.Attributes) {
			c.Comment = o.Composite.Attributes[i].Comment
			for _, t := range in.Types {
				if t.ID == o.Composite.Attributes[i].UserType {
					c.User = t
				}
			}
		}
		out = append(out, c)
	}
	return out
}

// compositeClasses are the rows of pg_class of composite types.
func (in *Input) compositeClasses() []row {
	var out []row
	for _, o := range in.composites() {
		out = append(out, row{"oid": relationOf(o), "relname": o.Name, "relnamespace": OID(o.Parent), "relowner": in.ownerOID(o), "reltype": OID(o.ID), "relfilenode": 0,
			"relpersistence": "p", "relkind": "c", "relnatts": len(o.Composite.Attributes), "relispopulated": true, "relreplident": "n"})
	}
	return out
}

// compositeAttributes are those of pg_attribute.
func (in *Input) compositeAttributes() []row {
	var out []row
	for _, o := range in.composites() {
		for i, c := range in.attributesOf(o) {
			out = append(out, attribute(relationOf(o), i+1, c))
		}
	}
	return out
}

// compositeType is the row of pg_type of a composite type.
func (in *Input) compositeType(o *cluster.Object) row {
	return row{"oid": OID(o.ID), "typname": o.Name, "typnamespace": OID(o.Parent), "typowner": in.ownerOID(o), "typlen": -1, "typtype": "c", "typcategory": "C",
		"typisdefined": true, "typdelim": ",", "typrelid": relationOf(o), "typarray": OID(o.Composite.Array), "typalign": "d", "typstorage": "x", "typtypmod": -1}.functions("record")
}

// compositeArray is the row of pg_type of arrays of a composite type.
func (in *Input) compositeArray(o *cluster.Object) row {
	out := in.arrayType(o, o.Composite.Array)
	out["typalign"] = "d"
	return out
}

// informationAttributes makes information_schema.attributes.
func (in *Input) informationAttributes() []row {
	var out []row
	for _, o := range in.composites() {
		for i, c := range in.attributesOf(o) {
			of := informationColumn(i+1, c)
			in.userParts(&c, of)
			r := row{"udt_catalog": in.Database, "udt_schema": in.schemaOf(o), "udt_name": o.Name, "attribute_name": c.Name, "ordinal_position": i + 1, "is_nullable": "YES",
				"data_type": of["data_type"], "attribute_udt_catalog": in.Database, "attribute_udt_schema": of["udt_schema"], "attribute_udt_name": of["udt_name"],
				"dtd_identifier": strconv.Itoa(i + 1), "is_derived_reference_attribute": "NO"}
			for _, name := range []string{"character_maximum_length", "character_octet_length", "numeric_precision", "numeric_precision_radix", "numeric_scale",
				"datetime_precision", "interval_type", "interval_precision"} {
				r[name] = of[name]
			}
			out = append(out, nulls("attributes", r))
		}
	}
	return out
}

// userDefinedTypes makes information_schema.user_defined_types.
func (in *Input) userDefinedTypes() []row {
	var out []row
	for _, o := range in.composites() {
		out = append(out, nulls("user_defined_types", row{"user_defined_type_catalog": in.Database, "user_defined_type_schema": in.schemaOf(o), "user_defined_type_name": o.Name,
			"user_defined_type_category": "STRUCTURED", "is_instantiable": "YES"}))
	}
	return out
}

// elementTypes makes information_schema.element_types: those of columns and attributes that
// are arrays.
func (in *Input) elementTypes() []row {
	var out []row
	add := func(schema, name, kind string, position int, c catalog.Column) {
		if !c.Type.IsArray() {
			return
		}
		c.Type, c.Modifier = c.Type.Elem(), -1
		of := informationColumn(position, c)
		in.userParts(&c, of)
		out = append(out, nulls("element_types", row{"object_catalog": in.Database, "object_schema": schema, "object_name": name, "object_type": kind, "collection_type_identifier": strconv.Itoa(position),
			"data_type": of["data_type"], "udt_catalog": in.Database, "udt_schema": of["udt_schema"], "udt_name": of["udt_name"], "dtd_identifier": "a" + strconv.Itoa(position)}))
	}
	for _, t := range in.Tables {
		for i, c := range visible(t) {
			if t.Desc.View == nil && in.seesColumn(t, c.Name) {
				add(t.Schema().Name, t.Name(), "TABLE", i+1, c)
			}
		}
	}
	for _, o := range in.composites() {
		for i, c := range in.attributesOf(o) {
			add(in.schemaOf(o), o.Name, "USER-DEFINED TYPE", i+1, c)
		}
	}
	return out
}

// nulls has the columns of a table of information_schema of which a row says nothing be null.
func nulls(table string, r row) row {
	all, err := Load()
	if err != nil {
		return r
	}
	t, ok := all.Lookup(informationSchema, table)
	for i := 0; ok && i < len(t.Columns); i++ {
		if _, said := r[t.Columns[i].Name]; !said {
			r[t.Columns[i].Name] = nil
		}
	}
	return r
}
