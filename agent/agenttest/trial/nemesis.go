package trial

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/agenttest"
)

// nemesis brings faults. It runs in the test's goroutine.
type nemesis struct {
	t   testing.TB
	c   *agenttest.Cluster
	rng *rand.Rand
	// done counts what was brought, by name.
	done map[string]int
}

// fault is brought, lasts, and is healed before it returns.
type fault struct {
	name string
	// forTests wants binaries whose disks, clocks and links obey.
	forTests bool
	bring    func(m *nemesis, n *agenttest.Node)
}

// faults are all of them, each with what it does to a node.
var faults = []fault{
	{"kill", false, (*nemesis).kill},
	{"restarts", false, (*nemesis).restarts},
	{"blackout", false, (*nemesis).blackout},
	{"pause", false, (*nemesis).pause},
	{"cut", true, func(m *nemesis, n *agenttest.Node) { m.cut(n, true, true) }},
	{"cut-in", true, func(m *nemesis, n *agenttest.Node) { m.cut(n, true, false) }},
	{"cut-out", true, func(m *nemesis, n *agenttest.Node) { m.cut(n, false, true) }},
	{"delay", true, (*nemesis).delay},
	{"clock", true, (*nemesis).clock},
	{"disk-hang", true, func(m *nemesis, n *agenttest.Node) { m.disk(n, "sync hang\n") }},
	{"disk-slow", true, func(m *nemesis, n *agenttest.Node) { m.disk(n, "sync 60ms\n") }},
	{"disk-full", true, func(m *nemesis, n *agenttest.Node) { m.disk(n, "free 536870912\n") }},
	{"disk-fail", true, (*nemesis).diskFails},
	{"split", false, (*nemesis).split},
	{"move", false, (*nemesis).move},
	{"transfer", false, (*nemesis).transfer},
	{"drain", false, (*nemesis).drain},
	{"decommission", false, (*nemesis).decommission},
}

// choose returns the faults of a list of names, separated by commas; "all" are all
// that the binaries can do, "none" none.
func choose(names string, forTests bool) ([]fault, error) {
	var out []fault
	if names == "none" {
		return nil, nil
	}
	if names == "all" {
		for _, f := range faults {
			if forTests || !f.forTests {
				out = append(out, f)
			}
		}
		return out, nil
	}
	for name := range strings.SplitSeq(names, ",") {
		i := slices.IndexFunc(faults, func(f fault) bool { return f.name == name })
		if i < 0 {
			var known []string
			for _, f := range faults {
				known = append(known, f.name)
			}
			return nil, fmt.Errorf("there is no fault %q: there are %s", name, strings.Join(known, ", "))
		}
		if faults[i].forTests && !forTests {
			return nil, fmt.Errorf("the fault %s needs binaries for tests: make checked, and NODEDB_BIN", name)
		}
		out = append(out, faults[i])
	}
	return out, nil
}

// torment brings each fault once, in an order of the seed, and again, until a time has
// passed; each is followed by a calm of a second or two.
func (m *nemesis) torment(fs []fault, d time.Duration) {
	until := time.Now().Add(d)
	for len(fs) > 0 {
		m.rng.Shuffle(len(fs), func(i, j int) { fs[i], fs[j] = fs[j], fs[i] })
		for _, f := range fs {
			if time.Until(until) <= 0 {
				return
			}
			nodes := m.members()
			n := nodes[m.rng.IntN(len(nodes))]
			began := time.Now()
			f.bring(m, n)
			m.done[f.name]++
			m.t.Logf("%s %s: %s", f.name, n.Name, time.Since(began).Round(time.Millisecond))
			m.last(time.Second, 2*time.Second)
		}
	}
	hold(time.Until(until))
}

// members are the nodes that run: the others were decommissioned.
func (m *nemesis) members() (out []*agenttest.Node) {
	for _, n := range m.c.Nodes() {
		if n.Running() {
			out = append(out, n)
		}
	}
	return out
}

// last lets a fault, or a calm, last for a while.
func (m *nemesis) last(from, to time.Duration) {
	hold(from + time.Duration(m.rng.Int64N(int64(to-from))))
}

// hold returns after d: time passing is what the trial is about here.
func hold(d time.Duration) { <-time.After(d) }

func (m *nemesis) kill(n *agenttest.Node) {
	n.Kill()
	m.last(500*time.Millisecond, 4*time.Second)
	n.Start()
}

func (m *nemesis) restarts(n *agenttest.Node) {
	for range 4 {
		n.Kill()
		n.StartUnready()
		m.last(200*time.Millisecond, 1500*time.Millisecond)
	}
	n.WaitReady()
}

// blackout cuts the power of all.
func (m *nemesis) blackout(*agenttest.Node) {
	nodes := m.members()
	for _, n := range nodes {
		n.Kill()
	}
	for _, n := range nodes {
		n.StartUnready()
	}
	for _, n := range nodes {
		n.WaitReady()
	}
}

func (m *nemesis) pause(n *agenttest.Node) {
	n.Signal(syscall.SIGSTOP)
	m.last(500*time.Millisecond, 6*time.Second)
	n.Signal(syscall.SIGCONT)
}

// cut cuts a node off. It lasts until all have noticed (three pings) and ended their
// sessions: a stream that goes on after a hole is nothing that a network does.
func (m *nemesis) cut(n *agenttest.Node, in, out bool) {
	others := map[int]string{}
	for _, o := range m.members() {
		if o == n {
			continue
		}
		others[o.Number] = "cut"
		if in {
			o.Link(map[int]string{n.Number: "cut"})
		}
	}
	if out {
		n.Link(others)
	}
	m.last(7*time.Second, 9*time.Second)
	m.healLinks()
}

func (m *nemesis) delay(n *agenttest.Node) {
	d := (10 * time.Millisecond << m.rng.IntN(4)).String()
	others := map[int]string{}
	for _, o := range m.members() {
		if o != n {
			others[o.Number] = d
			o.Link(map[int]string{n.Number: d})
		}
	}
	n.Link(others)
	m.last(2*time.Second, 5*time.Second)
	m.healLinks()
}

func (m *nemesis) healLinks() {
	for _, n := range m.members() {
		n.Link(nil)
	}
}

// clock steps the wall clock of a node, by little or by much, ahead or back.
func (m *nemesis) clock(n *agenttest.Node) {
	steps := []time.Duration{50 * time.Millisecond, 400 * time.Millisecond, 10 * time.Second, time.Hour}
	d := steps[m.rng.IntN(len(steps))]
	if m.rng.IntN(2) == 0 {
		d = -d
	}
	n.SetClock(d)
	m.last(2*time.Second, 4*time.Second)
	n.SetClock(0)
}

func (m *nemesis) disk(n *agenttest.Node, text string) {
	n.Sicken(text)
	m.last(2*time.Second, 5*time.Second)
	n.Sicken("")
}

// diskFails ends the process of a node, as it must: nobody knows what is on its disk.
func (m *nemesis) diskFails(n *agenttest.Node) {
	n.Sicken("sync EIO\n")
	if code, ok := n.Ended(30 * time.Second); !ok || code != 73 {
		m.t.Errorf("%s, whose disk fails, ended (%v) with code %d, want 73", n.Name, ok, code)
		n.Kill()
	}
	n.Sicken("")
	n.Start()
}

// ranges lists the ranges of data.
func (m *nemesis) ranges() (out []map[string]any) {
	list, err := m.c.List("ranges")
	if err != nil {
		m.t.Logf("ranges: %v", err)
	}
	for _, r := range list {
		if r["id"] != "r1" && fmt.Sprint(r["id"]) != "1" {
			out = append(out, r)
		}
	}
	return out
}

// operate runs nodedbctl. A refusal is no failure of the trial: another operation may be
// under way, or the leader be another by now.
func (m *nemesis) operate(args ...string) bool {
	r := m.c.TryCtl(args...)
	if r.Code != 0 {
		m.t.Logf("nodedbctl %s: exit %d: %.200s", strings.Join(args, " "), r.Code, strings.TrimSpace(r.Stderr))
	}
	return r.Code == 0
}

func (m *nemesis) pick() (id string, ok bool) {
	rs := m.ranges()
	if len(rs) == 0 {
		return "", false
	}
	id = fmt.Sprint(rs[m.rng.IntN(len(rs))]["id"])
	if !strings.HasPrefix(id, "r") {
		id = "r" + id
	}
	return id, true
}

func (m *nemesis) split(*agenttest.Node) {
	for range 2 {
		if id, ok := m.pick(); ok {
			m.operate("ranges", "split", id)
		}
	}
}

// transfer hands leaderships to one node, one after another.
func (m *nemesis) transfer(n *agenttest.Node) {
	for range 4 {
		if id, ok := m.pick(); ok {
			m.operate("ranges", "transfer", id, "--to", n.Name, "--yes")
		}
	}
}

// move needs a fourth node to move to: it joins, takes replicas, and stays a while.
func (m *nemesis) move(n *agenttest.Node) {
	to := m.spare()
	for range 3 {
		if id, ok := m.pick(); ok && n != to {
			m.operate("ranges", "move", id, "--from", n.Name, "--to", to.Name, "--yes")
		}
	}
}

// spare returns the newest of four nodes or more; if there are three, one joins.
func (m *nemesis) spare() *agenttest.Node {
	if nodes := m.members(); len(nodes) > 3 {
		return nodes[len(nodes)-1]
	}
	n := m.c.AddNode()
	agenttest.Eventually(m.t, agenttest.StartTimeout, n.Name+" is a member", func() error {
		nodes, err := m.c.List("nodes")
		for _, o := range nodes {
			if o["name"] == n.Name && o["membership"] == "active" {
				return nil
			}
		}
		return fmt.Errorf("nodes: %v %w", nodes, err)
	})
	return n
}

func (m *nemesis) drain(n *agenttest.Node) {
	m.operate("drain", n.Name, "--lb-wait", "0s", "--deadline", "20s")
	m.last(200*time.Millisecond, time.Second)
	m.operate("undrain", n.Name)
}

// decommission ends the membership of the spare node; its process ends by itself.
func (m *nemesis) decommission(*agenttest.Node) {
	n := m.spare()
	if !m.operate("decommission", n.Name, "--yes") {
		return
	}
	if _, ok := n.Ended(30 * time.Second); !ok {
		m.t.Errorf("%s was decommissioned and its process has not ended after 30 s", n.Name)
		n.Kill()
	}
}
