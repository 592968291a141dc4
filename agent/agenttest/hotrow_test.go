package agenttest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// hotRows are the statements of TestManyClientsChangeOneRow, by the rows that each adds
// one to.
type hotRows struct {
	text         string
	rows         int
	done, unsure atomic.Int64
}

// TestManyClientsChangeOneRow has 18 clients of three nodes add to one row, by UPDATE
// and by INSERT ... ON CONFLICT, alone or with two others, and kills the leader of its
// range in the middle. No statement loses against another, and the sums are what was
// acknowledged: but for those whose connection or leader was lost, which may count or
// not.
func TestManyClientsChangeOneRow(t *testing.T) {
	t.Parallel()
	c := Start(t, Options{Ranges: 1})
	c.WaitReplicated()
	psql(t, c.Node(1), "CREATE TABLE hot (id int8 PRIMARY KEY, n int8)")
	psql(t, c.Node(1), "INSERT INTO hot VALUES (1, 0), (2, 0), (3, 0)")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	kinds := []*hotRows{
		{text: "UPDATE hot SET n = n + 1 WHERE id = 1", rows: 1},
		{text: "INSERT INTO hot VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET n = hot.n + 1", rows: 1},
		{text: "UPDATE hot SET n = n + 1 WHERE id IN (1, 2, 3)", rows: 3},
		{text: "INSERT INTO hot VALUES (3, 1), (1, 1), (2, 1) ON CONFLICT (id) DO UPDATE SET n = hot.n + 1", rows: 3},
	}
	var wg sync.WaitGroup
	for i := range 18 {
		wg.Go(func() { addToHotRow(ctx, t, c.Nodes(), i, kinds[i%len(kinds)]) })
	}
	advance := func(by int64) {
		t.Helper()
		for _, k := range kinds {
			want := k.done.Load() + by/int64(k.rows)/4
			Eventually(t, 60*time.Second, "additions", func() error {
				if got := k.done.Load(); got < want {
					return fmt.Errorf("%s: %d of %d", k.text, got, want)
				}
				return nil
			})
		}
	}
	advance(500)
	leader := leaderOf(t, c, "r2")
	t.Logf("kill -9 %s", leader.Name)
	leader.Kill()
	advance(500)
	leader.Start()
	c.WaitReplicated()
	advance(200)
	stop()
	wg.Wait()
	conn, err := c.Node(1).Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	for row := 1; row <= 3; row++ {
		var sum, done, unsure int64
		if err := conn.QueryRow(t.Context(), "SELECT n FROM hot WHERE id = $1", row).Scan(&sum); err != nil {
			t.Fatal(err)
		}
		for _, k := range kinds {
			if row <= k.rows {
				done, unsure = done+k.done.Load(), unsure+k.unsure.Load()
			}
		}
		t.Logf("row %d is %d: %d acknowledged, %d unsure", row, sum, done, unsure)
		if sum < done || sum > done+unsure {
			t.Errorf("row %d is %d, want %d to %d", row, sum, done, done+unsure)
		}
	}
}

// leaderOf returns the node that leads a range.
func leaderOf(t *testing.T, c *Cluster, id string) *Node {
	t.Helper()
	var found *Node
	Eventually(t, 30*time.Second, "the leader of "+id, func() error {
		ranges, err := c.List("ranges")
		if err != nil {
			return err
		}
		for _, r := range ranges {
			for _, n := range c.Nodes() {
				if r["name"] == id && fmt.Sprint("n", r["leader"]) == n.Name {
					found = n
					return nil
				}
			}
		}
		return fmt.Errorf("none in %v", ranges)
	})
	return found
}

// addToHotRow adds until ctx ends, through any node that answers.
func addToHotRow(ctx context.Context, t *testing.T, nodes []*Node, i int, k *hotRows) {
	for at := i; ctx.Err() == nil; at++ {
		conn, err := nodes[at%len(nodes)].Connect(ctx)
		if err != nil {
			continue
		}
		for ctx.Err() == nil {
			stmt, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
			_, err := conn.Exec(stmt, k.text)
			cancel()
			if err == nil {
				k.done.Add(1)
				continue
			}
			k.unsure.Add(1)
			var pg *pgconn.PgError
			if errors.As(err, &pg) && pg.Code != "40003" && !strings.HasPrefix(pg.Code, "57P0") && !strings.HasPrefix(pg.Code, "08") {
				t.Errorf("client %d: %s: %s %s", i, k.text, pg.Code, pg.Message)
			}
			break
		}
		_ = conn.Close(context.WithoutCancel(ctx))
	}
}
