package store

import (
	"fmt"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/lock"
	"github.com/nodedb/nodedb/agent/internal/replica"
)

// placeFixture has a row "a" with a value, and keeps what requests are answered.
type placeFixture struct {
	*coreFixture
	answers map[uint64]*datastate.Result
}

func newPlaceFixture(t *testing.T) *placeFixture { return newTunedPlaceFixture(t, nil) }

func newTunedPlaceFixture(t *testing.T, tune func(*Config)) *placeFixture {
	f := &placeFixture{newTunedFixture(t, tune), map[uint64]*datastate.Result{}}
	f.ask(1, &replica.Proposal{}, putOp("a", "1"))
	f.run()
	f.want(1, datastate.Applied)
	return f
}

// ask proposes a request to range 2; p says what else it asks for.
func (f *placeFixture) ask(id uint64, p *replica.Proposal, ops ...datastate.Op) {
	f.askOf(2, id, p, ops...)
}

func (f *placeFixture) askOf(of cluster.RangeID, id uint64, p *replica.Proposal, ops ...datastate.Op) {
	p.ID = f.id(id)
	if len(ops) > 0 {
		p.Payload = datastate.EncodeBatch(&datastate.Batch{Ops: ops})
	}
	p.Done = func(o replica.Outcome) {
		f.must(o.Err)
		r, err := datastate.DecodeResult(o.Result)
		f.must(err)
		if r.Outcome == datastate.Applied {
			r.ExistingTS = o.TS
		}
		f.answers[id] = r
	}
	f.c.Propose(of, p)
}

func (f *placeFixture) want(id uint64, o datastate.Outcome) *datastate.Result {
	f.t.Helper()
	r := f.answers[id]
	if r == nil {
		if o == 0 {
			return nil
		}
		f.t.Fatalf("request %d has no answer", id)
	}
	if r.Outcome != o {
		f.t.Fatalf("request %d: %+v, want outcome %d", id, r, o)
	}
	return r
}

// lose has request id lose, and keep its place on "a" and what else it names.
func (f *placeFixture) lose(id uint64, others ...datastate.Op) *datastate.Result {
	f.t.Helper()
	stale := putOp("a", "stale")
	stale.Expect = datastate.Absent
	f.ask(id, &replica.Proposal{Keep: true}, append(others, stale)...)
	f.run()
	return f.want(id, datastate.ConditionFailed)
}

func absent(op datastate.Op) datastate.Op {
	op.Expect = datastate.Absent
	return op
}

func on(key, value string, is *datastate.Result) datastate.Op {
	op := putOp(key, value)
	op.Expect, op.ExpectTS = datastate.VersionIs, is.ExistingTS
	return op
}

// TestWhoLostKeepsItsPlace: nobody writes the row before the one who was told what it
// is, and who comes in the place of the first is granted.
func TestWhoLostKeepsItsPlace(t *testing.T) {
	f := newPlaceFixture(t)
	is := f.lose(2)
	f.ask(3, &replica.Proposal{}, putOp("a", "other"))
	f.run()
	f.want(3, 0)
	f.ask(4, &replica.Proposal{Keep: true, InPlaceOf: f.id(2)}, on("a", "mine", is))
	f.run()
	f.want(4, datastate.Applied)
	f.want(3, datastate.Applied)
	if f.answers[3].ExistingTS <= f.answers[4].ExistingTS {
		t.Error("who waited was first")
	}
	// The place was taken: nobody has it any more.
	f.ask(5, &replica.Proposal{InPlaceOf: f.id(2)}, on("a", "again", is))
	f.run()
	f.want(5, datastate.ConditionFailed)
}

// TestAPlaceEnds: when it is given up, after a while, and on the rows that its
// successor does not name; and who comes in one that has ended stands in line.
func TestAPlaceEnds(t *testing.T) {
	f := newPlaceFixture(t)
	is := f.lose(2)
	f.ask(3, &replica.Proposal{}, on("a", "given", is))
	f.run()
	f.want(3, 0)
	f.ask(4, &replica.Proposal{InPlaceOf: f.id(2)})
	f.run()
	f.want(3, datastate.Applied)

	is = f.lose(5)
	f.ask(6, &replica.Proposal{}, on("a", "waited", is))
	f.run()
	f.want(6, 0)
	for range 5 {
		f.c.Tick()
		f.run()
	}
	f.want(6, datastate.Applied)
	f.ask(7, &replica.Proposal{Keep: true, InPlaceOf: f.id(5)}, on("a", "late", is))
	f.run()
	is = f.want(7, datastate.ConditionFailed)
	f.ask(8, &replica.Proposal{InPlaceOf: f.id(7)}, on("a", "late", is), putOp("c", "beside"))
	f.run()
	f.want(8, datastate.Applied) // it holds no place on "c", so it stood in line

	is = f.lose(9, putOp("b", "never"))
	f.ask(10, &replica.Proposal{}, putOp("b", "other"))
	f.run()
	f.want(10, 0)
	f.ask(11, &replica.Proposal{InPlaceOf: f.id(9)}, on("a", "only", is))
	f.run()
	f.want(10, datastate.Applied)
	f.want(11, datastate.Applied)
}

var atForty = cluster.RangeSplit{At: cluster.VShard(40).Key(), Child: 9, Expect: 1} //nolint:gochecknoglobals // a value

// TestAPlaceEndsWithASplit: who waits behind it does not wait for its time.
func TestAPlaceEndsWithASplit(t *testing.T) {
	f := newPlaceFixture(t)
	is := f.lose(2)
	f.ask(3, &replica.Proposal{}, on("a", "other", is))
	f.run()
	f.want(3, 0)
	f.must(f.split(2, atForty).Err)
	f.want(3, datastate.Applied)
	f.ask(4, &replica.Proposal{InPlaceOf: f.id(2)}, on("a", "mine", is))
	f.run()
	f.want(4, datastate.ConditionFailed)
}

// TestTwoWhoWaitForEachOther: two statements have a place in one range each, and wait
// for the other's. Time ends that, within what a place lasts.
func TestTwoWhoWaitForEachOther(t *testing.T) {
	f := newPlaceFixture(t)
	f.must(f.split(2, atForty).Err)
	f.c.Tick()
	f.run()
	one, other := putAt(32, "x", ""), putAt(45, "y", "")
	f.askOf(2, 2, &replica.Proposal{}, one)
	f.askOf(9, 3, &replica.Proposal{}, other)
	f.run()
	f.want(2, datastate.Applied)
	f.want(3, datastate.Applied)
	f.askOf(2, 4, &replica.Proposal{Keep: true}, absent(one))
	f.askOf(9, 5, &replica.Proposal{Keep: true}, absent(other))
	f.run()
	f.want(4, datastate.ConditionFailed)
	f.want(5, datastate.ConditionFailed)
	f.askOf(9, 6, &replica.Proposal{Keep: true}, other)
	f.askOf(2, 7, &replica.Proposal{Keep: true}, one)
	f.run()
	f.want(6, 0)
	f.want(7, 0)
	for range 4 { // a tick that has begun, and three
		f.c.Tick()
		f.run()
	}
	f.want(6, datastate.Applied)
	f.want(7, datastate.Applied)
}

// TestASplitVoidsARefusal: a request was refused over what another one leaves, which
// was decided and not proposed when the range was split. Both are decided anew.
func TestASplitVoidsARefusal(t *testing.T) {
	f := newPlaceFixture(t)
	f.c.Split(2, atForty, func(o replica.Outcome) { f.must(o.Err) })
	stays, goes := putAt(33, "s", "1"), putAt(45, "g", "1")
	f.ask(2, &replica.Proposal{}, stays)
	f.ask(3, &replica.Proposal{Keep: true}, absent(stays))
	f.ask(4, &replica.Proposal{}, goes)
	f.ask(5, &replica.Proposal{Keep: true}, absent(goes))
	for range 3 { // the split is in raft, and nothing is written meanwhile
		f.c.Process()
		evaluateAll(f.c)
	}
	for id := uint64(2); id <= 5; id++ {
		f.want(id, 0)
	}
	f.run()
	f.want(2, datastate.Applied)
	if r := f.want(3, datastate.ConditionFailed); string(r.Existing) != "1" {
		t.Errorf("refused over %+v", r)
	}
	f.want(4, datastate.WrongRange)
	f.want(5, datastate.WrongRange)
}

// TestAPlaceGoesBeforeLocks: a statement that comes in its place does not wait behind the
// line of a lock.
func TestAPlaceGoesBeforeLocks(t *testing.T) {
	if wrong := placeBeforeLocks(t, nil); wrong != "" {
		t.Error(wrong)
	}
}

// placeBeforeLocks has transactions lock a row, write it and come again, so that somebody
// always waits for its lock. A statement beside them is to be written after those that were
// ahead of it when it came, and after nobody twice.
func placeBeforeLocks(t *testing.T, tune func(*Config)) string {
	const txns = 4
	f := newTunedPlaceFixture(t, tune)
	is, next := &datastate.Result{ExistingTS: f.answers[1].ExistingTS}, uint64(100)
	ask := func(req encoder) uint64 {
		next++
		f.askFor(2, next, req)
		return next
	}
	var line []uint64 // transactions in the order in which they came; their requests
	requests := map[uint64]uint64{}
	begin := func(n uint64) {
		line, requests[n] = append(line, n), ask(locking(n, lock.Update, "a"))
	}
	for n := range uint64(txns) {
		begin(n + 1)
	}
	mine := uint64(10)
	f.ask(mine, &replica.Proposal{Keep: true}, on("a", "mine", is))
	f.run()
	turns := 0
	for ; turns < 3*txns && f.answers[mine] == nil; turns++ {
		n := line[0]
		line = line[1:]
		f.want(requests[n], datastate.Applied)
		txn, _ := txnOf(n)
		f.want(ask(rawBatch{Txn: txn, Ops: []datastate.Op{putOp("a", "theirs")}}), datastate.Applied)
		begin(n + txns)
		if r := f.answers[mine]; r != nil && r.Outcome == datastate.ConditionFailed {
			mine++
			f.ask(mine, &replica.Proposal{Keep: true, InPlaceOf: f.id(mine - 1)}, on("a", "mine", r))
			f.run()
		}
	}
	if r := f.answers[mine]; r == nil || r.Outcome != datastate.Applied || turns != txns {
		return fmt.Sprintf("%d turns of others went first, want those %d that were there; the statement: %+v", turns, txns, r)
	}
	f.want(requests[line[0]], datastate.Applied) // who waited goes on
	return ""
}
