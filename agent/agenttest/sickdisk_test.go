package agenttest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// configure adds a line to node.yaml of a node that is down.
func (n *Node) configure(line string) {
	n.c.t.Helper()
	path := filepath.Join(n.Dir, "node.yaml")
	text, err := os.ReadFile(path)
	if err == nil {
		key, _, _ := strings.Cut(line, ":")
		var kept []string
		for l := range strings.Lines(string(text)) {
			if !strings.HasPrefix(l, key+":") {
				kept = append(kept, l)
			}
		}
		err = os.WriteFile(path, []byte(strings.Join(kept, "")+line+"\n"), 0o600)
	}
	if err != nil {
		n.c.t.Fatal(err)
	}
}

// waitRule waits until check says that a rule is broken, in a line that holds all
// of some words.
func (c *Cluster) waitRule(code string, words ...string) {
	c.t.Helper()
	Eventually(c.t, 20*time.Second, code, func() error {
		r := c.TryCtl("check")
		for line := range strings.Lines(r.Stdout) {
			ok := strings.Contains(line, code)
			for _, w := range words {
				ok = ok && strings.Contains(line, w)
			}
			if ok {
				return nil
			}
		}
		return fmt.Errorf("exit %d: %s%s", r.Code, r.Stdout, r.Stderr)
	})
}

// needFaults skips a test of binaries in which no disk can be made sick.
func needFaults(t *testing.T) {
	t.Helper()
	if !FindBinaries(t).ForTests() {
		t.Skip("this nodedb-agent was built without the tag invariants, so that its disk cannot be made sick: run make cluster")
	}
}

// TestASickDisk takes one of three disks through a hang that ends the process, a
// hang in which the node is drained, and slowness, under load.
func TestASickDisk(t *testing.T) { // alone: how slow a disk is decides what its node does
	needFaults(t)
	c := Start(t, Options{})
	n2 := c.Node(2)
	restart := func(exit string) {
		if n2.Running() {
			n2.Terminate()
		}
		n2.Sicken("")
		n2.configure("diskExit: " + exit)
		n2.Start()
		c.WaitReplicated()
	}
	restart("6s")
	l := c.StartLedger(6)
	l.Advance(200, StartTimeout)

	n2.Sicken("sync hang\n")
	c.waitRule("DISK_HUNG", "n2", filepath.Join(n2.Dir, "store"), "sync", " s so far")
	l.Advance(200, StartTimeout)
	if code, body, err := n2.HTTP("/health/ready"); err == nil && (code != 503 || !strings.Contains(body, "disk-hung")) {
		t.Errorf("/health/ready of a node whose disk hangs: %d %s", code, body)
	}
	if code := n2.WaitExit(30 * time.Second); code != 73 || !strings.Contains(n2.LogTail(3), "hangs") {
		t.Errorf("the process ended with code %d, want 73:\n%s", code, n2.LogTail(5))
	}
	Eventually(t, StartTimeout, "the event", func() error {
		if r := c.TryCtl("events", "--kind", "disk"); !strings.Contains(r.Stdout, "disk.hung") {
			return fmt.Errorf("%s%s", r.Stdout, r.Stderr)
		}
		return nil
	})

	restart("2m")
	l.Advance(200, StartTimeout)
	n2.Sicken("sync hang\n")
	c.waitRule("DISK_HUNG", "n2")
	if r := c.TryCtl("drain", "n2", "--lb-wait", "0s", "--shutdown", "--deadline", "40s"); r.Code != 0 {
		t.Errorf("drain of a node whose disk hangs: exit %d\n%s%s\n%s", r.Code, r.Stdout, r.Stderr, n2.LogTail(10))
	}
	n2.WaitExit(20 * time.Second)

	restart("2m")
	n2.Sicken("sync 200ms\n")
	c.waitRule("DISK_SLOW", "n2", filepath.Join(n2.Dir, "store"), " ms in the median")
	Eventually(t, StartTimeout, "others lead", func() error {
		ranges, err := c.List("ranges")
		for _, r := range ranges {
			if r["leader"] == "n2" {
				return fmt.Errorf("n2 leads %v", r["id"])
			}
		}
		return err
	})
	n2.Sicken("")
	gap, errs := l.Stop()
	if len(errs) > 0 {
		t.Errorf("errors of statements: %v", errs)
	}
	l.Check(c.Node(1))
	t.Logf("longest time between two acknowledged writes of one writer: %s (figure: 3 s)", gap.Round(time.Millisecond))

	c.fullDisks()
	c.spentDisk(n2)
	c.mostSpent(n2, c.Node(3))

	// A disk that fails: nobody knows what is on it.
	n2.Sicken("sync EIO\n")
	if code := n2.WaitExit(30 * time.Second); code != 73 || !strings.Contains(n2.LogTail(5), "fails") {
		t.Errorf("the process ended with code %d, want 73:\n%s", code, n2.LogTail(8))
	}

	// A disk that hangs while the store is opened: nobody answers yet, and the node
	// says what it waits for all the same.
	n2.configure("diskExit: 3s")
	n2.Sicken("sync hang\n")
	n2.StartUnready()
	if code := n2.WaitExit(30 * time.Second); code != 73 || !strings.Contains(n2.LogTail(5), "while the store is opened") {
		t.Errorf("the process ended with code %d, want 73:\n%s", code, n2.LogTail(8))
	}
}

// fullDisks lets every disk have only its reserve left: no rows are taken, and they
// can be deleted.
func (c *Cluster) fullDisks() {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), StartTimeout)
	defer cancel()
	conn, err := c.Node(1).Connect(ctx)
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	for _, n := range c.Nodes() {
		n.Sicken("free 536870912\n") // of a reserve of 1 GiB
	}
	for _, n := range c.Nodes() {
		c.waitRule("DISK_FULL", n.Name)
	}
	var pg *pgconn.PgError
	for _, stmt := range []string{"INSERT INTO ledger VALUES (99, 1, 'x')", "UPDATE counters SET n = 7 WHERE writer = 0"} {
		if _, err := conn.Exec(ctx, stmt); !errors.As(err, &pg) || pg.Code != "53100" {
			c.t.Errorf("%s with full disks: %v, want 53100", stmt, err)
		}
	}
	for _, stmt := range []string{"DELETE FROM counters WHERE writer = 0", "DROP TABLE counters"} {
		if _, err := conn.Exec(ctx, stmt); err != nil {
			c.t.Errorf("%s with full disks: %v", stmt, err)
		}
	}
	for _, n := range c.Nodes() {
		n.Sicken("")
	}
	Eventually(c.t, StartTimeout, "rows are taken again", func() error {
		_, err := conn.Exec(ctx, "INSERT INTO ledger VALUES (99, 1, 'x')")
		return err
	})
}

// spentDisk uses up even the reserve of one disk: its node goes on, reads, and falls
// behind; the others take rows without it, and it catches up when there is room.
func (c *Cluster) spentDisk(n *Node) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), StartTimeout)
	defer cancel()
	n.Sicken("free 4194304\n")
	c.waitRule("DISK_SPENT", n.Name)
	conn, err := n.Connect(ctx)
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	for i := range 20 {
		Eventually(c.t, StartTimeout, "a row is taken by nodes with room", func() error {
			_, err := conn.Exec(ctx, "INSERT INTO ledger VALUES (98, $1, 'x') ON CONFLICT DO NOTHING", i)
			return err
		})
	}
	rows := 0
	if err := conn.QueryRow(ctx, "SELECT count(*) FROM ledger WHERE writer = 98").Scan(&rows); err != nil || rows != 20 {
		c.t.Errorf("%s reads %d rows: %v, want 20", n.Name, rows, err)
	}
	n.Sicken("")
	Eventually(c.t, StartTimeout, "the events", func() error {
		if r := c.TryCtl("events", "--kind", "disk"); !strings.Contains(r.Stdout, "disk.full") || !strings.Contains(r.Stdout, "disk.room") {
			return fmt.Errorf("%s%s", r.Stdout, r.Stderr)
		}
		return nil
	})
	c.WaitReplicated()
}

// mostSpent uses up the reserve of most disks: nothing is proposed that would stay in
// doubt, and what is there is read. With the reserve of a leader alone used up, rows are
// deleted all the same: another leads.
func (c *Cluster) mostSpent(one, two *Node) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), StartTimeout)
	defer cancel()
	conn, err := c.Node(1).Connect(ctx)
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	exec := func(stmt string) {
		c.t.Helper()
		if _, err := conn.Exec(ctx, stmt); err != nil {
			c.t.Errorf("%s: %v", stmt, err)
		}
	}
	exec("CREATE TABLE heap (id int8 PRIMARY KEY, v text)")
	exec("INSERT INTO heap SELECT g, 'x' FROM generate_series(1, 300) g")
	one.Sicken("free 4194304\n")
	c.waitRule("DISK_SPENT", one.Name)
	exec("DELETE FROM heap WHERE id <= 100")
	exec("INSERT INTO heap SELECT g, 'y' FROM generate_series(1, 100) g")
	Eventually(c.t, StartTimeout, "who has no room leads no rows", func() error {
		ranges, err := c.List("ranges")
		for _, r := range ranges {
			if r["leader"] == one.Name && fmt.Sprint(r["id"]) != "1" {
				return fmt.Errorf("%s leads %v", one.Name, r["id"])
			}
		}
		return err
	})
	two.Sicken("free 4194304\n")
	c.waitRule("DISK_SPENT", two.Name)
	for _, stmt := range []string{"INSERT INTO heap VALUES (301, 'x')", "UPDATE heap SET v = 'z'", "DELETE FROM heap"} {
		var pg *pgconn.PgError
		if _, err := conn.Exec(ctx, stmt); !errors.As(err, &pg) || pg.Code != "53100" {
			c.t.Errorf("%s with most reserves used up: %v, want 53100", stmt, err)
		}
	}
	rows := 0
	if err := conn.QueryRow(ctx, "SELECT count(*) FROM heap").Scan(&rows); err != nil || rows != 300 {
		c.t.Errorf("%d rows: %v, want 300", rows, err)
	}
	exec("ALTER SYSTEM SET gc_ttl = '20m'") // the meta range goes on
	exec("DROP TABLE heap")
	one.Sicken("")
	two.Sicken("")
	Eventually(c.t, StartTimeout, "rows are taken again", func() error {
		_, err := conn.Exec(ctx, "INSERT INTO ledger VALUES (97, 1, 'x')")
		return err
	})
	c.WaitReplicated()
}
