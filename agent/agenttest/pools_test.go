package agenttest

import (
	"context"
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

// TestPools makes a pool that one zone of three has to itself, puts a table into it,
// grows the default pool under load, and drops the pool again; then another one,
// whose coordinator is killed, that nodes are taken away from, and that is dropped
// while one of its nodes is down.
func TestPools(t *testing.T) {
	t.Parallel()
	zone := func(n int) string { return "region=eu,zone=" + string("abacab"[n-1]) }
	c := Start(t, Options{Nodes: 6, Ranges: 4, Locality: zone})
	l := c.StartLedger(4)
	l.Advance(50, 30*time.Second)

	for _, no := range []struct{ statement, says string }{
		{"CREATE POOL hot WITH (constraints = '+zone=c')", "pool hot needs 3 nodes with +zone=c, there is 1"},
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

	// The balancer may move something between the plan and the command: then it is planned anew.
	Eventually(t, 30*time.Second, "the plan is confirmed", func() error {
		plan := c.TryCtl("pools", "alter", "default", "--replicas", "5", "--dry-run", "-o", "name")
		r := c.TryCtl("pools", "alter", "default", "--replicas", "5", "--confirm", strings.TrimSpace(plan.Stdout), "--reason", "test")
		if r.Code != 0 {
			return fmt.Errorf("exit %d: %s%s", r.Code, r.Stdout, r.Stderr)
		}
		return nil
	})
	c.settled("default", 5)
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
		for _, w := range c.mustList("pools", "--queue") {
			return fmt.Errorf("a pool waits for %v", w)
		}
		return nil
	})
	_, errs := l.Stop()
	if len(errs) > 0 {
		t.Errorf("the load met errors: %v", errs[:min(3, len(errs))])
	}
	l.Check(c.Node(1))
	c.poolOutlives()
}

// poolOutlives has a pool that keeps off zone c (n4) meet what happens to clusters.
func (c *Cluster) poolOutlives() {
	t := c.t
	t.Helper()
	id := c.begin("pools", "create", "cold", "--replicas", "3", "--constraints", "-zone=c", "--ranges", "4", "--yes")
	coordinator := c.metaLeader()
	coordinator.Kill()
	coordinator.Start()
	if o := c.awaitOp(id, "has ended", ended); o["state"] != "succeeded" {
		t.Fatalf("CREATE POOL is %v: %v", o["state"], o["why"])
	}
	c.sql("CREATE TABLE kept (id int8 PRIMARY KEY, body text) WITH (pool = 'cold')")
	c.sql("INSERT INTO kept SELECT g, repeat('x', 100) FROM generate_series(1, 500) g")
	c.keepsOff("cold", 4)

	// n5 leaves for good, n2 is drained: neither sends anything to zone c.
	c.Ctl("decommission", "n5", "--yes")
	c.keepsOff("cold", 4, 5)
	c.Ctl("drain", "n2", "--lb-wait", "0s")
	c.keepsOff("cold", 4, 5)
	for r := range c.votersOf("cold") {
		if c.leaders()[r] == "2" {
			t.Errorf("n2 is drained and leads %s", r)
		}
	}
	c.Ctl("undrain", "n2")
	if got := c.sql("SELECT count(*) FROM kept"); !strings.Contains(got, "500") {
		t.Errorf("the table holds %s, want 500 rows", got)
	}

	away, had := c.Node(3), []string(nil)
	for r, on := range c.votersOf("cold") {
		if slices.Contains(on, 3) {
			had = append(had, r)
		}
	}
	if len(had) == 0 {
		t.Fatalf("n3 holds nothing of pool cold: %v", c.votersOf("cold"))
	}
	away.Kill()
	if left := c.heldBy(away, had); len(left) != len(had) {
		t.Errorf("n3 holds %v, want %v: its data directory is read wrong", left, had)
	}
	c.sql("DROP TABLE kept")
	c.sql("DROP POOL cold")
	away.Start()
	Eventually(t, time.Minute, "n3 runs nothing of pool cold", func() error {
		groups, err := away.raftGroups("n3")
		if err != nil {
			return err
		}
		if left := slices.DeleteFunc(slices.Clone(had), func(r string) bool { return !slices.Contains(groups, r) }); len(left) > 0 || len(groups) == 0 {
			return fmt.Errorf("it runs %v of %v", left, groups)
		}
		return nil
	})
	away.Kill()
	if left := c.heldBy(away, had); len(left) > 0 {
		t.Errorf("the disk of n3 has %v of a pool that was dropped", left)
	}
	away.Start()
	c.Ctl("wait", "--for", "healthy")
}

// raftGroups lists the ranges of which a node runs a replica, as n knows.
func (n *Node) raftGroups(of string) ([]string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	conn, err := n.Connect(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close(ctx) }()
	rows, err := conn.Query(ctx, "SHOW RAFT GROUPS")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		values, err := rows.Values()
		if err != nil {
			return nil, err
		}
		if fmt.Sprint(values[1]) == of {
			out = append(out, fmt.Sprint(values[0]))
		}
	}
	return out, rows.Err()
}

// settled waits until each range of a pool has so many voters: the balancer moves
// replicas on its own, and a range that is between two configurations has those of both.
func (c *Cluster) settled(pool string, want int) {
	c.t.Helper()
	Eventually(c.t, 30*time.Second, fmt.Sprintf("the ranges of pool %s have %d voters each", pool, want), func() error {
		for r, on := range c.votersOf(pool) {
			if len(on) != want {
				return fmt.Errorf("%s is on %v", r, on)
			}
		}
		return nil
	})
}

// keepsOff checks that the four ranges of a pool have three voters each, and none on
// the nodes, not even on the way.
func (c *Cluster) keepsOff(pool string, nodes ...int) {
	c.t.Helper()
	voters := c.votersOf(pool)
	if len(voters) != 4 {
		c.t.Errorf("pool %s has the ranges %v, want 4", pool, voters)
	}
	for r, on := range voters {
		if slices.ContainsFunc(nodes, func(n int) bool { return slices.Contains(on, n) }) {
			c.t.Errorf("%s of pool %s is on %v, want none of %v", r, pool, on, nodes)
		}
	}
	c.settled(pool, 3)
}

// heldBy lists those of the ranges that the data directory of a stopped node holds.
func (c *Cluster) heldBy(n *Node, ranges []string) []string {
	c.t.Helper()
	out := strings.Fields(c.Ctl("debug", "local", "--data-dir", n.Dir))
	return slices.DeleteFunc(slices.Clone(ranges), func(r string) bool { return !slices.Contains(out, r) })
}

func (c *Cluster) mustList(args ...string) []map[string]any {
	c.t.Helper()
	items, err := c.List(args...)
	if err != nil {
		c.t.Fatal(err)
	}
	return items
}
