package agenttest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	alterWriters = 8  // clients that write while the table is changed
	alterRows    = 10 // rows that each of them counts up
)

// alters changes a table while clients of all nodes write to it: nothing of what any of
// them writes is lost, and no session sees a half of a change.
func alters(t *testing.T, c *Cluster) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	c.sql("CREATE TABLE alt (id int8 PRIMARY KEY, n int4)")
	c.sql(fmt.Sprintf("INSERT INTO alt SELECT g, 0 FROM generate_series(1, %d) g", alterWriters*alterRows))
	stop, done := make(chan struct{}), make([]*altWriter, alterWriters)
	var wg sync.WaitGroup
	for i := range done {
		w := &altWriter{t: t, first: 1 + int64(i)*alterRows, made: 1_000_000 * int64(1+i), added: map[int64]int{}}
		conn, err := c.Nodes()[i%3].Connect(ctx)
		if err != nil {
			t.Fatal(err)
		}
		w.conn, done[i] = conn, w
		wg.Go(func() {
			defer func() { _ = conn.Close(context.Background()) }()
			w.write(ctx, stop)
		})
	}
	s := &txSessions{t: t, ctx: ctx}
	conn, err := c.Nodes()[0].Connect(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	s.conns = append(s.conns, conn)
	for _, change := range alterations {
		s.want(0, "", change)
	}
	close(stop)
	wg.Wait()
	inserted := 0
	for _, w := range done {
		inserted += w.inserted
		for id, n := range w.added {
			s.want(0, fmt.Sprintf("%d %d", n, id), fmt.Sprintf("SELECT n, b FROM alt WHERE id = %d", id))
		}
	}
	s.want(0, fmt.Sprint(alterWriters*alterRows+inserted), "SELECT count(*) FROM alt")
	s.want(0, fmt.Sprint(inserted), "SELECT count(*) FROM alt WHERE id > 1000 AND n = 1 AND b IN (7, 9) AND d = 'd'")
	t.Logf("%d writers have inserted %d rows", alterWriters, inserted)
	s.want(0, "", "COMMENT ON COLUMN alt.d IS 'never null'")
	if out := psql(t, c.Node(2), `\d+ alt`); !strings.Contains(out, "never null") || !strings.Contains(out, "b|bigint|||9") || !strings.Contains(out, "d|text||not null|'d'") {
		t.Errorf("psql's \\d: %s", out)
	}
}

// alterations are what becomes of the table, and forms all that may be seen of it.
var (
	alterations = []string{
		"ALTER TABLE alt ADD COLUMN a int4 DEFAULT 7",
		"UPDATE alt SET a = id WHERE id <= 1000",
		"ALTER TABLE alt RENAME a TO b",
		"ALTER TABLE alt ALTER b TYPE int8, ALTER n TYPE int8, ALTER b SET DEFAULT 9",
		"BEGIN; ALTER TABLE alt ADD c text, ADD d text NOT NULL DEFAULT 'd'; UPDATE alt SET c = 'c' WHERE id <= 20; COMMIT",
		"ALTER TABLE alt DROP COLUMN c",
		"UPDATE alt SET d = 'd' WHERE id <= 20",
		"ALTER TABLE alt ALTER b SET DEFAULT 7, ADD e int4",
		"ALTER TABLE alt DROP e, ALTER b SET DEFAULT 9",
	}
	alterForms = []string{"id n", "id n a", "id n b", "id n b c d", "id n b d", "id n b d e"}
)

// altWriter writes its own rows of the table.
type altWriter struct {
	t        *testing.T
	conn     *pgx.Conn
	first    int64 // of the rows that it counts up
	made     int64 // the last row that it has inserted
	inserted int
	added    map[int64]int // by the row
}

// write counts its rows up and inserts others, in transactions and without, until stop.
func (w *altWriter) write(ctx context.Context, stop <-chan struct{}) {
	for i := int64(0); ; i++ {
		select {
		case <-stop:
			return
		default:
		}
		id := w.first + i%alterRows
		if i%2 == 0 {
			if w.run(ctx, fmt.Sprintf("BEGIN; UPDATE alt SET n = n + 1 WHERE id = %d; INSERT INTO alt (id, n) VALUES (%d, 1); COMMIT", id, w.made+1)) {
				w.added[id]++
				w.inserted++
			}
			w.made++
		} else if _, err := w.conn.Exec(ctx, "UPDATE alt SET n = n + 1 WHERE id = $1", id); w.ok(err) {
			w.added[id]++
		}
		w.look(ctx, id)
	}
}

func (w *altWriter) run(ctx context.Context, text string) bool {
	_, err := w.conn.PgConn().Exec(ctx, text).ReadAll()
	if !w.ok(err) {
		_, _ = w.conn.PgConn().Exec(ctx, "ROLLBACK").ReadAll()
		return false
	}
	return true
}

// ok reports whether a statement has succeeded; if not, it must have been told to try
// again.
func (w *altWriter) ok(err error) bool {
	var e *pgconn.PgError
	if err != nil && (!errors.As(err, &e) || e.Code != "40001") {
		w.t.Errorf("a writer: %v", err)
	}
	return err == nil
}

// look reads a row, all columns of it.
func (w *altWriter) look(ctx context.Context, id int64) {
	results, err := w.conn.PgConn().Exec(ctx, fmt.Sprintf("SELECT * FROM alt WHERE id = %d", id)).ReadAll()
	if !w.ok(err) {
		return
	}
	var names []string
	for _, f := range results[0].FieldDescriptions {
		names = append(names, f.Name)
	}
	if form := strings.Join(names, " "); !slices.Contains(alterForms, form) {
		w.t.Errorf("a session sees the columns %s", form)
	}
	if len(results[0].Rows) != 1 || len(results[0].Rows[0]) != len(names) {
		w.t.Errorf("a session sees the rows %q of id %d", results[0].Rows, id)
	}
}
