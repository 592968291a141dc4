package bench

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/nodedb/nodedb/agent/agenttest/bench/systems"
)

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
	// A client's patience, as applications set it: a node that hangs is left.
	sctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	_, err := w.conn.Exec(sctx, "UPDATE bench SET v = $2 WHERE id = $1", w.id, systems.Payload)
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

func (w *sqlWriter) close() {
	if w.conn != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = w.conn.Close(ctx)
	}
}

// writers are clients that update one row each; their rows lie in many ranges.
func (b *bench) writers(t *testing.T, urls []string) (ws []writer, done func()) {
	t.Helper()
	for i := range faultWriters {
		w := &sqlWriter{urls: urls, id: int64(i), turn: i}
		ws = append(ws, w)
		if err := w.write(t.Context()); err != nil {
			t.Fatalf("first write: %v", err)
		}
	}
	return ws, func() {
		for _, w := range ws {
			if s, ok := w.(*sqlWriter); ok {
				s.close()
			}
		}
	}
}
