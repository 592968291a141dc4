package pgwire

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/nodedb/nodedb/agent/internal/admission"
)

func expect(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s\ngot  %q\nwant %q", what, got, want)
	}
}

func TestSimpleProtocol(t *testing.T) {
	c := start(t, nil).raw(t)
	query := func(text string) []string { return c.do(&pgproto3.Query{String: text}) }
	expect(t, "rows", query("rows 2"), "columns i:23:0 s:25:0", "row 0 row 0", "row 1 row 1", "SELECT 2", "ready I")
	expect(t, "no rows", query("rows 0"), "columns i:23:0 s:25:0", "SELECT 0", "ready I")
	expect(t, "empty", query(" ; "), "empty", "ready I")
	expect(t, "several", query("begin; insert; rows 1"), "BEGIN", "INSERT 0 1", "columns i:23:0 s:25:0", "row 0 row 0", "SELECT 1", "ready T")
	expect(t, "an error ends the rest", query("insert; fail; insert"), "INSERT 0 1", "ERROR 22012", "ready E")
	expect(t, "failed transaction", query("insert"), "ERROR 25P02", "ready E")
	expect(t, "rollback", query("rollback"), "ROLLBACK", "ready I")
	expect(t, "parameters", query("echo int4"), "ERROR 42P02", "ready I")
	expect(t, "copy", query("copy t from stdin"), "ERROR 0A000", "ready I")
	c.Send(&pgproto3.CopyData{Data: []byte("1\n")})
	c.Send(&pgproto3.CopyDone{})
	expect(t, "after a refused copy", query("insert"), "INSERT 0 1", "ready I")
	expect(t, "setting and notice", query("set TimeZone Asia/Tokyo"), "NOTICE 01000", "SET", "TimeZone=Asia/Tokyo", "ready I")
	expect(t, "a setting that is as it was", query("set TimeZone Asia/Tokyo"), "NOTICE 01000", "SET", "ready I")
	expect(t, "not UTF-8", query("rows \xff"), "ERROR 22021", "ready I")
	expect(t, "function call", c.do(&pgproto3.FunctionCall{Function: 1}), "ERROR 0A000", "ready I")
}

// TestImplicitTransaction: what comes together is one transaction, and what comes alone
// needs none.
func TestImplicitTransaction(t *testing.T) {
	f := start(t, nil)
	c := f.raw(t)
	committed := func(what string, want int64) {
		t.Helper()
		if got := f.sql.committed.Swap(0); got != want {
			t.Errorf("%s: %d transactions were committed, want %d", what, got, want)
		}
	}
	query := func(text string) []string { return c.do(&pgproto3.Query{String: text}) }
	expect(t, "one", query("insert"), "INSERT 0 1", "ready I")
	committed("one", 0)
	expect(t, "two", query("insert; insert"), "INSERT 0 1", "INSERT 0 1", "ready I")
	committed("two", 1)
	expect(t, "one fails", query("insert; fail; insert"), "INSERT 0 1", "ERROR 22012", "ready I")
	committed("one fails", 0)
	expect(t, "split", query("insert; commit; insert; rows 0"), "INSERT 0 1", "COMMIT", "INSERT 0 1", "columns i:23:0 s:25:0", "SELECT 0", "ready I")
	committed("split", 1)

	parse := func(name, text string) *pgproto3.Parse { return &pgproto3.Parse{Name: name, Query: text} }
	bind := func(name string) *pgproto3.Bind { return &pgproto3.Bind{PreparedStatement: name} }
	run, sync, flush := &pgproto3.Execute{}, &pgproto3.Sync{}, &pgproto3.Flush{}
	c.do(parse("i", "insert"), parse("f", "fail"), parse("r", "rows 5"), parse("b", "begin"), parse("c", "commit"), sync)
	expect(t, "one and Sync", c.do(bind("i"), run, sync), "bound", "INSERT 0 1", "ready I")
	expect(t, "closed before Sync", c.do(bind("i"), run, &pgproto3.Close{ObjectType: 'P'}, sync), "bound", "INSERT 0 1", "closed", "ready I")
	committed("one and Sync", 0)
	expect(t, "pipeline", c.do(bind("i"), run, bind("i"), run, sync), "bound", "INSERT 0 1", "bound", "INSERT 0 1", "ready I")
	committed("pipeline", 1)
	expect(t, "pipeline fails", c.do(bind("i"), run, bind("f"), run, bind("i"), run, sync), "bound", "INSERT 0 1", "bound", "ERROR 22012", "ready I")
	committed("pipeline fails", 0)
	expect(t, "run twice", c.do(bind("i"), run, run, sync), "bound", "INSERT 0 1", "ERROR 55000", "ready I")
	committed("run twice", 0)
	expect(t, "flushed", c.do(bind("i"), run, flush, bind("i"), run, sync), "bound", "INSERT 0 1", "bound", "INSERT 0 1", "ready I")
	committed("flushed", 1)
	expect(t, "in pieces", c.do(bind("r"), &pgproto3.Execute{MaxRows: 1}, &pgproto3.Execute{MaxRows: 1}, sync), "bound", "row 0 row 0", "suspended", "row 1 row 1", "suspended", "ready I")
	committed("in pieces", 1)
	expect(t, "a block in it", c.do(bind("b"), run, bind("i"), run, bind("c"), run, bind("i"), run, sync), "bound", "BEGIN", "bound", "INSERT 0 1", "bound", "COMMIT", "bound", "INSERT 0 1", "ready I")
	committed("a block in it", 1)
	expect(t, "a block at its end", c.do(bind("i"), run, bind("b"), run, sync), "bound", "INSERT 0 1", "bound", "BEGIN", "ready T")
	committed("a block at its end", 0)
	query("rollback")

	query("set commits 40001")
	expect(t, "the commit fails", query("insert; insert"), "INSERT 0 1", "ERROR 40001", "ready I")
	expect(t, "the commit fails at Sync", c.do(bind("i"), run, bind("i"), run, sync), "bound", "INSERT 0 1", "bound", "INSERT 0 1", "ERROR 40001", "ready I")
}

// TestStatementWaitsForWhatFollows: whether a statement is alone is known when the next
// message comes.
func TestStatementWaitsForWhatFollows(t *testing.T) {
	f := start(t, nil)
	c := f.raw(t)
	send := func(messages ...pgproto3.FrontendMessage) {
		t.Helper()
		for _, m := range messages {
			c.Send(m)
		}
		if err := c.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	for _, last := range []pgproto3.FrontendMessage{&pgproto3.Sync{}, &pgproto3.Execute{}} {
		send(&pgproto3.Parse{Query: "rows 1"}, &pgproto3.Bind{}, &pgproto3.Execute{})
		send(last)
		if _, ok := last.(*pgproto3.Sync); !ok {
			send(&pgproto3.Sync{})
		}
		c.answer()
	}
	if got := f.sql.committed.Load(); got != 1 {
		t.Errorf("%d transactions, want one of the two statements", got)
	}
}

func TestErrorFields(t *testing.T) {
	conn := start(t, nil).connect(t, "")
	_, err := conn.PgConn().Exec(testContext(t), "insert; äö fail").ReadAll()
	var e *pgconn.PgError
	if !errors.As(err, &e) || e.Position != 9 {
		t.Errorf("position in the second statement: %+v", e)
	}
	_, err = conn.PgConn().Exec(testContext(t), "insert;fail").ReadAll()
	if !errors.As(err, &e) {
		t.Fatal(err)
	}
	got := fmt.Sprint(e.Severity, e.Code, e.Message, e.Detail, e.Hint, e.Position, e.TableName, e.ColumnName, e.ConstraintName)
	if want := "ERROR22012division by zerodh10tck"; strings.ReplaceAll(got, " ", "") != strings.ReplaceAll(want, " ", "") {
		t.Errorf("error fields = %q, want %q", got, want)
	}
}

func TestExtendedProtocol(t *testing.T) {
	c := start(t, nil).raw(t)
	parse := func(name, text string) *pgproto3.Parse { return &pgproto3.Parse{Name: name, Query: text} }
	bind := func(portal, statement string, values ...string) *pgproto3.Bind {
		b := &pgproto3.Bind{DestinationPortal: portal, PreparedStatement: statement}
		for _, v := range values {
			b.Parameters = append(b.Parameters, []byte(v))
		}
		return b
	}
	execute, sync := &pgproto3.Execute{}, &pgproto3.Sync{}

	expect(t, "named statement", c.do(parse("s", "echo int4,text"), &pgproto3.Describe{ObjectType: 'S', Name: "s"}, sync),
		"parsed", "params [23 25]", "columns c0:23:0 c1:25:0", "ready I")
	expect(t, "twice", c.do(bind("", "s", "1", "x"), execute, bind("", "s", "2", ""), execute, sync),
		"bound", "row 1 x", "SELECT 1", "bound", "row 2 ", "SELECT 1", "ready I")
	binary := bind("", "s", "7", "y")
	binary.ResultFormatCodes = []int16{1, 0}
	expect(t, "formats", c.do(binary, &pgproto3.Describe{ObjectType: 'P'}, execute, sync),
		"bound", "columns c0:23:1 c1:25:0", "row \x00\x00\x00\x07 y", "SELECT 1", "ready I")
	null := bind("", "s", "1")
	null.Parameters = append(null.Parameters, nil)
	expect(t, "null", c.do(null, execute, sync), "bound", "row 1 null", "SELECT 1", "ready I")
	expect(t, "announced types", c.do(&pgproto3.Parse{Query: "echo", ParameterOIDs: []uint32{16}}, bind("", "", "yes"), execute, sync),
		"parsed", "bound", "row t", "SELECT 1", "ready I")
	expect(t, "no rows, no data", c.do(parse("", "insert"), &pgproto3.Describe{ObjectType: 'S'}, bind("", ""), &pgproto3.Describe{ObjectType: 'P'}, execute, execute, sync),
		"parsed", "params []", "nodata", "bound", "nodata", "INSERT 0 1", "ERROR 55000", "ready I")
	expect(t, "empty", c.do(parse("", ""), bind("", ""), &pgproto3.Describe{ObjectType: 'P'}, execute, sync),
		"parsed", "bound", "nodata", "empty", "ready I")

	expect(t, "an error skips to Sync", c.do(parse("", "nonsense"), bind("", ""), execute, sync), "ERROR 42601", "ready I")
	expect(t, "duplicate statement", c.do(parse("s", "insert"), sync), "ERROR 42P05", "ready I")
	expect(t, "no statement", c.do(bind("", "none"), sync), "ERROR 26000", "ready I")
	expect(t, "no portal", c.do(&pgproto3.Execute{Portal: "none"}, sync), "ERROR 34000", "ready I")
	expect(t, "too few parameters", c.do(bind("", "s", "1"), sync), "ERROR 08P01", "ready I")
	expect(t, "bad value", c.do(bind("", "s", "one", "x"), sync), "ERROR 22P02", "ready I")
	short := bind("", "s", "1", "x")
	short.ParameterFormatCodes = []int16{1}
	expect(t, "bad binary value", c.do(short, sync), "ERROR 08P01", "ready I")
	wrong := bind("", "s", "1", "x")
	wrong.ResultFormatCodes = []int16{0, 0, 0}
	expect(t, "wrong formats", c.do(wrong, sync), "ERROR 08P01", "ready I")
	wrong.ResultFormatCodes = []int16{7}
	expect(t, "unknown format", c.do(wrong, sync), "ERROR 22023", "ready I")
	expect(t, "describe nonsense", c.do(&pgproto3.Describe{ObjectType: 'X'}, sync), "ERROR 08P01", "ready I")

	expect(t, "closed statement", c.do(&pgproto3.Close{ObjectType: 'S', Name: "s"}, &pgproto3.Close{ObjectType: 'S', Name: "s"}, bind("", "s"), sync),
		"closed", "closed", "ERROR 26000", "ready I")
	expect(t, "deallocate all", c.do(parse("d", "insert"), parse("", "DEALLOCATE ALL"), bind("", ""), execute, bind("", "d"), sync),
		"parsed", "parsed", "bound", "DEALLOCATE ALL", "ERROR 26000", "ready I")
}

// TestFlush asks for answers before the Sync.
func TestFlush(t *testing.T) {
	c := start(t, nil).raw(t)
	c.Send(&pgproto3.Parse{Query: "rows 1"})
	c.Send(&pgproto3.Describe{ObjectType: 'S'})
	c.Send(&pgproto3.Flush{})
	if err := c.Flush(); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"parsed", "params []", "columns i:23:0 s:25:0"} {
		m, err := c.Receive()
		if err != nil || word(m) != want {
			t.Fatalf("got %v, %v; want %s", m, err, want)
		}
	}
	expect(t, "the rest", c.do(&pgproto3.Bind{}, &pgproto3.Execute{}, &pgproto3.Sync{}), "bound", "row 0 row 0", "SELECT 1", "ready I")
}

func TestPortals(t *testing.T) {
	f := start(t, nil)
	c := f.raw(t)
	sync := &pgproto3.Sync{}
	begin := func() { c.do(&pgproto3.Query{String: "begin"}) }
	fetch := func(portal string, n uint32) *pgproto3.Execute {
		return &pgproto3.Execute{Portal: portal, MaxRows: n}
	}
	open := func(portal string) *pgproto3.Bind {
		return &pgproto3.Bind{DestinationPortal: portal, PreparedStatement: "s"}
	}
	expect(t, "parse", c.do(&pgproto3.Parse{Name: "s", Query: "rows 5"}, sync), "parsed", "ready I")

	begin()
	expect(t, "in pieces", c.do(open("p"), fetch("p", 2), sync), "bound", "row 0 row 0", "row 1 row 1", "suspended", "ready T")
	expect(t, "more", c.do(fetch("p", 2), sync), "row 2 row 2", "row 3 row 3", "suspended", "ready T")
	expect(t, "the end", c.do(fetch("p", 2), fetch("p", 2), sync), "row 4 row 4", "SELECT 1", "SELECT 0", "ready T")
	expect(t, "name in use", c.do(open("p"), sync), "ERROR 42P03", "ready E")
	c.do(&pgproto3.Query{String: "rollback"})

	begin()
	expect(t, "two at once", c.do(open("a"), open("b"), fetch("a", 1), fetch("b", 4), fetch("a", 1), sync),
		"bound", "bound", "row 0 row 0", "suspended", "row 0 row 0", "row 1 row 1", "row 2 row 2", "row 3 row 3", "suspended", "row 1 row 1", "suspended", "ready T")
	expect(t, "another statement between", c.do(&pgproto3.Query{String: "insert"}), "INSERT 0 1", "ready T")
	expect(t, "and on", c.do(fetch("b", 0), fetch("a", 2), fetch("a", 0), sync),
		"row 4 row 4", "SELECT 1", "row 2 row 2", "row 3 row 3", "suspended", "row 4 row 4", "SELECT 1", "ready T")
	expect(t, "closed half-way", c.do(open("c"), fetch("c", 1), &pgproto3.Close{ObjectType: 'P', Name: "c"}, fetch("c", 1), sync),
		"bound", "row 0 row 0", "suspended", "closed", "ERROR 34000", "ready E")
	c.do(&pgproto3.Query{String: "rollback"})

	expect(t, "outside of a transaction a portal ends at Sync", c.do(open(""), fetch("", 1), sync), "bound", "row 0 row 0", "suspended", "ready I")
	expect(t, "is gone", c.do(fetch("", 1), sync), "ERROR 34000", "ready I")

	begin()
	expect(t, "left behind by commit", c.do(open("z"), fetch("z", 1), sync), "bound", "row 0 row 0", "suspended", "ready T")
	expect(t, "commit", c.do(&pgproto3.Query{String: "commit"}), "COMMIT", "ready I")
	begin()
	expect(t, "left behind by the client", c.do(open("z"), fetch("z", 1), sync), "bound", "row 0 row 0", "suspended", "ready T")
	c.conn.Close()
	eventually(t, "the session is closed", func() bool { return f.sql.closed() == 1 })
}

// TestHalfReadPortalsKeepNoPlace: others run while a client has not asked for more.
func TestHalfReadPortalsKeepNoPlace(t *testing.T) {
	f := start(t, nil)
	f.sql.queue = admission.New("long", 1, 0)
	running := func(want int) {
		t.Helper()
		if u := f.sql.queue.Usage(); u.Running != want {
			t.Errorf("%+v, want %d running", u, want)
		}
	}
	a, b := f.raw(t), f.raw(t)
	sync, fetch := &pgproto3.Sync{}, &pgproto3.Execute{Portal: "p", MaxRows: 2}
	for _, c := range []*rawClient{a, b} {
		c.do(&pgproto3.Query{String: "begin"})
		expect(t, "half", c.do(&pgproto3.Parse{Name: "s", Query: "rows 5"}, &pgproto3.Bind{DestinationPortal: "p", PreparedStatement: "s"}, fetch, sync),
			"parsed", "bound", "row 0 row 0", "row 1 row 1", "suspended", "ready T")
		running(0)
	}
	expect(t, "on", a.do(fetch, fetch, sync), "row 2 row 2", "row 3 row 3", "suspended", "row 4 row 4", "SELECT 1", "ready T")
	expect(t, "read ahead for another", b.do(&pgproto3.Query{String: "insert"}), "INSERT 0 1", "ready T")
	running(0)
	expect(t, "what was read ahead", b.do(fetch, sync), "row 2 row 2", "row 3 row 3", "suspended", "ready T")
	expect(t, "half again", a.do(&pgproto3.Bind{DestinationPortal: "p2", PreparedStatement: "s"}, &pgproto3.Execute{Portal: "p2", MaxRows: 1}, sync),
		"bound", "row 0 row 0", "suspended", "ready T")
	expect(t, "closed half-way", a.do(&pgproto3.Query{String: "rollback"}), "ROLLBACK", "ready I")
	running(0)
	a.conn.Close()
	b.conn.Close()
	eventually(t, "the sessions are closed", func() bool { return f.sql.closed() == 2 })
	running(0)
}

// TestTypesThroughPgx sends each type to the server and back, in text and binary.
func TestTypesThroughPgx(t *testing.T) {
	f := start(t, nil)
	conn := f.connect(t, "")
	uuid := [16]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}
	when := time.Date(2026, 11, 23, 10, 20, 30, 123456000, time.UTC)
	for _, tt := range []struct {
		typ   string
		value any
		want  string
	}{
		{"bool", true, "true"},
		{"int2", int16(-7), "-7"},
		{"int4", int32(math.MinInt32), "-2147483648"},
		{"int8", int64(math.MaxInt64), "9223372036854775807"},
		{"float4", float32(1.5), "1.5"},
		{"float8", math.Inf(-1), "-Inf"},
		{"numeric", "12345678901234567890.0123456789", "12345678901234567890.0123456789"},
		{"text", "héllo\n", "héllo\n"},
		{"varchar", "", ""},
		{"bytea", []byte{0, 1, 255}, "[0 1 255]"},
		{"uuid", uuid, fmt.Sprint(uuid)},
		{"date", when, "2026-11-23 00:00:00 +0000 UTC"},
		{"timestamp", when, "2026-11-23 10:20:30.123456 +0000 UTC"},
		{"timestamptz", when, "2026-11-23 10:20:30.123456 +0000 UTC"},
		{"jsonb", map[string]any{"a": []any{1.0, nil}}, "map[a:[1 <nil>]]"},
		{"int4[]", []int32{1, 2}, "[1 2]"},
		{"text", nil, "<nil>"},
	} {
		for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeDescribeExec, pgx.QueryExecModeCacheStatement} {
			for _, format := range []int16{pgx.TextFormatCode, pgx.BinaryFormatCode} {
				var got any
				err := conn.QueryRow(testContext(t), "echo "+tt.typ, mode, pgx.QueryResultFormats{format}, tt.value).Scan(&got)
				switch v := got.(type) {
				case time.Time:
					got = v.UTC()
				case pgtype.Numeric:
					text, _ := v.MarshalJSON()
					got = string(text)
				}
				if s := fmt.Sprint(got); err != nil || s != tt.want {
					t.Errorf("%s, mode %v, format %d: got %s, %v; want %s", tt.typ, mode, format, s, err, tt.want)
				}
			}
		}
	}
}

// TestTimeZone shows a timestamptz in the session's zone, as text.
func TestTimeZone(t *testing.T) {
	conn := start(t, nil).connect(t, "")
	ctx := testContext(t)
	if _, err := conn.Exec(ctx, "set TimeZone Asia/Tokyo"); err != nil {
		t.Fatal(err)
	}
	r := conn.PgConn().ExecParams(ctx, "echo timestamptz", [][]byte{[]byte("2026-11-23 10:00:00")}, nil, nil, nil).Read()
	if r.Err != nil || string(r.Rows[0][0]) != "2026-11-23 10:00:00+09" {
		t.Errorf("got %q, %v", r.Rows, r.Err)
	}
}

func TestPgxBatchAndTransaction(t *testing.T) {
	conn := start(t, nil).connect(t, "")
	ctx := testContext(t)
	err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		var b pgx.Batch
		for i := range 100 {
			b.Queue("echo int4", i).QueryRow(func(row pgx.Row) error {
				var got int
				if err := row.Scan(&got); err != nil || got != i {
					return fmt.Errorf("got %d, %w; want %d", got, err, i)
				}
				return nil
			})
		}
		return tx.SendBatch(ctx, &b).Close()
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Ping(ctx); err != nil {
		t.Fatal(err)
	}
	_, err = conn.Exec(ctx, "fail")
	if code(err) != "22012" {
		t.Errorf("fail = %v", err)
	}
	rows, err := conn.Query(ctx, "rows 20000")
	if err != nil {
		t.Fatal(err)
	}
	n, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (int32, error) {
		var i int32
		var s string
		return i, r.Scan(&i, &s)
	})
	if err != nil || len(n) != 20000 || n[19999] != 19999 {
		t.Errorf("%d rows, %v", len(n), err)
	}
}

func TestCancel(t *testing.T) {
	f := start(t, nil)
	conn := f.connect(t, "")
	ctx := testContext(t)
	for range 2 { // the connection is as good as before
		done := make(chan error, 1)
		go func() {
			_, err := conn.Exec(ctx, "sleep")
			done <- err
		}()
		<-f.sql.sleeping
		if err := conn.PgConn().CancelRequest(ctx); err != nil {
			t.Fatal(err)
		}
		var e *pgconn.PgError
		if err := <-done; !errors.As(err, &e) || e.Code != "57014" || e.Message != "canceling statement due to user request" {
			t.Fatalf("cancelled statement = %v", err)
		}
		// A cancel that comes too late must not hit the next statement.
		if err := conn.PgConn().CancelRequest(ctx); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Exec(ctx, "insert"); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCancelNeedsTheKey(t *testing.T) {
	f := start(t, nil)
	conn := f.connect(t, "")
	f.Cancel(conn.PgConn().PID(), []byte{1, 2, 3, 4})
	f.Cancel(conn.PgConn().PID(), nil)
	f.Cancel(0, nil)
	if n := f.Stats().Cancels; n != 0 {
		t.Errorf("%d cancels were obeyed without the key", n)
	}
}

// TestCancelOnAnotherNode sends the cancel request to a node that does not have
// the session.
func TestCancelOnAnotherNode(t *testing.T) {
	second := start(t, func(c *Config) { c.Node = 2 + 1<<nodeBits })
	asked := make(chan uint32, 1)
	first := start(t, func(c *Config) {
		c.Node = 1
		c.ForwardCancel = func(_ context.Context, pid uint32, key []byte) {
			if PIDOnNode(pid, 2+1<<nodeBits) && !PIDOnNode(pid, 1) {
				second.Cancel(pid, key)
			}
			asked <- pid
		}
	})
	conn := second.connect(t, "")
	done := make(chan error, 1)
	go func() {
		_, err := conn.Exec(testContext(t), "sleep")
		done <- err
	}()
	<-second.sql.sleeping
	request, err := (&pgproto3.CancelRequest{ProcessID: conn.PgConn().PID(), SecretKey: conn.PgConn().SecretKey()}).Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := net.Dial("tcp", first.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	if _, err := stranger.Write(request); err != nil {
		t.Fatal(err)
	}
	if err := <-done; code(err) != "57014" {
		t.Errorf("the statement = %v, want 57014", err)
	}
	if pid := <-asked; pid != conn.PgConn().PID() || int32(pid) < 0 {
		t.Errorf("forwarded %d, want %d", int32(pid), conn.PgConn().PID())
	}
}

// TestClientGone closes the connection of a statement that sends nothing.
func TestClientGone(t *testing.T) {
	f := start(t, nil)
	c := f.raw(t)
	c.Send(&pgproto3.Query{String: "sleep"})
	if err := c.Flush(); err != nil {
		t.Fatal(err)
	}
	<-f.sql.sleeping
	c.conn.Close()
	eventually(t, "the session has ended", func() bool { return f.sql.closed() == 1 })
}

// TestSlowClient does not read: its statement must stop, not the node's memory grow.
func TestSlowClient(t *testing.T) {
	f := start(t, nil)
	c := f.raw(t)
	const rows = 3_000_000
	c.Send(&pgproto3.Query{String: fmt.Sprint("rows ", rows)})
	if err := c.Flush(); err != nil {
		t.Fatal(err)
	}
	// The socket holds some megabytes; what follows waits for the client.
	eventually(t, "rows are on their way", func() bool { return f.sql.rowsSent.Load() > 0 })
	other := f.connect(t, "")
	if _, err := other.Exec(testContext(t), "insert"); err != nil {
		t.Errorf("another client beside a slow one: %v", err)
	}
	n := 0
	for {
		m, err := c.Receive()
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := m.(*pgproto3.DataRow); ok {
			n++
		}
		if _, ok := m.(*pgproto3.ReadyForQuery); ok {
			break
		}
	}
	if n != rows {
		t.Errorf("got %d rows, want %d", n, rows)
	}
}

func TestValidate(t *testing.T) {
	err := (&Config{Listen: "nowhere", RequireTLS: true}).Validate()
	for _, want := range []string{"host:port", "certificate", "credentials", "salt", "SQL server", "max connections", "logger", "cluster id"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Validate() = %v, want it to name %q", err, want)
		}
	}
}

func TestPortInUse(t *testing.T) {
	f := start(t, nil)
	cfg := f.cfg
	cfg.Listen = f.Addr().String()
	if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), "listen for SQL on "+cfg.Listen) {
		t.Errorf("New on a port in use = %v", err)
	}
}

func BenchmarkPreparedPointStatement(b *testing.B) {
	f := start(b, nil)
	conn := f.connect(b, "")
	ctx := context.Background()
	if _, err := conn.Prepare(ctx, "p", "echo int8,text"); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		var i int64
		var s string
		if err := conn.QueryRow(ctx, "p", int64(7), "value").Scan(&i, &s); err != nil {
			b.Fatal(err)
		}
	}
}
