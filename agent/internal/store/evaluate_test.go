package store

import (
	"testing"

	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/replica"
)

// TestARefusalNeedsNoEntry: it is answered, and the log is as it was; but if an earlier
// attempt may still arrive, an entry refuses that one too.
func TestARefusalNeedsNoEntry(t *testing.T) {
	f := newCoreFixture(t)
	insert := putOp("a", "1")
	insert.Expect = datastate.Absent
	if o := f.propose(f.id(1), insert); outcome(t, o) != datastate.Applied {
		t.Fatalf("insert: %+v", o)
	}
	before, _ := f.c.RangeStatus(2)
	if o := f.propose(f.id(2), insert); outcome(t, o) != datastate.ConditionFailed {
		t.Errorf("a second insert: %+v", o)
	}
	if st, _ := f.c.RangeStatus(2); st.Applied != before.Applied {
		t.Errorf("a refusal took %d entries", st.Applied-before.Applied)
	}
	var o replica.Outcome
	f.c.Propose(2, &replica.Proposal{ID: f.id(3), Retry: true, Payload: datastate.EncodeBatch(&datastate.Batch{Ops: []datastate.Op{insert}}), Done: func(x replica.Outcome) { o = x }})
	f.run()
	gone := putOp("a", "")
	gone.Kind = datastate.Delete
	if x := f.propose(f.id(4), gone); outcome(t, o) != datastate.ConditionFailed || outcome(t, x) != datastate.Applied {
		t.Fatalf("a retry %+v, a deletion %+v", o, x)
	}
	if late := f.propose(f.id(3), insert); outcome(t, late) != datastate.ConditionFailed {
		t.Errorf("the first attempt comes late, after the row has gone: %+v", late)
	}
}

// TestARetryThatJoinsIsRefusedByAnEntry: a first attempt that comes late is joined by
// its second retry. The first retry may still come, and must find the same refusal.
func TestARetryThatJoinsIsRefusedByAnEntry(t *testing.T) {
	f := newCoreFixture(t)
	if o := f.propose(f.id(1), putOp("a", "1")); outcome(t, o) != datastate.Applied {
		t.Fatalf("put: %+v", o)
	}
	insert := putOp("a", "2")
	insert.Expect = datastate.Absent
	answers := 0
	for _, retry := range []bool{false, true} {
		f.c.Propose(2, &replica.Proposal{
			ID: f.id(2), Retry: retry, Payload: datastate.EncodeBatch(&datastate.Batch{Ops: []datastate.Op{insert}}),
			Done: func(o replica.Outcome) {
				if answers++; outcome(t, o) != datastate.ConditionFailed {
					t.Errorf("an insert over a row: %+v", o)
				}
			},
		})
	}
	f.run()
	gone := putOp("a", "")
	gone.Kind = datastate.Delete
	if o := f.propose(f.id(3), gone); answers != 2 || outcome(t, o) != datastate.Applied {
		t.Fatalf("%d answers, a deletion %+v", answers, o)
	}
	if late := f.propose(f.id(2), insert); outcome(t, late) != datastate.ConditionFailed {
		t.Errorf("an attempt comes late, after the row has gone: %+v", late)
	}
}

// TestALineGoesOnFromWhatIsDecided: the second of two requests on one row is evaluated
// upon what the first leaves before that is applied, and one between them that is
// taken back leaves its place.
func TestALineGoesOnFromWhatIsDecided(t *testing.T) {
	f := newCoreFixture(t)
	var answers []string
	ask := func(id uint64, op datastate.Op) *replica.Proposal {
		p := &replica.Proposal{ID: f.id(id), Payload: datastate.EncodeBatch(&datastate.Batch{Ops: []datastate.Op{op}})}
		p.Done = func(o replica.Outcome) {
			if o.Err != nil {
				t.Errorf("request %d: %v", id, o.Err)
				return
			}
			r, err := datastate.DecodeResult(o.Result)
			f.must(err)
			answers = append(answers, string(rune('0'+id))+string(rune('0'+r.Outcome))+string(r.Existing))
		}
		f.c.Propose(2, p)
		return p
	}
	insert := putOp("a", "mine")
	insert.Expect = datastate.Absent
	ask(1, insert)
	between := ask(2, putOp("a", "never"))
	ask(3, insert)
	if !between.Cancel() {
		t.Fatal("one that waits in line cannot be taken back")
	}
	f.c.Cancelled(2, between)
	f.run()
	if len(answers) != 2 || answers[0] != "11" || answers[1] != "32mine" {
		t.Errorf("answers %q, want the first applied and the third refused for what the first wrote", answers)
	}
}

// TestWhatIsKnownIsNotRead: who writes a row that was just written is decided about at
// once, in the loop, and goes by what was written.
func TestWhatIsKnownIsNotRead(t *testing.T) {
	f := newCoreFixture(t)
	insert := putOp("a", "1")
	insert.Expect = datastate.Absent
	first := f.propose(f.id(1), insert)
	if outcome(t, first) != datastate.Applied {
		t.Fatalf("insert: %+v", first)
	}
	var o replica.Outcome
	for id, want := range []datastate.Outcome{datastate.Applied, datastate.ConditionFailed} {
		update := putOp("a", "2")
		update.Expect, update.ExpectTS = datastate.VersionIs, first.TS
		f.c.Propose(2, &replica.Proposal{
			ID: f.id(uint64(id) + 2), Payload: datastate.EncodeBatch(&datastate.Batch{Ops: []datastate.Op{update}}),
			Done: func(x replica.Outcome) { o = x },
		})
		f.c.Process()
		if js := f.c.TakeEvaluations(); len(js) > 0 {
			t.Errorf("%d evaluations are handed out for a row that is known", len(js))
		}
		if f.run(); outcome(t, o) != want {
			t.Errorf("update %d: %+v, want %d", id, o, want)
		}
	}
}
