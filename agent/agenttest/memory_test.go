package agenttest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// configure sets keys in node.yaml of every node and starts them with it.
func (c *Cluster) configure(settings map[string]string) {
	c.t.Helper()
	for _, n := range c.Nodes() {
		if code := n.Terminate(); code != 0 {
			c.t.Fatalf("%s ended with %d", n.Name, code)
		}
		path := filepath.Join(n.Dir, "node.yaml")
		text, err := os.ReadFile(path)
		for key, value := range settings {
			text = append(regexp.MustCompile(`(?m)^`+key+`:.*\n`).ReplaceAll(text, nil), key+": "+value+"\n"...)
		}
		if err = errors.Join(err, os.WriteFile(path, text, 0o600)); err != nil {
			c.t.Fatal(err)
		}
		n.Start()
	}
}

// metric is the sum of a metric over its labels.
func (n *Node) metric(name string) (float64, error) {
	code, body, err := n.HTTP("/metrics")
	if err != nil || code != http.StatusOK {
		return 0, fmt.Errorf("/metrics of %s: %d %w", n.Name, code, err)
	}
	sum, found := 0.0, false
	for _, m := range regexp.MustCompile(`(?m)^`+name+`(?:\{[^}]*\})? (\S+)$`).FindAllStringSubmatch(body, -1) {
		v, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			return 0, err
		}
		sum, found = sum+v, true
	}
	if !found {
		return 0, fmt.Errorf("%s has no metric %s", n.Name, name)
	}
	return sum, nil
}

func (c *Cluster) metrics(name string) (sum float64, err error) {
	for _, n := range c.Nodes() {
		v, err := n.metric(name)
		if err != nil {
			return 0, err
		}
		sum += v
	}
	return sum, nil
}

const (
	padRows  = 20_000
	padBytes = 1000
)

// TestMemoryHasABound runs nodes with little memory: a client that stops reading
// keeps no view and gets every row all the same; then clients ask for more than the
// nodes can hold.
func TestMemoryHasABound(t *testing.T) { // alone: nodes that are asked for more than they can hold take all the machine has
	// Of each range more than a stream takes before its reader does, 4 MiB.
	c := Start(t, Options{Ranges: 2})
	c.configure(map[string]string{"memory": "268435456", "viewAge": "500ms"})
	c.Ctl("wait", "--all", "--for", "ready")
	c.sql("CREATE TABLE pads (id int8 PRIMARY KEY, pad text)")
	c.sql(fmt.Sprintf("INSERT INTO pads SELECT g, repeat('x', %d) FROM generate_series(1, %d) g", padBytes, padRows))
	t.Run("a reader that stops", func(t *testing.T) { readerStops(t, c) })
	t.Run("overload", func(t *testing.T) { overload(t, c) })
}

func readerStops(t *testing.T, c *Cluster) {
	before, err := c.metrics("nodedb_kv_views_taken_total")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := c.Node(1).Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	// Eight times over: the sockets of both ends may hold 36 MiB, as Linux is set up.
	rows, err := conn.Query(t.Context(), "SELECT id, pad, pad, pad, pad, pad, pad, pad, pad FROM pads")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	Eventually(t, time.Minute, "the views are taken from a reader that does not read", func() error {
		taken, err := c.metrics("nodedb_kv_views_taken_total")
		open, err2 := c.metrics("nodedb_kv_views_count")
		if err = errors.Join(err, err2); err != nil {
			return err
		}
		if taken <= before || open > 0 {
			return fmt.Errorf("%v views were taken, %v are open", taken-before, open)
		}
		return nil
	})
	// It reads what was there when it began.
	c.sql("UPDATE pads SET pad = 'new' WHERE id % 97 = 0")
	seen := map[int64]bool{}
	for rows.Next() {
		var id int64
		var pad string
		if err := rows.Scan(&id, &pad, nil, nil, nil, nil, nil, nil, nil); err != nil {
			t.Fatal(err)
		}
		if seen[id] || len(pad) != padBytes {
			t.Fatalf("row %d: twice %v, %d bytes", id, seen[id], len(pad))
		}
		seen[id] = true
	}
	if err := rows.Err(); err != nil || len(seen) != padRows {
		t.Errorf("%d rows of %d: %v", len(seen), padRows, err)
	}
}

// overload has clients read and write much at once, one of them more than a node can
// hold, while an operator looks.
func overload(t *testing.T, c *Cluster) {
	pids := map[string]int{}
	for _, n := range c.Nodes() {
		pids[n.Name] = n.PID()
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var refused, served atomic.Int64
	for i := range 30 {
		wg.Go(func() { hammer(ctx, t, c.Node(i%3+1), i, &refused, &served) })
	}
	for range 3 {
		begun := time.Now()
		if r := c.TryCtl("status"); r.Code != 0 || !strings.Contains(r.Stdout, "nodes alive") {
			t.Errorf("status under load: exit %d\n%s%s", r.Code, r.Stdout, r.Stderr)
		}
		t.Logf("status answered after %s", time.Since(begun).Round(time.Millisecond))
	}
	var pg *pgconn.PgError
	if err := tooMuch(ctx, c.Node(1)); !errors.As(err, &pg) || pg.Code != "53200" || !strings.Contains(pg.Hint, "nodedbctl nodes show") {
		t.Errorf("more than a node can hold: %v", err)
	}
	Eventually(t, time.Minute, "clients are served, and check says what was refused", func() error {
		r := c.TryCtl("check")
		if served.Load() < 10 || r.Code != 10 || !strings.Contains(r.Stdout, "MEMORY_PRESSURE") {
			return fmt.Errorf("%d served, %d refused, check exits %d:\n%s%s", served.Load(), refused.Load(), r.Code, r.Stdout, r.Stderr)
		}
		return nil
	})
	cancel()
	wg.Wait()
	t.Logf("%d statements were served, %d refused", served.Load(), refused.Load())
	if out := c.Ctl("nodes", "show", "n1"); !strings.Contains(out, "statements") || !strings.Contains(out, "sqlworker") {
		t.Errorf("nodes show does not tell the parts of the memory:\n%s", out)
	}
	Eventually(t, time.Minute, "the event is recorded", func() error {
		if out := c.Ctl("events"); !strings.Contains(out, "memory.full") {
			return errors.New(out)
		}
		return nil
	})
	for _, n := range c.Nodes() {
		if !n.Running() || n.PID() != pids[n.Name] {
			t.Errorf("%s ended:\n%s", n.Name, n.LogTail(20))
		}
	}
	Eventually(t, time.Minute, "all is given back", func() error {
		for _, n := range c.Nodes() {
			code, body, err := n.HTTP("/metrics")
			if err != nil || code != http.StatusOK {
				return fmt.Errorf("%d %w", code, err)
			}
			for _, part := range []string{"sessions", "statements", "requests", "reads", "snapshots"} {
				if m := regexp.MustCompile(`nodedb_memory_used_bytes\{part="` + part + `"\} (\S+)`).FindStringSubmatch(body); len(m) == 0 || m[1] != "0" {
					return fmt.Errorf("%s of %s: %v", part, n.Name, m)
				}
			}
		}
		return nil
	})
	if got := c.sql("SELECT count(*) FROM pads WHERE id <= " + strconv.Itoa(padRows)); !strings.Contains(got, strconv.Itoa(padRows)) {
		t.Errorf("after it: %s", got)
	}
}

// tooMuch sends one statement with 24 MiB of parameters.
func tooMuch(ctx context.Context, n *Node) error {
	conn, err := n.Connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close(context.Background())
	var values []string
	var args []any
	for i := range 10 {
		values = append(values, fmt.Sprintf("(%d, $%d)", 3_000_000+i, i+1))
		args = append(args, strings.Repeat("z", 2400<<10))
	}
	_, err = conn.Exec(ctx, "INSERT INTO pads VALUES "+strings.Join(values, ", "), args...)
	return err
}

// hammer reads and writes large things until ctx ends. A client may be refused; any
// other error is one.
func hammer(ctx context.Context, t *testing.T, n *Node, i int, refused, served *atomic.Int64) {
	var conn *pgx.Conn
	defer func() {
		if conn != nil {
			conn.Close(context.Background())
		}
	}()
	large := strings.Repeat("y", 100<<10)
	for round := 0; ctx.Err() == nil; round++ {
		var err error
		if conn == nil || conn.IsClosed() {
			conn, err = n.Connect(ctx)
		}
		switch {
		case err != nil:
		case i%2 == 0:
			_, err = conn.Exec(ctx, "SELECT id, pad FROM pads ORDER BY id")
		default:
			_, err = conn.Exec(ctx, "INSERT INTO pads VALUES ($1, $3), ($2, $3) ON CONFLICT (id) DO UPDATE SET pad = excluded.pad",
				int64(1e6+i), int64(2e6+i), large)
		}
		var pg *pgconn.PgError
		switch {
		case ctx.Err() != nil:
		case err == nil:
			served.Add(1)
		case errors.As(err, &pg) && (pg.Code == "53200" || pg.Code == "53300"):
			refused.Add(1)
		case pg != nil && (pg.Code == "08006" || pg.Code == "40003"): // not in time, on a machine that is too busy
		case pg == nil: // the login took too long, on a machine that is too busy
			refused.Add(1)
		default:
			t.Errorf("client %d: %v", i, err)
			return
		}
	}
}

// TestReadyWithoutTheMetaRange kills two of three nodes, and so the quorum of the meta
// range, while the rows of a pool live on the third: it goes on serving them, and a
// load balancer goes on sending clients there.
func TestReadyWithoutTheMetaRange(t *testing.T) {
	t.Parallel()
	c := Start(t, Options{Ranges: 4, Locality: func(n int) string { return "zone=" + string("abc"[n-1]) }})
	c.sql("CREATE POOL here WITH (replicas = 1, ranges = 2, constraints = '+zone=a')")
	c.sql("CREATE TABLE local (id int8 PRIMARY KEY, body text) WITH (pool = 'here')")
	c.sql("CREATE TABLE everywhere (id int8 PRIMARY KEY)")
	c.sql("INSERT INTO local SELECT g, 'x' FROM generate_series(1, 100) g")
	c.Node(2).Kill()
	c.Node(3).Kill()
	n1 := c.Node(1)
	Eventually(t, time.Minute, "n1 says that it knows no leader of the meta range, and is ready", func() error {
		code, body, err := n1.HTTP("/health/ready")
		if err != nil {
			return err
		}
		if code != http.StatusOK {
			t.Fatalf("a load balancer is told to send nobody: %d %s", code, body)
		}
		if !strings.Contains(body, `"status":"ready"`) || !strings.Contains(body, "no-meta-leader") {
			return errors.New(body)
		}
		return nil
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	conn, err := n1.Connect(ctx) // a new login
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	var count int
	if _, err := conn.Exec(ctx, "INSERT INTO local SELECT g, 'y' FROM generate_series(101, 200) g"); err != nil {
		t.Errorf("a write to a range that lives: %v", err)
	}
	if err := conn.QueryRow(ctx, "SELECT count(*) FROM local").Scan(&count); err != nil || count != 200 {
		t.Errorf("a read of ranges that live: %d rows, %v", count, err)
	}
	var pg *pgconn.PgError
	if _, err := conn.Exec(ctx, "INSERT INTO everywhere VALUES (1)"); !errors.As(err, &pg) || pg.Code != "08006" {
		t.Errorf("a write to a range without a quorum: %v, want 08006", err)
	}
	if r := c.TryCtl("check"); r.Code != 10 || !strings.Contains(r.Stdout, "META_QUORUM") || !strings.Contains(r.Stdout, "NO_QUORUM") || !strings.Contains(r.Stdout, "NODE_DOWN") {
		t.Errorf("check: exit %d\n%s%s", r.Code, r.Stdout, r.Stderr)
	}
	if r := c.TryCtl("status"); !strings.Contains(r.Stdout, "1/3 nodes alive") {
		t.Errorf("status: exit %d\n%s%s", r.Code, r.Stdout, r.Stderr)
	}
	c.Node(2).StartUnready()
	Eventually(t, StartTimeout, "the warning goes with a second node", func() error {
		code, body, err := n1.HTTP("/health/ready")
		if err == nil && (code != http.StatusOK || strings.Contains(body, "warnings")) {
			err = fmt.Errorf("%d %s", code, body)
		}
		return err
	})
	if _, err := conn.Exec(ctx, "INSERT INTO everywhere VALUES (1)"); err != nil {
		t.Errorf("a write with a quorum again: %v", err)
	}
}
