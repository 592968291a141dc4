package sql

import (
	"context"
	"io"
	"strings"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// copySink is a client that takes and gives the data of COPY.
type copySink struct {
	textSink
	in      []string
	next    func() // before each piece
	out     strings.Builder
	asked   bool
	binary  bool
	columns int
}

func (s *copySink) CopyOut(binary bool, columns int) error {
	s.binary, s.columns = binary, columns
	return nil
}

func (s *copySink) CopyData(data []byte) error {
	s.out.Write(data)
	return nil
}

func (s *copySink) CopyDone() error {
	s.out.WriteString("done ")
	return nil
}

func (s *copySink) CopyIn(_ context.Context, binary bool, columns int) error {
	s.asked, s.binary, s.columns = true, binary, columns
	return nil
}

func (s *copySink) CopyNext(ctx context.Context) ([]byte, error) {
	if s.next != nil {
		s.next()
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if len(s.in) == 0 {
		return nil, io.EOF
	}
	piece := s.in[0]
	s.in = s.in[1:]
	return []byte(piece), nil
}

func (s *copySink) CopyEnd() {}

// copy runs a COPY with data in pieces, and returns what the client got and the tag, or the
// error with its context.
func (c *client) copy(text string, in ...string) string {
	c.t.Helper()
	return c.copyBy(c.t.Context(), &copySink{in: in}, text)
}

func (c *client) copyBy(ctx context.Context, sink *copySink, text string) string {
	c.t.Helper()
	p, err := c.session.Prepare(ctx, text, nil)
	if err != nil {
		c.session.FailTx()
		return errorText(c.t, err)
	}
	tag, err := c.session.Execute(ctx, p, nil, sink)
	if err != nil {
		where := AsError(err).Context
		return strings.TrimSuffix(errorText(c.t, err)+" @ "+where, " @ ")
	}
	return sink.out.String() + tag
}

func (c *client) wantCopy(want, text string, in ...string) {
	c.t.Helper()
	if got := c.copy(text, in...); got != want {
		c.t.Errorf("%s %q\n got: %q\nwant: %q", text, in, got, want)
	}
}

func TestCopy(t *testing.T) {
	f := newFixture(t, nil)
	c := f.open()
	c.want("CREATE TABLE", "create table t (a int primary key, b text, c numeric(4,1) default 7, d int generated always as (a * 2) stored, check (a < 100))")
	c.wantCopy("COPY 2", "copy t from stdin", "1\tx\t1.25", "\n2\t\\N\t3\n")
	c.wantCopy("COPY 1", "copy t (b, a) from stdin csv", "\"y\",3\n")
	c.want("1|x|1.3|2\n2|NULL|3.0|4\n3|y|7.0|6\nSELECT 3", "select * from t where a in (1, 2, 3)")
	c.wantCopy("b,a\nx,1\ndone COPY 1", "copy (select b, a from t where a = 1) to stdout csv header")
	c.wantCopy(`22P02 invalid input syntax for type integer: "q" @ COPY t, line 2, column a: "q"`, "copy t (a) from stdin", "4\nq\n")
	c.wantCopy(`23514 new row for relation "t" violates check constraint "t_a_check" / Failing row contains (400, null, 7.0, 800). @ COPY t, line 1: "400"`, "copy t (a) from stdin", "400\n")
	c.wantCopy(`23505 duplicate key value violates unique constraint "t_pkey" / Key (a)=(3) already exists. @ COPY t, line 2`, "copy t (a) from stdin", "4\n3\n5\n")
	c.wantCopy(`23505 duplicate key value violates unique constraint "t_pkey" / Key (a)=(4) already exists. @ COPY t, line 3`, "copy t (a) from stdin", "4\n5\n4\n")
	c.wantCopy(`42P10 column "d" is a generated column / Generated columns cannot be used in COPY.`, "copy t (d) from stdin")
	c.wantCopy(`42703 column "z" of relation "t" does not exist`, "copy t (z) to stdout")
	c.wantCopy(`42P01 relation "nope" does not exist`, "copy nope from stdin")
	c.wantCopy(`0A000 COPY from a file of the server is not supported`, "copy t from '/etc/passwd'")
	c.wantCopy("COPY 1", "copy t (a) from stdin where a > 5", "4\n6\n")
	c.want("BEGIN", "begin")
	c.wantCopy("COPY 1", "copy t (a) from stdin", "7\n")
	c.want("SAVEPOINT", "savepoint s")
	c.wantCopy(`22P04 extra data after last expected column @ COPY t, line 2: "9	9"`, "copy t (a) from stdin", "8\n9\t9\n")
	c.want("ROLLBACK", "rollback to s")
	c.want("COMMIT", "commit")
	c.want("6\n7\nSELECT 2", "select a from t where a in (4, 6, 7, 8)")
	c.want("BEGIN", "begin read only")
	c.wantCopy("25006 cannot execute COPY FROM in a read-only transaction", "copy t from stdin")
	c.want("ROLLBACK", "rollback")
	if len(f.db.locks.rows) > 0 {
		t.Errorf("locks are left: %v", f.db.locks.rows)
	}
}

// TestCopyOfOthers: who copies needs the rights of who inserts or selects, and rows that are
// not all seen are not copied to.
func TestCopyOfOthers(t *testing.T) {
	f := newFixture(t, nil)
	c := f.open()
	c.want("CREATE TABLE", "create table t (a int primary key, b text)")
	bob := f.open(func(o *SessionOptions) { o.User = "bob" })
	bob.wantCopy("42501 permission denied for table t", "copy t from stdin")
	bob.wantCopy("42501 permission denied for table t", "copy t to stdout")
	c.want("GRANT", "grant insert (a), select (a) on t to bob")
	bob.wantCopy("COPY 1", "copy t (a) from stdin", "1\n")
	bob.wantCopy("42501 permission denied for table t", "copy t from stdin", "2\tx\n")
	bob.wantCopy("42501 permission denied for table t", "copy t (a) from stdin where b is null", "2\n")
	bob.wantCopy("COPY 0", "copy t (a) from stdin where a > 2", "2\n")
	bob.wantCopy("1\ndone COPY 1", "copy t (a) to stdout")
	bob.wantCopy("42501 permission denied for table t", "copy t to stdout")
	c.want("GRANT", "grant all on t to bob")
	c.want("ALTER TABLE", "alter table t enable row level security")
	bob.wantCopy("0A000 COPY FROM not supported with row-level security", "copy t from stdin")
	bob.wantCopy("done COPY 0", "copy t to stdout")
}

// TestCopyIsCancelled: who waits for data does not wait longer than its statement may take,
// and nothing of it is written.
func TestCopyIsCancelled(t *testing.T) {
	f := newFixture(t, nil)
	c := f.open()
	c.want("CREATE TABLE", "create table t (a int primary key)")
	ctx, cancel := context.WithCancel(t.Context())
	sink := &copySink{in: []string{"1\n", "2\n"}}
	sink.next = func() {
		if len(sink.in) == 1 {
			cancel()
		}
	}
	if got, want := c.copyBy(ctx, sink, "copy t from stdin"), "57014 canceling statement due to user request @ COPY t, line 2"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	c.want("SELECT 0", "select * from t")
}

// TestCopySaysHowFarItIs: what pg_stat_progress_copy shows of sessions.
func TestCopySaysHowFarItIs(t *testing.T) {
	f := newFixture(t, nil)
	c := f.open()
	c.want("CREATE TABLE", "create table t (a int)")
	const rows = 1500 // more than are held before they are written
	var seen []cluster.CopyProgress
	look := func() {
		for _, s := range f.server.Sessions() {
			if s.Copy != nil {
				seen = append(seen, *s.Copy)
			}
		}
	}
	data := strings.Repeat("1\n", rows)
	sink := &copySink{in: []string{data, "2\n", "1\n"}, next: look}
	if got := c.copyBy(t.Context(), sink, "copy t from stdin where a = 1"); got != "COPY 1501" {
		t.Fatal(got)
	}
	sizes, done := []int{0, 2 * rows, 2*rows + 2, 2*rows + 4}, []int64{0, 1000, 1000, 1000}
	if len(seen) != len(sizes) {
		t.Fatalf("%d times: %+v", len(seen), seen)
	}
	for i, p := range seen {
		excluded := int64(max(0, min(1, i-1)))
		if !p.From || p.Table == 0 || p.Bytes != int64(sizes[i]) || p.Rows != done[i] || p.Excluded != excluded {
			t.Errorf("before piece %d: %+v", i, p)
		}
	}
	seen = nil
	look()
	if len(seen) > 0 {
		t.Errorf("it is over: %+v", seen)
	}
}

// TestCopyFires: triggers see the rows of COPY as those of INSERT, and refuse them.
func TestCopyFires(t *testing.T) {
	f := newFixture(t, nil)
	c := f.open()
	c.want("CREATE TABLE", "create table t (a int primary key, b text)")
	c.want("CREATE TABLE", "create table log (a int primary key)")
	c.want("CREATE TRIGGER", "create trigger tr after insert on t for each row begin insert into log values (new.a); end")
	c.wantCopy("COPY 2", "copy t from stdin", "1\tx\n2\ty\n")
	c.want("1\n2\nSELECT 2", "select a from log where a in (1, 2)")
}
