package pgcatalog

import (
	"sync"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// builtinType is what pg_type says of one of PostgreSQL's types.
type builtinType struct {
	name, category, align, storage string
	size, output, send, analyze    int64
	byValue                        bool
}

// builtinTypes are PostgreSQL's types, of those that there are, by their OIDs.
var builtinTypes = sync.OnceValue(func() map[uint32]builtinType { //nolint:gochecknoglobals // a constant, made on first use
	out := map[uint32]builtinType{}
	all, err := Load()
	if err != nil {
		return out
	}
	t, _ := all.Lookup(Schema, "pg_type")
	at := map[string]int{}
	for i, c := range t.Columns {
		at[c.Name] = i
	}
	for _, r := range builtinRows()["pg_type"] {
		text := func(name string) string { return r[at[name]].S }
		number := func(name string) int64 { return r[at[name]].I }
		out[uint32(number("oid"))] = builtinType{
			name: text("typname"), category: text("typcategory"), align: text("typalign"), storage: text("typstorage"), size: number("typlen"),
			output: number("typoutput"), send: number("typsend"), analyze: number("typanalyze"), byValue: number("typbyval") != 0,
		}
	}
	return out
})

// typeOf is what pg_type says of a type: an enum is stored as its number.
func typeOf(t datum.Type) builtinType {
	if t.IsEnum() {
		return builtinType{category: "E", align: "i", storage: "p", size: 4, byValue: true}
	}
	if t.IsComposite() {
		return builtinType{category: "C", align: "d", storage: "x", size: -1}
	}
	if b, ok := builtinTypes()[t.OID()]; ok {
		return b
	}
	if t.Elem().IsComposite() {
		return builtinType{category: "A", align: "d", storage: "x", size: -1}
	}
	return builtinType{category: "A", align: "i", storage: "x", size: -1} // an array of what somebody made
}
