package metastate

import "github.com/nodedb/nodedb/agent/internal/cluster"

// Numbers of sequences are given out in blocks, each once, by commands of their own: they
// are nobody's to take back, whatever becomes of the transaction that asked. A block whose
// answer is lost, or whose node dies, is a gap.

// AdvanceSequence gives out the next Count numbers of a sequence, or less if it has few
// left. They are Result.Numbers.
type AdvanceSequence struct {
	ID    cluster.ObjectID `json:"id"`
	Count int64            `json:"count"`
}

// SetSequence has a sequence go on from a place. Blocks that were given out are void.
type SetSequence struct {
	ID cluster.ObjectID      `json:"id"`
	To cluster.SequencePlace `json:"to"`
}

// SequenceState is how far a sequence has come.
type SequenceState struct {
	ID cluster.ObjectID `json:"id"`
	cluster.SequencePlace
	// Epoch rises when the sequence is set, or gets other numbers: blocks of an earlier one
	// are void.
	Epoch uint64 `json:"epoch"`
}

// Numbers are a block that was given out.
type Numbers struct {
	First     int64  `json:"first"`
	Count     int64  `json:"count"`
	Increment int64  `json:"increment"`
	Epoch     uint64 `json:"epoch"`
}

// maxNumbers is how many numbers are given out at once: CACHE is bounded by it, and what a
// node that dies can lose.
const maxNumbers = 1 << 20

func (c *change) sequence(id cluster.ObjectID) (*cluster.Object, *SequenceState, *Refusal) {
	o := c.view.Objects[id]
	if o == nil || o.Sequence == nil {
		return nil, nil, refuse(CodeNotFound, "the sequence was dropped (object %d)", id)
	}
	return o, c.view.Sequences[id], nil
}

func (c *change) advanceSequence(in *AdvanceSequence) Result {
	o, state, r := c.sequence(in.ID)
	switch {
	case r != nil:
		return Result{Refusal: r}
	case in.Count < 1 || in.Count > maxNumbers:
		return refused(CodeInvalid, "1 to %d numbers are given out at once, not %d", maxNumbers, in.Count)
	}
	block, place, ok := o.Sequence.Advance(state.SequencePlace, in.Count)
	if !ok {
		return refused(CodeExhausted, "sequence %q has no numbers left", o.Name)
	}
	c.putState(SequenceState{ID: in.ID, SequencePlace: place, Epoch: state.Epoch})
	return Result{Numbers: &Numbers{First: block.First, Count: block.Count, Increment: o.Sequence.Increment, Epoch: state.Epoch}}
}

func (c *change) setSequence(in *SetSequence) Result {
	o, state, r := c.sequence(in.ID)
	switch {
	case r != nil:
		return Result{Refusal: r}
	case in.To.Last < o.Sequence.Min || in.To.Last > o.Sequence.Max:
		return refused(CodeInvalid, "%d is not between %d and %d", in.To.Last, o.Sequence.Min, o.Sequence.Max)
	}
	c.putState(SequenceState{ID: in.ID, SequencePlace: in.To, Epoch: state.Epoch + 1})
	return Result{}
}

// putSequence has a sequence that is made or altered go on from where it says, and returns
// what is stored of it.
func (c *change) putSequence(id cluster.ObjectID, s *cluster.Sequence) *cluster.Sequence {
	next := SequenceState{ID: id, Epoch: 1, SequencePlace: cluster.SequencePlace{Last: s.Start}}
	if old := c.view.Sequences[id]; old != nil {
		next = *old
		if s.From != nil || !s.SameNumbers(c.view.Objects[id].Sequence) {
			next.Epoch++
		}
	}
	if s.From != nil {
		next.SequencePlace = *s.From
	}
	c.putState(next)
	stored := *s
	stored.From = nil
	return &stored
}

func (c *change) putState(s SequenceState) {
	own(c, &c.view.Sequences)[s.ID] = stage(c, kindSequence, idKey(uint64(s.ID)), &s)
}
