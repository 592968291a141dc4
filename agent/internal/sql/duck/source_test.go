package duck

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// memory is a Source of tables in memory. It remembers what was asked of it.
type memory struct {
	tables map[string]*Table
	rows   map[string][][]datum.Datum

	mu    sync.Mutex
	specs []ScanSpec
	open  int
}

func (m *memory) Scan(_ context.Context, spec ScanSpec) (Scan, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.specs = append(m.specs, spec)
	m.open++
	return &countedScan{Scan: RowScan(spec, m.rows[spec.Table.Name]), m: m}, nil
}

func (m *memory) resolve(schema, name string) (*Table, bool) {
	if schema != "" && schema != "public" {
		name = schema + "." + name
	}
	t, ok := m.tables[name]
	return t, ok
}

func (m *memory) openScans() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.open
}

type countedScan struct {
	Scan
	m *memory
}

func (c *countedScan) Close() {
	c.Scan.Close()
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	c.m.open--
}

// add defines a table: "name: col type [notnull|hidden], ..." and rows of
// PostgreSQL's texts, "NULL" for null.
func (m *memory) add(t testing.TB, def string, rows ...[]string) {
	t.Helper()
	name, list, _ := strings.Cut(def, ":")
	table := &Table{Name: name, OID: uint32(16384 + len(m.tables))}
	for _, c := range strings.Split(list, ",") {
		f := strings.Fields(c)
		typ, modifier := f[1], int32(-1)
		if base, mod, ok := strings.Cut(typ, "("); ok {
			typ = base
			var p, s int32
			if n, _ := fmt.Sscanf(mod, "%d.%d)", &p, &s); n == 2 {
				modifier = p<<16 + s + 4
			} else {
				modifier = p + 4
			}
		}
		d, ok := datum.TypeByName(typ)
		if !ok {
			t.Fatalf("no type %s", typ)
		}
		table.Columns = append(table.Columns, TableColumn{
			Name: f[0], Type: d, Modifier: modifier, NotNull: strings.Contains(c, " notnull"), Hidden: strings.Contains(c, " hidden"),
		})
	}
	m.tables[name] = table
	for _, r := range rows {
		row := make([]datum.Datum, len(r))
		for i, s := range r {
			row[i] = parse(t, table.Columns[i].Type, s)
		}
		m.rows[name] = append(m.rows[name], row)
	}
}

func parse(t testing.TB, typ datum.Type, s string) datum.Datum {
	t.Helper()
	if s == "NULL" {
		return datum.MakeNull(typ)
	}
	d, err := datum.ParseText(typ, s, nil)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func newMemory() *memory {
	return &memory{tables: map[string]*Table{}, rows: map[string][][]datum.Datum{}}
}

// open starts an engine for one test.
func open(t testing.TB, c Config) *Engine {
	t.Helper()
	c.SpillDir = t.TempDir()
	e, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

func selectOf(sql string) (*pg.SelectStmt, error) {
	tree, err := pg.Parse(sql)
	if err != nil {
		return nil, err
	}
	s := tree.Stmts[0].Stmt.GetSelectStmt()
	if s == nil {
		return nil, fmt.Errorf("not a SELECT: %s", sql)
	}
	return s, nil
}

var testSession = Session{User: "root", Database: "defaultdb", SearchPath: []string{"public"}, PID: 7, Setting: func(name string) (string, bool) {
	v, ok := map[string]string{"version": "NodeDB test", "server_version": "15.18"}[name]
	return v, ok
}}

// prepare parses and prepares.
func prepare(ctx context.Context, e *Engine, m *memory, sql string, types ...datum.Type) (Prepared, error) {
	s, err := selectOf(sql)
	if err != nil {
		return nil, err
	}
	return e.Prepare(ctx, Query{Select: s, Resolve: m.resolve, ParamTypes: types, Session: testSession})
}

var testNow = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// query runs a statement and returns its rows as texts.
func query(ctx context.Context, e *Engine, m *memory, sql string, args ...datum.Datum) ([][]string, error) {
	types := make([]datum.Type, len(args))
	for i := range args {
		types[i] = args[i].Type
	}
	p, err := prepare(ctx, e, m, sql, types...)
	if err != nil {
		return nil, err
	}
	var out [][]string
	err = p.Execute(ctx, Execution{Args: args, Source: m, Now: testNow}, func(row []datum.Datum) error {
		texts := make([]string, len(row))
		for i, d := range row {
			if texts[i] = d.Text(); d.Null {
				texts[i] = "NULL"
			}
		}
		out = append(out, texts)
		return nil
	})
	return out, err
}
