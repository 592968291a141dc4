package store

import (
	"testing"

	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/replica"
)

// placeFixture has a row "a" with a value, and keeps what requests are answered.
type placeFixture struct {
	*coreFixture
	answers map[uint64]*datastate.Result
}

func newPlaceFixture(t *testing.T) *placeFixture {
	f := &placeFixture{newCoreFixture(t), map[uint64]*datastate.Result{}}
	f.ask(1, &replica.Proposal{}, putOp("a", "1"))
	f.run()
	f.want(1, datastate.Applied)
	return f
}

// ask proposes a request; p says what else it asks for.
func (f *placeFixture) ask(id uint64, p *replica.Proposal, ops ...datastate.Op) {
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
	f.c.Propose(2, p)
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
