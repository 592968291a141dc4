package agenttest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/nodedb/nodedb/agent/agenttest/seed"
)

// churnStatement changes a random row of a few; the table has others that only take time.
func churnStatement(rng *rand.Rand) string {
	id, a, u := rng.IntN(300), rng.IntN(400), rng.IntN(50_000)
	row := fmt.Sprintf("INSERT INTO churned VALUES (%d, %d, %d, 'C%d', %d)", id, a, a%7, a, u)
	switch rng.IntN(6) {
	case 0, 1:
		return row
	case 2:
		return row + " ON CONFLICT (a) DO UPDATE SET b = churned.b + 1, u = excluded.u"
	case 3:
		return fmt.Sprintf("UPDATE churned SET a = %d, u = %d, c = c || 'X' WHERE id = %d", a, u, id)
	case 4:
		return fmt.Sprintf("BEGIN; UPDATE churned SET b = b + 1 WHERE id = %d; DELETE FROM churned WHERE a = %d; COMMIT", id, a)
	default:
		return fmt.Sprintf("DELETE FROM churned WHERE id = %d", id)
	}
}

// The indexes that come and go: one that includes a column, one of an expression, and one
// that is unique for as long as it is there.
var churnedIndexes = []struct{ name, as string }{
	{"churned_b", "INDEX IF NOT EXISTS churned_b ON churned (b) INCLUDE (c)"},
	{"churned_u", "UNIQUE INDEX IF NOT EXISTS churned_u ON churned (u)"},
	{"churned_c", "INDEX IF NOT EXISTS churned_c ON churned ((b % 3))"},
}

// indexChurner makes and drops indexes until it is told to stop.
type indexChurner struct {
	c     *Cluster
	made  atomic.Int64
	gone  atomic.Int64
	still atomic.Pointer[Node] // stands still, and is asked nothing
	mu    sync.Mutex
	codes map[string]int
}

// do carries a statement out through a node that is there.
func (x *indexChurner) do(ctx context.Context, n *Node, text string) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	conn, err := n.Connect(ctx)
	if err == nil {
		defer func() { _ = conn.Close(context.Background()) }()
		_, err = conn.Exec(ctx, text)
	}
	var told *pgconn.PgError
	if !errors.As(err, &told) {
		return err
	}
	x.mu.Lock()
	x.codes[told.Code]++
	x.mu.Unlock()
	switch told.Code {
	// The values of churned_bad, and at times those of churned_u, are not unique.
	case "23505", "40001", "57P01", "57P03", "08006", "40003":
	default:
		x.c.t.Errorf("%s: %s %s", text, told.Code, told.Message)
	}
	return err
}

func (x *indexChurner) run(ctx context.Context, stop <-chan struct{}) {
	for i := 0; ctx.Err() == nil; i++ {
		select {
		case <-stop:
			return
		default:
		}
		n, of := x.c.Nodes()[i%3], churnedIndexes[i%len(churnedIndexes)]
		if n == x.still.Load() {
			n = x.c.Nodes()[(i+1)%3]
		}
		if x.do(ctx, n, "CREATE "+of.as) == nil {
			x.made.Add(1)
		}
		if i%3 == 2 {
			if err := x.do(ctx, n, "CREATE UNIQUE INDEX churned_bad ON churned (b)"); err == nil {
				x.c.t.Error("an index is unique whose values are not")
			}
		}
		if x.do(ctx, n, "DROP INDEX IF EXISTS "+of.name) == nil {
			x.gone.Add(1)
		}
	}
}

// changing is the phase of the schema change under way, as a node knows it; "": none is.
func changing(ctx context.Context, n *Node) (id, phase string, err error) {
	conn, err := n.Connect(ctx)
	if err != nil {
		return "", "", err
	}
	defer func() { _ = conn.Close(context.Background()) }()
	rows, err := conn.Query(ctx, "SELECT id, coalesce(phase, '') FROM nodedb_internal.operations WHERE kind = 'schema-change' AND state IN ('queued', 'running')")
	if err != nil {
		return "", "", err
	}
	defer rows.Close()
	for rows.Next() {
		if err := rows.Scan(&id, &phase); err != nil {
			return "", "", err
		}
	}
	return id, phase, rows.Err()
}

// TestIndexesComeAndGoWhileNodesAreKilled: one client makes and drops indexes over and over
// while six change the rows and nodes are killed in each phase of it, or stand still. What
// is there in the end says what the rows say, no value is twice in what is unique, and no
// operation is left.
func TestIndexesComeAndGoWhileNodesAreKilled(t *testing.T) {
	t.Parallel()
	c := Start(t, Options{Nodes: 3})
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	c.sql("CREATE TABLE churned (id int8 PRIMARY KEY, a int8 UNIQUE, b int8, c text, u int8)")
	c.sql("INSERT INTO churned SELECT g, g, g % 7, 'C' || g::text, g FROM generate_series(100000, 114999) g")
	drawn := seed.Of(t)
	rng := rand.New(rand.NewPCG(drawn, 100)) //nolint:gosec // a test's
	stop, enough := make(chan struct{}), make(chan struct{})
	var acked, taken atomic.Int64
	var writers, churn sync.WaitGroup
	for i := range 6 {
		w := &faultWriter{t: t, node: c.Nodes()[i%3], rng: rand.New(rand.NewPCG(drawn, uint64(i))), acked: &acked, counted: &taken, draw: churnStatement, counts: "23505"} //nolint:gosec // a test's
		writers.Go(func() { w.write(ctx, stop) })
	}
	x := &indexChurner{c: c, codes: map[string]int{}}
	churn.Go(func() { x.run(ctx, enough) })
	more(t, "writers get on", &acked, 200)
	x.disturb(ctx, rng, &acked)
	more(t, "indexes are made", &x.made, 2)
	close(enough)
	churn.Wait()
	x.whole(ctx)
	more(t, "writers get on", &acked, 200)
	close(stop)
	writers.Wait()
	t.Logf("%d statements, %d met a value that was taken; %d indexes were made and %d dropped, the client was told %v",
		acked.Load(), taken.Load(), x.made.Load(), x.gone.Load(), x.codes)
	x.check(ctx, t, c.Nodes()[0])
}

// whole has all indexes be there. Rows that have a value of u twice go first.
func (x *indexChurner) whole(ctx context.Context) {
	x.c.t.Helper()
	n := x.c.Nodes()[0]
	Eventually(x.c.t, time.Minute, "no operation is left", func() error {
		id, phase, err := changing(ctx, n)
		if err == nil && id != "" {
			err = fmt.Errorf("%s is in %s", id, phase)
		}
		return err
	})
	Eventually(x.c.t, time.Minute, "all indexes are there", func() error {
		if err := x.do(ctx, n, "DELETE FROM churned WHERE u IN (SELECT u FROM churned GROUP BY u HAVING count(*) > 1)"); err != nil {
			return err
		}
		for _, of := range churnedIndexes { // one that is under way is there, too
			if err := x.do(ctx, n, "CREATE "+of.as); err != nil {
				return err
			}
		}
		return x.valid(ctx, n)
	})
}

// valid wants that queries may rely on all indexes.
func (x *indexChurner) valid(ctx context.Context, n *Node) error {
	conn, err := n.Connect(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.Background()) }()
	var count int
	err = conn.QueryRow(ctx, "SELECT count(*) FROM pg_index WHERE indrelid = 'churned'::regclass AND indisvalid").Scan(&count)
	if want := len(churnedIndexes) + 2; err == nil && count != want { // with the primary key, and UNIQUE
		err = fmt.Errorf("%d of %d indexes are valid", count, want)
	}
	return err
}

// check reads the table by its rows and by its indexes.
func (x *indexChurner) check(ctx context.Context, t *testing.T, n *Node) {
	t.Helper()
	checks := []indexCheck{
		{"Index Only Scan using churned_a_key on churned", "SELECT id::text || ' ' || a::text FROM churned WHERE a + 0 >= 0", "SELECT id::text || ' ' || a::text FROM churned WHERE a >= 0"},
		{"Index Only Scan using churned_b on churned", "SELECT id::text || ' ' || b::text || c FROM churned WHERE b + 0 >= 0", "SELECT id::text || ' ' || b::text || c FROM churned WHERE b >= 0"},
		{"Index Only Scan using churned_u on churned", "SELECT id::text || ' ' || u::text FROM churned WHERE u + 0 >= 0", "SELECT id::text || ' ' || u::text FROM churned WHERE u >= 0"},
	}
	for rest := range 3 {
		query := "SELECT id::text || ' ' || b::text FROM churned WHERE b %% 3"
		checks = append(checks, indexCheck{"Index Scan using churned_c on churned", fmt.Sprintf(query+" + 0 = %d", rest), fmt.Sprintf(query+" = %d", rest)})
	}
	indexesAgree(ctx, t, n, checks)
	conn, err := n.Connect(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	for _, column := range []string{"a", "u"} {
		for _, twice := range lines(ctx, t, conn, fmt.Sprintf("SELECT %[1]s::text FROM churned GROUP BY %[1]s HAVING count(*) > 1", column)) {
			t.Errorf("%s = %s is there more than once", column, twice)
		}
	}
}

// disturb kills the coordinator of operations and a node that is not, each in another phase,
// and has a node stand still.
func (x *indexChurner) disturb(ctx context.Context, rng *rand.Rand, acked *atomic.Int64) {
	x.c.t.Helper()
	for i, want := range []string{"fence", "release", "take-back", "fill"} {
		leader := x.c.metaLeader()
		victim := leader
		if i%2 == 1 {
			victim = x.c.Nodes()[(slices.Index(x.c.Nodes(), leader)+1)%3]
		}
		asked := x.c.Nodes()[(slices.Index(x.c.Nodes(), victim)+1)%3]
		if i == 3 {
			x.still.Store(victim)
		}
		x.await(ctx, asked, want)
		if i == 3 {
			victim.Signal(syscall.SIGSTOP)
		} else {
			for range rng.IntN(10) { // not always at its beginning
				_, _, _ = changing(ctx, asked)
			}
			victim.Kill()
		}
		more(x.c.t, "writers get on", acked, 50)
		if i == 3 {
			more(x.c.t, "indexes are made", &x.made, 1)
			victim.Signal(syscall.SIGCONT)
			x.still.Store(nil)
		} else {
			victim.Start()
		}
	}
}

// await waits for a change that begins from now on to be in a phase.
func (x *indexChurner) await(ctx context.Context, asked *Node, want string) {
	x.c.t.Helper()
	before := ""
	Eventually(x.c.t, time.Minute, "a change in "+want, func() error {
		for range 20 {
			id, phase, err := changing(ctx, asked)
			switch {
			case err != nil:
				return err
			case before == "":
				before = id + " "
			case id != "" && phase == want && before != id+" ":
				return nil
			}
		}
		return errors.New("none")
	})
}

// more waits until a counter has gone on by n.
func more(t testing.TB, what string, of *atomic.Int64, n int64) {
	t.Helper()
	from := of.Load()
	Eventually(t, time.Minute, what, func() error {
		if got := of.Load() - from; got < n {
			return fmt.Errorf("%d of %d", got, n)
		}
		return nil
	})
}
