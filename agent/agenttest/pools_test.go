package agenttest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// votersOf lists, by range, the nodes that vote for the ranges of a pool.
func (c *Cluster) votersOf(pool string) map[string][]int {
	c.t.Helper()
	var doc struct {
		Items []struct {
			Name, Pool string
			MetaRange  bool
			Voters     []int
		}
	}
	if err := json.Unmarshal([]byte(c.Ctl("ranges", "-o", "json")), &doc); err != nil {
		c.t.Fatal(err)
	}
	out := map[string][]int{}
	for _, r := range doc.Items {
		if !r.MetaRange && r.Pool == pool {
			out[r.Name] = r.Voters
		}
	}
	return out
}

func (c *Cluster) sql(statement string) string {
	c.t.Helper()
	return strings.TrimSpace(c.Ctl("sql", "-e", statement))
}

// TestPools makes a pool that one zone has to itself, puts a table into it, grows
// the default pool under load, and drops the pool again.
func TestPools(t *testing.T) {
	zone := func(n int) string { return fmt.Sprintf("region=eu,zone=%c", 'a'+(n-1)%2) } // a: 1, 3, 5; b: 2, 4
	c := Start(t, Options{Nodes: 5, Ranges: 4, Locality: zone})
	c.Ctl("wait", "--all", "--for", "ready") // the last to join is no member yet when its process is ready
	l := c.StartLedger(4)
	l.Advance(50, 30*time.Second)

	for _, no := range []struct{ statement, says string }{
		{"CREATE POOL hot WITH (constraints = '+zone=c')", "pool hot needs 3 nodes with +zone=c, there are 0"},
		{"CREATE POOL hot WITH (replicas = 5, constraints = '+zone=a')", "pool hot needs 5 nodes with +zone=a, there are 3"},
		{"DROP POOL default", "cannot be dropped: it is everybody's"},
	} {
		if r := c.TryCtl("sql", "-e", no.statement); r.Code == 0 || !strings.Contains(r.Stdout+r.Stderr, no.says) {
			t.Errorf("%s: exit %d\n%s%s", no.statement, r.Code, r.Stdout, r.Stderr)
		}
	}
	c.sql("CREATE POOL hot WITH (replicas = 3, ranges = 4, constraints = '+zone=a', prefer_leader = 'region=eu')")
	c.sql("CREATE TABLE precious (id int8 PRIMARY KEY, body text) WITH (pool = 'hot')")
	c.sql("INSERT INTO precious SELECT g, repeat('x', 100) FROM generate_series(1, 500) g")
	voters := c.votersOf("hot")
	if len(voters) != 4 {
		t.Errorf("pool hot has the ranges %v, want 4", voters)
	}
	for r, on := range voters {
		if !slices.Equal(on, []int{1, 3, 5}) {
			t.Errorf("%s of pool hot is on %v, want zone a: 1, 3, 5", r, on)
		}
	}
	if got := c.sql("SELECT count(*) FROM precious"); !strings.Contains(got, "500") {
		t.Errorf("the table holds %s, want 500 rows", got)
	}
	if r := c.TryCtl("sql", "-e", "DROP POOL hot"); r.Code == 0 || !strings.Contains(r.Stdout+r.Stderr, "it has the collections precious") {
		t.Errorf("DROP of a used pool: exit %d\n%s%s", r.Code, r.Stdout, r.Stderr)
	}
	if r := c.TryCtl("decommission", "n5", "--dry-run"); r.Code != 5 || !strings.Contains(r.Stdout+r.Stderr, "of pool hot need 3 nodes with +zone=a") {
		t.Errorf("a decommission that leaves pool hot two nodes: exit %d\n%s%s", r.Code, r.Stdout, r.Stderr)
	}

	plan := c.Ctl("pools", "alter", "default", "--replicas", "5", "--dry-run", "-o", "name")
	c.Ctl("pools", "alter", "default", "--replicas", "5", "--confirm", strings.TrimSpace(plan), "--reason", "test")
	for r, on := range c.votersOf("default") {
		if len(on) != 5 {
			t.Errorf("%s of pool default is on %v, want all five", r, on)
		}
	}
	for r, on := range c.votersOf("hot") {
		if !slices.Equal(on, []int{1, 3, 5}) {
			t.Errorf("%s of pool hot is on %v after pool default was altered", r, on)
		}
	}
	l.Advance(50, 30*time.Second)

	c.Ctl("pools", "alter", "hot", "--replicas", "1", "--yes")
	c.sql("DROP TABLE precious")
	c.sql("DROP POOL hot")
	Eventually(t, time.Minute, "no range of pool hot is left", func() error {
		if left := c.Ctl("pools", "-o", "name"); strings.TrimSpace(left) != "default" {
			return fmt.Errorf("pools: %s", left)
		}
		for _, o := range c.mustList("ops", "ls") {
			return fmt.Errorf("%v is %v: %v", o["id"], o["state"], o["why"])
		}
		return nil
	})
	_, errs := l.Stop()
	if len(errs) > 0 {
		t.Errorf("the load met errors: %v", errs[:min(3, len(errs))])
	}
	l.Check(c.Node(1))
}

func (c *Cluster) mustList(args ...string) []map[string]any {
	c.t.Helper()
	items, err := c.List(args...)
	if err != nil {
		c.t.Fatal(err)
	}
	return items
}
