package agenttest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

type rebalanceStatus struct {
	Policy     string
	Verdict    string
	Why        string
	Dimensions []struct {
		Name     string
		Min, Max float64
		WouldAct bool
	}
	Nodes []struct {
		Node              int
		Replicas, Leaders int
		Bytes             uint64
		ReadsPerSec       float64
		WritesPerSec      float64
	}
	History []struct {
		Cause, Outcome              string
		GainPredicted, GainAchieved float64
		Operation                   string
	}
}

func (c *Cluster) rebalance() (s rebalanceStatus) {
	c.t.Helper()
	if err := json.Unmarshal([]byte(c.Ctl("rebalance", "status", "-o", "json")), &s); err != nil {
		c.t.Fatal(err)
	}
	return s
}

// leaderOf returns who leads each range, meta range aside.
func (c *Cluster) leaders() map[string]string {
	c.t.Helper()
	ranges, err := c.List("ranges")
	if err != nil {
		c.t.Fatal(err)
	}
	out := map[string]string{}
	for _, r := range ranges {
		if r["meta"] != true {
			out[fmt.Sprint(r["name"])] = fmt.Sprint(r["leader"])
		}
	}
	return out
}

// TestRebalancePlanAndApply piles the leaderships up on one node, by transfers
// that were asked for, while the rebalancer looks away; then plans and applies.
func TestRebalancePlanAndApply(t *testing.T) {
	t.Parallel()
	c := Start(t, Options{})
	l := c.StartLedger(4)
	l.Advance(50, 30*time.Second)
	if got := strings.TrimSpace(c.Ctl("rebalance", "policy", "observe", "-o", "name")); got != "observe" {
		t.Errorf("the policy is %q, want observe", got)
	}
	for r, leader := range c.leaders() {
		if leader == "1" {
			continue
		}
		Eventually(t, 20*time.Second, "n1 has caught up and leads "+r, func() error {
			if out := c.TryCtl("ranges", "transfer", r, "--to", "n1", "--reason", "test"); out.Code != 0 {
				return fmt.Errorf("exit %d: %s%s", out.Code, out.Stdout, out.Stderr)
			}
			return nil
		})
	}
	Eventually(t, 20*time.Second, "the skew is seen", func() error {
		if s := c.rebalance(); s.Verdict != "would-act" {
			return fmt.Errorf("%s: %s", s.Verdict, s.Why)
		}
		return nil
	})
	if r := c.TryCtl("rebalance", "plan", "--goal", "leaders", "--max-moves", "2", "--exit-code"); r.Code != 10 || strings.Count(r.Stdout, "transfer ") != 2 {
		t.Errorf("a plan of two steps: exit %d\n%s%s", r.Code, r.Stdout, r.Stderr)
	}
	plan := strings.TrimSpace(c.Ctl("rebalance", "plan", "--goal", "leaders", "--max-moves", "100", "-o", "name"))
	if again := strings.TrimSpace(c.Ctl("rebalance", "plan", "--goal", "leaders", "--max-moves", "100", "-o", "name")); again != plan {
		t.Errorf("the same cluster gave the plans %s and %s", plan, again)
	}

	// One step goes stale: with --strict nothing is done, without it that one is
	// dropped and explained.
	var shown struct{ Moves []struct{ Range, To int } }
	if err := json.Unmarshal([]byte(c.Ctl("rebalance", "show", plan, "-o", "json")), &shown); err != nil {
		t.Fatal(err)
	}
	first := shown.Moves[0]
	other := 2 + 3 - first.To
	c.Ctl("ranges", "transfer", fmt.Sprintf("r%d", first.Range), "--to", fmt.Sprintf("n%d", other))
	Eventually(t, 10*time.Second, "the plan is stale", func() error {
		if out := c.Ctl("rebalance", "show", plan); !strings.Contains(out, "no longer by n1") {
			return fmt.Errorf("%s", out)
		}
		return nil
	})
	if r := c.TryCtl("rebalance", "apply", plan, "--strict"); r.Code != 8 {
		t.Errorf("a stale plan with --strict: exit %d, want 8\n%s%s", r.Code, r.Stdout, r.Stderr)
	}
	out := c.Ctl("rebalance", "apply", plan, "--reason", "test")
	t.Log(out)
	for _, want := range []string{"succeeded", "proof", "dropped", "gain"} {
		if !strings.Contains(out, want) {
			t.Errorf("the end of the operation does not tell its %s", want)
		}
	}
	if again := c.TryCtl("rebalance", "apply", plan); again.Code != 0 || !strings.Contains(again.Stderr, "nothing to do") {
		t.Errorf("applied twice: exit %d\n%s%s", again.Code, again.Stdout, again.Stderr)
	}
	count := map[string]int{}
	for _, leader := range c.leaders() {
		count[leader]++
	}
	for n, leads := range count {
		if leads < 4 || leads > 7 {
			t.Errorf("n%s leads %d of 16 ranges: %v", n, leads, count)
		}
	}
	s := c.rebalance()
	i := slices.IndexFunc(s.History, func(h struct {
		Cause, Outcome              string
		GainPredicted, GainAchieved float64
		Operation                   string
	}) bool {
		return h.Cause == "request" && h.Outcome == "applied"
	})
	if i < 0 || s.History[i].GainAchieved <= 0 || s.History[i].GainPredicted <= 0 {
		t.Errorf("the history does not tell what was gained: %+v", s.History)
	}
	reads, writes := 0.0, 0.0
	for _, n := range s.Nodes {
		reads, writes = reads+n.ReadsPerSec, writes+n.WritesPerSec
	}
	if reads == 0 || writes == 0 {
		t.Errorf("under load the nodes report %v reads/s and %v writes/s", reads, writes)
	}
	_, errs := l.Stop()
	if len(errs) > 0 {
		t.Errorf("%d statements failed, e.g. %v", len(errs), errs[:min(3, len(errs))])
	}
	l.Check(c.Node(2))
}

// TestJoinedNodeGetsLoad joins a fourth node: without being asked, the cluster
// gives it replicas and leaderships within seconds, but nothing while it is
// cordoned. Then one replica is moved there and back by hand.
func TestJoinedNodeGetsLoad(t *testing.T) {
	t.Parallel()
	c := Start(t, Options{})
	l := c.StartLedger(4)
	l.Advance(50, 30*time.Second)
	c.AddNode()
	began := time.Now()
	Eventually(t, time.Minute, "n4 has its share", func() error {
		for _, n := range c.rebalance().Nodes {
			if n.Node == 4 && n.Replicas >= 8 && n.Leaders >= 2 {
				return nil
			}
		}
		return fmt.Errorf("nodes: %+v", c.rebalance().Nodes)
	})
	t.Logf("n4 had its share after %s", time.Since(began))
	c.Ctl("rebalance", "policy", "off")
	Eventually(t, time.Minute, "the rebalancer has ended what it began", func() error {
		running, err := c.List("ops")
		if err == nil && len(running) > 0 {
			err = fmt.Errorf("%v is %v", running[0]["id"], running[0]["state"])
		}
		return err
	})
	c.Ctl("cordon", "n4")
	ranges, err := c.List("ranges")
	if err != nil {
		t.Fatal(err)
	}
	var name string
	for _, r := range ranges {
		if r["meta"] != true && !strings.Contains(fmt.Sprint(r["voters"]), "4") {
			name = fmt.Sprint(r["name"])
		}
	}
	if name == "" {
		t.Fatal("n4 holds every range")
	}
	refused := c.TryCtl("ranges", "move", name, "--from", "n3", "--to", "n4")
	if refused.Code != 5 || !strings.Contains(refused.Stderr, "uncordon n4") {
		t.Errorf("a move to a cordoned node: exit %d, want 5 and the fix\n%s%s", refused.Code, refused.Stdout, refused.Stderr)
	}
	if out := c.Ctl("ranges", "explain", name); !strings.Contains(out, "is cordoned") {
		t.Errorf("explain does not say that n4 is cordoned:\n%s", out)
	}
	c.Ctl("uncordon", "n4")
	if r := c.TryCtl("ranges", "move", name, "--from", "n3", "--to", "n4", "--dry-run"); r.Code != 0 || !strings.Contains(r.Stdout, "run it") {
		t.Errorf("dry run: exit %d\n%s%s", r.Code, r.Stdout, r.Stderr)
	}
	out := c.Ctl("ranges", "move", name, "--from", "n3", "--to", "n4")
	if !strings.Contains(out, "succeeded") || !strings.Contains(out, "proof") {
		t.Errorf("the move does not tell its proof:\n%s", out)
	}
	t.Log(out)
	l.Advance(50, 30*time.Second)
	_, errs := l.Stop()
	if len(errs) > 0 {
		t.Errorf("%d statements failed, e.g. %v", len(errs), errs[:min(3, len(errs))])
	}
	l.Check(c.Node(4))
}
