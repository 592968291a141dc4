package placement

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// Defaults of a rebalance.
const (
	DefaultThreshold = 20   // percent of the mean that extremes may be apart
	DefaultMaxMoves  = 10   // moves and transfers of one plan
	MaxCPU           = 0.80 // above it a node receives nothing and sends no snapshot

	// candidatesPerEnd bounds the fullest and the emptiest nodes that are looked at
	// for each step and dimension: the best step is nearly always between these.
	candidatesPerEnd = 3
)

func (in *Intent) threshold() int {
	if in.Threshold > 0 {
		return in.Threshold
	}
	return DefaultThreshold
}

func (in *Intent) maxMoves() int {
	if in.MaxMoves > 0 {
		return in.MaxMoves
	}
	return DefaultMaxMoves
}

// rebalance plans what puts leaders where their pools prefer them and replicas
// further apart, then the steps that even the load out most: leaderships first,
// which cost nothing, then replicas, which are copied. Each step brings the sum of the
// squared, weighted deviations from the mean down, so no later plan can want it
// undone while the load stays as it is; and each range is in one step at most.
func (p *planner) rebalance() {
	b := newBoard(p.s, &p.in)
	p.plan.Before = b.dimensions()
	p.plan.After = p.plan.Before
	if !p.checkReports(nil) {
		return
	}
	r := rebalancing{planner: p, board: b, used: map[cluster.RangeID]bool{}}
	for d := range dims {
		r.acting[d] = b.goal.starts[d] && b.acts(d)
	}
	r.indexLed()
	r.preferLeaders()
	if p.in.Balance != BalanceLeaders {
		r.spreadOut()
	}
	if r.acting == ([dims]bool{}) && p.plan.Empty() {
		p.verdict.pass("balance", fmt.Sprintf("no dimension is more than %d %% of the mean apart", p.in.threshold()))
		return
	}
	for !r.full() && r.transferOne() {
	}
	if p.in.Balance != BalanceLeaders {
		r.holds = p.s.held()
		for !r.full() && r.moveOne() {
		}
	}
	p.plan.After = b.dimensions()
	p.plan.Gain = Gain(p.in.Balance, p.plan.Before, p.plan.After)
	if p.plan.Empty() {
		p.verdict.pass("balance", "no single step would make it more even")
		return
	}
	p.verdict.pass("balance", fmt.Sprintf("%s and %s bring the extremes nearer by %.1f percent points",
		count(len(p.plan.Transfers), "transfer"), count(len(p.plan.Moves), "move"), p.plan.Gain))
}

// rebalancing is the plan of one rebalance as it grows.
type rebalancing struct {
	*planner
	board  *board
	acting [dims]bool
	used   map[cluster.RangeID]bool
	led    []*Range // ranges whose leadership may be handed over, by id
	holds  map[cluster.NodeID][]*Range
}

func (r *rebalancing) full() bool {
	return len(r.plan.Moves)+len(r.plan.Transfers) >= r.in.maxMoves()
}

// indexLed collects the ranges whose leadership may move.
func (r *rebalancing) indexLed() {
	for i := range r.s.Ranges {
		x := &r.s.Ranges[i]
		d := &x.Descriptor
		if x.Leader == 0 || d.IsMeta() || d.Joint() || r.skips(d.ID) || r.warm[d.ID] {
			continue
		}
		if _, carries := r.board.at[x.Leader]; carries {
			r.led = append(r.led, x)
		}
	}
}

// step is one candidate.
type step struct {
	r        *Range
	from, to int // in the board
	gain     int64
	leads    bool // the leadership goes along
}

// better orders steps by what they bring, then by ids: the same on every node.
func (a step) better(b step) bool {
	if b.r == nil {
		return true
	}
	return cmp.Or(
		cmp.Compare(b.gain, a.gain),
		cmp.Compare(a.r.Descriptor.ID, b.r.Descriptor.ID),
		cmp.Compare(a.to, b.to)) < 0
}

// transferOne plans the transfer that brings most, if any does.
func (r *rebalancing) transferOne() bool {
	var best step
	for _, x := range r.led {
		if r.used[x.Descriptor.ID] {
			continue
		}
		from := r.board.at[x.Leader]
		for _, rep := range x.Descriptor.Replicas {
			to, carries := r.board.at[rep.Node]
			if !carries || to == from || rep.Role != cluster.Voter || r.s.likes(x, x.Leader) && !r.s.likes(x, rep.Node) {
				continue
			}
			s := step{r: x, from: from, to: to, gain: r.gain(from, to, r.board.leading(x, from))}
			if s.gain > 0 && s.better(best) && SafeTransfer(r.s, x, rep.Node) == "" && !r.s.Node(rep.Node).Hot() {
				best = s
			}
		}
	}
	if best.r == nil {
		return false
	}
	r.used[best.r.Descriptor.ID] = true
	r.board.shift(best.from, best.to, r.board.leading(best.r, best.from))
	r.transfer(best.r, r.board.nodes[best.to])
	return true
}

// moveOne plans the move that brings most, if any does.
func (r *rebalancing) moveOne() bool {
	var best step
	full, empty := r.ends()
	for _, from := range full {
		node := r.board.nodes[from]
		for _, x := range r.holds[node] {
			if !r.movable(x, node) {
				continue
			}
			load := r.board.carrying(x, from, x.Leader == node)
			for _, to := range empty {
				if to == from {
					continue
				}
				s := step{r: x, from: from, to: to, gain: r.gain(from, to, load), leads: x.Leader == node}
				if s.gain > 0 && s.better(best) && r.takes(x, node, r.board.nodes[to]) {
					best = s
				}
			}
		}
	}
	if best.r == nil {
		return false
	}
	from, to := r.board.nodes[best.from], r.board.nodes[best.to]
	r.used[best.r.Descriptor.ID] = true
	r.board.shift(best.from, best.to, r.board.carrying(best.r, best.from, best.leads))
	r.move(best.r, Move{From: from, To: to, Why: "evens out the load"})
	return true
}

// ends lists the fullest and the emptiest nodes of each dimension that acts.
func (r *rebalancing) ends() (full, empty []int) {
	order := make([]int, len(r.board.nodes))
	for d := range dims {
		if !r.acting[d] {
			continue
		}
		for i := range order {
			order[i] = i
		}
		slices.SortFunc(order, func(a, b int) int {
			return cmp.Or(cmp.Compare(r.board.norm(a, d, r.board.loads[a][d]), r.board.norm(b, d, r.board.loads[b][d])), cmp.Compare(a, b))
		})
		n := min(candidatesPerEnd, len(order))
		empty = append(empty, order[:n]...)
		full = append(full, order[len(order)-n:]...)
	}
	slices.Sort(full)
	slices.Sort(empty)
	return slices.Compact(full), slices.Compact(empty)
}

// rearrangeable reports whether a replica of x may move at all.
func (r *rebalancing) rearrangeable(x *Range) bool {
	d := &x.Descriptor
	if d.IsMeta() || d.Joint() || r.used[d.ID] || r.skips(d.ID) || r.cooling[d.ID] || len(d.Learners()) > 0 || len(d.Voters()) != r.s.wanted(x) {
		return false
	}
	return r.well(x) && !r.s.Node(x.Leader).Hot()
}

// movable reports whether the replica of x on node may move at all.
func (r *rebalancing) movable(x *Range, node cluster.NodeID) bool {
	d := &x.Descriptor
	if !r.rearrangeable(x) {
		return false
	}
	if x.Leader == node && len(d.Voters()) > 1 {
		return false // who would lead then is not foreseen: a transfer comes first
	}
	rep, there := d.On(node)
	return there && rep.Role == cluster.Voter
}

// takes reports whether node may be given the replica of x on from: its pool
// allows that, and the replicas lie no closer together.
func (r *rebalancing) takes(x *Range, from, node cluster.NodeID) bool {
	n := r.s.Node(node)
	if _, taken := x.Descriptor.On(node); taken || n.Hot() || !r.s.admits(x, node) {
		return false
	}
	if voters := x.Descriptor.Voters(); r.s.crowd(with(voters, node, from)).compare(r.s.crowd(voters)) > 0 {
		return false
	}
	return !r.s.overfull(n, r.load.at(node).in+x.Bytes)
}

// gain is by how much the weighted squares of the deviations fall if load goes
// from one node to the other; 0 if that is not worth a step: it must bring a
// dimension that acts as much as moving it between nodes that are a whole step
// and a half apart would.
func (r *rebalancing) gain(from, to int, load vector) int64 {
	total, worth := int64(0), false
	b := r.board
	for d := range dims {
		w := b.goal.weights[d]
		if w == 0 || load[d] == 0 || b.target[from][d] <= 0 || b.target[to][d] <= 0 {
			continue
		}
		xf, xt := b.norm(from, d, b.loads[from][d]), b.norm(to, d, b.loads[to][d])
		yf, yt := b.norm(from, d, b.loads[from][d]-load[d]), b.norm(to, d, b.loads[to][d]+load[d])
		gain := square(xf) + square(xt) - square(yf) - square(yt)
		total += w * gain
		// Half the threshold apart, or nearer, is even enough to leave alone.
		if r.acting[d] && xf-xt > b.threshold/2 && gain >= square(unit+yt-xt) {
			worth = true
		}
	}
	if !worth {
		return 0
	}
	return max(total, 0)
}

// square is of the deviation from the mean, in coarser units lest it overflow.
func square(x int64) int64 {
	x = (x - unit) / 10
	return x * x
}

// leading is what goes with the leadership of x from the node at from.
func (b *board) leading(x *Range, from int) vector {
	v := led(x)
	v[dimCPU] = v[dimReads] * b.perOp[from] / 1_000_000
	return v
}

// carrying is what goes with a replica of x.
func (b *board) carrying(x *Range, from int, leads bool) vector {
	v := held(x)
	if leads {
		l := led(x)
		v[dimLeaders], v[dimReads] = l[dimLeaders], l[dimReads]
	}
	v[dimCPU] = (v[dimReads] + v[dimWrites]) * b.perOp[from] / 1_000_000
	return v
}

func (b *board) shift(from, to int, v vector) {
	b.add(from, v, -1)
	b.add(to, v, 1)
}
