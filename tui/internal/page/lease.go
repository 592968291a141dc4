package page

import (
	"fmt"
	"strconv"
	"time"

	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/tui/internal/cell"
	"github.com/nodedb/nodedb/tui/internal/theme"
)

// lease says what lets the leader of the range read by itself, what reads went by and
// what the last comparison of the replicas came to. left is for how long the lease
// would last, 0: not asked yet.
func (d *rangeDetail) lease(th *theme.Theme, b *cell.Block, r *adminpb.Range, now time.Time) {
	if x := r.GetLease(); x != nil {
		d.leaseLine(th, b, r)
		for _, v := range x.GetVoters() {
			b.Add(leaseVoter(th, b.Width, v))
		}
		sleep := "asleep: nothing is sent for it"
		if !x.GetAsleep() {
			sleep = "awake: " + x.GetAwake()
		}
		b.Text(th.Dim, fmt.Sprintf("reads: %d under the lease, %d confirmed by a quorum, %d refused", x.GetReadsLeased(), x.GetReadsConfirmed(), x.GetReadsRefused()))
		b.Text(th.Dim, sleep)
	}
	level, text := comparison(r.GetComparison(), now)
	b.Add(cell.NewLine(b.Width).Put(th.Word(level), "compared "+text))
}

func (d *rangeDetail) leaseLine(th *theme.Theme, b *cell.Block, r *adminpb.Range) {
	x := r.GetLease()
	level, word, note := theme.Quiet, "held by "+cell.Node(r.GetLeader()), ""
	if !x.GetHeld() {
		level, word, note = theme.Alarm, "not held", "  "+x.GetWhy()
	}
	for _, s := range d.raft.GetReplicas() {
		if s.GetLeaseLeft() > 0 && x.GetHeld() && s.GetNode() == r.GetLeader() {
			note = fmt.Sprintf("  %.2f s left if nobody answers", s.GetLeaseLeft())
		}
	}
	mark, style := th.Mark(level)
	b.Add(section(th, b.Width, "lease", "reads of the leader without asking anybody"))
	b.Add(cell.NewLine(b.Width).Put(style, mark+" "+word).Put(th.Dim, note))
}

func leaseVoter(th *theme.Theme, width int, v *adminpb.LeaseVoter) *cell.Line {
	level, word := theme.Quiet, "bound in "+v.GetEpoch()
	switch {
	case v.GetBound() && !v.GetSupports():
		level, word = theme.Alarm, word+", which is over"
	case v.GetSupports() && !v.GetBound():
		level, word = theme.Moving, "supports, not bound yet"
	case !v.GetBound():
		level, word = theme.Alarm, "no support"
	}
	mark, style := th.Mark(level)
	return cell.NewLine(width).Put(style, mark+" ").Field(th.Bold, cell.Node(v.GetNode()), 6, false).Put(th.Plain, word)
}

// comparison is what came of comparing the replicas last, and when it was.
func comparison(c *adminpb.Comparison, now time.Time) (theme.Level, string) {
	if c.GetIndex() == 0 {
		return theme.Quiet, "not yet"
	}
	when := " at entry " + strconv.FormatUint(c.GetIndex(), 10)
	if c.GetAt() != nil {
		when += ", " + cell.Minutes(now.Sub(c.GetAt().AsTime())) + " ago"
	}
	switch {
	case len(c.GetDiffer()) > 0:
		return theme.Broken, cell.Nodes(c.GetDiffer(), ",") + " differ" + when
	case len(c.GetUntold()) > 0:
		return theme.Alarm, cell.Nodes(c.GetUntold(), ",") + " not told" + when
	}
	return theme.Quiet, "the same" + when
}
