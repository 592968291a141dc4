package agenttest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/nodedb/nodedb/agent/internal/storage"
	"github.com/nodedb/nodedb/client"
	"github.com/nodedb/nodedb/client/adminpb"
)

// planted secrets are looked for in everything that the cluster wrote.
const planted = "pl4nted-passw0rd"

// as makes a session of user with a password.
func as(n *Node, user, password string) string {
	return fmt.Sprintf("postgres://%s:%s@%s/nodedb?sslmode=verify-full&sslrootcert=%s", user, password, n.SQL, filepath.Join(n.c.CredsDir(), "ca.crt"))
}

func login(t *testing.T, url string) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close(ctx) }()
	_, err = c.Exec(ctx, "SELECT 1")
	return err
}

// TestSecurity goes through users, tokens, the audit, certificates, the rotation
// of CA and gossip key, on one cluster of processes.
func TestSecurity(t *testing.T) {
	t.Parallel()
	c := Start(t, Options{})
	t.Run("users", func(t *testing.T) { users(t, c) })
	t.Run("tokens", func(t *testing.T) { tokens(t, c) })
	t.Run("watch", func(t *testing.T) { watches(t, c) })
	t.Run("gossip key", func(t *testing.T) { gossipKey(t, c) })
	t.Run("certificates", func(t *testing.T) { certificates(t, c) })
	t.Run("CA", func(t *testing.T) { rotateCA(t, c) })
	t.Run("secrets", func(t *testing.T) { noSecrets(t, c) })
	t.Run("audit", func(t *testing.T) { tamper(t, c) })
}

func users(t *testing.T, c *Cluster) {
	n1, n2 := c.Node(1), c.Node(2)
	psql(t, n1, "CREATE USER bob WITH PASSWORD '"+planted+"'")
	psql(t, n1, "CREATE USER vera PASSWORD '"+planted+"'")
	psql(t, n1, "CREATE USER otto PASSWORD '"+planted+"'")
	psql(t, n1, "GRANT nodedb_viewer TO vera")
	psql(t, n1, "GRANT nodedb_operator TO otto")
	if err := login(t, as(n2, "bob", planted)); err != nil {
		t.Errorf("bob on n2: %v", err)
	}
	if err := login(t, as(n2, "bob", "wrong")); err == nil || !strings.Contains(err.Error(), "28P01") {
		t.Errorf("bob with a wrong password: %v", err)
	}
	out := psql(t, n1, `\du`)
	for _, line := range []string{"root|", "bob|", "nodedb_admin|Cannot login", "otto|"} {
		if !strings.Contains(out, line) {
			t.Errorf(`\du lacks %q: %s`, line, out)
		}
	}
	if !strings.Contains(out, "nodedb_operator") {
		t.Errorf(`\du does not show otto's role: %s`, out)
	}
	if err := login(t, as(n2, "bob", planted)); err != nil { // an operator's rights are not needed to read
		t.Error(err)
	}
	psqlRefused(t, as(n2, "bob", planted), "CREATE USER eve PASSWORD '"+planted+"'", "permission denied")
	psqlRefused(t, as(n2, "otto", planted), "GRANT nodedb_admin TO otto", "permission denied")
	psqlRefused(t, n1.URL(), "REVOKE nodedb_admin FROM root", "last admin")
}

func psqlRefused(t *testing.T, url, sql, want string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "psql", url, "-X", "-c", sql).CombinedOutput()
	if err == nil || !strings.Contains(string(out), want) {
		t.Errorf("%s: got %v %s, want %q", sql, err, out, want)
	}
}

// tokenFile makes a token and returns its id and the file that holds it.
func tokenFile(t *testing.T, c *Cluster, owner, role string) (id, path string) {
	t.Helper()
	out := c.Ctl("token", "create", "--owner", owner, "--role", role, "-o", "json")
	id = regexp.MustCompile(`"id":\s*"([^"]+)"`).FindStringSubmatch(out)[1]
	secret := regexp.MustCompile(`"secret":\s*"([^"]+)"`).FindStringSubmatch(out)[1]
	path = filepath.Join(c.dir, id+".token")
	if err := os.WriteFile(path, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return id, path
}

func tokens(t *testing.T, c *Cluster) {
	id, path := tokenFile(t, c, "otto", "operator")
	if out := c.Ctl("--token-file", path, "whoami"); !strings.Contains(out, "otto") || !strings.Contains(out, "operator") {
		t.Errorf("whoami: %s", out)
	}
	if r := c.TryCtl("--token-file", path, "token", "ls"); r.Code != 4 {
		t.Errorf("an operator lists tokens: exit %d", r.Code)
	}
	c.Ctl("--token-file", path, "cordon", "n3", "--reason", "test")
	c.Ctl("--token-file", path, "uncordon", "n3")
	cl, err := client.Dial(client.Context{Addrs: []string{c.Node(2).Admin}, CA: filepath.Join(c.CredsDir(), "ca.crt"), TokenFile: path})
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	ended, opened := make(chan error, 1), make(chan struct{}, 100)
	go func() {
		ended <- cl.Watch(t.Context(), &adminpb.WatchRequest{Topics: []string{"nodes"}, Interval: 60}, func(client.Update) error {
			opened <- struct{}{}
			return nil
		})
	}()
	<-opened
	c.Ctl("token", "revoke", id)
	began := time.Now()
	select {
	case err := <-ended:
		if e := client.AsError(err); e.Kind != client.Denied {
			t.Errorf("the watch ended with %v, want denied", err)
		}
		t.Logf("the watch ended %s after the command", time.Since(began))
	case <-time.After(30 * time.Second):
		t.Error("the watch outlives its token")
	}
	if r := c.TryCtl("--token-file", path, "whoami"); r.Code != 4 {
		t.Errorf("a revoked token: exit %d %s", r.Code, r.Stderr)
	}
}

// watches follows the cluster while the node that serves the watch is killed.
func watches(t *testing.T, c *Cluster) {
	d := c.CredsDir()
	cl, err := client.Dial(client.Context{
		Addrs: []string{c.Node(3).Admin, c.Node(1).Admin}, CA: filepath.Join(d, "ca.crt"), Cert: filepath.Join(d, "root.crt"), Key: filepath.Join(d, "root.key"),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	enough := errors.New("enough")
	served := map[uint32]bool{}
	lost := 0
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err = cl.Watch(ctx, &adminpb.WatchRequest{Topics: []string{"nodes", "ranges", "status", "members", "operations", "events", "rebalance"}, Interval: 0.2}, func(u client.Update) error {
		if u.Lost != nil {
			lost++
			return nil
		}
		from := u.Response.GetAsOf().GetSourceNode()
		if from == 3 && !served[3] {
			if len(u.Response.GetRanges()) != 17 || len(u.Response.GetNodes()) != 3 || u.Response.GetStatus().GetNodesAlive() != 3 {
				t.Errorf("first response: %d ranges, %d nodes, %d alive", len(u.Response.GetRanges()), len(u.Response.GetNodes()), u.Response.GetStatus().GetNodesAlive())
			}
			c.Node(3).Kill()
		}
		served[from] = true
		for _, n := range u.Response.GetNodes() {
			if from == 1 && n.GetId() == 3 && n.GetLiveness() == "dead" {
				return enough
			}
		}
		return nil
	})
	if !errors.Is(err, enough) || lost == 0 {
		t.Errorf("got %v after %d losses, want n1 to tell that n3 is dead", err, lost)
	}
	c.Node(3).Start()
	c.WaitReplicated()
}

// steps goes through a rotation, waiting before each step that needs it.
func steps(t *testing.T, c *Cluster, verb string, between func(step string)) {
	t.Helper()
	for _, step := range []string{"stage", "activate", "finalize"} {
		Eventually(t, time.Minute, verb+" "+step, func() error {
			if r := c.TryCtl("cert", verb, step, "--reason", "test"); r.Code != 0 {
				if r.Code != 5 {
					t.Fatalf("cert %s %s: exit %d %s", verb, step, r.Code, r.Stderr)
				}
				return errors.New(r.Stderr)
			}
			return nil
		})
		if between != nil {
			between(step)
		}
	}
}

func gossipKey(t *testing.T, c *Cluster) {
	path := func(n *Node) string { return filepath.Join(n.Dir, "gossip.key") }
	old, err := os.ReadFile(path(c.Node(1)))
	if err != nil {
		t.Fatal(err)
	}
	// A node that is down has acknowledged nothing.
	c.Node(2).Kill()
	c.Ctl("cert", "rotate-gossip", "stage")
	if r := c.TryCtl("cert", "rotate-gossip", "activate"); r.Code != 5 || !strings.Contains(r.Stderr, "n2") {
		t.Errorf("activate without n2: exit %d %s", r.Code, r.Stderr)
	}
	c.Node(2).Start()
	c.Ctl("cert", "rotate-gossip", "abort")
	steps(t, c, "rotate-gossip", nil)
	Eventually(t, time.Minute, "one new key on every node", func() error {
		first, err := os.ReadFile(path(c.Node(1)))
		if err != nil {
			return err
		}
		for _, n := range c.Nodes() {
			b, err := os.ReadFile(path(n))
			if err != nil {
				return err
			}
			if !bytes.Equal(b, first) || bytes.Contains(b, bytes.TrimSpace(old)) || bytes.Count(b, []byte("\n")) != 1 {
				return fmt.Errorf("%s has other keys than n1, or the old one", n.Name)
			}
		}
		return nil
	})
	members, err := c.List("members")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range members {
		if m["liveness"] != "alive" {
			t.Errorf("after the rotation: %v is %v", m["name"], m["liveness"])
		}
	}
	c.Node(3).Kill() // a restart takes the new key from its file
	c.Node(3).Start()
	c.WaitReplicated()
}

func serials(t *testing.T, c *Cluster) map[string]string {
	t.Helper()
	all, err := c.List("cert", "show")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, x := range all {
		out[fmt.Sprint(x["subject"])] = fmt.Sprint(x["serial"])
	}
	return out
}

func certificates(t *testing.T, c *Cluster) {
	before, pid := serials(t, c), c.Node(2).PID()
	c.Ctl("cert", "renew", "n2", "n1")
	after := serials(t, c)
	if before["node.2"] == after["node.2"] || before["node.1"] == after["node.1"] || before["node.3"] != after["node.3"] || c.Node(2).PID() != pid {
		t.Errorf("after renew n2 n1: %v, before %v", after, before)
	}
	c.WaitReplicated()
	// Broken files leave the old certificate in force.
	crt := filepath.Join(c.Node(2).Dir, "certs", "node.crt")
	good, err := os.ReadFile(crt)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(crt, []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.Node(2).Signal(syscall.SIGHUP)
	Eventually(t, time.Minute, "the broken file is told", func() error {
		_, body, err := c.Node(2).HTTP("/metrics")
		if err == nil && !regexp.MustCompile(`nodedb_cert_reload_failures_total [1-9]`).MatchString(body) {
			err = errors.New("no failure is counted")
		}
		return err
	})
	if got := serials(t, c)["node.2"]; got != after["node.2"] {
		t.Errorf("with a broken file: serial %s, want %s", got, after["node.2"])
	}
	if err := os.WriteFile(crt, good, 0o600); err != nil {
		t.Fatal(err)
	}
	// A client's, made by the cluster, and one made offline.
	dir := filepath.Join(c.dir, "clients")
	c.Ctl("cert", "create-client", "dora", "--role", "viewer", "--dir", dir)
	certs := filepath.Join(c.Node(1).Dir, "certs")
	c.Ctl("cert", "create-client", "otto", "--dir", dir, "--ca-key", filepath.Join(certs, "ca.key"), "--ca", filepath.Join(certs, "ca.crt"))
	for user, role := range map[string]string{"dora": "viewer", "otto": "operator"} {
		if out := c.Ctl("--cert", filepath.Join(dir, user+".crt"), "--key", filepath.Join(dir, user+".key"), "whoami"); !strings.Contains(out, user) || !strings.Contains(out, role) {
			t.Errorf("%s: %s", user, out)
		}
	}
	session := dora(t, c, dir)
	c.Ctl("cert", "revoke", serials(t, c)["dora"], "--reason", "left")
	if r := c.TryCtl("--cert", filepath.Join(dir, "dora.crt"), "--key", filepath.Join(dir, "dora.key"), "whoami"); r.Code != 4 {
		t.Errorf("a revoked certificate: exit %d %s", r.Code, r.Stderr)
	}
	Eventually(t, time.Minute, "the session of a revoked certificate ends", func() error {
		if _, err := session.Exec(t.Context(), "SELECT 1"); err == nil {
			return errors.New("it goes on")
		}
		return nil
	})
}

func dora(t *testing.T, c *Cluster, dir string) *pgx.Conn {
	t.Helper()
	url := fmt.Sprintf("postgres://dora@%s/nodedb?sslmode=verify-full&sslrootcert=%s&sslcert=%s&sslkey=%s",
		c.Node(3).SQL, filepath.Join(c.CredsDir(), "ca.crt"), filepath.Join(dir, "dora.crt"), filepath.Join(dir, "dora.key"))
	s, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close(context.Background()) })
	return s
}

// rotateCA replaces the CA under the nodes; the administrator gets a new
// certificate in between, as an operator would.
func rotateCA(t *testing.T, c *Cluster) {
	creds := c.CredsDir()
	oldCA, err := os.ReadFile(filepath.Join(creds, "ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	before, err := c.Node(2).Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = before.Close(context.Background()) })
	steps(t, c, "rotate-ca", func(step string) {
		switch step {
		case "stage": // the old and the new one are trusted from now on
			if err := os.WriteFile(filepath.Join(creds, "ca.crt"), []byte(c.Ctl("cert", "show", "--roots")), 0o600); err != nil {
				t.Fatal(err)
			}
		case "activate":
			dir := filepath.Join(c.dir, "new-root")
			c.Ctl("cert", "create-client", "root", "--dir", dir)
			for _, f := range []string{"root.crt", "root.key"} {
				if err := os.Rename(filepath.Join(dir, f), filepath.Join(creds, f)); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
	Eventually(t, 30*time.Second, "the session that came with the old CA's certificate has ended", func() error {
		_, err := before.Exec(t.Context(), "SELECT 1")
		if err == nil {
			return errors.New("it goes on")
		}
		return nil
	})
	newCA := c.Ctl("cert", "show", "--roots")
	if strings.Contains(newCA, string(bytes.TrimSpace(oldCA))) || strings.Count(newCA, "BEGIN") != 1 {
		t.Errorf("after the rotation the roots are %s", newCA)
	}
	if err := os.WriteFile(filepath.Join(creds, "ca.crt"), []byte(newCA), 0o600); err != nil {
		t.Fatal(err)
	}
	c.WaitReplicated()
	for _, n := range c.Nodes() {
		if got := psql(t, n, "SELECT 1"); got != "1" {
			t.Errorf("psql on %s: %s", n.Name, got)
		}
	}
	// A restart and a join under the new CA.
	c.Node(2).Kill()
	c.Node(2).Start()
	c.AddNode()
	c.WaitReplicated()
	old := filepath.Join(c.dir, "old-ca.crt")
	if err := os.WriteFile(old, oldCA, 0o600); err != nil {
		t.Fatal(err)
	}
	if r := c.TryCtl("--ca", old, "whoami"); r.Code != 4 {
		t.Errorf("who trusts only the old CA: exit %d", r.Code)
	}
}

// noSecrets looks for what was planted, and for tokens and keys, in everything
// that the nodes wrote and show.
func noSecrets(t *testing.T, c *Cluster) {
	looks := map[string]*regexp.Regexp{
		"the password": regexp.MustCompile(planted), "a token": regexp.MustCompile(`ndb_[a-z0-9]{6,}_[a-z2-7]{40,}`),
		"a join token": regexp.MustCompile(`ndbjoin1\.[^.\s]+\.[^.\s]{20,}`), "a private key": regexp.MustCompile(`PRIVATE KEY`),
	}
	check := func(where, text string) {
		for what, re := range looks {
			if m := re.FindString(text); m != "" {
				t.Errorf("%s is in %s: %.12s...", what, where, m)
			}
		}
	}
	for _, n := range c.Nodes() {
		log, err := os.ReadFile(n.logPath())
		if err != nil {
			t.Fatal(err)
		}
		check("the log of "+n.Name, string(log))
		_, body, err := n.HTTP("/metrics")
		if err != nil {
			t.Fatal(err)
		}
		check("the metrics of "+n.Name, body)
		argv, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", n.PID()))
		if err != nil {
			t.Fatal(err)
		}
		check("argv of "+n.Name, string(argv))
		logins, err := filepath.Glob(filepath.Join(n.Dir, "audit", "*"))
		if err != nil || len(logins) == 0 {
			t.Fatalf("no log of logins on %s: %v", n.Name, err)
		}
		for _, f := range logins {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			check(f, string(b))
		}
	}
	check("the audit", c.Ctl("audit", "ls", "--logins", "--limit", "10000", "-o", "json"))
	check("the events", c.Ctl("events", "-o", "json"))
	check("SHOW OPERATIONS", psql(t, c.Node(1), "SHOW OPERATIONS"))
	check("pg_stat_activity", psql(t, c.Node(1), "SELECT * FROM pg_stat_activity"))
}

func tamper(t *testing.T, c *Cluster) {
	out := c.Ctl("audit", "ls", "--limit", "500")
	for _, want := range []string{"ChangeUser", "RotateCA", "RevokeCertificate", "CreateToken", "SetCordon", "otto", "refused"} {
		if !strings.Contains(out, want) {
			t.Errorf("the audit lacks %s:\n%s", want, out)
		}
	}
	if out := c.Ctl("audit", "ls", "--logins", "--limit", "1000"); !strings.Contains(out, "wrong password") || !strings.Contains(out, "Login") {
		t.Errorf("the logins are not in the audit:\n%s", out)
	}
	if out := c.Ctl("audit", "verify"); !strings.HasPrefix(out, "intact") {
		t.Fatalf("verify: %s", out)
	}
	n3 := c.Node(3)
	n3.Terminate()
	record := forge(t, filepath.Join(n3.Dir, "store"))
	n3.Start()
	Eventually(t, time.Minute, "n3 has caught up", func() error {
		r := c.TryCtl("audit", "verify")
		if r.Code != 10 || !strings.Contains(r.Stdout, fmt.Sprintf("record %d", record)) || !strings.Contains(r.Stdout, "n3") {
			return fmt.Errorf("exit %d %s %s, want n3 and record %d", r.Code, r.Stdout, r.Stderr, record)
		}
		return nil
	})
}

// forge changes who did something in an audit record of a store that is not in
// use, and returns the record's number.
func forge(t *testing.T, dir string) uint64 {
	t.Helper()
	e, err := storage.Open(storage.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}()
	it, err := e.NewIter(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = it.Close() }()
	for ok := it.First(); ok; ok = it.Next() {
		if !bytes.Contains(it.Value(), []byte(`"by":"otto"`)) || !bytes.Contains(it.Value(), []byte(`"action":"SetCordon"`)) {
			continue
		}
		var r struct{ Sequence uint64 }
		if err := json.Unmarshal(it.Value()[1:], &r); err != nil {
			t.Fatal(err)
		}
		b := e.NewBatch()
		if err := errors.Join(b.Set(bytes.Clone(it.Key()), bytes.Replace(it.Value(), []byte(`"by":"otto"`), []byte(`"by":"root"`), 1)), b.Commit(true)); err != nil {
			t.Fatal(err)
		}
		return r.Sequence
	}
	t.Fatal("no record of otto's in the store")
	return 0
}
