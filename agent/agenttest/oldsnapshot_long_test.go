//go:build long

package agenttest

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestAnOldSnapshotIsTold: a snapshot that keeps old versions for long after gc_ttl is a
// finding of check, which names the session that has it; it goes when the session ends.
func TestAnOldSnapshotIsTold(t *testing.T) {
	t.Parallel()
	c := Start(t, Options{Ranges: 4})
	c.sql("ALTER SYSTEM SET gc_ttl = '10s'")
	c.sql("CREATE TABLE churned (id int8 PRIMARY KEY, v int8)")
	c.sql("INSERT INTO churned SELECT g, 0 FROM generate_series(1, 1000) g")
	conn, err := c.Node(2).Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if _, err := conn.Exec(t.Context(), "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM churned"); err != nil {
		t.Fatal(err)
	}
	c.sql("UPDATE churned SET v = v + 1")
	finding := func() string {
		for line := range strings.Lines(c.TryCtl("check").Stdout) {
			if strings.Contains(line, "GARBAGE_BEHIND") {
				return line
			}
		}
		return ""
	}
	keeps := fmt.Sprintf("of session %d of root", conn.PgConn().PID())
	Eventually(t, 10*time.Minute, "the snapshot is told", func() error {
		if out := c.TryCtl("check").Stdout; !strings.Contains(out, "warn    GARBAGE_BEHIND") || !strings.Contains(out, "is open on n2 keeps them") || !strings.Contains(out, keeps) {
			return fmt.Errorf("check says\n%s", out)
		}
		return nil
	})
	t.Log(finding())
	command := fmt.Sprintf("sessions cancel %d --terminate", conn.PgConn().PID())
	if out := c.TryCtl("check").Stdout; !strings.Contains(out, command) {
		t.Errorf("check does not say how to end it:\n%s", out)
	}
	c.Ctl(strings.Fields(command)...)
	Eventually(t, 2*time.Minute, "check is content", func() error {
		if f := finding(); strings.Contains(f, "warn ") {
			return fmt.Errorf("check says %s", f)
		}
		return nil
	})
}
