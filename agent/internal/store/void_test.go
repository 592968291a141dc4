package store

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/replica"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// TestAVoidEvaluationMayBeWrong: an evaluation that is carried out late, when the range was
// split and its rows have changed, finds that nothing is as its leader remembered it. It is
// void, and nothing is broken.
func TestAVoidEvaluationMayBeWrong(t *testing.T) {
	f := newPlaceFixture(t)
	f.ask(2, &replica.Proposal{}, putOp("a", "2"), putOp("b", "2")) // "b" is not remembered: it is handed out
	f.c.Process()
	late := f.c.TakeEvaluations()
	if len(late) != 1 {
		t.Fatalf("%d evaluations are handed out", len(late))
	}
	f.must(f.split(2, atForty).Err)
	f.want(2, datastate.Applied)
	rows := storage.NewRows(f.e)
	late[0].Run(rows)
	f.must(rows.Close())
	f.c.Evaluated(late)
	f.ask(3, &replica.Proposal{}, putOp("a", "3"))
	f.run()
	f.want(3, datastate.Applied)
}

// TestABrokenEvaluationStopsItsReplica, and not the node: evaluations are carried out beside
// the loop.
func TestABrokenEvaluationStopsItsReplica(t *testing.T) {
	f := newPlaceFixture(t)
	op := putOp("a", "2")
	it, err := f.e.NewIter(op.Row, append(bytes.Clone(op.Row), 0xff))
	f.must(err)
	if !it.First() {
		t.Fatal("the row is not there")
	}
	f.set(keys.Version(op.Row, hlc.New(f.now.Add(time.Second))), bytes.Clone(it.Value())) // nobody has decided that
	f.must(it.Close())
	o := f.propose(f.id(2), op, putOp("b", "2"))
	if o.Err == nil || !strings.Contains(o.Err.Error(), "is remembered as of") {
		t.Errorf("the request is answered with %v", o.Err)
	}
}
