package operation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/placement"
)

// StopCertificate is the coordinator's word that a process may stop: for this
// topology, until it expires. The node checks both just before it stops.
type StopCertificate struct {
	Node      cluster.NodeID `json:"node"`
	Operation string         `json:"operation,omitempty"`
	Epoch     uint64         `json:"epoch"` // of the topology
	MetaIndex uint64         `json:"metaIndex"`
	Expires   time.Time      `json:"expires"`
}

// certificateLife is how long a certificate is good, and how long the
// coordinator counts on the node's absence after it gave one.
const certificateLife = 10 * time.Second

// MethodMayStop asks the coordinator for a StopCertificate.
const MethodMayStop = "node.may-stop"

var errNotCoordinator = errors.New("this node does not coordinate")

// mayStop is the payload of MethodMayStop.
type mayStop struct {
	Node      cluster.NodeID `json:"node"`
	Operation string         `json:"operation,omitempty"`
}

// MayStop gives a node a certificate, or says why not. One caller is answered
// after the other, and a node that was given one counts as gone until it expires.
func (r *Runner) MayStop(ctx context.Context, node cluster.NodeID, op string) (StopCertificate, error) {
	if _, _, self := r.cfg.Meta.Leader(); !self {
		return StopCertificate{}, errNotCoordinator
	}
	if err := r.refresh(ctx, node); err != nil {
		return StopCertificate{}, fmt.Errorf("ask %s how it stands: %w", node, err)
	}
	now := r.now()
	v := r.cfg.Meta.View()
	r.mu.Lock()
	defer r.mu.Unlock()
	s := Snapshot(now, r.cfg.Self, v, r.mu.reports, r.cfg.Liveness())
	s.Busy = alsoBusy(busy(v, op), r.grantedLocked(v, now), node)
	if verdict := placement.SafeToStop(s, []cluster.NodeID{node}); !verdict.OK() {
		return StopCertificate{}, &RefusedError{Kind: Unsafe, Message: verdict.String(), Verdict: verdict}
	}
	c := StopCertificate{Node: node, Operation: op, Epoch: v.Epoch(), MetaIndex: v.Index, Expires: now.Add(certificateLife)}
	r.mu.granted[node] = grant{until: c.Expires, to: r.incarnationLocked(v, node)}
	return c, nil
}

// grant is a certificate that was given, and the process that it was given to.
type grant struct {
	until time.Time
	to    string // boot nonce
}

// grantedLocked lists the nodes that were given a certificate and may not have
// stopped yet. A certificate ends with its process: a node that is back is not
// about to stop.
func (r *Runner) grantedLocked(v *metastate.View, now time.Time) []cluster.NodeID {
	var nodes []cluster.NodeID
	for _, id := range sorted(r.mu.granted) {
		g := r.mu.granted[id]
		if is := r.incarnationLocked(v, id); !now.Before(g.until) || g.to != "" && is != "" && g.to != is {
			delete(r.mu.granted, id)
			continue
		}
		nodes = append(nodes, id)
	}
	return nodes
}

// incarnationLocked names the process that runs as the node, by its last report.
func (r *Runner) incarnationLocked(v *metastate.View, id cluster.NodeID) string {
	if st := r.mu.reports[id].Status; st != nil && st.BootNonce != "" {
		return st.BootNonce
	}
	if n := v.Nodes[id]; n != nil {
		return n.BootNonce
	}
	return ""
}

// serveMayStop answers MethodMayStop; a node asks for itself only.
func (r *Runner) serveMayStop(ctx context.Context, from cluster.NodeID, payload []byte) ([]byte, error) {
	var req mayStop
	if err := json.Unmarshal(payload, &req); err != nil {
		return nil, fmt.Errorf("decode the request: %w", err)
	}
	c, err := r.MayStop(ctx, from, req.Operation)
	if err != nil {
		return nil, err
	}
	return json.Marshal(c)
}

// AskMayStop asks whoever coordinates for a certificate of this node.
func (r *Runner) AskMayStop(ctx context.Context, op string) (StopCertificate, error) {
	leader, _, self := r.cfg.Meta.Leader()
	if self {
		return r.MayStop(ctx, r.cfg.Self, op)
	}
	if leader == 0 {
		return StopCertificate{}, errors.New("the meta range has no leader that is known here")
	}
	payload, err := json.Marshal(mayStop{Node: r.cfg.Self, Operation: op})
	if err != nil {
		return StopCertificate{}, fmt.Errorf("encode the request: %w", err)
	}
	b, err := r.cfg.Caller.Call(ctx, leader, MethodMayStop, payload)
	if err != nil {
		return StopCertificate{}, err
	}
	var c StopCertificate
	if err := json.Unmarshal(b, &c); err != nil {
		return StopCertificate{}, fmt.Errorf("decode the certificate: %w", err)
	}
	return c, nil
}

// certify waits for the coordinator's word that this process may stop.
func (r *draining) certify(ctx context.Context, op string) error {
	if r.d.cfg.MayStop == nil {
		return nil
	}
	why := "the coordinator's word is awaited"
	for {
		call, cancel := context.WithTimeout(ctx, pollTimeout)
		c, err := r.d.cfg.MayStop(call, op)
		cancel()
		switch {
		case err != nil:
			why = err.Error()
		case !r.valid(c):
			why = fmt.Sprintf("the certificate of epoch %d is out of date", c.Epoch)
		default:
			r.note(func(op *cluster.Operation) {
				op.Why = ""
				notePhase(op, PhaseStop, fmt.Sprintf("certificate of topology epoch %d, until %s", c.Epoch, c.Expires.Format(time.TimeOnly)))
			})
			return nil
		}
		r.note(func(op *cluster.Operation) { op.Why = "drained, but it must not stop now: " + why })
		if err := sleep(ctx, 10*r.d.cfg.Poll); err != nil {
			if errors.Is(err, errDeadline) {
				return fmt.Errorf("%w: not safe to stop: %s", err, why)
			}
			return err
		}
	}
}

// valid reports whether a certificate is for this node, as the topology is here,
// and has not expired.
func (r *draining) valid(c StopCertificate) bool {
	if c.Node != r.d.cfg.Self || !r.d.now().Before(c.Expires) {
		return false
	}
	return r.d.cfg.Meta == nil || r.d.cfg.Meta.View().Epoch() == c.Epoch
}

// named turns sessions into what the record keeps of them.
func (r *draining) named(open []Blocker) []cluster.Blocker {
	var out []cluster.Blocker
	for _, b := range open[:min(len(open), 4*blockersNamed)] {
		x := cluster.Blocker{Node: r.d.cfg.Self, PID: b.PID, User: b.User, Application: b.Application, State: b.State, Statement: b.Query}
		if !b.Since.IsZero() {
			x.Seconds = r.d.now().Sub(b.Since).Round(time.Second).Seconds()
		}
		out = append(out, x)
	}
	return out
}
