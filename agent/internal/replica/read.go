package replica

import (
	"encoding/binary"

	"go.etcd.io/raft/v3"

	"github.com/nodedb/nodedb/agent/internal/hlc"
)

const maxReads = 1 << 16

// Read asks for a linearizable view. Done is called once, by the core: with nil
// at a moment when this replica's stored state is such a view.
type Read struct {
	TS   hlc.Timestamp
	Done func(error)

	need    uint64 // the index that must be applied first
	refusal bool   // of a request that waits for it: it reads nothing
}

// readQueue batches reads: one ReadIndex is in flight, and everything that
// arrives meanwhile joins the next.
type readQueue struct {
	waiting []*Read // for the next ReadIndex

	inFlight []*Read
	context  uint64 // of the one in flight
	age      int    // ticks since it was issued

	confirmed []*Read // wait for their index to be applied
}

func (q *readQueue) len() int { return len(q.waiting) + len(q.inFlight) + len(q.confirmed) }

// Read queues a read. From here on no command commits at or below its timestamp
// that is not in the log already; those that are must be applied first.
func (r *Replica) Read(q *Read) {
	switch {
	case r.failed != nil:
		r.refuseRead(q, r.failedError())
		return
	case r.cfg.Planted.localRead():
		q.Done(nil)
		return
	case !r.leading:
		r.refuseRead(q, r.notLeader())
		return
	case r.reads.len() >= maxReads:
		r.refuseRead(q, ErrOverloaded)
		return
	}
	r.leased.raise(q.TS)
	q.need = r.last()
	r.reads.waiting = append(r.reads.waiting, q)
}

// issueReads asks raft to confirm leadership for all waiting reads at once. raft
// may forget such a request without a word, so that one without an answer is
// made again, under a new context, after an election timeout.
func (r *Replica) issueReads() {
	q := &r.reads
	if !r.leading || !r.ready {
		return
	}
	if len(q.inFlight) > 0 {
		if q.age < r.cfg.ElectionTicks {
			return
		}
		q.waiting = append(q.inFlight, q.waiting...)
		q.inFlight = nil
	}
	if len(q.waiting) == 0 {
		return
	}
	q.inFlight, q.waiting = q.waiting, nil
	q.age = 0
	r.readContext++
	q.context = r.readContext
	r.rn.ReadIndex(binary.BigEndian.AppendUint64(nil, q.context))
}

// confirmReads takes raft's answers.
func (r *Replica) confirmReads(states []raft.ReadState) {
	for _, s := range states {
		if len(s.RequestCtx) != 8 || len(r.reads.inFlight) == 0 || binary.BigEndian.Uint64(s.RequestCtx) != r.reads.context {
			continue
		}
		for _, q := range r.reads.inFlight {
			q.need = max(q.need, s.Index)
		}
		r.reads.confirmed = append(r.reads.confirmed, r.reads.inFlight...)
		r.reads.inFlight = nil
	}
}

// finishReads answers the confirmed reads whose index is applied.
func (r *Replica) finishReads() {
	q := &r.reads
	if len(q.confirmed) == 0 {
		return
	}
	rest := q.confirmed[:0]
	for _, read := range q.confirmed {
		if read.need > r.applied.Index {
			rest = append(rest, read)
			continue
		}
		if !read.refusal {
			r.counts.reads++
		}
		read.Done(nil)
	}
	clear(q.confirmed[len(rest):])
	q.confirmed = rest
}

// refuseReads answers every read that waits.
func (r *Replica) refuseReads(err error) {
	q := r.reads
	r.reads = readQueue{}
	for _, reads := range [][]*Read{q.confirmed, q.inFlight, q.waiting} {
		for _, read := range reads {
			r.refuseRead(read, err)
		}
	}
}

func (r *Replica) refuseRead(q *Read, err error) {
	if !q.refusal {
		r.leased.refused.Add(1)
	}
	q.Done(err)
}
