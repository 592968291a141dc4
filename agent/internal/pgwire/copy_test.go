package pgwire

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

func data(text string) *pgproto3.CopyData { return &pgproto3.CopyData{Data: []byte(text)} }

func TestCopySimple(t *testing.T) {
	f := start(t, nil)
	c := f.raw(t)
	query := func(text string) *pgproto3.Query { return &pgproto3.Query{String: text} }
	done := &pgproto3.CopyDone{}
	expect(t, "out", c.do(query("copyout")), "copyout 0 [0 0]", "data a\tb\n", "copydone", "COPY 1", "ready I")
	expect(t, "in", c.do(query("copyin"), data("ab"), data("c"), done), "copyin 1 [1 1]", "COPY 3", "ready I")
	expect(t, "Sync and Flush are nothing", c.do(query("copyin"), data("ab"), &pgproto3.Sync{}, &pgproto3.Flush{}, data("c"), done), "copyin 1 [1 1]", "COPY 3", "ready I")
	expect(t, "given up", c.do(query("copyin"), data("ab"), &pgproto3.CopyFail{Message: "why"}), "copyin 1 [1 1]", "ERROR 57014", "ready I")
	expect(t, "an error in the middle", c.do(query("copyin"), data("ab"), data("bad"), data("c"), done), "copyin 1 [1 1]", "ERROR 22P02", "ready I")
	expect(t, "afterwards", c.do(query("insert")), "INSERT 0 1", "ready I")
	expect(t, "with others", c.do(query("insert; copyin; insert"), data("ab"), done), "INSERT 0 1", "copyin 1 [1 1]", "COPY 2", "INSERT 0 1", "ready I")
	expect(t, "something else", c.do(query("copyin"), data("ab"), query("insert")), "copyin 1 [1 1]", "ERROR 08P01", "ready I")
	expect(t, "in a failed one", c.do(query("begin; fail; copyin")), "BEGIN", "ERROR 22012", "ready E")
}

func TestCopyExtended(t *testing.T) {
	f := start(t, nil)
	c := f.raw(t)
	run, sync := &pgproto3.Execute{}, &pgproto3.Sync{}
	c.do(&pgproto3.Parse{Name: "c", Query: "copyin"}, sync)
	bind := &pgproto3.Bind{PreparedStatement: "c"}
	// libpq's way: a Sync behind Execute, which counts for nothing, and another at the end.
	expect(t, "in", c.do(bind, run, sync, data("ab"), &pgproto3.CopyDone{}, sync), "bound", "copyin 1 [1 1]", "COPY 2", "ready I")
	expect(t, "an error", c.do(bind, run, sync, data("bad"), data("x"), &pgproto3.CopyDone{}, sync), "bound", "copyin 1 [1 1]", "ERROR 22P02", "ready I")
	expect(t, "afterwards", c.do(bind, run, sync, data("ab"), &pgproto3.CopyDone{}, sync), "bound", "copyin 1 [1 1]", "COPY 2", "ready I")
}

// TestCopyClients: pgx copies, with much data, and is as good as before when it is cancelled
// while it keeps the node waiting.
func TestCopyClients(t *testing.T) {
	f := start(t, nil)
	conn := f.connect(t, "").PgConn()
	ctx := testContext(t)
	for range 2 {
		tag, err := conn.CopyFrom(ctx, bytes.NewReader(make([]byte, 1<<20)), "copyin")
		if err != nil || tag.String() != "COPY 1048576" {
			t.Fatalf("copy = %s, %v", tag, err)
		}
		r, w := io.Pipe()
		failed := make(chan error, 1)
		go func() {
			_, err := conn.CopyFrom(ctx, r, "copyin")
			failed <- err
		}()
		if _, err := w.Write([]byte("abc")); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the data arrives", func() bool { return f.sql.copied.Load() == 3 })
		if err := conn.CancelRequest(ctx); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil { // pgx waits for its reader before it tells
			t.Fatal(err)
		}
		var e *pgconn.PgError
		err = <-failed
		if !errors.As(err, &e) || e.Code != "57014" {
			t.Fatalf("cancelled copy = %v", err)
		}
	}
	var out bytes.Buffer
	if _, err := conn.CopyTo(ctx, &out, "copyout"); err != nil || out.String() != "a\tb\n" {
		t.Fatalf("copied %q, %v", out.String(), err)
	}
}

// TestCopyClientLeaves: the statement ends with its client.
func TestCopyClientLeaves(t *testing.T) {
	f := start(t, nil)
	c := f.raw(t)
	c.Send(&pgproto3.Query{String: "copyin"})
	c.Send(data("ab"))
	if err := c.Flush(); err != nil {
		t.Fatal(err)
	}
	if m, err := c.Receive(); err != nil || word(m) != "copyin 1 [1 1]" {
		t.Fatal(m, err)
	}
	if err := c.conn.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the session ends", func() bool {
		f.sql.mu.Lock()
		defer f.sql.mu.Unlock()
		return f.sql.mu.closed == 1
	})
}
