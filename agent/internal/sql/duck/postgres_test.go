package duck

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// TestAgainstPostgres compares the expected results of testdata with what a real
// PostgreSQL answers. It runs where NODEDB_TEST_POSTGRES holds psql's arguments,
// e.g. "-h /tmp -U postgres". Queries that are known to differ say so: "differs".
func TestAgainstPostgres(t *testing.T) {
	conn := os.Getenv("NODEDB_TEST_POSTGRES")
	if conn == "" {
		t.Skip("NODEDB_TEST_POSTGRES is not set")
	}
	psql := func(t *testing.T, script string) string {
		cmd := exec.Command("psql", append(strings.Fields(conn), "-XqAt", "-F", "|", "-P", "null=NULL", "-v", "VERBOSITY=verbose")...)
		cmd.Stdin = strings.NewReader("SET client_min_messages=error; SET TimeZone='UTC';\n" + script)
		out, _ := cmd.CombinedOutput()
		return string(out)
	}
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		var differ []string // datadriven stops at the first failure
		schema := "DROP SCHEMA IF EXISTS public CASCADE; CREATE SCHEMA public;\n"
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			if d.Cmd == "table" {
				schema += tableScript(d.Input)
				return d.Expected
			}
			if d.Cmd != "query" || d.HasArg("differs") {
				return d.Expected
			}
			if schema != "" {
				if out := psql(t, schema); out != "" {
					t.Fatal(out)
				}
				schema = ""
			}
			got, want := psql(t, queryScript(d)), bare(d.Expected)
			if head, _, _ := strings.Cut(d.Expected, "\n"); strings.HasPrefix(head, "-- ") && !strings.Contains(d.Input, "$1") {
				if !strings.Contains(got, "ERROR:") {
					got, want = described(psql(t, d.Input+" \\gdesc"))+got, head+"\n"+want
				}
			}
			if d.HasArg("untyped") {
				types := psql(t, "PREPARE q AS "+d.Input+"; SELECT parameter_types FROM pg_prepared_statements;")
				got, want = paramLine(types)+got, expectedParams(d.Expected)+want
			}
			if strings.Contains(got, "ERROR:") {
				_, got, _ = strings.Cut(got, "ERROR:")
				got = "ERROR " + strings.TrimSpace(strings.SplitN(got, "\n", 2)[0]) + "\n"
			}
			if got != want {
				differ = append(differ, fmt.Sprintf("%s: %s\nPostgreSQL:\n%sexpected:\n%s", d.Pos, d.Input, got, want))
			}
			return d.Expected
		})
		for _, text := range differ {
			t.Error(text)
		}
	})
}

// described makes psql's names and types of columns a line like runQuery's.
func described(s string) string {
	var cols []string
	for _, l := range strings.Split(strings.TrimSpace(s), "\n") {
		name, typ, _ := strings.Cut(l, "|")
		if at := strings.IndexByte(typ, '('); at > 0 {
			typ = typ[:at]
		}
		if d, ok := datum.TypeByName(typ); ok {
			typ = d.String()
		}
		cols = append(cols, name+" "+typ)
	}
	return "-- " + strings.Join(cols, ", ") + "\n"
}

// paramLine makes PostgreSQL's {bigint,"character varying"} a line like runQuery's.
func paramLine(s string) string {
	var types []string
	for _, name := range strings.Split(strings.Trim(strings.TrimSpace(s), "{}"), ",") {
		d, _ := datum.TypeByName(strings.Trim(name, `"`))
		types = append(types, d.String())
	}
	return "-- params [" + strings.Join(types, " ") + "]\n"
}

func expectedParams(s string) string {
	for _, l := range strings.SplitAfter(s, "\n") {
		if strings.HasPrefix(l, "-- params") {
			return l
		}
	}
	return ""
}

// bare removes the lines of column types, which psql does not show.
func bare(s string) string {
	lines := slices.DeleteFunc(strings.SplitAfter(s, "\n"), func(l string) bool { return strings.HasPrefix(l, "-- ") })
	return strings.Join(lines, "")
}

func tableScript(input string) string {
	def, rows, _ := strings.Cut(input, "\n")
	name, list, _ := strings.Cut(def, ":")
	list = strings.NewReplacer("notnull", "", "hidden", "", ".", ",").Replace(list)
	script := "CREATE TABLE " + name + " (" + list + ");\n"
	for _, r := range strings.Split(rows, "\n") {
		if r == "" {
			continue
		}
		values := strings.Split(r, "|")
		for i, v := range values {
			if v != "NULL" {
				values[i] = "'" + strings.ReplaceAll(v, "'", "''") + "'"
			}
		}
		script += "INSERT INTO " + name + " VALUES (" + strings.Join(values, ", ") + ");\n"
	}
	return script
}

func queryScript(d *datadriven.TestData) string {
	var types, values []string
	for _, a := range d.CmdArgs {
		if a.Key != "args" {
			continue
		}
		for _, v := range a.Vals {
			typ, s, _ := strings.Cut(v, ":")
			types = append(types, typ)
			if s = "'" + strings.ReplaceAll(s, ";", ",") + "'"; s == "'NULL'" {
				s = "NULL"
			}
			values = append(values, s)
		}
	}
	if types == nil {
		return d.Input + ";"
	}
	return "PREPARE q(" + strings.Join(types, ", ") + ") AS " + d.Input + ";\nEXECUTE q(" + strings.Join(values, ", ") + ");"
}
