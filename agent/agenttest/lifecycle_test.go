package agenttest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// tryObject decodes `nodedbctl ARGS -o json` of a single object.
func (c *Cluster) tryObject(args ...string) (map[string]any, error) {
	r := c.TryCtl(append(args, "-o", "json")...)
	var out map[string]any
	if err := json.Unmarshal([]byte(r.Stdout), &out); err != nil {
		return nil, fmt.Errorf("nodedbctl %s: exit %d: %s", strings.Join(args, " "), r.Code, r.Stderr)
	}
	return out, nil
}

// fill writes so many rows of 2 kB, so that moves take a while at a low rate.
func (c *Cluster) fill(rows int) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := c.Node(1).Connect(ctx)
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	if _, err := conn.Exec(ctx, "CREATE TABLE filler (id int8 PRIMARY KEY, t text)"); err != nil {
		c.t.Fatal(err)
	}
	const batch = 4000
	for from := 0; from < rows; from += batch {
		stmt := fmt.Sprintf("INSERT INTO filler SELECT i, repeat('x', 2000) FROM generate_series(%d, %d) AS g(i)", from, min(from+batch, rows)-1)
		if _, err := conn.Exec(ctx, stmt); err != nil {
			c.t.Fatalf("%s: %v", stmt, err)
		}
	}
}

// awaitShare waits until a node that joined holds a fair part of the replicas.
func (c *Cluster) awaitShare(node int) {
	c.t.Helper()
	least := 3 * c.opts.Ranges / c.opts.Nodes / 2
	Eventually(c.t, 2*time.Minute, fmt.Sprintf("n%d holds %d replicas", node, least), func() error {
		ranges, err := c.List("ranges", "--node", fmt.Sprintf("n%d", node))
		if err != nil {
			return err
		}
		if len(ranges) < least {
			return fmt.Errorf("it holds %d", len(ranges))
		}
		return nil
	})
	c.WaitReplicated()
}

// begin starts an operation detached and returns its id.
func (c *Cluster) begin(args ...string) string {
	c.t.Helper()
	o, err := c.tryObject(append(args, "--detach")...)
	if err != nil {
		c.t.Fatal(err)
	}
	return fmt.Sprint(o["id"])
}

func (c *Cluster) awaitOp(id, what string, ok func(o map[string]any) bool) map[string]any {
	c.t.Helper()
	var last map[string]any
	Eventually(c.t, 2*time.Minute, id+" "+what, func() error {
		o, err := c.tryObject("ops", "show", id)
		if err != nil {
			return err
		}
		if last = o; !ok(o) {
			return fmt.Errorf("it is %v in phase %v: %v", o["state"], o["phase"], o["why"])
		}
		return nil
	})
	return last
}

func ended(o map[string]any) bool {
	return slices.Contains([]string{"succeeded", "failed", "cancelled"}, fmt.Sprint(o["state"]))
}

// metaLeader is the node that coordinates.
func (c *Cluster) metaLeader() *Node {
	c.t.Helper()
	var n *Node
	Eventually(c.t, time.Minute, "a leader of the meta range", func() error {
		s, err := c.tryObject("status")
		if err != nil {
			return err
		}
		id, ok := s["metaLeader"].(float64)
		if !ok {
			return errors.New("none is known")
		}
		n = c.Node(int(id))
		return nil
	})
	return n
}

// TestOperationsOutliveWhoeverDrivesThem kills the coordinator of a decommission
// in two of its phases, and the nodedbctl that asked for it.
func TestOperationsOutliveWhoeverDrivesThem(t *testing.T) {
	t.Parallel()
	c := Start(t, Options{Nodes: 5})
	c.fill(8000)
	c.awaitShare(5)
	l := c.StartLedger(4)
	l.Advance(20, 30*time.Second)

	// The command line dies; the operation does not notice.
	cmd := exec.CommandContext(t.Context(), c.bin.Ctl, "--context-file", filepath.Join(c.CredsDir(), "context.yaml"), "decommission", "n5", "--yes", "--rate", "1MiB")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var id string
	Eventually(t, time.Minute, "the operation", func() error {
		ops, err := c.List("ops")
		for _, o := range ops {
			if o["operationKind"] == "decommission" {
				id = fmt.Sprint(o["id"])
				return nil
			}
		}
		return fmt.Errorf("none is listed: %v", err)
	})
	_ = cmd.Process.Signal(syscall.SIGKILL)
	_ = cmd.Wait()

	for _, phase := range []string{"move", "verify"} {
		o := c.awaitOp(id, "comes to "+phase, func(o map[string]any) bool { return ended(o) || reached(o, phase) })
		if ended(o) {
			t.Logf("%s ended before it was seen in %s", id, phase)
			break
		}
		leader := c.metaLeader()
		if leader.Number == 5 {
			continue // it is the node that leaves: the next phase, or its own end
		}
		t.Logf("kill -9 %s, which coordinates, in phase %v", leader.Name, o["phase"])
		leader.Kill()
		c.awaitOp(id, "goes on", func(o map[string]any) bool { return ended(o) || coordinatedBy(c, leader.Number) })
		leader.Start()
	}
	o := c.awaitOp(id, "ends", ended)
	proof, _ := o["proof"].(map[string]any)
	if o["state"] != "succeeded" || proof == nil || fmt.Sprint(proof["references"]) != "0" {
		t.Fatalf("%s is %v (%v), proof %v", id, o["state"], o["why"], proof)
	}
	if o["modelErrorPct"] == nil {
		t.Error("the operation was not scored against its prediction")
	}
	c.Node(5).WaitExit(30 * time.Second)
	l.Advance(20, 30*time.Second)
	l.Stop()
	l.Check(c.Node(1))
	if plan := c.TryCtl("decommission", "n4", "--dry-run"); !strings.Contains(plan.Stdout, "model error last 5 ops") {
		t.Errorf("the next dry run does not tell the model's error:\n%s%s", plan.Stdout, plan.Stderr)
	}
	if events := c.Ctl("events", "--kind", "coordinator,node.decommissioned"); !strings.Contains(events, "n5 is decommissioned for good") {
		t.Errorf("events:\n%s", events)
	}
}

// reached reports whether the operation is in the phase or past it.
func reached(o map[string]any, phase string) bool {
	phases, _ := o["phases"].([]any)
	for _, p := range phases {
		if m, _ := p.(map[string]any); m["name"] == phase {
			return m["state"] != "pending"
		}
	}
	return false
}

// coordinatedBy reports whether another node than the killed one coordinates now.
func coordinatedBy(c *Cluster, killed int) bool {
	s, err := c.tryObject("status")
	if err != nil {
		return false
	}
	id, ok := s["metaLeader"].(float64)
	return ok && int(id) != killed
}

// TestRateLimitPauseAndResume: the rate is kept by the nodes that send, a new
// limit holds at once, a pause lets nothing new begin, and another request for
// the node is refused with the difference, or waits its turn.
func TestRateLimitPauseAndResume(t *testing.T) {
	t.Parallel()
	c := Start(t, Options{Nodes: 5, Ranges: 64})
	c.fill(16000)
	c.awaitShare(5)
	const rate = 256 << 10
	id := c.begin("decommission", "n5", "--yes", "--rate", fmt.Sprint(rate))
	c.awaitOp(id, "moves", func(o map[string]any) bool { return o["phase"] == "move" })
	if r := c.TryCtl("decommission", "n5", "--yes", "--rate", "2MiB"); r.Code != 8 || !strings.Contains(r.Stderr, "rate: 256KiB/s, asked 2MiB/s") {
		t.Errorf("another rate: exit %d, want 8 with the difference\n%s", r.Code, r.Stderr)
	}
	if r := c.TryCtl("drain", "n5"); r.Code != 8 || !strings.Contains(r.Stderr, id) {
		t.Errorf("a drain of the node: exit %d, want 8 and the operation in the way\n%s", r.Code, r.Stderr)
	}
	queued := c.begin("drain", "n5", "--queue", "--lb-wait", "0s")
	if out := c.Ctl("ops", "show", queued); !strings.Contains(out, "queued: waits for "+id) {
		t.Errorf("the queue does not say what it waits for:\n%s", out)
	}

	c.Ctl("ops", "pause", id, "--reason", "busy hour")
	// What is in flight ends at the full rate; then nothing goes on.
	c.Ctl("ops", "limit", id, "--rate", "64MiB")
	var held float64
	Eventually(t, time.Minute, "what was in flight ends", func() error {
		o, err := c.tryObject("ops", "show", id)
		if err != nil {
			return err
		}
		if items, _ := o["items"].([]any); len(items) > 0 {
			return fmt.Errorf("%d items are in flight", len(items))
		}
		done, _ := o["done"].(map[string]any)
		held, _ = done["replicas"].(float64)
		return nil
	})
	o, err := c.tryObject("ops", "show", id)
	if err != nil {
		t.Fatal(err)
	}
	total, _ := o["total"].(map[string]any)
	if o["state"] != "paused" || !strings.Contains(fmt.Sprint(o["why"]), "busy hour") {
		t.Fatalf("the operation is %v: %v", o["state"], o["why"])
	}
	if all, _ := total["replicas"].(float64); held >= all {
		t.Fatalf("all %v replicas had moved before the pause", all)
	}
	if check := c.TryCtl("check"); check.Code != 10 || !strings.Contains(check.Stdout, "OPERATION_PAUSED") || !strings.Contains(check.Stdout, "ops resume "+id) {
		t.Errorf("check while paused: exit %d\n%s", check.Code, check.Stdout)
	}
	c.Ctl("ops", "resume", id)
	if o := c.awaitOp(id, "ends", ended); o["state"] != "succeeded" {
		t.Fatalf("%s is %v: %v", id, o["state"], o["why"])
	}
	if o := c.awaitOp(queued, "gets its turn", ended); o["state"] != "failed" {
		t.Errorf("a drain of a node that is gone is %v: %v", o["state"], o["why"])
	}
	for _, kind := range []string{"operation.paused", "operation.limited", "operation.succeeded"} {
		if out := c.Ctl("events", "--kind", kind); !strings.Contains(out, id) {
			t.Errorf("no event %s of %s:\n%s", kind, id, out)
		}
	}
}

// TestSlowRateIsKept: copying takes at least as long as the rate makes it.
func TestSlowRateIsKept(t *testing.T) {
	t.Parallel()
	c := Start(t, Options{Nodes: 4})
	c.fill(9000)
	c.awaitShare(4)
	const rate = 256 << 10 // of 1.5 to 2.6 MiB, by which ranges the node has
	plan, err := c.tryObject("decommission", "n4", "--dry-run", "--rate", fmt.Sprint(rate))
	if err != nil {
		t.Fatal(err)
	}
	bytes, _ := plan["bytes"].(float64)
	// Three nodes send at most rate each, the bucket lets a quarter second through.
	least := time.Duration((bytes/3/rate - 1) * float64(time.Second))
	began := time.Now()
	c.Ctl("decommission", "n4", "--yes", "--rate", fmt.Sprint(rate))
	if took := time.Since(began); bytes < 4*rate || took < least {
		t.Errorf("%.1f MiB at %d B/s per node took %s, which is less than %s", bytes/(1<<20), rate, took, least)
	}
}

// TestTargetIsKilled kills nodes that replicas are on their way to: the
// operation says why it waits, and ends when it can.
func TestTargetIsKilled(t *testing.T) {
	t.Parallel()
	c := Start(t, Options{Nodes: 5})
	c.fill(8000)
	c.awaitShare(5)
	id := c.begin("decommission", "n5", "--yes", "--rate", fmt.Sprint(256<<10))
	var target int
	c.awaitOp(id, "has a target", func(o map[string]any) bool {
		items, _ := o["items"].([]any)
		for _, it := range items {
			m, _ := it.(map[string]any)
			if to, ok := m["to"].(float64); ok && int(to) != c.metaLeader().Number {
				target = int(to)
				return true
			}
		}
		return false
	})
	t.Logf("kill -9 n%d, a target", target)
	c.Node(target).Kill()
	c.Ctl("ops", "limit", id, "--rate", "64MiB")
	why := c.TryCtl("members", "why", fmt.Sprintf("n%d", target))
	Eventually(t, time.Minute, "the members see it dead", func() error {
		if why = c.TryCtl("members", "why", fmt.Sprintf("n%d", target)); !strings.Contains(why.Stdout, "dead") {
			return errors.New(why.Stdout + why.Stderr)
		}
		return nil
	})
	t.Log(why.Stdout)
	Eventually(t, time.Minute, "the events tell it", func() error {
		out := c.TryCtl("events", "--node", fmt.Sprintf("n%d", target), "--kind", "node").Stdout
		// Whoever records events may hear that it is dead before that it is suspected.
		if !strings.Contains(out, "node.dead") {
			return errors.New(out)
		}
		return nil
	})
	if r := c.TryCtl("check"); r.Code != 10 || !strings.Contains(r.Stdout, "NODE_DOWN") {
		t.Errorf("check: exit %d\n%s", r.Code, r.Stdout)
	}
	c.Node(target).Start()
	if o := c.awaitOp(id, "ends", ended); o["state"] != "succeeded" {
		t.Fatalf("%s is %v: %v", id, o["state"], o["why"])
	}
	// What the killed target had begun to hold is removed in the background.
	Eventually(t, time.Minute, "r2 has three replicas, one of which leads", func() error {
		if raft := c.Ctl("debug", "raft", "r2"); strings.Count(raft, "follower") != 2 || strings.Count(raft, "voter  leader") != 1 {
			return errors.New(raft)
		}
		return nil
	})
}

// TestBadRequestsChangeNothing: what cannot be done is refused at once, with a
// code and a way out, and leaves no trace but in the audit.
func TestBadRequestsChangeNothing(t *testing.T) {
	t.Parallel()
	c := Start(t, Options{})
	viewer := filepath.Join(t.TempDir(), "viewer.token")
	secret := strings.TrimSpace(c.Ctl("token", "create", "--role", "viewer", "-o", "name"))
	if err := os.WriteFile(viewer, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	nodes := func() string {
		return c.Ctl("nodes", "-o", "template={{.id}} {{.membership}} {{.service}}\n")
	}
	before := nodes()
	for _, x := range []struct {
		code int
		want string
		args []string
	}{
		{3, "n9", []string{"drain", "n9"}},
		{3, "n9", []string{"decommission", "n9", "--yes"}},
		{3, "op-none", []string{"ops", "pause", "op-none"}},
		{5, "NO_TARGET", []string{"decommission", "n2", "--yes"}},
		{5, "NO_TARGET", []string{"decommission", "n2", "n3", "--yes"}},
		{3, "pl-000000", []string{"drain", "n2", "--confirm", "pl-000000"}},
		{4, "operator", []string{"drain", "n2", "--token-file", viewer}},
		{4, "operator", []string{"cordon", "n2", "--token-file", viewer}},
		{2, "rate", []string{"ops", "limit", "op-none"}},
	} {
		r := c.TryCtl(x.args...)
		if r.Code != x.code || !strings.Contains(r.Stderr, x.want) {
			t.Errorf("nodedbctl %s: exit %d, want %d and %q\n%s%s", strings.Join(x.args, " "), r.Code, x.code, x.want, r.Stdout, r.Stderr)
		}
		t.Logf("%-44s exit %d in %s", strings.Join(x.args[:min(3, len(x.args))], " "), r.Code, r.Took.Round(time.Millisecond))
	}
	if after := nodes(); after != before {
		t.Errorf("a refused request changed something:\n%s\nbefore:\n%s", after, before)
	}
	ops, err := c.List("ops", "--all")
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range ops {
		if o["requestedBy"] != "coordinator" {
			t.Errorf("a refused request left an operation: %v", o)
		}
	}

	// A cordon with a time limit ends by itself.
	c.Ctl("cordon", "n2", "--ttl", "3s", "--reason", "test")
	if out := nodes(); out == before && !strings.Contains(c.Ctl("nodes"), "cordoned") {
		t.Errorf("the cordon does not show:\n%s", out)
	}
	Eventually(t, time.Minute, "the cordon ends", func() error {
		if out := c.Ctl("events", "--node", "n2", "--kind", "node.uncordoned"); !strings.Contains(out, "n2 may receive replicas again") {
			return errors.New(out)
		}
		return nil
	})
	c.alterNodeInSQL()
}

// alterNodeInSQL goes the other way in, with the same rules.
func (c *Cluster) alterNodeInSQL() {
	t := c.t
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := c.Node(1).Connect(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	if _, err := conn.Exec(ctx, "ALTER NODE n3 DECOMMISSION"); err == nil || !strings.Contains(err.Error(), "NO_TARGET") {
		t.Errorf("an impossible decommission in SQL: %v", err)
	}
	var node, op, state, why string
	if err := conn.QueryRow(ctx, "ALTER NODE n3 DRAIN").Scan(&node, &op, &state, &why); err != nil || node != "n3" || op == "" {
		t.Fatalf("ALTER NODE n3 DRAIN: %s %s %s, %v", node, op, state, err)
	}
	c.awaitOp(op, "ends", ended)
	if err := conn.QueryRow(ctx, "ALTER NODE n3 UNDRAIN").Scan(&node, &op, &state, &why); err != nil {
		t.Errorf("ALTER NODE n3 UNDRAIN: %v", err)
	}
	c.Node(3).WaitReady()
	var groups int
	if err := conn.QueryRow(ctx, "SELECT count(*) FROM nodedb_internal.raft_groups WHERE state = 'leader'").Scan(&groups); err != nil || groups != 17 {
		t.Errorf("raft_groups tells %d leaders, want 17: %v", groups, err)
	}
	var peers int
	if err := conn.QueryRow(ctx, "SELECT count(*) FROM nodedb_internal.peer_health WHERE breaker = 'closed'").Scan(&peers); err != nil || peers != 6 {
		t.Errorf("peer_health tells %d closed breakers, want 6: %v", peers, err)
	}
}

// TestTwoOperators: two ask for the same at once and get one operation; two ask
// for what excludes each other, and one of them is refused.
func TestTwoOperators(t *testing.T) {
	t.Parallel()
	c := Start(t, Options{Nodes: 5})
	ask := func(args ...string) <-chan Result {
		out := make(chan Result, 1)
		go func() { out <- c.TryCtl(args...) }()
		return out
	}
	a, b := ask("decommission", "n5", "--yes", "-o", "name"), ask("decommission", "n5", "--yes", "-o", "name")
	x, y := <-a, <-b
	if x.Code != 0 || y.Code != 0 || x.Stdout != y.Stdout {
		t.Fatalf("the same twice: exit %d %q and %d %q\n%s%s", x.Code, x.Stdout, y.Code, y.Stdout, x.Stderr, y.Stderr)
	}
	c.WaitReplicated()
	// Of four nodes with three replicas one can go, not two.
	a, b = ask("decommission", "n4", "--yes"), ask("decommission", "n3", "--yes")
	x, y = <-a, <-b
	codes := []int{x.Code, y.Code}
	slices.Sort(codes)
	if codes[0] != 0 || codes[1] == 0 {
		t.Fatalf("of two that exclude each other: exits %d and %d\n%s%s\n%s%s", x.Code, y.Code, x.Stdout, x.Stderr, y.Stdout, y.Stderr)
	}
	c.WaitReplicated()
}

// TestADecommissionedNodeLearnsIt kills the first node, which never joined, in the
// middle of its decommission: after it has lost its copy of the meta range and
// before it is told to stop. Started again it must find the others, and end.
func TestADecommissionedNodeLearnsIt(t *testing.T) {
	t.Parallel()
	c := Start(t, Options{Nodes: 4, Ranges: 4, StartFlags: []string{"--log-level", "debug"}})
	n := c.Node(1)
	if r := c.TryCtl("decommission", "n1", "--dry-run"); r.Code != 5 || !strings.Contains(r.Stdout+r.Stderr, "cert move-ca --to n2") {
		t.Errorf("the only holder of the CA's key: exit %d: %s%s", r.Code, r.Stdout, r.Stderr)
	}
	c.Ctl("cert", "move-ca", "--to", "n2", "--yes")
	c.Ctl("cert", "renew", "n3", "--yes")
	if _, err := os.Stat(filepath.Join(n.Dir, "certs", "ca.key")); err == nil {
		t.Error("n1 still holds the CA's key")
	}
	op := strings.TrimSpace(c.Ctl("decommission", "n1", "--yes", "--detach", "-o", "name"))
	destroyed := regexp.MustCompile(`replica destroyed.*range=r1 `)
	for n.Running() {
		log, err := os.ReadFile(n.logPath())
		if err != nil {
			t.Fatal(err)
		}
		if destroyed.Match(log) {
			break
		}
		<-time.After(time.Millisecond)
	}
	n.Kill()
	c.Ctl("ops", "wait", op)
	n.StartUnready()
	if code := n.WaitExit(20 * time.Second); code != 78 {
		t.Errorf("started again it ends with %d, want 78:\n%s", code, n.LogTail(20))
	}
}

// TestEveryAddressChanges moves a stopped cluster to other ports: what the nodes
// know of each other is wrong then, and start --peer puts it right.
func TestEveryAddressChanges(t *testing.T) {
	t.Parallel()
	c := Start(t, Options{Nodes: 3, Ranges: 4})
	psql(t, c.Node(1), "CREATE TABLE t (id int8 PRIMARY KEY)")
	var admins []string
	for _, n := range c.Nodes() {
		n.Terminate()
		path := filepath.Join(n.Dir, "node.yaml")
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		ports := freePorts(t)
		for i, addr := range []*string{&n.SQL, &n.RPC, &n.Gossip, &n.Admin} {
			text = bytes.ReplaceAll(text, []byte(*addr), []byte(ports[i]))
			*addr = ports[i]
		}
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		admins = append(admins, n.Admin)
	}
	c.opts.StartFlags = append(c.opts.StartFlags, "--peer", strings.Join(admins, ","))
	for _, n := range c.Nodes() {
		n.StartUnready()
	}
	for _, n := range c.Nodes() {
		n.WaitReady()
	}
	psql(t, c.Node(1), "INSERT INTO t VALUES (1)")
	c.Ctl("status") // the addresses that it is given are the new ones
}
