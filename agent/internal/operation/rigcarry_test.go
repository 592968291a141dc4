package operation

import (
	"errors"
	"fmt"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/placement"
)

func (r *rig) carryOutDue() {
	var rest, due []*pending
	for _, p := range r.pending {
		if p.due.After(r.now) {
			rest = append(rest, p)
		} else {
			due = append(due, p)
		}
	}
	r.pending = rest
	for _, p := range due {
		n := r.nodes[p.from]
		sender := n.up && n.nonce == p.nonce
		if !sender && r.rng.IntN(2) == 0 {
			continue // it died before the call left it
		}
		if r.watch != nil {
			r.watch(p.action)
		}
		r.actions++
		done := r.carryOut(p.action)
		done.Action, done.At = p.action, r.now
		if sender {
			n.done = append(n.done, done)
		}
	}
}

var (
	errDown   = errors.New("unreachable")
	errBroken = errors.New("no space is left on this device")
)

func (r *rig) carryOut(a Action) Completion {
	if a.Kind == ActCommand {
		if !r.metaWorks() {
			return Completion{Err: errDown}
		}
		return Completion{Result: r.propose(a.Command)}
	}
	if !r.up(a.To) {
		return Completion{Err: errDown}
	}
	n := r.nodes[a.To]
	if r.refuse != nil {
		if err := r.refuse(a); err != nil {
			return Completion{Err: err}
		}
	}
	switch a.Kind {
	case ActCreate:
		return r.create(n, a)
	case ActPrepare:
		return r.prepare(n, a)
	case ActChange:
		return r.change(a)
	case ActSplit:
		return r.split(a)
	case ActVerify:
		r.verified = append(r.verified, verified{a.Range, r.now})
		sums := map[cluster.NodeID][]cluster.Checksum{}
		for _, rep := range r.ranges[a.Range].desc.Replicas {
			sums[rep.Node] = []cluster.Checksum{{Index: r.ranges[a.Range].commit, At: r.now, Generation: 1, Sum: 7}}
		}
		r.sums[a.Range] = sums
		return Completion{}
	case ActMiddle:
		if r.pendingMiddle++; r.pendingMiddle%3 > 0 {
			return Completion{Err: errors.New("the middle is being looked for")}
		}
		return Completion{Middle: r.middle(a.Range)}
	case ActTransfer:
		return r.transfer(a)
	case ActDestroy:
		n.buried[a.Range] = max(n.buried[a.Range], a.Replica)
		if id, ok := n.held[a.Range]; ok && id < a.Replica {
			if rep, named := r.ranges[a.Range].desc.On(n.id); named && rep.Replica == id && r.view().Removed[a.Range] == nil {
				r.t.Errorf("%s: told to destroy replica %d of %s, which is in use", n.id, id, a.Range)
			}
			delete(n.held, a.Range)
		}
	case ActStatus:
		var c Completion
		for _, id := range a.Ranges {
			if rs, ok := r.rangeStatus(n.id, id); ok {
				c.Statuses = append(c.Statuses, rs)
			}
		}
		return c
	case ActProof:
		var c Completion
		for _, id := range a.Ranges {
			x := r.ranges[id]
			if x.leader != n.id || !r.quorum(&x.desc) {
				return Completion{Err: errors.New("not the leader")}
			}
			c.Descriptors = append(c.Descriptors, *x.desc.Clone())
		}
		return c
	case ActDrain:
		if n.service == cluster.Ready {
			n.service, n.drainAt = cluster.Draining, r.now.Add(5*tick)
		}
	case ActUndrain:
		n.service = cluster.Ready
	case ActStop:
		if r.view().Nodes[n.id].Tombstone == nil && n.disk != cluster.DiskHung {
			r.t.Errorf("%s was told to stop without a tombstone", n.id)
		}
		n.up, n.left, n.downAt = false, true, r.now
		r.note("%s stopped by itself", n.id)
	}
	return Completion{}
}

func (r *rig) prepare(n *fakeNode, a Action) Completion {
	if old, ok := n.held[a.Range]; ok && old != a.Replica {
		return Completion{Err: fmt.Errorf("replica %d is in the way", old)}
	}
	n.held[a.Range] = a.Replica
	return Completion{}
}

func (r *rig) change(a Action) Completion {
	x := r.ranges[a.Range]
	if x.leader != a.To || !r.quorum(&x.desc) {
		return Completion{Err: errors.New("not the leader")}
	}
	if a.Change.Expect != x.desc.Generation {
		return Completion{Err: fmt.Errorf("stale: generation %d", x.desc.Generation)}
	}
	d, problem := placement.Applied(&x.desc, a.Change)
	if problem != "" {
		return Completion{Err: errors.New(problem)}
	}
	if a.Change.Kind == cluster.AddLearner {
		if r.nodes[a.Change.Add].held[a.Range] != x.desc.NextReplica {
			r.t.Errorf("%s: learner on %s was not prepared", a.Range, a.Change.Add)
		}
		x.match[a.Change.Add] = 0
	}
	if r.quorum(&x.desc) && !r.quorum(d) {
		r.t.Errorf("%s: %+v takes the quorum: %v", a.Range, a.Change, d.Replicas)
	}
	x.desc, x.unsaid, x.sayAfter = *d, true, r.now.Add(time.Duration(r.rng.IntN(5))*tick)
	if rep, ok := d.On(x.leader); !ok || rep.Role == cluster.Learner {
		r.t.Errorf("%s: %s leads although it is no voter any more", a.Range, x.leader)
		x.leader, x.lostAt = 0, r.now
	}
	c := Completion{Descriptors: []cluster.RangeDescriptor{*d.Clone()}}
	if rs, ok := r.rangeStatus(a.To, a.Range); ok {
		c.Statuses = []cluster.RangeStatus{rs}
	}
	return c
}

func (r *rig) transfer(a Action) Completion {
	x := r.ranges[a.Range]
	rep, ok := x.desc.On(a.Node)
	if x.leader != a.To || !ok || rep.Role == cluster.Learner || !r.up(a.Node) || x.match[a.Node]+catchUpLag < x.commit {
		return Completion{Err: errors.New("transfer aborted")}
	}
	x.leader = a.Node
	x.term++
	x.match[a.Node] = x.commit
	rs, _ := r.rangeStatus(a.To, a.Range)
	return Completion{Statuses: []cluster.RangeStatus{rs}}
}
