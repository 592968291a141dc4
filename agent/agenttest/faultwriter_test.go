package agenttest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// faultWriter changes random rows of a few, through one node, until it is told to stop.
type faultWriter struct {
	t       *testing.T
	node    *Node
	rng     *rand.Rand
	acked   *atomic.Int64
	counted *atomic.Int64 // statements that were refused with the code counts
	draw    func(*rand.Rand) string
	counts  string   // SQLSTATE
	also    []string // what else it may be told
}

// mayBeTold is what a writer may be told while nodes die, whatever it writes.
var mayBeTold = []string{"40001", "40P01", "57P01", "57P03", "08006", "40003"}

func (w *faultWriter) write(ctx context.Context, stop <-chan struct{}) {
	for ctx.Err() == nil {
		conn, err := w.node.Connect(ctx)
		for err == nil {
			select {
			case <-stop:
				_ = conn.Close(context.Background())
				return
			default:
			}
			_, err = conn.PgConn().Exec(ctx, w.draw(w.rng)).ReadAll()
			var refused *pgconn.PgError
			switch {
			case err == nil:
				w.acked.Add(1)
			case errors.As(err, &refused):
				switch {
				case refused.Code == w.counts:
					w.counted.Add(1)
				case !slices.Contains(mayBeTold, refused.Code) && !slices.Contains(w.also, refused.Code):
					w.t.Errorf("a writer was told %s %s", refused.Code, refused.Message)
				}
				_, err = conn.PgConn().Exec(ctx, "ROLLBACK").ReadAll()
			}
		}
		select {
		case <-stop:
			return
		default:
		}
	}
}

// throughAKill has writers as the one that is given work on three nodes while one of them is killed, which leads some
// of the ranges and coordinates some of the transactions, and started again. It returns how
// many statements were carried out, and how many were refused with the code that counts.
func throughAKill(ctx context.Context, t *testing.T, c *Cluster, as faultWriter) (done, refused int64) {
	t.Helper()
	seed := time.Now().UnixNano()
	t.Logf("seed %d", seed)
	stop := make(chan struct{})
	var acked, counted atomic.Int64
	var wg sync.WaitGroup
	for i := range 6 {
		w := as
		w.t, w.node, w.acked, w.counted = t, c.Nodes()[i%3], &acked, &counted
		w.rng = rand.New(rand.NewPCG(uint64(seed), uint64(i))) //nolint:gosec // a test's
		wg.Go(func() { w.write(ctx, stop) })
	}
	advance := func() {
		t.Helper()
		from := acked.Load()
		Eventually(t, time.Minute, "writers get on", func() error {
			if n := acked.Load() - from; n < 200 {
				return fmt.Errorf("%d statements", n)
			}
			return nil
		})
	}
	advance()
	killed := c.Nodes()[1]
	killed.Kill()
	advance()
	killed.Start()
	advance()
	close(stop)
	wg.Wait()
	return acked.Load(), counted.Load()
}
