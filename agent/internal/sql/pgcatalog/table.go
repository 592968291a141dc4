package pgcatalog

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

//go:embed columns.txt
var columnsText string

// Schema is the schema that is searched without being named.
const Schema = "pg_catalog"

const informationSchema = "information_schema"

// Table is one catalog.
type Table struct {
	Schema  string
	Name    string
	OID     uint32 // PostgreSQL 15's
	Kind    string // r, or v of what PostgreSQL derives from others
	Columns []Column
}

// Column is a column of a catalog. Its Zero stands where a row says nothing.
type Column struct {
	Name string
	Type datum.Type
	Zero datum.Datum
}

// Input is what the rows are made of.
type Input struct {
	// Tables and Schemas are those of the database, by name.
	SearchPath []string // of the schemas, and pg_catalog before them
	Tables     []*catalog.Table
	Schemas    []*cluster.Object
	Sequences  []Sequence
	Views      []View
	Functions  []Function
	// Types are the domains and enums of the database, EnumType the type of the values of
	// one.
	Types    []*cluster.Object
	EnumType func(*cluster.Object) datum.Type
	// Composite is the type of the values of a composite type.
	Composite func(*cluster.Object) datum.Type
	// DefaultText shows a column's default.
	DefaultText func(string) string
	// NamedCalls shows an expression in which functions stand by their ids.
	NamedCalls func(string) string
	Databases  []*cluster.Object // of the cluster
	Database   string            // the session's
	Version    uint64            // of the schema: it rises with each change
	DatabaseID cluster.ObjectID
	// Roles are all roles, by name.
	Roles []Role
	// MemberOf are the roles that a role is a member of, AdminOf whether it may grant one.
	MemberOf func(role string) map[string]bool
	AdminOf  func(role, of string) bool
	// Rights are those of the session's role, RightsOf those of any.
	Rights   *catalog.Rights
	RightsOf func(role string) *catalog.Rights
	Settings []Setting
	Cursors  []Cursor            // of the session
	Prepared []PreparedStatement // of the session
	// Sizes are those of tables, of all databases, if Shared says so.
	Sizes []Size
	// Definitions are how many bytes what tells of its objects takes in each database; by 0, of
	// roles.
	Definitions map[cluster.ObjectID]int64
	// Channels are those that the session listens to.
	Channels []string
	// What all nodes do, if Shared says that the table shows it: sessions, or
	// transactions and their locks.
	Sessions     []cluster.Session
	Transactions []cluster.Transaction
	Locks        []cluster.RowLock
}

// Setting is a row of pg_settings.
type Setting struct {
	Name, Value, About string
	// Boot is the built-in value, Reset that of the session's start; Source says where
	// Value is from.
	Boot, Reset, Source string
	Fixed               bool
}

// Cursor is a row of pg_cursors.
type Cursor struct {
	Name, Statement          string
	Hold, Binary, Scrollable bool
	Created                  time.Time
}

// PreparedStatement is a row of pg_prepared_statements.
type PreparedStatement struct {
	Name, Statement string
	Prepared        time.Time
	Parameters      []int // the types
	FromSQL         bool
}

// Catalogs are all tables, by schema and name.
type Catalogs struct {
	tables map[string]*Table
	list   []*Table
}

// Load reads the list of catalogs once.
var Load = sync.OnceValues(load) //nolint:gochecknoglobals // a constant, parsed on first use

func load() (*Catalogs, error) {
	c := &Catalogs{tables: map[string]*Table{}}
	for line := range strings.Lines(columnsText) {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		full, rest, _ := strings.Cut(fields[0], ":")
		number, kind, _ := strings.Cut(rest, ":")
		schema, name, _ := strings.Cut(full, ".")
		oid, err := strconv.ParseUint(number, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("catalog %s: %w", fields[0], err)
		}
		t := &Table{Schema: schema, Name: name, OID: uint32(oid), Kind: kind}
		for _, f := range fields[1:] {
			column, err := parseColumn(f)
			if err != nil {
				return nil, fmt.Errorf("catalog %s: %w", fields[0], err)
			}
			if schema == informationSchema && column.Type == datum.Name { // nothing there is called ''
				column.Zero = datum.MakeNull(column.Type)
			}
			t.Columns = append(t.Columns, column)
		}
		c.tables[full] = t
		c.list = append(c.list, t)
	}
	return c, nil
}

// parseColumn reads name:type. A "char" is empty where nothing is said; texts and arrays
// are null there.
func parseColumn(s string) (Column, error) {
	name, typ, _ := strings.Cut(s, ":")
	t, ok := datum.TypeByName(typ)
	if !ok {
		return Column{}, fmt.Errorf("column %s has the unknown type %q", name, typ)
	}
	zero := datum.Datum{Type: t}
	if t == datum.Char || t == datum.Name || t.IsNumbered() || t.IsInt() || t.IsFloat() || t == datum.Bool {
		return Column{Name: name, Type: t, Zero: zero}, nil
	}
	return Column{Name: name, Type: t, Zero: datum.MakeNull(t)}, nil
}

// Lookup finds a catalog; without a schema only those of pg_catalog.
func (c *Catalogs) Lookup(schema, name string) (*Table, bool) {
	if schema == "" {
		schema = Schema
	}
	t, ok := c.tables[schema+"."+name]
	return t, ok
}

// Shared is what tables show of all nodes, which have to be asked for it.
type Shared int

// The things that are asked for; zero: nothing is.
const (
	Activity Shared = iota + 1
	Locks
	Sizes
)

// Shared says what is to be asked for, for the table.
func (t *Table) Shared() Shared {
	switch t.Schema + "." + t.Name {
	case Schema + ".pg_stat_activity", Schema + ".pg_stat_progress_copy":
		return Activity
	case Schema + ".pg_locks", Schema + ".nd_blocking":
		return Locks
	case Schema + ".nd_size", Schema + ".nd_database_size":
		return Sizes
	}
	return 0
}

// row is what is said of one row: values by column name.
type row map[string]any

// Rows makes the table's rows.
func (t *Table) Rows(in *Input) [][]datum.Datum {
	var out [][]datum.Datum
	xmin := datum.MakeInt(datum.Xid, int64(uint32(in.Version))) //nolint:gosec // it goes round, as there
	for _, r := range builtinRows()[t.Name] {
		out = append(out, t.withSystem(r, xmin))
	}
	for _, r := range t.fill(in) {
		values := make([]datum.Datum, len(t.Columns), len(t.Columns)+len(systemColumns))
		for i, c := range t.Columns {
			values[i] = c.Zero
			if v, ok := r[c.Name]; ok {
				values[i] = c.value(in.shownText(v))
			}
		}
		out = append(out, t.withSystem(values, xmin))
	}
	return out
}

// shownText is a value in which functions of users stand by their names.
func (in *Input) shownText(v any) any {
	if text, ok := v.(string); ok && in.NamedCalls != nil && syntax.CallsNumbered(text) {
		return in.NamedCalls(text)
	}
	return v
}

// withSystem adds the values of the system columns: transactions have no numbers, but the
// schema has a version.
func (t *Table) withSystem(values []datum.Datum, xmin datum.Datum) []datum.Datum {
	return append(values[:len(values):len(values)], datum.MakeInt(datum.OID, int64(t.OID)), xmin)
}

// value makes a datum of what a row says.
func (c *Column) value(v any) datum.Datum {
	switch v := v.(type) {
	case nil:
		return datum.MakeNull(c.Type)
	case bool:
		return datum.MakeBool(v)
	case int:
		return datum.MakeInt(c.Type, int64(v))
	case int64:
		return datum.MakeInt(c.Type, v)
	case uint32:
		return datum.MakeInt(c.Type, int64(v))
	case float64:
		return datum.MakeFloat(c.Type, v)
	case []int:
		values := make([]datum.Datum, len(v))
		for i, n := range v {
			values[i] = datum.MakeInt(c.Type.Elem(), int64(n))
		}
		array := datum.MakeArray(c.Type.Elem(), values)
		array.Type = c.Type
		return array
	case []string:
		values := make([]datum.Datum, len(v))
		for i, text := range v {
			values[i] = datum.MakeString(c.Type.Elem(), text)
		}
		return datum.MakeArray(c.Type.Elem(), values)
	case string:
		switch c.Type {
		case datum.Regproc:
			return datum.MakeInt(c.Type, int64(functionNumbers()[v]))
		case datum.Inet:
			d, err := datum.ParseText(c.Type, v, nil)
			if err != nil {
				return datum.MakeNull(c.Type)
			}
			return d
		}
		return datum.MakeString(c.Type, v)
	case time.Duration:
		return datum.Datum{Type: c.Type, I: v.Microseconds()}
	case time.Time:
		if v.IsZero() {
			return datum.MakeNull(c.Type)
		}
		return datum.FromTime(v)
	default:
		return datum.MakeNull(c.Type)
	}
}

func (t *Table) fill(in *Input) []row {
	if t.Schema == informationSchema {
		return in.information(t.Name)
	}
	if kind, ok := strings.CutPrefix(t.Name, "nd_reg"); ok {
		return in.registered("reg" + kind)
	}
	switch t.Name {
	case "nd_serial":
		return in.serials()
	case "pg_namespace":
		return in.namespaces()
	case "pg_class":
		return append(in.classes(), catalogClasses()...)
	case "pg_attribute":
		return append(in.attributes(), catalogAttributes()...)
	case "pg_attrdef":
		return in.defaults()
	case "pg_type":
		return in.pgTypes()
	case "pg_enum":
		return in.enumLabels()
	case "pg_index":
		return in.indexes()
	case "pg_constraint":
		return in.constraints()
	case "nd_privilege":
		return in.privileges()
	case "nd_index_column":
		return in.indexColumns()
	case "nd_definition":
		return in.definitions()
	case "nd_comment", "nd_column_comment", "pg_description", "pg_shdescription":
		return in.comments(t.Name)
	case "pg_database":
		return in.databases()
	case "pg_user", "pg_shadow":
		return in.logins()
	case "pg_policy", "pg_policies":
		return in.policies(t.Name == "pg_policies")
	case "pg_trigger":
		return in.pgTriggers()
	case "pg_default_acl":
		return in.defaultACLs()
	case "pg_roles", "pg_authid":
		return append(in.users(), adminRoles()...)
	case "pg_db_role_setting":
		return in.roleSettings()
	case "pg_auth_members":
		return in.members()
	case "pg_settings", "pg_cursors", "pg_prepared_statements":
		return in.ofSession(t.Name)
	case "pg_stat_activity":
		return in.activity()
	case "pg_stat_progress_copy":
		return in.copies()
	case "pg_locks":
		return in.locks()
	case "pg_proc", "nd_function", "pg_language":
		return in.ofFunctions(t.Name)
	default:
		return t.fillRelations(in)
	}
}

// fillRelations is fill of what views and sequences are, and what depends on what.
func (t *Table) fillRelations(in *Input) []row {
	switch t.Name {
	case "pg_views":
		return in.pgViews()
	case "pg_matviews":
		return in.pgMatviews()
	case "pg_rewrite":
		return in.rewrites()
	case "pg_sequence":
		return in.pgSequence()
	case "pg_sequences":
		return in.pgSequences()
	case "pg_depend":
		return append(in.depends(), in.viewDepends()...)
	case "nd_updatable":
		return in.updatable()
	case "nd_object":
		return in.objects()
	case "nd_argument":
		return in.argumentDefaults()
	case "nd_sequence_value":
		return in.sequenceValues()
	case "nd_row_security":
		return in.rowSecurity()
	case "nd_property":
		return in.properties()
	case "nd_held", "nd_held_column", "nd_member":
		return in.ofRoles(t.Name)
	case "pg_timezone_names":
		return in.zones()
	case "nd_size":
		return in.sizes()
	case "nd_database_size":
		return in.databaseSizes()
	case "nd_blocking":
		return in.blocking()
	case "nd_channel":
		return in.channels()
	default:
		return in.views(t.Name)
	}
}
