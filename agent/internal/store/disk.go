package store

import (
	"log/slog"
	"slices"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/logattr"
)

// A disk that hangs answers nothing, and raft sees none of it: heartbeats need no
// disk, so that a leader whose appends hang would lead for as long as they do. So
// the core watches the age of the batch that is out. While the disk hangs, this node
//
//   - hands the ranges that it leads to voters that follow; MsgTimeoutNow needs no
//     write of its own. A range without an heir it leads no more after giveUpTicks;
//     only one whose only voter is here stays;
//   - begins no election and takes no leadership: followers do not tick, and neither
//     MsgTimeoutNow nor the answers to an earlier MsgPreVote are heard;
//   - neither gives nor takes a timestamp once its clock has run into its durable
//     ceiling (see clock): it is silent then, and its followers elect.
//
// Time is counted in ticks, which a process that was stopped does not make up for:
// after such a pause the disk is not to blame.
type diskWatch struct {
	told  bool // the shell has found that another operation hangs
	hung  bool
	since uint64 // tick at which hung began
}

const (
	// giveUpTicks is how long an heir has to take over: half a second is many times
	// what an election takes.
	giveUpTicks = 5
	// dryTicks is the age of a batch past which the disk counts as hung already if
	// the clock runs dry in dryMargin: leaderships go while the node may speak. It
	// is more than maxTicks, which a process that was stopped makes up for.
	dryTicks  = 5
	dryMargin = 250 * time.Millisecond
)

// tickDisk looks after the batch that is out, and what this node leads.
func (c *Core) tickDisk() {
	d := &c.disk
	var age uint64
	if c.out != nil {
		age = c.ticks - c.out.taken
	}
	hung := d.told || age >= uint64(c.cfg.StallTicks) || age >= dryTicks && c.clock.left() < dryMargin //nolint:gosec // it is positive
	if hung != d.hung {
		d.hung, d.since = hung, c.ticks
		c.log.Warn("disk", slog.Bool("hangs", hung), logattr.Duration(time.Duration(age)*c.cfg.Tick))
	}
	if b := c.out; hung && b != nil && !b.acked && c.cfg.Planted.AcksHung() {
		b.acked = true
		c.durable(b)
	}
	if !hung || c.cfg.Planted.KeepsHung() {
		return
	}
	dry := c.clock.dry() // an heir would not hear of it
	for _, s := range c.order {
		if !s.takesPart() || !s.r.Leading() {
			continue
		}
		s.r.GiveUp(dry || c.ticks-d.since >= giveUpTicks)
		if c.mark(s); dry && !s.r.OnlyVoter() {
			c.process(s) // nothing else is, until the disk answers
		}
	}
}

// hangs reports whether this node takes no leadership, its disk being what it is.
func (c *Core) hangs() bool { return c.disk.hung && !c.cfg.Planted.CampaignsHung() }

// DiskHangs tells the core that the disk hangs, or no more, in a way that the batch
// that is out does not show: in a read, say.
func (c *Core) DiskHangs(hung bool) { c.disk.told = hung }

// HandsOver reports whether this node gives its leaderships away because of its disk.
func (c *Core) HandsOver() bool { return c.disk.hung }

// deaf reports whether a message of raft is not heard, the disk being what it is.
func (c *Core) deaf(id cluster.RangeID, m *pb.Message) bool {
	switch m.GetType() {
	case pb.MsgTimeoutNow, pb.MsgPreVoteResp:
		// This node takes no leadership; and who asked before the disk hung whether it
		// would be elected would begin the election at the answer.
		return c.hangs()
	case pb.MsgApp:
		return slices.ContainsFunc(m.GetEntries(), bulky) && !c.takesEntries(id)
	default:
		return false
	}
}

// DiskHangs tells the store that the disk hangs, or no more, as its own writes do
// not show: then, too, it hands its leaderships away.
func (s *Store) DiskHangs(hung bool) {
	_ = s.inbox.complete(func(c *Core) { c.DiskHangs(hung) }) // a stopped store leads nothing
}
