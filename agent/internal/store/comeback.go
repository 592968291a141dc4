package store

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/logattr"
	"github.com/nodedb/nodedb/agent/internal/replica"
)

// comeback is the return of a store. A store that comes back may be an older copy
// of itself: its replicas would vote and acknowledge as if what came later had
// never been. So it tells every peer what each of its starts found on disk, and a
// replica is held until a quorum of its range's voters, this node counted, knows
// of nothing later. Who knows of something later ends this node.
//
// A start begins a boot of its own before it asks, and counts from its first
// commit: what it does while some ranges still wait is known of too. It hides
// nothing by that, for a standing names the starts before it, with what they
// found.
//
// A store without a mark is new. It tells nothing, learns from the first peer
// that answers what all others told, and begins above what is known of its node.
type comeback struct {
	loading  bool
	settled  bool                            // nothing is held any more
	heard    bool                            // OnHeard was told
	empty    bool                            // the start found a mark, and no replica
	ticks    int                             // since the start, or since anything was held
	peers    []cluster.NodeID                // whom it asks, in order
	answered map[cluster.NodeID]bool         // they know of nothing later
	told     map[cluster.NodeID]cluster.Mark // what peers that were refused had told before
	waiting  []cluster.NodeID                // as OnWaiting was told
}

const (
	// askTicks are the ticks in which every peer is asked at each tick, later it is
	// each askEvery. Small ranges wait as long for whoever else may know.
	askTicks = 20
	askEvery = 10
	// patience is how many ticks pass before the wait is worth a word.
	patience = 10
)

// LostError says that the store is older than what it once told.
type LostError struct {
	Peer cluster.NodeID // who knows
	// Known is what the store had told Peer, Standing what it is now.
	Known    cluster.Mark
	Standing cluster.Standing
	// Settled says that this start had been found good before.
	Settled bool
}

func (e *LostError) Error() string {
	return fmt.Sprintf("%s knows this store as of %s; it is as of %s", e.Peer, e.Known, e.Standing.Found())
}

// Overtaken reports whether the store was good when it started, and a copy of it
// has been started since.
func (e *LostError) Overtaken() bool { return e.Settled }

// Behind says that a peer's store has lost what it had told this node.
type Behind struct {
	Peer     cluster.NodeID
	Known    cluster.Mark
	Standing cluster.Standing
}

// Speaks reports whether a batch carries messages of replicas: it is no question
// and no answer.
func Speaks(batch []byte) bool { return batch[0] == batchFormat || batch[0] == urgentFormat }

// takesPart reports whether the replica hears and speaks.
func (s *slot) takesPart() bool { return !s.destroying && !s.held }

// holds reports whether a replica that is loaded now is to be held: all that the
// start finds, and all that is made until nothing is held any more. A store that is
// an older copy lacks the tombstones of what came after it, and the replica itself
// if it was made before: it would vote and acknowledge a second time.
func (c *Core) holds() bool {
	switch {
	case c.cfg.Planted.AsksNobody():
		return false
	case c.cfg.Planted.FreesMade() && !c.back.loading && !c.marks.fresh() && !c.back.empty:
		return false
	}
	return !c.back.settled
}

// comeBack begins this start's boot and to ask, after the replicas were loaded.
func (c *Core) comeBack() error {
	c.back.loading, c.back.empty = false, len(c.order) == 0
	if err := c.marks.Begin(c.cfg.BootNonce); err != nil {
		return err
	}
	if c.cfg.Planted.AsksNobody() && !c.marks.fresh() {
		c.settle()
		return nil
	}
	for _, s := range c.order {
		c.askMembers(s.r.Members())
	}
	c.ask()
	c.release()
	c.noteHeard()
	return nil
}

// noteHeard tells once that whoever is there has had the time to object to this
// store.
func (c *Core) noteHeard() {
	if !c.back.heard && (c.back.settled || len(c.order) == 0 || c.back.ticks >= askTicks) {
		c.back.heard = true
		if c.cfg.OnHeard != nil {
			c.cfg.OnHeard()
		}
	}
}

// beginAbove begins the first boot of a store that is new and frees every replica.
func (c *Core) beginAbove(floor uint32) error {
	if err := c.marks.begin(floor, c.cfg.BootNonce); err != nil {
		return err
	}
	c.settle()
	return nil
}

// settle frees every replica: nobody is asked any more.
func (c *Core) settle() {
	c.back.settled = true
	c.marks.speak()
	c.noteHeard()
	for _, s := range c.order {
		c.free(s)
	}
	c.noteWaiting()
}

// free lets a replica take part.
func (c *Core) free(s *slot) {
	if !s.held {
		return
	}
	s.held = false
	s.r.Past().Hold(false)
	c.marks.speak()
	if s.r.Initialised() && s.r.OnlyVoter() && !c.clock.waking && !s.destroying {
		s.r.Campaign()
	}
	c.mark(s)
}

// askMembers has the nodes of a range asked.
func (c *Core) askMembers(d *cluster.RangeDescriptor) {
	for _, r := range d.Replicas {
		c.askPeer(r.Node)
	}
}

func (c *Core) askPeer(n cluster.NodeID) {
	i, found := slices.BinarySearch(c.back.peers, n)
	if !found && n != c.cfg.Node && !c.back.settled {
		c.back.peers = slices.Insert(c.back.peers, i, n)
	}
}

// ask asks every peer that has not answered.
func (c *Core) ask() {
	for _, n := range c.unanswered() {
		c.askOne(n)
	}
}

func (c *Core) askOne(n cluster.NodeID) {
	o := c.outbox(n)
	o.met = c.marks.Now().Boot
	o.others = append(o.others, c.question())
}

// question tells this store's past and asks what is known of it.
func (c *Core) question() []byte {
	return cluster.AppendPast(newBatch(askFormat, 0), c.marks.Standing().Past)
}

// askAgain is called at each tick.
func (c *Core) askAgain() {
	if c.back.settled {
		return
	}
	c.back.ticks++
	if c.back.ticks <= askTicks || c.back.ticks%askEvery == 0 {
		c.ask()
	}
	c.release()
	c.noteHeard()
	if c.back.ticks >= patience {
		c.noteWaiting()
	}
}

// release frees the replicas whose peers have answered.
func (c *Core) release() {
	if c.marks.fresh() || c.back.settled {
		return
	}
	var proven []*slot
	rest := false
	for _, s := range c.order {
		switch {
		case !s.held || s.destroying || s.r.Failed() != nil:
		case c.proven(s.r.Members()):
			proven = append(proven, s)
		default:
			rest = true
		}
	}
	switch {
	case c.back.empty && len(c.back.answered) == 0:
	case !rest:
		c.settle()
	default:
		for _, s := range proven {
			c.free(s)
		}
	}
}

// proven reports whether a range's voters have answered: a quorum of both halves
// of a joint configuration, this node counted. One or two voters say little, so
// everybody else may have a word too, for a while.
func (c *Core) proven(d *cluster.RangeDescriptor) bool {
	if c.cfg.Planted.TrustsSelf() {
		return true
	}
	if len(d.Voters()) < 3 && c.back.ticks < askTicks && len(c.unanswered()) > 0 {
		return false
	}
	half := func(old cluster.ReplicaRole) bool {
		voters, count := 0, 0
		for _, r := range d.Replicas {
			if r.Role != cluster.Voter && r.Role != old {
				continue
			}
			voters++
			if r.Node == c.cfg.Node || c.back.answered[r.Node] {
				count++
			}
		}
		return count > voters/2
	}
	return half(cluster.VoterIncoming) && half(cluster.VoterOutgoing)
}

func (c *Core) unanswered() []cluster.NodeID {
	var out []cluster.NodeID
	for _, n := range c.back.peers {
		if !c.back.answered[n] {
			out = append(out, n)
		}
	}
	return out
}

// noteWaiting tells whom the replicas that are held wait for.
func (c *Core) noteWaiting() {
	held := 0
	for _, s := range c.order {
		if s.held && !s.destroying {
			held++
		}
	}
	var peers []cluster.NodeID
	if held > 0 {
		peers = c.unanswered()
	}
	if slices.Equal(peers, c.back.waiting) {
		return
	}
	if len(c.back.waiting) == 0 {
		c.log.Info("replicas wait until a quorum of their peers has said that it knows of nothing later than this store", logattr.Reason(fmt.Sprintf("no answer yet from %v", peers)))
	}
	c.back.waiting = peers
	if c.cfg.OnWaiting != nil {
		c.cfg.OnWaiting(peers, held)
	}
}

// compare takes what a batch says of the sender's store, and the batch itself if
// it is a question or an answer. done says that there is nothing more to it. It
// goes ahead of the clock: a node that waits for its clock asks and answers
// already.
func (c *Core) compare(from cluster.NodeID, batch []byte) (done bool, err error) {
	now, body, _ := cluster.DecodeMark(batch[markAt:])
	c.askPeer(from)
	switch batch[0] {
	case batchFormat, urgentFormat:
		if !c.marks.Hear(from, now) {
			c.wonder(from)
			return true, fmt.Errorf("batch from %s: what its store is was not compared yet", from)
		}
		if len(c.back.told) > 0 {
			delete(c.back.told, from) // a good store is back: another bad one is news
		}
		return false, nil
	case whoFormat:
		c.askOne(from)
		return true, nil
	}
	past, body, ok := cluster.DecodePast(body)
	if !ok {
		return true, fmt.Errorf("batch from %s: %w", from, replica.ErrMalformedMessage)
	}
	standing := cluster.Standing{Now: now, Past: past}
	known, behind := c.marks.Compare(from, standing)
	switch {
	case behind:
		c.refuse(from, known, standing)
		return true, fmt.Errorf("batch from %s: its store lost what it had told: it is as of %s, and told %s", from, standing.Found(), known)
	case batch[0] == askFormat:
		c.answer(from, known, now)
		return true, nil
	}
	return true, c.takeAnswer(from, body)
}

// wonder asks a peer what its store is, at most once a tick.
func (c *Core) wonder(from cluster.NodeID) {
	o := c.outbox(from)
	if o.wondered == c.ticks+1 {
		return
	}
	o.wondered = c.ticks + 1
	o.others = append(o.others, newBatch(whoFormat, 0))
}

// refuse tells a peer that its store is older than what this node knows.
func (c *Core) refuse(from cluster.NodeID, known cluster.Mark, s cluster.Standing) {
	c.answer(from, known, s.Now)
	if c.back.told[from] == known {
		return
	}
	if c.back.told == nil {
		c.back.told = map[cluster.NodeID]cluster.Mark{}
	}
	c.back.told[from] = known
	c.log.Error("a peer's store lost what it had told, nothing of it is taken", logattr.Peer(from), logattr.From(known.String()), logattr.To(s.Found().String()))
	if c.cfg.OnBehind != nil {
		c.cfg.OnBehind(Behind{Peer: from, Known: known, Standing: s})
	}
}

// Refuse refuses a peer that came to the transport's door.
func (s *Store) Refuse(b Behind) {
	_ = s.inbox.complete(func(c *Core) { c.refuse(b.Peer, b.Known, b.Standing) }) // a stopped store refuses all
}

// TakeAnswer takes an answer that came by another way than a batch: at the door
// of a peer's transport.
func (s *Store) TakeAnswer(from cluster.NodeID, answer []byte) {
	_ = s.inbox.complete(func(c *Core) {
		if err := c.takeAnswer(from, answer); err != nil {
			c.log.Warn("answer dropped", logattr.Peer(from), logattr.Err(err))
		}
	})
}

// answer tells a peer what is known of it: the boot that asked, for it to know
// which start is meant, what is known, whether that counts, and to a peer that is
// new all that was heard of others. This store's own past comes first.
func (c *Core) answer(to cluster.NodeID, known, asked cluster.Mark) {
	// A store that is new has heard nothing.
	knows := !c.marks.fresh() || c.cfg.Planted.CountsFresh()
	var table []heardMark
	if asked.IsZero() {
		// One that may have gone back itself teaches nobody.
		knows = knows && (c.back.settled || len(c.back.answered) > 0)
		table = c.marks.table()
	}
	b := cluster.AppendPast(newBatch(answerFormat, 0), c.marks.Standing().Past)
	o := c.outbox(to)
	o.others = append(o.others, append(b, encodeAnswer(asked.Boot, known, knows, table)...))
}

// Refusal is the answer to a peer whose store is behind what is known of it.
func (b *Behind) Refusal() []byte { return encodeAnswer(b.Standing.Now.Boot, b.Known, true, nil) }

func encodeAnswer(asked cluster.Boot, known cluster.Mark, knows bool, table []heardMark) []byte {
	b := known.Append(binary.BigEndian.AppendUint64(nil, uint64(asked)))
	if knows {
		b = append(b, 1)
	} else {
		b = append(b, 0)
	}
	return appendTable(b, table)
}

// takeAnswer takes what a peer knows of this store. An answer to an earlier
// start says nothing.
func (c *Core) takeAnswer(from cluster.NodeID, b []byte) error {
	const answerLen = 8 + cluster.MarkLen + 1
	if len(b) < answerLen || b[answerLen-1] > 1 {
		return fmt.Errorf("answer from %s: %w", from, replica.ErrMalformedMessage)
	}
	asked := cluster.Boot(binary.BigEndian.Uint64(b))
	known, _, _ := cluster.DecodeMark(b[8:])
	knows := b[answerLen-1] == 1
	table, ok := decodeTable(b[answerLen:])
	if !ok {
		return fmt.Errorf("answer from %s: %w", from, replica.ErrMalformedMessage)
	}
	if asked == c.marks.Now().Boot {
		c.judge(from, known, knows, table)
	}
	return nil
}

// judge is what an answer to this start means. What it writes must succeed: else
// nobody knows what is on disk.
func (c *Core) judge(from cluster.NodeID, known cluster.Mark, knows bool, table []heardMark) {
	if c.dead != nil {
		return
	}
	var err error
	switch now := c.marks.Standing(); {
	case c.marks.fresh():
		err = c.learn(known, knows, table)
	case now.Behind(known):
		err = &LostError{Peer: from, Known: known, Standing: now, Settled: c.back.settled}
	case knows && !c.back.settled:
		if c.back.answered == nil {
			c.back.answered = map[cluster.NodeID]bool{}
		}
		c.back.answered[from] = true
		c.release()
	}
	if err != nil {
		c.fatal(err)
	}
}

// learn takes over what a peer knows into a store that is new. Its node may have
// lived before, with a store that was emptied: it begins above what was told then.
func (c *Core) learn(known cluster.Mark, knows bool, table []heardMark) error {
	if !knows {
		return nil
	}
	c.marks.adopt(c.cfg.Node, table)
	return c.beginAbove(known.Boot.Number())
}

// sealReply puts this store's mark ahead of the acknowledgement of a snapshot.
func (c *Core) sealReply(reply []byte) []byte {
	return append(c.marks.Now().Append(make([]byte, 0, cluster.MarkLen+len(reply))), reply...)
}

// openReply takes it off, as compare does with batches.
func (c *Core) openReply(from cluster.NodeID, reply []byte) ([]byte, error) {
	now, rest, ok := cluster.DecodeMark(reply)
	if !ok {
		return nil, fmt.Errorf("reply of %s to a snapshot: %w", from, replica.ErrMalformedMessage)
	}
	if !c.marks.Hear(from, now) {
		c.wonder(from)
		return nil, fmt.Errorf("reply of %s to a snapshot: what its store is was not compared yet", from)
	}
	return rest, nil
}
