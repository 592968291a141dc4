package sql

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/sql/clusterview"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// matrixRow is a line of testdata/matrix.txt.
type matrixRow struct {
	statement string
	want      map[string]string
}

func readMatrix(t *testing.T) (roles []string, rows []matrixRow) {
	t.Helper()
	text, err := os.ReadFile("testdata/matrix.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) < 5 || f[0] == "#" {
			continue
		}
		outcomes := f[len(f)-4:]
		if f[0] == "statement" {
			roles = outcomes
			continue
		}
		r := matrixRow{statement: strings.Join(f[:len(f)-4], " "), want: map[string]string{}}
		for i, role := range roles {
			r.want[role] = outcomes[i]
		}
		rows = append(rows, r)
	}
	return roles, rows
}

// TestMatrix holds who may run which statement, and that each refusal leaves a
// record.
func TestMatrix(t *testing.T) {
	roles, rows := readMatrix(t)
	f := newFixture(t, startDuck(t))
	var denied []Denial
	f.server.cfg.Denied = func(d Denial) { denied = append(denied, d) }
	f.server.cfg.Ender = &fakeEnder{}
	f.server.cfg.Views = fakeViews{meta: f.meta, server: f.server, elsewhere: []cluster.Session{{Node: 1, PID: 99, User: "root", State: cluster.SessionActive}}}
	root := f.open(func(o *SessionOptions) { o.User = "root" })
	root.done("CREATE TABLE t (id int PRIMARY KEY)", "CREATE TABLE")
	root.done("GRANT SELECT ON t TO PUBLIC", "GRANT")
	root.done("CREATE TABLE hidden (id int PRIMARY KEY)", "CREATE TABLE")
	clients := map[string]*client{}
	for _, role := range roles {
		name := "u" + role
		root.done("CREATE USER "+name, "CREATE ROLE")
		if role != "none" {
			root.done("GRANT nodedb_"+role+" TO "+name, "GRANT ROLE")
		}
		clients[role] = f.open(func(o *SessionOptions) { o.User, o.Remote = name, "192.0.2.7:5000" })
	}
	for _, r := range rows {
		for _, role := range roles {
			denied = nil
			last := f.meta.View().Audit.Last
			got := outcome(clients[role], r.statement)
			want, inMeta := strings.CutSuffix(r.want[role], "*")
			if got != want {
				t.Errorf("%s as %s: got %s, want %s", r.statement, role, got, want)
			}
			switch {
			case want != "42501":
				if len(denied) != 0 {
					t.Errorf("%s as %s: recorded %+v", r.statement, role, denied)
				}
			case inMeta:
				if f.meta.View().Audit.Last != last+1 || len(denied) != 0 {
					t.Errorf("%s as %s: %d audit records, %d of the node", r.statement, role, f.meta.View().Audit.Last-last, len(denied))
				}
			case len(denied) != 1 || denied[0].User != "u"+role || denied[0].Remote != "192.0.2.7:5000" || denied[0].Why == "" ||
				!strings.Contains(r.statement, strings.Fields(denied[0].Statement)[0]):
				t.Errorf("%s as %s: recorded %+v", r.statement, role, denied)
			}
		}
	}
	var listed []string
	for _, r := range rows {
		listed = append(listed, r.statement)
	}
	for _, name := range clusterview.Tables() {
		if findSystemTable(internalSchema, name) == nil || !slices.Contains(listed, "SELECT * FROM nodedb_internal."+name) ||
			!slices.Contains(listed, "SHOW "+strings.ToUpper(string(findSystemTable(internalSchema, name).kind))) {
			t.Errorf("%s is not in testdata/matrix.txt as a table and a SHOW", name)
		}
	}
}

// outcome is ok or the SQLSTATE.
func outcome(c *client, statement string) string {
	got := c.run(statement)
	if code, _, ok := strings.Cut(got, " "); ok && len(code) == 5 && strings.ContainsAny(code, "0123456789") && !strings.HasPrefix(got, "INSERT") {
		return code
	}
	return "ok"
}

// TestEventsOfCredentials are for admins.
func TestEventsOfCredentials(t *testing.T) {
	f := newFixture(t, nil)
	root := f.open(func(o *SessionOptions) { o.User = "root" })
	root.done("CREATE USER bob", "CREATE ROLE")
	root.done("GRANT nodedb_viewer TO bob", "GRANT ROLE")
	if _, err := f.meta.Propose(t.Context(), metastate.Command{CreateToken: &metastate.CreateToken{ID: "4yuho4xc", Owner: "root", Role: "admin", Hash: make([]byte, 32)}}); err != nil {
		t.Fatal(err)
	}
	bob := f.open(func(o *SessionOptions) { o.User = "bob" })
	if got := fmt.Sprint(bob.run("SHOW EVENTS")); strings.Contains(got, "4yuho4xc") || strings.Contains(got, "user.") || !strings.Contains(got, "cluster.created") {
		t.Errorf("a viewer is told of credentials, or of nothing:\n%s", got)
	}
	if got := fmt.Sprint(root.run("SHOW EVENTS")); !strings.Contains(got, "4yuho4xc") || !strings.Contains(got, "user.changed") {
		t.Errorf("an admin is not told of credentials:\n%s", got)
	}
	for kind, about := range map[cluster.EventKind]bool{cluster.EventTokenRevoked: true, cluster.EventCertificateIssued: true, cluster.EventUserDropped: true, cluster.EventNodeActive: false, "users": false} {
		if kind.AboutCredentials() != about {
			t.Errorf("%s: got %v", kind, !about)
		}
	}
	if len(open) != 3 || slices.Contains(open, syntax.ShowEvents) {
		t.Errorf("every user may see %v", open)
	}
}
