package agenttest

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// shapes lists how many voters and learners each range of data has, by its id.
func (c *Cluster) shapes() (map[string][2][]any, error) {
	ranges, err := c.List("ranges")
	if err != nil {
		return nil, err
	}
	out := map[string][2][]any{}
	for _, r := range ranges {
		voters, _ := r["voters"].([]any)
		learners, _ := r["learners"].([]any)
		out[fmt.Sprint(r["id"])] = [2][]any{voters, learners}
	}
	return out, nil
}

// awaitShapes waits until every range of data has these voters and learners.
func (c *Cluster) awaitShapes(voters, learners string) {
	c.t.Helper()
	Eventually(c.t, time.Minute, fmt.Sprintf("every range has the voters %s and the learners %s", voters, learners), func() error {
		ranges, err := c.List("ranges")
		if err != nil {
			return err
		}
		if len(ranges) < c.opts.Ranges+1 {
			return fmt.Errorf("%d ranges listed", len(ranges))
		}
		for _, r := range ranges {
			if r["meta"] == true {
				continue
			}
			if fmt.Sprint(r["voters"]) != voters || fmt.Sprint(r["learners"]) != learners || r["state"] == "moving" {
				return fmt.Errorf("range %v has the voters %v and the learners %v, and is %v", r["id"], r["voters"], r["learners"], r["state"])
			}
		}
		return nil
	})
}

// says runs a command and wants its exit code, and each text in what it prints.
func (c *Cluster) says(code int, args []string, texts ...string) {
	c.t.Helper()
	r := c.TryCtl(args...)
	if r.Code != code {
		c.t.Errorf("nodedbctl %s: exit %d, want %d: %s%s", strings.Join(args, " "), r.Code, code, r.Stdout, r.Stderr)
	}
	for _, text := range texts {
		if !strings.Contains(r.Stdout+r.Stderr, text) {
			c.t.Errorf("nodedbctl %s does not say %q: %s%s", strings.Join(args, " "), text, r.Stdout, r.Stderr)
		}
	}
}

// TestTheSecondNodeIsLost has a second node join the first and lose its disk: the
// first goes on at once, says what has happened, and the second is decommissioned.
func TestTheSecondNodeIsLost(t *testing.T) {
	t.Parallel()
	c := Start(t, Options{Nodes: 1, Ranges: 8, Growing: true})
	l := c.StartLedger(2)
	l.Advance(50, 30*time.Second)
	n2 := c.AddNode()
	c.awaitShapes("[1]", "[2]")
	c.says(5, []string{"survive"}, "loses n1:    no, it has the only vote", "loses n2:    yes, n2 holds copies only")
	c.says(0, []string{"status"}, "n2 holds copies only")
	c.says(0, []string{"ok-to-stop", "n2"})
	c.says(5, []string{"ok-to-stop", "n1"}, "0 of 1 voter would be left", "add 1 node")
	c.says(5, []string{"drain", "n1", "--yes"}, "add 1 node")
	l.Advance(50, 30*time.Second)

	n2.Kill()
	if err := os.RemoveAll(n2.Dir); err != nil {
		t.Fatal(err)
	}
	l.Advance(100, 10*time.Second)
	Eventually(t, time.Minute, "the loss is told of", func() error {
		if r := c.TryCtl("check"); r.Code != 10 || !strings.Contains(r.Stdout, "NODE_DOWN") || !strings.Contains(r.Stdout, "n2") {
			return fmt.Errorf("check: exit %d: %s%s", r.Code, r.Stdout, r.Stderr)
		}
		return nil
	})
	c.says(0, []string{"status"}, "1/2 nodes alive", "0 no-quorum")
	c.says(5, []string{"survive"}, "n2 holds copies only")

	c.says(0, []string{"decommission", "n2", "--yes"}, "0 references to n2")
	c.awaitShapes("[1]", "[]")
	l.Advance(50, 30*time.Second)
	if gap, errs := l.Stop(); len(errs) > 0 {
		t.Errorf("failed statements (longest gap %s): %v", gap, errs)
	}
	l.Check(c.Node(1))
}

// TestGrowthUnderLoad grows a cluster from one node to three while it is written.
// No statement fails, no range ever has an even number of voters, and any one of
// the three may be killed afterwards.
func TestGrowthUnderLoad(t *testing.T) {
	t.Parallel()
	c := Start(t, Options{Nodes: 1, Ranges: 8, Growing: true})
	l := c.StartLedger(4)
	l.Advance(50, 30*time.Second)
	stop, watched := make(chan struct{}), sync.WaitGroup{}
	var even []string
	looks := 0
	watched.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			shapes, err := c.shapes()
			if err != nil {
				continue
			}
			looks++
			for id, s := range shapes {
				// Between two configurations both halves are listed.
				if n := len(s[0]); n == 2 {
					even = append(even, fmt.Sprintf("%s: %v", id, s[0]))
				}
			}
		}
	})
	c.AddNode()
	c.awaitShapes("[1]", "[2]")
	c.AddNode()
	c.WaitReplicated()
	c.awaitShapes("[1 2 3]", "[]")
	l.Advance(100, 30*time.Second)
	close(stop)
	watched.Wait()
	if len(even) > 0 || looks == 0 {
		t.Errorf("%d looks; ranges with two voters: %v", looks, even)
	}
	if errs := l.lastErrors(); len(errs) > 0 {
		t.Errorf("failed statements while the cluster grew: %v", errs)
	}
	c.says(0, []string{"survive"})
	for _, n := range slices.Clone(c.Nodes()) {
		n.Kill()
		l.Advance(100, 30*time.Second)
		n.Start()
		c.WaitReplicated()
	}
	l.Stop()
	l.Check(c.Node(3))
}

// TestTheFirstOfTwoNodesLeaves decommissions the node that has the only votes,
// under load: they go over to the second, and nothing is lost.
func TestTheFirstOfTwoNodesLeaves(t *testing.T) {
	t.Parallel()
	c := Start(t, Options{Nodes: 1, Ranges: 8, Growing: true})
	c.AddNode()
	c.awaitShapes("[1]", "[2]")
	l := c.StartLedger(4)
	l.Advance(100, 30*time.Second)
	c.says(5, []string{"decommission", "n1", "--yes"}, "CA_KEY")
	c.Ctl("cert", "move-ca", "--to", "n2", "--yes")
	c.says(0, []string{"decommission", "n1", "--dry-run"})
	c.says(0, []string{"decommission", "n1", "--yes"}, "0 references to n1")
	c.awaitShapes("[2]", "[]")
	l.Advance(100, 30*time.Second)
	gap, errs := l.Stop()
	if len(errs) > 0 {
		t.Errorf("failed statements (longest gap %s): %v", gap, errs)
	}
	l.Check(c.Node(2))

	// A node that joins then is the second again.
	n3 := c.Reserve()
	token := filepath.Join(c.dir, n3.Name+".token")
	if err := os.WriteFile(token, []byte(strings.TrimSpace(c.Ctl("join-token", "create", "-o", "name"))+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.run(c.bin.Agent, append([]string{"join", "--data-dir", n3.Dir, "--name", n3.Name, "--peer", c.Node(2).Admin, "--token-file", token}, n3.listenFlags()...)...)
	n3.Start()
	c.awaitShapes("[2]", "[3]")
}

// TestThreeNodesStartAtOnce joins the second and the third at the same moment, as
// a StatefulSet does: each range has one voter until it has three.
func TestThreeNodesStartAtOnce(t *testing.T) {
	t.Parallel()
	c := Start(t, Options{Nodes: 1, Ranges: 8, Growing: true})
	l := c.StartLedger(2)
	l.Advance(20, 30*time.Second)
	var late []*Node
	for range 2 {
		n := c.Reserve()
		token := filepath.Join(c.dir, n.Name+".token")
		if err := os.WriteFile(token, []byte(strings.TrimSpace(c.Ctl("join-token", "create", "-o", "name"))+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		c.run(c.bin.Agent, append([]string{"join", "--data-dir", n.Dir, "--name", n.Name, "--peer", c.Node(1).Admin, "--token-file", token}, n.listenFlags()...)...)
		late = append(late, n)
	}
	for _, n := range late {
		n.StartUnready()
	}
	for _, n := range late {
		n.WaitReady()
	}
	c.WaitReplicated()
	c.awaitShapes("[1 2 3]", "[]")
	c.says(0, []string{"survive"})
	l.Advance(20, 30*time.Second)
	if gap, errs := l.Stop(); len(errs) > 0 {
		t.Errorf("failed statements (longest gap %s): %v", gap, errs)
	}
	l.Check(c.Node(3))
}
