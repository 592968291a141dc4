//go:build long

package clients

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/nodedb/nodedb/agent/agenttest"
)

const (
	password = "app-s-password"
	skipped  = 77 // what a script ends with that could not install its client
	limit    = 15 * time.Minute
)

// known is what docs/SQL.md says of a step that a client fails at.
type known struct{ code, statement string }

var row = regexp.MustCompile("(?m)^\\| ([a-z]+) \\| ([^|]+) \\| (\\S+) \\| `([^`]*)` \\|")

// documented reads the failures of all clients out of the chapter "Clients", by client and step.
func documented(t *testing.T) map[string]map[string]known {
	t.Helper()
	text, err := os.ReadFile("../../../docs/SQL.md")
	if err != nil {
		t.Fatal(err)
	}
	_, chapter, found := strings.Cut(string(text), "\n## Clients\n")
	if !found {
		t.Fatal("docs/SQL.md has no chapter Clients")
	}
	chapter, _, _ = strings.Cut(chapter, "\n## ")
	out := map[string]map[string]known{}
	for _, m := range row.FindAllStringSubmatch(chapter, -1) {
		if out[m[1]] == nil {
			out[m[1]] = map[string]known{}
		}
		out[m[1]][m[2]] = known{m[3], m[4]}
	}
	return out
}

func TestTheFirstHourOfClients(t *testing.T) {
	scripts, err := filepath.Glob("testdata/*.sh")
	if err != nil {
		t.Fatal(err)
	}
	failures := documented(t)
	c := agenttest.Start(t, agenttest.Options{Nodes: 1, Replicas: 1, Ranges: 4})
	for _, script := range scripts {
		name := strings.TrimSuffix(filepath.Base(script), ".sh")
		if name == "lib" {
			continue
		}
		t.Run(name, func(t *testing.T) { firstHour(t, c, name, failures[name]) })
	}
}

// firstHour runs the script of one client as the owner of an empty database.
func firstHour(t *testing.T, c *agenttest.Cluster, name string, expected map[string]known) {
	n := c.Node(1)
	user := "app_" + name // Drizzle makes a schema of its own name, in which "$user" would make the tables
	makeDatabase(t, n, user)
	lib, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	host, port, _ := strings.Cut(n.SQL, ":")
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", filepath.Join(lib, name+".sh"))
	cmd.Env = append(os.Environ(), "LIB="+lib, "WORK="+t.TempDir(),
		"PGHOST="+host, "PGPORT="+port, "PGUSER="+user, "PGPASSWORD="+password, "PGDATABASE="+user,
		"PGSSLMODE=verify-full", "PGSSLROOTCERT="+filepath.Join(c.CredsDir(), "ca.crt"), "PYTHONDONTWRITEBYTECODE=1")
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if failed := new(exec.ExitError); errors.As(err, &failed) && failed.ExitCode() == skipped {
		t.Skipf("%s is not installed: %s", name, out)
	} else if err != nil && !errors.As(err, &failed) {
		t.Fatal(err)
	}
	compare(t, string(out), expected)
}

func makeDatabase(t *testing.T, n *agenttest.Node, name string) {
	t.Helper()
	conn, err := n.Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	id := pgx.Identifier{name}.Sanitize()
	for _, sql := range []string{
		fmt.Sprintf("CREATE USER %s PASSWORD '%s'", id, password),
		fmt.Sprintf("CREATE DATABASE %s OWNER %s", id, id),
	} {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
}

// compare holds what the steps said against what the documentation says of them.
func compare(t *testing.T, out string, expected map[string]known) {
	t.Helper()
	var seen []string
	ended := false
	for line := range strings.Lines(out) {
		f := strings.Split(strings.TrimRight(line, "\n"), "\t")
		switch {
		case f[0] == "end":
			ended = true
		case f[0] == "ok" && len(f) == 2:
			seen = append(seen, f[1])
			if k, is := expected[f[1]]; is {
				t.Errorf("%s: goes now: take %q out of the table in docs/SQL.md", f[1], k.statement)
			}
		case f[0] == "fail" && len(f) == 5:
			seen = append(seen, f[1])
			if k, is := expected[f[1]]; !is || k.code != f[2] || !strings.HasPrefix(f[4], k.statement) {
				t.Errorf("%s: %s %s\nstatement: %s\ndocumented: %q", f[1], f[2], f[3], f[4], k)
			}
		}
	}
	if !ended {
		t.Error("the client did not come to its last step")
	}
	for step := range expected {
		if !slices.Contains(seen, step) {
			t.Errorf("docs/SQL.md has a step %q that there is not", step)
		}
	}
}
