package agenttest

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// TestCopyAndNotify: what COPY and NOTIFY promise of several nodes, also when one dies.
func TestCopyAndNotify(t *testing.T) {
	t.Parallel()
	c := Start(t, Options{})
	t.Run("Notify", func(t *testing.T) { notifyAcrossNodes(t, c) })
	t.Run("CopyIsAllOrNothing", func(t *testing.T) { copyIsAllOrNothing(t, c) })
	t.Run("NotifyBesideADeadNode", func(t *testing.T) {
		c.Node(2).Kill()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		listener, notifier := c.session(ctx, t, 1), c.session(ctx, t, 3)
		run(ctx, t, listener, "listen ch")
		run(ctx, t, notifier, "notify ch, 'still'")
		hears(ctx, t, listener, "still")
	})
}

// session is a connection for as long as the test.
func (c *Cluster) session(ctx context.Context, t *testing.T, node int) *pgx.Conn {
	t.Helper()
	conn, err := c.Node(node).Connect(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func run(ctx context.Context, t *testing.T, conn *pgx.Conn, statements ...string) {
	t.Helper()
	for _, s := range statements {
		if _, err := conn.Exec(ctx, s); err != nil {
			t.Fatal(s, err)
		}
	}
}

func hears(ctx context.Context, t *testing.T, conn *pgx.Conn, want ...string) {
	t.Helper()
	for i, payload := range want {
		n, err := conn.WaitForNotification(ctx)
		if err != nil || n.Payload != payload {
			t.Fatalf("notification %d is %v, %v, want %q", i, n, err, payload)
		}
	}
}

// notifyAcrossNodes: sessions of all nodes hear what one notifies, after COMMIT, in order.
func notifyAcrossNodes(t *testing.T, c *Cluster) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	listeners := []*pgx.Conn{c.session(ctx, t, 1), c.session(ctx, t, 2), c.session(ctx, t, 3)}
	for _, l := range listeners {
		run(ctx, t, l, "listen ch")
	}
	notifier := c.session(ctx, t, 2)
	var want []string
	for block := range 20 {
		run(ctx, t, notifier, "begin", "notify ch, 'taken back'", "rollback", "begin")
		for i := range 20 {
			want = append(want, fmt.Sprintf("%d.%d", block, i))
			run(ctx, t, notifier, fmt.Sprintf("select pg_notify('ch', '%d.%d')", block, i))
		}
		run(ctx, t, notifier, "notify ch, '"+want[len(want)-1]+"'", "commit")
	}
	for _, l := range listeners {
		hears(ctx, t, l, want...)
	}
}

// copyIsAllOrNothing kills the node that a client copies to in the middle of it, and about
// when it commits.
func copyIsAllOrNothing(t *testing.T, c *Cluster) {
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // a test
	reader := c.session(ctx, t, 1)
	const rows = 20_000
	for round := range 4 {
		key := "primary key"
		if round%2 == 1 {
			key = "" // it is made up
		}
		run(ctx, t, reader, "drop table if exists copied", "create table copied (a int "+key+", b text)")
		conn := c.session(ctx, t, 2)
		data, w := io.Pipe()
		done := make(chan error, 1)
		go func() {
			_, err := conn.PgConn().CopyFrom(ctx, data, "copy copied from stdin")
			_ = data.CloseWithError(io.ErrClosedPipe)
			done <- err
		}()
		at := random.IntN(rows)
		if round > 0 {
			at = rows
		}
		for i := range at {
			if _, err := fmt.Fprintf(w, "%d\trow %d\n", i, i); err != nil {
				t.Fatal(err)
			}
		}
		if at == rows { // COPY has all it needs, and commits
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			pause := time.NewTimer(time.Duration(random.IntN(1500)) * time.Millisecond)
			<-pause.C
		}
		c.Node(2).Kill()
		_ = w.CloseWithError(io.ErrUnexpectedEOF) // pgx waits for its reader
		told := <-done
		Eventually(t, time.Minute, "the rows can be counted", func() error {
			var n int
			if err := reader.QueryRow(ctx, "select count(*) from copied").Scan(&n); err != nil {
				return err
			}
			if n != 0 && n != rows || n == 0 && told == nil || n > 0 && at < rows {
				t.Errorf("round %d: %d of %d rows are there, the client was told %v", round, n, rows, told)
			}
			t.Logf("round %d: %d rows are there, the client was told %v", round, n, told)
			return nil
		})
		c.Node(2).Start()
	}
}
