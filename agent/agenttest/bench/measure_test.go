package bench

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

func noCPU() time.Duration { return 0 }

// TestClosedLoopCPU: CPU time is that of all that is done, the warm-up included,
// and is not asked for while clients are at work.
func TestClosedLoopCPU(t *testing.T) {
	var working atomic.Int64
	asked := 0
	m := closedLoop(t.Context(), 3, 20*time.Millisecond, func() time.Duration {
		if asked++; working.Load() != 0 {
			t.Error("CPU was asked for while clients were at work")
		}
		return time.Duration(asked) * time.Second
	}, func(ctx context.Context, _, _ int) error {
		working.Add(1)
		defer working.Add(-1)
		waitUntil(ctx, time.Now().Add(time.Millisecond))
		return nil
	})
	if m.Nodes != time.Second || m.Done <= m.Ops || asked != 2 {
		t.Errorf("closedLoop = %+v, CPU asked for %d times", m, asked)
	}
}

func TestClosedLoop(t *testing.T) {
	var calls atomic.Int64
	m := closedLoop(t.Context(), 4, 50*time.Millisecond, noCPU, func(ctx context.Context, _, seq int) error {
		calls.Add(1)
		waitUntil(ctx, time.Now().Add(time.Millisecond))
		if seq == 0 {
			return errors.New("planted")
		}
		return nil
	})
	if m.Ops == 0 || m.Ops > int(calls.Load()) || m.failed() != 0 || m.FirstErr == nil || m.P50 < time.Millisecond || m.P99 < m.P50 || m.Elapsed < 50*time.Millisecond {
		t.Errorf("closedLoop = %+v after %d calls: a failure during the warm-up is told, and does not count", m, calls.Load())
	}
}

// TestClosedLoopCountsFailures: by SQLSTATE, and only those that count.
func TestClosedLoopCountsFailures(t *testing.T) {
	m := closedLoop(t.Context(), 2, 50*time.Millisecond, noCPU, func(ctx context.Context, client, _ int) error {
		waitUntil(ctx, time.Now().Add(time.Millisecond))
		if client == 1 {
			return &pgconn.PgError{Code: "40001"}
		}
		return nil
	})
	if m.Ops == 0 || m.Errors["40001"] == 0 || m.failed() != m.Errors["40001"] {
		t.Errorf("closedLoop = %+v, want done and 40001", m)
	}
}

// stuckWriter fails for a while and ends a session once.
type stuckWriter struct {
	until time.Time
	ended bool
}

var errEnded, errStuck = errors.New("ended"), errors.New("stuck")

func (w *stuckWriter) write(context.Context) error {
	switch {
	case !w.ended:
		w.ended = true
		return errEnded
	case time.Now().Before(w.until):
		return errStuck
	}
	return nil
}

func (w *stuckWriter) classify(err error) (string, bool) {
	return err.Error(), errors.Is(err, errEnded)
}

// hangingWriter answers when the run ends.
type hangingWriter struct{ stuckWriter }

func (w *hangingWriter) write(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestPaced(t *testing.T) {
	w := &stuckWriter{until: time.Now().Add(250 * time.Millisecond)}
	g := paced(t.Context(), []writer{w}, time.Millisecond, 300*time.Millisecond, func() {})
	if g.Longest < 240*time.Millisecond || g.Sessions != 1 || g.Failed == 0 || g.Acked == 0 || g.Errors["stuck"] != g.Failed {
		t.Errorf("paced = %+v", g)
	}
	if g := paced(t.Context(), []writer{&hangingWriter{}}, time.Millisecond, 100*time.Millisecond, func() {}); g.Longest < 190*time.Millisecond || g.Acked != 0 || g.Failed != 0 {
		t.Errorf("a write that still hangs at the end: %+v, want a gap of the whole run", g)
	}
}

func TestPercentiles(t *testing.T) {
	var all []time.Duration
	for i := range 100 {
		all = append(all, time.Duration(100-i))
	}
	if p50, p99 := percentiles(all); p50 != 51 || p99 != 100 {
		t.Errorf("percentiles of 1..100 = %d, %d; want 51, 100", p50, p99)
	}
	if p50, p99 := percentiles(nil); p50 != 0 || p99 != 0 {
		t.Errorf("percentiles of nothing = %d, %d", p50, p99)
	}
}

func TestMeasured(t *testing.T) {
	m := measured{Ops: 4, Done: 8, Elapsed: 2 * time.Second, Nodes: time.Second}
	if m.perSecond() != 2 || m.each(m.Nodes) != 125 || (measured{}).each(time.Second) != 0 {
		t.Errorf("%+v: %v/s, %v ms each", m, m.perSecond(), m.each(m.Nodes))
	}
}

func TestNames(t *testing.T) {
	rows := []map[string]any{{"leader": float64(2), "voters": []any{float64(1), float64(2)}}, {"leader": "n2"}, {"leader": float64(12), "voters": []any{"n12"}}, {}}
	if led, held := count(rows, "leader", 2), count(rows, "voters", 2); led != 2 || held != 1 {
		t.Errorf("n2 leads %d and holds %d, want 2 and 1", led, held)
	}
}
