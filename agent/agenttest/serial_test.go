package agenttest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// numberedRows inserts rows with a serial key from every node, whatever becomes of the nodes.
type numberedRows struct {
	t      *testing.T
	cancel context.CancelFunc
	wg     sync.WaitGroup
	mu     sync.Mutex
	seen   map[int64]string // by the number: the node that has given it
}

func (c *Cluster) startNumbered(t *testing.T) *numberedRows {
	c.sql("CREATE TABLE numbered (id bigserial PRIMARY KEY, node text)")
	ctx, cancel := context.WithCancel(t.Context())
	s := &numberedRows{t: t, cancel: cancel, seen: map[int64]string{}}
	for _, n := range c.Nodes() {
		s.wg.Go(func() { s.insert(ctx, n) })
	}
	return s
}

// insert writes a row now and then, and connects anew when its node is back.
func (s *numberedRows) insert(ctx context.Context, n *Node) {
	pace := time.NewTicker(20 * time.Millisecond)
	defer pace.Stop()
	var conn *pgx.Conn
	defer func() {
		if conn != nil {
			_ = conn.Close(context.Background())
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return
		case <-pace.C:
		}
		if conn == nil || conn.IsClosed() {
			var err error
			if conn, err = n.Connect(ctx); err != nil {
				conn = nil
				continue
			}
		}
		var id int64
		err := conn.QueryRow(ctx, "INSERT INTO numbered (node) VALUES ($1) RETURNING id", n.Name).Scan(&id)
		var refused *pgconn.PgError
		switch {
		case err == nil:
			s.note(id, n.Name)
		case errors.As(err, &refused) && refused.Code == "23505":
			s.t.Errorf("%s has given a number that is taken: %v", n.Name, err)
		}
	}
}

func (s *numberedRows) note(id int64, node string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if before, taken := s.seen[id]; taken {
		s.t.Errorf("%d was given by %s and by %s", id, before, node)
	}
	s.seen[id] = node
}

// stop ends the clients and wants rows of all nodes.
func (s *numberedRows) stop(nodes int) {
	s.cancel()
	s.wg.Wait()
	by := map[string]int{}
	for _, node := range s.seen {
		by[node]++
	}
	if len(by) != nodes {
		s.t.Errorf("rows were numbered by %v, want some of %d nodes", by, nodes)
	}
	s.t.Logf("rows that each node has numbered: %v", by)
}
