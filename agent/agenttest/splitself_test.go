package agenttest

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// rowsOf returns the first n numbers that, as primary keys of a table, lie in
// vshard v.
func rowsOf(t *testing.T, c *Cluster, table string, v cluster.VShard, n int) (ids []int) {
	t.Helper()
	collection := cluster.CollectionID(0)
	for _, line := range strings.Split(psql(t, c.Node(1), "SHOW COLLECTIONS"), "\n") {
		if f := strings.Split(line, "|"); f[0] == table {
			id, err := strconv.ParseUint(f[1], 10, 32)
			if err != nil {
				t.Fatal(err)
			}
			collection = cluster.CollectionID(id)
		}
	}
	for id := 1; len(ids) < n; id++ {
		key, err := datum.EncodeKey(datum.MakeInt(datum.Int8, int64(id)))
		if err != nil {
			t.Fatal(err)
		}
		if keys.VShardOf(collection, key) == v {
			ids = append(ids, id)
		}
	}
	return ids
}

// TestVShardsAreDividedByThemselves has one vshard be larger than range_max_bytes and
// another have all the load: the coordinator divides both at a row, and everything is
// read through every node, by key, in order, and by DuckDB.
func TestVShardsAreDividedByThemselves(t *testing.T) {
	t.Parallel()
	c := Start(t, Options{Ranges: 2})
	const large, hot = cluster.VShard(200), cluster.VShard(700)
	psql(t, c.Node(1), "CREATE TABLE large (id int8 PRIMARY KEY, v text)")
	psql(t, c.Node(1), "CREATE TABLE hot (id int8 PRIMARY KEY, v text)")
	psql(t, c.Node(1), "INSERT INTO large SELECT g, 'small' FROM generate_series(-400, 0) g")
	big, busy := rowsOf(t, c, "large", large, 24), rowsOf(t, c, "hot", hot, 16)
	for _, id := range big { // 2.4 MB in one vshard
		psql(t, c.Node(1), fmt.Sprintf("INSERT INTO large VALUES (%d, repeat('x', 100000))", id))
	}
	for _, id := range busy {
		psql(t, c.Node(1), fmt.Sprintf("INSERT INTO hot VALUES (%d, 'v')", id))
	}
	stop := c.readEvenly(busy)
	psql(t, c.Node(2), "ALTER SYSTEM SET range_max_bytes = 1500000")
	psql(t, c.Node(2), "ALTER SYSTEM SET split_load_threshold = 5")
	sizeAt := c.awaitDivided(large, "size: ")
	loadAt := c.awaitDivided(hot, "load: ")
	stop()
	psql(t, c.Node(1), "ALTER SYSTEM RESET split_load_threshold")
	c.WaitReplicated()
	t.Logf("divided by size at %s, by load at %s", sizeAt, loadAt)

	ids := slices.Clone(big)
	for id := -400; id <= 0; id++ {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, n := range c.Nodes() {
		c.readsAll(n, ids)
	}
}

// readEvenly reads rows of hot through all nodes, each as often as the others, until
// stop is called.
func (c *Cluster) readEvenly(ids []int) (stop func()) {
	c.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for _, n := range c.Nodes() {
		wg.Go(func() {
			conn, err := n.Connect(ctx)
			if err != nil {
				c.t.Errorf("connect to %s: %v", n.Name, err)
				return
			}
			defer func() { _ = conn.Close(context.Background()) }()
			for i := 0; ctx.Err() == nil; i++ {
				var v string
				if err := conn.QueryRow(ctx, "SELECT v FROM hot WHERE id = $1", ids[i%len(ids)]).Scan(&v); ctx.Err() == nil && (err != nil || v != "v") {
					c.t.Errorf("row %d of hot at %s: %q, %v", ids[i%len(ids)], n.Name, v, err)
					return
				}
			}
		})
	}
	return func() { cancel(); wg.Wait() }
}

// awaitDivided waits until the coordinator has split a range inside a vshard, for a
// reason, and returns the key.
func (c *Cluster) awaitDivided(v cluster.VShard, reason string) (at string) {
	c.t.Helper()
	head := v.Key().Hex()
	Eventually(c.t, time.Minute, fmt.Sprintf("vshard %d is divided, %s", v, reason), func() error {
		ranges, err := c.List("ranges")
		if err != nil {
			return err
		}
		ops, err := c.List("ops", "ls", "--all")
		if err != nil {
			return err
		}
		for _, r := range ranges {
			start, _ := r["startKey"].(string)
			if !strings.HasPrefix(start, head) || start == head {
				continue
			}
			for _, op := range ops {
				why, _ := op["reason"].(string)
				if op["requestedBy"] == "coordinator" && op["state"] == "succeeded" && strings.HasPrefix(why, reason) && strings.Contains(fmt.Sprint(op["why"]), start) {
					at = start
					return nil
				}
			}
		}
		return fmt.Errorf("ranges %v, operations %v", starts(ranges), ops)
	})
	return at
}

// starts are the keys with which ranges begin.
func starts(ranges []map[string]any) (out []string) {
	for _, r := range ranges {
		out = append(out, fmt.Sprint(r["startKey"]))
	}
	return out
}

// readsAll wants the rows of large, and no others, by every way to read them.
func (c *Cluster) readsAll(n *Node, ids []int) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := n.Connect(ctx)
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	for _, id := range ids {
		want := len("small")
		if id > 0 {
			want = 100000
		}
		var length int
		if err := conn.QueryRow(ctx, "SELECT length(v) FROM large WHERE id = $1", id).Scan(&length); err != nil || length != want {
			c.t.Fatalf("row %d at %s has %d letters, want %d: %v", id, n.Name, length, want, err)
		}
	}
	list := func(query string) (got []int) {
		rows, err := conn.Query(ctx, query)
		if err != nil {
			c.t.Fatalf("%s at %s: %v", query, n.Name, err)
		}
		defer rows.Close()
		for rows.Next() {
			var id int
			if err := rows.Scan(&id); err != nil {
				c.t.Fatalf("%s at %s: %v", query, n.Name, err)
			}
			got = append(got, id)
		}
		if err := rows.Err(); err != nil {
			c.t.Fatalf("%s at %s: %v", query, n.Name, err)
		}
		return got
	}
	const few = 15 // of both sides of the boundary inside the vshard
	down := slices.Clone(ids)
	slices.Reverse(down)
	for query, want := range map[string][]int{
		"SELECT id FROM large ORDER BY id":                                   ids,
		"SELECT id FROM large ORDER BY id DESC":                              down,
		fmt.Sprintf("SELECT id FROM large ORDER BY id LIMIT %d", few):        ids[:few],
		"SELECT id FROM large ORDER BY id DESC LIMIT 24":                     down[:24],
		"SELECT id FROM large WHERE id > 0 ORDER BY id LIMIT 13":             ids[401:414],
		"SELECT id FROM large WHERE id > 0 ORDER BY id DESC LIMIT 13":        down[:13],
		"SELECT count(*) FROM large":                                         {len(ids)},
		"SELECT count(DISTINCT id) FROM large WHERE v = repeat('x', 100000)": {len(ids) - 401},
	} {
		if got := list(query); !slices.Equal(got, want) {
			c.t.Errorf("%s at %s: %v, want %v", query, n.Name, got, want)
		}
	}
}
