package metastate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/gate"
)

// Raising is the raising of the cluster's version that is under way. It lasts as
// long as its operation.
type Raising struct {
	To        gate.Version `json:"to"`
	Index     uint64       `json:"index"` // of the command that began it: its name
	Operation string       `json:"operation"`
	// Promised are the nodes that have stored that no binary without To may run
	// there, sorted.
	Promised []cluster.NodeID `json:"promised,omitempty"`
}

// PromiseVersion says that a node has stored that no binary without the version
// that is being raised may run there.
type PromiseVersion struct {
	Node  cluster.NodeID `json:"node"`
	UUID  string         `json:"uuid"`  // must be the recorded one
	Index uint64         `json:"index"` // of the raising that it is promised to
}

// RaiseVersion makes the version that is being raised the active one, if every
// node that belongs to the cluster has promised it.
type RaiseVersion struct {
	Operation string `json:"operation"`
}

// VersionRecord is what v says of versions.
func (v *View) VersionRecord() gate.Record {
	r := gate.Record{Index: v.Index, Active: v.Active}
	if v.Raising != nil {
		r.Raising, r.RaisingIndex = v.Raising.To, v.Raising.Index
	}
	return r
}

// Members returns the ids of the nodes that belong to the cluster, ascending:
// all that were not decommissioned.
func (v *View) Members() []cluster.NodeID {
	return slices.DeleteFunc(v.NodeIDs(), func(id cluster.NodeID) bool {
		return v.Nodes[id].Membership == cluster.Decommissioned
	})
}

// Newest returns the newest version that every member's binary supports; 0: there
// is none.
func (v *View) Newest() gate.Version {
	members := v.Members()
	if len(members) == 0 {
		return 0
	}
	newest := v.Nodes[members[0]].Supports.Max
	for _, id := range members {
		newest = min(newest, v.Nodes[id].Supports.Max)
	}
	return newest
}

// Without returns the members whose binaries do not support version to, ascending.
func (v *View) Without(to gate.Version) []cluster.NodeID {
	return slices.DeleteFunc(v.Members(), func(id cluster.NodeID) bool { return v.Nodes[id].Supports.Has(to) })
}

// Unpromised returns the members that have not promised what is being raised.
func (v *View) Unpromised() []cluster.NodeID {
	if v.Raising == nil {
		return nil
	}
	return slices.DeleteFunc(v.Members(), func(id cluster.NodeID) bool { return slices.Contains(v.Raising.Promised, id) })
}

// checkSupport refuses a binary that cannot run at the active version.
func (c *change) checkSupport(who string, s gate.Support) *Refusal {
	if active := c.view.Active; !s.Has(active) {
		return refuse(CodeVersion, "%s runs %s, and the cluster is at version %d: use a nodedb-agent that runs version %d", who, s, active, active)
	}
	return nil
}

// checkRaising refuses a binary that lacks the version that is being raised: of a
// node that joins, or of one that has promised it.
func (c *change) checkRaising(who string, s gate.Support) *Refusal {
	if r := c.view.Raising; r != nil && !s.Has(r.To) {
		return refuse(CodeVersion, "%s runs %s, and the cluster is being raised to version %d by %s: use a nodedb-agent that runs version %d, or run nodedbctl upgrade abort", who, s, r.To, r.Operation, r.To)
	}
	return nil
}

// prepareUpgrade begins to raise the cluster's version.
func (c *change) prepareUpgrade(op *cluster.Operation) *Refusal {
	v, to := c.view, op.Spec.Version
	switch {
	case v.Raising != nil:
		r := refuse(CodeConflict, "%s is raising the cluster to version %d", v.Raising.Operation, v.Raising.To)
		r.Operation = v.Raising.Operation
		return r
	case to <= v.Active:
		return refuse(CodeInvalid, "the cluster is at version %d already", v.Active)
	}
	if without := v.Without(to); len(without) > 0 {
		return refuse(CodeVersion, "version %d is not supported by %s: upgrade these nodes first, or decommission them", to, c.runs(without))
	}
	v.Raising = &Raising{To: to, Index: c.index, Operation: op.ID}
	c.heads = true
	return nil
}

// runs says what binaries nodes run.
func (c *change) runs(ids []cluster.NodeID) string {
	out := make([]string, len(ids))
	for i, id := range ids {
		n := c.view.Nodes[id]
		out[i] = fmt.Sprintf("%s (%s, %s)", id, n.Version, n.Supports)
	}
	return strings.Join(out, ", ")
}

func (c *change) promiseVersion(in *PromiseVersion) Result {
	n, r := c.liveNode(in.Node)
	if r != nil {
		return Result{Refusal: r}
	}
	raising := c.view.Raising
	switch {
	case n.UUID != in.UUID:
		return refused(CodeConflict, "%s has the identity %s, not %s", n.ID, n.UUID, in.UUID)
	case raising == nil || raising.Index != in.Index:
		return refused(CodeStale, "what %s promises a version to is over", n.ID)
	case !n.Supports.Has(raising.To):
		return refused(CodeVersion, "%s runs %s and cannot promise version %d", n.ID, n.Supports, raising.To)
	case slices.Contains(raising.Promised, n.ID):
		return Result{Node: n.ID, Existed: true}
	}
	next := *raising
	next.Promised = append(slices.Clone(raising.Promised), n.ID)
	slices.Sort(next.Promised)
	c.view.Raising, c.heads = &next, true
	return Result{Node: n.ID}
}

func (c *change) raiseVersion(in *RaiseVersion) Result {
	v := c.view
	raising, op := v.Raising, v.Operations[in.Operation]
	switch {
	case raising == nil || raising.Operation != in.Operation || op == nil:
		return refused(CodeStale, "%s raises no version", in.Operation)
	case op.State == cluster.OpCancelling || op.State == cluster.OpPaused:
		return refused(CodeConflict, "%s is %s", op.ID, op.State)
	}
	if missing := v.Unpromised(); len(missing) > 0 {
		return refused(CodeVersion, "version %d is not promised by %s", raising.To, c.runs(missing))
	}
	from := v.Active
	v.Active, v.Raising, c.heads = raising.To, nil, true
	c.event(cluster.Event{
		Kind: cluster.EventVersionRaised, Operation: op.ID, By: op.RequestedBy,
		Text: fmt.Sprintf("the cluster was raised from version %d to %d", from, v.Active),
		Data: map[string]string{"from": fmt.Sprint(from), "to": fmt.Sprint(v.Active)},
	})
	return Result{}
}

// endRaising ends what an operation raises, when that ends: the promises are void.
func (c *change) endRaising(op string) {
	if r := c.view.Raising; r != nil && r.Operation == op {
		c.view.Raising, c.heads = nil, true
	}
}
