//go:build bench

package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	insertSQL = "INSERT INTO bench (id, v) VALUES ($1, $2)"
	selectSQL = "SELECT v FROM bench WHERE id = $1"
	// preloaded is how many rows point reads choose from.
	preloaded = 20_000
)

// payload is a row's value: 100 bytes, as small rows are.
var payload = strings.Repeat("0123456789", 10)

// sqlSystem is something that speaks PostgreSQL's protocol.
type sqlSystem struct {
	name string
	urls []string // clients are spread over them
	cpu  func() time.Duration
	// batch keeps the keys of runs apart.
	batch int64
}

func (s *sqlSystem) connect(t *testing.T, i int) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.urls[i%len(s.urls)])
	if err != nil {
		t.Fatalf("connect to %s: %v", s.name, err)
	}
	return conn
}

// connections opens one per client, with sql prepared as "s".
func (s *sqlSystem) connections(t *testing.T, n int, sql string) []*pgx.Conn {
	t.Helper()
	conns := make([]*pgx.Conn, n)
	for i := range conns {
		conns[i] = s.connect(t, i)
		if _, err := conns[i].Prepare(t.Context(), "s", sql); err != nil {
			t.Fatalf("prepare on %s: %v", s.name, err)
		}
	}
	return conns
}

func closeAll(conns []*pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	for _, c := range conns {
		_ = c.Close(ctx)
	}
}

func (s *sqlSystem) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	conn := s.connect(t, 0)
	defer func() { _ = conn.Close(context.Background()) }()
	if _, err := conn.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %s: %v", s.name, sql, err)
	}
}

// setUp makes the table and its first rows, ids from 0.
func (s *sqlSystem) setUp(t *testing.T) {
	t.Helper()
	s.exec(t, "CREATE TABLE bench (id int8 PRIMARY KEY, v text)")
	s.load(t, "bench", 0, preloaded)
}

// load inserts rows in statements of 500, by 8 clients.
func (s *sqlSystem) load(t *testing.T, table string, from, rows int) {
	t.Helper()
	const each, clients = 500, 8
	conns := make([]*pgx.Conn, clients)
	errs := make(chan error, clients)
	for i := range conns {
		conns[i] = s.connect(t, i)
	}
	defer closeAll(conns)
	for i, conn := range conns {
		go func() {
			for first := from + i*each; first < from+rows; first += clients * each {
				var b strings.Builder
				fmt.Fprintf(&b, "INSERT INTO %s (id, v) VALUES ", table)
				for id := first; id < min(first+each, from+rows); id++ {
					if id > first {
						b.WriteByte(',')
					}
					fmt.Fprintf(&b, "(%d,'%s')", id, payload)
				}
				if _, err := conn.Exec(t.Context(), b.String()); err != nil {
					errs <- fmt.Errorf("load %s into %s: %w", table, s.name, err)
					return
				}
			}
			errs <- nil
		}()
	}
	for range conns {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
}

// inserts measures prepared INSERTs of new rows.
func (s *sqlSystem) inserts(t *testing.T, clients int, d time.Duration) measured {
	conns := s.connections(t, clients, insertSQL)
	defer closeAll(conns)
	s.batch++
	base := s.batch << 48
	return closedLoop(t.Context(), clients, d, s.cpu, func(ctx context.Context, client, seq int) error {
		_, err := conns[client].Exec(ctx, "s", base|int64(client)<<32|int64(seq), payload)
		return err
	})
}

// selects measures prepared point reads.
func (s *sqlSystem) selects(t *testing.T, clients int, d time.Duration) measured {
	conns := s.connections(t, clients, selectSQL)
	defer closeAll(conns)
	return closedLoop(t.Context(), clients, d, s.cpu, func(ctx context.Context, client, _ int) error {
		var v string
		return conns[client].QueryRow(ctx, "s", rand.Int64N(preloaded)).Scan(&v)
	})
}

// sqlWriter updates one row through any node that answers.
type sqlWriter struct {
	urls []string
	id   int64
	turn int
	conn *pgx.Conn
}

func (w *sqlWriter) write(ctx context.Context) error {
	if w.conn == nil || w.conn.IsClosed() {
		cctx, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		w.turn++
		conn, err := pgx.Connect(cctx, w.urls[w.turn%len(w.urls)])
		if err != nil {
			return err
		}
		w.conn = conn
	}
	sctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	_, err := w.conn.Exec(sctx, "UPDATE bench SET v = $2 WHERE id = $1", w.id, payload)
	return err
}

func (w *sqlWriter) classify(err error) (kind string, ended bool) {
	var pg *pgconn.PgError
	var connect *pgconn.ConnectError
	switch {
	case errors.As(err, &pg):
		return pg.Code, strings.HasPrefix(pg.Code, "57P0")
	case errors.As(err, &connect):
		return "no connection", true // another node is tried at once
	}
	return "connection lost", false
}

// writers are clients that update one row each; their rows lie in many ranges.
func (s *sqlSystem) writers(t *testing.T, n int, urls []string) []writer {
	ws := make([]writer, n)
	for i := range ws {
		w := &sqlWriter{urls: urls, id: int64(i), turn: i}
		ws[i] = w
		if err := w.write(t.Context()); err != nil {
			t.Fatalf("first write to %s: %v", s.name, err)
		}
	}
	t.Cleanup(func() {
		for _, w := range ws {
			if c := w.(*sqlWriter).conn; c != nil {
				_ = c.Close(context.Background())
			}
		}
	})
	return ws
}
