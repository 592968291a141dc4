package trial

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/agenttest"
	"github.com/nodedb/nodedb/agent/agenttest/checker"
	"github.com/nodedb/nodedb/agent/agenttest/history"
	"github.com/nodedb/nodedb/agent/agenttest/workload"
)

// Options are what a trial is about.
type Options struct {
	Workloads, Faults string // names, or all
	// Level is the isolation level of explicit transactions; empty: the seed chooses for
	// each workload, and probes of serializable run at that.
	Level string
	Seed  uint64
	For   time.Duration
	// Ranges is how many there are at the start.
	Ranges int
	// Clients of each workload, and how long each waits between two operations.
	Clients int
	Pause   time.Duration
	// Keep is the directory for histories in which something is wrong; All: keep all.
	Keep string
	All  bool
}

// settle is how long a cluster may take to be well again when all faults are over, and
// to answer the last reads.
const settle = 2 * time.Minute

// Run is one trial on a fresh cluster; what is wrong fails the test.
func Run(t *testing.T, o Options) {
	t.Helper()
	again := fmt.Sprintf("go test ./agent/agenttest/trial -run TestTrial -count 1 -v -args -workload %s -fault %s -level '%s' -seed %d -for %s", o.Workloads, o.Faults, o.Level, o.Seed, o.For)
	t.Logf("seed %d; again: %s", o.Seed, again)
	for name, found := range Try(t, o) {
		for _, f := range found {
			t.Errorf("%s: %s", name, f)
		}
	}
	if t.Failed() {
		t.Logf("seed %d; again: %s", o.Seed, again)
	}
}

// Try is one trial on a fresh cluster. It returns what is wrong, by workload.
func Try(t *testing.T, o Options) map[string][]checker.Finding {
	t.Helper()
	ws, err := workload.Named(o.Workloads)
	if err != nil {
		t.Fatal(err)
	}
	fs, err := choose(o.Faults, agenttest.FindBinaries(t).ForTests())
	if err != nil {
		t.Fatal(err)
	}
	c := agenttest.Start(t, agenttest.Options{Ranges: o.Ranges})
	m := &nemesis{t: t, c: c, rng: rand.New(rand.NewPCG(o.Seed, 0)), done: map[string]int{}} //nolint:gosec // a seed that can be repeated
	ctx, cancel := context.WithTimeout(t.Context(), o.For+settle+agenttest.StartTimeout)
	defer cancel()
	var runs []*workload.Run
	for i, w := range ws {
		r, err := workload.Start(ctx, w, workload.Config{
			Nodes: func() []workload.Node { return nodesOf(m) }, Level: levelOf(w, o.Level, m.rng),
			Clients: o.Clients, Seed: o.Seed + uint64(i)*1000, Pause: o.Pause,
		})
		if err != nil {
			t.Fatal(err)
		}
		runs = append(runs, r)
	}
	m.torment(fs, o.For)
	calm(c, m)
	wrong := map[string][]checker.Finding{}
	for _, r := range runs {
		if err := r.Stop(ctx); err != nil {
			t.Error(err)
		}
		if found := judge(t, r, o); len(found) > 0 {
			wrong[r.W.Name()+" at "+r.Level()] = found
		}
	}
	compare(t, c, m)
	causes(t, m)
	t.Logf("faults: %s", counts(m.done))
	return wrong
}

// causes tells what is behind the internal errors that clients were told of, and those
// that they went away from.
func causes(t *testing.T, m *nemesis) {
	t.Helper()
	const most = 5 // of a node: the same happens often
	for _, n := range m.members() {
		lines := append(n.LogWith("statement failed inside"), n.LogWith("statement panicked")...)
		for _, line := range lines[:min(len(lines), most)] {
			t.Errorf("%s: one of %d internal errors: %s", n.Name, len(lines), line)
		}
	}
}

// levelOf is the level of a workload's transactions.
func levelOf(w workload.Workload, level string, rng *rand.Rand) string {
	levels := []string{checker.ReadCommitted, checker.RepeatableRead, checker.Serializable}
	seeded := levels[rng.IntN(len(levels))]
	switch {
	case level != "":
		return level
	case w.Name() == "writeskew" || w.Name() == "predicates":
		return checker.Serializable
	}
	return seeded
}

func nodesOf(m *nemesis) (out []workload.Node) {
	for _, n := range m.members() {
		out = append(out, workload.Node{Name: n.Name, URL: n.URL()})
	}
	if len(out) == 0 { // in the middle of a blackout
		n := m.c.Node(1)
		out = append(out, workload.Node{Name: n.Name, URL: n.URL()})
	}
	return out
}

// calm waits until the cluster is well.
func calm(c *agenttest.Cluster, m *nemesis) {
	for _, n := range m.members() {
		n.WaitReady()
	}
	c.WaitReplicated()
}

// judge checks a history, says what there was in it, and keeps it if it is wrong.
func judge(t *testing.T, r *workload.Run, o Options) []checker.Finding {
	t.Helper()
	began := time.Now()
	ops, found := r.Check()
	outcomes, errs := map[string]int{}, map[string]int{}
	var slowest history.Op
	for _, op := range ops {
		if op.Return != history.Never && op.Return-op.Call >= slowest.Return-slowest.Call {
			slowest = op
		}
		outcomes[string(op.Outcome)]++
		if op.Error != "" {
			errs[shorten(op.Error)]++
		}
	}
	t.Logf("%s at %s: %s; checked in %s; slowest T%d, %s in %s; errors: %s", r.W.Name(), r.Level(), counts(outcomes), time.Since(began).Round(time.Millisecond),
		slowest.ID, slowest.Kind, (slowest.Return - slowest.Call).Round(time.Millisecond), counts(errs))
	if outcomes[string(history.OK)] == 0 {
		t.Errorf("%s: no operation succeeded: nothing was tried", r.W.Name())
	}
	found = append(found, refusals(ops)...)
	if len(found) == 0 && !o.All && !t.Failed() {
		return nil
	}
	path, err := history.Save(cmp.Or(o.Keep, filepath.Join(os.TempDir(), "nodedb-histories")), fmt.Sprintf("%s-%d-%d", r.W.Name(), o.Seed, os.Getpid()), ops)
	if err != nil {
		t.Error(err)
	}
	t.Logf("%s: its history is kept in %s", r.W.Name(), path)
	return found
}

// refusals finds statements that were refused for what they say, or by a fault of ours: those
// of a workload are right, whatever fails beneath them.
func refusals(ops []history.Op) (found []checker.Finding) {
	seen := map[string]bool{}
	for _, op := range ops {
		code := shorten(op.Error)
		if op.Error == "" || seen[code] || !strings.HasPrefix(code, "42") && code != "XX000" {
			continue
		}
		seen[code] = true
		found = append(found, checker.Finding{Name: "refused", What: fmt.Sprintf("T%d (%s) was refused: %s", op.ID, op.Kind, op.Error), Ops: []history.Op{op}})
	}
	return found
}

// shorten leaves of an error what is the same for many.
func shorten(text string) string {
	if i := strings.Index(text, "SQLSTATE "); i >= 0 {
		return strings.TrimSuffix(text[i+len("SQLSTATE "):], ")")
	}
	for _, known := range []string{"timeout", "unexpected EOF", "reset by peer", "conn closed", "broken pipe", "refused", "nothing to do"} {
		if strings.Contains(text, known) {
			return known
		}
	}
	return text[:min(len(text), 60)]
}

func counts(m map[string]int) string {
	if len(m) == 0 {
		return "none"
	}
	var out []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, fmt.Sprintf("%d %s", m[k], k))
	}
	return strings.Join(out, ", ")
}

// compare wants all replicas of each range to hold the same.
func compare(t *testing.T, c *agenttest.Cluster, m *nemesis) {
	t.Helper()
	for _, r := range m.ranges() {
		id := fmt.Sprint(r["id"])
		if !strings.HasPrefix(id, "r") {
			id = "r" + id
		}
		agenttest.Eventually(t, time.Minute, id+" is compared", func() error {
			v := c.TryCtl("ranges", "verify", id)
			if v.Code == 10 {
				t.Errorf("the replicas of %s differ: %s", id, v.Stdout)
				return nil
			}
			if v.Code != 0 {
				return fmt.Errorf("exit %d: %s%s", v.Code, v.Stdout, v.Stderr)
			}
			return nil
		})
	}
}
