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

// TestDrainNamesItsBlockers: a transaction that stays open holds a drain up to
// its deadline; it is named, with its statement to who may see it, and the node
// serves on.
func TestDrainNamesItsBlockers(t *testing.T) {
	t.Parallel()
	c := Start(t, Options{})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	conn, err := c.Node(2).Connect(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	for _, s := range []string{"SET application_name = 'billing'", "CREATE TABLE t (id int8 PRIMARY KEY)", "BEGIN", "SELECT id FROM t WHERE id = 7"} {
		if _, err := conn.Exec(ctx, s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
	r := c.TryCtl("drain", "n2", "--lb-wait", "0s", "--deadline", "3s")
	if r.Code != 11 {
		t.Fatalf("exit %d, want 11\n%s%s", r.Code, r.Stdout, r.Stderr)
	}
	for _, want := range []string{"deadline", `application "billing"`, "user root", "SELECT id FROM t WHERE id = 7"} {
		if !strings.Contains(r.Stdout, want) {
			t.Errorf("the end of the drain does not say %q:\n%s", want, r.Stdout)
		}
	}
	if _, err := conn.Exec(ctx, "COMMIT"); err != nil {
		t.Errorf("the transaction did not outlive a drain that stops at its deadline: %v", err)
	}
	c.Node(2).WaitReady()

	drainLetsTransactionsEnd(ctx, t, c)

	// Together two of three may not stop; the second is refused and n3 serves on.
	if r := c.TryCtl("drain", "n3", "--lb-wait", "0s", "--shutdown"); r.Code != 5 || !strings.Contains(r.Stderr, "META_QUORUM") || r.Took > 10*time.Second {
		t.Errorf("a drain that is not safe: exit %d after %s\n%s", r.Code, r.Took, r.Stderr)
	}
	c.Ctl("undrain", "n2")
	if out := c.Ctl("drain", "n3", "--lb-wait", "0s", "--shutdown"); !strings.Contains(out, "power off") {
		t.Errorf("drain --shutdown:\n%s", out)
	}
	if code := c.Node(3).WaitExit(30 * time.Second); code != 0 {
		t.Errorf("the drained process ended with %d", code)
	}
	if r := c.TryCtl("ok-to-stop", "n2"); r.Code != 5 || !strings.Contains(r.Stderr, "start n3 again") {
		t.Errorf("ok-to-stop n2 without n3: exit %d\n%s%s", r.Code, r.Stdout, r.Stderr)
	}
}

// drainLetsTransactionsEnd drains n2 twice: a transaction that is open ends in peace,
// what comes beside it is refused; one that does not end is closed after its time.
func drainLetsTransactionsEnd(ctx context.Context, t *testing.T, c *Cluster) {
	t.Helper()
	open := func() *pgx.Conn {
		t.Helper()
		conn, err := c.Node(2).Connect(ctx)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close(context.Background()) })
		return conn
	}
	do := func(conn *pgx.Conn, statements ...string) {
		t.Helper()
		for _, s := range statements {
			if _, err := conn.Exec(ctx, s); err != nil {
				t.Fatalf("%s: %v", s, err)
			}
		}
	}
	refused := func(err error, code, what string) {
		t.Helper()
		var e *pgconn.PgError
		if !errors.As(err, &e) || e.Code != code {
			t.Errorf("%s: %v, want %s", what, err, code)
		}
	}
	worker, idle := open(), open()
	do(worker, "SET application_name = 'transfer'", "BEGIN", "INSERT INTO t VALUES (1)")
	op := c.begin("drain", "n2", "--lb-wait", "0s")
	o := c.awaitOp(op, "waits for the transaction", func(o map[string]any) bool {
		list, _ := o["blockers"].([]any)
		return len(list) == 1
	})
	if b, _ := o["blockers"].([]any)[0].(map[string]any); b["application"] != "transfer" || b["state"] != "idle in transaction" || b["pid"] != float64(worker.PgConn().PID()) {
		t.Errorf("the drain waits for %v", b)
	}
	if why := fmt.Sprint(o["why"]); !strings.Contains(why, "waits for 1 session (1 in a transaction)") {
		t.Errorf("the drain says %q", why)
	}
	_, err := idle.Exec(ctx, "SELECT 1")
	refused(err, "57P01", "a session outside of a transaction")
	_, err = c.Node(2).Connect(ctx)
	refused(err, "57P03", "a new session")
	do(worker, "SELECT id FROM t WHERE id = 1", "COMMIT")
	_, err = worker.Exec(ctx, "SELECT 1")
	refused(err, "57P01", "the session after its transaction")
	if o := c.awaitOp(op, "ends", ended); o["state"] != "succeeded" {
		t.Errorf("the drain ended %v: %v", o["state"], o["why"])
	}
	c.Ctl("undrain", "n2")
	c.Node(2).WaitReady()

	hanger := open()
	do(hanger, "BEGIN", "INSERT INTO t VALUES (3)")
	c.Ctl("drain", "n2", "--lb-wait", "0s", "--txn-timeout", "1s")
	_, err = hanger.Exec(ctx, "COMMIT")
	refused(err, "57P01", "a transaction that did not end in its time")
	conn, err := c.Node(1).Connect(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	var rows string
	if err := conn.QueryRow(ctx, "SELECT string_agg(id::text, ',' ORDER BY id) FROM t").Scan(&rows); err != nil || rows != "1" {
		t.Errorf("rows %q, %v; want those of the transaction that ended", rows, err)
	}
}
