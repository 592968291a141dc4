package txn

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/kv"
	"github.com/nodedb/nodedb/agent/internal/store"
)

// Ranges reaches the leaders of ranges. *kv.DB makes one; the simulation and tests have
// theirs.
type Ranges interface {
	// RangeOf says which range owns a row, or the record of a transaction, as far as is
	// known here; 0: nobody knows.
	RangeOf(key []byte) cluster.RangeID
	// Do makes calls side by side, within bounds, and returns when each has its answer.
	// A call finds the range's leader, and is tried again until it has an answer or
	// patience ends.
	Do(ctx context.Context, calls []*kv.Call)
	// Changed reports whether rows of the spans have versions later than since, up to at,
	// that are not of own. From then on none comes to be.
	Changed(ctx context.Context, spans []kv.Span, since, at hlc.Timestamp, own cluster.TxnID) (bool, error)
}

const (
	// chunkBytes and chunkRows bound one command to a range. A leader looks one or two
	// things up for each row, some 30 us each: evaluated are 512 of them in a small part of
	// the second that an attempt lasts, also on a node that has much else to do. An attempt
	// that ends before its evaluation has done nothing, and is made again: larger ones
	// could be made for ever.
	chunkBytes = 1 << 20
	chunkRows  = 512
	// layParts is how many parts of a commit are made into requests at once: several times
	// what is on its way, and a small part of a large transaction.
	layParts = 64
	// resolveCalls is how many requests to resolve intents of one transaction are under
	// way at once. Nobody waits for them, and three other cleanups may run beside.
	resolveCalls = 4
	// inOrder is up to how many rows stay in the order in which they were asked for. More
	// are asked for in the order of their keys, in which the engine finds them sooner.
	inOrder = 64
	// roundBytes bounds what is written in one round: more is laid as intents first.
	roundBytes = 4 << 20
	// replans bounds how often rows are grouped anew because ranges have changed: after
	// a split it may take an election until somebody knows the new one.
	replans = 80
)

// part is some rows of one range, by their positions in a request.
type part struct {
	id    cluster.RangeID
	items []int
	bytes int
}

// parts groups rows by range, in parts of at most so many bytes, and then of chunkRows
// rows; 0: no bound. The first row of a part may be larger.
func (m *Manager) parts(items []int, row func(i int) []byte, size func(i int) int, most int) ([]*part, error) {
	items = ordered(items, row)
	var out []*part
	open := map[cluster.RangeID]*part{}
	for _, i := range items {
		id := m.ranges.RangeOf(row(i))
		if id == 0 {
			return nil, &kv.UnavailableError{Cause: errNoRange}
		}
		p, n := open[id], size(i)
		if p == nil || most > 0 && (len(p.items) >= chunkRows || p.bytes+n > most) {
			p = &part{id: id}
			open[id] = p
			out = append(out, p)
		}
		p.items, p.bytes = append(p.items, i), p.bytes+n
	}
	return out, nil
}

// ordered are many items in the order of their rows, and few as they are.
func ordered(items []int, row func(i int) []byte) []int {
	compare := func(a, b int) int { return bytes.Compare(row(a), row(b)) }
	if len(items) <= inOrder || slices.IsSortedFunc(items, compare) {
		return items
	}
	return slices.SortedFunc(slices.Values(items), compare)
}

var errNoRange = errors.New("no range is known for the key")

// upTo are the positions of n rows.
func upTo(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// moved reports whether a call surely did nothing because the range does not own what
// it was asked about.
func moved(c *kv.Call) bool {
	var mismatch *store.RangeMismatchError
	if c.Err != nil {
		return errors.As(c.Err, &mismatch) && !store.MaybeApplied(c.Err)
	}
	return c.Result.Outcome == datastate.WrongRange
}

// replanning waits for the routing table to learn what ranges own by now.
type replanning struct{ tries int }

func (r *replanning) pause(ctx context.Context, m *Manager) error {
	if r.tries++; r.tries > replans {
		return &kv.UnavailableError{Cause: errTooOften}
	}
	return m.cfg.Sleep(ctx, min(time.Duration(r.tries)*5*time.Millisecond, 150*time.Millisecond))
}

var errTooOften = errors.New("the ranges changed too often")

// at makes one call at the range that owns a key, wherever that is by now: one that commits
// nothing.
func (m *Manager) at(ctx context.Context, key []byte, request kv.Encoder) (*datastate.Result, error) {
	var again replanning
	for {
		id := m.ranges.RangeOf(key)
		if id == 0 {
			return nil, &kv.UnavailableError{Cause: errNoRange}
		}
		c := &kv.Call{Range: id, Request: request, Bytes: len(key)}
		m.ranges.Do(ctx, []*kv.Call{c})
		if !moved(c) {
			return c.Result, notAmbiguous(c.Err)
		}
		if err := again.pause(ctx, m); err != nil {
			return nil, err
		}
	}
}

// spans are where rows lie, at most maxSpans of them: who looks for what a transaction
// has left looks there.
func spans(rows [][]byte, of func(row []byte) cluster.RangeID) []datastate.TxnSpan {
	const maxSpans = 64
	at := map[cluster.RangeID]int{}
	var out []datastate.TxnSpan
	for _, row := range rows {
		pool, from, to := keys.PoolOf(row), keys.Bound(row), keys.Bound(row)+"\x00"
		id := of(row)
		i, ok := at[id]
		if !ok && len(out) == maxSpans {
			i, ok = maxSpans-1, out[maxSpans-1].Pool == pool
		}
		if !ok {
			at[id] = len(out)
			out = append(out, datastate.TxnSpan{Pool: pool, From: from, To: to})
			continue
		}
		out[i].From, out[i].To = min(out[i].From, from), max(out[i].To, to)
	}
	return out
}
