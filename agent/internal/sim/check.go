package sim

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/replica"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// certainty says whether the client knows what became of an operation.
type certainty int

const (
	known certainty = iota
	unknown
)

// operation is one entry of the history.
type operation struct {
	client    int
	at        place
	kind      kind
	value     string // written
	expect    string // of a cas
	ok        bool   // a write was applied
	result    string // what a read, or a write that was refused, found
	certainty certainty
	call, ret time.Duration
}

// snapshotRead is what a key held at a timestamp, for ever.
type snapshotRead struct {
	at    place
	ts    hlc.Timestamp
	value string
}

type history struct {
	ops       []operation
	snapshots []snapshotRead
	spans     []spanRead
}

func (h *history) add(o operation) { h.ops = append(h.ops, o) }

func (h *history) noteSnapshot(s snapshotRead) { h.snapshots = append(h.snapshots, s) }

// operations returns the history in porcupine's form. A write of unknown fate
// whose value nobody saw is left out: it can always be the last.
func (h *history) operations(end time.Duration) []porcupine.Operation {
	seen := map[string]bool{}
	for _, o := range h.ops {
		if o.certainty == known {
			seen[o.result] = true
		}
	}
	var out []porcupine.Operation
	for _, o := range h.ops {
		ret := o.ret
		if o.certainty == unknown {
			if o.kind == read || o.value != "" && !seen[o.value] {
				continue
			}
			ret = end + time.Hour
		}
		out = append(out, porcupine.Operation{ClientId: o.client, Input: o, Call: int64(o.call), Output: o, Return: int64(ret)})
	}
	return out
}

// model is one key: a register with conditional writes. "" is no value.
func model() porcupine.Model {
	return porcupine.Model{
		Partition: partition,
		Init:      func() any { return "" },
		Step: func(state, input, _ any) (bool, any) {
			v, _ := state.(string)
			o, _ := input.(operation)
			return step(v, &o)
		},
		Equal: func(a, b any) bool { return a == b },
		DescribeOperation: func(input, _ any) string {
			o, _ := input.(operation)
			return fmt.Sprintf("%s %q expect %q: ok %v found %q", o.kind, o.value, o.expect, o.ok, o.result)
		},
	}
}

func step(v string, o *operation) (bool, any) {
	if o.kind == read {
		return o.result == v, v
	}
	applies := true
	switch o.kind {
	case insert:
		applies = v == ""
	case cas:
		applies = v == o.expect
	case read, put, remove:
	}
	switch {
	case o.certainty == known && o.ok != applies:
		return false, v
	case o.certainty == known && !applies && o.result != v:
		return false, v
	case applies:
		return true, o.value
	}
	return true, v
}

func partition(ops []porcupine.Operation) [][]porcupine.Operation {
	byPlace := map[place][]porcupine.Operation{}
	var places []place
	for _, o := range ops {
		in, _ := o.Input.(operation)
		if byPlace[in.at] == nil {
			places = append(places, in.at)
		}
		byPlace[in.at] = append(byPlace[in.at], o)
	}
	var out [][]porcupine.Operation
	for _, p := range places {
		out = append(out, byPlace[p])
	}
	return out
}

// check looks at the end of the run.
func (w *World) check() {
	if len(w.errors) > 0 {
		return
	}
	for _, id := range w.ranges() {
		if w.born(id) && !w.removed(id) {
			w.checkRange(id)
		}
	}
	w.checkOwners()
	w.checkHotRow()
	w.checkBank()
	w.checkIndexed()
	w.dropper.check()
	w.checkLockers()
	w.checkSilence()
	w.checkIdle()
	if len(w.errors) == 0 {
		w.checkSpans()
	}
	if w.operators != nil {
		w.operators.check()
	}
	if len(w.errors) > 0 {
		return
	}
	if w.cfg.Hot {
		return // checkHotRow says whether its writes were right
	}
	switch porcupine.CheckOperationsTimeout(model(), w.history.operations(w.now), 20*time.Second) {
	case porcupine.Illegal:
		w.fail("the history is not linearizable: %s", w.badKey())
	case porcupine.Unknown:
		w.fail("porcupine could not decide")
	case porcupine.Ok:
	}
}

func (w *World) badKey() string {
	for _, ops := range partition(w.history.operations(w.now)) {
		if porcupine.CheckOperationsTimeout(model(), ops, 5*time.Second) == porcupine.Illegal {
			in, _ := ops[0].Input.(operation)
			return fmt.Sprintf("key %v, %d operations", in.at, len(ops))
		}
	}
	return "?"
}

// checkRange wants a leader, three equal voters, and every key as its last
// operation left it: final reads go into the history.
func (w *World) checkRange(id cluster.RangeID) {
	leader, st, ok := w.Leader(id)
	if !ok {
		w.fail("%s has no leader at the end", id)
		return
	}
	for _, r := range st.Descriptor.Replicas {
		w.checkCounts(w.nodes[r.Node-1], id)
	}
	if len(w.errors) > 0 {
		return
	}
	want, err := w.contents(leader, id)
	if err != nil {
		w.fail("read %s on %s: %v", id, leader.id, err)
		return
	}
	for _, r := range st.Descriptor.Replicas {
		n := w.nodes[r.Node-1]
		if n.lost {
			w.fail("%s has a replica on %s at the end, whose disk is lost", id, n.id)
			return
		}
		got, err := w.contents(n, id)
		if err != nil || !slices.Equal(got, want) {
			ns, _ := n.core.RangeStatus(id)
			w.fail("%s on %s (%s, applied %d, leader %s) differs from the leader %s (applied %d): %d and %d pairs, %v",
				id, n.id, r.Role, ns.Applied, ns.Leader, leader.id, st.Applied, len(got), len(want), err)
			return
		}
	}
	if len(st.Descriptor.Voters()) < w.votersAtEnd(&st.Descriptor) {
		w.fail("%s has the voters %v at the end", id, st.Descriptor.Voters())
	}
	h, err := leader.core.ReadLocal(id)
	if err != nil {
		w.fail("read %s on %s: %v", id, leader.id, err)
		return
	}
	defer h.Close()
	for _, at := range w.places() {
		if !keys.Owns(&h.Descriptor, at.row()) {
			continue
		}
		v, _, _, err := datastate.Get(h.Reader, at.row(), hlc.Max)
		if err != nil {
			w.fail("read %v: %v", at, err)
		}
		w.checkReads(h.Reader, at)
		w.history.add(operation{client: w.cfg.Clients, at: at, kind: read, result: string(v), call: w.now, ret: w.now + 1})
	}
}

// checkSilence wants nothing said about ranges that nobody uses, nor changes.
func (w *World) checkSilence() {
	if w.operators != nil || w.bank != nil || w.lockers != nil || w.Stats.Noisy == 0 || w.changed > w.cfg.Duration-3*lastMoment {
		return
	}
	for _, id := range w.ranges() {
		if _, st, ok := w.Leader(id); ok && st.Descriptor.Joint() {
			return // its replicas are still being moved
		}
	}
	w.fail("%d messages of replicas in the last moment, while nobody wants anything: %s", w.Stats.Noisy, w.whoIsAwake())
}

func (w *World) whoIsAwake() (out []string) {
	for _, n := range w.nodes {
		if n.up {
			out = append(out, n.core.WhyAwake()...)
		}
	}
	return out
}

// checkReads wants that no command came below a read that was served.
func (w *World) checkReads(r storage.Reader, at place) {
	for _, s := range w.history.snapshots {
		if s.at != at || w.forgotten(at, s.ts) {
			continue
		}
		if got, _, _, err := datastate.Get(r, at.row(), s.ts); err != nil || string(got) != s.value {
			w.fail("a command came below a read that was served: key %v at %s was %q and is %q (%v)", at, s.ts, s.value, got, err)
			return
		}
	}
}

// checkCounts wants the figures of a replica to be those of a scan.
func (w *World) checkCounts(n *Node, id cluster.RangeID) {
	h, err := n.core.ReadLocal(id)
	if err != nil {
		w.fail("read %s on %s: %v", id, n.id, err)
		return
	}
	defer h.Close()
	got, ok := n.core.RangeStatus(id)
	want, err := datastate.Count(h.Reader, keys.DataSpan(h.Descriptor.Pool, h.Descriptor.Start, h.Descriptor.End), nil)
	switch {
	case err != nil:
		w.fail("count %s on %s: %v", id, n.id, err)
	case !ok || !got.Counted:
		w.fail("%s on %s is not counted at the end", id, n.id)
	case got.Keys != uint64(want.Rows) || got.LiveBytes != uint64(want.Live) || got.DeadBytes != uint64(want.Dead):
		w.fail("%s on %s counts %d rows, %d live and %d dead bytes; it holds %+v", id, n.id, got.Keys, got.LiveBytes, got.DeadBytes, want)
	}
}

// places lists all keys.
func (w *World) places() []place {
	ps := w.homes()
	if pool, ok := w.hot(); ok {
		for _, p := range w.homes() {
			p.pool = pool.ID
			ps = append(ps, p)
		}
	}
	return ps
}

// homes lists the keys of the default pool.
func (w *World) homes() []place {
	var ps []place
	for i := range w.cfg.Ranges {
		for key := range w.cfg.Keys {
			ps = append(ps, place{id: cluster.RangeID(2 + i), key: key})
		}
	}
	return ps
}

// contents returns all pairs of a range on a node, as "key=value" in order, and of
// the ids of commands what is remembered: each replica packs them its own way.
func (w *World) contents(n *Node, id cluster.RangeID) ([]string, error) {
	h, err := n.core.ReadLocal(id)
	if err != nil {
		return nil, err
	}
	defer h.Close()
	var out []string
	for _, s := range replica.Spans(&h.Descriptor) {
		it, err := h.Reader.NewIter(s.Start, s.End)
		if err != nil {
			return nil, err
		}
		for ok := it.First(); ok; ok = it.Next() {
			if !keys.AppliedIDsSpan(id).Contains(it.Key()) {
				out = append(out, string(bytes.Join([][]byte{it.Key(), it.Value()}, []byte("="))))
			}
		}
		if err := it.Close(); err != nil {
			return nil, err
		}
	}
	ids, err := replica.AppliedIDs(h.Reader, id)
	for _, x := range ids {
		out = append(out, fmt.Sprintf("command %x at %s=%x", x.ID, x.TS, x.Result))
	}
	return out, err
}
