package sql

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/operation"
	"github.com/nodedb/nodedb/agent/internal/placement"
)

// fakeOperator notes what is asked for; a decommission is refused.
type fakeOperator struct{ asked []string }

func (o *fakeOperator) note(ctx context.Context, format string, args ...any) {
	a, _ := metastate.ActorOf(ctx)
	o.asked = append(o.asked, fmt.Sprintf(format, args...)+" by "+a.By+" via "+a.Via)
}

func (o *fakeOperator) Start(ctx context.Context, r operation.StartRequest) (cluster.Operation, bool, error) {
	if r.Spec.Kind == cluster.OpDecommission {
		return cluster.Operation{}, false, &operation.RefusedError{Kind: operation.Unsafe, Message: "NO_TARGET: only n1 would remain", Verdict: placement.Verdict{
			Refusals: []placement.Refusal{{Code: placement.NoTarget, Ranges: []cluster.RangeID{2, 3}, Fixes: []placement.Fix{{Does: "add 1 node", Command: "nodedbctl join-token create"}}}},
		}}
	}
	if r.Spec.Kind.OfPool() {
		what := ""
		if w := r.Spec.Wanted; w != nil {
			what = fmt.Sprintf(" %d %s %s %d", w.Replicas, w.Constraints, w.PreferLeader, r.Spec.Ranges)
		}
		o.note(ctx, "%s %s%s", r.Spec.Kind, r.Spec.Pool, what)
		return cluster.Operation{ID: "op-1", Spec: r.Spec, State: cluster.OpQueued}, false, nil
	}
	o.note(ctx, "%s %v", r.Spec.Kind, r.Spec.Nodes)
	return cluster.Operation{ID: "op-1", Spec: r.Spec, State: cluster.OpQueued}, false, nil
}

func (o *fakeOperator) Undrain(ctx context.Context, nodes []cluster.NodeID, _, _ string) ([]cluster.Operation, error) {
	o.note(ctx, "undrain %v", nodes)
	return nil, nil
}

func (o *fakeOperator) Recommission(ctx context.Context, nodes []cluster.NodeID, _, _ string) ([]cluster.Operation, error) {
	o.note(ctx, "recommission %v", nodes)
	return []cluster.Operation{{ID: "op-2", State: cluster.OpCancelling}}, nil
}

func (o *fakeOperator) RenamePool(ctx context.Context, name, to, by string) (cluster.Pool, error) {
	o.note(ctx, "rename pool %s to %s by %s", name, to, by)
	return cluster.Pool{Name: to}, nil
}

func (o *fakeOperator) Wait(_ context.Context, id string, until func(*cluster.Operation) bool) (cluster.Operation, error) {
	until(&cluster.Operation{ID: id, State: cluster.OpRunning, Why: "waits until 8 ranges have a leader"})
	return cluster.Operation{ID: id, State: cluster.OpSucceeded}, nil
}

func (o *fakeOperator) SetCordon(ctx context.Context, node cluster.NodeID, cordon bool, _ string) error {
	o.note(ctx, "cordon %s %v", node, cordon)
	return nil
}

func TestAlterNode(t *testing.T) {
	f := newFixture(t, nil)
	o := &fakeOperator{}
	f.server.cfg.Operator = o
	for _, role := range []string{"viewer", "operator"} {
		if _, err := f.meta.Propose(t.Context(), metastate.Command{PutUser: &metastate.PutUser{Name: role, AdminRole: role}}); err != nil {
			t.Fatal(err)
		}
	}
	c := f.open(func(o *SessionOptions) { o.User = "operator" })
	c.want("n1|op-1|queued|\nALTER NODE", "ALTER NODE n1 DRAIN")
	c.want("n1||succeeded|\nALTER NODE", "alter node 1 undrain")
	c.want("n1|op-2|cancelling|\nALTER NODE", "alter node n1 recommission")
	c.want("n1||succeeded|\nALTER NODE", "alter node 'n1' cordon")
	c.want("n1||succeeded|\nALTER NODE", "alter node n1 uncordon")
	want := "drain [n1]; undrain [n1]; recommission [n1]; cordon n1 true; cordon n1 false"
	if got := strings.ReplaceAll(strings.Join(o.asked, "; "), " by operator via sql", ""); got != want {
		t.Errorf("asked for %q, want %q", got, want)
	}
	if got := c.run("alter node n1 decommission"); !strings.HasPrefix(got, "55000 NO_TARGET: only n1 would remain") {
		t.Errorf("a refusal: %q", got)
	}
	c.want(`42704 node "n9" does not exist`, "alter node n9 drain")
	if got := c.run("alter node n1 explode"); !strings.HasPrefix(got, "42601") {
		t.Errorf("an unknown action: %q", got)
	}
	asked := len(o.asked)
	viewer := f.open(func(o *SessionOptions) { o.User = "viewer" })
	viewer.want("42501 permission denied for ALTER NODE / ALTER NODE needs the role operator; \"viewer\" has viewer.", "alter node n1 drain")
	f.open(func(o *SessionOptions) { o.User = "nobody" }).want("42501 permission denied for ALTER NODE / ALTER NODE needs the role operator; \"nobody\" has none.", "alter node n1 cordon")
	c.run("begin")
	c.want("25001 ALTER NODE cannot run inside a transaction block", "alter node n1 drain")
	if len(o.asked) != asked {
		t.Errorf("a refused statement was carried out: %v", o.asked[asked:])
	}
}

func TestShowLifecycle(t *testing.T) {
	c := newFixture(t, nil).open(func(o *SessionOptions) { o.User = "root" })
	if got := strings.Split(c.run("show raft groups"), "\n"); len(got) != 18 || got[0] != "r1|n1|1|voter|n1|5|0|0|NULL|leader|1|unbound|not bound to the leader yet: n2|NULL|NULL|it is used|6|3|1" || !strings.HasPrefix(got[1], "r2|") {
		t.Errorf("show raft groups: %q", got)
	}
	c.want("SHOW", "show peer health")
	c.want("SHOW", "show dropped collections")
	c.run("create table brief (a int primary key)")
	c.run("drop table brief")
	if got := c.run("show dropped collections"); !strings.HasPrefix(got, "brief|") || !strings.Contains(got, "|default|") || !strings.Contains(got, "|16|0") {
		t.Errorf("show dropped collections: %q", got)
	}
	for _, want := range []string{"id|n1", "membership|active", "leaders|17"} {
		if got := c.run("show node n1"); !strings.Contains(got, want+"\n") {
			t.Errorf("show node n1 lacks %q: %q", want, got)
		}
	}
	c.want(`42704 node "7" does not exist`, "show node 7")
	for _, want := range []string{"nodes|1", "nodes_alive|1", "ranges|17", "ranges_healthy|17"} {
		if got := c.run("show cluster"); !strings.Contains(got, want+"\n") {
			t.Errorf("show cluster lacks %q: %q", want, got)
		}
	}
	if got := c.run("show events"); !strings.Contains(got, "|cluster.created|info|n1|") {
		t.Errorf("show events: %q", got)
	}
}
