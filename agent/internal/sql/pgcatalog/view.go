package pgcatalog

import (
	"slices"
	"strings"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
)

// View is a view of the database.
type View struct {
	*catalog.View
	// Definition is its query as it is shown to people.
	Definition string
	// Updatable says that rows are changed through it.
	Updatable bool
}

func (v *View) oid() uint32 { return OID(v.Desc.ID) }

// ruleOffset is between the OID of a view and that of its rule.
const ruleOffset = 1<<29 + 1<<28

// materialized reports whether v has rows: then it is among the tables, too.
func (v *View) materialized() bool { return v.Desc.Collection != nil }

// viewClasses are the rows of pg_class of the views.
func (in *Input) viewClasses() []row {
	var out []row
	for i := range in.Views {
		v := &in.Views[i]
		if v.materialized() {
			continue
		}
		var options any
		if option := v.Desc.View.Option; option != "" {
			options = []string{"security_invoker=" + option}
		}
		out = append(out, row{"oid": v.oid(), "relname": v.Name(), "reloptions": options, "relnamespace": OID(v.Schema().ID), "relowner": in.ownerOID(v.Desc), "relfilenode": 0, "relhasrules": true, "relhastriggers": len(v.Desc.View.Triggers) > 0,
			"reltype": RowTypeOID(v.oid()), "reltuples": -1.0, "relpersistence": persistence(v.Schema()), "relkind": "v", "relnatts": len(v.Columns), "relispopulated": true, "relreplident": "n"})
	}
	return out
}

func (in *Input) viewAttributes() []row {
	var out []row
	for i := range in.Views {
		v := &in.Views[i]
		for n, c := range v.Columns {
			if v.materialized() {
				break
			}
			out = append(out, attribute(v.oid(), n+1, c))
		}
	}
	return out
}

// rewrites are the rows of pg_rewrite: PostgreSQL has the query of a view as a rule.
func (in *Input) rewrites() []row {
	var out []row
	for i := range in.Views {
		v := &in.Views[i]
		out = append(out, row{"oid": v.oid() + ruleOffset, "rulename": "_RETURN", "ev_class": v.oid(), "ev_type": "1", "ev_enabled": "O", "is_instead": true})
	}
	return out
}

// pgMatviews makes pg_matviews.
func (in *Input) pgMatviews() []row {
	var out []row
	for i := range in.Views {
		if v := &in.Views[i]; v.materialized() {
			out = append(out, row{"schemaname": v.Schema().Name, "matviewname": v.Name(), "matviewowner": v.Desc.Owner, "hasindexes": false, "ispopulated": v.Desc.View.Populated,
				"definition": v.Definition})
		}
	}
	return out
}

// pgViews makes pg_views.
func (in *Input) pgViews() []row {
	var out []row
	for i := range in.Views {
		v := &in.Views[i]
		if v.materialized() {
			continue
		}
		out = append(out, row{"schemaname": v.Schema().Name, "viewname": v.Name(), "viewowner": v.Desc.Owner, "definition": v.Definition})
	}
	return out
}

// viewDepends says which columns views and functions read, and what else functions name.
func (in *Input) viewDepends() []row {
	var out []row
	rules, class := catalogOID("pg_rewrite"), catalogOID("pg_class")
	numbers := map[uint32]map[uint32]int{}
	for _, t := range in.Tables {
		of := map[uint32]int{}
		for i, c := range t.Columns {
			of[uint32(c.ID)] = i + 1
		}
		numbers[TableOID(t)] = of
	}
	reads := func(of row, list []cluster.ViewRead) {
		for _, r := range list {
			for _, c := range r.Columns {
				number := int(c.ID)
				if of := numbers[OID(r.Object)]; of != nil {
					number = of[uint32(c.ID)]
				}
				if c.Used && number > 0 {
					out = append(out, row{"classid": of["classid"], "objid": of["objid"], "refclassid": class, "refobjid": OID(r.Object), "refobjsubid": number, "deptype": "n"})
				}
			}
		}
	}
	for i := range in.Views {
		v := &in.Views[i]
		out = append(out, row{"classid": rules, "objid": v.oid() + ruleOffset, "refclassid": class, "refobjid": v.oid(), "refobjsubid": 0, "deptype": "i"})
		reads(row{"classid": rules, "objid": v.oid() + ruleOffset}, v.Desc.View.Reads)
	}
	functions := in.functionDepends(reads)
	return append(out, functions...)
}

// functionDepends says what bodies of functions name.
func (in *Input) functionDepends(reads func(of row, list []cluster.ViewRead)) []row {
	kinds := map[cluster.ObjectID]string{}
	for i := range in.Functions {
		kinds[in.Functions[i].ID] = "pg_proc"
	}
	for i := range in.Sequences {
		kinds[in.Sequences[i].Object.ID] = "pg_class"
	}
	for _, t := range in.Types {
		kinds[t.ID] = "pg_type"
	}
	var out []row
	for i := range in.Functions {
		f := in.Functions[i].Object
		of := row{"classid": catalogOID("pg_proc"), "objid": OID(f.ID)}
		need := func(catalog string, id cluster.ObjectID) {
			out = append(out, row{"classid": of["classid"], "objid": of["objid"], "refclassid": catalogOID(catalog), "refobjid": OID(id), "refobjsubid": 0, "deptype": "n"})
		}
		reads(of, f.Function.Reads)
		for _, id := range f.Needs {
			if kind := kinds[id]; kind != "" {
				need(kind, id)
			}
		}
		for _, r := range f.Function.Reads { // who makes it anew needs it whole, whatever it reads of it
			need("pg_class", r.Object)
		}
	}
	return out
}

// viewInformation adds what information_schema says of views to the rows of a table of it.
func (in *Input) viewInformation(name string) []row {
	var out []row
	for i := range in.Views {
		v := &in.Views[i]
		if v.materialized() {
			continue // the standard knows none
		}
		named := func(r row) {
			r["table_catalog"], r["table_schema"], r["table_name"] = in.Database, v.Schema().Name, v.Name()
			out = append(out, r)
		}
		switch name {
		case "tables":
			named(row{"table_type": "VIEW", "is_insertable_into": yesNo(v.Updatable), "is_typed": "NO"})
		case "columns":
			for n, c := range v.Columns {
				r := informationColumn(n+1, c)
				r["is_updatable"] = yesNo(v.Updatable)
				named(r)
			}
		case "views":
			option := "NONE"
			if v.Desc.View.CheckOption != "" {
				option = strings.ToUpper(v.Desc.View.CheckOption)
			}
			named(row{"view_definition": v.Definition, "check_option": option, "is_updatable": yesNo(v.Updatable), "is_insertable_into": yesNo(v.Updatable),
				"is_trigger_updatable": yesNo(v.InsteadOf(cluster.OnUpdate)), "is_trigger_deletable": yesNo(v.InsteadOf(cluster.OnDelete)),
				"is_trigger_insertable_into": yesNo(v.InsteadOf(cluster.OnInsert))})
		}
	}
	return out
}

// changes are the events that PostgreSQL counts: bits for UPDATE, INSERT and DELETE.
const changes = 1<<2 | 1<<3 | 1<<4

// updatable is what pg_relation_is_updatable looks up.
func (in *Input) updatable() []row {
	var out []row
	views := map[uint32]bool{}
	for i := range in.Views {
		views[in.Views[i].oid()] = in.Views[i].Updatable
	}
	for _, c := range slices.Concat(in.classes(), catalogClasses()) {
		oid := number(c["oid"])
		if c["relkind"] == "r" || views[oid] {
			out = append(out, row{"oid": oid, "events": changes})
		}
	}
	return out
}
