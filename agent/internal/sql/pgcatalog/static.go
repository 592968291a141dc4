package pgcatalog

import (
	_ "embed"
	"strings"
	"sync"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

//go:embed rows15.txt
var rowsText string

// builtinRows are the rows that catalogs of PostgreSQL 15 have from the beginning, of what
// there is here: operators, casts and index methods of types that we have. A line is the
// name of a catalog, or a row of it as COPY writes it.
var builtinRows = sync.OnceValue(func() map[string][][]datum.Datum { //nolint:gochecknoglobals // a constant, parsed on first use
	out := map[string][][]datum.Datum{}
	all, err := Load()
	if err != nil {
		return out
	}
	var of *Table
	for line := range strings.Lines(rowsText) {
		line = strings.TrimSuffix(line, "\n")
		if t, ok := all.Lookup(Schema, line); ok {
			of = t
			continue
		}
		if r, ok := of.parse(line); ok {
			out[of.Name] = append(out[of.Name], r)
		}
	}
	return out
})

// parse reads a row.
func (t *Table) parse(line string) ([]datum.Datum, bool) {
	fields := strings.Split(line, "\t")
	if t == nil || len(fields) != len(t.Columns) {
		return nil, false
	}
	out := make([]datum.Datum, len(fields), len(fields)+len(systemColumns))
	for i, text := range fields {
		if text == `\N` {
			out[i] = datum.MakeNull(t.Columns[i].Type)
			continue
		}
		d, err := datum.ParseText(t.Columns[i].Type, text, nil)
		if err != nil {
			return nil, false
		}
		out[i] = d
	}
	return out, true
}

// systemColumns are those that every table has and * does not show.
var systemColumns = []Column{ //nolint:gochecknoglobals // a constant table
	{Name: "tableoid", Type: datum.OID},
	{Name: "xmin", Type: datum.Xid},
}

// SystemColumns are those that can be named beside the others.
func (t *Table) SystemColumns() []Column { return systemColumns }

// listed are the catalogs that PostgreSQL has: not those by which functions look up what
// they tell.
func listed() []*Table {
	all, err := Load()
	if err != nil {
		return nil
	}
	var out []*Table
	for _, t := range all.list {
		if !strings.HasPrefix(t.Name, "nd_") {
			out = append(out, t)
		}
	}
	return out
}

// catalogClasses are the rows of pg_class of the catalogs themselves.
var catalogClasses = sync.OnceValue(func() []row { //nolint:gochecknoglobals // constant rows
	var out []row
	for _, t := range listed() {
		r := row{"oid": t.OID, "relname": t.Name, "relnamespace": t.namespace(), "relowner": rootOID, "reltuples": -1.0, "relpersistence": "p", "relkind": t.Kind,
			"relnatts": len(t.Columns), "relispopulated": true, "relreplident": "n", "relhasrules": t.Kind == "v", "relfilenode": t.OID}
		if t.Kind == "r" {
			r["relam"] = heapAM
		}
		out = append(out, r)
	}
	return out
})

func (t *Table) namespace() int {
	if t.Schema == informationSchema {
		return informationNamespace
	}
	return catalogNamespace
}

// catalogAttributes are the rows of pg_attribute of the catalogs themselves.
var catalogAttributes = sync.OnceValue(func() []row { //nolint:gochecknoglobals // constant rows
	var out []row
	for _, t := range listed() {
		for i, c := range t.Columns {
			of := typeOf(c.Type)
			out = append(out, row{"attrelid": t.OID, "attname": c.Name, "atttypid": c.Type.OID(), "attlen": of.size, "attnum": i + 1, "attcacheoff": -1, "atttypmod": -1,
				"attbyval": of.byValue, "attalign": of.align, "attstorage": of.storage, "attnotnull": t.Kind == "r" && !c.Zero.Null, "attislocal": true,
				"attcollation": collation(c.Type), "attstattarget": -1, "attndims": dimensions(c.Type)})
		}
	}
	return out
})
