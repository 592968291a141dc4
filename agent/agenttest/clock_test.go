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
	t.Parallel()
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
	c.lowerClocks()
	l.Check(c.Node(2))
	c.startAhead(t)
	l.Check(c.Node(3))
}

// storedClock is what nodedb-agent clock says of a stopped node: nothing in its
// store is at notBefore or above.
func (c *Cluster) storedClock(n *Node, args ...string) (r Result, notBefore string) {
	c.t.Helper()
	r = c.try(c.bin.Agent, append([]string{"clock", "--data-dir", n.Dir}, args...)...)
	if _, at, ok := strings.Cut(r.Stdout, ", before "); ok {
		notBefore, _, _ = strings.Cut(at, "\n")
	}
	return r, notBefore
}

func (c *Cluster) killAll() {
	for _, n := range c.Nodes() {
		n.Kill()
	}
}

func (c *Cluster) startAll(offset time.Duration) {
	c.t.Helper()
	for _, n := range c.Nodes() {
		n.SetClock(offset)
		n.StartUnready()
	}
}

// lowerClocks goes through the procedure of docs/OPERATIONS.md. Nothing of the jumps
// is in the stores.
func (c *Cluster) lowerClocks() {
	c.t.Helper()
	if r, _ := c.storedClock(c.Node(1)); r.Code != 73 || !strings.Contains(r.Stderr, "in use") {
		c.t.Errorf("the clock of a node that runs: exit %d, %s", r.Code, r.Stderr)
	}
	c.killAll()
	latest := ""
	for _, n := range c.Nodes() {
		r, at := c.storedClock(n)
		newest, err := time.Parse(time.RFC3339Nano, at)
		if r.Code != 0 || err != nil || time.Until(newest) > time.Second {
			c.t.Errorf("the clock of %s: exit %d, newest %q (%v): %s%s", n.Name, r.Code, at, err, r.Stdout, r.Stderr)
		}
		latest = max(latest, at)
	}
	for _, n := range c.Nodes() {
		if r, _ := c.storedClock(n, "--lower-to", latest); r.Code != 0 {
			c.t.Errorf("lower the clock of %s: exit %d, %s", n.Name, r.Code, r.Stderr)
		}
	}
	c.startAll(0)
	for _, n := range c.Nodes() {
		n.WaitReady()
	}
}

// startAhead starts all nodes with clocks that are wrong alike, which nobody can
// tell, and then with right ones: they say until when they wait, and their clocks
// cannot be lowered, for rows were written.
func (c *Cluster) startAhead(t *testing.T) {
	c.t.Helper()
	c.killAll()
	c.startAll(time.Hour)
	for _, n := range c.Nodes() {
		n.WaitReady()
	}
	psql(t, c.Node(1), "INSERT INTO ledger VALUES (99, 1, 'ahead'); DELETE FROM ledger WHERE writer = 99")
	c.killAll()
	c.startAll(0)
	c.waitBroken("CLOCK_AHEAD", 1, 2, 3)
	Eventually(t, StartTimeout, "a node that waits for its clock says so", func() error {
		if code, body, err := c.Node(2).HTTP("/healthz"); err != nil || code != 503 || !strings.Contains(body, "clock-ahead") {
			return fmt.Errorf("/healthz answers %d %s %v", code, body, err)
		}
		return nil
	})
	c.killAll()
	if r, _ := c.storedClock(c.Node(1), "--lower-to", time.Now().UTC().Format(time.RFC3339)); r.Code != 73 || !strings.Contains(r.Stderr, "cannot begin there") {
		c.t.Errorf("a clock below what was written is lowered: exit %d, %s%s", r.Code, r.Stdout, r.Stderr)
	}
	c.startAll(time.Hour)
	for _, n := range c.Nodes() {
		n.WaitReady()
	}
}
