package agenttest

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// upgradeStatus is what the test reads of kind UpgradeStatus.
type upgradeStatus struct {
	Active      int  `json:"active"`
	Target      int  `json:"target"`
	CanFinalize bool `json:"canFinalize"`
	Nodes       []struct {
		Version string `json:"version"`
		Max     int    `json:"max"`
		Active  int    `json:"active"`
	} `json:"nodes"`
}

func (c *Cluster) upgradeStatus() (s upgradeStatus) {
	c.t.Helper()
	if out := c.Ctl("upgrade", "status", "-o", "json"); json.Unmarshal([]byte(out), &s) != nil || len(s.Nodes) == 0 {
		c.t.Fatalf("upgrade status: %s", out)
	}
	return s
}

// TestRollingUpgrade rolls a cluster under load to a build that has the next
// version, back, and forward again, and finalizes. Nothing fails; then the older
// build does not start.
func TestRollingUpgrade(t *testing.T) {
	t.Parallel()
	next := filepath.Join(filepath.Dir(FindBinaries(t).Agent), "nodedb-agent-next")
	if _, err := os.Stat(next); err != nil {
		t.Skipf("%v: make checked builds it", err)
	}
	c := Start(t, Options{Ranges: 8})
	l := c.StartLedger(3)
	l.Advance(30, 30*time.Second)
	rollAll(c, l, next, 1, 2, 3)
	if s := c.upgradeStatus(); s.Active != 1 || s.Target != 2 || !s.CanFinalize {
		t.Errorf("all nodes run the next build: %+v", s)
	}
	rollAll(c, l, "", 1, 2) // back again: nothing was written that the older build cannot read
	if r := c.TryCtl("upgrade", "finalize", "--yes"); r.Code != 5 || !strings.Contains(r.Stderr, "n1") || !strings.Contains(r.Stderr, "n2") {
		t.Errorf("finalize while two nodes run the older build: exit %d, %s", r.Code, r.Stderr)
	}
	rollAll(c, l, next, 1, 2)
	t.Log(c.Ctl("upgrade", "plan"))
	t.Log(c.Ctl("upgrade", "finalize", "--yes"))
	l.Advance(60, 30*time.Second)
	s := c.upgradeStatus()
	for _, n := range s.Nodes {
		if n.Active != 2 || n.Max != 2 {
			t.Errorf("after finalize: %+v", s)
		}
	}
	if r := c.TryCtl("upgrade", "finalize", "--yes"); r.Code != 0 {
		t.Errorf("finalize again: exit %d, %s", r.Code, r.Stderr)
	}
	refuseOld(t, c, l)
	gap, errs := l.Stop()
	if len(errs) > 0 {
		t.Errorf("%d statements failed, e.g. %v", len(errs), errs[:min(3, len(errs))])
	}
	t.Logf("%d writes acknowledged, longest write gap of one client: %s", l.Acknowledged(), gap)
	l.Check(c.Node(1))
}

// rollAll has nodes run another binary, one after the other.
func rollAll(c *Cluster, l *Ledger, agent string, numbers ...int) {
	c.t.Helper()
	for _, i := range numbers {
		n := c.Node(i)
		c.Ctl("drain", n.Name, "--shutdown", "--lb-wait", "0s")
		if code := n.WaitExit(30 * time.Second); code != 0 {
			c.t.Fatalf("%s ended with code %d after its drain:\n%s", n.Name, code, n.LogTail(20))
		}
		n.Agent = agent
		n.Start()
		c.WaitReplicated()
		l.Advance(15, 30*time.Second)
	}
}

// refuseOld starts a node of a cluster that was finalized with the older build.
func refuseOld(t *testing.T, c *Cluster, l *Ledger) {
	n := c.Node(3)
	next := n.Agent
	c.Ctl("drain", n.Name, "--shutdown", "--lb-wait", "0s")
	n.WaitExit(30 * time.Second)
	n.Agent = ""
	n.StartUnready()
	if code := n.WaitExit(20 * time.Second); code != 78 || !strings.Contains(n.LogTail(3), "too old for its cluster") {
		t.Errorf("the older build: exit %d, want 78 and why: %s", code, n.LogTail(3))
	}
	n.Agent = next
	n.Start()
	Eventually(t, 30*time.Second, "n3 acts upon version 2", func() error {
		for _, n := range c.upgradeStatus().Nodes {
			if n.Active != 2 {
				return fmt.Errorf("%+v", n)
			}
		}
		return nil
	})
	l.Advance(15, 30*time.Second)
}
