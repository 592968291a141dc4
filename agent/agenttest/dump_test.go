package agenttest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// TestDumpAndRestore has pg_dump 15 dump a database, psql make another one of that, and
// pg_dump say the same of both.
func TestDumpAndRestore(t *testing.T) {
	t.Parallel()
	dump := clientOf15(t, "pg_dump")
	psql := clientOf15(t, "psql")
	c := Start(t, Options{Nodes: 1, Replicas: 1, Ranges: 4})
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	run(ctx, t, c.session(ctx, t, 1), "create database first", "create database second", "create database third")
	client := func(database, program string, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(ctx, program, append(args, c.ofDatabase(t, database))...)
		cmd.Env = append(os.Environ(), "PGOPTIONS=-c client_min_messages=warning")
		var failure strings.Builder
		cmd.Stderr = &failure
		out, err := cmd.Output()
		if err != nil || failure.Len() > 0 {
			t.Fatalf("%s %v of %s: %v\n%s", program, args, database, err, failure.String())
		}
		return string(out)
	}
	client("first", psql, "-q", "-v", "ON_ERROR_STOP=1", "-f", "testdata/dump.sql", "-d")
	for database, form := range map[string][]string{"second": nil, "third": {"--inserts"}} { // COPY, and INSERT
		file := filepath.Join(t.TempDir(), "dump.sql")
		if err := os.WriteFile(file, []byte(client("first", dump, form...)), 0o600); err != nil {
			t.Fatal(err)
		}
		client(database, psql, "-q", "-v", "ON_ERROR_STOP=1", "-f", file, "-d")
		for _, what := range []string{"--schema-only", "--data-only"} {
			was, is := dumped(client("first", dump, what, "--inserts")), dumped(client(database, dump, what, "--inserts"))
			if what == "--data-only" { // rows come in the order of their keys, which may be made up
				slices.Sort(was)
				slices.Sort(is)
			}
			if !slices.Equal(was, is) {
				t.Errorf("%s of what %v has restored:\n%s\nwas\n%s", what, form, strings.Join(is, "\n"), strings.Join(was, "\n"))
			}
			if len(was) < 10 {
				t.Errorf("%s is %d lines", what, len(was))
			}
		}
	}
}

// restricting are the lines of a dump that have a random key in them.
var restricting = regexp.MustCompile(`^\\(un)?restrict `)

// dumped are the lines of a dump that say something.
func dumped(text string) []string {
	return slices.DeleteFunc(strings.Split(text, "\n"), func(line string) bool {
		return line == "" || strings.HasPrefix(line, "--") || restricting.MatchString(line)
	})
}

// clientOf15 finds a client program of PostgreSQL 15.
func clientOf15(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join("/usr/lib/postgresql/15/bin", name)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("there is no %s of PostgreSQL 15: %v", name, err)
	}
	return path
}

// ofDatabase is the URL of a database of node 1.
func (c *Cluster) ofDatabase(t *testing.T, name string) string {
	t.Helper()
	config, err := pgx.ParseConfig(c.Node(1).URL())
	if err != nil {
		t.Fatal(err)
	}
	return strings.Replace(c.Node(1).URL(), "/"+config.Database+"?", "/"+name+"?", 1)
}
