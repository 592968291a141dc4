package pgcatalog

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// relationWords are what relations of a kind are called.
var relationWords = map[string]string{"r": "table", "v": "view", "m": "materialized view", "i": "index", "S": "sequence"} //nolint:gochecknoglobals // never changed

// relation is what descriptions of other objects say of one.
type relation struct {
	Named
	word string
}

// words is it after its kind, as people read it.
func (x *relation) words() string { return x.word + " " + x.Shown }

// identity is its name with its schema.
func (x *relation) identity() string {
	return syntax.QuoteName(syntax.Name{Schema: x.Schema, Name: x.Name})
}

func (in *Input) relations() map[uint32]*relation {
	out := map[uint32]*relation{}
	for _, n := range in.classNames() {
		out[n.OID] = &relation{Named: n}
	}
	for _, r := range append(in.classes(), catalogClasses()...) {
		if x, ok := out[number(r["oid"])]; ok {
			kind, _ := r["relkind"].(string)
			x.word = relationWords[kind]
		}
	}
	return out
}

// objects are what pg_describe_object and pg_identify_object look up, by the numbers of a
// catalog, of an object of it, and of a column.
type objects struct {
	in        *Input
	relations map[uint32]*relation
	out       []row
}

// objects makes nd_object.
func (in *Input) objects() []row {
	x := &objects{in: in, relations: in.relations()}
	for _, n := range in.classNames() {
		r := x.relations[n.OID]
		x.add("pg_class", n.OID, 0, r.words(), row{"type": r.word, "schema": r.Schema, "name": syntax.QuoteIdent(r.Name), "identity": r.identity()})
	}
	for _, r := range in.attributes() {
		x.column(r)
	}
	x.functions()
	x.plain("pg_namespace", "schema", in.namespaces(), "nspname")
	x.plain("pg_authid", "role", append(in.users(), adminRoles()...), "rolname")
	x.plain("pg_database", "database", in.databases(), "datname")
	x.plain("pg_language", "language", languages(), "lanname")
	x.add("pg_extension", plpgsqlExtension, 0, "extension plpgsql", row{"type": "extension", "schema": nil, "name": "plpgsql", "identity": "plpgsql"})
	for _, t := range in.typeNames() {
		identity := t.Shown
		if t.Schema != Schema {
			identity = syntax.QuoteName(syntax.Name{Schema: t.Schema, Name: t.Name})
		}
		x.add("pg_type", t.OID, 0, "type "+t.Shown, row{"type": "type", "schema": t.Schema, "name": syntax.QuoteIdent(t.Name), "identity": identity})
	}
	for _, r := range in.constraints() {
		x.constraint(r)
	}
	for _, r := range in.pgTriggers() {
		x.ofRelation("pg_trigger", "trigger", r, "tgname", "tgrelid")
	}
	for _, r := range in.policies(false) {
		x.ofRelation("pg_policy", "policy", r, "polname", "polrelid")
	}
	for _, r := range in.rewrites() {
		x.ofRelation("pg_rewrite", "rule", r, "rulename", "ev_class")
	}
	x.defaults()
	return x.out
}

func (x *objects) add(catalog string, oid uint32, column int, words string, r row) {
	r["key"], r["description"] = fmt.Sprintf("%d|%d|%d", catalogOID(catalog), oid, column), words
	x.out = append(x.out, r)
}

// column is a column of a relation.
func (x *objects) column(r row) {
	of := x.relations[number(r["attrelid"])]
	at, _ := r["attnum"].(int)
	name, _ := r["attname"].(string)
	if of != nil {
		x.add("pg_class", of.OID, at, "column "+name+" of "+of.words(), row{"type": of.word + " column", "schema": of.Schema, "name": syntax.QuoteIdent(of.Name), "identity": of.identity() + "." + syntax.QuoteIdent(name)})
	}
}

// functions are PostgreSQL's and those of the database.
func (x *objects) functions() {
	for _, f := range builtinFunctions()[1] {
		name, args, _ := strings.Cut(f.Shown, "(")
		f.Shown = name + "(" + strings.ReplaceAll(args, ", ", ",")
		x.add("pg_proc", f.OID, 0, "function "+f.Shown, row{"type": "function", "schema": Schema, "name": nil, "identity": Schema + "." + f.Shown})
	}
	procedures := map[uint32]bool{}
	for i := range x.in.Functions {
		procedures[OID(x.in.Functions[i].ID)] = x.in.Functions[i].Function.Procedure
	}
	for _, f := range x.in.functionNames(true) {
		word := "function"
		if procedures[f.OID] {
			word = "procedure"
		}
		name, args, _ := strings.Cut(f.Name, "(")
		x.add("pg_proc", f.OID, 0, "function "+f.Shown, row{"type": word, "schema": f.Schema, "name": nil, "identity": syntax.QuoteName(syntax.Name{Schema: f.Schema, Name: name}) + "(" + args})
	}
}

// plain are objects in no schema.
func (x *objects) plain(catalog, word string, rows []row, column string) {
	for _, n := range plainNames(rows, column) {
		x.add(catalog, n.OID, 0, word+" "+n.Name, row{"type": word, "schema": nil, "name": n.Shown, "identity": n.Shown})
	}
}

// constraint is one of a table, or of a domain.
func (x *objects) constraint(r row) {
	name, _ := r["conname"].(string)
	if of := x.relations[number(r["conrelid"])]; of != nil {
		x.add("pg_constraint", number(r["oid"]), 0, "constraint "+name+" on "+of.words(), row{"type": "table constraint", "schema": of.Schema, "name": nil, "identity": syntax.QuoteIdent(name) + " on " + of.identity()})
		return
	}
	for _, o := range x.in.Types {
		if o.Domain != nil && OID(o.ID) == number(r["contypid"]) {
			schema := x.in.schemaOf(o)
			x.add("pg_constraint", number(r["oid"]), 0, "constraint "+name, row{"type": "domain constraint", "schema": schema, "name": nil,
				"identity": syntax.QuoteIdent(name) + " on " + syntax.QuoteName(syntax.Name{Schema: schema, Name: o.Name})})
		}
	}
}

// ofRelation is an object that only its relation tells apart from others of its name.
func (x *objects) ofRelation(catalog, word string, r row, name, relation string) {
	of := x.relations[number(r[relation])]
	text, _ := r[name].(string)
	if of != nil {
		x.add(catalog, number(r["oid"]), 0, word+" "+text+" on "+of.words(), row{"type": word, "schema": nil, "name": nil, "identity": syntax.QuoteIdent(text) + " on " + of.identity()})
	}
}

func (x *objects) defaults() {
	names := map[string]string{}
	for _, r := range x.in.attributes() {
		names[fmt.Sprintf("%d|%d", number(r["attrelid"]), r["attnum"])], _ = r["attname"].(string)
	}
	for _, r := range x.in.defaults() {
		of := x.relations[number(r["adrelid"])]
		name := names[fmt.Sprintf("%d|%d", number(r["adrelid"]), r["adnum"])]
		if of != nil {
			x.add("pg_attrdef", number(r["oid"]), 0, "default value for column "+name+" of "+of.words(),
				row{"type": "default value", "schema": nil, "name": nil, "identity": "for " + of.identity() + "." + syntax.QuoteIdent(name)})
		}
	}
}

// argumentDefaults are what pg_get_function_arg_default looks up, by function|argument.
func (in *Input) argumentDefaults() []row {
	var out []row
	for i := range in.Functions {
		f := &in.Functions[i]
		for n := range f.Function.Parameters {
			if f.Defaults[n] != "" {
				out = append(out, row{"key": fmt.Sprintf("%d|%d", OID(f.ID), n+1), "definition": f.Defaults[n]})
			}
		}
	}
	return out
}

// sequenceValues are what pg_sequence_last_value looks up; null: none was given out.
func (in *Input) sequenceValues() []row {
	var out []row
	for i := range in.Sequences {
		s := &in.Sequences[i]
		r := row{"key": strconv.FormatUint(uint64(s.oid()), 10), "last_value": nil}
		if s.Place.Called {
			r["last_value"] = s.Place.Last
		}
		out = append(out, r)
	}
	return out
}

// rowSecurity says in which tables policies hide rows from the session's role.
func (in *Input) rowSecurity() []row {
	hidden := map[uint32]bool{}
	for _, t := range in.Tables {
		c := t.Desc.Collection
		user := in.Rights.User()
		hidden[TableOID(t)] = c.RowSecurity && !in.Rights.Super && (user == nil || !user.BypassRLS) && (c.ForceRowSecurity || !in.Rights.Owns(t.Desc))
	}
	var out []row
	for _, n := range in.classNames() {
		out = append(out, row{"key": strconv.FormatUint(uint64(n.OID), 10), "active": hidden[n.OID]})
	}
	return out
}

// methodProperties are those of index methods: of the method, of an index, and of its columns,
// as pg_indexam_has_property, pg_index_has_property and pg_index_column_has_property tell them.
var methodProperties = map[int]map[string]bool{ //nolint:gochecknoglobals // never changed
	btreeAM: words("can_order can_unique can_multi_col can_exclude can_include clusterable index_scan bitmap_scan backward_scan returnable search_array search_nulls orderable"),
	hashAM:  words("can_exclude index_scan bitmap_scan backward_scan"),
	ginAM:   words("can_multi_col bitmap_scan"),
}

// words is a set of them.
func words(names string) map[string]bool {
	out := map[string]bool{}
	for _, n := range strings.Fields(names) {
		out[n] = true
	}
	return out
}

// properties makes nd_property: by method|property, index|property and index|column|property.
func (in *Input) properties() []row {
	var out []row
	add := func(value any, name string, keys ...uint32) {
		key := ""
		for _, k := range keys {
			key += strconv.FormatUint(uint64(k), 10) + "|"
		}
		out = append(out, row{"key": key + name, "value": value})
	}
	for _, method := range []int{btreeAM, hashAM, ginAM} {
		of := methodProperties[method]
		for _, name := range strings.Fields("can_order can_unique can_multi_col can_exclude can_include") {
			add(of[name], name, uint32(method)) //nolint:gosec // an OID
		}
	}
	methods := map[uint32]int{}
	for _, r := range in.classes() {
		methods[number(r["oid"])], _ = r["relam"].(int)
	}
	for _, r := range in.indexes() {
		oid := number(r["indexrelid"])
		of := methodProperties[methods[oid]]
		for _, name := range strings.Fields("clusterable index_scan bitmap_scan backward_scan") {
			add(of[name], name, oid)
		}
		options, _ := r["indoption"].([]int)
		columns, _ := r["indnatts"].(int)
		for n := range columns {
			key := n < len(options)
			for _, name := range strings.Fields("orderable search_array search_nulls distance_orderable") {
				add(key && of[name], name, oid, uint32(n+1))
			}
			add(of["returnable"], "returnable", oid, uint32(n+1))
			for i, name := range []string{"asc", "desc", "nulls_last", "nulls_first"} {
				var value any
				if key {
					value = of["can_order"] && options[n]>>(i/2)&1 == i%2
				}
				add(value, name, oid, uint32(n+1))
			}
		}
	}
	return out
}
