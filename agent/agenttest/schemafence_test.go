package agenttest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// fenceRow is a row that a writer was told to be written.
type fenceRow struct {
	id           int64
	null         bool
	begun, acked time.Time
}

// fenceWriter inserts rows of its own, some with a null, through one node.
type fenceWriter struct {
	t     *testing.T
	node  *Node
	rng   *rand.Rand
	next  int64
	mu    sync.Mutex
	rows  []fenceRow
	fails map[string]int // by SQLSTATE
}

func (w *fenceWriter) write(ctx context.Context, stop <-chan struct{}) {
	for {
		conn, err := w.node.Connect(ctx)
		for err == nil {
			select {
			case <-stop:
				_ = conn.Close(context.Background())
				return
			default:
			}
			w.next++
			r := fenceRow{id: w.next, null: w.rng.IntN(50) == 0, begun: time.Now()}
			value := strconv.FormatInt(r.id, 10)
			if r.null {
				value = "NULL"
			}
			text := fmt.Sprintf("INSERT INTO fenced VALUES (%d, %s)", r.id, value)
			if r.id%3 == 0 {
				text = "BEGIN; " + text + fmt.Sprintf("; INSERT INTO beside VALUES (%d); COMMIT", r.id)
			}
			_, err = conn.PgConn().Exec(ctx, text).ReadAll()
			r.acked = time.Now()
			if err == nil {
				w.mu.Lock()
				w.rows = append(w.rows, r)
				w.mu.Unlock()
				continue
			}
			var e *pgconn.PgError
			if !errors.As(err, &e) {
				break
			}
			w.fails[e.Code]++
			if r.id%3 == 0 {
				_, _ = conn.PgConn().Exec(ctx, "ROLLBACK").ReadAll()
			}
			switch e.Code {
			case "23502", "40001", "57P03", "08006", "40003":
			default:
				w.t.Errorf("a writer was told %s %s", e.Code, e.Message)
			}
			err = nil
		}
		if ctx.Err() != nil {
			return
		}
	}
}

// TestSchemaFencesUnderLoad: while columns become NOT NULL and tables are truncated, with a
// node that stands still meanwhile and goes on with what it knew before, no row of the old
// form is there afterwards, and none is lost that was written after TRUNCATE.
func TestSchemaFencesUnderLoad(t *testing.T) {
	c := Start(t, Options{Nodes: 3})
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	c.sql("CREATE TABLE fenced (id int8 PRIMARY KEY, a int8)")
	c.sql("CREATE TABLE beside (id int8 PRIMARY KEY)")
	seed := time.Now().UnixNano()
	t.Logf("seed %d", seed)
	stop, writers := make(chan struct{}), make([]*fenceWriter, 8)
	var wg sync.WaitGroup
	for i := range writers {
		w := &fenceWriter{t: t, node: c.Nodes()[i%3], rng: rand.New(rand.NewPCG(uint64(seed), uint64(i))), next: int64(i) * 10_000_000, fails: map[string]int{}} //nolint:gosec // a test's
		writers[i] = w
		wg.Go(func() { w.write(ctx, stop) })
	}
	leader := c.metaLeader()
	admin, paused := c.Nodes()[0], c.Nodes()[2]
	if leader == paused { // it is asked who stands
		paused = c.Nodes()[1]
	}
	if admin == paused {
		admin = c.Nodes()[2]
	}
	do := func(text string) error {
		conn, err := admin.Connect(ctx)
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close(context.Background()) }()
		_, err = conn.PgConn().Exec(ctx, text).ReadAll()
		return err
	}
	must := func(text string) {
		t.Helper()
		if err := do(text); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
	var truncated, over time.Time
	proved := 0
	for round := range 6 {
		still := round%2 == 1
		if still {
			paused.Signal(syscall.SIGSTOP)
		}
		Eventually(t, time.Minute, "the column is NOT NULL", func() error {
			if err := do("UPDATE fenced SET a = 0 WHERE a IS NULL"); err != nil {
				return err
			}
			return do("ALTER TABLE fenced ALTER a SET NOT NULL")
		})
		proved++
		if still {
			paused.Signal(syscall.SIGCONT)
		}
		for range 5 {
			if got := psql(t, admin, "SELECT count(*) FROM fenced WHERE a IS NULL"); got != "0" {
				t.Fatalf("round %d: %s rows of the old form", round, got)
			}
		}
		if still {
			paused.Signal(syscall.SIGSTOP)
		}
		truncated = time.Now()
		must("TRUNCATE fenced")
		over = time.Now()
		if still {
			paused.Signal(syscall.SIGCONT)
		}
		must("ALTER TABLE fenced ALTER a DROP NOT NULL")
	}
	Eventually(t, time.Minute, "all write", func() error {
		for _, w := range writers {
			w.mu.Lock()
			n := len(w.rows)
			late := n > 0 && w.rows[n-1].begun.After(over.Add(time.Second))
			w.mu.Unlock()
			if !late {
				return fmt.Errorf("a writer has not written since: %v", w.fails)
			}
		}
		return nil
	})
	close(stop)
	wg.Wait()
	c.checkFenced(ctx, writers, truncated, over)
	t.Logf("the column became NOT NULL %d times", proved)
}

// checkFenced compares the table with what the writers were told.
func (c *Cluster) checkFenced(ctx context.Context, writers []*fenceWriter, truncated, over time.Time) {
	conn, err := c.Nodes()[0].Connect(ctx)
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	rows, err := conn.Query(ctx, "SELECT id FROM fenced")
	if err != nil {
		c.t.Fatal(err)
	}
	there := map[int64]bool{}
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			c.t.Fatal(err)
		}
		there[id] = true
	}
	if err := rows.Err(); err != nil {
		c.t.Fatal(err)
	}
	written, fails := 0, map[string]int{}
	for _, w := range writers {
		for code, n := range w.fails {
			fails[code] += n
		}
		for _, r := range w.rows {
			switch written++; {
			case r.begun.After(over) && !there[r.id]:
				c.t.Errorf("row %d, written %s after TRUNCATE, is lost", r.id, r.begun.Sub(over))
			case r.acked.Before(truncated) && there[r.id]:
				c.t.Errorf("row %d, written before TRUNCATE, is there", r.id)
			}
		}
	}
	c.t.Logf("%d rows were written, %d are there; refused were %v", written, len(there), fails)
}

// TestSchemaChangeSurvivesItsCoordinator: it goes on at another node, and the statement
// hears the end.
func TestSchemaChangeSurvivesItsCoordinator(t *testing.T) {
	c := Start(t, Options{Nodes: 3})
	c.sql("CREATE TABLE big (id int8 PRIMARY KEY, a int8)")
	for i := range 6 {
		c.sql(fmt.Sprintf("INSERT INTO big SELECT g, g FROM generate_series(%d, %d) g", i*50_000, i*50_000+49_999))
	}
	leader := c.metaLeader()
	gateway := c.Nodes()[0]
	if gateway == leader {
		gateway = c.Nodes()[1]
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	conn, err := gateway.Connect(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	done := make(chan error, 1)
	go func() {
		_, err := conn.Exec(ctx, "ALTER TABLE big ALTER a SET NOT NULL")
		done <- err
	}()
	Eventually(t, 30*time.Second, "it is under way", func() error {
		if got := psql(t, gateway, "SELECT count(*) FROM (SELECT 1) x"); got != "1" {
			return errors.New(got)
		}
		if out := c.Ctl("ops", "ls", "--all", "-o", "json"); !strings.Contains(out, "schema-change") {
			return errors.New("no operation")
		}
		return nil
	})
	leader.Kill()
	if err := <-done; err != nil {
		var e *pgconn.PgError
		if !errors.As(err, &e) || e.Code != "08006" && e.Code != "40003" && e.Code != "57P03" {
			t.Fatal(err)
		}
	}
	Eventually(t, time.Minute, "the column is NOT NULL", func() error {
		retry, err := gateway.Connect(ctx)
		if err != nil {
			return err
		}
		defer func() { _ = retry.Close(context.Background()) }()
		_, err = retry.Exec(ctx, "ALTER TABLE big ALTER a SET NOT NULL")
		return err
	})
	if got := psql(t, gateway, "SELECT attnotnull FROM pg_attribute WHERE attrelid = 'big'::regclass AND attname = 'a'"); got != "t" {
		t.Errorf("attnotnull is %q", got)
	}
	leader.Start()
	c.WaitReplicated()
}
