package agenttest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// TestHostRules: rules that are set on one node hold for logins at all nodes within a second,
// a node that was down included; who is in stays in; who sets rules that would keep them out
// is told so, by SQL and by nodedbctl.
func TestHostRules(t *testing.T) {
	t.Parallel()
	c := Start(t, Options{Ranges: 8})
	c.WaitReplicated()
	psql(t, c.Node(1), "CREATE USER ann PASSWORD 'secret'")
	psql(t, c.Node(1), "CREATE USER bob PASSWORD 'secret'")
	psql(t, c.Node(1), "CREATE ROLE staff")
	psql(t, c.Node(1), "GRANT staff TO bob")
	login := func(n *Node, user string) (*pgx.Conn, error) {
		cfg, err := pgx.ParseConfig(n.URL())
		if err != nil {
			return nil, err
		}
		cfg.User, cfg.Password = user, "secret"
		cfg.TLSConfig.Certificates = nil
		return pgx.ConnectConfig(t.Context(), cfg)
	}
	refusal := func(n *Node, user string) string {
		conn, err := login(n, user)
		var e *pgconn.PgError
		switch {
		case err == nil:
			_ = conn.Close(t.Context())
			return "in"
		case errors.As(err, &e):
			return e.Code + " " + e.Message
		}
		return err.Error()
	}
	inside, err := login(c.Node(2), "ann")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = inside.Close(t.Context()) }()
	c.Node(3).Kill()
	file := filepath.Join(t.TempDir(), "hba")
	rules := "# staff by password, the rest by certificate\nhost all +staff 127.0.0.0/8 scram-sha-256\nhost all root all cert\nhost other all all reject\n"
	if err := os.WriteFile(file, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	c.Ctl("hba", "set", file, "--reason", "test")
	set := time.Now()
	none := `28000 no pg_hba.conf entry for host "127.0.0.1", user "ann", database "nodedb", SSL encryption`
	for _, n := range []*Node{c.Node(1), c.Node(2)} {
		Eventually(t, time.Second-time.Since(set), "the rules hold", func() error {
			if got := refusal(n, "ann"); got != none {
				return errors.New(got)
			}
			return nil
		})
		if got := refusal(n, "bob"); got != "in" {
			t.Errorf("bob: %s", got)
		}
		if got := refusal(n, "root"); got != "28000 connection requires a valid client certificate" {
			t.Errorf("root without a certificate: %s", got)
		}
		psql(t, n, "SELECT 1") // root, with one
	}
	if _, err := inside.Exec(t.Context(), "SELECT 1"); err != nil {
		t.Errorf("who was in before: %v", err)
	}
	c.Node(3).Start()
	Eventually(t, 20*time.Second, "the node that was down knows them", func() error {
		if got := refusal(c.Node(3), "ann"); got != none {
			return errors.New(got)
		}
		return nil
	})
	if out := c.Ctl("audit", "ls"); !strings.Contains(out, "SetSetting") || !strings.Contains(out, "name=hba") {
		t.Errorf("the audit has no record of it: %s", out)
	}
	if got := c.TryCtl("hba", "test", "--user", "ann", "--address", "127.0.0.1"); got.Code != 5 || !strings.Contains(got.Stdout, none[6:]) {
		t.Errorf("hba test: %+v", got)
	}
	lockOut(t, c)
}

// lockOut tries to set rules that keep root out.
func lockOut(t *testing.T, c *Cluster) {
	t.Helper()
	conn, err := c.Node(1).Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	var e *pgconn.PgError
	if _, err := conn.Exec(t.Context(), "ALTER SYSTEM SET hba = 'host all bob all cert'"); !errors.As(err, &e) || e.Code != "55000" || !strings.Contains(e.Message, `no rule lets in user "root" from 127.0.0.1`) {
		t.Errorf("by SQL: %v", err)
	}
	file := filepath.Join(t.TempDir(), "hba")
	if err := os.WriteFile(file, []byte("host all bob all cert\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := c.TryCtl("hba", "set", file); got.Code != 5 || !strings.Contains(got.Stderr, "--force") {
		t.Errorf("by nodedbctl: %+v", got)
	}
	c.Ctl("hba", "set", file, "--force")
	if _, err := c.Node(2).Connect(t.Context()); !errors.As(err, &e) || e.Code != "28000" {
		t.Errorf("root is let in: %v", err)
	}
	c.Ctl("hba", "reset")
	psql(t, c.Node(3), "SELECT 1")
	if _, err := conn.Exec(t.Context(), fmt.Sprintf("ALTER SYSTEM SET hba = E'%s'", `host all all 127.0.0.0/8 cert-scram-sha-256\nhost all all all reject`)); err != nil {
		t.Error(err)
	}
	var methods []string
	rows, err := conn.Query(t.Context(), "SHOW HBA")
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		v, err := rows.Values()
		if err != nil {
			t.Fatal(err)
		}
		methods = append(methods, fmt.Sprint(v[0], v[5]))
	}
	if got := strings.Join(methods, " "); got != "1cert-scram-sha-256 2reject" && got != "1 cert-scram-sha-256 2 reject" {
		t.Errorf("SHOW HBA: %s", got)
	}
}
