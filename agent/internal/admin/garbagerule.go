package admin

import (
	"fmt"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// garbageSlack is how much later than it should garbage may be collected: a pass makes
// way for statements, and fails where a node is away.
const garbageSlack = 5 * time.Minute

// garbageLate is the age of what is dead from which on its collection is late. Where
// little is dead it may wait for ten times a tenth of gc_ttl, of a minute at most.
func garbageLate(ttl time.Duration) time.Duration {
	return ttl + min(ttl, 10*time.Minute) + garbageSlack
}

// lateGarbage finds ranges whose old versions stay, by the nodes that lead them, and says
// why.
func lateGarbage(c *checkup) []breach {
	ttl := c.View.Settings.GCTTL()
	var out []breach
	for _, n := range c.members() {
		st := c.Statuses[n.ID]
		if st == nil {
			continue
		}
		b := breach{severity: severityWarn, nodes: []cluster.NodeID{n.ID}}
		dead, oldest := uint64(0), c.At
		for _, r := range st.Ranges {
			if r.IsLeader() && r.DeadBytes > 0 && !r.Collected.IsZero() && c.At.Sub(r.Collected) > garbageLate(ttl) {
				b.ranges, dead = append(b.ranges, r.Descriptor.ID), dead+r.DeadBytes
				if r.Collected.Before(oldest) {
					oldest = r.Collected
				}
			}
		}
		if len(b.ranges) == 0 {
			continue
		}
		b.text = fmt.Sprintf("%s led by %s: %d MiB are dead, some for %s, and gc_ttl is %s: ",
			plural(len(b.ranges), "range"), n.ID, dead>>20, c.At.Sub(oldest).Round(time.Minute), ttl)
		why, command := c.whyKept(n.ID, st)
		b.text, b.command = b.text+why, command
		out = append(out, b)
	}
	return out
}

// whyKept says what keeps garbage of ranges that a node leads, and what shows more of it.
func (c *checkup) whyKept(node cluster.NodeID, st *cluster.NodeStatus) (why, command string) {
	g := &st.Garbage
	switch {
	case st.DiskSpent:
		return "even the reserve of its disk is used up, and what takes them away is a command, too", "nodedbctl nodes show " + node.String()
	case g.Holder == 0:
		return "no open snapshot keeps them; the log of that node says whether passes fail", "nodedbctl ranges"
	}
	why = fmt.Sprintf("a snapshot of %s that is open on %s keeps them", g.Snapshot.UTC().Format(time.RFC3339), g.Holder)
	if h := c.Statuses[g.Holder]; h != nil && !h.Transactions.OldestBegan.IsZero() {
		t := &h.Transactions
		why += fmt.Sprintf("; the oldest transaction there is of session %d of %s, %s old", t.Oldest.PID, t.OldestUser, c.At.Sub(t.OldestBegan).Round(time.Second))
		return why, fmt.Sprintf("nodedbctl sessions cancel %d --terminate", t.Oldest.PID)
	}
	return why, "nodedbctl transactions"
}
