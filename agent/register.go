package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/health"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/logattr"
	"github.com/nodedb/nodedb/agent/internal/metastate"
)

// storeIdent is the store's own record of whose it is.
type storeIdent struct {
	Format    int            `json:"format"`
	ClusterID string         `json:"clusterId"`
	Node      cluster.NodeID `json:"node"`
	UUID      string         `json:"uuid"`
}

// checkStore refuses a store of another node or cluster, and writes the record
// of a new one.
func (n *Node) checkStore() error {
	want := storeIdent{Format: identityFormat, ClusterID: n.id.ClusterID, Node: n.id.Node, UUID: n.id.UUID}
	b, ok, err := n.engine.Get(keys.StoreIdent())
	if err != nil {
		return &ExitError{Code: ExitDataDir, Message: "read the store's identity", Err: err}
	}
	if ok {
		var have storeIdent
		if err := json.Unmarshal(b, &have); err != nil {
			return &ExitError{Code: ExitDataDir, Message: "the store's identity is damaged", Err: err}
		}
		if have.Format > identityFormat {
			return &ExitError{Code: ExitDataDir, Message: fmt.Sprintf("the store has format %d, this binary knows %d at most: start it with the newer nodedb-agent", have.Format, identityFormat)}
		}
		if have != want {
			return &ExitError{Code: ExitIdentity, Message: fmt.Sprintf("the store belongs to %s (%s) of cluster %s, the data directory to %s (%s) of cluster %s: one of them was copied from elsewhere", have.Node, have.UUID, have.ClusterID, want.Node, want.UUID, want.ClusterID)}
		}
		return nil
	}
	return n.claimStore(want)
}

// claimStore marks an empty store as this node's, once: a store that is empty
// again although its node has run was wiped, and the votes it gave are lost.
func (n *Node) claimStore(ident storeIdent) error {
	if n.id.Started {
		return StoreLost(n.cfg.DataDir, fmt.Sprintf("the store of %s is gone but its identity is not", n.id.Node))
	}
	b, err := json.Marshal(ident)
	if err != nil {
		return err
	}
	batch := n.engine.NewBatch()
	defer func() { _ = batch.Close() }()
	if err := batch.Set(keys.StoreIdent(), b); err != nil {
		return &ExitError{Code: ExitDataDir, Message: "write the store's identity", Err: err}
	}
	if err := batch.Commit(true); err != nil {
		return &ExitError{Code: ExitDataDir, Message: "write the store's identity", Err: err}
	}
	return nil
}

// register tells the meta range that this incarnation runs, and where. It waits
// until the meta range has arrived on this node.
func (n *Node) register(ctx context.Context, ready func()) error {
	if err := n.awaken(ctx); err != nil { // first: whoever looks at the node learns at once why it waits
		return err
	}
	// A store that is refused must leave no record that its right disk would
	// stumble over.
	select {
	case <-n.heardOut:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if err := n.waitForSelf(ctx); err != nil {
		return err
	}
	if err := n.recordIncarnation(ctx); err != nil {
		return err
	}
	cancel := n.machine.Subscribe(n.watchSelf)
	defer cancel()
	ready()
	<-ctx.Done()
	return nil
}

// recordIncarnation has this incarnation recorded, and leaves in identity.json
// which one it was, before and after: a copy of the directory cannot know.
func (n *Node) recordIncarnation(ctx context.Context) error {
	id := n.id
	previous := slices.Clone(id.Boots)
	n.earlier = previous
	id.addBoot(n.nonce)
	if err := saveIdentity(n.cfg.DataDir, id); err != nil {
		return &ExitError{Code: ExitDataDir, Message: "write the node's identity", Err: err}
	}
	if err := n.announce(ctx, previous); err != nil {
		return err
	}
	id.Started, id.Boots = true, []string{n.nonce}
	if err := saveIdentity(n.cfg.DataDir, id); err != nil {
		return &ExitError{Code: ExitDataDir, Message: "write the node's identity", Err: err}
	}
	return nil
}

func (n *Node) waitForSelf(ctx context.Context) error {
	changed := n.machine.Watch(ctx)
	tick := time.NewTicker(10 * time.Second)
	defer tick.Stop()
	for {
		if v := n.machine.View(); v.Initialized() {
			if node := v.Nodes[n.id.Node]; node != nil {
				return n.checkRecord(node)
			}
		}
		select {
		case <-changed:
		case <-tick.C:
			n.board.Set(health.Problem{Component: "meta range", Code: "waiting", Detail: "the meta range has not arrived on this node yet"})
			n.logger.Info("waiting for the meta range to arrive on this node; its leader sends it")
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// checkRecord compares the meta range's record of this node with what it is.
func (n *Node) checkRecord(node *cluster.Node) error {
	switch {
	case node.Membership == cluster.Decommissioned:
		return decommissionedError(n.id, "")
	case node.UUID != n.id.UUID:
		return &ExitError{Code: ExitIdentity, Message: fmt.Sprintf("the cluster knows %s as %s, this data directory is %s: it was copied or restored; join as a new node", n.id.Node, node.UUID, n.id.UUID)}
	}
	return nil
}

// announce records this incarnation. The record must be that of an earlier one
// of this data directory.
func (n *Node) announce(ctx context.Context, previous []string) error {
	n.board.Clear("meta range")
	cmd := metastate.Command{By: n.id.Node.String(), Via: "agent", UpdateNode: &metastate.UpdateNode{
		Node: n.id.Node, UUID: n.id.UUID, Addresses: n.cfg.Advertised(), Locality: n.cfg.Locality, Version: n.cfg.Version, Supports: n.versions.Support(), BootNonce: n.nonce,
		Claim: &metastate.Claim{Previous: previous},
	}}
	res, err := n.persist(ctx, cmd)
	if err == nil && res.Refusal != nil {
		return &ExitError{Code: ExitIdentity, Message: "the cluster refuses this node: " + res.Refusal.Message}
	}
	return err
}

// What persist waits between tries, at first and at most, and how often it says
// why: an error may come at once, again and again.
const (
	firstPause = 100 * time.Millisecond
	longPause  = 2 * time.Second
	sayAgain   = 30 * time.Second
)

// persist proposes cmd until the meta range answers.
func (n *Node) persist(ctx context.Context, cmd metastate.Command) (metastate.Result, error) {
	var said time.Time
	for pause := firstPause; ; pause = min(2*pause, longPause) {
		res, err := n.meta.Propose(ctx, cmd)
		if err == nil {
			n.board.Clear("meta range")
			return res, nil
		}
		n.board.Set(health.Problem{Component: "meta range", Code: "no-meta-leader", Detail: "the meta range has no quorum that answers"})
		if time.Since(said) >= sayAgain {
			said = time.Now()
			n.logger.Warn("the meta range does not answer, will try again", logattr.Err(err))
		}
		select {
		case <-ctx.Done():
			return metastate.Result{}, context.Cause(ctx)
		case <-time.After(pause):
		}
	}
}

// taken reports whether another process runs as the node: its record is neither of this
// incarnation nor of an earlier one, which this node's view of the meta range may show until
// it has caught up.
func taken(node *cluster.Node, nonce string, earlier []string) bool {
	return node.BootNonce != "" && node.BootNonce != nonce && !slices.Contains(earlier, node.BootNonce) && node.Membership != cluster.Decommissioned
}

// watchSelf stops this process when another one has taken its identity.
func (n *Node) watchSelf(v *metastate.View) {
	node := v.Nodes[n.id.Node]
	if node == nil || !taken(node, n.nonce, n.earlier) {
		return
	}
	go n.stop("another process runs as this node", &ExitError{Code: ExitIdentity, Message: fmt.Sprintf("another process runs as %s, at %s (this one is at %s): one data directory may run once; stop the other, or wipe this one and join as a new node", n.id.Node, node.Addresses.RPC, n.cfg.Advertised().RPC)})
}
