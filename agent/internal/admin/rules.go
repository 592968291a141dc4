package admin

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/gate"
)

// Bounds of the rules.
const (
	stuckWarn      = 3  // seconds without a round of the core loop, which goes each tick: longer than any write of a disk that works
	stuckError     = 30 // seconds after which a disk does not come back by itself
	certWarn       = 30 * 24 * time.Hour
	certError      = 7 * 24 * time.Hour
	flapsMost      = 3 // returns within an hour
	flapWindow     = time.Hour
	metaLagMost    = 500 // commands that a node may be behind
	orphanPatience = 30 * time.Second
	memoryNear     = 0.9              // of a part's bound: the next large request is refused
	memoryRecent   = 5 * time.Minute  // since something was refused
	waitLong       = 10 * time.Second // of a statement: clients give up
)

func metaQuorum(c *checkup) []breach {
	if c.metaLeader != 0 {
		return nil
	}
	return []breach{{severity: severityError, command: "nodedbctl members", text: "the meta range has no leader: nothing about the cluster can be changed"}}
}

func noQuorum(c *checkup) []breach {
	ids := c.inState(rangeNoQuorum)
	if len(ids) == 0 {
		return nil
	}
	return []breach{{severity: severityError, command: "nodedbctl ranges --state no-quorum", ranges: ids, text: plural(len(ids), "range") + " without a quorum"}}
}

func nodesDown(c *checkup) []breach {
	var out []breach
	for _, n := range c.members() {
		b := breach{nodes: []cluster.NodeID{n.ID}, severity: severityWarn}
		switch l := c.liveness(n.ID); {
		case l == cluster.Dead || l == cluster.Left:
			b.severity, b.command = severityError, "nodedbctl members why "+n.ID.String()
			b.text = fmt.Sprintf("%s is %s; %s", n.ID, l, c.replicasOf(n.ID))
		case l == cluster.Suspect:
			b.code, b.command, b.text = "NODE_SUSPECT", "nodedbctl members why "+n.ID.String(), n.ID.String()+" is suspect"
		case c.Statuses[n.ID] == nil:
			b.code, b.command, b.text = "NODE_SILENT", "nodedbctl members why "+n.ID.String(), n.ID.String()+" did not answer in time"
		default:
			continue
		}
		out = append(out, b)
	}
	return out
}

// stuckStores finds the nodes whose core loop does not go round: they answer, but of
// their ranges only what was true when it did last.
func stuckStores(c *checkup) []breach {
	var out []breach
	for _, n := range c.members() {
		st := c.Statuses[n.ID]
		if st == nil || st.RangesAge < stuckWarn {
			continue
		}
		b := breach{severity: severityWarn, nodes: []cluster.NodeID{n.ID}, command: "nodedbctl nodes show " + n.ID.String(),
			text: fmt.Sprintf("the store of %s has not got on for %.0f s: its disk hangs or is very slow, or it gets no CPU; what is shown of its ranges is that old", n.ID, st.RangesAge)}
		if st.RangesAge >= stuckError {
			b.severity = severityError
		}
		out = append(out, b)
	}
	return out
}

// hungDisks finds the nodes whose disk answers nothing.
func hungDisks(c *checkup) []breach {
	var out []breach
	for _, n := range c.members() {
		if st := c.Statuses[n.ID]; st != nil && st.Hung() {
			out = append(out, breach{severity: severityError, nodes: []cluster.NodeID{n.ID}, command: "nodedbctl nodes show " + n.ID.String(), text: fmt.Sprintf(
				"the disk of %s hangs: %s of %s has taken %.1f s so far; its leaderships go elsewhere, and the process ends by itself if that goes on", n.ID, st.Disk.Operation, st.Disk.Path, st.Disk.Age)})
		}
	}
	return out
}

// slowDisks finds the nodes whose disk is slow, or hung a moment ago.
func slowDisks(c *checkup) []breach {
	var out []breach
	for _, n := range c.members() {
		if st := c.Statuses[n.ID]; st != nil && st.Disk.State == cluster.DiskSlow {
			out = append(out, breach{severity: severityWarn, nodes: []cluster.NodeID{n.ID}, command: "nodedbctl nodes show " + n.ID.String(), text: fmt.Sprintf(
				"the disk of %s is slow: syncs of %s take %.0f ms in the median, %.0f at most; others lead before it does", n.ID, st.Disk.Path, 1000*st.Disk.SyncMedian, 1000*st.Disk.SyncLongest)})
		}
	}
	return out
}

// storesBehind finds the nodes that were refused for their store and have not
// started with another one since.
func storesBehind(c *checkup) []breach {
	refused := map[cluster.NodeID]bool{}
	for _, e := range c.View.Events {
		switch e.Kind {
		case cluster.EventStoreBehind:
			refused[e.Node] = true
		case cluster.EventNodeStarted:
			delete(refused, e.Node)
		default:
		}
	}
	var out []breach
	for _, n := range c.members() {
		if refused[n.ID] {
			out = append(out, breach{severity: severityError, nodes: []cluster.NodeID{n.ID}, command: "nodedbctl members why " + n.ID.String(),
				text: fmt.Sprintf("%s was refused: its store lost what it had synced (a copy, an old snapshot, a damaged disk): put the right disk back, or run nodedb-agent reset --data-dir D there", n.ID)})
		}
	}
	return out
}

func failedReplicas(c *checkup) []breach {
	var out []breach
	for _, id := range sortedKeys(c.notable) {
		f := c.notable[id]
		for _, r := range f.reports {
			if node, why := r.node, r.status.Failed; why != "" {
				text := fmt.Sprintf("the replica of %s on %s has failed: %s; ", id, node, why)
				b := breach{severity: severityError, nodes: []cluster.NodeID{node}, ranges: []cluster.RangeID{id},
					command: "nodedbctl ranges show " + id.String(), text: text + "it is made anew by itself"}
				switch {
				case strings.Contains(why, gate.ErrNewer.Error()):
					b.command, b.text = "nodedbctl upgrade status", text+fmt.Sprintf("start %s with the newer nodedb-agent", node)
				case f.state == rangeNoQuorum:
					b.command, b.text = "nodedbctl check", text+fmt.Sprintf("it is made anew once %s has a quorum: start its other nodes", id)
				}
				out = append(out, b)
			}
		}
	}
	return out
}

// divergedRanges finds ranges whose replicas hold different things.
func divergedRanges(c *checkup) []breach {
	var out []breach
	for _, id := range sortedKeys(c.notable) {
		if cmp := c.notable[id].comparison(); len(cmp.Differ) > 0 {
			out = append(out, breach{severity: severityError, nodes: cmp.Differ, ranges: []cluster.RangeID{id}, command: "nodedbctl ranges show " + id.String(),
				text: cmp.Tell(id) + "; nothing is mended by itself: docs/OPERATIONS.md, Replicas that differ"})
		}
	}
	return out
}

// replicasOf says what becomes of the replicas of data of a node that is down.
func (c *checkup) replicasOf(node cluster.NodeID) string {
	held := c.data[node]
	rf, live := c.View.MostReplicas(), len(c.live())
	switch {
	case held == 0:
		return "its replicas are elsewhere by now: start it again, or decommission it"
	case live < rf:
		return fmt.Sprintf("its %s cannot be re-created: %s for %s", plural(held, "replica"), plural(live, "live node"), plural(rf, "replica"))
	}
	return fmt.Sprintf("its %s are re-created elsewhere when it has been away for %s", plural(held, "replica"), c.View.Settings.DeadAfter())
}

func underReplicated(c *checkup) []breach {
	ids := c.inState(rangeUnder)
	if len(ids) == 0 {
		return nil
	}
	command := "nodedbctl ranges --state under"
	text := plural(len(ids), "range") + " with fewer live voters than " + c.poolsOf(ids)
	if n := len(c.members()); n < c.View.MostReplicas() {
		command = "nodedbctl join-token create"
		if n%2 == 0 {
			text += fmt.Sprintf(": %d nodes, and an even number of voters outlives no more losses: one copy of each does not vote", n)
		}
	}
	return []breach{{severity: severityWarn, command: command, ranges: ids, text: text}}
}

// poolsOf names the pools of ranges, each with the replicas that it wants.
func (c *checkup) poolsOf(ids []cluster.RangeID) string {
	var pools []string
	for _, id := range ids {
		d := c.View.Ranges.Get(id)
		if d == nil || d.IsMeta() {
			continue
		}
		text := fmt.Sprintf("the %d of pool %s", c.View.ReplicasWanted(d), c.View.PoolName(d.Pool))
		if !slices.Contains(pools, text) {
			pools = append(pools, text)
		}
	}
	if len(pools) == 0 {
		return "it wants"
	}
	return strings.Join(pools, ", ")
}

func heldOperations(c *checkup) []breach {
	var out []breach
	for _, id := range c.View.OperationIDs() {
		op := c.View.Operations[id]
		b := breach{severity: severityWarn, nodes: op.Spec.Nodes, command: "nodedbctl ops show " + id}
		switch {
		case op.Spec.Kind.OfPool() && held(op):
			continue // POOL_STUCK tells
		case op.State == cluster.OpBlocked, op.State == cluster.OpPaused:
			b.code, b.text = "OPERATION_"+strings.ToUpper(string(op.State)), fmt.Sprintf("%s is %s: %s", id, op.State, op.Why)
		case op.Stalled && !op.State.Final():
			b.code, b.text = "OPERATION_STALLED", fmt.Sprintf("%s makes no progress: %s", id, op.Why)
		default:
			continue
		}
		if op.State == cluster.OpPaused && (op.PreemptedBy == "" || op.Held != "") {
			b.command = "nodedbctl ops resume " + id
		}
		out = append(out, b)
	}
	return out
}

func fullDisks(c *checkup) []breach {
	var out []breach
	for _, n := range c.members() {
		st := c.Statuses[n.ID]
		if st == nil || st.DiskTotal == 0 {
			continue
		}
		if st.DiskSpent {
			out = append(out, breach{code: "DISK_SPENT", severity: severityError, nodes: []cluster.NodeID{n.ID}, command: "nodedbctl nodes show " + n.ID.String(), text: fmt.Sprintf(
				"even the reserve of the disk of %s is nearly used up (%d MiB free): it takes no commands of rows, leads none, falls behind, and counts for no write; reads go on; make room, or grow the volume", n.ID, (st.DiskTotal-st.DiskUsed)>>20)})
			continue
		}
		if st.DiskFull {
			out = append(out, breach{code: "DISK_FULL", severity: severityError, nodes: []cluster.NodeID{n.ID}, command: "nodedbctl join-token create", text: fmt.Sprintf(
				"the disk of %s is full but for its reserve (%d MiB): ranges most of whose nodes are so take no more rows (53100); DELETE and DROP work; add a node, or grow the volume", n.ID, st.DiskReserve>>20)})
			continue
		}
		if used := float64(st.DiskUsed) / float64(st.DiskTotal); used > diskFull {
			out = append(out, breach{severity: severityWarn, nodes: []cluster.NodeID{n.ID}, command: "nodedbctl join-token create",
				text: fmt.Sprintf("the disk of %s is %.0f%% full", n.ID, used*100)})
		}
	}
	return out
}

// memoryPressure finds parts of nodes' memory that are used up, or were lately.
func memoryPressure(c *checkup) []breach {
	var out []breach
	for _, n := range c.members() {
		st := c.Statuses[n.ID]
		if st == nil {
			continue
		}
		for _, p := range st.Memory {
			var text string
			switch {
			case p.RefusedAgo > 0 && p.RefusedAgo < memoryRecent.Seconds():
				text = fmt.Sprintf("%s refused a request %.0f s ago for want of memory for %s (%d of %d MiB now, %s since the start)",
					n.ID, p.RefusedAgo, p.Name, p.Used>>20, p.Limit>>20, plural(int(min(p.Refused, math.MaxInt32)), "refusal"))
			case p.Limit > 0 && float64(p.Used) > memoryNear*float64(p.Limit):
				text = fmt.Sprintf("%s has hardly any memory left for %s: %d of %d MiB", n.ID, p.Name, p.Used>>20, p.Limit>>20)
			default:
				continue
			}
			out = append(out, breach{severity: severityWarn, nodes: []cluster.NodeID{n.ID}, command: "nodedbctl nodes show " + n.ID.String(), text: text})
		}
	}
	return out
}

// waitingStatements finds nodes that have more statements to run than they can.
func waitingStatements(c *checkup) []breach {
	var out []breach
	for _, n := range c.members() {
		st := c.Statuses[n.ID]
		if st == nil {
			continue
		}
		for _, q := range st.Queues {
			var text string
			switch {
			case q.RefusedAgo > 0 && q.RefusedAgo < memoryRecent.Seconds():
				text = fmt.Sprintf("%s refused a %s statement %.0f s ago because too many waited (%d of %d run and %d of %d wait now, %s since the start)",
					n.ID, q.Name, q.RefusedAgo, q.Running, q.Limit, q.Waiting, q.Room, plural(int(min(q.Refused, math.MaxInt32)), "refusal"))
			case q.Oldest > waitLong.Seconds():
				text = fmt.Sprintf("%s has a %s statement that waits to run since %.0f s: %d of %d run, %d wait", n.ID, q.Name, q.Oldest, q.Running, q.Limit, q.Waiting)
			default:
				continue
			}
			out = append(out, breach{severity: severityWarn, nodes: []cluster.NodeID{n.ID}, command: "nodedbctl nodes show " + n.ID.String(), text: text})
		}
	}
	return out
}

// longLockWaits finds the nodes with a transaction that has waited long for the locks of
// another, which may have been left open.
func longLockWaits(c *checkup) []breach {
	var out []breach
	for _, n := range c.members() {
		st := c.Statuses[n.ID]
		if st == nil || st.Transactions.WaitSeconds < cluster.LongLockWait.Seconds() {
			continue
		}
		t := &st.Transactions
		holder := "a transaction"
		if t.WaitsFor.PID != 0 { // it is a session's, and its node answers
			holder = fmt.Sprintf("session %d", t.WaitsFor.PID)
		}
		out = append(out, breach{severity: severityWarn, nodes: []cluster.NodeID{n.ID}, command: "nodedbctl transactions --blocked", text: fmt.Sprintf(
			"session %d of %s on %s has waited %.0f s for locks of %s on %s (waiting on %[3]s: %[7]d)", t.Longest.PID, t.LongestUser, n.ID, t.WaitSeconds, holder, t.WaitsFor.Node, t.Waiting)})
	}
	return out
}

func expiringCertificates(c *checkup) []breach {
	var out []breach
	judge := func(what, command string, ends time.Time, nodes ...cluster.NodeID) {
		left := ends.Sub(c.At)
		if ends.IsZero() || left > certWarn {
			return
		}
		b := breach{severity: severityWarn, nodes: nodes, command: command, text: fmt.Sprintf("%s expires in %s", what, days(left))}
		if left <= certError {
			b.severity = severityError
		}
		if left <= 0 {
			b.text = what + " has expired"
		}
		out = append(out, b)
	}
	for _, n := range c.members() {
		if st := c.Statuses[n.ID]; st != nil {
			judge("the certificate of "+n.ID.String(), "nodedbctl cert renew "+n.ID.String(), st.CertExpires, n.ID)
		}
	}
	for rest := []byte(c.View.CACert); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return out
		}
		if ca, err := x509.ParseCertificate(block.Bytes); err == nil {
			judge("the certificate of the cluster's CA", "nodedbctl cert show", ca.NotAfter)
		}
	}
}

func days(d time.Duration) string {
	if d < 48*time.Hour {
		return plural(int(d/time.Hour), "hour")
	}
	return plural(int(d/(24*time.Hour)), "day")
}

// clocks looks at where each node's time stands.
func (c *checkup) clocks(find func(n cluster.NodeID, st *cluster.ClockStatus) (severity, text string)) []breach {
	var out []breach
	for _, n := range c.members() {
		st := c.Statuses[n.ID]
		if st == nil || st.Clock.Belief == "" {
			continue
		}
		if severity, text := find(n.ID, &st.Clock); text != "" {
			out = append(out, breach{severity: severity, nodes: []cluster.NodeID{n.ID}, command: "nodedbctl members why " + n.ID.String(), text: text})
		}
	}
	return out
}

// aheadClocks finds the nodes whose timestamps others refuse, and those that wait
// after a start until their time has passed what they used before.
func aheadClocks(c *checkup) []breach {
	return c.clocks(func(n cluster.NodeID, st *cluster.ClockStatus) (severity, text string) {
		switch ahead := seconds(st.Ahead).Round(100 * time.Millisecond); {
		case !st.Waits.IsZero() && st.IsAhead():
			return severityError, fmt.Sprintf("%s is silent until %s, in %s: before its restart it used times that are not reached yet; docs/OPERATIONS.md (timestamps ahead of the time) has a way out", n, st.Waits.UTC().Format(time.RFC3339), ahead)
		case st.IsAhead():
			return severityError, fmt.Sprintf("%s has used timestamps that are %s ahead of its time: others do not listen to it until that has passed", n, ahead)
		}
		return "", ""
	})
}

func unsettledClocks(c *checkup) []breach {
	return c.clocks(func(n cluster.NodeID, st *cluster.ClockStatus) (severity, text string) {
		switch st.Belief {
		case "asking":
			return severityError, fmt.Sprintf("%s does not know what the time is and is silent: too few of its peers have answered since it started, or their times differ", n)
		case "past":
			return severityWarn, fmt.Sprintf("%s goes by the time at which it was stopped: too few of its peers have answered since it started to say what the time is", n)
		}
		return "", ""
	})
}

// steppedClocks finds the nodes that do not follow their machines' clocks.
func steppedClocks(c *checkup) []breach {
	return c.clocks(func(n cluster.NodeID, st *cluster.ClockStatus) (severity, text string) {
		if !st.Stepped() {
			return "", ""
		}
		side, what := "ahead of", "it goes on without it; repair its NTP"
		if st.Step < 0 {
			side = "behind"
		}
		switch {
		case st.Taking && st.Step > 0:
			what = fmt.Sprintf("most machines' clocks say the same, and nodes follow them in %s; if they are wrong, repair NTP before that", seconds(st.Due).Round(time.Second))
		case st.Taking:
			what = "most machines' clocks say the same: the nodes' time goes slower until it is there; do not stop all nodes at once before that, they would wait"
		}
		return severityWarn, fmt.Sprintf("the clock of %s's machine is %s %s the node's time: %s", n, seconds(math.Abs(st.Step)).Round(100*time.Millisecond), side, what)
	})
}

func skewedClocks(c *checkup) []breach {
	return c.clocks(func(n cluster.NodeID, st *cluster.ClockStatus) (severity, text string) {
		// Of two nodes nobody can say whose time is wrong; each sees one peer then.
		if math.Abs(st.Offset) <= st.Limit {
			return "", ""
		}
		return severityWarn, fmt.Sprintf("the time of %s is %.1f s from those of its peers: check its NTP", n, math.Abs(st.Offset))
	})
}

// openBreakers finds pairs of which gossip says that both are alive, but calls do
// not get through.
func openBreakers(c *checkup) []breach {
	var out []breach
	live := c.live()
	for _, from := range live {
		p := c.peers[from.ID]
		if p == nil {
			continue
		}
		for _, to := range p.open {
			n := c.View.Nodes[to]
			if n == nil || n.Membership == cluster.Decommissioned || c.liveness(to) != cluster.Alive || from.ID == to {
				continue
			}
			out = append(out, breach{severity: severityWarn, nodes: []cluster.NodeID{from.ID, to}, command: "nodedbctl members why " + to.String(),
				text: fmt.Sprintf("%s does not reach %s, though it is alive: %s", from.ID, to, p.of[to].LastError)})
		}
	}
	return out
}

func flapping(c *checkup) []breach {
	var out []breach
	for _, n := range c.members() {
		if count := c.flapped[n.ID]; count >= flapsMost {
			out = append(out, breach{severity: severityWarn, nodes: []cluster.NodeID{n.ID}, command: "nodedbctl members why " + n.ID.String(),
				text: fmt.Sprintf("%s came back %s within an hour", n.ID, plural(count, "time"))})
		}
	}
	return out
}

func leftCordons(c *checkup) []breach {
	var out []breach
	for _, n := range c.members() {
		if n.Cordon && n.CordonUntil.IsZero() {
			out = append(out, breach{severity: severityWarn, nodes: []cluster.NodeID{n.ID}, command: "nodedbctl uncordon " + n.ID.String(),
				text: n.ID.String() + " is cordoned without an end: nothing is placed there"})
		}
	}
	return out
}

func drainedNodes(c *checkup) []breach {
	var out []breach
	for _, n := range c.members() {
		if st := c.Statuses[n.ID]; st != nil && st.Service == cluster.Drained && n.Membership == cluster.Active {
			out = append(out, breach{severity: severityWarn, nodes: []cluster.NodeID{n.ID}, command: "nodedbctl undrain " + n.ID.String(),
				text: n.ID.String() + " is drained: it takes no sessions"})
		}
	}
	return out
}

// orphans finds what belongs to no operation any more: a membership that is
// ending, replicas that no descriptor names.
func orphans(c *checkup) []breach {
	var out []breach
	for _, n := range c.members() {
		if n.Membership == cluster.Decommissioning && c.operations[n.ID] == "" {
			out = append(out, breach{severity: severityWarn, nodes: []cluster.NodeID{n.ID}, command: "nodedbctl recommission " + n.ID.String(),
				text: n.ID.String() + " is decommissioning, but no operation works on it"})
		}
	}
	for _, id := range sortedKeys(c.notable) {
		f := c.notable[id]
		for _, r := range f.reports {
			if node := r.node; f.strange(r) && c.settledFor(id, orphanPatience) {
				out = append(out, breach{severity: severityWarn, nodes: []cluster.NodeID{node}, ranges: []cluster.RangeID{id},
					command: "nodedbctl debug raft " + id.String(), text: fmt.Sprintf("%s holds a replica of %s that belongs to it no more", node, id)})
			}
		}
	}
	return out
}

// caKeyHeld finds that no certificate can be signed, or soon none: the key is on no
// node that answers, or only on one that leaves.
func caKeyHeld(c *checkup) []breach {
	var staying, leaving []cluster.NodeID
	for _, id := range c.reporting(func(k *cluster.KeyStatus) bool { return k.Signs != "" }) {
		if c.View.Nodes[id].Membership == cluster.Decommissioning {
			leaving = append(leaving, id)
		} else {
			staying = append(staying, id)
		}
	}
	const lost = ": no node can join, certificates cannot be renewed"
	switch {
	case len(staying) > 0 || len(leaving) == 0 && c.View.Settings.CAKeyOffline():
		return nil
	case len(leaving) > 0:
		return []breach{{severity: severityError, nodes: leaving, command: "nodedbctl cert move-ca --to NODE",
			text: "only " + nodeNames(leaving) + ", which leaves, holds the CA's key"}}
	case len(c.Missing) > 0:
		return []breach{{severity: severityWarn, nodes: c.Missing, command: "nodedbctl cert show",
			text: "no node that answers holds the CA's key (" + nodeNames(c.Missing) + " did not answer)" + lost}}
	}
	return []breach{{severity: severityWarn, command: "nodedbctl cert show", text: "no node holds the CA's key" + lost + ` (if it is kept offline on purpose: ALTER SYSTEM SET ca_key = 'offline')`}}
}

// settledFor reports whether nothing was heard of a move of the range lately:
// what it leaves behind is tidied in the background.
func (c *checkup) settledFor(id cluster.RangeID, patience time.Duration) bool {
	return !slices.ContainsFunc(c.View.Events, func(e *cluster.Event) bool { return e.Range == id && c.At.Sub(e.Time) < patience })
}

func staleRouting(c *checkup) []breach {
	newest := c.View.Index
	for _, st := range c.Statuses {
		newest = max(newest, st.MetaIndex)
	}
	var out []breach
	for _, n := range c.live() {
		if st := c.Statuses[n.ID]; st != nil && st.MetaIndex+metaLagMost < newest {
			out = append(out, breach{severity: severityWarn, nodes: []cluster.NodeID{n.ID}, command: "nodedbctl debug raft r1",
				text: fmt.Sprintf("%s knows the cluster as of meta@%d, %d commands ago: its routing is stale", n.ID, st.MetaIndex, newest-st.MetaIndex)})
		}
	}
	return out
}

func versionMix(c *checkup) []breach {
	runs := map[string][]cluster.NodeID{}
	for _, n := range c.members() {
		if st := c.Statuses[n.ID]; st != nil {
			runs[st.Version] = append(runs[st.Version], n.ID)
		}
	}
	if len(runs) < 2 {
		return nil
	}
	var parts []string
	for _, v := range sortedKeys(runs) {
		parts = append(parts, v+" on "+nodeNames(runs[v]))
	}
	return []breach{{severity: severityWarn, command: "nodedbctl upgrade status", text: "more than one version runs: " + strings.Join(parts, "; ")}}
}

func survivesNone(c *checkup) []breach {
	v := c.survive()
	if c.Snapshot == nil || v.Any != 0 {
		return nil // of a range without a quorum, NO_QUORUM tells
	}
	text := "the loss of one node would stop ranges: " + nodeNames(v.Singles)
	if len(v.Copies) > 0 {
		text += "; " + nodeNames(v.Copies) + " may be lost: copies only, and no vote"
	}
	return []breach{{severity: severityWarn, nodes: v.Singles, command: "nodedbctl survive", text: text}}
}
