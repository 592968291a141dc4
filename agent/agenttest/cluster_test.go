package agenttest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// psql runs one command with Debian's psql through a node.
func psql(t *testing.T, n *Node, sql string) string {
	t.Helper()
	path, err := exec.LookPath("psql")
	if err != nil {
		t.Skip("psql is not installed: apt-get install postgresql-client")
	}
	out, err := exec.CommandContext(t.Context(), path, n.URL(), "-X", "-v", "ON_ERROR_STOP=1", "-At", "-c", sql).CombinedOutput()
	if err != nil {
		t.Fatalf("psql on %s: %s: %v\n%s", n.Name, sql, err, out)
	}
	return strings.TrimSpace(string(out))
}

func TestRowsWrittenOnOneNodeAreReadOnAnother(t *testing.T) {
	t.Parallel()
	c := Start(t, Options{})
	psql(t, c.Node(1), "CREATE COLLECTION users (id int8 PRIMARY KEY, name text, joined timestamptz)")
	psql(t, c.Node(1), "INSERT INTO users VALUES (1, 'ada', '2026-11-01 10:00:00+00'), (2, 'linus', NULL), (3, 'grace', NULL)")
	if got := psql(t, c.Node(2), "SELECT name FROM users WHERE id = 1"); got != "ada" {
		t.Errorf("by key on n2: got %q, want ada", got)
	}
	if got := psql(t, c.Node(3), "SELECT count(*), max(name) FROM users"); got != "3|linus" {
		t.Errorf("aggregate on n3: got %q, want 3|linus", got)
	}
	if got := psql(t, c.Node(3), "UPDATE users SET name = upper(name) WHERE id < 3 RETURNING id"); !strings.Contains(got, "UPDATE 2") {
		t.Errorf("update on n3: got %q, want UPDATE 2", got)
	}
	if got := psql(t, c.Node(2), "SELECT string_agg(name, ',' ORDER BY id) FROM users"); got != "ADA,LINUS,grace" {
		t.Errorf("after the update on n2: got %q", got)
	}
	if got := psql(t, c.Node(2), "DELETE FROM users WHERE id = 2"); got != "DELETE 1" {
		t.Errorf("delete: got %q, want DELETE 1", got)
	}
	route := c.Ctl("routing", "lookup", "users", "1")
	if !strings.HasPrefix(route, "vshard ") || !strings.Contains(route, "replicas n1 n2 n3") {
		t.Errorf("routing lookup: got %q", route)
	}
	if got := psql(t, c.Node(1), "SHOW NODES"); strings.Count(got, "\n") != 2 {
		t.Errorf("SHOW NODES: got %q, want three rows", got)
	}
	if got := psql(t, c.Node(1), "SHOW RANGES"); strings.Count(got, "\n") != 16 {
		t.Errorf("SHOW RANGES: got %q, want 17 rows", got)
	}
	showsLeases(t, c)
	servesThePast(t, c)
	t.Run("Types", func(t *testing.T) { typesOfColumns(t, c) })
}

// TestCollectionsAreSeenAtOnce: what one node made or dropped, every node knows
// when the statement has returned.
func TestCollectionsAreSeenAtOnce(t *testing.T) {
	t.Parallel()
	c := Start(t, Options{Ranges: 4})
	var conns []*pgx.Conn
	for _, n := range c.Nodes() {
		conn, err := n.Connect(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(t.Context())
		conns = append(conns, conn)
	}
	for i := range 60 {
		maker, other := i%3, (i+1)%3
		name := fmt.Sprintf("c%d", i)
		if _, err := conns[maker].Exec(t.Context(), "CREATE TABLE "+name+" (id int8 PRIMARY KEY)"); err != nil {
			t.Fatal(err)
		}
		if _, err := conns[other].Exec(t.Context(), "INSERT INTO "+name+" VALUES (1)"); err != nil {
			t.Errorf("made on n%d, written on n%d: %v", maker+1, other+1, err)
		}
	}
	t.Run("Transactions", func(t *testing.T) { transactions(t, c) })
	t.Run("Alters", func(t *testing.T) { alters(t, c) })
	c.collectsGarbage(conns[0], conns[1])
}

// TestKillEachNodeInTurnLosesNothing kills nodes that lead ranges, the second one while
// no reads are served under leases. Reads and writes go on.
func TestKillEachNodeInTurnLosesNothing(t *testing.T) {
	t.Parallel()
	c := Start(t, Options{})
	c.sql("CREATE TABLE leased (id int8 PRIMARY KEY, v int8)")
	c.sql("INSERT INTO leased SELECT g, g FROM generate_series(0, 99) g")
	c.readsGoBy(true)
	l := c.StartLedger(8)
	numbers := c.startNumbered(t)
	for i, n := range c.Nodes() {
		l.Advance(50, 30*time.Second)
		if i == 1 {
			c.sql("ALTER SYSTEM SET lease_reads = 'off'")
			c.readsGoBy(false)
		}
		t.Logf("kill -9 %s", n.Name)
		n.Kill()
		l.Advance(50, 30*time.Second)
		if i == 1 {
			Eventually(t, time.Minute, "rows are read beside a dead node", func() error { return c.Node(1).readRows(100) })
		}
		n.Start()
		c.WaitReplicated()
		if i == 1 {
			c.readsGoBy(false)
			c.sql("ALTER SYSTEM RESET lease_reads")
			c.readsGoBy(true)
		}
	}
	l.Advance(50, 30*time.Second)
	numbers.stop(3)
	gap, errs := l.Stop()
	if len(errs) > 0 {
		t.Errorf("%d statements failed other than by a lost connection, e.g. %v", len(errs), errs[:min(3, len(errs))])
	}
	t.Logf("longest write gap of one client over three kills: %s", gap)
	for _, n := range c.Nodes() {
		l.Check(n)
	}
}

func TestDrainAndUndrainUnderLoad(t *testing.T) {
	t.Parallel()
	c := Start(t, Options{})
	l := c.StartLedger(8)
	l.Advance(50, 30*time.Second)
	out := c.Ctl("drain", "n2", "--lb-wait", "0s", "--deadline", "60s")
	t.Log(out)
	if code, body, err := c.Node(2).HTTP("/healthz"); err != nil || code != 503 || !strings.Contains(body, "drain") {
		t.Errorf("healthz of a drained node: %d %s %v, want 503 with the reason", code, body, err)
	}
	ranges, err := c.List("ranges")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range ranges {
		if fmt.Sprint(r["leader"]) == "2" || r["leader"] == "n2" {
			t.Errorf("range %v is still led by n2", r["id"])
		}
	}
	l.Advance(50, 30*time.Second)
	c.Ctl("undrain", "n2")
	c.Node(2).WaitReady()
	l.Advance(50, 30*time.Second)
	_, errs := l.Stop()
	if len(errs) > 0 {
		t.Errorf("%d statements failed, e.g. %v", len(errs), errs[:min(3, len(errs))])
	}
	l.Check(c.Node(1))
}

func TestSIGTERMDrainsAndStops(t *testing.T) {
	t.Parallel()
	c := Start(t, Options{})
	l := c.StartLedger(8)
	l.Advance(50, 30*time.Second)
	if code := c.Node(3).Terminate(); code != 0 {
		t.Errorf("exit code after SIGTERM: got %d, want 0\n%s", code, c.Node(3).LogTail(20))
	}
	l.Advance(50, 30*time.Second)
	gap, errs := l.Stop()
	if len(errs) > 0 {
		t.Errorf("%d statements failed, e.g. %v", len(errs), errs[:min(3, len(errs))])
	}
	t.Logf("longest write gap of one client: %s", gap)
	l.Check(c.Node(1))
}

func TestDecommissionUnderLoad(t *testing.T) {
	t.Parallel()
	c := Start(t, Options{Nodes: 4})
	l := c.StartLedger(8)
	l.Advance(100, 30*time.Second)
	plan := c.TryCtl("decommission", "n4", "--dry-run")
	if plan.Code != 0 || !strings.Contains(plan.Stdout, "run it") || !strings.Contains(plan.Stdout, "replicas") {
		t.Errorf("dry run: exit %d\n%s%s", plan.Code, plan.Stdout, plan.Stderr)
	}
	out := c.Ctl("decommission", "n4", "--yes", "--reason", "test")
	t.Log(out)
	if !strings.Contains(out, "succeeded") || !strings.Contains(out, "0 references to n4") {
		t.Errorf("decommission does not tell the proof:\n%s", out)
	}
	if code := c.Node(4).WaitExit(30 * time.Second); code != 0 {
		t.Errorf("the decommissioned node ended with %d, want 0", code)
	}
	l.Advance(50, 30*time.Second)
	_, errs := l.Stop()
	if len(errs) > 0 {
		t.Errorf("%d statements failed, e.g. %v", len(errs), errs[:min(3, len(errs))])
	}
	l.Check(c.Node(2))

	c.Node(4).StartUnready()
	if code := c.Node(4).WaitExit(30 * time.Second); code != 78 {
		t.Errorf("a decommissioned node that starts again: exit %d, want 78\n%s", code, c.Node(4).LogTail(5))
	}
	if r := c.TryCtl("decommission", "n4"); r.Code != 0 {
		t.Errorf("asked again: exit %d, want 0 (nothing to do)\n%s", r.Code, r.Stderr)
	}
}

func TestImpossibleDecommissionIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	c := Start(t, Options{})
	r := c.TryCtl("decommission", "n3", "--yes")
	if r.Code != 5 {
		t.Errorf("exit %d, want 5 (unsafe)\n%s%s", r.Code, r.Stdout, r.Stderr)
	}
	text := r.Stdout + r.Stderr
	for _, want := range []string{"NO_TARGET", "join-token create", "nothing was changed"} {
		if !strings.Contains(text, want) {
			t.Errorf("the refusal does not say %q:\n%s", want, text)
		}
	}
	nodes, err := c.List("nodes")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range nodes {
		if n["membership"] != "active" {
			t.Errorf("after the refusal %v is %v", n["name"], n["membership"])
		}
	}
}

func TestDeadNodeIsDecommissioned(t *testing.T) {
	t.Parallel()
	c := Start(t, Options{Nodes: 4})
	l := c.StartLedger(4)
	l.Advance(50, 30*time.Second)
	c.Node(3).Kill()
	out := c.Ctl("decommission", "n3", "--yes")
	if !strings.Contains(out, "succeeded") {
		t.Errorf("decommission of a dead node:\n%s", out)
	}
	l.Advance(50, 30*time.Second)
	l.Stop()
	l.Check(c.Node(1))
}

func TestDemoOnce(t *testing.T) {
	t.Parallel()
	bin := FindBinaries(t)
	cmd := exec.CommandContext(t.Context(), bin.Ctl, "demo", "--once", "-o", "json")
	dir := t.TempDir()
	cmd.Env = append(os.Environ(), "TMPDIR="+dir)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("demo --once: %v\n%s", err, out)
	}
	if !json.Valid(out) {
		t.Errorf("demo --once -o json printed no JSON: %s", out)
	}
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("demo left %v behind (%v)", left, err)
	}
}

// TestQuickRestarts kills all nodes again and again before they have served for
// long: they are not away for longer each time, and their logs stay readable.
func TestQuickRestarts(t *testing.T) {
	t.Parallel()
	c := Start(t, Options{Nodes: 3, Ranges: 4})
	psql(t, c.Node(1), "CREATE TABLE t (id int8 PRIMARY KEY)")
	for range 8 {
		for _, n := range c.Nodes() {
			n.Kill()
			n.StartUnready()
		}
		for _, n := range c.Nodes() {
			Eventually(t, StartTimeout, n.Name+" answers", func() error {
				_, _, err := n.HTTP("/health/ready")
				return err
			})
		}
	}
	begun := time.Now()
	for _, n := range c.Nodes() {
		n.WaitReady()
	}
	psql(t, c.Node(1), "INSERT INTO t VALUES (1)")
	t.Logf("first write %s after the last start", time.Since(begun).Round(time.Millisecond))
	for _, n := range c.Nodes() {
		log, err := os.ReadFile(n.logPath())
		if err != nil {
			t.Fatal(err)
		}
		if lines := bytes.Count(log, []byte("\n")); lines > 1500 {
			t.Errorf("%s: %d lines of log after 9 starts", n.Name, lines)
		}
		if !bytes.Contains(log, []byte("node waits for its clock")) {
			t.Errorf("%s: the log does not say that it waits for its clock", n.Name)
		}
	}
}
