package operation

import (
	"cmp"
	"slices"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/placement"
)

// catchUpLag is how many entries behind the commit index a replica may be and
// still count as caught up: what is on its way under load.
const catchUpLag = 64

// seen is what one node said of one range, and when.
type seen struct {
	node   cluster.NodeID
	at     time.Time
	status *cluster.RangeStatus
}

// sources are what a snapshot is built from.
type sources struct {
	now      time.Time
	self     cluster.NodeID
	view     *metastate.View
	reports  map[cluster.NodeID]Report
	liveness map[cluster.NodeID]cluster.Liveness
	fresh    time.Duration
	// extra are answers about single ranges, newer than the reports.
	extra map[cluster.RangeID][]seen
	// newer are descriptors that came with the completion of a change.
	newer map[cluster.RangeID]*cluster.RangeDescriptor
	// downSince says since when a node is not alive.
	downSince map[cluster.NodeID]time.Time
}

// Snapshot builds what the planner sees from a view, the nodes' reports and
// gossip's opinion. Nodes of operations in flight count as busy.
func Snapshot(now time.Time, self cluster.NodeID, view *metastate.View, reports map[cluster.NodeID]Report, liveness map[cluster.NodeID]cluster.Liveness) *placement.Snapshot {
	src := sources{now: now, self: self, view: view, reports: reports, liveness: liveness, fresh: DefaultConfig().Fresh}
	s := src.build()
	s.Busy = busy(view, "")
	return s
}

// busy lists the nodes of the operations in flight other than except. Those that
// only move replicas or leaderships stop no node, and give way; one
// that waits its turn is in nobody's way.
func busy(view *metastate.View, except string) []cluster.NodeID {
	var nodes []cluster.NodeID
	for _, id := range view.OperationIDs() {
		if op := view.Operations[id]; id != except && !op.State.Final() && !op.Spec.Kind.MovesOnly() && !(op.Queue && op.State == cluster.OpQueued) {
			nodes = append(nodes, op.Spec.Nodes...)
		}
	}
	slices.Sort(nodes)
	return slices.Compact(nodes)
}

// build makes a snapshot from nothing.
func (src *sources) build() *placement.Snapshot {
	l := newLookout(Planted{})
	l.update(src)
	return l.snap
}

// report returns the node's report if it is fresh.
func (src *sources) report(id cluster.NodeID) *cluster.NodeStatus {
	r, ok := src.reports[id]
	if !ok || r.Status == nil || src.now.Sub(r.At) > src.fresh {
		return nil
	}
	return r.Status
}

func (src *sources) node(n *cluster.Node) placement.Node {
	out := placement.Node{
		ID: n.ID, Name: n.Name, Version: n.Version, Membership: n.Membership, Cordon: n.Cordon,
		Liveness: src.alive(n.ID),
	}
	if out.Liveness != cluster.Alive {
		if since, ok := src.downSince[n.ID]; ok {
			out.DownFor = src.now.Sub(since).Seconds()
		}
	}
	if st := src.report(n.ID); st != nil {
		out.Reported, out.Service = true, st.Service
		out.Bytes, out.DiskUsed, out.DiskTotal = st.Bytes, st.DiskUsed, st.DiskTotal
		out.CPU, out.CAKey = st.CPU, st.Keys.Signs != ""
		out.SlowDisk = st.Disk.State == cluster.DiskSlow || st.DiskFull
		if st.Version != "" {
			out.Version = st.Version
		}
	}
	return out
}

// alive is gossip's opinion; of a node that gossip does not know, whether it
// has answered lately. A node whose disk hangs is as good as dead.
func (src *sources) alive(id cluster.NodeID) cluster.Liveness {
	if st := src.report(id); st != nil && st.Hung() {
		return cluster.Dead // it answers, and can neither store nor serve
	}
	if id == src.self {
		return cluster.Alive
	}
	if l, ok := src.liveness[id]; ok && l != "" {
		return l
	}
	if src.report(id) != nil {
		return cluster.Alive
	}
	return cluster.Dead
}

// newest adds x to list unless that node has said something later.
func newest(list []seen, x seen) []seen {
	for i := range list {
		if list[i].node == x.node {
			if x.at.After(list[i].at) {
				list[i] = x
			}
			return list
		}
	}
	return append(list, x)
}

// failed lists the nodes whose replica, the one that d names, has stopped.
func (src *sources) failed(d *cluster.RangeDescriptor, told []seen) []cluster.NodeID {
	var out []cluster.NodeID
	for _, x := range told {
		rep, ok := d.On(x.node)
		if ok && rep.Replica == x.status.Replica && x.status.Failed != "" && src.alive(x.node) == cluster.Alive {
			out = append(out, x.node)
		}
	}
	slices.Sort(out)
	return out
}

// rangeOf joins what is known of one range: the newest descriptor, the leader of
// the highest term, and who has caught up if that leader has said so.
func (src *sources) rangeOf(d *cluster.RangeDescriptor, told []seen) placement.Range {
	best := d
	if n := src.newer[d.ID]; n != nil && n.Generation > best.Generation {
		best = n
	}
	term, leader := uint64(0), cluster.NodeID(0)
	var led *cluster.RangeStatus
	out := placement.Range{}
	for _, x := range told {
		st := x.status
		if st.Descriptor.Generation > best.Generation {
			best = &st.Descriptor
		}
		if src.alive(x.node) != cluster.Alive {
			continue
		}
		if st.Bytes >= out.Bytes {
			out.Bytes, out.Dead = st.Bytes, st.DeadBytes
		}
		if st.Term > term {
			term, leader, led = st.Term, 0, nil
		}
		if st.Term == term && st.Leader != 0 {
			leader = st.Leader
			if st.IsLeader() {
				led = st
			}
		}
	}
	out.Descriptor = *best.Clone()
	out.Failed = src.failed(best, told)
	if _, holds := best.On(leader); leader == 0 || !holds || src.alive(leader) != cluster.Alive {
		return out
	}
	out.Leader = leader
	if led != nil {
		out.Bytes, out.Reads, out.Writes = led.Bytes, led.ReadsPerSecond, led.WritesPerSecond
		out.Caught = caughtUp(led, best)
	}
	return out
}

// caughtUp lists the nodes of d whose replicas hold, for the leader that said
// st, all that is committed, but for what is on its way: some entries, or those of
// the last moment, which under load are many. A replica that st does not mean does not count.
func caughtUp(st *cluster.RangeStatus, d *cluster.RangeDescriptor) []cluster.NodeID {
	out := []cluster.NodeID{st.Leader}
	for _, p := range st.Progress {
		was, ok := st.Descriptor.On(p.Node)
		is, still := d.On(p.Node)
		if !ok || !still || was.Replica != is.Replica {
			continue
		}
		if follows(st, p) && p.Node != st.Leader {
			out = append(out, p.Node)
		}
	}
	slices.SortFunc(out, cmp.Compare)
	return out
}

// follows reports whether a replica answers and holds all that is committed but
// for what is on its way.
func follows(st *cluster.RangeStatus, p cluster.ReplicaProgress) bool {
	near := p.Match+catchUpLag >= st.Commit || st.Settled > 0 && p.Match >= st.Settled
	return p.Active && !p.Snapshot && p.Match > 0 && near
}
