package pgwire

import (
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/nodedb/nodedb/agent/internal/sql"
)

func TestPanicEndsOneSession(t *testing.T) {
	f := start(t, nil)
	other := f.connect(t, "")
	c := f.raw(t)
	expect(t, "panic", c.do(&pgproto3.Query{String: "panic"}), "FATAL XX000", "lost")
	p := f.raw(t)
	expect(t, "panic in a portal", p.do(&pgproto3.Parse{Query: "rows 3"}, &pgproto3.Bind{}, &pgproto3.Execute{MaxRows: 1}, &pgproto3.Query{String: "panic"}),
		"parsed", "bound", "row 0 row 0", "suspended", "FATAL XX000", "lost")
	if _, err := other.Exec(testContext(t), "insert"); err != nil {
		t.Errorf("the panic of one session hurt another: %v", err)
	}
	if n := f.Stats().Panics; n != 2 {
		t.Errorf("Panics = %d, want 2", n)
	}
	eventually(t, "the sessions are closed", func() bool { return f.sql.closed() == 2 && f.Sessions() == 1 })
}

func TestNonsenseEndsOneConnection(t *testing.T) {
	f := start(t, func(c *Config) { c.MaxMessageBytes = maxLoginMessageBytes })
	for name, bytes := range map[string][]byte{
		"unknown type":       {'?', 0, 0, 0, 4},
		"negative length":    {'Q', 0xff, 0, 0, 0},
		"too long":           {'Q', 0x7f, 0, 0, 0},
		"no end of text":     {'P', 0, 0, 0, 5, 'x'},
		"password after all": {'p', 0, 0, 0, 5, 0},
	} {
		c := f.raw(t)
		if _, err := c.conn.Write(bytes); err != nil {
			t.Fatal(err)
		}
		want := "FATAL 08P01"
		if name == "too long" {
			want = "FATAL 54000"
		}
		expect(t, name, c.answer(), want, "lost")
	}
}

func TestEndSessions(t *testing.T) {
	t.Run("clear", func(t *testing.T) { testEndSessions(t, "") })
	t.Run("tls", func(t *testing.T) { testEndSessions(t, "sslmode=require") })
}

func testEndSessions(t *testing.T, extra string) {
	f := start(t, nil)
	idle, busy, inTx := f.rawWith(t, extra), f.rawWith(t, extra), f.rawWith(t, extra)
	inTx.do(&pgproto3.Query{String: "begin"})
	busy.Send(&pgproto3.Query{String: "sleep"})
	if err := busy.Flush(); err != nil {
		t.Fatal(err)
	}
	<-f.sql.sleeping

	reason := &sql.Error{Code: "57P01", Message: "the node is draining"}
	f.EndSessions(reason)
	expect(t, "idle", idle.answer(), "FATAL 57P01", "lost")
	expect(t, "a transaction goes on", inTx.do(&pgproto3.Query{String: "insert"}), "INSERT 0 1", "ready T")
	f.EndSessions(reason)
	expect(t, "until its end", inTx.do(&pgproto3.Query{String: "commit"}), "COMMIT", "ready I")
	expect(t, "and ends then", inTx.answer(), "FATAL 57P01", "lost")
	eventually(t, "only the one that sleeps is left", func() bool { return f.EndSessions(reason) == 1 })
	for _, c := range f.connections() {
		f.EndSession(c.pid, reason, true)
	}
	expect(t, "forced", busy.answer(), "ERROR 57P01", "ready I")
	expect(t, "and ended", busy.answer(), "FATAL 57P01", "lost")
	eventually(t, "no session left", func() bool { return f.Sessions() == 0 })
}

// TestStopWithSlowClient stops a server whose client never reads.
// TestIdleSessionTimeout ends a session that waits for its client, and none that
// works or waits after the setting was taken back.
func TestIdleSessionTimeout(t *testing.T) {
	f := start(t, nil)
	busy, idle := f.raw(t), f.raw(t)
	busy.do(&pgproto3.Query{String: "set idle 1h"})
	busy.do(&pgproto3.Query{String: "set idle 0s"})
	idle.do(&pgproto3.Query{String: "set idle 1h"})
	idle.do(&pgproto3.Query{String: "set idle 20ms"})
	expect(t, "the idle session", idle.answer(), "FATAL 57P05", "lost")
	inTx := f.raw(t)
	inTx.do(&pgproto3.Query{String: "begin"})
	inTx.do(&pgproto3.Query{String: "set idle 1h"})
	inTx.do(&pgproto3.Query{String: "set idle 20ms"})
	expect(t, "the idle transaction", inTx.answer(), "FATAL 25P03", "lost")
	expect(t, "the other", busy.do(&pgproto3.Query{String: "insert"}), "INSERT 0 1", "ready I")
}

// TestClientThatNeverReads loses its connection, and its statement ends.
func TestClientThatNeverReads(t *testing.T) {
	f := start(t, func(c *Config) { c.WriteTimeout = 50 * time.Millisecond })
	c := f.raw(t)
	const rows = 3_000_000
	c.Send(&pgproto3.Query{String: fmt.Sprint("rows ", rows)})
	if err := c.Flush(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the session has ended", func() bool { return f.sql.closed() == 1 })
	if n := f.sql.rowsSent.Load(); n >= rows {
		t.Errorf("all %d rows went out to a client that does not read", n)
	}
}

func TestStopWithSlowClient(t *testing.T) {
	f := start(t, func(c *Config) { c.StopTimeout = 50 * time.Millisecond })
	c := f.raw(t)
	c.Send(&pgproto3.Query{String: "rows 3000000"})
	if err := c.Flush(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "rows are on their way", func() bool { return f.sql.rowsSent.Load() > 0 })
	f.stop()
	if f.Sessions() != 0 {
		t.Error("a session outlived the server")
	}
}
