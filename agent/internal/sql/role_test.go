package sql

import (
	"strings"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/auth"
)

func (c *client) refused(text, code string) {
	c.t.Helper()
	got := c.run(text)
	if !strings.HasPrefix(got, code+" ") {
		c.t.Errorf("%s: got %s, want %s", text, got, code)
	}
	if strings.Contains(got, "s3cret") {
		c.t.Errorf("%s: the error tells the password: %s", text, got)
	}
}

func (c *client) done(text, tag string) {
	c.t.Helper()
	c.want(tag, text)
}

func TestRoles(t *testing.T) {
	f := newFixture(t, nil)
	root := f.open(func(o *SessionOptions) { o.User = "root" })
	root.done("CREATE USER bob WITH PASSWORD 's3cret'", "CREATE ROLE")
	u := f.server.catalog.View().Users["bob"]
	if u == nil || u.AdminRole != "" || !auth.IsSCRAMVerifier(u.Verifier) {
		t.Fatalf("bob: got %+v", u)
	}
	root.refused("CREATE USER bob PASSWORD 's3cret'", "42710")
	root.done("CREATE ROLE carol LOGIN IN ROLE nodedb_viewer", "CREATE ROLE")
	root.done("GRANT nodedb_operator TO bob, carol", "GRANT ROLE")
	root.done("GRANT nodedb_viewer TO bob", "GRANT ROLE") // he has more
	if got := f.server.catalog.View().Users["bob"].AdminRole; got != "operator" {
		t.Errorf("bob's role: got %q, want operator", got)
	}
	root.done("REVOKE nodedb_viewer FROM bob", "REVOKE ROLE") // he has another
	root.done("REVOKE nodedb_operator FROM bob", "REVOKE ROLE")
	if got := f.server.catalog.View().Users["bob"].AdminRole; got != "" {
		t.Errorf("bob's role after REVOKE: got %q, want none", got)
	}
	v, err := auth.NewSCRAMVerifier("other")
	if err != nil {
		t.Fatal(err)
	}
	root.done("ALTER USER bob PASSWORD '"+v+"'", "ALTER ROLE")
	if got := f.server.catalog.View().Users["bob"].Verifier; got != v {
		t.Errorf("a verifier is not stored as it is: %q", got)
	}
	root.done("ALTER ROLE bob PASSWORD NULL", "ALTER ROLE")
	root.done("ALTER USER bob CONNECTION LIMIT 7", "ALTER ROLE")
	if got := f.server.catalog.View().Users["bob"].ConnectionLimit; got == nil || *got != 7 {
		t.Errorf("bob's limit: %v, want 7", got)
	}
	root.done("ALTER USER bob CONNECTION LIMIT -1", "ALTER ROLE")
	if got := f.server.catalog.View().Users["bob"].ConnectionLimit; got != nil {
		t.Errorf("bob's limit after -1: %d, want the default", *got)
	}
	root.done("CREATE USER dave CONNECTION LIMIT 0", "CREATE ROLE")
	if got := f.server.catalog.View().Users["dave"].ConnectionLimit; got == nil || *got != 0 {
		t.Errorf("dave's limit: %v, want 0", got)
	}
	root.refused("ALTER USER dave CONNECTION LIMIT -2", "22023")
	root.done("DROP USER bob, carol, dave", "DROP ROLE")
	root.done("DROP USER IF EXISTS bob", "DROP ROLE")
	for text, code := range map[string]string{
		"DROP USER bob":                            "42704",
		"DROP USER root":                           "55006",
		"REVOKE nodedb_admin FROM root":            "2BP01",
		"ALTER USER nobody PASSWORD 's3cret'":      "42704",
		"GRANT nodedb_viewer TO nobody":            "42704",
		"GRANT pg_monitor TO alice":                "42704",
		"GRANT SELECT ON t TO alice":               "42P01",
		"CREATE USER pg_x":                         "42939",
		"CREATE USER nodedb_admin":                 "42939",
		"CREATE USER \"a/b\"":                      "42602",
		"CREATE USER x REPLICATION":                "0A000",
		"CREATE ROLE x LOGIN NOLOGIN":              "42601",
		"CREATE USER x PASSWORD 'SCRAM-SHA-256$1'": "22023",
		"ALTER USER alice PASSWORD 'md5aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'": "0A000",
		"CREATE USER x VALID UNTIL 'some day'":                            "22007",
		"CREATE USER x PASSWORD 's3cret' nonsense 1":                      "42601",
	} {
		root.refused(text, code)
	}
}

func TestOwnPasswordOnceASecond(t *testing.T) {
	var o ownChanges
	now := time.Unix(1000, 0)
	if !o.allow("eve", now) || o.allow("eve", now.Add(999*time.Millisecond)) || !o.allow("bob", now) || !o.allow("eve", now.Add(time.Second)) || len(o.last) != 1 {
		t.Errorf("got %v", o.last)
	}
	f := newFixture(t, nil)
	alice := f.open()
	alice.done("ALTER USER alice PASSWORD 's3cret'", "ALTER ROLE")
	alice.refused("ALTER USER CURRENT_USER PASSWORD 's3cret'", "53400")
	f.open(func(o *SessionOptions) { o.User = "root" }).done("ALTER USER alice PASSWORD 's3cret'", "ALTER ROLE")
}

func TestOnlyAdminsManageRoles(t *testing.T) {
	f := newFixture(t, nil)
	alice := f.open()
	for _, text := range []string{
		"CREATE USER bob PASSWORD 's3cret'", "ALTER USER root PASSWORD 's3cret'", "DROP USER root", "GRANT nodedb_admin TO alice",
		"ALTER USER alice IN ROLE nodedb_admin",
	} {
		if text == "ALTER USER alice IN ROLE nodedb_admin" {
			alice.refused(text, "42601") // as in PostgreSQL
			continue
		}
		alice.refused(text, "42501")
	}
	alice.done("ALTER USER alice PASSWORD 's3cret'", "ALTER ROLE")
	f.server.passwords.last = nil // a second later
	alice.done("ALTER USER CURRENT_USER PASSWORD 's3cret'", "ALTER ROLE")
	f.open(func(o *SessionOptions) { o.User = "root" }).done("GRANT nodedb_admin TO alice", "GRANT ROLE")
	alice.done("CREATE USER bob", "CREATE ROLE")
}

func TestPasswordsAreNotShown(t *testing.T) {
	f := newFixture(t, nil)
	root := f.open(func(o *SessionOptions) { o.User = "root" })
	root.done("CREATE USER bob PASSWORD 's3cret'", "CREATE ROLE")
	if got := root.session.seen.session().Statement; got != "CREATE USER bob ..." {
		t.Errorf("others see %q", got)
	}
}
