package pgcatalog

import (
	"slices"
	"strings"

	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// lookups are the catalogs by which casts and functions find names.
func (in *Input) lookups(name string) []row {
	switch name {
	case "nd_type":
		return in.typeNames()
	case "nd_type_name":
		return in.typesByName()
	case "nd_class_name":
		return in.classesByName()
	default:
		return in.serials()
	}
}

// keys are what a name is found by, without quotes: itself if its schema is searched
// anyway, and with its schema.
func keys(schema, name string) []string {
	name = strings.ReplaceAll(name, `"`, "")
	with := strings.ReplaceAll(schema, `"`, "") + "." + name
	if schema == Schema || schema == catalog.Public {
		return []string{name, with}
	}
	return []string{with}
}

// schemaNames are the names of schemas by their numbers.
func (in *Input) schemaNames() map[any]string {
	out := map[any]string{catalogNamespace: Schema}
	for _, s := range in.Schemas {
		out[OID(s.ID)] = s.Name
	}
	return out
}

// typesByName are the names of all types, and what format_type calls them.
func (in *Input) typesByName() []row {
	own := map[any]any{}
	for _, r := range in.typeNames() {
		own[r["oid"]] = r["name"]
	}
	schemas := in.schemaNames()
	var out []row
	for _, r := range in.pgTypes() {
		shown, mine := own[r["oid"]]
		if t, ok := datum.TypeByOID(r["oid"].(uint32)); ok && !mine {
			shown = t.SQLName()
		}
		for _, key := range keys(schemas[r["typnamespace"]], r["typname"].(string)) {
			out = append(out, row{"key": key, "oid": r["oid"], "name": shown})
		}
	}
	return out
}

// classesByName are the names of all relations, and how a regclass shows them.
func (in *Input) classesByName() []row {
	schemas := in.schemaNames()
	var out []row
	for _, r := range in.classes() {
		schema, name := schemas[r["relnamespace"]], r["relname"].(string)
		shown := syntax.Name{Name: name}
		if schema != catalog.Public {
			shown.Schema = schema
		}
		for _, key := range keys(schema, name) {
			out = append(out, row{"key": key, "oid": r["oid"], "name": syntax.QuoteName(shown)})
		}
	}
	return out
}

// serials are the sequences that go with columns, by table|column.
func (in *Input) serials() []row {
	var out []row
	for _, s := range in.Sequences {
		by := s.Object.Sequence.OwnedBy
		if by == nil {
			continue
		}
		i := slices.IndexFunc(in.Tables, func(t *catalog.Table) bool { return t.ID() == by.Table })
		if i < 0 {
			continue
		}
		t := in.Tables[i]
		c := slices.IndexFunc(t.Columns, func(c catalog.Column) bool { return c.ID == by.Column })
		if c < 0 {
			continue
		}
		for _, key := range keys(t.Schema().Name, t.Name()) {
			out = append(out, row{"key": key + "|" + t.Columns[c].Name, "sequence": syntax.QuoteName(syntax.Name{Schema: s.Schema.Name, Name: s.Object.Name})})
		}
	}
	return out
}
