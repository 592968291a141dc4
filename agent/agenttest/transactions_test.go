package agenttest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// transactions runs what SQL promises of transactions between sessions on several nodes,
// over rows of several ranges.
func transactions(t *testing.T, c *Cluster) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	s := &txSessions{t: t, ctx: ctx}
	for _, n := range c.Nodes()[:2] {
		conn, err := n.Connect(ctx)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close(context.Background()) }()
		s.conns = append(s.conns, conn)
	}
	c.sql("CREATE TABLE acc (id int8 PRIMARY KEY, n int8)")
	c.sql("INSERT INTO acc SELECT g, 0 FROM generate_series(1, 40) g")
	s.togetherOrNot()
	s.waitsEnd()
	s.rowsWait()
	s.handedOver(c)
	s.queues()
	s.skew()
	s.deadlock()
	s.advisory(c)
	s.circle()
	s.goneBack()
	s.objects()
	s.schemas()
	s.databases(c)
}

// objects makes and drops tables in transactions, with rows of several ranges: sessions on
// other nodes see all of it, or nothing.
func (s *txSessions) objects() {
	const made = "CREATE TABLE made (id int8 PRIMARY KEY, v text); INSERT INTO made SELECT g, 'x' FROM generate_series(1, 50) g; INSERT INTO acc VALUES (1001, 1)"
	s.want(0, "22012", made+"; SELECT 1/0")
	s.want(1, "42P01", "SELECT count(*) FROM made")
	s.want(0, "", "BEGIN; "+made)
	s.want(0, "50", "SELECT count(*) FROM made WHERE v = 'x'")
	s.want(1, "42P01", "SELECT count(*) FROM made")
	s.want(0, "", "COMMIT")
	s.want(1, "50", "SELECT count(*) FROM made WHERE v = 'x'")
	s.want(1, "1", "SELECT n FROM acc WHERE id = 1001")
	s.want(1, "", "BEGIN; DROP TABLE made; CREATE TABLE made (other int8 PRIMARY KEY); INSERT INTO made SELECT g FROM generate_series(1, 20) g; DELETE FROM acc WHERE id = 1001")
	s.want(0, "50", "SELECT count(*) FROM made WHERE v = 'x'")
	s.want(1, "", "COMMIT")
	s.want(0, "20", "SELECT count(other) FROM made")
	s.want(0, "0", "SELECT count(*) FROM acc WHERE id = 1001")
	// Two that change the same objects: the second is told to begin again.
	s.want(0, "", "BEGIN; DROP TABLE made; INSERT INTO acc VALUES (1002, 1), (1003, 1)")
	s.want(1, "", "BEGIN; DROP TABLE made; INSERT INTO acc VALUES (1004, 1), (1005, 1)")
	s.want(0, "", "COMMIT")
	s.want(1, "40001", "COMMIT")
	s.want(1, "1002,1003", "SELECT id FROM acc WHERE id > 1000 ORDER BY id")
}

type txSessions struct {
	t     *testing.T
	ctx   context.Context
	conns []*pgx.Conn
}

// run runs a message on a session and returns the rows of its last statement, as text,
// or the SQLSTATE.
func (s *txSessions) run(session int, text string) string {
	results, err := s.conns[session].PgConn().Exec(s.ctx, text).ReadAll()
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	if err != nil {
		return err.Error()
	}
	var rows []string
	for _, row := range results[len(results)-1].Rows {
		var cells []string
		for _, cell := range row {
			cells = append(cells, string(cell))
		}
		rows = append(rows, strings.Join(cells, " "))
	}
	return strings.Join(rows, ",")
}

func (s *txSessions) want(session int, want, text string) {
	s.t.Helper()
	if got := s.run(session, text); got != want {
		s.t.Errorf("on n%d, %s\n got %s\nwant %s", session+1, text, got, want)
	}
}

// later runs a message that may have to wait.
func (s *txSessions) later(session int, text string) <-chan string {
	out := make(chan string, 1)
	go func() { out <- s.run(session, text) }()
	return out
}

const accounts = "SELECT count(*), sum(n) FROM acc"

// togetherOrNot: what comes together is kept together.
func (s *txSessions) togetherOrNot() {
	s.want(0, "22012", "INSERT INTO acc SELECT g, 1 FROM generate_series(101, 140) g; SELECT 1/0")
	s.want(1, "40 0", accounts)
	s.want(0, "23505", "INSERT INTO acc SELECT g, 1 FROM generate_series(40, 80) g")
	s.want(1, "40 0", accounts)
	batch := func(last string) error {
		var b pgx.Batch
		for i := range 20 {
			b.Queue("INSERT INTO acc VALUES ($1, 1)", 200+i)
		}
		b.Queue(last)
		return s.conns[0].SendBatch(s.ctx, &b).Close()
	}
	if err := batch("INSERT INTO acc VALUES (1, 1)"); err == nil {
		s.t.Error("a batch with a duplicate key succeeds")
	}
	s.want(1, "40 0", accounts)
	if err := batch("UPDATE acc SET n = n + 1 WHERE id <= 40"); err != nil {
		s.t.Error(err)
	}
	s.want(1, "60 60", accounts)
	s.want(1, "", "BEGIN; DELETE FROM acc WHERE id >= 200; SAVEPOINT a; UPDATE acc SET n = 7; ROLLBACK TO a; UPDATE acc SET n = 0; COMMIT")
	s.want(0, "40 0", accounts)
}

// waitsEnd: lock_timeout and statement_timeout end the wait for rows that a transaction of
// the other node has, wherever their ranges are led, and nothing is written; what one that
// has ended had is free for who does not wait.
func (s *txSessions) waitsEnd() {
	const lock = "UPDATE acc SET n = n WHERE id <= 10; INSERT INTO acc SELECT g, 9 FROM generate_series(300, 310) g"
	for _, text := range []string{
		"UPDATE acc SET n = 9 WHERE id = 3", "UPDATE acc SET n = 9", "DELETE FROM acc", "INSERT INTO acc VALUES (305, 1)",
		"INSERT INTO acc SELECT g, 9 FROM generate_series(300, 340) g", "INSERT INTO acc VALUES (3, 9), (41, 9) ON CONFLICT (id) DO UPDATE SET n = 9",
	} {
		s.want(0, "", "BEGIN; "+lock)
		for setting, code := range map[string]string{"lock_timeout": "55P03", "statement_timeout": "57014"} {
			s.want(1, "", "SET "+setting+" = '150ms'")
			s.want(1, code, text)
			s.want(1, "", "RESET "+setting)
		}
		s.want(0, "", "ROLLBACK")
		s.want(1, "40 0", accounts)
		s.want(1, "", "BEGIN; SELECT id FROM acc WHERE id <= 10 FOR UPDATE NOWAIT; ROLLBACK")
	}
}

// handedOver: locks in a leader's memory are its successor's when leadership moves.
func (s *txSessions) handedOver(c *Cluster) {
	s.want(0, "", "BEGIN; UPDATE acc SET n = n + 1 WHERE id = 7")
	route := strings.Fields(s.run(1, "SHOW ROUTING FOR acc KEY 7")) // vshard, range, leader
	r, to := route[1], "n1"
	if route[2] == to {
		to = "n2"
	}
	c.Ctl("ranges", "transfer", r, "--to", to, "--yes")
	s.want(1, "55P03", "SELECT * FROM acc WHERE id = 7 FOR SHARE NOWAIT")
	s.want(0, "", "COMMIT")
	s.want(1, "7 1", "UPDATE acc SET n = n WHERE id = 7 RETURNING *")
	s.want(1, "", "UPDATE acc SET n = 0 WHERE id = 7")
}

// rowsWait: an update on one node waits for a transaction on the other, and adds to it.
func (s *txSessions) rowsWait() {
	s.want(0, "", "BEGIN; UPDATE acc SET n = n + 1 WHERE id <= 20")
	s.want(1, "55P03", "SELECT * FROM acc WHERE id = 7 FOR SHARE NOWAIT")
	s.want(1, "55P03", "SET lock_timeout = '200ms'; UPDATE acc SET n = 0 WHERE id = 7")
	s.want(1, "", "RESET lock_timeout")
	waits := s.later(1, "BEGIN; UPDATE acc SET n = n + 10 WHERE n < 2; COMMIT")
	s.want(0, "40 20", accounts)
	s.want(0, "", "COMMIT")
	if got := <-waits; got != "" {
		s.t.Error(got)
	}
	s.want(0, "40 420", accounts)

	s.want(0, "", "BEGIN ISOLATION LEVEL REPEATABLE READ")
	s.want(0, "40 420", accounts)
	s.want(1, "", "UPDATE acc SET n = 0")
	s.want(0, "40 420", accounts)
	s.want(0, "40001", "UPDATE acc SET n = 1 WHERE id = 3")
	s.want(0, "", "ROLLBACK")
}

// queues: workers on several nodes take jobs that nobody else has.
func (s *txSessions) queues() {
	const take = "UPDATE acc SET n = 1 WHERE id IN (SELECT id FROM acc WHERE n = 0 ORDER BY id LIMIT 20 FOR UPDATE SKIP LOCKED) RETURNING id"
	s.want(0, "", "BEGIN")
	if got := strings.Count(s.run(0, take), ","); got != 19 {
		s.t.Errorf("%d jobs were taken, want 20", got+1)
	}
	if got := s.run(1, take); !strings.HasPrefix(got, "21,") || strings.Count(got, ",") != 19 {
		s.t.Errorf("the other worker took %s", got)
	}
	s.want(0, "", "COMMIT")
	s.want(0, "40 40", accounts)
}

// skew: at serializable two transactions do not write what the other has read.
func (s *txSessions) skew() {
	for i := range 2 {
		s.want(i, "40 40", "BEGIN ISOLATION LEVEL SERIALIZABLE; "+accounts)
	}
	s.want(0, "", "UPDATE acc SET n = 2 WHERE id = 1")
	s.want(1, "", "UPDATE acc SET n = 2 WHERE id = 2")
	s.want(0, "", "COMMIT")
	s.want(1, "40001", "COMMIT")
	s.want(1, "40 41", accounts)
}

func (s *txSessions) deadlock() {
	s.want(0, "", "BEGIN; UPDATE acc SET n = 3 WHERE id = 1")
	s.want(1, "", "BEGIN; UPDATE acc SET n = 3 WHERE id = 2")
	first := s.later(0, "UPDATE acc SET n = 3 WHERE id = 2")
	second := s.later(1, "UPDATE acc SET n = 3 WHERE id = 1")
	if got := <-second; got != "40P01" { // the youngest
		s.t.Errorf("the younger transaction ends with %q, want 40P01", got)
	}
	s.want(1, "", "ROLLBACK")
	if got := <-first; got != "" {
		s.t.Error(got)
	}
	s.want(0, "", "COMMIT")
}

// advisory: a lock of a session is everybody's to see, and ends with the session.
func (s *txSessions) advisory(c *Cluster) {
	holder, err := c.Node(1).Connect(s.ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := holder.Exec(s.ctx, "SELECT pg_advisory_lock(72707369)"); err != nil {
		s.t.Fatal(err)
	}
	s.want(1, "f", "SELECT pg_try_advisory_lock(72707369)")
	s.want(0, "t", "SELECT pg_try_advisory_lock(72707369, 0)")
	waits := s.later(1, "SELECT pg_advisory_lock(72707369)")
	_ = holder.Close(s.ctx)
	if got := <-waits; got != "" {
		s.t.Error(got)
	}
	s.want(1, "t", "SELECT pg_advisory_unlock(72707369)")
	s.want(0, "t", fmt.Sprintf("SELECT pg_advisory_unlock(%d, 0)", 72707369))
}

// circle: who waits for an advisory lock is shown, and a circle of advisory locks and rows
// is a deadlock.
func (s *txSessions) circle() {
	s.want(0, "", "BEGIN; UPDATE acc SET n = n WHERE id = 5")
	s.want(1, "", "SELECT pg_advisory_lock(5)")
	waits := s.later(0, "SELECT pg_advisory_lock(5)")
	Eventually(s.t, 10*time.Second, "the wait for the advisory lock is in pg_locks", func() error {
		const text = "SELECT granted, pid > 0 FROM pg_locks WHERE locktype = 'advisory' AND objid = 5 ORDER BY granted"
		if got := s.run(1, text); got != "f t,t t" {
			return errors.New(got)
		}
		return nil
	})
	s.want(1, "40P01", "UPDATE acc SET n = n WHERE id = 5") // it began to wait last
	s.want(1, "t", "SELECT pg_advisory_unlock(5)")
	if got := <-waits; got != "" {
		s.t.Error(got)
	}
	s.want(0, "", "COMMIT")
	s.want(0, "t", "SELECT pg_advisory_unlock(5)")
}

// goneBack: rows that were locked since a savepoint are free for the other node as soon as
// it is gone back to, and so is what a failed transaction had.
func (s *txSessions) goneBack() {
	const free = "SELECT id FROM acc WHERE id <= 4 ORDER BY id FOR UPDATE SKIP LOCKED"
	s.want(0, "", "BEGIN; UPDATE acc SET n = n WHERE id = 1; SAVEPOINT a; UPDATE acc SET n = n WHERE id <= 3")
	s.want(0, "4", "SELECT id FROM acc WHERE id = 4 FOR UPDATE")
	s.want(1, "", free)
	s.want(0, "", "ROLLBACK TO a")
	s.want(1, "2,3,4", free)
	s.want(0, "22012", "SAVEPOINT b; UPDATE acc SET n = n WHERE id <= 4; SELECT 1/0 FROM acc")
	s.want(0, "", "ROLLBACK TO a")
	s.want(1, "2,3,4", free)
	s.want(0, "", "ROLLBACK; BEGIN; UPDATE acc SET n = n WHERE id <= 4")
	s.want(0, "22012", "SELECT 1/0 FROM acc")
	s.want(1, "1,2,3,4", free)
	s.want(0, "", "ROLLBACK")
}
