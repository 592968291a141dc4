package pgwire

import (
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/nodedb/nodedb/agent/internal/sql"
)

// TestNotifications: a client hears of them at once when it is idle, and when its transaction
// has ended otherwise.
func TestNotifications(t *testing.T) {
	f := start(t, nil)
	c := f.raw(t)
	query := func(text string) []string { return c.do(&pgproto3.Query{String: text}) }
	expect(t, "itself", query("notify a"), "NOTIFY", "heard a p 9", "ready I")
	expect(t, "in a transaction", query("begin; notify b"), "BEGIN", "NOTIFY", "ready T")
	expect(t, "in a transaction", query("insert"), "INSERT 0 1", "ready T")
	expect(t, "at its end", query("commit"), "COMMIT", "heard b p 9", "ready I")
	f.sql.mu.Lock()
	told := f.sql.mu.opened[len(f.sql.mu.opened)-1].OnNotification
	f.sql.mu.Unlock()
	for range 3 { // nothing is asked
		go told(sql.Notification{Channel: "x", Payload: "y", PID: 3})
		if m, err := c.Receive(); err != nil || word(m) != "heard x y 3" {
			t.Fatal(m, err)
		}
	}
	expect(t, "afterwards", query("insert"), "INSERT 0 1", "ready I")
}
