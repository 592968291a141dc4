package sql

import (
	"go/ast"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// TestStatementRights holds the golden table of who may run what on data.
func TestStatementRights(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("testdata", "privileges.txt"))
	if err != nil {
		t.Fatal(err)
	}
	f := newFixture(t, startDuck(t))
	root := f.as("root")
	root.steps([][2]string{{"create user owner createdb", "CREATE ROLE"}, {"create schema app authorization owner", "CREATE SCHEMA"},
		{"create user somebody", "CREATE ROLE"}, {"grant create on database nodedb to somebody, owner", "GRANT"}}...)
	owner := f.as("owner")
	owner.steps([][2]string{{"create table app.t (id int primary key, a int)", "CREATE TABLE"}, {"create table app.hidden (id int primary key, a int unique)", "CREATE TABLE"}, {"create sequence app.s", "CREATE SEQUENCE"},
		{"create type app.e as enum ('a')", "CREATE TYPE"}, {"create domain app.d as int", "CREATE DOMAIN"}, {"create type app.c as (a int)", "CREATE TYPE"},
		{"create policy q on app.t", "CREATE POLICY"}, {"create function app.f(a int) returns int language sql as 'select a'", "CREATE FUNCTION"}, {"create function app.mine() returns bigint language sql security definer as 'select count(*) from app.hidden'", "CREATE FUNCTION"}, {"create function app.theirs() returns bigint language sql as 'select count(*) from app.hidden'", "CREATE FUNCTION"}, {"create function app.closed() returns int language sql as 'select 1'", "CREATE FUNCTION"}, {"revoke execute on function app.closed from public", "REVOKE"}, {"create schedule app.j cron '0 0 1 1 *' as 'delete from app.t'", "CREATE SCHEDULE"}, {"create trigger q before truncate on app.t begin select 1; end", "CREATE TRIGGER"}, {"create view app.v as select id from app.t", "CREATE VIEW"}, {"grant select on app.v to somebody", "GRANT"},
		{"create materialized view app.m as select id from app.t", "SELECT 0"}, {"grant select on app.m to somebody", "GRANT"}, {"grant all on app.t to somebody with grant option", "GRANT"}, {"grant all on sequence app.s to somebody", "GRANT"}, {"grant all on schema app to somebody", "GRANT"}}...)
	root.run("grant owner to owner")
	who := []*client{f.as("nobody"), f.as("somebody"), owner, root}
	covered := map[string]bool{}
	for line := range strings.Lines(string(b)) {
		fields := strings.Fields(line)
		if len(fields) < 5 || fields[0] == "#" || fields[0] == "statement" {
			continue
		}
		cells := fields[len(fields)-4:]
		statement := strings.Join(fields[:len(fields)-4], " ")
		parsed, err := syntax.Parse(statement)
		if err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
		covered[reflect.TypeOf(parsed.Node).Elem().Name()] = true
		for i, c := range who {
			alone := standsAlone(parsed.Node)
			if !alone {
				c.run("begin")
			}
			if got := outcome(c, statement); got != cells[i] {
				t.Errorf("%s as %s: %s, want %s", statement, c.session.user, got, cells[i])
			}
			if !alone {
				c.run("rollback")
			}
			if statement == "CREATE DATABASE n" && cells[i] == "ok" && i == 2 {
				root.done("alter database n owner to owner", "ALTER DATABASE")
				root.done("drop database n", "DROP DATABASE")
			}
		}
		if statement == "CREATE DATABASE n" {
			root.done("alter database n owner to owner", "ALTER DATABASE")
		}
	}
	inspect(t, "execute.go", func(n ast.Node) {
		f, ok := n.(*ast.FuncDecl)
		if !ok || f.Name.Name != "executeObjects" {
			return
		}
		kinds := map[string]bool{}
		ast.Inspect(f, func(n ast.Node) bool {
			if c, ok := n.(*ast.CaseClause); ok {
				for _, e := range c.List {
					kinds[e.(*ast.StarExpr).X.(*ast.SelectorExpr).Sel.Name] = true
				}
			}
			return true
		})
		for _, kind := range slices.Sorted(maps.Keys(kinds)) {
			if !covered[kind] {
				t.Errorf("testdata/privileges.txt has no %s", kind)
			}
		}
	})
}

// TestCutGrants: what is cut off anywhere is a syntax error, and panics nowhere.
func TestCutGrants(t *testing.T) {
	c := newFixture(t, nil).open()
	for _, text := range []string{"GRANT SELECT (id, a), INSERT ON TABLE app.t, u TO bob, PUBLIC WITH GRANT OPTION", "REVOKE GRANT OPTION FOR ALL PRIVILEGES ON SCHEMA app FROM bob CASCADE",
		"ALTER DEFAULT PRIVILEGES FOR ROLE a IN SCHEMA b GRANT SELECT ON TABLES TO c", "GRANT a, b TO c WITH ADMIN OPTION", "REASSIGN OWNED BY a TO b", "SET SESSION AUTHORIZATION x",
		"CREATE ROLE a SUPERUSER VALID UNTIL '2030-01-01' IN ROLE b"} {
		words := strings.Fields(text)
		for n := 1; n < len(words); n++ {
			cut := strings.Join(words[:n], " ")
			if got := c.run(cut); strings.HasPrefix(got, "XX000") {
				t.Errorf("%s: %s", cut, got)
			}
		}
	}
}
