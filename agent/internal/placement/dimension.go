package placement

import (
	"fmt"
	"math"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// dim is a kind of load. All loads are whole numbers, so that a plan is the same
// on every machine, whatever its floating point does.
type dim int

const (
	dimBytes    dim = iota // KiB
	dimReplicas            // data replicas
	dimLeaders             // leaderships of data ranges
	dimReads               // tenths per second
	dimWrites              // tenths per second, at every replica
	dimCPU                 // ten-thousandths of a machine
	dims
)

// vector is one load per dimension.
type vector [dims]int64

// aspect says how a dimension is shown and when it matters.
type aspect struct {
	name  string
	scale float64 // of a unit of vector, as people read it
	// floor is the least difference worth acting on, however small the mean: below
	// it lies noise.
	floor int64
}

var aspects = [dims]aspect{
	dimBytes:    {name: "bytes", scale: 1024, floor: 64 << 10},
	dimReplicas: {name: "replicas", scale: 1, floor: 2},
	dimLeaders:  {name: "leaders", scale: 1, floor: 2},
	dimReads:    {name: "reads", scale: 0.1, floor: 500},
	dimWrites:   {name: "writes", scale: 0.1, floor: 500},
	dimCPU:      {name: "cpu", scale: 1e-4, floor: 2000},
}

// Balance is what a rebalance is to even out.
type Balance string

// The balances.
const (
	BalanceAll     Balance = ""
	BalanceBytes   Balance = "bytes"
	BalanceLoad    Balance = "load"
	BalanceLeaders Balance = "leaders"
)

// objective says which dimensions start a rebalance and what each of them weighs
// in choosing the steps: a dimension that starts nothing is not to be spoilt.
type objective struct {
	starts  [dims]bool
	weights vector
}

var objectives = map[Balance]objective{
	// CPU counts only where it is asked for: what burns it need not follow the
	// replicas at all (statements that a node serves for its clients), and then
	// they would be moved for nothing, there and back (TestRandomHistories).
	BalanceAll: {
		starts:  [dims]bool{true, true, true, true, true, false},
		weights: vector{2, 3, 3, 1, 1, 0},
	},
	BalanceBytes:   {starts: [dims]bool{dimBytes: true}, weights: vector{dimBytes: 4, dimReplicas: 1}},
	BalanceLeaders: {starts: [dims]bool{dimLeaders: true}, weights: vector{dimLeaders: 1}},
	BalanceLoad: {
		starts:  [dims]bool{dimReads: true, dimWrites: true, dimCPU: true},
		weights: vector{dimReplicas: 1, dimLeaders: 1, dimReads: 3, dimWrites: 3, dimCPU: 3},
	},
}

// ParseBalance reads what people write.
func ParseBalance(s string) (Balance, error) {
	if s == "all" {
		s = ""
	}
	if _, ok := objectives[Balance(s)]; !ok {
		return "", fmt.Errorf("unknown goal %q: bytes, load, leaders or all", s)
	}
	return Balance(s), nil
}

// Dimension is how evenly one kind of load lies on the nodes that may carry it.
type Dimension struct {
	Name     string         `json:"name"` // bytes | replicas | leaders | reads | writes | cpu
	Min      float64        `json:"min"`
	Mean     float64        `json:"mean"`
	Max      float64        `json:"max"`
	MinNode  cluster.NodeID `json:"minNode,omitempty"`
	MaxNode  cluster.NodeID `json:"maxNode,omitempty"`
	WouldAct bool           `json:"wouldAct,omitempty"`
	Why      string         `json:"why,omitempty"`
}

// unit is the mean of a dimension, normalised.
const unit = 100_000

// board holds what every carrier carries while a rebalance is planned.
type board struct {
	s         *Snapshot
	in        *Intent
	goal      objective
	nodes     []cluster.NodeID       // the carriers, sorted
	at        map[cluster.NodeID]int // index in nodes
	loads     []vector
	mean      vector
	target    []vector // what would be even, per node
	perOp     []int64  // CPU of one operation per second, in millionths
	threshold int64    // share of unit
}

func newBoard(s *Snapshot, in *Intent) *board {
	b := &board{s: s, in: in, goal: objectives[in.Balance], at: map[cluster.NodeID]int{}, threshold: unit * int64(in.threshold()) / 100}
	for i := range s.Nodes {
		if n := &s.Nodes[i]; n.refuses() == "" {
			b.at[n.ID] = len(b.nodes)
			b.nodes = append(b.nodes, n.ID)
		}
	}
	b.loads = make([]vector, len(b.nodes))
	for i := range s.Ranges {
		r := &s.Ranges[i]
		for _, rep := range r.Descriptor.Replicas {
			at, ok := b.at[rep.Node]
			if !ok {
				continue
			}
			if r.Descriptor.IsMeta() {
				continue // every node has it, and its voters follow other rules
			}
			b.add(at, held(r), 1)
			if r.Leader == rep.Node {
				b.add(at, led(r), 1)
			}
		}
	}
	b.measureCPU()
	b.aim()
	return b
}

// held is what a replica of r costs its node, led what leading it does on top.
func held(r *Range) vector {
	return vector{dimBytes: int64(r.Bytes >> 10), dimReplicas: 1, dimWrites: tenths(r.Writes)}
}

func led(r *Range) vector { return vector{dimLeaders: 1, dimReads: tenths(r.Reads)} }

func tenths(perSecond float64) int64 {
	const most = 1e12
	switch {
	case !(perSecond > 0): // and NaN
		return 0
	case perSecond > most:
		return 10 * most
	}
	return int64(perSecond*10 + 0.5)
}

func (b *board) add(at int, v vector, sign int64) {
	for d := range v {
		b.loads[at][d] += sign * v[d]
	}
}

// measureCPU sets each node's CPU as it reports it, and what one operation per
// second costs there, by which moves are judged.
func (b *board) measureCPU() {
	b.perOp = make([]int64, len(b.nodes))
	for i, id := range b.nodes {
		b.loads[i][dimCPU] = int64(min(max(b.s.Node(id).CPU, 0), 1)*1e4 + 0.5)
		if ops := b.loads[i][dimReads] + b.loads[i][dimWrites]; ops > 0 {
			b.perOp[i] = b.loads[i][dimCPU] * 1_000_000 / ops
		}
	}
}

// aim computes the mean of each dimension and what each node should carry: the
// mean, but for bytes a share of the disks if all are known.
func (b *board) aim() {
	b.target = make([]vector, len(b.nodes))
	if len(b.nodes) == 0 {
		return
	}
	var total vector
	for i := range b.loads {
		for d := range total {
			total[d] += b.loads[i][d]
		}
	}
	disks := uint64(0)
	for _, id := range b.nodes {
		size := b.s.Node(id).DiskTotal >> 20
		if size == 0 {
			disks = 0
			break
		}
		disks += size
	}
	for d := range total {
		b.mean[d] = total[d] / int64(len(b.nodes))
		for i := range b.nodes {
			b.target[i][d] = b.mean[d]
		}
	}
	if disks == 0 {
		return
	}
	for i, id := range b.nodes {
		share := float64(b.s.Node(id).DiskTotal>>20) / float64(disks)
		b.target[i][dimBytes] = int64(float64(total[dimBytes])*share + 0.5)
	}
}

// norm is load v of dimension d on node i, as a multiple of what would be even.
func (b *board) norm(i int, d dim, v int64) int64 {
	t := b.target[i][d]
	if t <= 0 {
		return unit // nothing to share out
	}
	const most = 1000 // times the mean; beyond it all is equally bad
	if v >= most*t {
		return most * unit
	}
	return v * unit / t
}

// extremes finds the least and the most loaded node of a dimension.
func (b *board) extremes(d dim) (least, most int) {
	for i := range b.nodes {
		if b.norm(i, d, b.loads[i][d]) < b.norm(least, d, b.loads[least][d]) {
			least = i
		}
		if b.norm(i, d, b.loads[i][d]) > b.norm(most, d, b.loads[most][d]) {
			most = i
		}
	}
	return least, most
}

// apart is how far the two extremes of a dimension are from each other.
func (b *board) apart(d dim) int64 {
	if len(b.nodes) < 2 {
		return 0
	}
	least, most := b.extremes(d)
	return b.norm(most, d, b.loads[most][d]) - b.norm(least, d, b.loads[least][d])
}

// acts reports whether a dimension is uneven enough to act.
func (b *board) acts(d dim) bool {
	if len(b.nodes) < 2 {
		return false
	}
	least, most := b.extremes(d)
	return b.apart(d) > b.threshold && b.loads[most][d]-b.loads[least][d] >= aspects[d].floor
}

// dimensions describes the board.
func (b *board) dimensions() []Dimension {
	if len(b.nodes) == 0 {
		return nil
	}
	out := make([]Dimension, dims)
	for d := range dims {
		a := aspects[d]
		least, most := b.extremes(d)
		low, high := b.loads[least][d], b.loads[most][d]
		out[d] = Dimension{
			Name: a.name, Min: a.show(low), Mean: a.show(b.mean[d]), Max: a.show(high), MinNode: b.nodes[least], MaxNode: b.nodes[most],
			WouldAct: b.goal.starts[d] && b.acts(d),
		}
		apart, threshold := b.apart(d)*100/unit, b.threshold*100/unit
		switch {
		case b.mean[d] == 0:
			out[d].Why = "there is none"
		case out[d].WouldAct:
			out[d].Why = fmt.Sprintf("%s and %s are %d %% of the mean apart, %d %% are allowed", b.nodes[most], b.nodes[least], apart, threshold)
		case apart > threshold && high-low < a.floor:
			out[d].Why = fmt.Sprintf("%d %% of the mean apart, but too little to matter", apart)
		case apart > threshold:
			out[d].Why = fmt.Sprintf("%d %% of the mean apart; not asked for", apart)
		default:
			out[d].Why = fmt.Sprintf("%d %% of the mean apart, %d %% are allowed", apart, threshold)
		}
	}
	return out
}

func (a aspect) show(v int64) float64 {
	if a.scale >= 1 {
		return float64(v) * a.scale
	}
	return float64(v) / (1 / a.scale)
}

// Measure says how even the load is.
func Measure(s *Snapshot, in Intent) []Dimension { return newBoard(s, &in).dimensions() }

// Gain is by how many percent points of the mean the extremes have come nearer
// from before to after, over the dimensions that before would act on.
func Gain(goal Balance, before, after []Dimension) float64 {
	weights := objectives[goal].weights
	sum, total := 0.0, 0.0
	for d := range dims {
		if int(d) >= len(before) || int(d) >= len(after) || !before[d].WouldAct || weights[d] == 0 {
			continue
		}
		sum += float64(weights[d]) * (before[d].apart() - after[d].apart())
		total += float64(weights[d])
	}
	if total == 0 {
		return 0
	}
	return math.Round(10*sum/total) / 10
}

// apart is how far the extremes are from each other, in percent of the mean.
func (d *Dimension) apart() float64 {
	if d.Mean == 0 {
		return 0
	}
	return 100 * (d.Max - d.Min) / d.Mean
}

// spread is the same of the board as it stands, over what the goal starts on.
func (b *board) spread() float64 {
	sum, weights := int64(0), int64(0)
	for d := range dims {
		if w := b.goal.weights[d]; b.goal.starts[d] && w > 0 {
			sum += w * b.apart(d)
			weights += w
		}
	}
	if weights == 0 {
		return 0
	}
	return float64(sum*1000/weights/unit) / 10
}
