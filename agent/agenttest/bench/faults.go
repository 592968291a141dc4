package bench

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/agenttest"
	"github.com/nodedb/nodedb/agent/agenttest/bench/figures"
)

const (
	faultWriters = 24
	// faultPace makes 1,200 writes a second: about half of what a small machine
	// does with so many clients, so that a gap is the event's and not a queue's.
	faultPace = 20 * time.Millisecond
	// settle is how long the writers go on before and after an event.
	settle = 3 * time.Second
)

// fault is something that happens to a cluster under load.
type fault struct {
	name   string
	rounds int
	urls   []string // where the writers connect
	// lasts is about how long event takes: the calm run is as long.
	lasts time.Duration
	event func()
	// restore brings the cluster back to what it was.
	restore func()
	// targets by metric, for rows of the table that have one.
	targets map[string]*figures.Target
}

// planned are the targets of what is announced: nobody should notice.
func planned() map[string]*figures.Target {
	return map[string]*figures.Target{"above calm": {Reach: 40}, "failed": {Reach: 0}, "p99 / calm": {Reach: 2}}
}

func (b *bench) setUpFaults(t *testing.T) {
	b.c, b.ours = b.cluster(t, ranges)
	b.must(t, b.ours.SetUp(t.Context(), 1000))
}

// suffer measures a calm run and one with the fault, round by round.
func (b *bench) suffer(t *testing.T, f fault) {
	t.Helper()
	var longest, calmLongest, above, p99, ratio []float64
	failed, sessions := 0, 0
	for round := range f.rounds {
		ws, done := b.writers(t, f.urls)
		calm := paced(t.Context(), ws, faultPace, settle, func() { waitUntil(t.Context(), time.Now().Add(f.lasts)) })
		g := paced(t.Context(), ws, faultPace, settle, f.event)
		done()
		fmt.Fprintf(os.Stdout, "    round %d of %d: longest %s (calm %s), %d writes, failed %d %v\n",
			round+1, f.rounds, g.Longest.Round(time.Millisecond), calm.Longest.Round(time.Millisecond), g.Acked, g.Failed, g.Errors)
		longest, calmLongest = append(longest, inMS(g.Longest)), append(calmLongest, inMS(calm.Longest))
		above = append(above, max(0, inMS(g.Longest-calm.Longest)))
		p99, ratio = append(p99, inMS(g.P99)), append(ratio, inMS(g.P99)/inMS(calm.P99))
		failed, sessions = failed+g.Failed, sessions+g.Sessions
		if f.restore != nil {
			f.restore()
		}
	}
	for _, m := range []struct {
		name, unit string
		rounds     []float64
	}{
		{"longest gap", "ms", longest},
		{"calm", "ms", calmLongest},
		{"above calm", "ms", above},
		{"failed", "", []float64{float64(failed)}},
		{"sessions ended", "", []float64{float64(sessions)}},
		{"p99", "ms", p99},
		{"p99 / calm", "x", ratio},
	} {
		fig := figures.Of(b.step, f.name, figures.Ours, m.name, m.unit, figures.Less, m.rounds...)
		fig.Target = f.targets[m.name]
		b.add(t, fig)
	}
}

func (b *bench) drain(t *testing.T) {
	var took []float64
	b.suffer(t, fault{
		name: "drain", rounds: b.opts.Faults, urls: b.ours.URLs, lasts: 2 * time.Second, targets: planned(),
		event: func() {
			r := b.c.TryCtl("drain", "n2", "--lb-wait", "0s", "--deadline", "60s")
			took = append(took, r.Took.Seconds())
			if r.Code != 0 {
				t.Errorf("drain: exit %d\n%s%s", r.Code, r.Stdout, r.Stderr)
			}
		},
		restore: func() {
			b.c.Ctl("undrain", "n2")
			b.c.Node(2).WaitReady()
			b.balance(t, 2)
		},
	})
	b.add(t, figures.Of(b.step, "drain", figures.Ours, "took", "s", figures.Less, took...))
}

func (b *bench) sigterm(t *testing.T) {
	b.balance(t, 2)
	b.suffer(t, fault{
		name: "SIGTERM", rounds: b.opts.Faults, urls: b.ours.URLs, lasts: 2 * time.Second, targets: planned(),
		event: func() {
			if code := b.c.Node(2).Terminate(); code != 0 {
				t.Errorf("SIGTERM: exit %d\n%s", code, b.c.Node(2).LogTail(20))
			}
		},
		restore: func() { b.bringBack(t, 2) },
	})
}

// kill ends a node that leads about a third of the ranges. The writers' own
// nodes live on, so that the gap is the ranges'.
func (b *bench) kill(t *testing.T) {
	b.balance(t, 3)
	b.suffer(t, fault{
		name: "kill -9", rounds: b.opts.Faults, urls: b.ours.URLs[:2], lasts: 0, event: b.c.Node(3).Kill,
		targets: map[string]*figures.Target{"longest gap": {Reach: 1500, Aim: 1000}},
		restore: func() { b.bringBack(t, 3) },
	})
}

// bringBack starts a node, and waits until it has caught up and leads again.
func (b *bench) bringBack(t *testing.T, node int) {
	t.Helper()
	b.c.Node(node).Start()
	b.c.WaitReplicated()
	b.balance(t, node)
}

// balance waits until a node leads its share of the ranges, and moves some to it
// itself: the rebalancer leaves alone what moved a short while ago.
func (b *bench) balance(t *testing.T, node int) {
	t.Helper()
	agenttest.Eventually(t, time.Minute, fmt.Sprintf("n%d leads its share", node), func() error {
		all, err := b.c.List("ranges")
		if err != nil {
			return err
		}
		led := count(all, "leader", node)
		for _, r := range all {
			if led >= len(all)/5 {
				return nil
			}
			if names(r["leader"], node) || !names(r["voters"], node) {
				continue
			}
			if got := b.c.TryCtl("ranges", "transfer", fmt.Sprint(r["id"]), "--to", fmt.Sprintf("n%d", node), "--yes"); got.Code == 0 {
				led++
			}
		}
		return fmt.Errorf("it leads %d of %d ranges", led, len(all))
	})
}

// count is how many ranges have the node in a field.
func count(ranges []map[string]any, field string, node int) (n int) {
	for _, r := range ranges {
		if names(r[field], node) {
			n++
		}
	}
	return n
}

// names reports whether a field of a range's JSON, one node or a list, has this one.
func names(field any, node int) bool {
	if list, ok := field.([]any); ok {
		for _, one := range list {
			if names(one, node) {
				return true
			}
		}
		return false
	}
	text := fmt.Sprint(field)
	return text == fmt.Sprint(node) || text == fmt.Sprintf("n%d", node)
}

// decommission takes away a node that joined, leads its share and holds data,
// while writers go on at the others, and asks for one removal too many.
func (b *bench) decommission(t *testing.T) {
	n4 := b.c.AddNode()
	agenttest.Eventually(t, 5*time.Minute, "n4 holds its share", func() error {
		all, err := b.c.List("ranges")
		if held := count(all, "voters", 4); err == nil && held < len(all)/2 {
			err = fmt.Errorf("it holds %d of %d ranges", held, len(all))
		}
		return err
	})
	b.balance(t, 4)
	var took time.Duration
	b.suffer(t, fault{
		name: "decommission", rounds: 1, urls: b.ours.URLs, lasts: 5 * time.Second, targets: planned(),
		event: func() {
			r := b.c.TryCtl("decommission", "n4", "--yes")
			took = r.Took
			if r.Code != 0 || !strings.Contains(r.Stdout, "0 references to n4") {
				t.Errorf("decommission: exit %d\n%s%s", r.Code, r.Stdout, r.Stderr)
			}
		},
	})
	b.add(t, figures.Of(b.step, "decommission", figures.Ours, "took", "s", figures.Less, took.Seconds()))
	// Its process ends by itself. Whoever starts all nodes again must leave it out:
	// a node that was decommissioned cannot come back.
	if code := n4.WaitExit(time.Minute); code != 0 {
		t.Errorf("n4 ended with code %d after its decommission, want 0\n%s", code, n4.LogTail(20))
	}
	r := b.c.TryCtl("decommission", "n3", "--yes")
	if r.Code != 5 {
		t.Errorf("a decommission that is impossible: exit %d, want 5\n%s%s", r.Code, r.Stdout, r.Stderr)
	}
	b.add(t, figures.Of(b.step, "refusal of what is impossible", figures.Ours, "took", "s", figures.Less, r.Took.Seconds()))
}
