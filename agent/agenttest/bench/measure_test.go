package bench

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestClosedLoop(t *testing.T) {
	var calls atomic.Int64
	m := closedLoop(t.Context(), 4, 50*time.Millisecond, ownCPU, func(ctx context.Context, _, seq int) error {
		calls.Add(1)
		waitUntil(ctx, time.Now().Add(time.Millisecond))
		if seq == 0 {
			return errors.New("planted")
		}
		return nil
	})
	if m.Ops == 0 || m.Ops > int(calls.Load()) || m.Failed != 4 || m.FirstErr == nil || m.P50 < time.Millisecond || m.P99 < m.P50 || m.Elapsed < 50*time.Millisecond {
		t.Errorf("closedLoop = %+v after %d calls", m, calls.Load())
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

func TestPaced(t *testing.T) {
	w := &stuckWriter{until: time.Now().Add(250 * time.Millisecond)}
	g := paced(t.Context(), []writer{w}, time.Millisecond, 600*time.Millisecond, func() {})
	if g.Longest < 240*time.Millisecond || g.Sessions != 1 || g.Failed == 0 || g.Affected != 1 || g.Acked == 0 || g.Errors["stuck"] != g.Failed {
		t.Errorf("paced = %+v", g)
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

func TestParseStat(t *testing.T) {
	text := []byte("77 (a) b (c) S 70 1 70 0 -1 4194560 9 9 9 9 150 50 0 0 20 0 1 0 100 1000000 25 18446744073709551615 0")
	pid, parent, u, err := parseStat(text)
	if err != nil || pid != 77 || parent != 70 || u.CPU != 2*time.Second || u.RSS != 25*int64(os.Getpagesize()) {
		t.Errorf("parseStat = %d, %d, %+v, %v", pid, parent, u, err)
	}
	for _, bad := range []string{"", "1 (x", "1 (x) S 1", "x (x) S 1 70 70 0 -1 4194560 9 9 9 9 150 50 0 0 20 0 1 0 100 1000000 25 1"} {
		if _, _, _, err := parseStat([]byte(bad)); err == nil {
			t.Errorf("parseStat(%q) found no fault", bad)
		}
	}
}

func TestTable(t *testing.T) {
	tb := table{}
	tb.add(line{What: "writes", Figure: rate(measured{Ops: 24690, Elapsed: 2 * time.Second, P50: 1500 * time.Microsecond, P99: 20 * time.Millisecond}),
		Value: 12345, Peers: map[string]float64{"postgres": 24690}, Target: "2x", Verdict: judge(false)})
	var out bytes.Buffer
	if err := tb.print(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"12,345/s, p50 1.50 ms, p99 20 ms", "postgres 24,690 (0.50x)", "MISSED"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the table has no %q:\n%s", want, out.String())
		}
	}
}

func TestTreeUsage(t *testing.T) {
	own, _ := treeUsage(os.Getpid())
	if own.RSS == 0 {
		t.Error("this process uses no memory")
	}
	if _, descendants := treeUsage(os.Getppid()); descendants.RSS < own.RSS/2 {
		t.Errorf("the parent's descendants use %d bytes, this process alone %d", descendants.RSS, own.RSS)
	}
	if !descends(map[int]int{4: 3, 3: 2, 2: 1}, 4, 2) || descends(map[int]int{4: 3, 3: 4}, 4, 2) {
		t.Error("descends is wrong")
	}
}
