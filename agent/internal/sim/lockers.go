package sim

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/evaluation"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/kv"
	"github.com/nodedb/nodedb/agent/internal/lock"
	"github.com/nodedb/nodedb/agent/internal/replica"
	"github.com/nodedb/nodedb/agent/internal/txn"
)

// lockers put row locks to the test, in a cluster whose leaders hand over and whose ranges
// are split, and in which nothing else goes wrong: transactions add to a few rows, each
// under a lock in the memory of a leader, and none loses it; statements add to one of those
// rows, and have their turn among them; probers want rows without waiting as soon as those
// who had them have ended.
type lockers struct {
	w     *World
	rows  []account
	added []int // to each row, as was acknowledged
	maybe []int // and perhaps more
	waits map[*waiting]struct{}
}

// waiting is a transaction that waits for a row.
type waiting struct {
	row      int
	since    time.Duration
	term     uint64 // of the leader then, whose memory has the line
	overtook int    // transactions that came much later, and had the row first
}

// lockerCollection has the rows of lockers.
const lockerCollection cluster.CollectionID = 8

const (
	lockerTasks    = 7
	proberTasks    = 3
	statementTasks = 2
	// muchLater is how much later another may come that is not to be first: longer than
	// a request is on its way, and than a leader has it wait until it tells for whom.
	muchLater = 700 * time.Millisecond
	// mayOvertake is how often one may be overtaken for all that: the line of a row is in the
	// memory of its leader, and a place in it ends when its request comes late.
	mayOvertake = 2
	// lockersLast is when the last transaction begins, before the end of a run.
	lockersLast = 4 * time.Second
)

// lockedRows is a run of lockers, and nobody else.
func lockedRows(c *Config) {
	c.Lockers, c.Steady, c.Ranges, c.Clients, c.GCTTL = true, true, 2, 0, 0
	c.Duration = 36 * time.Second
}

func (w *World) beginLockers() {
	l := &lockers{w: w, waits: map[*waiting]struct{}{}}
	w.lockers = l
	for i := range 2*w.cfg.Ranges + proberTasks {
		key, row := w.keyIn(lockerCollection, i, i%w.cfg.Ranges)
		l.rows = append(l.rows, account{kv.Mutation{Collection: lockerCollection, Key: key}, row})
	}
	l.added, l.maybe = make([]int, len(l.rows)), make([]int, len(l.rows))
	for range lockerTasks {
		l.loop(2500, l.add)
	}
	for i := range proberTasks {
		l.loop(2500, func(g *gateway) { l.probe(g, len(l.rows)-1-i) })
	}
	for range statementTasks {
		l.loop(2500, l.state)
	}
	w.After(w.ms(2500, 3500), l.handOver)
}

// loop has a task run on some gateway, again and again.
func (l *lockers) loop(first int, task func(g *gateway)) {
	w := l.w
	var next func()
	next = func() {
		if w.now > w.cfg.Duration-lockersLast {
			return
		}
		n := w.nodes[w.rng.IntN(len(w.nodes))]
		if !n.Up() || !n.awake() {
			w.After(w.ms(20, 50), next)
			return
		}
		n.later(0, func() {
			n.gateway.spawn(func() {
				task(n.gateway)
				w.After(w.ms(1, 100), next)
			})
		})
	}
	w.After(w.ms(first, first+500), next)
}

// handOver moves leaderships; some do not hear that they are to lead, and the leader leads
// again.
func (l *lockers) handOver() {
	if l.w.faults {
		if l.w.chance(15) {
			l.inVain()
		} else {
			l.w.transfer()
		}
		l.w.After(l.w.ms(200, 1200), l.handOver)
	}
}

func (l *lockers) inVain() {
	w := l.w
	id := w.anyRange()
	n, st, ok := w.Leader(id)
	if !ok {
		return
	}
	voters := st.Descriptor.Voters()
	if to := w.nodes[voters[w.rng.IntN(len(voters))]-1]; to != n {
		w.cutFor(n, to, w.ms(5, 50))
		w.handOverFrom(n, id, to, false)
	}
}

// term is that of the leader of a row's range.
func (l *lockers) term(i int) uint64 {
	_, st, _ := l.w.leaderOf(l.rows[i].row)
	return st.Term
}

// row draws one of those that are added to: most often the first.
func (l *lockers) row() int {
	if l.w.chance(60) {
		return 0
	}
	return l.w.rng.IntN(len(l.rows) - proberTasks)
}

// lock asks for the lock of a row.
func (l *lockers) lock(t *txn.Txn, i int, wait evaluation.Wait, durable bool) (version, error) {
	found, _, err := t.Lock(context.Background(), txn.LockRequest{Collection: lockerCollection, Keys: [][]byte{l.rows[i].mut.Key}, Strength: lock.Update, Wait: wait, Durable: durable})
	if err != nil {
		return version{}, err
	}
	return version{string(found[0].Value), found[0].Version}, nil
}

// plusOne is a write of one more than a row has.
func (l *lockers) plusOne(i int, was version) kv.Mutation {
	m := l.rows[i].mut
	n, _ := strconv.Atoi(was.value) // "": 0
	m.Value, m.Expect = strconv.AppendInt(nil, int64(n+1), 10), datastate.Absent
	if was.value != "" {
		m.Expect, m.ExpectTS = datastate.VersionIs, was.ts
	}
	return m
}

// add adds to a row under its lock, which is held for a while.
func (l *lockers) add(g *gateway) {
	w, i := l.w, l.row()
	t := g.manager.Begin(txn.ReadCommitted, txn.Info{})
	defer t.Rollback()
	x := &waiting{row: i, since: w.now, term: l.term(i)}
	l.waits[x] = struct{}{}
	was, err := l.lock(t, i, evaluation.Block, false)
	delete(l.waits, x)
	if err != nil {
		w.Stats.TransfersFailed++
		return
	}
	l.first(x)
	hold := w.ms(20, 300)
	if w.faults && w.chance(30) {
		hold = w.ms(500, 1500)
	}
	_ = g.sleep(context.Background(), hold)
	_, err = t.Commit(context.Background(), []kv.Mutation{l.plusOne(i, was)}, 0)
	var lost *kv.ConditionError
	var conflict *txn.ConflictError
	switch {
	case err == nil:
		w.Stats.Transferred++
		l.added[i]++
	case errors.As(err, &conflict), errors.As(err, &lost):
		w.Stats.Conflicts++
		w.fail("at read committed a lock was lost although all leaders have handed over: row %d, %v", i, err)
	default:
		w.Stats.TransfersUnsure++
		l.maybe[i]++
	}
}

// first looks whether anybody waits longer than the one who has got a row, by far.
func (l *lockers) first(x *waiting) {
	w := l.w
	if !w.settled() {
		return
	}
	for y := range l.waits {
		if y.row == x.row && y.term == l.term(y.row) && y.since > w.cfg.Duration-w.quiet()+2*time.Second && y.since+muchLater < x.since {
			if y.overtook++; y.overtook > mayOvertake {
				w.fail("a transaction waits for row %d since %s, and %d that came much later had it first", x.row, y.since, y.overtook)
			}
		}
	}
}

// probe wants a row that one transaction has had for another, which does not wait, as
// soon as the first has ended.
func (l *lockers) probe(g *gateway, i int) {
	w := l.w
	t := g.manager.Begin(txn.ReadCommitted, txn.Info{})
	was, err := l.lock(t, i, evaluation.Block, w.chance(50))
	switch {
	case err != nil || w.chance(50):
		t.Rollback()
	default:
		if _, err := t.Commit(context.Background(), []kv.Mutation{l.plusOne(i, was)}, 0); err != nil {
			l.maybe[i]++
		} else {
			l.added[i]++
		}
	}
	if err != nil {
		return
	}
	again := g.manager.Begin(txn.ReadCommitted, txn.Info{})
	defer again.Rollback()
	_, err = l.lock(again, i, evaluation.NoWait, false)
	if w.Stats.Probes++; errors.Is(err, txn.ErrLockNotAvailable) {
		w.fail("row %d is refused, although the transaction that had it has ended", i)
	}
}

// state adds to the first row as a statement outside of transactions does: on the
// condition that it is as it is known, and in its place when it has lost.
func (l *lockers) state(g *gateway) {
	w := l.w
	var (
		known  version
		kept   replica.CommandID
		losses int
	)
	settled := w.settled() && w.now > w.cfg.Duration-w.quiet()+2*time.Second
	for {
		m := l.plusOne(0, known)
		op := datastate.Op{Row: l.rows[0].row, Kind: datastate.Put, Value: m.Value, Expect: m.Expect, ExpectTS: m.ExpectTS}
		id, c := g.keep(&kv.Call{Range: g.RangeOf(op.Row), Request: &datastate.Batch{Ops: []datastate.Op{op}}}, kept)
		switch {
		case c.Err != nil:
			l.maybe[0]++
			return
		case c.Result.Outcome == datastate.Applied:
			w.Stats.Added++
			l.added[0]++
			return
		case c.Result.Outcome == datastate.ConditionFailed:
			known, kept = version{string(c.Result.Existing), c.Result.ExistingTS}, id
			if losses++; settled && losses > additionLosses {
				w.fail("at %s a statement had lost row 0 for %d times to transactions, although it came again at once", w.now, losses)
				return
			}
		case c.Result.Outcome == datastate.Blocked:
			if kept == (replica.CommandID{}) {
				kept = id
			}
		default: // the range has changed
			_ = g.sleep(context.Background(), w.ms(5, 50))
		}
	}
}

// keep makes a call that keeps its place if it is refused, in the place of another.
func (g *gateway) keep(c *kv.Call, in replica.CommandID) (replica.CommandID, *kv.Call) {
	w, t := g.n.w, g.n.w.running
	x := &rangeCall{g: g, call: c, begun: w.now, data: c.Request.Encode(), keep: true, kept: in, done: t.resume}
	binary.BigEndian.PutUint64(x.id[:], uint64(g.n.clock.Now()))
	binary.BigEndian.PutUint64(x.id[8:], w.rng.Uint64())
	g.n.later(0, x.attempt)
	w.wait()
	return x.id, c
}

// keyIn draws a key whose row lies in the r-th of the first ranges.
func (w *World) keyIn(c cluster.CollectionID, i, r int) (key, row []byte) {
	home := cluster.VShard((2 + r) * homeWidth)
	for n := range 1 << 20 {
		key := fmt.Appendf(nil, "%d.%d\x00", i, n)
		if v := keys.VShardOf(c, key); v >= home && v < home+homeWidth {
			return key, keys.Row(0, v, c, key)
		}
	}
	panic("no key lies in the range")
}

// checkLockers wants each row to be the sum of what was acknowledged.
func (w *World) checkLockers() {
	l := w.lockers
	if l == nil {
		return
	}
	for i := range l.rows {
		n, st, ok := w.leaderOf(l.rows[i].row)
		if !ok {
			w.fail("row %d has no leader at the end", i)
			return
		}
		value, _, _, err := datastate.Get(n.engine, l.rows[i].row, hlc.Max)
		sum, _ := strconv.Atoi(string(value))
		if err != nil || sum < l.added[i] || sum > l.added[i]+l.maybe[i] {
			w.fail("row %d of %s, to which %d was added, and perhaps %d more, is %d: %v", i, st.Descriptor.ID, l.added[i], l.maybe[i], sum, err)
		}
	}
}

// leaderOf is the leader of the range that owns a row.
func (w *World) leaderOf(row []byte) (*Node, cluster.RangeStatus, bool) {
	for _, id := range w.ranges() {
		if n, st, ok := w.Leader(id); ok && keys.Owns(&st.Descriptor, row) {
			return n, st, true
		}
	}
	return nil, cluster.RangeStatus{}, false
}
