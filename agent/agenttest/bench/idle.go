package bench

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/agenttest/bench/figures"
	"github.com/nodedb/nodedb/agent/agenttest/bench/systems"
)

const (
	calmDown = 15 * time.Second // compactions, and what follows a start, end
	watched  = 20 * time.Second
)

func (b *bench) idle(t *testing.T) { b.rest(t, 64, figures.Target{Reach: 1.2, Aim: 0.8}) }

func (b *bench) idle640(t *testing.T) { b.rest(t, 640, figures.Target{Reach: 2, Aim: 1.2}) }

// rest looks at nodes when nobody asks them anything, and at etcd's beside them.
func (b *bench) rest(t *testing.T, ranges int, target figures.Target) {
	_, ours := b.cluster(t, ranges)
	all := map[string][]int{figures.Ours: ours.PIDs}
	names := []string{figures.Ours}
	path, err := systems.FindEtcd()
	if !b.missing(t, err) {
		etcd, err := systems.StartEtcd(t.Context(), path, true)
		b.must(t, err)
		defer etcd.Stop()
		all["etcd TLS"] = etcd.PIDs()
		names = append(names, "etcd TLS")
	}
	waitUntil(t.Context(), time.Now().Add(calmDown))
	cpu := percentOfCore(t.Context(), all)
	for _, name := range names {
		f := figures.Of(b.step, fmt.Sprintf("%d ranges", ranges), name, "CPU of the busiest node", "%", figures.Less, slices.Max(cpu[name]))
		if name == figures.Ours {
			f.Target = &target
		}
		b.add(t, f)
		b.add(t, figures.Of(b.step, f.Case, name, "of each node", "%", figures.Less, cpu[name]...))
		agent, _ := memory(all[name])
		b.add(t, figures.Of(b.step, f.Case, name, "memory", "MiB", figures.Less, agent))
	}
}

// percentOfCore is what each process and its descendants use while watched.
func percentOfCore(ctx context.Context, all map[string][]int) map[string][]float64 {
	used := func() map[int]time.Duration {
		m := map[int]time.Duration{}
		for _, ids := range all {
			for _, id := range ids {
				m[id] = systems.CPUOf(id)()
			}
		}
		return m
	}
	before, begin := used(), time.Now()
	waitUntil(ctx, begin.Add(watched))
	after, lasted := used(), time.Since(begin)
	percent := map[string][]float64{}
	for name, ids := range all {
		for _, id := range ids {
			percent[name] = append(percent[name], 100*float64(after[id]-before[id])/float64(lasted))
		}
	}
	return percent
}

// memory is what the largest process has resident, and the largest sum of one's
// descendants, in MiB.
func memory(pids []int) (own, descendants float64) {
	for _, id := range pids {
		a, d := systems.Tree(id)
		own, descendants = max(own, float64(a.RSS)/(1<<20)), max(descendants, float64(d.RSS)/(1<<20))
	}
	return own, descendants
}
