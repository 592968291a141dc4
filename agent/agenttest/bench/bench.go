package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/agenttest"
	"github.com/nodedb/nodedb/agent/agenttest/bench/figures"
	"github.com/nodedb/nodedb/agent/agenttest/bench/systems"
)

// ranges is how many a new cluster has by default.
const ranges = 16

// step is one part of a run.
type step struct {
	figures.Step
	group string
	quick bool // part of the quick run too
	run   func(b *bench, t *testing.T)
}

// bench is one run. Its fields after log are those of the group that runs.
type bench struct {
	opts Options
	log  *figures.Log
	step string // the one that runs
	turn int64  // counts turns: keeps their keys apart

	c    *agenttest.Cluster
	ours *systems.SQL
	// etcd and plainEtcd, and postgres, are nil if they are not measured.
	etcd, plainEtcd *systems.Etcd
	postgres        *systems.Postgres
}

// Run runs the benchmark, prints its tables and writes its figures. It fails if
// something could not be measured: a target that is missed is for people to judge.
func Run(t *testing.T, o Options) {
	out, err := os.Create(o.Out)
	if err != nil {
		t.Fatalf("create the file of figures: %v", err)
	}
	defer func() {
		if err := out.Close(); err != nil {
			t.Error(err)
		}
	}()
	b, begin := &bench{opts: o}, time.Now()
	if b.log, err = figures.NewLog(out, about(t, o)); err != nil {
		t.Fatal(err)
	}
	if err := b.log.PrintRun(os.Stdout); err != nil {
		t.Fatal(err)
	}
	for _, g := range groups() {
		var wanted []step
		for _, s := range steps() {
			if s.group == g.name && o.wants(s) {
				wanted = append(wanted, s)
			}
		}
		if len(wanted) == 0 {
			continue
		}
		// A step that fails ends its group; the next one has a cluster of its own.
		t.Run(g.name, func(t *testing.T) {
			g.setUp(b, t)
			for _, s := range wanted {
				b.runStep(t, s)
			}
		})
	}
	took := time.Since(begin)
	if err := b.log.End(took); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(os.Stdout, "\n%s of measuring; the figures are in %s too\n", took.Round(time.Second), o.Out)
}

// about says where and how the figures are made.
func about(t *testing.T, o Options) figures.Run {
	r := figures.Run{At: time.Now(), CPUs: runtime.NumCPU(), Go: runtime.Version(), Load: loadAverage(), Settings: o.settings(), Versions: map[string]string{}}
	out, err := exec.CommandContext(t.Context(), agenttest.FindBinaries(t).Agent, "version").Output() //nolint:gosec // the binary under test
	if err != nil {
		t.Fatalf("nodedb-agent version: %v", err)
	}
	line, _, _ := strings.Cut(string(out), "\n")
	r.Versions[figures.Ours] = strings.TrimPrefix(line, "nodedb-agent ")
	if path, err := systems.FindEtcd(); err == nil {
		r.Versions["etcd"] = systems.Version(t.Context(), path)
	}
	if dir, err := systems.FindPostgres(); err == nil {
		r.Versions["postgres"] = systems.Version(t.Context(), dir+"/postgres")
	}
	return r
}

func loadAverage() (load float64) {
	if f, err := os.Open("/proc/loadavg"); err == nil {
		defer func() { _ = f.Close() }()
		_, _ = fmt.Fscan(bufio.NewReader(f), &load)
	}
	return load
}

func (b *bench) runStep(t *testing.T, s step) {
	t.Helper()
	b.step = s.Name
	b.must(t, b.log.Step(s.Step))
	fmt.Fprintf(os.Stdout, "\n... %s: %s\n", s.Name, s.Title)
	defer func() { // also of a step that fails
		if err := b.log.PrintStep(os.Stdout, s.Name); err != nil {
			t.Error(err)
		}
	}()
	s.run(b, t)
}

// must ends the group if something could not be done.
func (b *bench) must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// add adds a figure of the step that runs.
func (b *bench) add(t *testing.T, f figures.Figure) {
	t.Helper()
	f.Step = b.step
	b.must(t, b.log.Add(f))
}

// skip says what is not measured, and why.
func (b *bench) skip(t *testing.T, what, why string) {
	t.Helper()
	b.must(t, b.log.Skip(figures.Skip{Step: b.step, What: what, Why: why}))
}

// missing tells peers that are not there, which is no fault, from those that do
// not start.
func (b *bench) missing(t *testing.T, err error) bool {
	t.Helper()
	var m *systems.Missing
	if errors.As(err, &m) {
		fmt.Fprintf(os.Stdout, "not measured: %s\n", m)
		return true
	}
	b.must(t, err)
	return false
}

// cluster starts three nodes. They end with the group.
func (b *bench) cluster(t *testing.T, ranges int) (*agenttest.Cluster, *systems.SQL) {
	t.Helper()
	c := agenttest.Start(t, agenttest.Options{Ranges: ranges})
	s := &systems.SQL{Name: figures.Ours}
	for _, n := range c.Nodes() {
		s.URLs = append(s.URLs, n.URL())
		s.PIDs = append(s.PIDs, n.PID())
	}
	return c, s
}

// waitUntil waits for a moment: what is measured here are spans of time.
func waitUntil(ctx context.Context, when time.Time) {
	timer := time.NewTimer(time.Until(when))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
