package store

import (
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/replica"
)

// Lane is one of the two lines in front of the core.
type Lane int

// Lanes. What is in the urgent one keeps the node and the cluster alive, and is little:
// support between nodes, elections, the meta range, what operators and operations ask,
// and the ends of what the core began. Bulk is what SQL makes of data ranges.
const (
	Urgent Lane = iota
	Bulk
)

func (l Lane) String() string { return [...]string{"urgent", "bulk"}[l] }

// laneOf is the lane of requests for a range.
func laneOf(id cluster.RangeID) Lane {
	if id == cluster.MetaRangeID {
		return Urgent
	}
	return Bulk
}

// LaneLimits bounds what waits, and what of it the core takes at a time.
type LaneLimits struct {
	// Requests and Bytes (of messages) wait in the bulk lane at most; the urgent one
	// takes a quarter and a sixteenth as many.
	Requests, Bytes int
	// ShareRequests and ShareBytes are what the core takes of the bulk lane in a round:
	// between two rounds it looks at the urgent one.
	ShareRequests, ShareBytes int
}

// Shares of a round. So many requests fill a batch of the log and keep the core for
// about ten milliseconds on a small machine: what is urgent waits no longer, and fewer
// would cost syncs.
const (
	shareRequests = 1024
	shareBytes    = 4 << 20
)

// RaftBatch is a batch of messages from a peer.
type RaftBatch struct {
	From  cluster.NodeID
	Bytes []byte
}

// Share is what the core takes in one round, in this order.
type Share struct {
	Batches  []RaftBatch
	Requests []func(*Core)
}

// Lanes are what waits for the core. They belong to one goroutine, or to who holds
// their lock.
type Lanes struct {
	limits   LaneLimits
	planted  replica.Planted
	requests [2]line[func(*Core)]
	batches  [2]line[RaftBatch]
	bytes    [2]int // of batches
	waits    [2]longest
}

// NewLanes makes empty lanes.
func NewLanes(limits LaneLimits, planted replica.Planted) *Lanes {
	return &Lanes{limits: limits, planted: planted}
}

// line is one line of one kind, oldest first.
type line[T any] struct {
	items []T
	since []time.Duration // when each came
	head  int
}

func (l *line[T]) len() int { return len(l.items) - l.head }

func (l *line[T]) push(v T, now time.Duration) {
	l.items, l.since = append(l.items, v), append(l.since, now)
}

func (l *line[T]) pop() (v T, since time.Duration) {
	var zero T
	v, since = l.items[l.head], l.since[l.head]
	l.items[l.head] = zero
	if l.head++; l.head == len(l.items) {
		l.items, l.since, l.head = l.items[:0], l.since[:0], 0
	}
	return v, since
}

// age is for how long the oldest has waited.
func (l *line[T]) age(now time.Duration) time.Duration {
	if l.len() == 0 {
		return 0
	}
	return now - l.since[l.head]
}

func (q *Lanes) lane(l Lane) Lane {
	if q.planted.HasOneLane() {
		return Bulk
	}
	return l
}

// Ask queues a request. Completions are of the urgent lane and never refused: what they
// end has had its room.
func (q *Lanes) Ask(l Lane, completes bool, now time.Duration, fn func(*Core)) bool {
	most := q.limits.Requests
	if l == Urgent {
		most /= 4
	}
	l = q.lane(l)
	if !completes && q.requests[l].len() >= most {
		return false
	}
	q.requests[l].push(fn, now)
	return true
}

// Message queues a batch, or refuses it: raft and support are said again.
func (q *Lanes) Message(b RaftBatch, now time.Duration) bool {
	l, most := laneOfBatch(b.Bytes), q.limits.Bytes
	if l == Urgent {
		most /= 16
	}
	l = q.lane(l)
	if q.bytes[l]+len(b.Bytes) > most {
		return false
	}
	q.bytes[l] += len(b.Bytes)
	q.batches[l].push(b, now)
	return true
}

// Take moves into w what the core is to do next: all that is urgent, and its share of
// the rest. more says that something is left; bytes are those of bulk messages taken.
func (q *Lanes) Take(w *Share, now time.Duration) (more bool, bytes int) {
	clear(w.Batches)
	clear(w.Requests)
	w.Batches, w.Requests = w.Batches[:0], w.Requests[:0]
	for l := range Bulk + 1 {
		taken, requests := 0, 0
		for q.batches[l].len() > 0 && (l == Urgent || taken < q.limits.ShareBytes) {
			b, since := q.batches[l].pop()
			q.waits[l].note(now-since, now)
			taken += len(b.Bytes)
			w.Batches = append(w.Batches, b)
		}
		q.bytes[l] -= taken
		for ; q.requests[l].len() > 0 && (l == Urgent || requests < q.limits.ShareRequests); requests++ {
			fn, since := q.requests[l].pop()
			q.waits[l].note(now-since, now)
			w.Requests = append(w.Requests, fn)
		}
		bytes = taken
	}
	return q.requests[Bulk].len()+q.batches[Bulk].len() > 0, bytes
}

// LaneUsage is a lane at one moment.
type LaneUsage struct {
	Lane     Lane
	Requests int
	Bytes    int           // of messages
	Oldest   time.Duration // that anything in it has waited; 0: it is empty
	Longest  time.Duration // that anything waited, lately
}

// Usage describes both lanes.
func (q *Lanes) Usage(now time.Duration) []LaneUsage {
	out := make([]LaneUsage, 0, 2)
	for l := range Bulk + 1 {
		oldest := max(q.requests[l].age(now), q.batches[l].age(now))
		out = append(out, LaneUsage{Lane: l, Requests: q.requests[l].len(), Bytes: q.bytes[l], Oldest: oldest, Longest: max(oldest, q.waits[l].read(now))})
	}
	return out
}

// longestWindow is how long a wait is remembered at least, and twice that at most: a
// scrape every half a minute sees it.
const longestWindow = 30 * time.Second

// longest remembers the longest wait, lately.
type longest struct {
	began       time.Duration
	now, before time.Duration
}

func (w *longest) note(wait, now time.Duration) {
	w.turn(now)
	w.now = max(w.now, wait)
}

func (w *longest) read(now time.Duration) time.Duration {
	w.turn(now)
	return max(w.now, w.before)
}

func (w *longest) turn(now time.Duration) {
	switch gap := now - w.began; {
	case gap < longestWindow:
		return
	case gap < 2*longestWindow:
		w.before = w.now
	default:
		w.before = 0
	}
	w.began, w.now = now, 0
}
