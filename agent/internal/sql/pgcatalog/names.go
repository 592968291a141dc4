package pgcatalog

import (
	_ "embed"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// Named is an object that regclass, or one of its kin, is the number of.
type Named struct {
	OID          uint32
	Schema, Name string // as they are
	Shown        string // as SQL writes it
	Visible      bool   // without its schema
}

// Registered are the objects of a kind.
func (in *Input) Registered(t datum.Type) []Named {
	switch t {
	case datum.Regclass:
		return in.classNames()
	case datum.Regtype:
		return in.typeNames()
	case datum.Regproc:
		return append(slices.Clip(builtinFunctions()[0]), in.functionNames(false)...)
	case datum.Regprocedure:
		return append(slices.Clip(builtinFunctions()[1]), in.functionNames(true)...)
	case datum.Regnamespace:
		return plainNames(in.namespaces(), "nspname")
	case datum.Regrole:
		return plainNames(append(in.users(), adminRoles()...), "rolname")
	case datum.Regcollation:
		var out []Named
		for _, r := range builtinRows()["pg_collation"] {
			out = append(out, Named{OID: uint32(r[0].I), Schema: Schema, Name: r[1].S, Shown: syntax.QuoteIdent(r[1].S), Visible: true})
		}
		return out
	default:
		return nil
	}
}

// plainNames are those of objects in no schema.
func plainNames(rows []row, column string) []Named {
	var out []Named
	for _, r := range rows {
		name, _ := r[column].(string)
		out = append(out, Named{OID: number(r["oid"]), Name: name, Shown: syntax.QuoteName(syntax.Name{Name: name}), Visible: true})
	}
	return out
}

// number is what a row says as an OID.
func number(v any) uint32 {
	switch v := v.(type) {
	case uint32:
		return v
	case int:
		return uint32(v) //nolint:gosec // an OID
	}
	return 0
}

// place says whether the objects of a schema are found without it, and which come first.
func (in *Input) place(schema string) (at int, visible bool) {
	if schema == Schema && !slices.Contains(in.SearchPath, Schema) {
		return -1, true
	}
	at = slices.Index(in.SearchPath, schema)
	return at, at >= 0
}

// shown says of each object how it is shown, and whether it is found without its schema:
// it is in the search path, and no other one of its name comes first.
func (in *Input) shown(list []Named) []Named {
	first := map[string]int{}
	for i, o := range list {
		at, ok := in.place(o.Schema)
		if !ok {
			continue
		}
		if n, taken := first[o.Name]; taken {
			if was, _ := in.place(list[n].Schema); was <= at {
				continue
			}
		}
		first[o.Name] = i
	}
	for i := range list {
		o := &list[i]
		n, ok := first[o.Name]
		if o.Visible = ok && list[n].Schema == o.Schema; o.Shown != "" {
			continue
		}
		name := syntax.Name{Name: o.Name}
		if !o.Visible {
			name.Schema = o.Schema
		}
		o.Shown = syntax.QuoteName(name)
	}
	return list
}

// schemaNames are the names of schemas by their numbers.
func (in *Input) schemaNames() map[uint32]string {
	out := map[uint32]string{}
	for _, r := range in.namespaces() {
		out[number(r["oid"])], _ = r["nspname"].(string)
	}
	return out
}

func (in *Input) classNames() []Named {
	schemas := in.schemaNames()
	var out []Named
	for _, r := range in.classes() {
		name, _ := r["relname"].(string)
		out = append(out, Named{OID: number(r["oid"]), Schema: schemas[number(r["relnamespace"])], Name: name})
	}
	for _, t := range listed() {
		o := Named{OID: t.OID, Schema: t.Schema, Name: t.Name, Shown: t.Name}
		if t.Schema != Schema && !slices.Contains(in.SearchPath, t.Schema) {
			o.Shown = t.Schema + "." + t.Name
		}
		out = append(out, o)
	}
	return in.shown(out)
}

// typeNames are the types; those of PostgreSQL are shown by their names in SQL.
func (in *Input) typeNames() []Named {
	schemas := in.schemaNames()
	array := map[uint32]uint32{} // the types of the elements
	var out []Named
	for _, r := range builtinRows()["pg_type"] { // whose first columns are oid and typname
		o := Named{OID: uint32(r[0].I), Schema: Schema, Name: r[1].S}
		if t, ok := datum.TypeByOID(o.OID); ok && t != datum.Unknown {
			o.Shown = t.SQLName()
		}
		out = append(out, o)
	}
	for line := range strings.Lines(missingTypes) { // of which there are no values here
		oid, name, _ := strings.Cut(strings.TrimSpace(line), " ")
		n, _ := strconv.ParseUint(oid, 10, 32) // of a constant
		o := Named{OID: uint32(n), Schema: Schema, Name: name, Shown: syntax.QuoteIdent(name)}
		if elem, ok := strings.CutPrefix(name, "_"); ok {
			o.Shown = syntax.QuoteIdent(elem) + "[]"
		}
		out = append(out, o)
	}
	for _, r := range in.pgTypes() {
		name, _ := r["typname"].(string)
		o := Named{OID: number(r["oid"]), Schema: schemas[number(r["typnamespace"])], Name: name}
		if elem := number(r["typelem"]); elem != 0 {
			array[o.OID] = elem
		}
		out = append(out, o)
	}
	out = in.shown(out)
	shown := map[uint32]string{}
	for _, o := range out {
		shown[o.OID] = o.Shown
	}
	for i := range out {
		if elem, ok := array[out[i].OID]; ok {
			out[i].Shown = shown[elem] + "[]"
		}
	}
	return out
}

//go:embed types15.txt
var missingTypes string

//go:embed functions15.txt
var functionsText string

// builtinFunctions are PostgreSQL 15's, whether we have them or not, since catalogs name
// them: the second with what tells those of one name apart.
var builtinFunctions = sync.OnceValue(func() [2][]Named { //nolint:gochecknoglobals // a constant, parsed on first use
	var out [2][]Named
	for line := range strings.Lines(functionsText) {
		oid, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		name, args, _ := strings.Cut(rest, " ")
		n, _ := strconv.ParseUint(oid, 10, 32) // of a constant
		o := Named{OID: uint32(n), Schema: Schema, Name: name, Shown: syntax.QuoteIdent(name), Visible: true}
		out[0] = append(out[0], o)
		o.Name, o.Shown = name+"("+args+")", o.Shown+"("+args+")"
		out[1] = append(out[1], o)
	}
	return out
})

// functionNumbers are the numbers of those of PostgreSQL's functions that catalogs name.
var functionNumbers = sync.OnceValue(func() map[string]uint32 { //nolint:gochecknoglobals // the same by name
	out := map[string]uint32{}
	for _, f := range builtinFunctions()[0] {
		out[f.Name] = f.OID
	}
	return out
})

// keys are what an object is found by, without quotes: itself if its schema is searched
// anyway, and with its schema.
func (o *Named) keys() []string {
	name := strings.ReplaceAll(o.Name, `"`, "")
	with := strings.ReplaceAll(o.Schema, `"`, "") + "." + name
	switch {
	case o.Schema == "":
		return []string{name}
	case o.Visible:
		return []string{name, with}
	}
	return []string{with}
}

// typeKeys are what a type is found by beside its own name: integer, integer[].
func typeKeys(o *Named) []string {
	if t, ok := datum.TypeByOID(o.OID); ok && o.Shown != o.Name && t != datum.Unknown {
		return append(o.keys(), o.Shown)
	}
	if strings.HasSuffix(o.Shown, "[]") {
		return append(o.keys(), strings.ReplaceAll(o.Shown, `"`, ""))
	}
	return o.keys()
}

// registered are the catalogs by which casts and functions find objects: by their numbers,
// or by their names.
func (in *Input) registered(table string) []row {
	kind, byName := strings.CutSuffix(table, "_name")
	t, _ := datum.TypeByName(kind)
	list := in.Registered(t)
	var out []row
	seen := map[string]bool{}
	for i := range list {
		o := &list[i]
		if !byName {
			out = append(out, row{"oid": o.OID, "name": o.Shown, "visible": o.Visible})
			continue
		}
		keys := o.keys()
		if t == datum.Regtype {
			keys = typeKeys(o)
		}
		for _, key := range keys {
			if !seen[key] {
				seen[key] = true
				out = append(out, row{"key": key, "oid": o.OID})
			}
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
		i := slices.IndexFunc(in.Tables, func(t *catalog.Table) bool { return t.ObjectID() == by.Table })
		if i < 0 {
			continue
		}
		t := in.Tables[i]
		c := slices.IndexFunc(t.Columns, func(c catalog.Column) bool { return c.ID == by.Column })
		if c < 0 {
			continue
		}
		_, visible := in.place(t.Schema().Name)
		o := Named{Schema: t.Schema().Name, Name: t.Name(), Visible: visible}
		for _, key := range o.keys() {
			out = append(out, row{"key": key + "|" + t.Columns[c].Name, "sequence": syntax.QuoteName(syntax.Name{Schema: s.Schema.Name, Name: s.Object.Name})})
		}
	}
	return out
}
