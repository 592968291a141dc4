package pgcatalog

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// The OIDs that PostgreSQL gives these objects.
const (
	catalogNamespace     = 11
	informationNamespace = 13000
	internalNamespace    = 13001
	plpgsqlExtension     = 13559
	rootOID              = 10
	heapAM               = 2
	btreeAM              = 403
	ginAM                = 2742
	hashAM               = 405
	defaultCollation     = 100
	firstUserOID         = 16384
	// indexOffset and constraintOffset keep a collection's index and constraint
	// apart from the collections themselves.
	indexOffset      = 1 << 29
	constraintOffset = 1 << 30
)

// OID is the OID of an object.
func OID(id cluster.ObjectID) uint32 { return catalog.OID(id) }

// TableOID is the OID of a collection.
func TableOID(t *catalog.Table) uint32 { return OID(t.ObjectID()) }

func (in *Input) namespaces() []row {
	out := []row{
		{"oid": catalogNamespace, "nspname": Schema, "nspowner": rootOID},
		{"oid": informationNamespace, "nspname": informationSchema, "nspowner": rootOID},
		{"oid": internalNamespace, "nspname": "nodedb_internal", "nspowner": rootOID},
	}
	for _, o := range in.Schemas {
		out = append(out, row{"oid": OID(o.ID), "nspname": o.Name, "nspowner": in.ownerOID(o), "nspacl": access(o)})
	}
	return out
}

func (in *Input) databases() []row {
	var out []row
	for _, o := range in.Databases {
		out = append(out, row{"oid": OID(o.ID), "datname": o.Name, "datdba": in.ownerOID(o), "encoding": 6, "datallowconn": true, "datconnlimit": -1, "dattablespace": defaultTablespace,
			"datcollate": "C", "datctype": "C.UTF-8", "datlocprovider": "c", "datacl": access(o)})
	}
	return out
}

func visible(t *catalog.Table) []catalog.Column {
	var out []catalog.Column
	for _, c := range t.Columns {
		if !c.Hidden {
			out = append(out, c)
		}
	}
	return out
}

// hasKey reports whether rows are where their primary key says.
func hasKey(t *catalog.Table) bool { return t.KeyName() != "" }

func (in *Input) classes() []row {
	var out []row
	for _, t := range in.Tables {
		kind, populated := "r", true
		if t.Desc.View != nil {
			kind, populated = "m", t.Desc.View.Populated
		}
		out = append(out, row{"oid": TableOID(t), "relname": t.Name(), "relnamespace": OID(t.Schema().ID), "relowner": in.ownerOID(t.Desc), "relam": heapAM, "reltype": RowTypeOID(TableOID(t)),
			"relfilenode": TableOID(t), "reltuples": -1.0, "relhasindex": hasKey(t) || len(t.ShownIndexes()) > 0, "relpersistence": persistence(t.Schema()), "relkind": kind, "relhasrules": kind == "m",
			"relnatts": len(t.Columns), "relchecks": len(t.Desc.Collection.ShownChecks()), "relispopulated": populated, "relreplident": "d", "relacl": access(t.Desc),
			"relhastriggers": hasTriggers(t), "relrowsecurity": t.Desc.Collection.RowSecurity, "relforcerowsecurity": t.Desc.Collection.ForceRowSecurity})
		if hasKey(t) {
			out = append(out, row{"oid": TableOID(t) + indexOffset, "relname": t.KeyName(), "relnamespace": OID(t.Schema().ID), "relowner": in.ownerOID(t.Desc),
				"relam": btreeAM, "relfilenode": TableOID(t) + indexOffset, "relpersistence": persistence(t.Schema()), "relkind": "i", "relnatts": len(t.Key), "relispopulated": true, "relreplident": "n"})
		}
		out = append(out, in.indexClasses(t)...)
	}
	return slices.Concat(out, in.sequenceClasses(), in.viewClasses(), in.compositeClasses())
}

// persistence says whether what is in a schema stays.
func persistence(schema *cluster.Object) string {
	if schema.Temporary != nil {
		return "t"
	}
	return "p"
}

func (in *Input) attributes() []row {
	var out []row
	for _, t := range in.Tables {
		for i, c := range t.Columns {
			if c.Hidden {
				continue
			}
			one := attribute(TableOID(t), i+1, c)
			one["attacl"] = columnAccess(t, i)
			out = append(out, one)
		}
		if hasKey(t) {
			for n, i := range t.Key {
				out = append(out, attribute(TableOID(t)+indexOffset, n+1, t.Columns[i]))
			}
		}
		out = append(out, indexAttributes(t)...)
	}
	return slices.Concat(out, in.viewAttributes(), in.compositeAttributes())
}

func attribute(relation uint32, number int, c catalog.Column) row {
	of := typeOf(c.Type)
	return row{"attrelid": relation, "attname": c.Name, "atttypid": typeOID(&c), "attlen": of.size, "attnum": number,
		"attcacheoff": -1, "atttypmod": int(c.Modifier), "attbyval": of.byValue, "attalign": of.align, "attstorage": of.storage, "attndims": dimensions(c.Type),
		"attnotnull": c.NeverNull(), "atthasdef": c.Default != "" && !c.Identity && c.Default != "NULL" || c.Generated != "", "attidentity": identity(&c), "attgenerated": generated(&c), "attislocal": true, "attcollation": collation(c.Type), "attstattarget": -1}
}

// dimensions is what attndims says: of arrays, one.
func dimensions(t datum.Type) int {
	if t.IsArray() {
		return 1
	}
	return 0
}

func collation(t datum.Type) int {
	if t.IsString() && t.Elem() != datum.Char {
		return defaultCollation
	}
	return 0
}

// defaultOID is the OID of the default of the column with the index.
func defaultOID(t *catalog.Table, i int) uint32 { return TableOID(t)*2048 + uint32(i) }

func (in *Input) defaults() []row {
	var out []row
	for _, t := range in.Tables {
		for i, c := range t.Columns {
			if text := in.defaultText(&c); text != "" && !c.Hidden {
				out = append(out, row{"oid": defaultOID(t, i), "adrelid": TableOID(t), "adnum": i + 1, "adbin": text})
			}
			if c.Generated != "" {
				out = append(out, row{"oid": defaultOID(t, i), "adrelid": TableOID(t), "adnum": i + 1, "adbin": c.Generated})
			}
		}
	}
	return out
}

// pgTypes lists the types of the database, with their arrays; those of PostgreSQL are among
// the builtin rows.
func (in *Input) pgTypes() []row { return append(in.userTypes(), in.rowTypes()...) }

func keyNumbers(t *catalog.Table) []int {
	out := make([]int, len(t.Key))
	for i, k := range t.Key {
		out[i] = k + 1
	}
	return out
}

// keyClasses are the operator classes of a primary key.
func keyClasses(t *catalog.Table) []int {
	out := make([]int, len(t.Key))
	for i, k := range t.Key {
		out[i] = operatorClass(t.Columns[k].Type, nil)
	}
	return out
}

func (in *Input) indexes() []row {
	var out []row
	for _, t := range in.Tables {
		if hasKey(t) {
			out = append(out, row{"indexrelid": TableOID(t) + indexOffset, "indrelid": TableOID(t), "indnatts": len(t.Key), "indnkeyatts": len(t.Key),
				"indisunique": true, "indisprimary": true, "indimmediate": true, "indisvalid": true, "indisready": true, "indislive": true,
				"indkey": keyNumbers(t), "indoption": make([]int, len(t.Key)), "indclass": keyClasses(t)})
		}
		out = append(out, secondary(t)...)
	}
	return out
}

func (in *Input) constraints() []row {
	out := in.domainChecks()
	for _, t := range in.Tables {
		out = append(append(out, checks(t)...), uniques(t)...)
		for _, k := range in.foreignKeys(t) {
			out = append(out, k.row())
		}
		if hasKey(t) {
			out = append(out, row{"oid": TableOID(t) + constraintOffset, "conname": t.KeyName(), "connamespace": OID(t.Schema().ID), "contype": "p",
				"convalidated": true, "conrelid": TableOID(t), "conindid": TableOID(t) + indexOffset, "confupdtype": " ", "confdeltype": " ", "confmatchtype": " ",
				"conislocal": true, "connoinherit": true, "conkey": keyNumbers(t)})
		}
	}
	return out
}

func (in *Input) settings() []row {
	var out []row
	for _, s := range in.Settings {
		context := "user"
		if s.Fixed {
			context = "internal"
		}
		out = append(out, row{"name": s.Name, "setting": s.Value, "category": "NodeDB", "short_desc": s.About, "context": context, "vartype": "string",
			"source": s.Source, "boot_val": s.Boot, "reset_val": s.Reset})
	}
	return out
}

// ofSession are the rows of catalogs about the session itself.
func (in *Input) ofSession(name string) []row {
	var out []row
	switch name {
	case "pg_settings":
		return in.settings()
	case "pg_prepared_statements":
		for _, p := range in.Prepared {
			// How often plans were used is not counted.
			out = append(out, row{"name": p.Name, "statement": p.Statement, "prepare_time": p.Prepared, "parameter_types": p.Parameters, "from_sql": p.FromSQL,
				"generic_plans": nil, "custom_plans": nil})
		}
		return out
	}
	for _, c := range in.Cursors {
		out = append(out, row{"name": c.Name, "statement": c.Statement, "is_holdable": c.Hold, "is_binary": c.Binary, "is_scrollable": c.Scrollable, "creation_time": c.Created})
	}
	return out
}

// activity has what PostgreSQL says of a session; what it says of transactions by
// number is null: theirs have no numbers.
func (in *Input) activity() []row {
	var out []row
	for i := range in.Sessions {
		s := &in.Sessions[i]
		r := row{"datid": nil, "datname": nil, "pid": s.PID, "leader_pid": nil, "client_port": nil, "usename": s.User, "application_name": s.Application,
			"backend_start": s.Began, "xact_start": s.Busy(), "query_start": s.StatementAt, "state_change": s.Since, "state": string(s.State),
			"backend_xid": nil, "backend_xmin": nil, "query_id": nil, "query": s.Statement, "backend_type": "client backend"}
		if n := slices.IndexFunc(in.Databases, func(o *cluster.Object) bool { return o.ID == s.Database }); n >= 0 {
			r["datid"], r["datname"] = OID(s.Database), in.Databases[n].Name
		}
		if oid := in.roleOID(s.User); oid != 0 {
			r["usesysid"] = oid
		}
		if host, port, err := net.SplitHostPort(s.Client); err == nil {
			number, _ := strconv.Atoi(port) // of an address that was one
			r["client_addr"], r["client_port"] = host, number
		}
		switch {
		case s.Blocked:
			r["wait_event_type"], r["wait_event"] = "Lock", "transactionid"
		case s.State != cluster.SessionActive:
			r["wait_event_type"], r["wait_event"] = "Client", "ClientRead"
		}
		out = append(out, r)
	}
	return out
}

// copies are the sessions that run a COPY. How much there is to come no client says.
func (in *Input) copies() []row {
	var out []row
	for i := range in.Sessions {
		s := &in.Sessions[i]
		c := s.Copy
		if c == nil {
			continue
		}
		r := row{"pid": s.PID, "datid": nil, "datname": nil, "relid": 0, "command": "COPY TO", "type": "PIPE",
			"bytes_processed": c.Bytes, "bytes_total": 0, "tuples_processed": c.Rows, "tuples_excluded": c.Excluded}
		if c.From {
			r["command"] = "COPY FROM"
		}
		if n := slices.IndexFunc(in.Databases, func(o *cluster.Object) bool { return o.ID == s.Database }); n >= 0 {
			r["datid"], r["datname"] = OID(s.Database), in.Databases[n].Name
		}
		if c.Table != 0 {
			r["relid"] = OID(c.Table)
		}
		out = append(out, r)
	}
	return out
}

// views makes the catalogs that PostgreSQL derives from others.
func (in *Input) views(name string) []row {
	if name == "pg_stat_all_indexes" || name == "pg_stat_user_indexes" {
		return in.indexStatistics()
	}
	var out []row
	for _, t := range in.Tables {
		if name == "pg_indexes" {
			out = append(out, indexViews(t)...)
		}
		switch {
		case name == "pg_tables" && t.Desc.View != nil:
		case name == "pg_tables":
			out = append(out, row{"schemaname": t.Schema().Name, "tablename": t.Name(), "tableowner": t.Desc.Owner, "hastriggers": hasTriggers(t), "hasindexes": hasKey(t) || len(t.ShownIndexes()) > 0,
				"rowsecurity": t.Desc.Collection.RowSecurity})
		case name == "pg_indexes" && hasKey(t):
			out = append(out, row{"schemaname": t.Schema().Name, "tablename": t.Name(), "indexname": t.KeyName(),
				"indexdef": indexDefinition(t)})
		case strings.HasPrefix(name, "pg_stat") && strings.HasSuffix(name, "_tables") && t.Desc.View == nil:
			out = append(out, row{"relid": TableOID(t), "schemaname": t.Schema().Name, "relname": t.Name()})
		}
	}
	return out
}

// definitions is what pg_get_indexdef and pg_get_constraintdef look up.
func (in *Input) definitions() []row {
	out := in.domainDefinitions()
	for _, t := range in.Tables {
		both := func(oid uint32, text string) row { return row{"oid": oid, "definition": text, "pretty": text} }
		if hasKey(t) {
			out = append(out, both(TableOID(t)+indexOffset, indexDefinition(t)), both(TableOID(t)+constraintOffset, "PRIMARY KEY ("+keyList(t)+")"))
		}
		out = append(out, secondaryDefinitions(t)...)
		for _, k := range t.Desc.Collection.ShownChecks() {
			out = append(out, checkDefinition(&k))
		}
		for _, k := range in.foreignKeys(t) {
			out = append(out, in.keyDefinition(&k))
		}
		for i := range t.Desc.Collection.Triggers {
			out = append(out, in.triggerDefinition(t, &t.Desc.Collection.Triggers[i]))
		}
	}
	for i := range in.Views {
		v := &in.Views[i]
		if triggers := v.Desc.View.Triggers; len(triggers) > 0 {
			for n := range triggers {
				out = append(out, in.triggerDefinition(v.Rows(), &triggers[n]))
			}
		}
		rule := "CREATE RULE \"_RETURN\" AS\n    ON SELECT TO " + quoted(v.Schema().Name) + "." + quoted(v.Name()) + " DO INSTEAD " + v.Definition
		out = append(out, row{"oid": v.oid(), "definition": v.Definition, "pretty": v.Definition}, row{"oid": v.oid() + ruleOffset, "definition": rule, "pretty": rule})
	}
	return out
}

func indexDefinition(t *catalog.Table) string {
	return fmt.Sprintf("CREATE UNIQUE INDEX %s ON %s.%s USING btree (%s)", quoted(t.KeyName()), quoted(t.Schema().Name), quoted(t.Name()), keyList(t))
}

func keyList(t *catalog.Table) string {
	names := make([]string, len(t.Key))
	for i, k := range t.Key {
		names[i] = quoted(t.Columns[k].Name)
	}
	return strings.Join(names, ", ")
}
