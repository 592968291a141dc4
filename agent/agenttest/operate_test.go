package agenttest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// object decodes `nodedbctl ARGS -o json` of one object.
func (c *Cluster) object(t *testing.T, args ...string) map[string]any {
	t.Helper()
	var doc map[string]any
	if text := c.Ctl(append(args, "-o", "json")...); json.Unmarshal([]byte(text), &doc) != nil {
		t.Fatalf("nodedbctl %s: no JSON: %s", strings.Join(args, " "), text)
	}
	return doc
}

// voters counts the data ranges' voters on a node.
func (c *Cluster) voters(number int) (n int, err error) {
	ranges, err := c.List("ranges")
	for _, r := range ranges {
		voters, _ := r["voters"].([]any)
		for _, v := range voters {
			if fmt.Sprint(v) == fmt.Sprint(number) {
				n++
			}
		}
	}
	return n, err
}

// TestCoordinatorKilledDuringDecommission: the operation goes on under the next
// coordinator, and nothing is lost.
func TestCoordinatorKilledDuringDecommission(t *testing.T) {
	t.Parallel()
	c := Start(t, Options{Nodes: 5, Ranges: 48})
	l := c.StartLedger(6)
	l.Advance(100, 30*time.Second)
	coordinator := c.metaLeader()
	target := c.Node(5)
	if coordinator == target {
		target = c.Node(4)
	}
	op := strings.TrimSpace(c.Ctl("decommission", target.Name, "--yes", "--detach", "-o", "name"))
	Eventually(t, 60*time.Second, "replicas move", func() error {
		if left, err := c.voters(target.Number); err != nil || left == 0 {
			return nil // it may be over already: the kill comes all the same
		}
		if o := c.object(t, "ops", "show", op); o["phase"] != "move" && o["state"] == "running" {
			return fmt.Errorf("operation is in phase %v", o["phase"])
		}
		return nil
	})
	o := c.object(t, "ops", "show", op)
	t.Logf("kill -9 %s, the coordinator, while %s is %v in phase %v", coordinator.Name, op, o["state"], o["phase"])
	coordinator.Kill()
	r := c.TryCtl("ops", "wait", op, "--timeout", "3m")
	if r.Code != 0 {
		t.Fatalf("ops wait: exit %d\n%s%s\n%s", r.Code, r.Stdout, r.Stderr, c.Ctl("ops", "show", op))
	}
	o = c.object(t, "ops", "show", op)
	if o["state"] != "succeeded" || o["proof"] == nil {
		t.Errorf("operation %s: state %v, proof %v", op, o["state"], o["proof"])
	}
	if code := target.WaitExit(30 * time.Second); code != 0 {
		t.Errorf("the decommissioned node ended with %d, want 0", code)
	}
	coordinator.Start()
	l.Advance(50, 60*time.Second)
	_, errs := l.Stop()
	if len(errs) > 0 {
		t.Errorf("%d statements failed, e.g. %v", len(errs), errs[:min(3, len(errs))])
	}
	l.Check(coordinator)
}

// TestDeadNodeIsReplaced: its replicas are re-created elsewhere after
// dead_after, and it is welcome when it returns.
func TestDeadNodeIsReplaced(t *testing.T) {
	t.Parallel()
	c := Start(t, Options{Nodes: 4, InitFlags: []string{"--dead-after", "3s"}})
	l := c.StartLedger(4)
	l.Advance(50, 30*time.Second)
	n := c.Node(4)
	if c.metaLeader() == n {
		n = c.Node(3)
	}
	n.Kill()
	l.Advance(50, 60*time.Second)
	Eventually(t, 2*time.Minute, "no data range has a replica on "+n.Name, func() error {
		ranges, err := c.List("ranges")
		if err != nil {
			return err
		}
		for _, r := range ranges {
			if fmt.Sprint(r["id"]) != "1" && (strings.Contains(fmt.Sprint(r["voters"]), fmt.Sprint(n.Number)) || r["state"] != "healthy") {
				return fmt.Errorf("%v is %v with voters %v", r["id"], r["state"], r["voters"])
			}
		}
		return nil
	})
	n.Start()
	Eventually(t, 2*time.Minute, n.Name+" gets replicas again", func() error {
		if got, err := c.voters(n.Number); err != nil || got == 0 {
			return fmt.Errorf("%d voters (%v)", got, err)
		}
		return nil
	})
	_, errs := l.Stop()
	if len(errs) > 0 {
		t.Errorf("%d statements failed, e.g. %v", len(errs), errs[:min(3, len(errs))])
	}
	l.Check(n)
}

// TestDrainByWhoeverIsThere: over the unix socket, over HTTP with a token, and
// the state that they leave.
func TestDrainByWhoeverIsThere(t *testing.T) {
	t.Parallel()
	c := Start(t, Options{})
	n := c.Node(2)
	drained := func() {
		t.Helper()
		if code, body, err := n.HTTP("/health/ready"); err != nil || code != http.StatusServiceUnavailable || !strings.Contains(body, "drained") {
			t.Errorf("/health/ready: %d %s (%v), want 503 drained", code, body, err)
		}
		if code, _, err := n.HTTP("/health/live"); err != nil || code != http.StatusOK {
			t.Errorf("/health/live: %d (%v), want 200", code, err)
		}
	}
	r := c.try(c.bin.Agent, "drain", "--self", "--data-dir", n.Dir, "--deadline", "60s")
	if r.Code != 0 || !strings.Contains(r.Stdout, "safe to stop") {
		t.Fatalf("drain --self: exit %d\n%s%s", r.Code, r.Stdout, r.Stderr)
	}
	drained()
	if _, err := n.Connect(t.Context()); err == nil || !strings.Contains(err.Error(), "57P03") {
		t.Errorf("a new session on a drained node: %v, want 57P03", err)
	}
	c.Ctl("undrain", n.Name)
	n.WaitReady()

	post := func(token string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+n.Admin+"/health/drain?lb-wait=0s&deadline=60s", nil)
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		code, body, err := n.do(req)
		if err != nil {
			t.Fatal(err)
		}
		return code, body
	}
	if code, body := post(""); code != http.StatusUnauthorized {
		t.Errorf("POST /health/drain of a stranger: %d %s, want 401", code, body)
	}
	viewer := strings.TrimSpace(c.Ctl("token", "create", "--role", "viewer", "-o", "name"))
	if code, body := post(viewer); code != http.StatusForbidden {
		t.Errorf("POST /health/drain of a viewer: %d %s, want 403", code, body)
	}
	admin, err := os.ReadFile(filepath.Join(c.CredsDir(), "admin.token"))
	if err != nil {
		t.Fatal(err)
	}
	if code, body := post(strings.TrimSpace(string(admin))); code != http.StatusAccepted || !strings.Contains(body, "op-") {
		t.Fatalf("POST /health/drain: %d %s, want 202 with the operation", code, body)
	}
	c.Ctl("wait", n.Name, "--for", "drained", "--timeout", "60s")
	drained()
	n.Terminate()
	n.Start() // a new incarnation is not drained
	c.WaitReplicated()
}

// TestPausedNode: a node that hangs (SIGSTOP) costs no acknowledged write, and
// is one of the cluster again when it goes on.
func TestPausedNode(t *testing.T) {
	t.Parallel()
	c := Start(t, Options{})
	l := c.StartLedger(6)
	l.Advance(50, 30*time.Second)
	n := c.metaLeader()
	n.Signal(syscall.SIGSTOP)
	Eventually(t, 30*time.Second, "others say that it is gone", func() error {
		for _, item := range listed(t, c, "nodes", "--node-timeout", "1s") {
			if item["name"] == n.Name && item["liveness"] == "alive" {
				return fmt.Errorf("%s is %v", n.Name, item["liveness"])
			}
		}
		return nil
	})
	n.Signal(syscall.SIGCONT)
	n.WaitReady()
	l.Advance(50, 60*time.Second)
	c.WaitReplicated()
	l.Stop()
	l.Check(n)
}

// TestContract: what scripts rely on, of a real cluster: kinds, shapes, exit codes.
func TestContract(t *testing.T) {
	t.Parallel()
	c := Start(t, Options{Nodes: 3, Ranges: 4})
	psql(t, c.Node(1), "CREATE TABLE orders (id int8 PRIMARY KEY, v text)")
	for _, tt := range []struct {
		args string
		kind string
		keys string // of the object, or of the first item of a list
	}{
		{"status", "Status", "health"},
		{"nodes", "NodeList", "id name uuid membership liveness service status address version replicas leaders bytes diskUsedPct cpuPct operation"},
		{"nodes show n2", "Node", "id name uuid membership liveness service status address version replicas leaders bytes diskUsedPct cpuPct operation"},
		{"members", "MemberList", "id name liveness"},
		{"ranges", "RangeList", "id start end leader voters learners bytes keys readsPerSec writesPerSec state generation"},
		{"ranges show r2", "Range", "id leader voters"},
		{"routing", "RoutingTable", ""},
		{"routing lookup orders 4711", "RouteLookup", "vshard range leader replicas generation"},
		{"decommission n3 --dry-run", "Plan", "feasible"},
		{"drain n3 --dry-run", "Plan", ""},
		{"ok-to-stop n3", "Verdict", ""},
		{"ops ls --all", "OperationList", ""},
	} {
		r := c.TryCtl(append(strings.Fields(tt.args), "-o", "json")...)
		var doc map[string]any
		if err := json.Unmarshal([]byte(r.Stdout), &doc); err != nil {
			t.Errorf("%s: exit %d, no JSON: %v %s%s", tt.args, r.Code, err, r.Stdout, r.Stderr)
			continue
		}
		if doc["apiVersion"] != "nodedb.admin/v1" || doc["kind"] != tt.kind {
			t.Errorf("%s: apiVersion %v, kind %v, want nodedb.admin/v1, %s", tt.args, doc["apiVersion"], doc["kind"], tt.kind)
		}
		meta, _ := doc["meta"].(map[string]any)
		asOf, _ := meta["asOf"].(map[string]any)
		if meta["cluster"] == nil || meta["complete"] != true || meta["missing"] == nil || asOf["metaIndex"] == nil || asOf["time"] == nil {
			t.Errorf("%s: meta is %v", tt.args, doc["meta"])
		}
		object := doc
		if items, ok := doc["items"].([]any); ok && len(items) > 0 {
			object, _ = items[0].(map[string]any)
		} else if strings.HasSuffix(tt.kind, "List") && doc["items"] == nil {
			t.Errorf("%s: a list without items", tt.args)
		}
		for _, key := range strings.Fields(tt.keys) {
			if _, ok := object[key]; !ok {
				t.Errorf("%s: no %q in %v", tt.args, key, object)
			}
		}
	}
	for _, tt := range []struct {
		args string
		code int
	}{
		{"nodes show n9", 3}, {"ranges show r99", 3}, {"ops show op-none", 3}, {"drain n9 --yes", 3},
		{"decommission n2 n3 --yes", 5}, {"ok-to-stop n2 n3", 5}, {"ok-to-remove n3", 5}, {"decommission n3 --dry-run", 5},
		{"wait n3 --for drained --timeout 300ms", 6}, {"status --adr x", 2}, {"nodes -o nonsense", 2}, {"drain", 2},
		{"routing lookup nothere 1", 3},
	} {
		if r := c.TryCtl(strings.Fields(tt.args)...); r.Code != tt.code {
			t.Errorf("%s: exit %d, want %d\n%s%s", tt.args, r.Code, tt.code, r.Stdout, r.Stderr)
		}
	}
	c.Node(2).Kill()
	c.Node(3).Kill()
	Eventually(t, 30*time.Second, "nothing can be changed without a quorum", func() error {
		if r := c.TryCtl("join-token", "create", "--timeout", "10s"); r.Code != 9 && r.Code != 6 {
			return fmt.Errorf("join-token create: exit %d %s", r.Code, r.Stderr)
		}
		return nil
	})
	r := c.TryCtl("status", "-o", "json", "--node-timeout", "1s")
	if r.Code != 0 || !strings.Contains(r.Stdout, `"complete": false`) || r.Took > 10*time.Second {
		t.Errorf("status without a quorum: exit %d after %s\n%s%s", r.Code, r.Took, r.Stdout, r.Stderr)
	}
}
