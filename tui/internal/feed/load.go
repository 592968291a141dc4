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

// sample returns l with one more second's figures; gap is how many seconds have
// passed since the last, which are filled with what was known then.
func (l *Load) sample(ranges []*adminpb.Range, nodes []*adminpb.Node, gap int) *Load {
	next := &Load{Nodes: map[uint32]NodeLoad{}}
	var reads, writes float64
	for _, r := range ranges {
		a, b := r.GetReadsPerSecond(), r.GetWritesPerSecond()
		reads, writes = reads+a, writes+b
		if n := r.GetLeader(); n != 0 {
			x := next.Nodes[n]
			x.Reads, x.Writes = x.Reads+a, x.Writes+b
			next.Nodes[n] = x
		}
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
