package pgwire

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/nodedb/nodedb/agent/internal/budget"
)

// last is the outcome of an answer: what stands before ReadyForQuery.
func last(words []string) string {
	if len(words) < 2 {
		return fmt.Sprint(words)
	}
	return words[len(words)-2]
}

// TestPreparedStatementsAddUp prepares until the session's account is used up.
func TestPreparedStatementsAddUp(t *testing.T) {
	f := start(t, nil)
	c := f.raw(t)
	megabyte := "insert " + strings.Repeat("x", 1<<20)
	sync := &pgproto3.Sync{}
	prepared := 0
	for ; prepared < 100; prepared++ {
		if got := last(c.do(&pgproto3.Parse{Name: fmt.Sprint("s", prepared), Query: megabyte}, sync)); got != "parsed" {
			if got != "ERROR 53200" {
				t.Fatalf("statement %d: %s", prepared, got)
			}
			break
		}
	}
	if kept := int64(prepared) << 20; kept < maxKeptBytes/8 || kept > maxKeptBytes {
		t.Fatalf("%d statements of 1 MB were kept", prepared)
	}
	if got := last(c.do(&pgproto3.Query{String: megabyte})); got != "INSERT 0 1" {
		t.Errorf("a statement that is not kept: %s", got)
	}
	if got := last(c.do(&pgproto3.Parse{Query: megabyte}, sync)); got != "parsed" {
		t.Errorf("the one unnamed statement: %s", got)
	}
	for i := range 3 {
		if got := last(c.do(&pgproto3.Close{ObjectType: 'S', Name: fmt.Sprint("s", i)}, sync)); got != "closed" {
			t.Fatal(got)
		}
	}
	if got := last(c.do(&pgproto3.Parse{Name: "again", Query: megabyte}, sync)); got != "parsed" {
		t.Errorf("after statements were closed: %s", got)
	}
	c.conn.Close()
	eventually(t, "all is given back", func() bool { return f.cfg.Memory.Used() == 0 })
}

// TestStatementsOfPortalsAddUp closes statements that portals still need, and
// replaces the unnamed one below them.
func TestStatementsOfPortalsAddUp(t *testing.T) {
	for _, name := range []string{"", "s"} {
		t.Run("statement "+name, func(t *testing.T) {
			f := start(t, nil)
			c := f.raw(t)
			megabyte := "rows 1 " + strings.Repeat(" ", 1<<20)
			kept := 0
			c.do(&pgproto3.Query{String: "begin"})
			for ; kept < 100; kept++ {
				got := c.do(&pgproto3.Parse{Name: name, Query: megabyte}, &pgproto3.Bind{PreparedStatement: name, DestinationPortal: fmt.Sprint("p", kept)},
					&pgproto3.Close{ObjectType: 'S', Name: name}, &pgproto3.Sync{})
				if last(got) != "closed" {
					break
				}
			}
			if kept == 100 {
				t.Error("100 portals keep 100 statements of 1 MB")
			}
			c.conn.Close()
			eventually(t, "all is given back", func() bool { return f.cfg.Memory.Used() == 0 })
		})
	}
}

// TestParametersAddUp binds portals until the account is used up.
func TestParametersAddUp(t *testing.T) {
	f := start(t, nil)
	c := f.raw(t)
	c.do(&pgproto3.Query{String: "begin"})
	c.do(&pgproto3.Parse{Name: "s", Query: "echo text"}, &pgproto3.Sync{})
	value := [][]byte{[]byte(strings.Repeat("x", 4<<20))}
	bound := 0
	for ; bound < 100; bound++ {
		if got := last(c.do(&pgproto3.Bind{PreparedStatement: "s", DestinationPortal: fmt.Sprint("p", bound), Parameters: value}, &pgproto3.Sync{})); got != "bound" {
			if got != "ERROR 53200" {
				t.Fatal(got)
			}
			break
		}
	}
	if bound < 16 || bound > 24 {
		t.Errorf("%d portals with a parameter of 4 MB, want 23", bound)
	}
	c.conn.Close()
	eventually(t, "all is given back", func() bool { return f.cfg.Memory.Used() == 0 })
}

// TestHeldRowsAddUp reads many portals by turns: what is read ahead is one sum.
func TestHeldRowsAddUp(t *testing.T) {
	f := start(t, nil)
	c := f.raw(t)
	c.do(&pgproto3.Query{String: "begin"})
	refused := ""
	held := 0
	for ; held < 16 && refused == ""; held++ {
		portal := fmt.Sprint("p", held)
		got := c.do(&pgproto3.Parse{Query: "rows 600000"}, &pgproto3.Bind{DestinationPortal: portal}, &pgproto3.Execute{Portal: portal, MaxRows: 1}, &pgproto3.Sync{})
		if last(got) != "suspended" {
			refused = last(got)
		}
		if used := f.cfg.Memory.Used(); used > maxKeptBytes+(1<<20) {
			t.Fatalf("%d bytes are held", used)
		}
	}
	// The portal whose rows had no room says so when it is read on.
	for i := range held {
		got := c.do(&pgproto3.Execute{Portal: fmt.Sprint("p", i)}, &pgproto3.Sync{})
		if strings.HasPrefix(last(got), "ERROR") {
			refused = last(got)
			break
		}
	}
	if refused != "ERROR 53200" {
		t.Errorf("%d half-read portals of 15 MB: %q, want 53200", held, refused)
	}
	c.conn.Close()
	eventually(t, "all is given back", func() bool { return f.cfg.Memory.Used() == 0 })
}

// TestServerBudget refuses messages for which there is no memory, before they are
// read, and goes on.
func TestServerBudget(t *testing.T) {
	f := start(t, func(c *Config) { c.Memory = budget.New("sessions", 1<<20) })
	c := f.raw(t)
	big := "insert " + strings.Repeat("x", 2<<20)
	sync := &pgproto3.Sync{}
	if got := c.do(&pgproto3.Query{String: big}); !slices.Equal(got, []string{"ERROR 53200", "ready I"}) {
		t.Errorf("a simple query of 2 MB: %q", got)
	}
	if got := c.do(&pgproto3.Parse{Query: big}, &pgproto3.Bind{}, &pgproto3.Execute{}, sync); !slices.Equal(got, []string{"ERROR 53200", "ready I"}) {
		t.Errorf("a Parse of 2 MB: %q", got)
	}
	c.do(&pgproto3.Query{String: "begin"})
	if got := c.do(&pgproto3.Query{String: big}); !slices.Equal(got, []string{"ERROR 53200", "ready E"}) {
		t.Errorf("a simple query of 2 MB in a transaction: %q", got)
	}
	c.do(&pgproto3.Query{String: "rollback"})
	// The text is short, but each of its tokens is a node of a tree.
	if got := c.do(&pgproto3.Query{String: "insert " + strings.Repeat("1,", 10_000)}); !slices.Equal(got, []string{"ERROR 53200", "ready I"}) {
		t.Errorf("a statement of 20,000 tokens: %q", got)
	}
	if got := c.do(&pgproto3.Query{String: "insert"}); !slices.Equal(got, []string{"INSERT 0 1", "ready I"}) {
		t.Errorf("a small one after it: %q", got)
	}
	if used := f.cfg.Memory.Used(); used != sessionBytes {
		t.Errorf("%d bytes are still counted", used)
	}
}

// TestIdleKeepsNoMessage looks for what a message leaves behind in the backend.
func TestIdleKeepsNoMessage(t *testing.T) {
	q, p, b := &pgproto3.Query{String: "x"}, &pgproto3.Parse{Query: "x"}, &pgproto3.Bind{Parameters: [][]byte{{1}}}
	for _, m := range []pgproto3.FrontendMessage{q, p, b} {
		forget(m)
	}
	if q.String != "" || p.Query != "" || b.Parameters != nil {
		t.Error("an idle session keeps its last message")
	}
}

// TestSessionsAddUp opens sessions that do nothing until there is no memory for one
// more.
func TestSessionsAddUp(t *testing.T) {
	f := start(t, func(c *Config) { c.Memory = budget.New("sessions", 3*sessionBytes+sessionBytes/2) })
	for range 3 {
		f.raw(t)
	}
	_, err := pgx.Connect(testContext(t), f.dsn(""))
	var refused *pgconn.PgError
	if !errors.As(err, &refused) || refused.Code != "53200" || refused.Severity != "FATAL" || !strings.Contains(refused.Hint, "nodedbctl nodes show") {
		t.Errorf("a session without memory for it: %v", err)
	}
	if used := f.cfg.Memory.Used(); used != 3*sessionBytes {
		t.Errorf("%d bytes are counted", used)
	}
}
