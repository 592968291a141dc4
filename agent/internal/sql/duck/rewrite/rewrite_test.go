package rewrite

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

var testTable = &Table{Name: "t", OID: 16384, Columns: []TableColumn{
	{Name: "id", Type: datum.Int8, Modifier: -1, NotNull: true}, {Name: "a", Type: datum.Int4, Modifier: -1},
	{Name: "s", Type: datum.Text, Modifier: -1}, {Name: "j", Type: datum.JSONB, Modifier: -1}, {Name: "k", Type: datum.UUID, Modifier: -1, Hidden: true},
}}

func resolveTest(schema, name string) (*Table, bool) { return testTable, schema == "" && name == "t" }

// rewriteText rewrites sql and returns DuckDB's text, parameters uncast.
func rewriteText(sql string) (string, *Statement, error) { return rewriteWith(sql, resolveTest) }

func rewriteWith(sql string, resolve Resolver) (string, *Statement, error) {
	tree, err := pg.Parse(sql)
	if err != nil {
		return "", nil, err
	}
	sel := (*pg.SelectStmt)(nil)
	if len(tree.Stmts) > 0 {
		sel = tree.Stmts[0].Stmt.GetSelectStmt()
	}
	if sel == nil {
		return "", nil, errors.New("not a SELECT")
	}
	s, err := Rewrite(Input{Select: sel, Resolve: resolve, Session: Session{User: "u", Database: "d"}})
	if err != nil {
		return "", nil, err
	}
	out, _, err := s.SQL(make([]string, len(s.Params)+1))
	return out, s, err
}

func TestRefused(t *testing.T) {
	for _, c := range []struct{ sql, code string }{
		{"SELECT read_text('/etc/passwd')", "42883"},
		{"SELECT * FROM read_csv('/etc/passwd')", "42883"},
		{"SELECT * FROM query('select 1')", "42883"},
		{"SELECT * FROM duckdb_settings()", "42883"},
		{"SELECT getenv('HOME')", "42883"},
		{"SELECT nd_div(1, 2)", "42883"},
		{"SELECT * FROM nscan(0)", "42883"},
		{"SELECT error('x')", "42883"},
		{"SELECT main.upper('x')", "42883"},
		{`SELECT * FROM "/etc/passwd"`, "42P01"},
		{"SELECT * FROM information_schema.tables", "42P01"},
		{"SELECT '1'::utinyint", "42704"},
		{"SELECT 1 OPERATOR(pg_catalog.@@@) 2", "42883"},
		{"SELECT * FROM t TABLESAMPLE BERNOULLI (1)", "0A000"},
		{"SELECT * INTO x FROM t", "0A000"},
		{"WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x", "0A000"},
		{"SELECT xmlelement(name a)", "0A000"},
		{"SELECT $0", "42P02"},
		{"SELECT $99999999", "42P02"},
		{"SELECT '2024-02-30'::date", "22008"},
		{"SELECT a FROM t WHERE id = 'x'", "22P02"},
		{"SELECT 1 UNION SELECT 1, 2", "42601"},
		{"SELECT " + strings.Repeat("1+", 1200) + "1", "54001"},
		{"SELECT " + strings.Repeat("(", 30) + "true" + strings.Repeat(", 1) < (true, 1)", 30), "54001"},
		{"SELECT (1" + strings.Repeat(", 1", 2000) + ") < (1" + strings.Repeat(", 1", 2000) + ")", "54001"},
		{"SELECT " + strings.Repeat("abs(", 950) + "1" + strings.Repeat(")", 950), "54001"},
	} {
		_, _, err := rewriteText(c.sql)
		var e *Error
		if !errors.As(err, &e) || e.Code != c.code {
			t.Errorf("%.60s: %v, want %s", c.sql, err, c.code)
		}
	}
}

func TestDeepIsFine(t *testing.T) {
	for _, sql := range []string{
		"SELECT " + strings.Repeat("1+", 800) + "1",
		"SELECT " + strings.Repeat("1/", 800) + "1",
		"SELECT 1 WHERE " + strings.Repeat("true AND ", 5000) + "true",
		"SELECT 1 IN (" + strings.Repeat("1,", 5000) + "1)",
		"SELECT (1, 2) IN (" + strings.Repeat("(1, 2),", 50000) + "(1, 2))",
		"SELECT (1, 2, 3) < (1, 2, 3) AND (1, 2) <> (3, 4)",
	} {
		if _, _, err := rewriteText(sql); err != nil {
			t.Errorf("%.30s: %v", sql, err)
		}
	}
}

func TestHiddenColumns(t *testing.T) {
	_, s, err := rewriteText("SELECT * FROM t")
	if err != nil || len(s.Columns) != 4 || len(s.Scans[0].Columns) != 4 {
		t.Fatal(s, err)
	}
	_, s, err = rewriteText("SELECT *, k FROM t")
	if err != nil || len(s.Columns) != 5 || s.Columns[4].Name != "k" || len(s.Scans[0].Columns) != 5 {
		t.Fatal(s, err)
	}
}

func TestInputIsNotChanged(t *testing.T) {
	tree, err := pg.Parse("SELECT count(*), a / 2 FROM t WHERE j @> '{}' AND id = $1")
	if err != nil {
		t.Fatal(err)
	}
	before := tree.String()
	if _, err := Rewrite(Input{Select: tree.Stmts[0].Stmt.GetSelectStmt(), Resolve: resolveTest}); err != nil {
		t.Fatal(err)
	}
	if tree.String() != before {
		t.Error("the tree was changed")
	}
}

func TestErrorPosition(t *testing.T) {
	_, _, err := rewriteText("SELECT nope(1)")
	var e *Error
	if !errors.As(err, &e) || e.Position != 8 {
		t.Fatalf("%+v", err)
	}
}

// seeds are the queries of the parent's test files.
func seeds(f *testing.F) {
	files, err := filepath.Glob("../testdata/*")
	if err != nil {
		f.Fatal(err)
	}
	query := regexp.MustCompile(`(?m)^(?:query|scans).*\n((?:.+\n)+?)----`)
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		for _, m := range query.FindAllSubmatch(text, -1) {
			f.Add(string(m[1]))
		}
	}
}

// FuzzRewrite: no statement makes it panic, and what it lets through calls only
// functions that its lists name.
func FuzzRewrite(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, sql string) {
		if len(sql) > 4096 { // the parser is guarded by sql/syntax
			return
		}
		out, _, err := rewriteText(sql)
		if err != nil {
			return
		}
		tree, err := pg.Parse(out)
		if err != nil {
			return // DuckDB's own syntax, or a name that PostgreSQL does not take
		}
		visit(tree.ProtoReflect(), func(n *pg.Node) {
			if f := n.GetFuncCall(); f != nil && forbidden.MatchString(lastName(f.Funcname)) && !ours(f) {
				t.Errorf("%s lets %s through: %s", sql, lastName(f.Funcname), out)
			}
		})
	})
}

// ours reports whether a call fails with an error that was found here.
func ours(f *pg.FuncCall) bool {
	return lastName(f.Funcname) == "error" && len(f.Args) == 1 && strings.HasPrefix(f.Args[0].GetTypeCast().GetArg().GetAConst().GetSval().GetSval(), "ND")
}

var forbidden = regexp.MustCompile(`^(read_|query|duckdb_|glob$|getenv$|error$|getvariable$|sniff_|parquet_|pragma_|which_secret|write_log|from_substrait)`)
