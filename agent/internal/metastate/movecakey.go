package metastate

import (
	"errors"
	"fmt"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// caKeyMoveLife is how long a recorded move of the CA's key may be carried out.
// Too short: a slow move must be asked for again. Too long: one that failed could
// still be carried out when nobody thinks of it any more.
const caKeyMoveLife = time.Minute

// MoveCAKey records that the CA's key is to go from one node to another. The nodes
// carry out what is recorded, and nothing else.
type MoveCAKey struct {
	From   cluster.NodeID `json:"from"`
	To     cluster.NodeID `json:"to"`
	Reason string         `json:"reason,omitempty"`
}

// EndCAKeyMove consumes the record of a move that was carried out.
type EndCAKeyMove struct {
	Record uint64 `json:"record"`
}

// CAKeyMove is a move of the CA's key that an admin has asked for.
type CAKeyMove struct {
	// Record is the index of the command that asked.
	Record    uint64         `json:"record"`
	From      cluster.NodeID `json:"from"`
	To        cluster.NodeID `json:"to"`
	By        string         `json:"by"`
	At        time.Time      `json:"at"`
	ExpiresAt time.Time      `json:"expiresAt"`
}

// CheckCAKeyMove says why the CA's key may not go from one node to another now
// under a record, nil if it may.
func (v *View) CheckCAKeyMove(record uint64, from, to cluster.NodeID, now time.Time) error {
	m := v.CAKeyMove
	switch {
	case m == nil || m.Record != record:
		return errors.New("no admin has asked for this move of the CA's key, or it was carried out already")
	case m.From != from || m.To != to:
		return errors.New("an admin has asked for another move of the CA's key")
	case !now.Before(m.ExpiresAt):
		return errors.New("the move of the CA's key was asked for too long ago: ask again")
	}
	return nil
}

func (c *change) moveCAKey(in *MoveCAKey, by string) Result {
	n, r := c.liveNode(in.To)
	pending := c.view.CAKeyMove
	switch {
	case c.via != ViaAdmin:
		return refused(CodeDenied, "the CA's key is moved by an admin only: nodedbctl cert move-ca")
	case r != nil:
		return Result{Refusal: r}
	case n.Membership != cluster.Active:
		return refused(CodeInvalid, "%s is %s: the CA's key goes to an active node only", n.ID, n.Membership)
	case in.From == in.To:
		return refused(CodeInvalid, "the CA's key is on %s already", in.To)
	case c.view.CARotation != nil:
		return refused(CodeConflict, "the CA is being rotated: end that first, with 'nodedbctl cert rotate-ca finalize' or 'abort'")
	case pending != nil && c.now.Before(pending.ExpiresAt) && (pending.From != in.From || pending.To != in.To):
		return refused(CodeConflict, "the CA's key is being moved from %s to %s: if that fails, another move may begin in a minute", pending.From, pending.To)
	}
	c.view.CAKeyMove, c.heads = &CAKeyMove{
		Record: c.index, From: in.From, To: in.To, By: by, At: c.now, ExpiresAt: c.now.Add(caKeyMoveLife),
	}, true
	c.event(cluster.Event{Kind: cluster.EventCAKeyMoved, Node: in.To, Text: fmt.Sprintf("the CA's key goes from %s to %s", in.From, in.To)})
	return Result{}
}

func (c *change) endCAKeyMove(in *EndCAKeyMove) Result {
	if m := c.view.CAKeyMove; m == nil || m.Record != in.Record {
		return refused(CodeConflict, "the move of the CA's key under record %d has ended, or another has begun", in.Record)
	}
	c.view.CAKeyMove, c.heads = nil, true
	return Result{}
}
