package metastate

import (
	"bytes"
	"fmt"
	"maps"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/gate"
)

func (c *change) initCluster(in *InitCluster, by string) Result {
	v := c.view
	if v.ClusterID == in.ClusterID && in.ClusterID != "" {
		return Result{Existed: true, Node: in.Node.ID}
	}
	if v.Initialized() {
		return refused(CodeExists, "this is already cluster %s (%s)", v.ClusterName, v.ClusterID)
	}
	if in.ClusterID == "" || in.Name == "" || in.Node.ID == 0 || in.Node.UUID == "" {
		return refused(CodeInvalid, "a cluster needs an id, a name and a first node with id and uuid")
	}
	v.ClusterID, v.ClusterName, v.CACert, v.CreatedAt = in.ClusterID, in.Name, in.CACert, c.now
	v.Active = max(in.Active, gate.First)
	v.Settings = Settings{}
	maps.Copy(v.Settings, in.Settings)
	v.next.Node = in.Node.ID + 1
	c.heads = true

	node := in.Node
	node.Membership, node.JoinedAt, node.Tombstone = cluster.Active, c.now, nil
	node.Supports = node.Supports.Or()
	if node.Name == "" {
		node.Name = node.ID.String()
	}
	c.putNode(node)
	if r := c.updateRanges(&UpdateRanges{Descriptors: in.Ranges}); r.Refusal != nil {
		return r
	}
	if r := c.foundPool(in.Replicas, len(c.view.RangesIn(cluster.DefaultPool))); r != nil {
		return Result{Refusal: r}
	}
	c.event(cluster.Event{Kind: cluster.EventClusterCreated, Text: fmt.Sprintf("cluster %s was created with %s", in.Name, node.ID), Node: node.ID})
	if r := c.checkCoverage(); r != nil {
		return Result{Refusal: r}
	}
	if r := c.foundObjects("root"); r != nil {
		return Result{Refusal: r}
	}
	for i := range in.Users {
		if r := c.replaceUser(&in.Users[i]); r.Refusal != nil {
			return r
		}
	}
	for i := range in.Tokens {
		if r := c.createToken(&in.Tokens[i], by); r.Refusal != nil {
			return r
		}
	}
	return Result{Node: node.ID}
}

// checkCoverage refuses a view that lacks the meta range or leaves a key
// without a range.
func (c *change) checkCoverage() *Refusal {
	if _, ok := c.view.MetaRange(); !ok {
		return refuse(CodeInvalid, "the meta range is missing")
	}
	if s, ok := c.view.orphan(); ok {
		return refuse(CodeInvalid, "%s belongs to no range", s)
	}
	return nil
}

func (c *change) addNode(in *AddNode) Result {
	if in.UUID == "" || len(in.KeyHash) == 0 {
		return refused(CodeInvalid, "a node needs a uuid and the hash of its public key")
	}
	token, ok := c.view.JoinTokens[in.TokenID]
	if !ok || !bytes.Equal(token.Hash, in.TokenHash) {
		return refused(CodeDenied, "the join token is not known")
	}
	for _, used := range token.Consumed {
		if !bytes.Equal(used.KeyHash, in.KeyHash) {
			continue
		}
		n, ok := c.view.Nodes[used.Node]
		if !ok || n.UUID != in.UUID {
			return refused(CodeConflict, "the key already joined as %s with another uuid", used.Node)
		}
		if n.Membership == cluster.Decommissioned {
			return Result{Refusal: tombstoned(n)}
		}
		return Result{Existed: true, Node: n.ID}
	}
	if r := c.checkJoinToken(token, in.Name); r != nil {
		return Result{Refusal: r}
	}
	if r := c.checkNewNode(in.UUID, in.Name); r != nil {
		return Result{Refusal: r}
	}
	for _, check := range []func(string, gate.Support) *Refusal{c.checkSupport, c.checkRaising} {
		if r := check("the new node", in.Supports.Or()); r != nil {
			return Result{Refusal: r}
		}
	}
	id, _ := cluster.NumberOfName(in.Name) // checked above
	if id == 0 {
		id = c.view.freeNumber()
	}
	for c.view.Nodes[c.view.next.Node] != nil || c.view.next.Node == id {
		c.view.next.Node++ // numbers below are never given again
	}
	c.heads = true
	name := in.Name
	if name == "" {
		name = id.String()
	}
	c.putNode(cluster.Node{
		ID: id, UUID: in.UUID, Name: name, Addresses: in.Addresses, Locality: in.Locality,
		Version: in.Version, Supports: in.Supports.Or(), BootNonce: in.BootNonce, Membership: cluster.Joining, JoinedAt: c.now,
	})
	t := *token
	t.Consumed = append(slices.Clone(t.Consumed), JoinedKey{KeyHash: in.KeyHash, Node: id, At: c.now})
	c.putJoinToken(t)
	c.event(cluster.Event{Kind: cluster.EventNodeJoining, Node: id, Text: fmt.Sprintf("%s (%s) joins with the join token %s", id, name, t.ID)})
	return Result{Node: id}
}

func (c *change) checkJoinToken(t *JoinToken, name string) *Refusal {
	switch {
	case !t.RevokedAt.IsZero():
		return refuse(CodeDenied, "the join token %s was revoked", t.ID)
	case !c.now.Before(t.ExpiresAt):
		return refuse(CodeDenied, "the join token %s expired at %s: make a new one with 'nodedbctl join-token create'", t.ID, t.ExpiresAt.Format("2006-01-02 15:04:05 UTC"))
	case len(t.Consumed) >= t.Uses:
		return refuse(CodeDenied, "the join token %s is used up: make a new one with 'nodedbctl join-token create'", t.ID)
	case t.Node != "" && t.Node != name:
		return refuse(CodeDenied, "the join token %s is for the node named %q, not %q", t.ID, t.Node, name)
	}
	return nil
}

func (c *change) checkNewNode(uuid, name string) *Refusal {
	if n, ok := c.view.NodeByUUID(uuid); ok {
		if n.Membership == cluster.Decommissioned {
			return tombstoned(n)
		}
		return refuse(CodeConflict, "the identity %s already belongs to %s", uuid, n.ID)
	}
	return c.checkName(name)
}

// checkName refuses names that a new node cannot have.
func (c *change) checkName(name string) *Refusal {
	id, err := cluster.NumberOfName(name)
	if err != nil {
		return refuse(CodeInvalid, "%v", err)
	}
	if n, ok := c.view.Nodes[id]; ok {
		who := "is used by " + n.Name
		if n.Membership == cluster.Decommissioned {
			who = "was used by a node that was decommissioned"
		}
		return refuse(CodeExists, "the node name %q is taken: it is for number %d only, which %s: join as %q, or with a name that is no number", name, id, who, c.view.freeNumber())
	}
	for _, n := range c.view.Nodes {
		if n.Name == name && n.Membership != cluster.Decommissioned {
			return refuse(CodeExists, "the node name %q is taken by %s: join as %q, or with another name", name, n.ID, c.view.freeNumber())
		}
	}
	return nil
}

// freeNumber returns the number of the next node whose name asks for none.
func (v *View) freeNumber() cluster.NodeID {
	id := v.next.Node
	for v.Nodes[id] != nil {
		id++
	}
	return id
}

func tombstoned(n *cluster.Node) *Refusal {
	return refuse(CodeTombstoned, "%s (%s) was decommissioned and cannot come back: start it with an empty data directory to join as a new node", n.ID, n.UUID)
}

// liveNode returns the node unless it is unknown or decommissioned.
func (c *change) liveNode(id cluster.NodeID) (cluster.Node, *Refusal) {
	n, ok := c.view.Nodes[id]
	if !ok {
		return cluster.Node{}, refuse(CodeNotFound, "there is no node %s", id)
	}
	if n.Membership == cluster.Decommissioned {
		return cluster.Node{}, tombstoned(n)
	}
	return *n, nil
}

func (c *change) updateNode(in *UpdateNode) Result {
	n, r := c.liveNode(in.Node)
	if r != nil {
		return Result{Refusal: r}
	}
	if n.UUID != in.UUID {
		return refused(CodeConflict, "%s has the identity %s, not %s", n.ID, n.UUID, in.UUID)
	}
	if in.Claim != nil && n.BootNonce != "" && n.BootNonce != in.BootNonce && !slices.Contains(in.Claim.Previous, n.BootNonce) {
		return refused(CodeConflict, "%s has run from another copy of its data directory since, at %s: a data directory that was copied or restored cannot be used; wipe it and join as a new node", n.ID, n.Addresses.RPC)
	}
	if r := c.checkSupport(n.ID.String(), in.Supports.Or()); r != nil {
		return Result{Refusal: r}
	}
	if raising := c.view.Raising; raising != nil && slices.Contains(raising.Promised, n.ID) {
		if r := c.checkRaising(n.ID.String(), in.Supports.Or()); r != nil {
			return Result{Refusal: r}
		}
	}
	if n.BootNonce != in.BootNonce {
		c.event(cluster.Event{
			Kind: cluster.EventNodeStarted, Node: n.ID, Text: fmt.Sprintf("%s started, version %s", n.ID, in.Version),
			Data: map[string]string{"version": in.Version, "bootNonce": in.BootNonce},
		})
	}
	n.Addresses, n.Locality, n.Version, n.BootNonce = in.Addresses, in.Locality, in.Version, in.BootNonce
	n.Supports = in.Supports.Or()
	c.putNode(n)
	return Result{Node: n.ID}
}

// resetStore counts the stores that a node has had. That the old one's replicas
// are lost is the node's to say, and the coordinator's to mend.
func (c *change) resetStore(in *ResetStore) Result {
	n, r := c.liveNode(in.Node)
	if r != nil {
		return Result{Refusal: r}
	}
	if n.UUID != in.UUID {
		return refused(CodeConflict, "%s has the identity %s, not %s", n.ID, n.UUID, in.UUID)
	}
	n.StoreGeneration++
	// The directory may be an old copy, which cannot name the last incarnation; it
	// begins anew by this.
	n.BootNonce = ""
	c.putNode(n)
	c.event(cluster.Event{
		Kind: cluster.EventNodeReset, Severity: cluster.SeverityWarn, Node: n.ID,
		Text: fmt.Sprintf("the store of %s is emptied: its replicas are made anew once it runs", n.ID), Data: map[string]string{"storeGeneration": fmt.Sprint(n.StoreGeneration)},
	})
	return Result{Node: n.ID}
}

func (c *change) setCordon(in *SetCordon) Result {
	n, r := c.liveNode(in.Node)
	if r != nil {
		return Result{Refusal: r}
	}
	until := in.Until.UTC()
	if in.Cordon && !until.IsZero() && !c.now.Before(until) {
		return refused(CodeInvalid, "a cordon must end in the future")
	}
	if !in.Cordon && !in.Expired.IsZero() && !n.CordonUntil.Equal(in.Expired) {
		return Result{Node: n.ID, Existed: true} // it was renewed meanwhile
	}
	if n.Cordon == in.Cordon && n.CordonUntil.Equal(until) {
		return Result{Node: n.ID, Existed: true}
	}
	n.Cordon, n.CordonUntil, n.CordonReason = in.Cordon, until, in.Reason
	c.putNode(n)
	c.cordonEvent(&n)
	return Result{Node: n.ID}
}

func (c *change) setMembership(in *SetMembership, by string) Result {
	if len(in.Nodes) == 0 {
		return refused(CodeInvalid, "no node is named")
	}
	changed := false
	for _, id := range in.Nodes {
		n, ok := c.view.Nodes[id]
		if !ok {
			return refused(CodeNotFound, "there is no node %s", id)
		}
		if n.Membership == in.To {
			continue
		}
		if r := c.checkTransition(n, in.To); r != nil {
			return Result{Refusal: r}
		}
		if r := c.checkTombstone(in); r != nil {
			return Result{Refusal: r}
		}
		m := *n
		m.Membership = in.To
		if in.To == cluster.Decommissioned {
			m.Tombstone = &cluster.Tombstone{At: c.now, By: by, Reason: in.Reason, Operation: in.Operation}
		}
		c.putNode(m)
		if in.To == cluster.Decommissioned {
			c.forsake(id)
		}
		c.membershipEvent(n, n.Membership, in)
		changed = true
	}
	return Result{Existed: !changed}
}

// checkTombstone keeps the tombstone away while its operation is being cancelled
// or is paused: whoever asked for that was told that it is not too late.
func (c *change) checkTombstone(in *SetMembership) *Refusal {
	op := c.view.Operations[in.Operation]
	if op == nil || in.To != cluster.Decommissioned {
		return nil
	}
	var r *Refusal
	switch op.State {
	case cluster.OpCancelling:
		r = refuse(CodeConflict, "%s is being cancelled", op.ID)
	case cluster.OpPaused:
		r = refuse(CodeConflict, "%s is paused", op.ID)
	default:
		return nil
	}
	r.Operation = op.ID
	return r
}

func (c *change) checkTransition(n *cluster.Node, to cluster.Membership) *Refusal {
	if n.Membership == cluster.Decommissioned {
		return tombstoned(n)
	}
	allowed := map[cluster.Membership][]cluster.Membership{
		cluster.Joining:         {cluster.Active, cluster.Decommissioning, cluster.Decommissioned},
		cluster.Active:          {cluster.Decommissioning},
		cluster.Decommissioning: {cluster.Active, cluster.Decommissioned},
	}
	if !slices.Contains(allowed[n.Membership], to) {
		return refuse(CodeInvalid, "%s is %s and cannot become %s", n.ID, n.Membership, to)
	}
	if to != cluster.Decommissioned {
		return nil
	}
	for _, id := range c.view.RangeIDs() {
		if _, ok := c.view.Ranges.Get(id).On(n.ID); ok {
			return refuse(CodeReferenced, "%s still has a replica of %s", n.ID, id)
		}
	}
	if s, ok := c.view.orphan(); ok {
		return refuse(CodeReferenced, "%s was given to a new range that is not known here yet: it may be on %s", s, n.ID)
	}
	return nil
}
