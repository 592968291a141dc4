package feed

import (
	"time"

	"github.com/nodedb/nodedb/client/adminpb"
)

const (
	// samples is how many seconds of history are kept.
	samples     = 120
	nodeSamples = 60
)

// Load is the history of what the cluster does, one sample per second, the
// newest last.
type Load struct {
	Reads, Writes []float64
	Statements    []float64 // of SQL, per second
	Latency       []float64 // p99 of the slowest node, seconds
	Slowest       uint32    // that node now; 0: none runs statements
	Nodes         map[uint32]NodeLoad
}

// NodeLoad is that of the ranges that one node leads.
type NodeLoad struct {
	Reads, Writes float64
	Both          []float64 // reads and writes together, over time
}

// Total is the newest sample.
func (l *Load) Total() (reads, writes float64) {
	if l == nil || len(l.Reads) == 0 {
		return 0, 0
	}
	return l.Reads[len(l.Reads)-1], l.Writes[len(l.Writes)-1]
}

// Of is the load of one node.
func (l *Load) Of(node uint32) NodeLoad {
	if l == nil {
		return NodeLoad{}
	}
	return l.Nodes[node]
}

// sums are the load of all ranges, and of those that each node leads. They are kept
// as ranges change, in whole millionths: what is added and taken away again leaves
// nothing.
type sums struct {
	reads, writes int64
	nodes         map[uint32]nodeSums
}

type nodeSums struct{ reads, writes, ranges int64 }

const millionths = 1e6 // of one

// swap counts is in the place of was; nil is none.
func (s *sums) swap(was, is *adminpb.Range) {
	s.add(was, -1)
	s.add(is, 1)
}

func (s *sums) add(r *adminpb.Range, by int64) {
	if r == nil {
		return
	}
	reads, writes := by*int64(r.GetReadsPerSecond()*millionths+0.5), by*int64(r.GetWritesPerSecond()*millionths+0.5)
	s.reads, s.writes = s.reads+reads, s.writes+writes
	n := r.GetLeader()
	if n == 0 {
		return
	}
	if s.nodes == nil {
		s.nodes = map[uint32]nodeSums{}
	}
	x := s.nodes[n]
	if x = (nodeSums{x.reads + reads, x.writes + writes, x.ranges + by}); x.ranges == 0 {
		delete(s.nodes, n)
		return
	}
	s.nodes[n] = x
}

// sample returns l with one more second's figures; gap is how many seconds have
// passed since the last, which are filled with what was known then.
func (l *Load) sample(now *sums, nodes []*adminpb.Node, gap int) *Load {
	next := &Load{Nodes: map[uint32]NodeLoad{}}
	reads, writes := float64(now.reads)/millionths, float64(now.writes)/millionths
	for n, x := range now.nodes {
		next.Nodes[n] = NodeLoad{Reads: float64(x.reads) / millionths, Writes: float64(x.writes) / millionths}
	}
	var before Load
	if l != nil {
		before = *l
	}
	var statements, slow float64
	for _, n := range nodes {
		statements += n.GetStatementsPerSecond()
		if p := n.GetLatencyP99(); p > slow {
			slow, next.Slowest = p, n.GetId()
		}
	}
	next.Statements = extend(before.Statements, statements, gap, samples)
	next.Latency = extend(before.Latency, slow, gap, samples)
	next.Reads = extend(before.Reads, reads, gap, samples)
	next.Writes = extend(before.Writes, writes, gap, samples)
	for id, x := range before.Nodes {
		if _, leads := next.Nodes[id]; !leads {
			next.Nodes[id] = NodeLoad{Both: x.Both}
		}
	}
	for id, x := range next.Nodes {
		x.Both = extend(before.Nodes[id].Both, x.Reads+x.Writes, gap, nodeSamples)
		next.Nodes[id] = x
	}
	return next
}

func extend(old []float64, v float64, gap, limit int) []float64 {
	out := make([]float64, 0, limit+1)
	out = append(out, old...)
	if n := len(old); n > 0 {
		for range min(gap-1, limit) {
			out = append(out, old[n-1])
		}
	}
	out = append(out, v)
	if len(out) > limit {
		out = append(out[:0:0], out[len(out)-limit:]...)
	}
	return out
}

// secondsBetween is how many sampling seconds lie between two moments.
func secondsBetween(a, b time.Time) int { return int(b.Unix() - a.Unix()) }
