package placement

import (
	"fmt"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// Goal is what a plan is to reach.
type Goal string

// The goals.
const (
	GoalDrain        Goal = "drain"        // Nodes lead nothing and may stop
	GoalDecommission Goal = "decommission" // Nodes hold nothing
	GoalRepair       Goal = "repair"       // every range has the voters it wants, and nothing else
	GoalHandOff      Goal = "hand-off"     // nodes that are on their way out lead nothing
	GoalRebalance    Goal = "rebalance"    // the load is even
	GoalMove         Goal = "move"         // the replica of Range goes From a node To another
	GoalTransfer     Goal = "transfer"     // To leads Range
	GoalPool         Goal = "pool"         // the ranges of Pool are as it wants them, or as Wanted says
)

// Intent is what is asked of Make.
type Intent struct {
	Goal  Goal             `json:"goal"`
	Nodes []cluster.NodeID `json:"nodes,omitempty"` // sorted
	// MaxMoves bounds repair (0: no bound) and all steps of a rebalance (0:
	// DefaultMaxMoves), MaxTransfers a hand-off (0: no bound).
	MaxMoves     int `json:"maxMoves,omitempty"`
	MaxTransfers int `json:"maxTransfers,omitempty"`
	// Balance and Threshold (percent of the mean; 0: DefaultThreshold) are of a
	// rebalance.
	Balance   Balance `json:"balance,omitempty"`
	Threshold int     `json:"threshold,omitempty"`
	// Range, From and To are of a move or a transfer.
	Range cluster.RangeID `json:"range,omitempty"`
	From  cluster.NodeID  `json:"from,omitempty"`
	To    cluster.NodeID  `json:"to,omitempty"`
	// Pool and Wanted (nil: what it wants already) are of GoalPool.
	Pool   cluster.PoolID    `json:"pool,omitempty"`
	Wanted *cluster.PoolSpec `json:"wanted,omitempty"`
	// Skip lists ranges that something else is moving, Cooling those whose replicas
	// a rebalance leaves where they are because they moved a short while ago,
	// CoolingLeaders those whose leadership it does.
	Skip           []cluster.RangeID `json:"-"`
	Cooling        []cluster.RangeID `json:"-"`
	CoolingLeaders []cluster.RangeID `json:"-"`
}

// Move carries one replica of one range from one node to another. Either end
// may be missing: without From the range grows, without To it shrinks.
type Move struct {
	Range cluster.RangeID `json:"range"`
	From  cluster.NodeID  `json:"from,omitempty"`
	To    cluster.NodeID  `json:"to,omitempty"`
	// Also goes the same way in the same joint change, so that the voters stay an
	// odd number: with To, without From, its learner becomes a voter too; with From,
	// without To, it goes too.
	Also cluster.NodeID `json:"also,omitempty"`
	// Demote keeps From as a learner: of the meta range every node has a copy, and
	// of a data range one is kept where an even number of nodes holds it.
	Demote bool `json:"demote,omitempty"`
	// Learner says that To is to be a learner, not a voter.
	Learner bool   `json:"learner,omitempty"`
	Bytes   uint64 `json:"bytes,omitempty"` // to copy
	Why     string `json:"why,omitempty"`
}

func (m Move) String() string {
	switch {
	case m.From == 0 && m.Learner:
		return fmt.Sprintf("%s +%s (learner)", m.Range, m.To)
	case m.From == 0 && m.To == 0:
		return fmt.Sprintf("%s finish", m.Range)
	case m.From == 0:
		return fmt.Sprintf("%s +%s", m.Range, names(m.comes()))
	case m.To == 0 && m.Demote:
		return fmt.Sprintf("%s -%s (keeps a learner)", m.Range, names(m.goes()))
	case m.To == 0:
		return fmt.Sprintf("%s -%s", m.Range, names(m.goes()))
	}
	return fmt.Sprintf("%s %s->%s", m.Range, m.From, m.To)
}

// comes lists the nodes that m brings a replica to.
func (m Move) comes() []cluster.NodeID {
	switch {
	case m.To == 0:
		return nil
	case m.From == 0 && m.Also != 0:
		return []cluster.NodeID{m.To, m.Also}
	}
	return []cluster.NodeID{m.To}
}

// goes lists the nodes that m takes a voter from.
func (m Move) goes() []cluster.NodeID {
	switch {
	case m.From == 0:
		return nil
	case m.To == 0 && m.Also != 0:
		return []cluster.NodeID{m.From, m.Also}
	}
	return []cluster.NodeID{m.From}
}

// Transfer hands the leadership of a range over.
type Transfer struct {
	Range cluster.RangeID `json:"range"`
	From  cluster.NodeID  `json:"from"`
	To    cluster.NodeID  `json:"to"`
}

func (t Transfer) String() string {
	return fmt.Sprintf("%s leader %s->%s", t.Range, t.From, t.To)
}

// Effect is what a plan does to one node.
type Effect struct {
	Node           cluster.NodeID `json:"node"`
	ReplicasBefore int            `json:"replicasBefore"`
	ReplicasAfter  int            `json:"replicasAfter"`
	LeadersBefore  int            `json:"leadersBefore"`
	LeadersAfter   int            `json:"leadersAfter"`
	BytesBefore    uint64         `json:"bytesBefore"`
	BytesAfter     uint64         `json:"bytesAfter"`
	BytesIn        uint64         `json:"bytesIn"`
	DiskTotal      uint64         `json:"diskTotal"`
	DiskBefore     float64        `json:"diskBefore"` // share used, 0..1
	DiskPeak       float64        `json:"diskPeak"`   // at most, while it lasts
}

// Plan is an ordered list of moves and transfers, not begun.
type Plan struct {
	ID         string           `json:"id"` // given by who knows what was asked for
	Intent     Intent           `json:"intent"`
	MetaIndex  uint64           `json:"metaIndex"`
	Moves      []Move           `json:"moves,omitempty"`
	Transfers  []Transfer       `json:"transfers,omitempty"`
	Effects    []Effect         `json:"effects,omitempty"`
	Total      cluster.Progress `json:"total"`
	Prediction Prediction       `json:"prediction"`
	// Before, After and Gain are of a rebalance: how even the load is, will be, and
	// by how many percent points of the mean the extremes come nearer.
	Before []Dimension `json:"before,omitempty"`
	After  []Dimension `json:"after,omitempty"`
	Gain   float64     `json:"gain,omitempty"`
}

// Empty reports whether there is nothing to do.
func (p *Plan) Empty() bool { return len(p.Moves) == 0 && len(p.Transfers) == 0 }

// Make plans how to reach the goal of the intent from the snapshot. A plan whose
// verdict refuses says how far it got; it must not be carried out.
func Make(s *Snapshot, in Intent) (Plan, Verdict) {
	if in.Goal == GoalPool {
		s = s.wanting(in.Pool, in.Wanted)
	}
	p := planner{s: s, in: in, load: newLoad(s), skip: setOf(in.Skip), cooling: setOf(in.Cooling), warm: setOf(in.CoolingLeaders)}
	p.plan.Intent, p.plan.MetaIndex = in, s.MetaIndex
	switch in.Goal {
	case GoalDrain:
		p.drain()
	case GoalDecommission:
		p.decommission()
	case GoalRepair:
		p.repair()
	case GoalHandOff:
		p.handOff()
	case GoalRebalance:
		p.rebalance()
	case GoalMove:
		p.moveOne()
	case GoalTransfer:
		p.transferOne()
	case GoalPool:
		p.pool()
	default:
		p.verdict.refuse("goal", Refusal{Code: Constraint, Why: fmt.Sprintf("no such goal: %q", in.Goal)})
	}
	p.effects()
	p.predict()
	return p.plan, p.verdict
}

type planner struct {
	s       *Snapshot
	in      Intent
	plan    Plan
	verdict Verdict
	load    *load
	skip    map[cluster.RangeID]bool
	cooling map[cluster.RangeID]bool // not to be moved
	warm    map[cluster.RangeID]bool // not to be transferred
}

func setOf(ids []cluster.RangeID) map[cluster.RangeID]bool {
	set := make(map[cluster.RangeID]bool, len(ids))
	for _, id := range ids {
		set[id] = true
	}
	return set
}

// Steps is what an operator consents to: the moves. Leaderships wander and bytes
// grow without making a plan another one; what a drain or a decommission hands
// over follows from the moves and changes by itself. Of the others a transfer is a
// step too.
func (p *Plan) Steps() any {
	type move struct {
		Range    cluster.RangeID
		From, To cluster.NodeID
		Also     cluster.NodeID `json:",omitempty"`
	}
	steps := struct {
		Moves     []move
		Transfers []Transfer `json:",omitempty"`
	}{Moves: make([]move, len(p.Moves))}
	for i, m := range p.Moves {
		steps.Moves[i] = move{m.Range, m.From, m.To, m.Also}
	}
	if p.Intent.Goal == GoalRebalance || p.Intent.Goal == GoalTransfer {
		steps.Transfers = p.Transfers
	}
	return steps
}

func (p *planner) skips(id cluster.RangeID) bool { return p.skip[id] }

// move records a move and what it does to the load of its nodes.
func (p *planner) move(r *Range, m Move) {
	m.Range = r.Descriptor.ID
	if _, there := r.Descriptor.On(m.To); m.To != 0 && !there {
		m.Bytes = r.Bytes
	}
	p.load.move(m, r)
	p.plan.Moves = append(p.plan.Moves, m)
	p.plan.Total.Replicas++
	p.plan.Total.Bytes += m.Bytes
}

func (p *planner) transfer(r *Range, to cluster.NodeID) {
	p.plan.Transfers = append(p.plan.Transfers, Transfer{Range: r.Descriptor.ID, From: r.Leader, To: to})
	p.load.lead(r.Leader, to)
	p.plan.Total.Leaders++
}

func (p *planner) moveBound() bool {
	return p.in.MaxMoves > 0 && len(p.plan.Moves) >= p.in.MaxMoves
}

// effects fills in the per-node table and counts the ranges concerned.
func (p *planner) effects() {
	before := newLoad(p.s)
	for i := range p.s.Nodes {
		n := &p.s.Nodes[i]
		b, a := before.at(n.ID), p.load.at(n.ID)
		if *b == *a {
			continue
		}
		e := Effect{
			Node: n.ID, ReplicasBefore: b.replicas, ReplicasAfter: a.replicas, LeadersBefore: b.leaders, LeadersAfter: a.leaders,
			BytesBefore: b.bytes, BytesAfter: a.bytes, BytesIn: a.in, DiskTotal: n.DiskTotal,
		}
		if n.DiskTotal > 0 {
			e.DiskBefore = float64(n.DiskUsed) / float64(n.DiskTotal)
			e.DiskPeak = float64(n.DiskUsed+a.in) / float64(n.DiskTotal)
		}
		p.plan.Effects = append(p.plan.Effects, e)
	}
	seen := map[cluster.RangeID]bool{}
	for _, m := range p.plan.Moves {
		seen[m.Range] = true
	}
	for _, t := range p.plan.Transfers {
		seen[t.Range] = true
	}
	p.plan.Total.Ranges = len(seen)
}
