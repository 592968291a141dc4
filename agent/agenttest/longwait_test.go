package agenttest

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// TestLongLockWaitsAreTold: a transaction that waits for another's lock for half a minute is
// an event and a finding of check, on whichever nodes the two are; both name the two
// sessions, and the finding goes with the wait.
func TestLongLockWaitsAreTold(t *testing.T) {
	t.Parallel()
	c := Start(t, Options{})
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	connect := func(n int) *pgx.Conn {
		conn, err := c.Node(n).Connect(ctx)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close(context.Background()) })
		return conn
	}
	waiter, holder := connect(1), connect(2)
	for _, s := range []string{"CREATE TABLE accounts (id int8 PRIMARY KEY, n int8)", "INSERT INTO accounts VALUES (1, 7)", "BEGIN", "UPDATE accounts SET n = 8 WHERE id = 1"} {
		if _, err := holder.Exec(ctx, s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
	done := make(chan error, 1)
	go func() {
		_, err := waiter.Exec(ctx, "BEGIN; SET LOCAL lock_timeout = 0; UPDATE accounts SET n = n + 1 WHERE id = 1; COMMIT")
		done <- err
	}()
	who := fmt.Sprintf("session %d of root on n1 has waited since", waiter.PgConn().PID())
	whom := fmt.Sprintf("for locks of session %d of root on n2", holder.PgConn().PID())
	held := fmt.Sprintf("for locks of session %d on n2", holder.PgConn().PID())
	Eventually(t, 2*time.Minute, "the wait is told", func() error {
		if out := c.Ctl("events", "--kind", "lock.wait"); !strings.Contains(out, who) || !strings.Contains(out, whom) {
			return fmt.Errorf("the events are\n%s", out)
		}
		if r := c.TryCtl("check"); !strings.Contains(r.Stdout, "warn    LOCK_WAIT") || !strings.Contains(r.Stdout, held) {
			return fmt.Errorf("check says, with exit %d\n%s", r.Code, r.Stdout)
		}
		return nil
	})
	t.Logf("check: %s", c.TryCtl("check").Stdout)
	if _, err := holder.Exec(ctx, "COMMIT"); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Errorf("who waited: %v", err)
	}
	Eventually(t, time.Minute, "check is content", func() error {
		if r := c.TryCtl("check"); strings.Contains(r.Stdout, "warn    LOCK_WAIT") {
			return fmt.Errorf("check says\n%s", r.Stdout)
		}
		return nil
	})
}
