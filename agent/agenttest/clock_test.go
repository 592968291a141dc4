package agenttest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// needClocks skips a test if the agent is a production build: its clock cannot be
// moved.
func needClocks(t *testing.T) {
	t.Helper()
	b, err := os.ReadFile(FindBinaries(t).Agent)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(b, []byte(clockFileVariable)) {
		t.Skip("clocks can be moved in builds with the tag invariants only: make checked, and NODEDB_BIN")
	}
}

// broken returns the nodes about which a rule of check complains.
func (c *Cluster) broken(code string) ([]int, error) {
	var report struct {
		Rules []struct {
			Code, Severity string
			Nodes          []int
		}
	}
	r := c.TryCtl("check", "-o", "json")
	if err := json.Unmarshal([]byte(r.Stdout), &report); err != nil || len(report.Rules) == 0 {
		return nil, fmt.Errorf("check: exit %d, %w: %s%s", r.Code, err, r.Stdout, r.Stderr)
	}
	var nodes []int
	for _, r := range report.Rules {
		if r.Code == code && r.Severity != "ok" && r.Severity != "unknown" {
			nodes = append(nodes, r.Nodes...)
		}
	}
	slices.Sort(nodes)
	return nodes, nil
}

func (c *Cluster) waitBroken(code string, want ...int) {
	c.t.Helper()
	Eventually(c.t, StartTimeout, fmt.Sprintf("check tells %s of nodes %v", code, want), func() error {
		got, err := c.broken(code)
		if err == nil && !slices.Equal(got, want) {
			err = fmt.Errorf("it tells it of %v", got)
		}
		return err
	})
}

// TestClocksThatJump: two of three clocks are set an hour ahead and back, one of
// their nodes is restarted meanwhile, another clock is set back. Writes go on, nodes
// stay ready, check says whose clock it is, and nothing is lost.
func TestClocksThatJump(t *testing.T) {
	needClocks(t)
	c := Start(t, Options{Ranges: 8})
	l := c.StartLedger(3)
	l.Advance(30, 30*time.Second)
	c.Node(1).SetClock(time.Hour)
	c.Node(2).SetClock(time.Hour)
	c.waitBroken("CLOCK_STEPPED", 1, 2)
	for _, n := range c.Nodes() {
		if code, body, err := n.HTTP("/healthz"); err != nil || code != 200 {
			t.Errorf("%s is not ready while clocks are wrong: %d %s %v", n.Name, code, body, err)
		}
	}
	l.Advance(100, 30*time.Second)

	c.Node(2).Kill()
	c.Node(2).Start()
	c.waitBroken("CLOCK_STEPPED", 1, 2)
	c.Node(3).SetClock(-time.Hour)
	l.Advance(100, 30*time.Second)
	c.waitBroken("CLOCK_STEPPED", 1, 2, 3)
	why := c.Ctl("members", "why", "n1")
	for _, want := range []string{"clock.stepped", "1h0m0s"} {
		if !strings.Contains(why, want) {
			t.Errorf("members why does not say %q:\n%s", want, why)
		}
	}

	for _, n := range c.Nodes() {
		n.SetClock(0)
	}
	for _, code := range []string{"CLOCK_STEPPED", "CLOCK_AHEAD", "CLOCK_UNSETTLED", "CLOCK_SKEW"} {
		c.waitBroken(code)
	}
	l.Advance(100, 30*time.Second)
	gap, errs := l.Stop()
	t.Logf("longest wait of a writer: %s", gap)
	for _, e := range errs {
		t.Errorf("a statement met %s", e)
	}
	l.Check(c.Node(1))
}
