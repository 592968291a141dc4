package pgcatalog

import (
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// comment is what COMMENT ON has said of something.
type comment struct {
	class  string // the catalog that it is in
	object uint32 // its OID
	number int    // of a column, from 1; 0: none
	text   string
}

// columnFactor makes one number of a table's OID and the number of a column, of which
// there are fewer, for col_description.
const columnFactor = 2048

// allComments are those of the database, and of databases.
func (in *Input) allComments() []comment {
	var out []comment
	add := func(class string, object uint32, number int, text string) {
		if text != "" {
			out = append(out, comment{class, object, number, text})
		}
	}
	for _, t := range in.triggered() {
		for i := range t.Desc.Collection.Triggers {
			add("pg_trigger", OID(t.Desc.Collection.Triggers[i].ID), 0, t.Desc.Collection.Triggers[i].Comment)
		}
	}
	for _, t := range in.Tables {
		add("pg_class", TableOID(t), 0, t.Desc.Comment)
		add("pg_constraint", TableOID(t)+constraintOffset, 0, t.Desc.Collection.KeyComment)
		for _, x := range t.ShownIndexes() {
			add("pg_class", indexOID(x), 0, x.Desc.Comment)
			add("pg_constraint", uniqueOID(x), 0, x.Desc.ConstraintComment)
		}
		for _, k := range t.Desc.Collection.ShownChecks() {
			add("pg_constraint", OID(k.ID), 0, k.Comment)
		}
		for _, k := range t.Desc.Collection.ShownForeignKeys() {
			add("pg_constraint", OID(k.ID), 0, k.Comment)
		}
		for i, c := range t.Columns {
			add("pg_class", TableOID(t), i+1, c.Comment)
		}
	}
	for i := range in.Views {
		v := &in.Views[i]
		if !v.materialized() {
			add("pg_class", v.oid(), 0, v.Desc.Comment)
		}
		for n, c := range v.Columns {
			add("pg_class", v.oid(), n+1, c.Comment)
		}
	}
	for i := range in.Sequences {
		add("pg_class", in.Sequences[i].oid(), 0, in.Sequences[i].Object.Comment)
	}
	for i := range in.Functions {
		add("pg_proc", OID(in.Functions[i].ID), 0, in.Functions[i].Object.Comment)
	}
	for _, o := range in.Types {
		add("pg_type", OID(o.ID), 0, o.Comment)
		for i := 0; o.Composite != nil && i < len(o.Composite.Attributes); i++ {
			add("pg_class", relationOf(o), i+1, o.Composite.Attributes[i].Comment)
		}
	}
	for _, o := range slices.Concat(in.Schemas, in.Databases) {
		class := "pg_namespace"
		if o.Kind == cluster.KindDatabase {
			class = "pg_database"
		}
		add(class, OID(o.ID), 0, o.Comment)
	}
	return out
}

// comments are the rows of the catalogs that show comments: those that PostgreSQL has,
// and those in which obj_description and col_description look.
func (in *Input) comments(name string) []row {
	var out []row
	if name == "nd_comment" {
		for _, r := range builtinRows()["pg_description"] {
			out = append(out, row{"oid": r[0].I, "comment": r[3].S})
		}
	}
	for _, c := range in.allComments() {
		shared, column := c.class == "pg_database", c.number > 0
		switch {
		case name == "nd_comment" && !column:
			out = append(out, row{"oid": c.object, "comment": c.text})
		case name == "nd_column_comment" && column:
			out = append(out, row{"oid": int64(c.object)*columnFactor + int64(c.number), "comment": c.text})
		case name == "pg_description" && !shared:
			out = append(out, row{"objoid": c.object, "classoid": catalogOID(c.class), "objsubid": c.number, "description": c.text})
		case name == "pg_shdescription" && shared:
			out = append(out, row{"objoid": c.object, "classoid": catalogOID(c.class), "description": c.text})
		}
	}
	return out
}

// catalogOID is the OID of a catalog of pg_catalog.
func catalogOID(name string) uint32 {
	all, err := Load()
	if err != nil {
		return 0 // then there are no catalogs to ask
	}
	if t, ok := all.Lookup(Schema, name); ok {
		return t.OID
	}
	return 0
}
