package agenttest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var ranks = map[string]int{"nobody": 0, "viewer": 1, "operator": 2, "admin": 3}

// TestWhoMayDoWhat tries every command of nodedbctl and every SQL statement about
// roles as everybody. A command without a row in testdata/cli-roles.txt fails.
func TestWhoMayDoWhat(t *testing.T) {
	t.Parallel()
	c := Start(t, Options{Nodes: 1, Replicas: 1, Ranges: 4})
	n := c.Node(1)
	for user, role := range map[string]string{"nobody": "", "viewer": "nodedb_viewer", "operator": "nodedb_operator"} {
		psql(t, n, "CREATE USER "+user+" PASSWORD '"+planted+"'")
		if role != "" {
			psql(t, n, "GRANT "+role+" TO "+user)
		}
	}
	t.Run("nodedbctl", func(t *testing.T) { commands(t, c) })
	t.Run("SQL", func(t *testing.T) { statements(t, c) })
}

// credentialFlags are how each caller comes: by certificate, by a token that is
// wrong, or with nothing.
func credentialFlags(t *testing.T, c *Cluster) map[string][]string {
	t.Helper()
	dir := filepath.Join(c.dir, "matrix")
	certs := filepath.Join(c.Node(1).Dir, "certs")
	out := map[string][]string{}
	for _, user := range []string{"nobody", "viewer", "operator"} {
		c.Ctl("cert", "create-client", user, "--dir", dir, "--ca-key", filepath.Join(certs, "ca.key"), "--ca", filepath.Join(certs, "ca.crt"))
		out[user] = []string{"--cert", filepath.Join(dir, user+".crt"), "--key", filepath.Join(dir, user+".key")}
	}
	out["admin"] = nil
	bad := filepath.Join(dir, "bad.token")
	if err := os.WriteFile(bad, []byte("ndb_aaaaaaaa_"+strings.Repeat("a", 59)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out["bad token"] = []string{"--token-file", bad}
	id, revoked := tokenFile(t, c, "root", "admin")
	c.Ctl("token", "revoke", id)
	out["revoked token"] = []string{"--token-file", revoked}
	return out
}

func commands(t *testing.T, c *Cluster) {
	table, err := os.ReadFile(filepath.Join("testdata", "cli-roles.txt"))
	if err != nil {
		t.Fatal(err)
	}
	creds := credentialFlags(t, c)
	c.TryCtl("drain", "n1", "--yes", "--dry-run")
	op := ""
	if ops, err := c.List("ops", "--all"); err == nil && len(ops) > 0 {
		op = fmt.Sprint(ops[0]["id"])
	}
	rows := map[string]bool{}
	for line := range strings.Lines(string(table)) {
		m := regexp.MustCompile(`^([a-z][a-z -]*?)\s{2,}(none|viewer|operator|admin)\s*(read|-)?\s*(.*)$`).FindStringSubmatch(strings.TrimRight(line, "\n"))
		if m == nil {
			continue
		}
		rows[m[1]] = true
		if m[2] == "none" || strings.Contains(m[4], "OP") && op == "" {
			continue
		}
		args := append(strings.Fields(m[1]), strings.Fields(strings.NewReplacer("NEW", filepath.Join(c.dir, "new"), "OP", op, "n3", "n1").Replace(m[4]))...)
		for who, flags := range creds {
			suffices := ranks[who] >= ranks[m[2]]
			if suffices && m[3] != "read" {
				continue // it would do it
			}
			r := c.TryCtl(append(flags[:len(flags):len(flags)], args...)...)
			// A look that finds nothing, before the change is asked for, is as good.
			if denied := r.Code == 4 || !suffices && r.Code == 3; denied == suffices {
				t.Errorf("nodedbctl %s as %s (needs %s): exit %d %s", strings.Join(args, " "), who, m[2], r.Code, r.Stderr)
			}
		}
	}
	for _, m := range regexp.MustCompile(`(?m)^- \[nodedbctl ([a-z -]+)\]`).FindAllStringSubmatch(c.Ctl("reference"), -1) {
		group := regexp.MustCompile(`(?m)^- \[nodedbctl ` + m[1] + ` `).MatchString(c.Ctl("reference"))
		if !rows[m[1]] && !group && !strings.HasPrefix(m[1], "completion") && m[1] != "help" {
			t.Errorf("nodedbctl %s has no row in testdata/cli-roles.txt: who may do it?", m[1])
		}
	}
}

func statements(t *testing.T, c *Cluster) {
	n := c.Node(1)
	// Each is tried by those who may not; what an admin does is undone.
	for _, s := range []struct{ statement, needs string }{
		{"CREATE USER eve", "admin"}, {"ALTER USER root PASSWORD NULL", "admin"}, {"GRANT nodedb_admin TO nobody", "admin"},
		{"GRANT nodedb_viewer TO nobody", "admin"}, {"REVOKE nodedb_viewer FROM viewer", "admin"}, {"DROP USER root", "admin"},
		{"ALTER USER CURRENT_USER PASSWORD '" + planted + "'", "nobody"}, {"SELECT 1", "nobody"},
		{"SHOW NODES", "viewer"}, {"SHOW CLUSTER", "nobody"}, {"SELECT rolname FROM pg_roles", "nobody"},
	} {
		for _, who := range []string{"nobody", "viewer", "operator"} {
			out, err := exec.CommandContext(t.Context(), "psql", as(n, who, planted), "-X", "-c", s.statement).CombinedOutput()
			if allowed := err == nil; allowed != (ranks[who] >= ranks[s.needs]) || !allowed && !strings.Contains(string(out), "permission denied") {
				t.Errorf("%s as %s (needs %s): %v %s", s.statement, who, s.needs, err, out)
			}
		}
	}
	for name, url := range map[string]string{
		"wrong password": as(n, "viewer", "wrong"), "unknown user": as(n, "stranger", planted),
		"no TLS":         strings.Replace(as(n, "viewer", planted), "sslmode=verify-full", "sslmode=disable", 1),
		"another's name": strings.Replace(n.URL(), "root@", "viewer@", 1),
	} {
		if err := login(t, url); err == nil {
			t.Errorf("a login with %s succeeds", name)
		}
	}
}
