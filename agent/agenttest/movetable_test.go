package agenttest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/nodedb/nodedb/agent/agenttest/seed"
)

// movedAccounts is how many rows take part in transfers; the sum of their values is
// movedSum at each time.
const (
	movedAccounts = 200
	movedSum      = movedAccounts * 1000
)

// mover has a table copied, to another pool or with a column of another type, while others
// transfer between rows of it, add rows and read.
type mover struct {
	c     *Cluster
	steps [3]string // what is done to the table, one after the other
	mu    sync.Mutex
	added []int64 // rows that a writer was told to be there
	next  atomic.Int64
	sums  atomic.Int64 // sums that were looked at
	moves atomic.Int64
}

// add inserts rows of its own, some in a transaction with a transfer, until it is stopped.
func (m *mover) add(ctx context.Context, n *Node, rng *rand.Rand, stop <-chan struct{}) {
	for ctx.Err() == nil {
		conn, err := n.Connect(ctx)
		for err == nil {
			select {
			case <-stop:
				_ = conn.Close(context.Background())
				return
			default:
			}
			id := m.next.Add(1)
			text := fmt.Sprintf("INSERT INTO moved VALUES (%d, %d, %d, repeat('x', 50))", id, id, id%7)
			if rng.IntN(3) == 0 {
				text = "BEGIN; " + text + "; " + transfer(rng) + "; COMMIT"
			}
			if _, err = conn.PgConn().Exec(ctx, text).ReadAll(); err == nil {
				m.mu.Lock()
				m.added = append(m.added, id)
				m.mu.Unlock()
				continue
			}
			_, err = conn.PgConn().Exec(ctx, "ROLLBACK").ReadAll()
		}
		if conn != nil {
			_ = conn.Close(context.Background())
		}
		select {
		case <-stop:
			return
		default:
		}
	}
}

// transfer takes from one row what it gives to another.
func transfer(rng *rand.Rand) string {
	from := rng.IntN(movedAccounts)
	to, by := (from+1+rng.IntN(movedAccounts-1))%movedAccounts, 1+rng.IntN(50)
	return fmt.Sprintf("UPDATE moved SET b = b + CASE WHEN id = %d THEN %d ELSE %d END WHERE id IN (%d, %d)", from, -by, by, from, to)
}

// sum reads the sum of the movedAccounts, by the primary key or by the index, in a snapshot or
// as of a while ago.
func (m *mover) sum(ctx context.Context, n *Node, rng *rand.Rand, stop <-chan struct{}) {
	for ctx.Err() == nil {
		select {
		case <-stop:
			return
		default:
		}
		conn, err := n.Connect(ctx)
		if err != nil {
			continue
		}
		m.sumsBy(ctx, conn, rng, stop)
		_ = conn.Close(context.Background())
	}
}

func (m *mover) sumsBy(ctx context.Context, conn *pgx.Conn, rng *rand.Rand, stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		default:
		}
		query := fmt.Sprintf("SELECT coalesce(sum(b), 0)::int8 FROM moved WHERE %s < 0 OR id < %d", []string{"id", "a"}[rng.IntN(2)], movedAccounts)
		if rng.IntN(2) == 0 {
			query = fmt.Sprintf("SELECT coalesce(sum(b), 0)::int8 FROM moved WHERE a >= 0 AND a < %d", movedAccounts)
		}
		var sums [2]int64
		err := pgx.BeginTxFunc(ctx, conn, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
			for i := range sums {
				if err := tx.QueryRow(ctx, query).Scan(&sums[i]); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			if conn.IsClosed() {
				return
			}
			continue
		}
		if m.sums.Add(1); sums[0] != movedSum || sums[1] != movedSum {
			m.c.t.Errorf("the sums are %d, want %d each: %s", sums, movedSum, query)
			return
		}
	}
}

// move does a step, through whoever hears, until it is done.
func (m *mover) move(ctx context.Context, n *Node, step string) {
	m.c.t.Helper()
	Eventually(m.c.t, 5*time.Minute, step, func() error { return m.exec(ctx, n, step) })
	m.moves.Add(1)
}

func (m *mover) exec(ctx context.Context, n *Node, text string) error {
	conn, err := n.Connect(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.Background()) }()
	_, err = conn.Exec(ctx, text)
	return err
}

// inPhase waits until a move is in a phase; false: the move has ended before.
func inPhase(ctx context.Context, n *Node, want string, over <-chan struct{}) bool {
	for ctx.Err() == nil {
		if _, phase, err := changing(ctx, n); err == nil && phase == want {
			return true
		}
		select {
		case <-over:
			return false
		default:
		}
	}
	return false
}

// TestTablesMoveWhileNodesAreKilled: a table goes to another pool and back, and again, while
// clients transfer, add and read, the coordinator is killed in the middle of the copying and
// a node stands still. No sum is ever wrong, what was acknowledged is there once, and
// the rows say what the indexes say.
func TestTablesMoveWhileNodesAreKilled(t *testing.T) {
	t.Parallel()
	c := Start(t, Options{Nodes: 3})
	c.sql("CREATE POOL hot WITH (replicas = 3, ranges = 4)")
	m := &mover{c: c, steps: [3]string{"ALTER TABLE moved SET POOL hot", "ALTER TABLE moved SET POOL default", "ALTER TABLE moved SET POOL hot"}}
	m.run(t, "CREATE INDEX moved_b ON moved (b) INCLUDE (c)", indexCheck{"Index Only Scan using moved_b on moved",
		"SELECT id::text || ' ' || b::text || c FROM moved WHERE b + 0 > -1000000", "SELECT id::text || ' ' || b::text || c FROM moved WHERE b > -1000000"})
}

// run makes the table, with an index that is looked at afterwards, and has everything go on at
// once.
func (m *mover) run(t *testing.T, index string, check indexCheck) {
	t.Helper()
	c := m.c
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
	defer cancel()
	c.sql("CREATE TABLE moved (id int8 PRIMARY KEY, a int8 UNIQUE, b int8, c text)")
	c.sql(index)
	c.sql(fmt.Sprintf("INSERT INTO moved SELECT g, g, 1000, 'x' FROM generate_series(0, %d) g", movedAccounts-1))
	c.sql("INSERT INTO moved SELECT g, g, g, repeat('y', 100) FROM generate_series(100000, 104999) g")
	drawn := seed.Of(t)
	m.next.Store(1_000_000)
	stop := make(chan struct{})
	var acked, taken atomic.Int64
	var wg sync.WaitGroup
	rng := func(i uint64) *rand.Rand { return rand.New(rand.NewPCG(drawn, i)) } //nolint:gosec // a test's
	for i := range 3 {
		n := c.Nodes()[i]
		w := &faultWriter{t: t, node: n, rng: rng(uint64(i)), acked: &acked, counted: &taken, draw: transfer, counts: "40001"}
		wg.Go(func() { w.write(ctx, stop) })
		if i == 0 {
			continue // a client more for each of the others
		}
		wg.Go(func() { m.add(ctx, n, rng(uint64(10+i)), stop) })
		wg.Go(func() { m.sum(ctx, n, rng(uint64(20+i)), stop) })
	}
	more(t, "writers get on", &acked, 50)
	m.disturbed(ctx, &acked)
	more(t, "writers get on", &acked, 50)
	more(t, "readers get on", &m.sums, 10)
	close(stop)
	wg.Wait()
	t.Logf("%d transfers, %d refused with 40001, %d rows added, %d sums, %d moves", acked.Load(), taken.Load(), len(m.added), m.sums.Load(), m.moves.Load())
	m.check(ctx, t, check)
}

// disturbed does the steps: undisturbed, with the coordinator killed while it copies, and with
// a node that stands still from the copying on.
func (m *mover) disturbed(ctx context.Context, acked *atomic.Int64) {
	m.c.t.Helper()
	m.move(ctx, m.c.Nodes()[0], m.steps[0])
	more(m.c.t, "writers get on", acked, 50)
	for round, step := range m.steps[1:] {
		leader := m.c.metaLeader()
		others := slices.DeleteFunc(slices.Clone(m.c.Nodes()), func(n *Node) bool { return n == leader })
		over := make(chan struct{})
		var moving sync.WaitGroup
		moving.Go(func() { defer close(over); m.move(ctx, others[0], step) })
		if !inPhase(ctx, others[0], "copy", over) {
			m.c.t.Errorf("the copying by %s was over before it was seen", step)
		}
		if round == 0 {
			leader.Kill()
			moving.Wait()
			leader.Start()
		} else {
			others[1].Signal(syscall.SIGSTOP)
			more(m.c.t, "writers get on", acked, 20)
			moving.Wait()
			others[1].Signal(syscall.SIGCONT)
		}
		more(m.c.t, "writers get on", acked, 50)
	}
}

// check compares the table with what writers were told, and rows with entries.
func (m *mover) check(ctx context.Context, t *testing.T, index indexCheck) {
	t.Helper()
	n := m.c.Nodes()[0]
	conn, err := n.Connect(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	there := map[string]int{}
	for _, id := range lines(ctx, t, conn, "SELECT id::text FROM moved WHERE a + 0 >= 0") {
		there[id]++
	}
	for id, times := range there {
		if times != 1 {
			t.Errorf("row %s is there %d times", id, times)
		}
	}
	for _, id := range m.added {
		if there[fmt.Sprint(id)] != 1 {
			t.Errorf("row %d, which was acknowledged, is lost", id)
		}
	}
	if got, want := lines(ctx, t, conn, "SELECT (sum(CASE WHEN id < 200 THEN b ELSE 0 END))::int8::text || ' ' || (sum(CASE WHEN id BETWEEN 100000 AND 104999 THEN 1 ELSE 0 END))::text FROM moved"), fmt.Sprintf("%d 5000", movedSum); !slices.Equal(got, []string{want}) {
		t.Errorf("the sum, and how many rows nobody writes, are %q, want %q", got, want)
	}
	indexesAgree(ctx, t, n, []indexCheck{
		{"Index Only Scan using moved_a_key on moved", "SELECT id::text || ' ' || a::text FROM moved WHERE a + 0 >= 0", "SELECT id::text || ' ' || a::text FROM moved WHERE a >= 0"},
		index,
	})
}
