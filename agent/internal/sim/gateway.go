package sim

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/evaluation"
	"github.com/nodedb/nodedb/agent/internal/gate"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/kv"
	"github.com/nodedb/nodedb/agent/internal/replica"
	"github.com/nodedb/nodedb/agent/internal/routing"
	"github.com/nodedb/nodedb/agent/internal/store"
	"github.com/nodedb/nodedb/agent/internal/txn"
)

// gateway is a node's coordinator of transactions, package txn's own, with the part of
// package kv that it needs: it finds leaders, tries again under the same command id, and
// gives up after a while. It dies with its node, and by itself between two steps of the
// protocol.
type gateway struct {
	n       *Node
	manager *txn.Manager
	table   *routing.Table
}

// startGateway has the node's clients' transactions be coordinated, in this life.
func (n *Node) startGateway() {
	n.gateways++
	g := &gateway{n: n, table: n.w.newTable()}
	n.gateway = g
	g.manager = txn.New(txn.Config{
		Self: n.id, Start: uint32(n.gateways), Clock: n.clock, Planted: n.w.cfg.PlantedTxn,
		Fresh: func(context.Context) (hlc.Timestamp, error) { return n.clock.Now(), nil },
		Ask:   g.ask, Now: n.w.Now, Sleep: g.sleep, Go: g.spawn,
		SpanRows: 1 + n.gateways%3, // few rows are many here
		Leftovers: func(_ context.Context, before hlc.Timestamp) ([]store.Leftover, error) {
			return store.LeftoversOf(n.core.Mirrors(), before), nil
		},
	})
	g.manager.Open(g)
}

// onGateway runs a task at some gateway, nil if it is not there.
func (w *World) onGateway(fn func(g *gateway)) *gateway {
	n := w.nodes[w.rng.IntN(len(w.nodes))]
	if !n.Up() || !n.awake() || n.gateway == nil {
		return nil
	}
	g := n.gateway
	n.later(0, func() {
		if n.gateway == g {
			g.spawn(func() { fn(g) })
		}
	})
	return g
}

// errSilent is what a call ends with that is not answered.
var errSilent = errors.New("no answer")

// ask is a call between gateways.
func (g *gateway) ask(_ context.Context, to cluster.NodeID, payload []byte) (answer []byte, err error) {
	w, t, dst := g.n.w, g.n.w.running, g.n.w.nodes[to-1]
	done := false
	end := func(b []byte, e error) {
		if !done {
			done, answer, err = true, b, e
			t.resume()
		}
	}
	cut := func() bool {
		return w.cut[[2]cluster.NodeID{g.n.id, to}] || w.cut[[2]cluster.NodeID{to, g.n.id}] || w.chance(w.loss)
	}
	g.n.later(500*time.Millisecond, func() { end(nil, errSilent) })
	if !cut() {
		w.After(w.ms(0, 3), func() {
			dst.do(func() {
				if dst.gateway == nil {
					return
				}
				b, e := dst.gateway.manager.Methods()[txn.MethodAsk](context.Background(), g.n.id, payload)
				g.n.later(w.ms(0, 3), func() { end(b, e) })
			})
		})
	}
	w.wait()
	return answer, err
}

// RangeOf implements txn.Ranges.
func (g *gateway) RangeOf(key []byte) cluster.RangeID {
	r, ok := g.table.Lookup(keys.PoolOf(key), keys.Bound(key))
	if !ok {
		return 0
	}
	return r.Descriptor.ID
}

// Do implements txn.Ranges.
func (g *gateway) Do(_ context.Context, calls []*kv.Call) {
	w, t := g.n.w, g.n.w.running
	if g.dies() {
		return
	}
	left := len(calls)
	for _, c := range calls {
		x := &rangeCall{g: g, call: c, begun: w.now, data: c.Request.Encode(), done: func() {
			if left--; left == 0 {
				t.resume()
			}
		}}
		binary.BigEndian.PutUint64(x.id[:], uint64(g.n.clock.Now()))
		binary.BigEndian.PutUint64(x.id[8:], w.rng.Uint64())
		g.n.later(0, x.attempt)
	}
	w.wait()
	if g.dies() {
		return
	}
}

// dies has the gateway die now and then, before or after a step. What it has sent is on
// its way.
func (g *gateway) dies() bool {
	w := g.n.w
	if !w.faults || w.cfg.Steady || w.rng.IntN(250) > 0 || w.running.g != g {
		return false
	}
	w.Stats.GatewaysDied++
	g.n.startGateway()
	w.wait() // for ever
	return true
}

// rangeCall is one request on its way, over as many attempts as it takes.
type rangeCall struct {
	g     *gateway
	call  *kv.Call
	begun time.Duration
	id    replica.CommandID
	data  []byte
	keep  bool              // its place, if it is refused
	kept  replica.CommandID // whose place it takes
	tries int
	maybe bool
	ended bool
	done  func()
}

// attempt sends the request to the leader, as far as anybody knows, sometimes twice.
func (x *rangeCall) attempt() {
	w := x.g.n.w
	if x.ended || x.g.dead() {
		return
	}
	if w.now-x.begun > giveUp {
		x.fail(&kv.UnavailableError{Range: x.call.Range, Cause: errSilent})
		return
	}
	n, _, ok := w.Leader(x.call.Range)
	if !ok || w.chance(5) {
		n = w.nodes[w.rng.IntN(len(w.nodes))]
	}
	x.tries++
	try, copies := x.tries, 1
	if w.faults && w.chance(3) {
		copies = 2
	}
	x.maybe = x.maybe || copies > 1
	for range copies {
		retry := x.maybe
		d := w.ms(0, 3)
		if w.faults && w.chance(3) {
			d = w.ms(10, 1500)
		}
		w.After(d, func() {
			if !w.cut[[2]cluster.NodeID{x.g.n.id, n.id}] {
				n.do(func() { x.serve(n, retry, try) })
			}
		})
	}
	x.g.n.later(attemptTime, func() { x.again(try, true) })
}

// again makes another attempt, unless there is an answer or another one already.
func (x *rangeCall) again(try int, maybe bool) {
	if x.ended || try != x.tries {
		return
	}
	x.maybe = x.maybe || maybe
	x.tries++
	x.g.n.later(x.g.n.w.ms(2, 60), x.attempt)
}

func (x *rangeCall) serve(n *Node, retry bool, try int) {
	w := x.g.n.w
	if !n.awake() {
		return
	}
	p := &replica.Proposal{ID: x.id, Retry: retry, Payload: x.data, Keep: x.keep, InPlaceOf: x.kept, Grows: datastate.Grows(x.data, gate.Binary())}
	p.Done = func(o replica.Outcome) {
		clock := n.clock.Now()
		if !w.cut[[2]cluster.NodeID{n.id, x.g.n.id}] && !(w.faults && w.chance(2)) {
			n.later(w.ms(0, 3), func() { x.g.n.later(0, func() { x.answered(o, clock, try) }) })
		}
	}
	n.core.Propose(x.call.Range, p)
}

func (x *rangeCall) answered(o replica.Outcome, clock hlc.Timestamp, try int) {
	if x.ended || x.g.dead() {
		return
	}
	_ = x.g.n.clock.Update(clock)
	if o.Err != nil {
		var notLeader *store.NotLeaderError
		var offset *hlc.OffsetError
		if errors.As(o.Err, &notLeader) || errors.As(o.Err, &offset) || errors.Is(o.Err, store.ErrDiskFull) || store.Retryable(o.Err) || store.MaybeApplied(o.Err) || errors.Is(o.Err, context.DeadlineExceeded) {
			x.again(try, store.MaybeApplied(o.Err))
			return
		}
		x.g.n.w.fail("a request of a transaction: %T %v", x.call.Request, o.Err)
		return
	}
	r, err := datastate.DecodeResult(slices.Clone(o.Result))
	if err != nil || r.Outcome == datastate.Malformed {
		x.g.n.w.fail("the answer to %T is %+v: %v", x.call.Request, r, err)
		return
	}
	if r.Outcome != datastate.Applied && try != x.tries {
		return // of an attempt that was given up: another is on its way, and may be applied
	}
	if r.Outcome == datastate.WrongRange {
		x.g.learn()
	}
	x.ended, x.call.Result, x.call.TS = true, r, o.TS
	x.done()
}

func (x *rangeCall) fail(err error) {
	x.ended, x.call.Err = true, err
	if x.maybe {
		x.call.Err = &store.AmbiguousError{Cause: err}
	}
	x.done()
}

// read reads rows at ts as a gateway does: at their leaders, and if it meets intents
// again, once those are settled.
func (g *gateway) read(ts hlc.Timestamp, rows [][]byte) ([]string, error) {
	found, err := g.versions(ts, rows, nil)
	values := make([]string, len(found))
	for i := range found {
		values[i] = found[i].value
	}
	return values, err
}

// versions is read with the timestamps; it ignores the intents of passed.
func (g *gateway) versions(ts hlc.Timestamp, rows [][]byte, passed []cluster.TxnID) ([]version, error) {
	w := g.n.w
	begun, found := w.now, make([]version, len(rows))
	for i, row := range rows {
		passed := passed
		for try := 0; ; {
			if w.now-begun > giveUp {
				return nil, errSilent
			}
			v, err := g.readAt(ts, row, passed)
			var met *store.IntentsError
			if errors.As(err, &met) {
				w.Stats.IntentsMet++
				more, _, err := g.manager.Resolve(context.Background(), met, try)
				if err != nil {
					return nil, err
				}
				try, passed = try+1, append(slices.Clone(passed), more...)
				continue
			}
			if err == nil {
				found[i] = v
				break
			}
			var mismatch *store.RangeMismatchError
			if errors.As(err, &mismatch) {
				g.learn()
			}
			_ = g.sleep(context.Background(), w.ms(5, 50))
		}
	}
	return found, nil
}

// Changed implements txn.Ranges, for spans of one row.
func (g *gateway) Changed(_ context.Context, spans []kv.Span, since, at hlc.Timestamp, own cluster.TxnID) (bool, error) {
	rows := make([][]byte, len(spans))
	for i, s := range spans {
		rows[i] = keys.Row(s.Pool, keys.VShardOf(s.Collection, s.Start), s.Collection, s.Start)
	}
	found, err := g.versions(at, rows, []cluster.TxnID{own})
	return slices.ContainsFunc(found, func(v version) bool { return v.ts > since }), err
}

// readAt is one attempt to read a row, under a lease or by a quorum.
func (g *gateway) readAt(ts hlc.Timestamp, row []byte, passed []cluster.TxnID) (found version, err error) {
	w, t, id := g.n.w, g.n.w.running, g.RangeOf(row)
	done := false
	end := func(v version, e error) {
		g.n.later(w.ms(0, 3), func() {
			if !done {
				done, found, err = true, v, e
				t.resume()
			}
		})
	}
	look := func(h *store.ReadHandle, err error) (v version, _ error) {
		if err != nil {
			return v, err
		}
		if !keys.Owns(&h.Descriptor, row) {
			return v, &store.RangeMismatchError{Descriptor: h.Descriptor}
		}
		if err := store.Meets(id, h.Mirror, evaluation.Query{Rows: [][]byte{row}, TS: ts, Passed: passed}); err != nil {
			return v, err
		}
		value, at, _, err := datastate.Get(h.Reader, row, ts)
		return version{string(value), at}, err
	}
	g.n.later(attemptTime, func() { end(version{}, errSilent) })
	n, _, ok := w.Leader(id)
	if !ok {
		n = w.nodes[w.rng.IntN(len(w.nodes))]
	}
	w.After(w.ms(0, 3), func() {
		n.do(func() {
			if !n.awake() || n.clock.Update(ts) != nil {
				return
			}
			round := func() {
				n.core.Read(id, ts, func(h *store.ReadHandle, err error) {
					v, err := look(h, err)
					if h != nil {
						h.Close()
					}
					end(v, err)
				})
			}
			q, ok := n.core.BeginRead(id, ts, store.Scope{Rows: [][]byte{row}})
			if !ok {
				round()
				return
			}
			w.awaited(n, &q, round, func() {
				mirror := q.Mirror() // before the view
				v, err := look(&store.ReadHandle{Reader: n.engine, Descriptor: *q.Descriptor, Mirror: mirror}, nil)
				if !w.checked(id, ts, &q) {
					round()
					return
				}
				end(v, err)
			})
		})
	})
	w.wait()
	return found, err
}

// learn has the gateway know the ranges as their replicas do, as the meta range would tell
// it sooner or later.
func (g *gateway) learn() {
	for _, n := range g.n.w.nodes {
		if !n.up {
			continue
		}
		for _, st := range n.core.Status() {
			if st.Applied > 0 && !st.Descriptor.IsMeta() {
				g.table.Learn(st.Descriptor)
			}
		}
	}
}
