package sim

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/replica"
	"github.com/nodedb/nodedb/agent/internal/store"
)

// adder is a gateway that adds to one row, again and again: it writes on the condition
// that the row is as it knows it, is told what it is, and comes again in the place that
// it kept. Some are near the leader, some far from it.
type adder struct {
	w    *World
	id   int
	row  place
	next *addition // under way
}

// addition is one addition on its way, over as many commands as it takes.
type addition struct {
	a      *adder
	begun  time.Duration
	known  version // of the row
	losses int     // of commands that were sent at once after a refusal

	cmd   replica.CommandID
	kept  replica.CommandID // whose place the command takes
	data  []byte
	to    cluster.RangeID
	tries int
	maybe bool // an earlier attempt may still arrive
	late  bool // the command did not follow the refusal at once
	done  bool
}

const (
	// adders are two beside the leader, wherever that is, and two that are far.
	adders     = 4
	nearAdders = 2
	// additionTime is how long an addition may take when nothing is wrong: the places
	// that others left behind, and an election.
	additionTime = 4 * time.Second
	// additionLosses is how often it may lose then: once before it has a place, and
	// once because that ended with a leadership or a split.
	additionLosses = 2
)

// hotRow is a run of adders, and nobody else.
func hotRow(c *Config) {
	c.Hot, c.Ranges, c.Keys, c.Clients = true, 1, 2, 0
}

func (w *World) beginAdders() {
	for i := range adders {
		a := &adder{w: w, id: i, row: place{id: 2}}
		w.adders = append(w.adders, a)
		w.After(w.ms(100, 300), func() { a.begin(version{}) })
	}
}

// settled reports whether what begins now meets no trace of a fault.
func (w *World) settled() bool {
	return w.now > w.cfg.Duration-w.quiet()+2*time.Second
}

func (a *adder) begin(known version) {
	w := a.w
	if w.now > w.cfg.Duration-additionTime-time.Second {
		return
	}
	x := &addition{a: a, begun: w.now, known: known}
	a.next = x
	if w.settled() {
		w.After(additionTime, func() {
			if !x.done {
				w.fail("gateway %d waits for its turn at a row since %s: %d commands lost", a.id, x.begun, x.losses)
			}
		})
	}
	x.command()
}

// command makes the next command, upon what is known of the row.
func (x *addition) command() {
	w := x.a.w
	n := w.nodes[x.a.id%len(w.nodes)]
	if !n.Up() || !n.awake() {
		w.After(w.ms(10, 50), x.command)
		return
	}
	binary.BigEndian.PutUint64(x.cmd[:], uint64(n.clock.Now()))
	binary.BigEndian.PutUint64(x.cmd[8:], w.rng.Uint64())
	x.to, x.maybe, x.tries = x.a.row.id, false, 0
	if _, st, ok := w.owner(x.a.row); ok {
		x.to = st.Descriptor.ID
	}
	sum, _ := strconv.Atoi(x.known.value) // "": 0
	op := datastate.Op{Row: x.a.row.row(), Kind: datastate.Put, Value: []byte(strconv.Itoa(sum + 1)), Expect: datastate.Absent}
	if x.known.value != "" {
		op.Expect, op.ExpectTS = datastate.VersionIs, x.known.ts
	}
	x.data = datastate.EncodeBatch(&datastate.Batch{Ops: []datastate.Op{op}})
	x.attempt()
}

// delay is how long a message takes between the gateway and the leader.
func (x *addition) delay() time.Duration {
	w := x.a.w
	switch {
	case w.faults && w.chance(2):
		return w.ms(10, 1500)
	case x.a.id < nearAdders:
		return time.Duration(w.rng.IntN(200)) * time.Microsecond
	}
	return w.ms(1, 4)
}

func (x *addition) attempt() {
	w := x.a.w
	n, _, ok := w.Leader(x.to)
	if !ok || w.chance(5) {
		n = w.nodes[w.rng.IntN(len(w.nodes))]
	}
	x.tries++
	try, copies := x.tries, 1
	if w.faults && w.chance(3) {
		copies = 2
	}
	x.maybe = x.maybe || copies > 1
	p := replica.Proposal{ID: x.cmd, Retry: x.maybe, Payload: x.data, Keep: true, InPlaceOf: x.kept}
	for range copies {
		w.After(x.delay(), func() { n.do(func() { x.serve(n, p.ID, p.Retry, p.Payload, p.InPlaceOf, try) }) })
	}
	w.After(attemptTime, func() { x.again(try, true) })
}

// again tries the same command once more, unless it has its answer.
func (x *addition) again(try int, maybe bool) {
	w := x.a.w
	if x.done || try != x.tries {
		return
	}
	x.maybe = x.maybe || maybe
	if w.now-x.begun > giveUp && w.faults {
		x.finish()
		w.Stats.Unsure++
		x.a.begin(x.known)
		return
	}
	x.tries++
	try = x.tries
	w.After(w.ms(2, 60), func() {
		if !x.done && try == x.tries {
			x.attempt()
		}
	})
}

func (x *addition) serve(n *Node, id replica.CommandID, retry bool, data []byte, kept replica.CommandID, try int) {
	w := x.a.w
	p := &replica.Proposal{ID: id, Retry: retry, Payload: data, Keep: true, InPlaceOf: kept}
	p.Done = func(o replica.Outcome) {
		if w.faults && w.chance(2) {
			return // the answer is lost
		}
		n.later(x.delay(), func() { x.answered(id, o, try) })
	}
	n.core.Propose(x.to, p)
}

func (x *addition) answered(id replica.CommandID, o replica.Outcome, try int) {
	w := x.a.w
	if x.done || id != x.cmd {
		return
	}
	if o.Err != nil {
		var notLeader *store.NotLeaderError
		var offset *hlc.OffsetError
		if !errors.As(o.Err, &notLeader) && !errors.As(o.Err, &offset) && !store.Retryable(o.Err) && !store.MaybeApplied(o.Err) {
			w.fail("an addition: %v", o.Err)
		}
		x.again(try, store.MaybeApplied(o.Err))
		return
	}
	r, err := datastate.DecodeResult(o.Result)
	switch {
	case err == nil && r.Outcome == datastate.Applied:
		sum, _ := strconv.Atoi(x.known.value)
		x.finish()
		w.Stats.Added++
		x.a.begin(version{strconv.Itoa(sum + 1), o.TS})
	case try != x.tries:
		// of an attempt that was given up: another is on its way, and may be applied
	case err == nil && r.Outcome == datastate.WrongRange:
		x.tries++
		w.After(w.ms(2, 60), x.command)
	case err == nil && r.Outcome == datastate.ConditionFailed:
		x.lost(version{string(r.Existing), r.ExistingTS})
	default:
		w.fail("result %+v of an addition: %v", r, err)
	}
}

// lost has the gateway come again at once, mostly; late, when its place may have ended;
// or not at all, with or without a word.
func (x *addition) lost(is version) {
	w := x.a.w
	x.tries++ // no other answer counts
	w.Stats.Turns++
	if !x.late && w.settled() && x.begun > w.cfg.Duration-w.quiet()+2*time.Second {
		if x.losses++; x.losses > additionLosses {
			w.unfair = fmt.Sprintf("at %s gateway %d had lost %d times at one row, although it came again at once", w.now, x.a.id, x.losses)
		}
	}
	x.known, x.kept, x.late = is, x.cmd, false
	switch n := w.rng.IntN(100); {
	case n < 3: // it dies
		x.finish()
		w.After(w.ms(200, 1500), func() { x.a.begin(version{}) })
	case n < 6: // it has no use for the place
		x.finish()
		p := &replica.Proposal{InPlaceOf: x.kept, Done: func(replica.Outcome) {}}
		if n, _, ok := w.Leader(x.to); ok {
			w.After(x.delay(), func() { n.do(func() { n.core.Propose(x.to, p) }) })
		}
		w.After(w.ms(1, 100), func() { x.a.begin(version{}) })
	case n < 12:
		x.late = true
		w.After(w.ms(250, 700), x.command)
	default:
		x.command()
	}
}

func (x *addition) finish() { x.done = true }

// checkHotRow wants the row to be the sum of what was acknowledged, and perhaps of what
// is not known.
func (w *World) checkHotRow() {
	if !w.cfg.Hot {
		return
	}
	v, err := w.valueAt(place{id: 2}, hlc.Max)
	if err != nil {
		w.fail("read the hot row: %v", err)
		return
	}
	if sum, _ := strconv.Atoi(v); sum < w.Stats.Added || sum > w.Stats.Added+w.Stats.Unsure {
		w.fail("a row to which %d was added, and perhaps %d more, is %d", w.Stats.Added, w.Stats.Unsure, sum)
	} else if w.unfair != "" {
		w.fail("%s", w.unfair)
	}
}
