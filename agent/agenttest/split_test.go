package agenttest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestSplitUnderLoad splits ranges under a ledger of writes and kills the leader
// right after: nothing is lost or written twice, everybody sees both halves, and
// a node can be decommissioned with a proof that covers them.
func TestSplitUnderLoad(t *testing.T) {
	t.Parallel()
	c := Start(t, Options{Nodes: 4, Ranges: 4})
	l := c.StartLedger(8)
	l.Advance(100, 30*time.Second)

	dry := c.TryCtl("ranges", "split", "r2", "--dry-run")
	if dry.Code != 0 || !strings.Contains(dry.Stdout, "r2: a new range begins at vshard") || !strings.Contains(dry.Stdout, "run it") {
		t.Errorf("dry run: exit %d\n%s%s", dry.Code, dry.Stdout, dry.Stderr)
	}
	var plan struct{ Range, At int }
	dry = c.TryCtl("ranges", "split", "r2", "--dry-run", "-o", "json")
	if err := json.Unmarshal([]byte(dry.Stdout), &plan); err != nil || plan.At <= 0 || plan.At >= 256 || plan.Range != 2 {
		t.Errorf("dry run as JSON: %+v, %v\n%s", plan, err, dry.Stdout)
	}
	for _, x := range []struct {
		args string
		code int
	}{{"ranges split r99", 3}, {"ranges split r1", 2}, {"ranges split r2 --at 5000", 2}, {"ranges split r2 --at 600", 2}, {"ranges split nope", 2}, {"ranges split", 2}} {
		if r := c.TryCtl(strings.Fields(x.args)...); r.Code != x.code {
			t.Errorf("%s: exit %d, want %d\n%s", x.args, r.Code, x.code, r.Stderr)
		}
	}

	leader := c.leaderOf("r2")
	out := c.Ctl("ranges", "split", "r2", "--at", "100", "--reason", "test")
	if !strings.Contains(out, "succeeded") || !strings.Contains(out, "r2 has the keys [0,100)") {
		t.Errorf("split:\n%s", out)
	}
	t.Logf("kill -9 %s, which led r2\n%s", leader.Name, out)
	leader.Kill()
	l.Advance(50, 30*time.Second)
	leader.Start()
	c.WaitReplicated()
	for _, id := range []string{"r3", "r4", "r5", "r6"} { // by default, in the middle
		l.Advance(20, 30*time.Second)
		c.Ctl("ranges", "split", id)
	}
	if r := c.TryCtl("ranges", "split", "r2", "--at", "100"); r.Code != 2 {
		t.Errorf("the same split again: exit %d, want 2\n%s", r.Code, r.Stderr)
	}
	c.WaitReplicated()
	ranges, err := c.List("ranges")
	if err != nil || len(ranges) != 1+4+5 {
		t.Fatalf("%d ranges are listed, want 10: %v", len(ranges), err)
	}
	for _, n := range c.Nodes() {
		if got := psql(t, n, "SHOW RANGES"); strings.Count(got, "\n") != 9 {
			t.Errorf("SHOW RANGES on %s: got %q, want 10 rows", n.Name, got)
		}
	}
	c.checkLookups()

	out = c.Ctl("decommission", "n4", "--yes", "--reason", "test")
	t.Log(out)
	if !strings.Contains(out, "0 references to n4 in 10 descriptors") {
		t.Errorf("the proof of the decommission does not cover 10 ranges:\n%s", out)
	}
	l.Advance(50, 30*time.Second)
	gap, errs := l.Stop()
	if len(errs) > 0 {
		t.Errorf("%d statements failed other than by a lost connection, e.g. %v", len(errs), errs[:min(3, len(errs))])
	}
	t.Logf("longest write gap of one client: %s", gap)
	for i := 1; i <= 3; i++ {
		l.Check(c.Node(i))
	}
	c.checkCounted(t)
}

// checkCounted waits until all ranges are counted, and compares their rows with
// SQL's, and live and dead bytes with their sum. The counters are updated: there
// are dead bytes.
func (c *Cluster) checkCounted(t *testing.T) {
	c.t.Helper()
	want := psql(t, c.Node(1), "SELECT (SELECT count(*) FROM ledger) + (SELECT count(*) FROM counters)")
	Eventually(c.t, 30*time.Second, "all ranges are counted", func() error {
		ranges, err := c.List("ranges")
		if err != nil {
			return err
		}
		rows, dead := 0.0, 0.0
		for _, r := range ranges {
			if r["metaRange"] == true {
				continue
			}
			bytes, known := r["bytes"].(float64)
			live, _ := r["liveBytes"].(float64)
			gone, _ := r["deadBytes"].(float64)
			keys, _ := r["keys"].(float64)
			if !known || bytes != live+gone {
				return fmt.Errorf("r%v has %v bytes, %v live and %v dead", r["id"], r["bytes"], r["liveBytes"], r["deadBytes"])
			}
			rows, dead = rows+keys, dead+gone
		}
		if fmt.Sprint(rows) != strings.TrimSpace(want) || dead == 0 {
			return fmt.Errorf("the ranges count %v rows and %v dead bytes, SQL counts %s rows", rows, dead, want)
		}
		return nil
	})
	nodes, err := c.List("nodes")
	if err != nil {
		c.t.Fatal(err)
	}
	for _, n := range nodes {
		if live, ok := n["liveBytes"].(float64); n["reported"] == true && (!ok || live == 0) {
			c.t.Errorf("%v has %v live bytes", n["name"], n["liveBytes"])
		}
	}
}

// leaderOf returns the node that leads a range.
func (c *Cluster) leaderOf(name string) *Node {
	c.t.Helper()
	var found *Node
	Eventually(c.t, 30*time.Second, name+" has a leader", func() error {
		ranges, err := c.List("ranges")
		if err != nil {
			return err
		}
		for _, r := range ranges {
			for i, n := range c.Nodes() {
				if fmt.Sprint("r", r["id"]) == name && (fmt.Sprint(r["leader"]) == fmt.Sprint(i+1) || r["leader"] == n.Name) {
					found = n
					return nil
				}
			}
		}
		return fmt.Errorf("no leader in %v", ranges)
	})
	return found
}

// checkLookups asks where keys are: each is in the range that owns its vshard, and
// keys of both halves of a split are found.
func (c *Cluster) checkLookups() {
	c.t.Helper()
	seen := map[string]bool{}
	for key := range 40 {
		out := c.Ctl("routing", "lookup", "ledger", "1", fmt.Sprint(key), "-o", "json")
		var x struct {
			VShard int `json:"vshard"`
			Range  int `json:"range"`
		}
		if err := json.Unmarshal([]byte(out), &x); err != nil || x.Range == 0 {
			c.t.Fatalf("routing lookup: %v in %s", err, out)
		}
		seen[fmt.Sprint("r", x.Range)] = true
		if x.VShard < 100 != (x.Range == 2) {
			c.t.Errorf("key %d in vshard %d is said to be in r%d", key, x.VShard, x.Range)
		}
	}
	if !seen["r2"] || len(seen) < 5 {
		c.t.Errorf("40 keys are in %v only", seen)
	}
}

// TestBusyRangeIsSplit has the cluster split what stays busy: the threshold is set
// so low that the ledger passes it.
func TestBusyRangeIsSplit(t *testing.T) {
	t.Parallel()
	c := Start(t, Options{Ranges: 2})
	l := c.StartLedger(8)
	l.Advance(50, 30*time.Second)
	psql(t, c.Node(2), "ALTER SYSTEM SET split_load_threshold = 5")
	Eventually(t, 2*time.Minute, "a split by the coordinator", func() error {
		ops, err := c.List("ops", "ls", "--all")
		if err != nil {
			return err
		}
		for _, op := range ops {
			if op["operationKind"] == "split" && op["state"] == "succeeded" && op["requestedBy"] == "coordinator" {
				t.Logf("%v: %v; %v", op["id"], op["reason"], op["why"])
				return nil
			}
		}
		return fmt.Errorf("%d operations: %v", len(ops), ops)
	})
	psql(t, c.Node(1), "ALTER SYSTEM RESET split_load_threshold")
	c.WaitReplicated()
	l.Advance(50, 30*time.Second)
	if _, errs := l.Stop(); len(errs) > 0 {
		t.Errorf("%d statements failed, e.g. %v", len(errs), errs[:min(3, len(errs))])
	}
	l.Check(c.Node(1))
}

// TestSplitInsideAVShard splits a range at rows of one vshard under a ledger of
// writes: by the key, by the row's name and by the middle that the leader finds. A
// node is killed on the way, the new range moves to another node, and everything is
// read through every node.
func TestSplitInsideAVShard(t *testing.T) {
	t.Parallel()
	c := Start(t, Options{Nodes: 4, Ranges: 2})
	l := c.StartLedger(8)
	l.Advance(200, 30*time.Second)
	// Rows enough that every vshard has some.
	psql(t, c.Node(1), "CREATE TABLE wide (id int PRIMARY KEY, v text)")
	psql(t, c.Node(1), "INSERT INTO wide SELECT g, repeat('x', 100) FROM generate_series(1, 6000) g")
	sum := psql(t, c.Node(1), "SELECT count(*), sum(id) FROM wide")

	type place struct {
		VShard   int    `json:"vshard"`
		Range    int    `json:"range"`
		RowKey   string `json:"rowKey"`
		StartKey string `json:"startKey"`
		EndKey   string `json:"endKey"`
	}
	lookup := func(id int) (p place) {
		t.Helper()
		out := c.Ctl("routing", "lookup", "wide", fmt.Sprint(id), "-o", "json")
		if err := json.Unmarshal([]byte(out), &p); err != nil || p.RowKey == "" {
			t.Fatalf("routing lookup: %v in %s", err, out)
		}
		return p
	}
	row := lookup(1)
	parent := fmt.Sprint("r", row.Range)
	out := c.Ctl("ranges", "split", parent, "--at", "0x"+row.RowKey, "--reason", "test")
	if !strings.Contains(out, "succeeded") || !strings.Contains(out, "0x"+row.RowKey) {
		t.Errorf("split at a row:\n%s", out)
	}
	child := lookup(1)
	if child.Range == row.Range || child.StartKey != row.RowKey || child.VShard != row.VShard {
		t.Errorf("the row is in r%d from %s on, want a new range that begins with it", child.Range, child.StartKey)
	}
	if r := c.TryCtl("ranges", "split", parent, "--at", "0x"+row.RowKey); r.Code != 2 {
		t.Errorf("the same split again: exit %d, want 2\n%s", r.Code, r.Stderr)
	}
	// By the name of a row, of the range that has it now.
	second := lookup(2)
	out = c.Ctl("ranges", "split", fmt.Sprint("r", second.Range), "--at", "wide/2")
	if got := lookup(2); got.StartKey != second.RowKey {
		t.Errorf("after the split at wide/2 its range begins with %s, want %s\n%s", got.StartKey, second.RowKey, out)
	}
	// What is left of a vshard alone has no vshard's beginning inside: its leader
	// finds a row.
	tail := lookup(1)
	if next := fmt.Sprint(tail.VShard + 1); tail.EndKey > row.RowKey[:4]+"ff" && tail.VShard+1 < 1024 {
		c.Ctl("ranges", "split", fmt.Sprint("r", tail.Range), "--at", next)
		c.Ctl("ranges", "split", fmt.Sprint("r", tail.Range))
		if got := lookup(1); len(got.EndKey) <= 4 || got.EndKey <= got.StartKey {
			t.Errorf("the vshard's part was split at %q, want a row", got.EndKey)
		}
	}
	victim := c.leaderOf(fmt.Sprint("r", tail.Range))
	victim.Kill()
	l.Advance(50, 30*time.Second)
	victim.Start()
	c.WaitReplicated()

	c.moveAway(fmt.Sprint("r", tail.Range))
	c.WaitReplicated()
	l.Advance(50, 30*time.Second)
	for i, n := range c.Nodes() {
		if got := psql(t, n, "SELECT count(*), sum(id) FROM wide"); got != sum {
			t.Errorf("n%d reads %q, want %q", i+1, got, sum)
		}
		if got := psql(t, n, "SELECT id FROM wide WHERE id IN (1, 2) ORDER BY id"); strings.TrimSpace(got) != "1\n2" {
			t.Errorf("n%d reads the rows at the boundaries as %q", i+1, got)
		}
		if got := psql(t, n, "SHOW RANGES"); !strings.Contains(got, row.RowKey) {
			t.Errorf("SHOW RANGES on n%d does not show the bound %s", i+1, row.RowKey)
		}
	}
	_, errs := l.Stop()
	if len(errs) > 0 {
		t.Errorf("%d statements failed, e.g. %v", len(errs), errs[:min(3, len(errs))])
	}
	l.Check(c.Node(1))
}

// moveAway moves a replica of a range that does not lead to the node without one.
func (c *Cluster) moveAway(name string) {
	c.t.Helper()
	Eventually(c.t, time.Minute, name+" moves", func() error {
		var r struct {
			Leader int   `json:"leader"`
			Voters []int `json:"voters"`
		}
		if err := json.Unmarshal([]byte(c.Ctl("ranges", "show", name, "-o", "json")), &r); err != nil {
			return err
		}
		from, to := 0, 0
		for n := 1; n <= len(c.Nodes()); n++ {
			switch {
			case !slices.Contains(r.Voters, n):
				to = n
			case n != r.Leader:
				from = n
			}
		}
		if from == 0 || to == 0 {
			return fmt.Errorf("%s has %+v: nowhere to move", name, r)
		}
		// The node that leads the meta range may learn a moment later than the
		// one that was asked that a node is back; until then it drops the step.
		if m := c.TryCtl("ranges", "move", name, "--from", fmt.Sprint("n", from), "--to", fmt.Sprint("n", to)); m.Code != 0 {
			return fmt.Errorf("exit %d: %s%s", m.Code, m.Stdout, m.Stderr)
		}
		return nil
	})
}
