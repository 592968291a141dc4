package agenttest

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// servesThePast has a node of three answer bounded reads by itself, through every path,
// while both others are stopped, so that nobody can come to lead what they led.
// users holds two rows.
func servesThePast(t *testing.T, c *Cluster) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	n := c.Node(3)
	conn, err := n.Connect(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(ctx, "SET nodedb.read_consistency = 'bounded_staleness:120'"); err != nil {
		t.Fatal(err)
	}
	Eventually(t, time.Minute, "all ranges are read on the client's node", func() error {
		lines, err := explained(ctx, conn, "SELECT * FROM users")
		if err == nil {
			err = allHere(lines, n, 17)
		}
		if err == nil && !strings.Contains(strings.Join(lines, "\n"), "Rows: 2") { // of a time before they were written
			err = fmt.Errorf("the rows are not there yet: %s", strings.Join(lines, "\n"))
		}
		return err
	})
	for i := 1; i <= 2; i++ {
		c.Node(i).Signal(syscall.SIGSTOP)
		defer c.Node(i).Signal(syscall.SIGCONT)
	}
	// With the leases of before the node's own ranges have a leader for a moment.
	Eventually(t, time.Minute, "followers serve a full scan while no leader is left", func() error {
		lines, err := explained(ctx, conn, "SELECT * FROM users")
		if err == nil {
			err = allHere(lines, n, 17)
		}
		if err == nil && !strings.Contains(strings.Join(lines, "\n"), "Rows: 2") { // of a time before they were written
			err = fmt.Errorf("the rows are not there yet: %s", strings.Join(lines, "\n"))
		}
		if err == nil && strings.Contains(strings.Join(lines, "\n"), "(leads)") {
			err = fmt.Errorf("leaders are left: %s", strings.Join(lines, "\n"))
		}
		return err
	})
	for sql, want := range map[string]string{
		"SELECT name FROM users WHERE id = 3":                                                    "grace",
		"SELECT count(*)::text FROM users":                                                       "2",
		"SELECT string_agg(a.name, ',') FROM users a JOIN users b USING (id) WHERE a.name > 'G'": "grace",
	} {
		var got string
		if err := conn.QueryRow(ctx, sql, pgx.QueryExecModeSimpleProtocol).Scan(&got); err != nil || got != want {
			t.Errorf("%s without leaders: %q, %v; want %q", sql, got, err, want)
		}
	}
	if _, err := conn.Exec(ctx, "SET nodedb.read_consistency = 'eventual'"); err != nil {
		t.Error(err)
	}
	var got string
	if err := conn.QueryRow(ctx, "SELECT max(name) FROM users").Scan(&got); err != nil || got != "grace" {
		t.Errorf("eventual without leaders: %q, %v", got, err)
	}
	for i := 1; i <= 2; i++ {
		c.Node(i).Signal(syscall.SIGCONT)
	}
	Eventually(t, time.Minute, "strong reads and those of a past time go on", func() error {
		for sql, want := range map[string]string{
			"SELECT count(*)::text FROM users":                                            "2",
			"SELECT count(*)::text FROM users AS OF SYSTEM TIME '-100ms'":                 "2",
			"SELECT max(name) FROM users AS OF SYSTEM TIME follower_read_timestamp()":     "grace",
			"SELECT count(*)::text FROM users AS OF SYSTEM TIME '2026-01-01 00:00:00+00'": "0",
		} {
			if err := c.sqlRow(3, sql, &got); err != nil || got != want {
				return fmt.Errorf("%s: %q, %w", sql, got, err)
			}
		}
		return nil
	})
	if out := c.Ctl("ranges", "show", "r2"); !strings.Contains(out, "CLOSED LAG") {
		t.Errorf("ranges show says nothing of closed time: %s", out)
	}
	Eventually(t, time.Minute, "closed_lag_ms is known of all ranges", func() error {
		if got := psql(t, n, "SELECT count(closed_lag_ms) FROM nodedb_internal.ranges"); got != "17" {
			return fmt.Errorf("of %s", got)
		}
		return nil
	})
	if served, err := c.metrics("nodedb_store_reads_past_total"); err != nil || served < 17 {
		t.Errorf("%v reads of the past were counted, %v", served, err)
	}
}

// sqlRow reads one value through a node.
func (c *Cluster) sqlRow(node int, sql string, into any) error {
	ctx, cancel := context.WithTimeout(c.t.Context(), 20*time.Second)
	defer cancel()
	conn, err := c.Node(node).Connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close(context.Background())
	return conn.QueryRow(ctx, sql).Scan(into)
}

// explained is what EXPLAIN ANALYZE says of a statement.
func explained(ctx context.Context, conn *pgx.Conn, sql string) (lines []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	rows, err := conn.Query(ctx, "EXPLAIN ANALYZE "+sql)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// allHere wants all ranges but the meta range read on a node, by its replicas as they
// are unless it leads.
func allHere(lines []string, n *Node, ranges int) error {
	here := 0
	for _, l := range lines {
		if l = strings.TrimSpace(l); strings.HasPrefix(l, "r") && strings.Contains(l, ": "+n.Name+", follower (closed)") ||
			strings.Contains(l, ": "+n.Name+", leader (leads)") {
			here++
		}
	}
	if here != ranges-1 {
		return fmt.Errorf("%d of %d ranges were read on %s: %s", here, ranges-1, n.Name, strings.Join(lines, "\n"))
	}
	return nil
}
