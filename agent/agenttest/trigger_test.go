package agenttest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// watchedRow is a row that a writer was told to be written.
type watchedRow struct {
	id           int64
	begun, acked time.Time
}

// watchedWriter inserts rows of its own through one node, by a statement that is prepared
// before there is a trigger, each third in a block.
type watchedWriter struct {
	t    *testing.T
	node *Node
	next int64
	mu   sync.Mutex
	rows []watchedRow
}

func (w *watchedWriter) write(ctx context.Context, stop <-chan struct{}) {
	var conn *pgx.Conn
	defer func() {
		if conn != nil {
			_ = conn.Close(context.Background())
		}
	}()
	for {
		select {
		case <-stop:
			return
		case <-ctx.Done():
			return
		default:
		}
		if conn == nil || conn.IsClosed() {
			var err error
			if conn, err = w.node.Connect(ctx); err != nil {
				continue
			}
		}
		w.next++
		r := watchedRow{id: w.next, begun: time.Now()}
		err := w.insert(ctx, conn, r.id)
		r.acked = time.Now()
		var e *pgconn.PgError
		switch {
		case err == nil:
			w.mu.Lock()
			w.rows = append(w.rows, r)
			w.mu.Unlock()
		case errors.As(err, &e) && e.Code != "40001" && e.Code != "40003" && e.Code != "57P03" && e.Code != "08006":
			w.t.Errorf("a writer was told %s %s", e.Code, e.Message)
		}
	}
}

func (w *watchedWriter) insert(ctx context.Context, conn *pgx.Conn, id int64) error {
	const text = "INSERT INTO watched VALUES ($1)"
	if id%3 != 0 {
		_, err := conn.Exec(ctx, text, id)
		return err
	}
	tx, err := conn.Begin(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback(context.Background()) }()
	if _, err := tx.Exec(ctx, text, id); err != nil {
		return err
	}
	return tx.Commit(ctx)
}

// written is how many rows were begun after at and acknowledged.
func (w *watchedWriter) written(at time.Time) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.rows {
		if r.begun.After(at) {
			n++
		}
	}
	return n
}

// watching is a time in which rows are watched, or not: what was begun and acknowledged
// between the two.
type watching struct {
	from, to time.Time
	audited  bool
}

// TestTriggersAreNeverMissed: once CREATE TRIGGER is answered each row that any node writes
// has its audit row, and once DROP TRIGGER is, none has, while a node stands still and goes
// on with what it knew before.
func TestTriggersAreNeverMissed(t *testing.T) {
	c := Start(t, Options{Nodes: 3})
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	c.sql("CREATE TABLE watched (id int8 PRIMARY KEY)")
	c.sql("CREATE TABLE audited (id int8 PRIMARY KEY)")
	stop, writers := make(chan struct{}), make([]*watchedWriter, 6)
	var wg sync.WaitGroup
	for i := range writers {
		w := &watchedWriter{t: t, node: c.Nodes()[i%3], next: int64(i) * 10_000_000}
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
	all := func(at time.Time) {
		t.Helper()
		Eventually(t, time.Minute, "all write", func() error {
			for i, w := range writers {
				if w.written(at) < 20 {
					return fmt.Errorf("writer %d has not", i)
				}
			}
			return nil
		})
	}
	all(time.Time{})
	var times []watching
	var last time.Time
	change := func(text string, still, audited bool) {
		t.Helper()
		if len(times) > 0 {
			times[len(times)-1].to = time.Now()
		}
		if still {
			paused.Signal(syscall.SIGSTOP)
		}
		conn, err := admin.Connect(ctx)
		if err == nil {
			_, err = conn.Exec(ctx, text)
			_ = conn.Close(context.Background())
		}
		last = time.Now()
		if still {
			paused.Signal(syscall.SIGCONT)
		}
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		times = append(times, watching{from: last, audited: audited})
		all(last)
	}
	for round := range 4 {
		change("CREATE TRIGGER audit AFTER INSERT ON watched FOR EACH ROW BEGIN INSERT INTO audited VALUES (new.id); END", round%2 == 1, true)
		change("ALTER TABLE watched DISABLE TRIGGER audit", round%2 == 1, false)
		change("ALTER TABLE watched ENABLE TRIGGER audit", round%2 == 0, true)
		change("DROP TRIGGER audit ON watched", round%2 == 1, false)
	}
	times[len(times)-1].to = time.Now()
	close(stop)
	wg.Wait()
	c.checkAudited(ctx, writers, times)
}

// checkAudited compares the audit with what the writers were told.
func (c *Cluster) checkAudited(ctx context.Context, writers []*watchedWriter, times []watching) {
	conn, err := c.Nodes()[0].Connect(ctx)
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	rows, err := conn.Query(ctx, "SELECT id FROM audited")
	if err != nil {
		c.t.Fatal(err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		c.t.Fatal(err)
	}
	audited := map[int64]bool{}
	for _, id := range ids {
		audited[id] = true
	}
	within, wrong, total := map[bool]int{}, 0, 0
	for _, w := range writers {
		for _, r := range w.rows {
			total++
			for _, at := range times {
				if r.begun.Before(at.from) || r.acked.After(at.to) {
					continue
				}
				within[at.audited]++
				if audited[r.id] != at.audited {
					wrong++
					c.t.Logf("row %d, begun %s after the answer: audited %t, want %t", r.id, r.begun.Sub(at.from), audited[r.id], at.audited)
				}
			}
		}
	}
	c.t.Logf("%d rows were acknowledged, %d while they were watched, %d while they were not", total, within[true], within[false])
	if wrong > 0 || within[true] == 0 || within[false] == 0 {
		c.t.Errorf("%d rows missed the trigger, or one that was no more", wrong)
	}
}
