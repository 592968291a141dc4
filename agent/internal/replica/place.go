package replica

import (
	"cmp"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/latch"
	"github.com/nodedb/nodedb/agent/internal/lock"
)

const (
	// placeTicks is how long, in whole ticks, a place is kept: with ticks of 100 ms
	// 300 to 400 ms. A gateway on another continent hears of its refusal and answers
	// within 200, also on a machine that is busy. More would have the clients of a row
	// notice whenever a gateway dies that has the row's place.
	placeTicks = 3
	// maxPlaceBytes bounds what the places of a range take in memory: some thousands
	// of places on one row each, or dozens of the largest requests. Beyond it a place
	// is not kept: who asks in its stead stands in line.
	maxPlaceBytes = 4 << 20
)

// places are those that requests keep which were refused and answered: a place is a
// latch that is held, while the gateway makes up its mind about the rows as they are.
// What comes in its stead is evaluated before all others, and so it is granted: who
// lost against others once wins the second time. Until then those behind it wait, and
// nobody else does: nothing is decided. A place ends when it is taken over or given
// up, after placeTicks, and with the leadership or the bounds of the range.
type places struct {
	by    map[CommandID]*keptPlace // the request that was refused
	seq   uint64
	bytes int
}

type keptPlace struct {
	id    CommandID
	latch *latch.Latch
	seq   uint64
	bytes int
	ticks int // that it is still kept
}

func newPlaces() places { return places{by: map[CommandID]*keptPlace{}} }

// reset forgets all places. Their latches are released.
func (s *places) reset() {
	clear(s.by)
	s.bytes = 0
}

// take ends a place and returns its latch, which is held; nil: there is none.
func (s *places) take(id CommandID) *latch.Latch {
	k := s.by[id]
	if k == nil {
		return nil
	}
	delete(s.by, id)
	s.bytes -= k.bytes
	return k.latch
}

// keepPlace keeps the place of a request that is answered with a refusal, if it asked
// for that. What was answered by an entry may have lost its place meanwhile.
func (r *Replica) keepPlace(p *Proposal) {
	if r.cfg.Planted.noPlace() || !p.Keep || !p.again || p.latch == nil || !p.latch.Holding() {
		return
	}
	s := &r.evals.places
	if l := s.take(p.ID); l != nil { // of another attempt
		l.Release()
	}
	size := p.latch.Size()
	if s.bytes+size > maxPlaceBytes {
		return
	}
	s.seq++
	// The tick that has begun is not a whole one.
	s.by[p.ID] = &keptPlace{id: p.ID, latch: p.latch, seq: s.seq, bytes: size, ticks: placeTicks + 1}
	s.bytes += size
	p.latch.Owner = nil
	p.latch = nil
}

// takeOver gives a request the place that it asks for. nil: it stands in line, because
// the place has ended, or was not on all of the rows.
func (r *Replica) takeOver(p *Proposal, rows [][]byte) *latch.Latch {
	if p.InPlaceOf == (CommandID{}) {
		return nil
	}
	l := r.evals.places.take(p.InPlaceOf)
	if l == nil {
		return nil
	}
	if l.HandOver(rows, p) {
		return l
	}
	l.Release()
	if r.cfg.Planted.takeEnded() {
		if free, err := r.evals.latches.Acquire(nil, p); err == nil {
			return free
		}
	}
	return nil
}

// giveUpPlace ends the place that somebody needs no more, in the lines of locks, too.
func (r *Replica) giveUpPlace(p *Proposal) {
	if l := r.evals.places.take(p.InPlaceOf); l != nil {
		l.Release()
	}
	r.giveUpLocks(lock.ID(p.InPlaceOf))
	p.answer(Outcome{})
}

// tickPlaces ends the places that were kept for too long, in the order in which they
// began.
func (r *Replica) tickPlaces() {
	s := &r.evals.places
	var ended []*keptPlace
	if r.cfg.Planted.endlessPlace() {
		return
	}
	for _, k := range s.by {
		if k.ticks--; k.ticks <= 0 {
			ended = append(ended, k)
		}
	}
	slices.SortFunc(ended, func(a, b *keptPlace) int { return cmp.Compare(a.seq, b.seq) })
	for _, k := range ended {
		if r.cfg.Planted.takeEnded() && k.ticks > -placeTicks {
			k.latch.Release()
			continue
		}
		s.take(k.id).Release()
	}
	if len(ended) > 0 {
		r.evaluateGranted()
	}
}
