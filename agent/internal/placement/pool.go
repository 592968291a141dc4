package placement

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// Pool returns the pool with the id, or nil.
func (s *Snapshot) Pool(id cluster.PoolID) *cluster.Pool {
	i, ok := slices.BinarySearchFunc(s.Pools, id, func(p cluster.Pool, id cluster.PoolID) int { return cmp.Compare(p.ID, id) })
	if !ok {
		return nil
	}
	return &s.Pools[i]
}

// spec is what r's pool wants. Nothing constrains the meta range: every node has
// a copy of it.
func (s *Snapshot) spec(r *Range) *cluster.PoolSpec {
	if !r.Descriptor.IsMeta() {
		if p := s.Pool(r.Descriptor.Pool); p != nil {
			return &p.PoolSpec
		}
	}
	return &anywhere
}

// anywhere is what nobody has said anything else of.
var anywhere = cluster.PoolSpec{Replicas: cluster.DefaultReplicas}

// mostReplicas is the most replicas that a pool wants.
func (s *Snapshot) mostReplicas() int {
	most := 0
	for i := range s.Pools {
		most = max(most, s.Pools[i].Replicas)
	}
	return most
}

// poolName is what r's pool is called.
func (s *Snapshot) poolName(r *Range) string {
	if p := s.Pool(r.Descriptor.Pool); p != nil {
		return p.Name
	}
	return cluster.DefaultPoolName
}

// misplaced says why the constraints of r's pool keep its replicas off n; "" if
// they do not.
func (s *Snapshot) misplaced(r *Range, n *Node) string {
	c, broken := s.spec(r).Constraints.Broken(n.Locality)
	if !broken {
		return ""
	}
	where := "has no locality"
	if len(n.Locality) > 0 {
		where = "is in " + n.Locality.String()
	}
	return fmt.Sprintf("%s, and pool %s wants %s", where, s.poolName(r), c)
}

// admits reports whether the constraints of r's pool let a replica be on a node.
func (s *Snapshot) admits(r *Range, id cluster.NodeID) bool {
	n := s.Node(id)
	return n == nil || s.spec(r).Constraints.Admit(n.Locality)
}

// likes reports whether the pool of r prefers that the node leads.
func (s *Snapshot) likes(r *Range, id cluster.NodeID) bool {
	n := s.Node(id)
	return n != nil && s.spec(r).PreferLeader.Likes(n.Locality)
}

// constraintFixes says what would let a node that the constraints of r's pool
// refuse hold a replica.
func (s *Snapshot) constraintFixes(r *Range, n *Node) []Fix {
	c, broken := s.spec(r).Constraints.Broken(n.Locality)
	if !broken {
		return nil
	}
	where := "at " + c.Tier.String()
	if c.Forbidden {
		where = "elsewhere than at " + c.Tier.String()
	}
	left := slices.DeleteFunc(slices.Clone(s.spec(r).Constraints), func(x cluster.Constraint) bool { return x == c })
	return []Fix{{
		Does:    fmt.Sprintf("start a node %s, or drop the constraint %s of pool %s", where, c, s.poolName(r)),
		Command: fmt.Sprintf("nodedbctl pools alter %s --constraints '%s'", s.poolName(r), left),
	}}
}

// refuseConstrained refuses because the nodes that would be left are not where the
// pools of ranges want them.
func (p *planner) refuseConstrained(ranges []cluster.RangeID, leaving []cluster.NodeID) {
	if len(ranges) == 0 {
		return
	}
	r := p.s.Range(ranges[0])
	spec, name := p.s.spec(r), p.s.poolName(r)
	var remain []cluster.NodeID
	for i := range p.s.Nodes {
		if n := &p.s.Nodes[i]; n.refuses() == "" && spec.Constraints.Admit(n.Locality) && !slices.Contains(leaving, n.ID) {
			remain = append(remain, n.ID)
		}
	}
	missing, needs := max(spec.Replicas-len(remain), 1), "need"
	if len(ranges) == 1 {
		needs = "needs"
	}
	out := Refusal{
		Code: Constraint, Ranges: ranges, Nodes: p.in.Nodes,
		Why:   fmt.Sprintf("%s of pool %s %s %s with %s; %s", count(len(ranges), "range"), name, needs, count(spec.Replicas, "node"), spec.Constraints, remaining(remain)),
		Fixes: []Fix{{Does: fmt.Sprintf("start %s with %s", more(missing, "node"), spec.Constraints), Command: "nodedbctl join-token create"}},
	}
	if fewer := fitting(len(remain)); fewer > 0 {
		out.Fixes = append(out.Fixes, Fix{Does: "want fewer replicas", Command: fmt.Sprintf("nodedbctl pools alter %s --replicas %d", name, fewer)})
	}
	out.Fixes = append(out.Fixes, Fix{Does: "let its replicas be elsewhere too", Command: fmt.Sprintf("nodedbctl pools alter %s --constraints ''", name)})
	p.verdict.refuse("constraints", out)
}

// checkPools refuses to take from a pool a node that is alive and that it needs,
// where it has as many as it wants. Its ranges may have fewer voters yet: what raises
// them would wait for a node, and the decommission for them, both for ever.
func (p *planner) checkPools(leaving []cluster.NodeID) {
	if !p.verdict.OK() {
		return // its ranges say so themselves
	}
	for i := range p.s.Pools {
		pool := &p.s.Pools[i]
		var remain, alive []cluster.NodeID
		have := 0 // cordoned and down ones too: they keep what they have, and come back
		for j := range p.s.Nodes {
			n := &p.s.Nodes[j]
			if n.Membership != cluster.Active || !pool.Constraints.Admit(n.Locality) {
				continue
			}
			have++
			switch {
			case !slices.Contains(leaving, n.ID):
				remain = append(remain, n.ID)
			case n.Live():
				alive = append(alive, n.ID)
			}
		}
		if have < pool.Replicas || len(remain) >= pool.Replicas || len(alive) == 0 {
			continue
		}
		with, code := "", NoTarget
		if len(pool.Constraints) > 0 {
			with, code = " with "+pool.Constraints.String(), Constraint
		}
		out := Refusal{
			Code: code, Nodes: p.in.Nodes,
			Why:   fmt.Sprintf("pool %s wants %s on as many nodes%s; %s", pool.Name, count(pool.Replicas, "replica"), with, remaining(remain)),
			Fixes: []Fix{{Does: fmt.Sprintf("start %s%s", more(pool.Replicas-len(remain), "node"), with), Command: "nodedbctl join-token create"}},
		}
		if fewer := fitting(len(remain)); fewer > 0 {
			out.Fixes = append(out.Fixes, Fix{Does: "want fewer replicas", Command: fmt.Sprintf("nodedbctl pools alter %s --replicas %d", pool.Name, fewer)})
		}
		p.verdict.refuse("pools", out)
		return
	}
}

// fitting is the most replicas that a pool may want on so many nodes; 0: none.
func fitting(nodes int) int {
	most := 0
	for _, n := range cluster.ReplicaCounts {
		if n <= nodes {
			most = n
		}
	}
	return most
}

// more writes "1 more node", "2 more nodes".
func more(n int, noun string) string { return count(n, "more "+noun) }
