package store

import (
	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// Room is what is left of a node's disk.
type Room byte

const (
	// RoomEnough is more than the disk's reserve.
	RoomEnough Room = iota
	// RoomReserve is the reserve: what deletes may come, what makes a range larger not.
	RoomReserve
	// RoomNone is not even that: see Core.DiskRoom.
	RoomNone
)

// A follower whose disk is full cannot tell raft so: it would have to refuse entries
// that others may have stored. So nodes tell each other what room they have, with their
// questions for support, and a leader refuses a command ahead of its proposal if the
// nodes with room for it are no quorum of the range. Otherwise it would lie in the log
// of a minority, and its client would wait, and be told that nobody knows (40003).
// What was proposed before the leader heard of it is taken: a node goes on taking
// entries for NoticeTicks.
//
// Whom a leader has not heard for roomTicks counts as without room for as long as
// anybody is known to have none: a quorum with him would be none.
type rooms struct {
	own    Room
	since  uint64 // tick at which own became that
	others map[cluster.NodeID]told
}

type told struct {
	room Room
	at   uint64 // tick
}

const (
	// NoticeTicks is how long a node without room goes on taking entries, in ticks: three times what passes between two questions: one may get lost.
	NoticeTicks = 10
	// roomTicks is how long what a node has said counts.
	roomTicks = 20
)

// DiskRoom tells the core what is left of its disk. With RoomNone the log of ranges of
// rows must not grow here: the node takes no commands as a follower, so that it falls
// behind like one that is away, and hands what it leads to nodes with room. It votes,
// serves reads, and takes the entries of a new leader and of changes of replicas, by
// which a full disk gets rid of them, if no command is before those; the meta range
// goes on, which is small. What is left of the disk is for that, for the clock's
// ceiling, and for a start.
func (c *Core) DiskRoom(room Room) {
	if c.rooms.own == room {
		return
	}
	c.rooms.own, c.rooms.since = room, c.ticks
	c.leases.ask = c.ticks // with which it is told
	c.noteShort()
}

// DiskRoom tells the store what is left of its disk.
func (s *Store) DiskRoom(room Room) {
	_ = s.inbox.complete(func(c *Core) { c.DiskRoom(room) }) // a stopped store takes nothing
}

// heardRoom takes what a peer has said of its disk.
func (c *Core) heardRoom(from cluster.NodeID, room Room) {
	c.rooms.others[from] = told{room, c.ticks}
	c.noteShort()
}

// noteShort notes whether any disk is short of room: otherwise nobody has to look.
func (c *Core) noteShort() {
	short := c.rooms.own != RoomEnough
	for _, o := range c.rooms.others {
		short = short || o.room != RoomEnough && c.ticks-o.at < roomTicks
	}
	c.short.Store(short)
}

// takesEntries reports whether the log of a range may grow here.
func (c *Core) takesEntries(id cluster.RangeID) bool {
	r := &c.rooms
	return r.own != RoomNone || id == metaFirst || c.ticks-r.since < NoticeTicks || c.cfg.Planted.IgnoresSpent()
}

// bulky reports whether an entry is more than what elects a leader or moves a replica.
func bulky(e *pb.Entry) bool {
	return e.GetType() == pb.EntryNormal && len(e.GetData()) > 0
}

// roomOn reports whether a node takes entries, and with grows such that make a range
// larger, as far as this one knows.
func (c *Core) roomOn(n cluster.NodeID, grows bool) bool {
	room := c.rooms.own
	if n != c.cfg.Node {
		o := c.rooms.others[n]
		if c.ticks-o.at >= roomTicks { // also, for the first ticks, whoever was never heard
			return false
		}
		room = o.room
	}
	return room == RoomEnough || room == RoomReserve && !grows
}

// quorumHas reports whether fits holds for a quorum of the voters of d: of both halves,
// if it is joint.
func quorumHas(d *cluster.RangeDescriptor, fits func(cluster.NodeID) bool) bool {
	var all, good [2]int // of the voters that were, and that will be
	for _, r := range d.Replicas {
		was := r.Role == cluster.Voter || r.Role == cluster.VoterOutgoing
		will := r.Role == cluster.Voter || r.Role == cluster.VoterIncoming
		for i, votes := range [2]bool{was, will} {
			if votes {
				all[i]++
				if fits(r.Node) {
					good[i]++
				}
			}
		}
	}
	return good[0] > all[0]/2 && good[1] > all[1]/2
}

// roomFor says why a command is not to be proposed, the disks being what they are: a
// quorum has no room for it, or this node has not, and others will lead soon.
func (c *Core) roomFor(s *slot, grows bool) error {
	if !c.short.Load() || s.id == metaFirst || c.cfg.Planted.IgnoresRoom() {
		return nil
	}
	if !quorumHas(s.r.Members(), func(n cluster.NodeID) bool { return c.roomOn(n, grows) }) {
		return ErrDiskFull
	}
	if c.rooms.own == RoomNone {
		return &NotLeaderError{Range: s.id}
	}
	return nil
}

// tickRoom hands what is led here to nodes with room, if this one has none.
func (c *Core) tickRoom() {
	if c.rooms.own != RoomNone || c.cfg.Planted.IgnoresSpent() {
		return
	}
	for _, s := range c.order {
		if s.id == metaFirst || !s.takesPart() || !s.r.Leading() {
			continue
		}
		others := func(n cluster.NodeID) bool { return n != c.cfg.Node && c.roomOn(n, false) }
		if quorumHas(s.r.Members(), others) {
			s.r.HandTo(others)
			c.mark(s)
		}
	}
}
