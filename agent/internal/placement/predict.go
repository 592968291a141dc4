package placement

import (
	"fmt"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// The model of how long a plan takes: the node with most bytes to send or to
// receive decides, plus a cost for each move and for each phase.
const (
	movesAtOnce     = 8   // in the cluster
	movesPerNode    = 2   // that one node receives
	secondsPerMove  = 0.6 // configuration changes and catching up
	secondsPerPlan  = 3.0 // phases around the moves
	secondsPerLead  = 0.02
	likelyStretch   = 1.10
	unluckyStretch  = 1.45
	unluckyOverhead = 5.0
)

// Prediction is what a plan will take and what it does to safety.
type Prediction struct {
	P50   float64 `json:"p50"` // seconds
	P90   float64 `json:"p90"`
	Lower float64 `json:"lower"` // nothing can be faster
	// Bottleneck lists the nodes that decide Lower.
	Bottleneck []cluster.NodeID `json:"bottleneck,omitempty"`
	// Before, During and After say how many nodes any of which may be lost.
	Before int `json:"before"`
	During int `json:"during"`
	After  int `json:"after"`
	// Survival is the state after the plan.
	Survival Survival `json:"survival"`
}

func (p *planner) predict() {
	pr := &p.plan.Prediction
	// Repair and hand-off run all the time: nobody reads a prediction of them.
	switch p.in.Goal {
	case GoalRepair, GoalHandOff:
		return
	case GoalRebalance, GoalMove, GoalTransfer:
		if p.plan.Empty() {
			return
		}
	case GoalDrain, GoalDecommission, GoalPool:
	}
	p.sources()
	var slots int
	most := uint64(0)
	perNode := 0
	for i := range p.s.Nodes {
		id := p.s.Nodes[i].ID
		c := p.load.at(id)
		if b := max(c.in, c.out); b > most {
			most, pr.Bottleneck = b, nil
		}
		if max(c.in, c.out) == most && most > 0 {
			pr.Bottleneck = append(pr.Bottleneck, id)
		}
		if c.moves > 0 {
			perNode += movesPerNode
		}
	}
	slots = max(1, min(movesAtOnce, perNode))
	copying := float64(most) / float64(max(p.s.Rate, 1))
	changing := float64(len(p.plan.Moves)) * secondsPerMove / float64(slots)
	pr.Lower = max(copying, changing)
	overhead := secondsPerPlan + float64(len(p.plan.Transfers))*secondsPerLead
	pr.P50 = pr.Lower*likelyStretch + overhead
	pr.P90 = pr.Lower*unluckyStretch + overhead + unluckyOverhead
	p.survival()
}

// sources charges each copy to the node that will send it: the leader, or the
// one that takes over from it.
func (p *planner) sources() {
	heir := make(map[cluster.RangeID]cluster.NodeID, len(p.plan.Transfers))
	for _, t := range p.plan.Transfers {
		heir[t.Range] = t.To
	}
	for _, m := range p.plan.Moves {
		from := heir[m.Range]
		if r := p.s.Range(m.Range); from == 0 && r != nil {
			from = r.Leader
		}
		if from != 0 {
			p.load.at(from).out += m.Bytes
		}
	}
}

// survival looks at the cluster before and after; during is the worse of the
// two, since each range goes over by one joint change that needs both halves.
func (p *planner) survival() {
	pr := &p.plan.Prediction
	before := Survive(p.s)
	pr.Before = before.Any
	after := p.s.Clone()
	if p.in.Goal == GoalDrain {
		for _, id := range p.in.Nodes {
			if n := after.Node(id); n != nil {
				n.Liveness = cluster.Left
			}
		}
	}
	for _, m := range p.plan.Moves {
		after.settle(m)
	}
	pr.Survival = Survive(after)
	pr.After = pr.Survival.Any
	pr.During = min(pr.Before, pr.After)
	if (p.in.Goal == GoalDecommission || p.in.Goal == GoalPool) && p.verdict.OK() {
		p.warnSpread(after, narrow(&before))
	}
}

// settle makes m as if it had ended well. Where a stopped replica has been taken
// away, the next one is another.
func (s *Snapshot) settle(m Move) {
	r := s.Range(m.Range)
	if r == nil {
		return
	}
	d := &r.Descriptor
	for _, from := range m.goes() {
		if i := index(d, from); i >= 0 && m.Demote {
			d.Replicas[i].Role = cluster.Learner
		} else if i >= 0 {
			d.Replicas = append(d.Replicas[:i], d.Replicas[i+1:]...)
		}
	}
	r.Failed = slices.DeleteFunc(slices.Clone(r.Failed), func(n cluster.NodeID) bool { return index(d, n) < 0 })
	role := cluster.Voter
	if m.Learner {
		role = cluster.Learner
	}
	for _, to := range m.comes() {
		if i := index(d, to); i >= 0 {
			d.Replicas[i].Role = role
			continue
		}
		d.Replicas = append(d.Replicas, cluster.ReplicaDescriptor{Node: to, Replica: d.NextReplica, Role: role})
		d.NextReplica++
	}
}

// narrow counts the ranges that the loss of the worst locality would stop.
func narrow(v *Survival) int {
	if l := v.WorstLocality(); l != nil {
		return l.Ranges
	}
	return 0
}

// warnSpread warns if the cluster outlives fewer losses afterwards, or if one
// more loss would leave fewer nodes than replicas wanted.
func (p *planner) warnSpread(after *Snapshot, was int) {
	left := 0
	for i := range after.Nodes {
		n := &after.Nodes[i]
		if n.refuses() == "" && !slices.Contains(p.in.Nodes, n.ID) {
			left++
		}
	}
	is := narrow(&p.plan.Prediction.Survival)
	switch pr := &p.plan.Prediction; {
	case is > was:
		p.verdict.warn("spread", SpreadThin, fmt.Sprintf("after this, the loss of one locality would stop %s, before %d", count(is, "range"), was))
	case pr.After < pr.Before:
		p.verdict.warn("spread", SpreadThin, "after this the cluster outlives "+count(max(pr.After, 0), "lost node")+", before "+count(pr.Before, "lost node"))
	case left <= p.s.mostReplicas():
		p.verdict.warn("spread", SpreadThin, "after this, a lost node's replicas have nowhere to go: "+count(left, "node")+" for "+count(p.s.mostReplicas(), "replica"))
	default:
		p.verdict.pass("spread", "a lost node's replicas have somewhere to go")
	}
}
