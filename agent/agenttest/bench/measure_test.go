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
	for _, want := range []string{"12,345/s, p50 1.50 ms, p99 20 ms, CPU 0.00 ms", "postgres 24,690 (0.50x)", "MISSED"} {
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

func TestFiguresInWords(t *testing.T) {
	m := measured{Ops: 4, Failed: 1, FirstErr: errors.New("planted"), Elapsed: time.Second, CPU: time.Second}
	if m.cpuPerOp() != 250*time.Millisecond || (measured{}).cpuPerOp() != 0 || !strings.Contains(rate(m), "1 FAILED (planted)") {
		t.Errorf("cpuPerOp = %s, rate = %s", m.cpuPerOp(), rate(m))
	}
	g := gaps{Writers: 3, Affected: 1, Longest: time.Second, Failed: 2, Sessions: 4, Errors: map[string]int{"57P01": 4}}
	for _, want := range []string{"longest 1000 ms", "1 of 3 writers", "4 sessions", "map[57P01:4]"} {
		if !strings.Contains(g.describe(), want) {
			t.Errorf("describe() = %q, want it to say %q", g.describe(), want)
		}
	}
	if a := cpuOf(os.Getpid())(); a < ownCPU() {
		t.Errorf("cpuOf this process = %s, less than what it used itself", a)
	}
}

func TestSave(t *testing.T) {
	path := t.TempDir() + "/table.json"
	tb := table{Lines: []line{{What: "writes", Value: 1.5}}}
	if err := tb.save(path); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(text), `"value": 1.5`) {
		t.Errorf("saved %s, %v", text, err)
	}
	if err := tb.save(""); err != nil {
		t.Errorf("saving nowhere: %v", err)
	}
}
