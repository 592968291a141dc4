package agent

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/health"
	"github.com/nodedb/nodedb/agent/internal/logattr"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/storage"
	"github.com/nodedb/nodedb/agent/internal/store"
	"github.com/nodedb/nodedb/agent/internal/transport"
)

// compareStore refuses a peer whose store lost what it had told this node, and
// one of whose store a copy has been started since.
func (n *Node) compareStore(p transport.Peer) error {
	known, behind := n.marks.Compare(p.Node, p.Standing)
	if !behind {
		return nil
	}
	b := store.Behind{Peer: p.Node, Known: known, Standing: p.Standing}
	if closed(n.handler.started) {
		n.store.Refuse(b)
	}
	return &transport.RefusedError{Code: transport.RefusedBehind, Detail: b.Refusal(), Reason: fmt.Sprintf(
		"the store of %s is as of %s, and has told %s here", p.Node, p.Standing.Found(), known)}
}

// storeFailed ends the node when its store can do nothing more.
func (n *Node) storeFailed(err error) {
	var lost *store.LostError
	switch {
	case errors.Is(err, storage.ErrCorruption):
		n.abandon("the store is damaged", StoreLost(n.cfg.DataDir, err.Error()))
	case !errors.As(err, &lost):
		n.abandon("store failed", n.storageError("store", err))
	case lost.Overtaken():
		n.stop("a copy of this node's directory was started", &ExitError{Code: ExitIdentity, Message: fmt.Sprintf(
			"another process runs as %s: a copy of %s has been started since this one (%s has heard of it): one data directory may run once; stop the other, and find out which of the two is to stay", n.id.Node, n.cfg.DataDir, lost.Peer)})
	default:
		n.stop("the store lost what it had synced", StoreLost(n.cfg.DataDir, lost.Error()))
	}
}

// storeBehind leaves in the cluster's event log that a peer was refused.
func (n *Node) storeBehind(b store.Behind) {
	text := fmt.Sprintf("%s was refused: its store lost what it had synced; it is as of %s, and %s has heard %s of it", b.Peer, b.Standing.Found(), n.id.Node, b.Known)
	n.later(metastate.Command{By: n.id.Node.String(), Via: "agent", RecordEvents: &metastate.RecordEvents{Events: []cluster.Event{{
		Kind: cluster.EventStoreBehind, Severity: cluster.SeverityError, Node: b.Peer, Source: n.id.Node, Text: text,
		Data: map[string]string{"found": b.Standing.Found().String(), "known": b.Known.String()},
	}}}})
}

// later has an event recorded when the meta range can.
func (n *Node) later(cmd metastate.Command) {
	select {
	case n.refusals <- cmd:
	default: // enough is told already
	}
}

const (
	refusalsQueue = 16
	eventPatience = 2 * time.Minute
	eventPause    = time.Second
)

// recordRefusals gets the events of peers that were refused to the meta range, which may be
// without a leader just now.
func (n *Node) recordRefusals(ctx context.Context, ready func()) error {
	ready()
	for {
		select {
		case cmd := <-n.refusals:
			if err := n.proposeEvent(ctx, cmd); err != nil {
				n.logger.Warn("event not recorded", logattr.Err(err))
			}
		case <-ctx.Done():
			return nil
		}
	}
}

func (n *Node) proposeEvent(ctx context.Context, cmd metastate.Command) error {
	ctx, cancel := context.WithTimeout(ctx, eventPatience)
	defer cancel()
	tick := time.NewTicker(eventPause)
	defer tick.Stop()
	for {
		_, err := n.meta.Propose(ctx, cmd)
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return err
		}
	}
}

// waiting says on the health board what the node's replicas wait for.
func (n *Node) waiting(peers []cluster.NodeID, ranges int) {
	if len(peers) == 0 {
		n.board.Clear("store")
		return
	}
	names := make([]string, len(peers))
	for i, p := range peers {
		names[i] = p.String()
	}
	n.board.Set(health.Problem{Component: "store", Code: "asking-peers", Detail: fmt.Sprintf(
		"%d replicas take no part until a quorum of their peers has said that it knows of nothing later than this store; no answer yet from %s", ranges, strings.Join(names, ", "))})
}
