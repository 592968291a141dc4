package sim

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/gate"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/replica"
	"github.com/nodedb/nodedb/agent/internal/routing"
	"github.com/nodedb/nodedb/agent/internal/store"
)

// kind is what an operation does to its key.
type kind string

const (
	read   kind = "read"
	put    kind = "put"
	insert kind = "insert" // if there is no value
	cas    kind = "cas"    // if the value is the one read before
	remove kind = "remove"
)

// client makes one operation after another, as package kv would: it tries other
// nodes after an error, with the same command id, and gives up after a while.
type client struct {
	w     *World
	id    int
	seen  map[place]version // newest known
	table *routing.Table
	now   *call // under way, or the last
	wrote *call // the last that is known to be applied
}

// place is a key of a range, as that was bootstrapped; or the same one of a pool.
type place struct {
	id   cluster.RangeID
	key  int
	pool cluster.PoolID
}

// version is a value and its timestamp.
type version struct {
	value string
	ts    hlc.Timestamp
}

// call is one operation on its way.
type call struct {
	c     *client
	op    operation
	cmd   replica.CommandID
	data  []byte
	ts    hlc.Timestamp   // of a read
	to    cluster.RangeID // where the command belongs, through all of its retries
	node  *Node           // tried last
	tries int
	times int // that it was sent: some attempts arrive twice
	bound int // the try with which it came to belong there
	done  bool
	// strayed says that a try went to another range than where it belongs.
	strayed bool
	// sent says that an attempt may have reached a node and was not refused.
	sent bool
	// maybe says that an earlier attempt may still arrive.
	maybe bool
}

const (
	giveUp      = 6 * time.Second // of the client
	attemptTime = time.Second
)

func (c *client) next() {
	w := c.w
	if w.now > w.cfg.Duration-w.quiet() {
		return
	}
	if c.seen == nil {
		c.seen = map[place]version{}
		c.table = w.newTable()
	}
	if w.chance(10) {
		w.reread()
	}
	at := w.homeOfPool(place{id: cluster.RangeID(2 + w.rng.IntN(w.cfg.Ranges)), key: w.rng.IntN(w.cfg.Keys)})
	k := &call{c: c, op: operation{client: c.id, at: at, call: w.now}}
	k.node = w.nodes[w.rng.IntN(len(w.nodes))]
	if w.cfg.Leases && w.chance(70) {
		k.node = w.anyLeader(at)
	}
	if !k.node.Up() || !k.node.awake() {
		w.After(20*time.Millisecond, c.next)
		return
	}
	k.choose()
	c.now = k
	w.After(giveUp, k.expire)
	k.attempt()
}

// choose draws what to do.
func (k *call) choose() {
	w := k.c.w
	// The gateway is the node that the client happens to be connected to.
	k.ts = k.node.clock.Now()
	k.bind()
	k.op.value = fmt.Sprintf("%d.%d", k.c.id, w.Stats.Ops)
	w.Stats.Ops++
	o := datastate.Op{Row: k.op.at.row(), Kind: datastate.Put, Value: []byte(k.op.value)}
	known, ok := k.c.seen[k.op.at]
	switch r := w.rng.IntN(10); {
	case r < 4 || w.readsOnly(k.node):
		k.op.kind, k.op.value = read, ""
		return
	case r < 6:
		k.op.kind = put
	case r < 7:
		k.op.kind, o.Expect = insert, datastate.Absent
	case r < 9 && ok && known.value != "":
		k.op.kind, k.op.expect, o.Expect, o.ExpectTS = cas, known.value, datastate.VersionIs, known.ts
	default:
		k.op.kind, k.op.value = remove, ""
		o.Kind, o.Value = datastate.Delete, nil
	}
	b := &datastate.Batch{Ops: []datastate.Op{o}}
	if active := k.node.versions.Active(); active > gate.First {
		w.Stats.NewWrites++
		b.For(active, k.node.id)
	}
	k.data = datastate.EncodeBatch(b)
}

// bind names the command anew, and has it belong to the range that owns its key
// as far as the client knows.
func (k *call) bind() {
	binary.BigEndian.PutUint64(k.cmd[:], uint64(k.node.clock.Now()))
	binary.BigEndian.PutUint64(k.cmd[8:], k.c.w.rng.Uint64())
	k.to, k.maybe = k.owner(), false
	k.bound = k.tries + 1
}

func (k *call) owner() cluster.RangeID {
	r, ok := k.c.table.Row(k.op.at.row())
	if !ok && k.op.at.pool != cluster.DefaultPool {
		return 0 // the pool was dropped: no node has such a range
	}
	if !ok {
		k.c.w.fail("the client knows no range for %v", k.op.at)
		return k.op.at.id
	}
	return r.Descriptor.ID
}

// attempt sends the request to a node, sometimes twice.
func (k *call) attempt() {
	if k.done {
		return
	}
	w, n := k.c.w, k.node
	k.tries++
	try := k.tries
	copies := 1
	if w.chance(w.often(5, 40)) {
		copies = 2
	}
	k.times += copies
	k.sent = true
	to := k.to
	if try > k.bound && k.op.kind != read && w.chance(15) {
		// A retry goes astray: to the range that owns the key by now.
		if _, st, ok := w.owner(k.op.at); ok {
			to = st.Descriptor.ID
		}
		if to != k.to {
			k.strayed = true
			w.Stats.Strayed++
		}
	}
	// What arrives twice counts as a retry, as what is sent after an attempt of unknown
	// fate: whoever refuses it must refuse the other one too.
	k.maybe = k.maybe || copies > 1
	for i := range copies {
		d := w.ms(0, 3)
		if w.chance(w.often(3, 30)) {
			d = w.ms(10, 1500)
		}
		retry := k.maybe
		w.After(d+time.Duration(i), func() { n.do(func() { k.serve(n, to, try, retry) }) })
	}
	w.After(w.attemptTime(), func() {
		if !k.done && k.tries == try {
			k.maybe = true
			k.retry(0)
		}
	})
}

// often is a percentage, which is larger in runs of echoes.
func (w *World) often(percent, echoes int) int {
	if w.cfg.Echoes {
		return echoes
	}
	return percent
}

// retry tries another node: the hinted one, or any.
func (k *call) retry(hint cluster.NodeID) {
	w := k.c.w
	if hint != 0 {
		k.node = w.nodes[hint-1]
	} else {
		k.node = w.nodes[w.rng.IntN(len(w.nodes))]
	}
	try := k.tries
	w.After(w.ms(2, 60), func() {
		if k.tries == try {
			k.attempt()
		}
	})
}

// serve is the request at a node; its answer travels back, unless it gets lost.
func (k *call) serve(n *Node, to cluster.RangeID, try int, retry bool) {
	w := k.c.w
	if !n.awake() {
		n.later(w.ms(0, 3), func() { k.failed(&store.NotLeaderError{Range: to}, try) })
		return
	}
	answer := func(fn func()) {
		if !w.chance(2) {
			n.later(w.ms(0, 3), fn)
		}
	}
	if k.op.kind == read {
		if q, ok := n.core.BeginRead(to, k.ts, store.Scope{Rows: [][]byte{k.op.at.row()}}); ok {
			k.leased(n, to, q, try, answer)
			return
		}
		k.readRound(n, to, try, answer)
		return
	}
	p := &replica.Proposal{ID: k.cmd, Retry: retry, Payload: k.data, Grows: datastate.Grows(k.data, gate.Binary())}
	p.Done = func(o replica.Outcome) {
		news := n.news(to, k.op.at)
		answer(func() { k.writeDone(o, try, news) })
	}
	if w.chance(30) {
		p.Ticks = 1 + w.rng.Uint64N(3)
	}
	n.core.Propose(to, p)
}

// readRound is a read for which a quorum is asked.
func (k *call) readRound(n *Node, to cluster.RangeID, try int, answer func(func())) {
	n.core.Read(to, k.ts, func(h *store.ReadHandle, err error) {
		v, err := k.look(h, err)
		k.note(v, err)
		news := n.news(to, k.op.at)
		answer(func() { k.readDone(v.newest, err, try, news) })
	})
}

// rerouted is what a client hears of a range that does not own its key.
type rerouted struct {
	ranges []cluster.RangeDescriptor
	clock  hlc.Timestamp // of who says so
}

// news is what a node knows of a range, and of the owner of a row.
func (n *Node) news(id cluster.RangeID, at place) rerouted {
	news := rerouted{clock: n.clock.Now()}
	for _, st := range n.core.Status() {
		if d := st.Descriptor; st.Applied > 0 && (d.ID == id || d.Parent != 0 && keys.Owns(&d, at.row())) {
			news.ranges = append(news.ranges, d)
		}
	}
	return news
}

// reroute names the command anew for the range that owns its key now. The old
// name is done with: its range has recorded that it refused it.
func (k *call) reroute(news rerouted) {
	w := k.c.w
	for _, d := range news.ranges {
		k.c.table.Learn(d)
	}
	if k.strayed {
		k.finish(unknown) // it may have been applied where it did not belong
		return
	}
	w.Stats.Rerouted++
	// The client's gateway is the node that it talks to next; it has heard the
	// clock of whoever told it of the range.
	k.node = w.nodes[w.rng.IntN(len(w.nodes))]
	if !k.node.Up() || !k.node.awake() || k.node.clock.Update(news.clock) != nil {
		w.After(w.ms(10, 60), func() {
			if !k.done {
				k.reroute(news)
			}
		})
		return
	}
	k.bind()
	try := k.tries
	w.After(w.ms(2, 60), func() {
		if k.tries == try {
			k.attempt()
		}
	})
}

// looked is what a read finds: the newest value, which must be linearizable, and
// what the key holds at the read's timestamp, which must never change.
type looked struct {
	newest version
	old    string
}

func (k *call) look(h *store.ReadHandle, err error) (v looked, _ error) {
	if err != nil {
		return v, err
	}
	defer h.Close()
	if !keys.Owns(&h.Descriptor, k.op.at.row()) {
		return v, &store.RangeMismatchError{Descriptor: h.Descriptor}
	}
	old, _, _, err := datastate.Get(h.Reader, k.op.at.row(), k.ts)
	if err != nil {
		return v, err
	}
	newest, ts, _, err := datastate.Get(h.Reader, k.op.at.row(), hlc.Max)
	return looked{version{string(newest), ts}, string(old)}, err
}

// note keeps what was served.
func (k *call) note(v looked, err error) {
	if err == nil {
		k.c.w.history.noteSnapshot(snapshotRead{k.op.at, k.ts, v.old})
	}
}

func (k *call) readDone(v version, err error, try int, news rerouted) {
	if k.done {
		return
	}
	var mismatch *store.RangeMismatchError
	if errors.As(err, &mismatch) && try == k.tries {
		k.reroute(news)
		return
	}
	if tooOld(err) {
		k.c.w.Stats.TooOld++
		k.finish(unknown)
		return
	}
	if err != nil {
		k.failed(err, try)
		return
	}
	k.c.seen[k.op.at] = v
	k.op.result = v.value
	k.finish(known)
}

func (k *call) writeDone(o replica.Outcome, try int, news rerouted) {
	if k.done {
		return
	}
	if o.Err != nil {
		k.failed(o.Err, try)
		return
	}
	r, err := datastate.DecodeResult(o.Result)
	if err == nil && r.Outcome == datastate.WrongRange {
		if try >= k.bound {
			k.reroute(news)
		}
		return
	}
	if err != nil || r.Outcome != datastate.Applied && r.Outcome != datastate.ConditionFailed {
		k.c.w.fail("result %+v of %+v: %v", r, k.op, err)
		return
	}
	k.op.ok = r.Outcome == datastate.Applied
	if !k.op.ok && try != k.tries {
		return // of an attempt that was given up: another is on its way, and may be applied
	}
	if k.op.ok {
		k.c.wrote = k
		k.c.seen[k.op.at] = version{k.op.value, o.TS}
	} else {
		k.op.result = string(r.Existing)
		k.c.seen[k.op.at] = version{string(r.Existing), r.ExistingTS}
	}
	k.finish(known)
}

func (k *call) failed(err error, try int) {
	if try != k.tries {
		return // an answer to an attempt that was given up
	}
	k.maybe = k.maybe || store.MaybeApplied(err)
	var notLeader *store.NotLeaderError
	var offset *hlc.OffsetError
	switch {
	case errors.Is(err, context.DeadlineExceeded) && k.times == 1 && k.c.w.chance(50):
		k.lost()
	case errors.As(err, &notLeader):
		k.retry(notLeader.Leader)
	case errors.As(err, &offset), errors.Is(err, store.ErrDiskFull), store.Retryable(err):
		k.retry(0)
	default:
		k.c.w.fail("%s of %v: %v", k.op.kind, k.op.at, err)
	}
}

// lost ends a command that was sent once and, as its leader says, surely not applied:
// whoever reads its value reads what nobody wrote.
func (k *call) lost() {
	k.c.w.Stats.Late++
	k.done = true
	k.c.w.After(k.c.w.ms(5, 60), k.c.next)
}

func (k *call) expire() {
	if !k.done {
		k.finish(unknown)
	}
}

func (k *call) finish(o certainty) {
	w := k.c.w
	k.done = true
	k.op.certainty, k.op.ret = o, w.now
	if o == unknown {
		w.Stats.Unknown++
	}
	h := fnv.New64a()
	fmt.Fprintf(h, "%+v", k.op)
	w.trace(h.Sum64())
	w.history.add(k.op)
	w.After(w.pause(), k.c.next)
}

// reread reads at a timestamp that some read used before.
func (w *World) reread() {
	if len(w.history.snapshots) == 0 {
		return
	}
	s := w.history.snapshots[w.rng.IntN(len(w.history.snapshots))]
	n, st, ok := w.owner(s.at)
	if !ok {
		return
	}
	n.do(func() {
		n.core.Read(st.Descriptor.ID, s.ts, func(h *store.ReadHandle, err error) {
			if err != nil {
				return
			}
			defer h.Close()
			if !keys.Owns(&h.Descriptor, s.at.row()) {
				return
			}
			got, _, _, err := datastate.Get(h.Reader, s.at.row(), s.ts)
			w.Stats.Rereads++
			if err != nil || string(got) != s.value {
				w.fail("key %v at %s was %q and is now %q (%v)", s.at, s.ts, s.value, got, err)
			}
		})
	})
}
