package store

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/logattr"
	"github.com/nodedb/nodedb/agent/internal/replica"
)

// A batch between two nodes is: what it is, the sender's clock (none while it
// waits for its own: then only questions and answers leave), the mark of the
// sender's store, then what it carries: messages one after another, or what a
// question or an answer says. Every batch carries the clock: that is what keeps
// timestamps of a new leader above reads that an old one served. Every batch
// carries the mark: no vote and no acknowledgement is taken from a start of a
// store that was not found to have all that it told before.
const (
	batchFormat  byte = 1 // messages of replicas
	askFormat    byte = 2
	answerFormat byte = 3
	whoFormat    byte = 4 // asks to be asked; nothing more
	urgentFormat byte = 5 // messages, as batchFormat, of the urgent lane
	clockAt           = 1
	markAt            = clockAt + 8
	batchHeader       = markAt + cluster.MarkLen
	// batchBytes is where a batch is sealed and another one begun.
	batchBytes = 1 << 20
	// goneType marks a notice that a replica is removed, prepareType a request to
	// make one; no raft message has these types.
	goneType    byte = 0xff
	prepareType byte = 0xfe
	// leaseType marks a word about a range's lease, the others those about support
	// between the two nodes.
	leaseType      byte = 0xfd
	askSupportType byte = 0xfc
	promiseType    byte = 0xfb
)

// outbox collects what goes to one node.
type outbox struct {
	node cluster.NodeID
	// urgent and bulk are messages, for those lanes of the receiver; both may be empty.
	urgent, bulk outgoing
	// others are questions and answers about stores.
	others [][]byte
	told   uint64 // tick at which raft last heard that the node is unreachable
	// met is the boot in which the node was told this store's past: what comes from
	// a start that it has not compared is dropped.
	met cluster.Boot
	// wondered is the tick at which the node was last asked what its store is.
	wondered uint64
}

// outgoing collects messages of one lane.
type outgoing struct {
	format byte
	buf    []byte
	room   int // that the last batch would have wanted
	full   [][]byte
}

// begin makes room for a message.
func (g *outgoing) begin() {
	if len(g.buf) == 0 {
		// The last round says how much this one has to say.
		g.buf = newBatch(g.format, g.room)
	}
}

// end is called after it.
func (g *outgoing) end() {
	if len(g.buf) >= batchBytes {
		g.full = append(g.full, g.buf)
		g.buf = nil
	}
}

// take returns the batches.
func (g *outgoing) take() [][]byte {
	g.room = min(len(g.buf), batchBytes/16)
	out := g.full
	if len(g.buf) > 0 {
		out = append(out, g.buf)
	}
	g.full, g.buf = nil, nil
	return out
}

func (g *outgoing) empty() bool { return len(g.buf) == 0 && len(g.full) == 0 }

// lane is where a message of a range goes. Elections are urgent: a range without a
// leader serves nobody.
func (o *outbox) lane(id cluster.RangeID, t pb.MessageType) *outgoing {
	switch t {
	case pb.MsgVote, pb.MsgVoteResp, pb.MsgPreVote, pb.MsgPreVoteResp, pb.MsgTimeoutNow:
		return &o.urgent
	}
	if laneOf(id) == Urgent {
		return &o.urgent
	}
	return &o.bulk
}

// laneOfBatch is the lane of a batch that arrives. Questions and answers are urgent.
func laneOfBatch(b []byte) Lane {
	if len(b) > 0 && b[0] == batchFormat {
		return Bulk
	}
	return Urgent
}

// newBatch begins a batch with room for so many bytes; Flush fills its header.
func newBatch(format byte, room int) []byte {
	b := make([]byte, batchHeader, batchHeader+max(64, room))
	b[0] = format
	return b
}

func (c *Core) outbox(n cluster.NodeID) *outbox {
	o, ok := c.peers[n]
	if !ok {
		o = &outbox{node: n, urgent: outgoing{format: urgentFormat}, bulk: outgoing{format: batchFormat}}
		c.peers[n] = o
		i, _ := slices.BinarySearchFunc(c.peerOrder, n, func(o *outbox, n cluster.NodeID) int { return cmp.Compare(o.node, n) })
		c.peerOrder = slices.Insert(c.peerOrder, i, o)
	}
	return o
}

// Flush hands every batch to send, which returns false if it had to drop it.
func (c *Core) Flush(send func(to cluster.NodeID, batch []byte) bool) {
	var now hlc.Timestamp
	var header [cluster.MarkLen]byte
	reached := c.marks.Now()
	mark := reached.Append(header[:0])
	mute := c.clock.waking || c.clock.dry() // peers would refuse the clock; questions and answers have none
	for _, o := range c.peerOrder {
		if mute {
			o.urgent.take()
			o.bulk.take()
		}
		if o.urgent.empty() && o.bulk.empty() && len(o.others) == 0 {
			continue
		}
		if now == 0 && !mute {
			now = c.cfg.Clock.Now()
		}
		if o.met != reached.Boot {
			o.met = reached.Boot
			o.others = slices.Insert(o.others, 0, c.question())
		}
		batches := append(append(o.others, o.urgent.take()...), o.bulk.take()...)
		o.others = nil
		for _, b := range batches {
			binary.BigEndian.PutUint64(b[clockAt:], uint64(now))
			copy(b[markAt:], mark)
			c.work.batches.Add(1)
			if !send(o.node, b) {
				c.unreachable(o)
			}
		}
	}
}

// unreachable tells the replicas that messages to a node were lost, at most once
// a tick.
func (c *Core) unreachable(o *outbox) {
	if o.told == c.ticks+1 {
		return
	}
	o.told = c.ticks + 1
	for _, s := range c.order {
		s.r.Unreachable(o.node)
	}
}

var errWaking = errors.New("the clock has not reached yet what this node used before it was restarted")

// HandleRaft takes a batch from a peer. An error says that the rest of it was
// dropped; raft sends again what matters.
func (c *Core) HandleRaft(from cluster.NodeID, batch []byte) error {
	if len(batch) < batchHeader || batch[0] < batchFormat || batch[0] > urgentFormat {
		return fmt.Errorf("batch from %s: %w", from, replica.ErrMalformedMessage)
	}
	if done, err := c.compare(from, batch); done || err != nil {
		return err
	}
	if c.clock.waking {
		return errWaking
	}
	if c.clock.dry() {
		return errDry
	}
	// A refused clock drops the whole batch: to acknowledge any of it would let a
	// node with a wrong clock commit or serve reads.
	if err := c.observe(hlc.Timestamp(binary.BigEndian.Uint64(batch[clockAt:]))); err != nil {
		return fmt.Errorf("refuse all messages of %s: %w", from, err)
	}
	c.withdraw()
	for rest := batch[batchHeader:]; len(rest) > 0; {
		tail, err := c.handle(from, rest)
		if err != nil {
			return fmt.Errorf("batch from %s: %w", from, err)
		}
		rest = tail
	}
	return nil
}

// handle takes the first message of b and returns the rest.
func (c *Core) handle(from cluster.NodeID, b []byte) (rest []byte, err error) {
	switch b[0] {
	case goneType:
		id, next, rest, err := decodeGone(b)
		if err == nil {
			c.gone(id, from, next)
		}
		return rest, err
	case prepareType:
		d, id, rest, err := decodePrepare(b)
		if err == nil {
			c.prepareMissed(d, id, from)
		}
		return rest, err
	case leaseType:
		id, m, rest, err := replica.DecodeLease(b[1:])
		if err == nil {
			c.stepLease(from, id, &m)
		}
		return rest, err
	case askSupportType, promiseType:
		return c.handleSupport(from, b)
	}
	id, m, rest, err := replica.DecodeMessage(b)
	if err != nil {
		return nil, err
	}
	if c.deaf(id, m) {
		return rest, nil
	}
	if s, ok := c.slots[id]; ok && s.takesPart() {
		s.r.Step(from, m)
		c.mark(s)
	}
	return rest, nil
}

// Messages counts what replicas say in a batch, without what nodes say to each other
// about support: a cluster whose ranges are all idle says nothing else. It is for
// tests, which want to hear that.
func Messages(batch []byte) (n int) {
	overhear(batch, func(*pb.Message) { n++ })
	return n
}

// AsksForVotes reports whether a replica calls an election in a batch. It is for tests.
func AsksForVotes(batch []byte) (asks bool) {
	overhear(batch, func(m *pb.Message) {
		t := m.GetType()
		asks = asks || m != nil && (t == pb.MsgVote || t == pb.MsgPreVote)
	})
	return asks
}

// overhear calls fn for all that replicas say in a batch; nil for what is not raft's.
func overhear(batch []byte, fn func(*pb.Message)) {
	if len(batch) < batchHeader || !Speaks(batch) {
		return
	}
	for b := batch[batchHeader:]; len(b) > 0; {
		var m *pb.Message
		var err error
		switch b[0] {
		case askSupportType:
			b = b[askLen:]
			continue
		case promiseType:
			b = b[promiseLen:]
			continue
		case goneType:
			_, _, b, err = decodeGone(b)
		case prepareType:
			_, _, b, err = decodePrepare(b)
		case leaseType:
			_, _, b, err = replica.DecodeLease(b[1:])
		default:
			_, m, b, err = replica.DecodeMessage(b)
		}
		if fn(m); err != nil {
			return
		}
	}
}

// gone destroys the replica here if a peer has applied its removal.
func (c *Core) gone(id cluster.RangeID, from cluster.NodeID, next cluster.ReplicaID) {
	s, ok := c.slots[id]
	if !ok || s.destroying || s.r.ID() >= next {
		return
	}
	if d, ok := s.r.Descriptor().ByReplica(s.r.ID()); s.r.Initialised() && ok && d.Role != cluster.Learner {
		// A voter becomes a learner first, and hears of that, unless it missed both.
		c.log.Info("replica was removed while it could not hear of it", logattr.Range(id), logattr.Peer(from))
	}
	c.destroy(s, next, nil)
}

func appendGone(buf []byte, id cluster.RangeID, next cluster.ReplicaID) []byte {
	buf = append(buf, goneType)
	buf = binary.AppendUvarint(buf, uint64(id))
	return binary.AppendUvarint(buf, uint64(next))
}

func decodeGone(b []byte) (id cluster.RangeID, next cluster.ReplicaID, rest []byte, err error) {
	r, n := binary.Uvarint(b[1:])
	if n <= 0 {
		return 0, 0, nil, fmt.Errorf("%w: notice of removal", replica.ErrMalformedMessage)
	}
	x, m := binary.Uvarint(b[1+n:])
	if m <= 0 {
		return 0, 0, nil, fmt.Errorf("%w: notice of removal", replica.ErrMalformedMessage)
	}
	return cluster.RangeID(r), cluster.ReplicaID(x), b[1+n+m:], nil
}
