package agenttest

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

func indexedStatement(rng *rand.Rand) string {
	id, a := rng.IntN(300), rng.IntN(400)
	switch rng.IntN(6) {
	case 0, 1:
		return fmt.Sprintf("INSERT INTO indexed VALUES (%d, %d, %d, 'c%d')", id, a, a%7, a)
	case 2:
		return fmt.Sprintf("INSERT INTO indexed VALUES (%d, %d, %d, 'c') ON CONFLICT (a) DO UPDATE SET b = indexed.b + 1", id, a, a%7)
	case 3:
		return fmt.Sprintf("UPDATE indexed SET a = %d, c = c || 'x' WHERE id = %d", a, id)
	case 4:
		return fmt.Sprintf("BEGIN; UPDATE indexed SET b = b + 1 WHERE b = %d AND id < %d; DELETE FROM indexed WHERE a = %d; COMMIT", a%9, id, a)
	default:
		return fmt.Sprintf("DELETE FROM indexed WHERE id = %d", id)
	}
}

// TestIndexesAgreeAfterKills: writers on three nodes change rows with a unique column and
// an index while one node is killed. Afterwards what the entries say is what the rows say.
func TestIndexesAgreeAfterKills(t *testing.T) {
	t.Parallel()
	c := Start(t, Options{Nodes: 3})
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	c.sql("BEGIN; CREATE TABLE indexed (id int8 PRIMARY KEY, a int8 UNIQUE, b int8, c text); CREATE INDEX ON indexed (b) INCLUDE (c); COMMIT")
	done, taken := throughAKill(ctx, t, c, faultWriter{draw: indexedStatement, counts: "23505"})
	t.Logf("%d statements, %d met a value that was taken", done, taken)
	if taken == 0 {
		t.Error("no statement met a value that was taken")
	}
	indexesAgree(ctx, t, c.Nodes()[0], []indexCheck{
		{"Index Only Scan using indexed_a_key on indexed", "SELECT id::text || ' ' || a::text FROM indexed WHERE a + 0 >= 0", "SELECT id::text || ' ' || a::text FROM indexed WHERE a >= 0"},
		{"Index Only Scan using indexed_b_c_idx on indexed", "SELECT id::text || ' ' || b::text || c FROM indexed WHERE b + 0 >= 0", "SELECT id::text || ' ' || b::text || c FROM indexed WHERE b >= 0"},
	})
}

// indexCheck is a question about all rows, and the same that an index alone can answer.
type indexCheck struct{ plan, rows, entries string }

// indexesAgree reads a table by its rows and by each of its indexes alone.
func indexesAgree(ctx context.Context, t *testing.T, n *Node, checks []indexCheck) {
	t.Helper()
	conn, err := n.Connect(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	read := func(plan, query string) []string {
		t.Helper()
		explained := lines(ctx, t, conn, "EXPLAIN "+query)
		if len(explained) == 0 || explained[0] != plan {
			t.Fatalf("%s is read by %q, want %q", query, explained, plan)
		}
		return lines(ctx, t, conn, query)
	}
	for _, x := range checks {
		rows, entries := read("Full scan of "+x.plan[strings.LastIndex(x.plan, " ")+1:], x.rows), read(x.plan, x.entries)
		seen := map[string]int{}
		for _, r := range rows {
			seen[r]++
		}
		for _, e := range entries {
			seen[e]--
		}
		for what, n := range seen {
			if n != 0 {
				t.Errorf("%s: %q is %+d times more among rows than among entries", x.plan, what, n)
			}
		}
		if len(rows) == 0 {
			t.Error("there are no rows")
		}
	}
}

func lines(ctx context.Context, t *testing.T, conn *pgx.Conn, query string) []string {
	t.Helper()
	rows, err := conn.Query(ctx, query)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	out, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return out
}

// TestTablesAreJoinedByKeys: a statement that joins a few rows reads these few, at first by
// the tables that are narrowed, and what it answers is what reading everything answers.
func TestTablesAreJoinedByKeys(t *testing.T) {
	t.Parallel()
	c := Start(t, Options{Nodes: 1, Replicas: 1, Ranges: 4})
	c.sql("CREATE TABLE customers (id int8 PRIMARY KEY, name text); CREATE TABLE orders (id int8 PRIMARY KEY, customer int4); CREATE INDEX ON orders (customer)")
	c.sql("INSERT INTO customers SELECT g, 'c' || g FROM generate_series(1, 3000) g; INSERT INTO orders SELECT g, g % 3000 FROM generate_series(1, 6000) g")
	conn, err := c.Node(1).Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	type document []struct {
		Nodes []struct{ Rows int }
	}
	const few = 30 // of 9,000: rows that are read, of tables and of indexes
	for _, query := range []string{
		"SELECT o.id || c.name FROM orders o JOIN customers c ON c.id = o.customer WHERE o.id = 77",
		"SELECT o.id || c.name FROM customers c LEFT JOIN orders o ON o.customer = c.id WHERE c.id IN (78, 79) ORDER BY 1",
		"SELECT c.name FROM customers c WHERE c.id IN (SELECT customer FROM orders WHERE id BETWEEN 5 AND 7) ORDER BY 1",
		"SELECT (SELECT count(*) FROM orders o WHERE o.customer = c.id)::text FROM customers c WHERE c.id = 9",
		"SELECT c.name FROM (SELECT * FROM orders) o JOIN customers c ON c.id = o.customer WHERE o.id = 3000",
	} {
		var got []byte
		if err := conn.QueryRow(t.Context(), "EXPLAIN (ANALYZE, FORMAT JSON) "+query).Scan(&got); err != nil {
			t.Fatal(err)
		}
		var plan document
		if err := json.Unmarshal(got, &plan); err != nil || len(plan) != 1 {
			t.Fatalf("%v: %s", err, got)
		}
		rows := 0
		for _, n := range plan[0].Nodes {
			rows += n.Rows
		}
		if rows > few {
			t.Errorf("%s: %d rows were read: %s", query, rows, got)
		}
		all := strings.NewReplacer("o.customer", "(o.customer + 0)", "SELECT customer", "SELECT customer + 0").Replace(query)
		some, everything := lines(t.Context(), t, conn, query), lines(t.Context(), t, conn, all)
		if !slices.Equal(some, everything) {
			t.Errorf("%s\nanswers %q, and if everything is read %q", query, some, everything)
		}
	}
}
