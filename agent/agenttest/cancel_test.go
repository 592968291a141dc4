package agenttest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// TestSessionsAreSeenAndEnded: every node shows the sessions of all, and ends them for
// their clients and for operators.
func TestSessionsAreSeenAndEnded(t *testing.T) {
	t.Parallel()
	c := Start(t, Options{Nodes: 2, Replicas: 1})
	t.Run("CancelThroughAnotherNode", func(t *testing.T) { cancelThroughAnotherNode(t, c) })
	t.Run("Operator", func(t *testing.T) { operatorEndsSessions(t, c) })
	t.Run("SQL", func(t *testing.T) { sqlEndsSessions(t, c) })
	t.Run("WhoBlocksWhom", func(t *testing.T) { whoBlocksWhom(t, c) })
}

// cancelThroughAnotherNode sends the cancel request of a session to the other node, as
// a load balancer would.
func cancelThroughAnotherNode(t *testing.T, c *Cluster) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	conn, err := c.Node(1).Connect(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	done := make(chan error, 1)
	go func() {
		_, err := conn.Exec(ctx, "SELECT pg_sleep(50)")
		done <- err
	}()
	request, err := (&pgproto3.CancelRequest{ProcessID: conn.PgConn().PID(), SecretKey: conn.PgConn().SecretKey()}).Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	// The first may come before the statement has begun.
	Eventually(t, 30*time.Second, "the statement is cancelled", func() error {
		stranger, err := net.Dial("tcp", c.Node(2).SQL)
		if err != nil {
			return err
		}
		defer func() { _ = stranger.Close() }()
		if _, err := stranger.Write(request); err != nil {
			return err
		}
		_, _ = stranger.Read(make([]byte, 1)) // the end: the request is done
		select {
		case err := <-done:
			var e *pgconn.PgError
			if !errors.As(err, &e) || e.Code != "57014" {
				t.Errorf("the statement ended with %v, want 57014", err)
			}
			return nil
		case <-time.After(100 * time.Millisecond):
			return errors.New("it runs")
		}
	})
}

// operatorEndsSessions cancels the statement of a session on n2 by n1, then ends the
// session in the middle of its transaction.
func operatorEndsSessions(t *testing.T, c *Cluster) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	conn, err := c.Node(2).Connect(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	for _, s := range []string{"SET application_name = 'report'", "BEGIN"} {
		if _, err := conn.Exec(ctx, s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
	done := make(chan error, 1)
	go func() {
		_, err := conn.Exec(ctx, "SELECT pg_sleep(50)")
		done <- err
	}()
	pid := fmt.Sprint(conn.PgConn().PID())
	seen := func(state, statement string) error {
		sessions, err := c.List("sessions", "--node", "n2")
		if err != nil {
			return err
		}
		for _, s := range sessions {
			if s["pid"] == float64(conn.PgConn().PID()) {
				if s["state"] != state || s["statement"] != statement || s["application"] != "report" || s["user"] != "root" || s["transactionAt"] == nil {
					return fmt.Errorf("session %v", s)
				}
				return nil
			}
		}
		return fmt.Errorf("not among %d sessions", len(sessions))
	}
	Eventually(t, 30*time.Second, "the statement is seen", func() error { return seen("active", "SELECT pg_sleep(50)") })
	other, err := c.Node(1).Connect(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close(context.Background()) }()
	var state string
	if err := other.QueryRow(ctx, "SELECT state FROM pg_stat_activity WHERE application_name = 'report' AND xact_start < query_start").Scan(&state); err != nil || state != "active" {
		t.Errorf("pg_stat_activity on n1 shows of the session on n2: %q, %v", state, err)
	}
	if r := c.TryCtl("sessions", "cancel", pid, "--reason", "it takes too long"); r.Code != 0 || !strings.Contains(r.Stderr, "is cancelled") {
		t.Fatalf("sessions cancel: exit %d: %s", r.Code, r.Stderr)
	}
	var e *pgconn.PgError
	if err := <-done; !errors.As(err, &e) || e.Code != "57014" {
		t.Errorf("the statement ended with %v, want 57014", err)
	}
	Eventually(t, 10*time.Second, "the failed transaction is seen", func() error { return seen("idle in transaction (aborted)", "SELECT pg_sleep(50)") })
	if txns, err := c.List("transactions", "--user", "root"); err != nil || len(txns) != 1 || txns[0]["pid"] != float64(conn.PgConn().PID()) || txns[0]["state"] != "failed" || txns[0]["isolation"] != "read committed" {
		t.Errorf("transactions: %v %v, want the failed one of the session", txns, err)
	}
	if r := c.TryCtl("sessions", "cancel", pid); r.Code != 0 || !strings.Contains(r.Stderr, "nothing was done") {
		t.Errorf("cancel of nothing: exit %d: %s", r.Code, r.Stderr)
	}
	c.Ctl("sessions", "cancel", pid, "--terminate")
	if _, err := conn.Exec(ctx, "ROLLBACK"); !errors.As(err, &e) || e.Code != "57P01" {
		t.Errorf("the ended session says %v, want 57P01", err)
	}
	Eventually(t, 10*time.Second, "the session is gone", func() error {
		if r := c.TryCtl("sessions", "cancel", pid); r.Code != 3 {
			return fmt.Errorf("exit %d: %s", r.Code, r.Stderr)
		}
		return nil
	})
	for args, want := range map[string]string{"audit ls": "EndSession", "events --kind statement.cancelled": pid, "events --kind session.terminated": pid} {
		if out := c.Ctl(strings.Fields(args)...); !strings.Contains(out, want) {
			t.Errorf("%s does not say %s:\n%s", args, want, out)
		}
	}
}

// sqlEndsSessions has psql on n1 end what a session on n2 does, then that session, as
// people do it by habit; a process id that nobody has is a warning.
func sqlEndsSessions(t *testing.T, c *Cluster) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	conn, err := c.Node(2).Connect(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if _, err := conn.Exec(ctx, "SET application_name = 'batch'"); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := conn.Exec(ctx, "SELECT pg_sleep(50)")
		done <- err
	}()
	one := fmt.Sprintf("%d|t", conn.PgConn().PID())
	Eventually(t, 30*time.Second, "the statement is cancelled", func() error {
		got := psql(t, c.Node(1), "SELECT pid, pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = 'batch' AND state = 'active'")
		if got != one {
			return fmt.Errorf("got %q, want %q", got, one)
		}
		return nil
	})
	var e *pgconn.PgError
	if err := <-done; !errors.As(err, &e) || e.Code != "57014" {
		t.Errorf("the statement ended with %v, want 57014", err)
	}
	if got := psql(t, c.Node(1), fmt.Sprintf("SELECT pg_terminate_backend(%d, 20000)", conn.PgConn().PID())); got != "t" {
		t.Errorf("pg_terminate_backend that waits: %q", got)
	}
	if _, err := conn.Exec(ctx, "SELECT 1"); !errors.As(err, &e) || e.Code != "57P01" {
		t.Errorf("the ended session says %v, want 57P01", err)
	}
	if got := psql(t, c.Node(1), fmt.Sprintf("SELECT pg_cancel_backend(%d)", conn.PgConn().PID())); got != fmt.Sprintf("WARNING:  PID %d is not a PostgreSQL backend process\nf", conn.PgConn().PID()) {
		t.Errorf("pg_cancel_backend of nobody: %q", got)
	}
	if out := c.Ctl("events", "--kind", "session.terminated"); strings.Contains(out, fmt.Sprint(conn.PgConn().PID())) {
		t.Errorf("the end of one's own session is an event:\n%s", out)
	}
}

// whoBlocksWhom has a session on n1 wait for a row that one on n2 has changed, finds who
// is in the way on either node, and ends that session: the other goes on.
func whoBlocksWhom(t *testing.T, c *Cluster) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var conns []*pgx.Conn
	for n := 1; n <= 2; n++ {
		conn, err := c.Node(n).Connect(ctx)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close(context.Background()) }()
		conns = append(conns, conn)
	}
	waiter, holder := conns[0], conns[1]
	for _, s := range []string{"CREATE TABLE accounts (id int8 PRIMARY KEY, n int8)", "INSERT INTO accounts VALUES (1, 7)", "BEGIN", "UPDATE accounts SET n = 8 WHERE id = 1"} {
		if _, err := holder.Exec(ctx, s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
	done := make(chan error, 1)
	go func() {
		_, err := waiter.Exec(ctx, "BEGIN; UPDATE accounts SET n = n + 1 WHERE id = 1; COMMIT")
		done <- err
	}()
	held, waits := float64(holder.PgConn().PID()), float64(waiter.PgConn().PID())
	Eventually(t, 30*time.Second, "the wait is seen", func() error {
		txns, err := c.List("transactions", "--blocked")
		if err != nil {
			return err
		}
		if len(txns) != 2 || txns[0]["pid"] != held || txns[1]["pid"] != waits || txns[1]["state"] != "waiting" || txns[0]["locks"] == 0.0 {
			return fmt.Errorf("transactions %v", txns)
		}
		for _, of := range []struct {
			txn  map[string]any
			list string
			pid  float64
		}{{txns[0], "blocks", waits}, {txns[1], "waitsFor", held}} {
			refs, _ := of.txn[of.list].([]any)
			if len(refs) != 1 || refs[0].(map[string]any)["pid"] != of.pid {
				return fmt.Errorf("%s: %v", of.list, refs)
			}
		}
		return nil
	})
	var locks, events int
	other, err := c.Node(2).Connect(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close(context.Background()) }()
	row := other.QueryRow(ctx, `SELECT count(*) FILTER (WHERE granted AND pid = $1) + count(*) FILTER (WHERE NOT granted AND pid = $2),
		(SELECT count(*) FROM pg_stat_activity WHERE pid = $2 AND wait_event_type = 'Lock') FROM pg_locks`, int64(held), int64(waits))
	if err := row.Scan(&locks, &events); err != nil || locks != 2 || events != 1 {
		t.Errorf("SQL tells of %d locks and %d waits, %v; want 2 and 1", locks, events, err)
	}
	c.Ctl("sessions", "cancel", fmt.Sprint(holder.PgConn().PID()), "--terminate")
	if err := <-done; err != nil {
		t.Errorf("who waited: %v", err)
	}
	var n int
	if err := other.QueryRow(ctx, "SELECT n FROM accounts WHERE id = 1").Scan(&n); err != nil || n != 8 {
		t.Errorf("the row is %d, %v; want 8: the ended transaction is rolled back", n, err)
	}
}
