package operation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/placement"
)

// MethodReset asks the coordinator whether a node's store may be emptied.
const MethodReset = "node.reset"

// ResetRequest is its payload. Any member may ask for another: the node itself
// does not run.
type ResetRequest struct {
	Node cluster.NodeID `json:"node"`
	UUID string         `json:"uuid"`
}

// LostReplica is one that goes with the store: no replica id of its range below
// Next may come back to the node.
type LostReplica struct {
	Range   cluster.RangeID   `json:"range"`
	Replica cluster.ReplicaID `json:"replica"`
	Next    cluster.ReplicaID `json:"next"`
}

// ResetGrant is the answer: the reset is recorded, and what the emptied store has
// to know; or Refused, and nothing has changed.
type ResetGrant struct {
	Generation uint64        `json:"generation,omitempty"`
	Lost       []LostReplica `json:"lost,omitempty"`
	Refused    string        `json:"refused,omitempty"`
	Again      bool          `json:"again,omitempty"` // refused only for now: ask again
}

// Reset records that a node's store is emptied, unless a range would lose its
// quorum with it.
func (r *Runner) Reset(ctx context.Context, req ResetRequest) (ResetGrant, error) {
	if _, _, self := r.cfg.Meta.Leader(); !self {
		return ResetGrant{}, errNotCoordinator
	}
	now := r.now()
	v := r.cfg.Meta.View()
	r.mu.Lock()
	s := Snapshot(now, r.cfg.Self, v, r.mu.reports, r.cfg.Liveness())
	s.Busy = alsoBusy(busy(v, ""), r.grantedLocked(v, now), req.Node)
	r.mu.Unlock()
	if verdict := placement.SafeToReset(s, req.Node); !verdict.OK() {
		return refusedReset(&verdict), nil
	}
	res, err := r.cfg.Meta.Propose(ctx, metastate.Command{By: req.Node.String(), Via: "agent", ResetStore: &metastate.ResetStore{Node: req.Node, UUID: req.UUID}})
	if err != nil {
		return ResetGrant{}, fmt.Errorf("record the reset of %s: %w", req.Node, err)
	}
	if res.Refusal != nil {
		return ResetGrant{Refused: res.Refusal.Message}, nil //nolint:nilerr // a refusal is an answer
	}
	// A range may have changed since the question was judged.
	v = r.cfg.Meta.View()
	r.mu.Lock()
	s = Snapshot(now, r.cfg.Self, v, r.mu.reports, r.cfg.Liveness())
	r.mu.Unlock()
	return lostReplicas(v, s, req.Node), nil
}

// lostReplicas is what goes with the store of a node, as of a view that has its
// reset.
func lostReplicas(v *metastate.View, s *placement.Snapshot, node cluster.NodeID) ResetGrant {
	out := ResetGrant{Lost: []LostReplica{}}
	if n := v.Nodes[node]; n != nil {
		out.Generation = n.StoreGeneration
	}
	for i := range s.Ranges {
		d := &s.Ranges[i].Descriptor
		if rep, ok := d.On(node); ok {
			out.Lost = append(out.Lost, LostReplica{Range: d.ID, Replica: rep.Replica, Next: d.NextReplica})
		}
	}
	return out
}

// refusedReset tells the last refusal, which is not about reports if there is
// another, and its ways out.
func refusedReset(v *placement.Verdict) ResetGrant {
	x := v.Refusals[len(v.Refusals)-1]
	text := fmt.Sprintf("%s: %s", x.Code, x.Why)
	for _, fix := range x.Fixes {
		text += "; " + fix.Does
		if fix.Command != "" {
			text += ": " + fix.Command
		}
	}
	return ResetGrant{Refused: text, Again: x.Passes}
}

func (r *Runner) serveReset(ctx context.Context, _ cluster.NodeID, payload []byte) ([]byte, error) {
	var req ResetRequest
	if err := json.Unmarshal(payload, &req); err != nil {
		return nil, fmt.Errorf("decode the request: %w", err)
	}
	grant, err := r.Reset(ctx, req)
	if err != nil {
		return nil, err
	}
	return json.Marshal(grant)
}

// AskReset asks whoever coordinates to let a node's store be emptied.
func (r *Runner) AskReset(ctx context.Context, req ResetRequest) (ResetGrant, error) {
	leader, _, self := r.cfg.Meta.Leader()
	if self {
		return r.Reset(ctx, req)
	}
	if leader == 0 {
		return ResetGrant{}, errors.New("the meta range has no leader that is known here")
	}
	payload, err := json.Marshal(req)
	if err != nil {
		return ResetGrant{}, fmt.Errorf("encode the request: %w", err)
	}
	b, err := r.cfg.Caller.Call(ctx, leader, MethodReset, payload)
	if err != nil {
		return ResetGrant{}, err
	}
	var grant ResetGrant
	if err := json.Unmarshal(b, &grant); err != nil {
		return ResetGrant{}, fmt.Errorf("decode the answer: %w", err)
	}
	return grant, nil
}
