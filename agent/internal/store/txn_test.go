package store

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/evaluation"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/lock"
	"github.com/nodedb/nodedb/agent/internal/replica"
)

type encoder interface{ Encode() []byte }

// txnOf is the transaction with a number, and the key of its record in range 2.
func txnOf(n uint64) (cluster.TxnID, []byte) {
	id := cluster.NewTxnID(n, 1, 1)
	return id, keys.TxnRecord(putOp("a", "").Row, id)
}

func (f *placeFixture) askFor(of cluster.RangeID, id uint64, req encoder) *replica.Proposal {
	p := &replica.Proposal{Payload: req.Encode()}
	f.askOf(of, id, p)
	f.run()
	return p
}

func (f *placeFixture) ticks(n int) {
	for range n {
		f.c.Tick()
		f.run()
	}
}

// locking is a request of transaction n for locks on rows.
func locking(n uint64, s lock.Strength, keys ...string) *datastate.Lock {
	l := &datastate.Lock{Strength: s}
	l.Txn, l.Record = txnOf(n)
	for _, k := range keys {
		l.Rows = append(l.Rows, putOp(k, "").Row)
	}
	return l
}

func ending(n uint64, keys ...string) *datastate.Resolve {
	r := &datastate.Resolve{}
	r.Txn, _ = txnOf(n)
	for _, k := range keys {
		r.Rows = append(r.Rows, putOp(k, "").Row)
	}
	return r
}

// TestLocksAreWaitedFor: by transactions and by statements outside of any, in the order
// of arrival; and who holds a lock is not in its own way.
func TestLocksAreWaitedFor(t *testing.T) {
	f := newPlaceFixture(t)
	before, _ := f.c.RangeStatus(2)
	f.askFor(2, 2, locking(1, lock.Update, "a"))
	r := f.want(2, datastate.Applied)
	if len(r.Rows) != 1 || string(r.Rows[0].Value) != "1" || r.Rows[0].TS == 0 || r.Rows[0].Contended {
		t.Fatalf("a lock found %+v", r.Rows)
	}
	if st, _ := f.c.RangeStatus(2); st.Applied != before.Applied {
		t.Errorf("a lock in memory took %d entries", st.Applied-before.Applied)
	}
	f.askFor(2, 3, locking(2, lock.Update, "a"))
	f.ask(4, &replica.Proposal{}, putOp("a", "4"))
	f.ask(5, &replica.Proposal{}, putOp("b", "5"))
	f.askFor(2, 6, locking(1, lock.Share, "a"))
	f.want(3, 0)
	f.want(4, 0)
	f.want(5, datastate.Applied)
	f.want(6, datastate.Applied)
	txn, _ := txnOf(1)
	f.askFor(2, 7, rawBatch{Txn: txn, Ops: []datastate.Op{putOp("a", "mine")}})
	f.want(7, datastate.Applied)
	if r := f.want(3, datastate.Applied); string(r.Rows[0].Value) != "mine" || r.Rows[0].TS != f.answers[7].ExistingTS || !r.Rows[0].Contended {
		t.Errorf("who waited found %+v", r.Rows)
	}
	f.want(4, 0)
	f.askFor(2, 8, ending(2, "a"))
	f.want(8, datastate.Applied)
	f.want(4, datastate.Applied)
}

type rawBatch datastate.Batch

func (b rawBatch) Encode() []byte { return datastate.EncodeBatch((*datastate.Batch)(&b)) }

// TestWhoWaitsIsTold: after a while for whom, and its place is kept for it.
func TestWhoWaitsIsTold(t *testing.T) {
	f := newPlaceFixture(t)
	f.askFor(2, 2, locking(1, lock.Update, "a"))
	f.askFor(2, 3, locking(2, lock.Update, "a"))
	f.askFor(2, 4, locking(3, lock.Update, "a"))
	f.ticks(3)
	f.want(3, 0)
	f.ticks(1)
	r := f.want(3, datastate.Blocked)
	if txn, record := txnOf(1); len(r.By) != 1 || r.By[0].Txn != txn || string(r.By[0].Record) != string(record) || string(r.By[0].Row) != string(putOp("a", "").Row) {
		t.Fatalf("blocked by %+v", r.By)
	}
	if r := f.want(4, datastate.Blocked); len(r.By) != 2 {
		t.Fatalf("blocked by %+v", r.By)
	}
	f.askFor(2, 5, ending(1, "a"))
	f.askFor(2, 6, locking(3, lock.Update, "a")) // it is behind transaction 2, which is away
	f.want(6, 0)
	f.askFor(2, 7, locking(2, lock.Update, "a"))
	if r := f.want(7, datastate.Applied); !r.Rows[0].Contended {
		t.Error("who has waited, and has others wait, is not told so")
	}
	f.askFor(2, 8, ending(2, "a"))
	f.want(6, datastate.Applied)
	// A place that nobody comes back to ends.
	f.askFor(2, 9, locking(4, lock.Update, "a"))
	f.ticks(6)
	f.want(9, datastate.Blocked)
	f.askFor(2, 10, ending(3, "a"))
	f.ask(11, &replica.Proposal{}, putOp("a", "x"))
	f.run()
	f.want(11, 0)
	f.ticks(6)
	f.want(11, datastate.Applied)
}

// TestNobodyHasToWait: NOWAIT, SKIP LOCKED, and who is cancelled.
func TestNobodyHasToWait(t *testing.T) {
	f := newPlaceFixture(t)
	f.askFor(2, 2, locking(1, lock.NoKeyUpdate, "b"))
	f.askFor(2, 3, locking(2, lock.KeyShare, "b"))
	f.want(3, datastate.Applied)
	l := locking(3, lock.Update, "a", "b")
	l.Wait = evaluation.NoWait
	f.askFor(2, 4, l)
	if r := f.want(4, datastate.Blocked); len(r.By) != 2 {
		t.Errorf("blocked by %+v", r.By)
	}
	l = locking(4, lock.Update, "a", "b", "c")
	l.Wait = evaluation.SkipLocked
	f.askFor(2, 5, l)
	if r := f.want(5, datastate.Applied); len(r.Rows) != 3 || !r.Rows[0].Skipped || !r.Rows[1].Skipped || r.Rows[2].Skipped || len(r.Rows[0].By) != 1 || len(r.Rows[0].By[0].Record) == 0 {
		t.Errorf("locked %+v", r.Rows) // "a" is transaction 3's, which was refused over "b"
	}
	p := f.askFor(2, 6, locking(5, lock.Update, "b"))
	if !p.Cancel() {
		t.Fatal("who waits for a lock cannot be taken back")
	}
	f.c.Cancelled(2, p)
	f.askFor(2, 7, ending(1, "b"))
	f.askFor(2, 8, ending(2, "b"))
	f.ask(9, &replica.Proposal{}, putOp("b", "x"))
	f.run()
	f.want(9, datastate.Applied)
}

// TestIntentsAreMet: by readers at their time, by writers always; a refusal over a
// version whose command is under way tells its time; and all of it survives a start and
// a split.
func TestIntentsAreMet(t *testing.T) {
	f := newPlaceFixture(t)
	txn, record := txnOf(1)
	early := f.c.cfg.Clock.Now()
	right := putAt(45, "r", "new")
	f.askFor(2, 2, &datastate.Prewrite{Ops: []datastate.Op{putOp("a", "new"), right}, Txn: txn, Record: record})
	at := f.want(2, datastate.Applied).ExistingTS
	f.ask(3, &replica.Proposal{}, putOp("a", "other"))
	f.run()
	f.want(3, 0)
	met := func(id cluster.RangeID, ts hlc.Timestamp, passed ...cluster.TxnID) (n int) {
		t.Helper()
		f.c.Read(id, ts, func(h *ReadHandle, err error) {
			f.must(err)
			defer h.Close()
			var intents *IntentsError
			if errors.As(Meets(id, h.Mirror, evaluation.Query{TS: ts, Passed: passed}), &intents) {
				n = len(intents.Intents)
			}
		})
		f.run()
		return n
	}
	if met(2, early) != 0 || met(2, at) != 2 || met(2, at, txn) != 0 {
		t.Fatalf("met %d early, %d, %d of those passed", met(2, early), met(2, at), met(2, at, txn))
	}
	f.must(f.split(2, atForty).Err)
	f.ticks(1)
	f.want(3, 0)
	if met(2, at) != 1 || met(9, at) != 1 {
		t.Fatalf("met %d and %d after a split", met(2, at), met(9, at))
	}
	f.askOf(9, 4, &replica.Proposal{}, right)
	f.run()
	f.want(4, 0)
	f.must(f.e.Close())
	f.open()
	f.now = f.now.Add(5e9) // the clock's ceiling passes
	f.c.Tick()
	f.run()
	if met(2, f.c.cfg.Clock.Now()) != 1 || met(9, f.c.cfg.Clock.Now()) != 1 {
		t.Fatal("intents are lost with a start")
	}
	f.askOf(9, 5, &replica.Proposal{}, right)
	f.run()
	f.want(5, 0)
	f.askFor(2, 6, &datastate.Commit{Ops: []datastate.Op{putOp("a", "new")}, Txn: txn, Record: record, Min: at})
	c := f.want(6, datastate.Applied).ExistingTS
	f.askFor(9, 7, &datastate.Resolve{Txn: txn, Record: record, CommitTS: c, Rows: [][]byte{right.Row}})
	f.want(7, datastate.Applied)
	f.want(5, datastate.Applied)
	if met(2, hlc.New(f.now)) != 0 || met(9, hlc.New(f.now)) != 0 {
		t.Error("intents are left")
	}
}

// TestLocksInMemoryOutliveASplit: the child's first leader has those of its rows.
func TestLocksInMemoryOutliveASplit(t *testing.T) {
	f := newPlaceFixture(t)
	right := putAt(45, "r", "new")
	l := locking(1, lock.Update, "a")
	l.Rows = append(l.Rows, right.Row)
	f.askFor(2, 2, l)
	f.want(2, datastate.Applied)
	f.must(f.split(2, atForty).Err)
	f.ticks(1)
	other := locking(2, lock.Update)
	other.Rows, other.Wait = [][]byte{right.Row}, evaluation.NoWait
	f.askFor(9, 3, other)
	f.want(3, datastate.Blocked)
	f.askFor(2, 4, locking(2, lock.Share, "a"))
	f.want(4, 0)
	txn, _ := txnOf(1)
	f.askFor(9, 5, rawBatch{Txn: txn, Ops: []datastate.Op{right}})
	f.want(5, datastate.Applied)
	f.askFor(9, 6, other)
	f.want(6, datastate.Applied)
}

// TestWhoWaitsAtAFailingDiskAsksAnother: it is told that the store stops, which gateways
// know, whatever the disk says.
func TestWhoWaitsAtAFailingDiskAsksAnother(t *testing.T) {
	f := newPlaceFixture(t)
	f.askFor(2, 2, locking(1, lock.Update, "a"))
	f.want(2, datastate.Applied)
	var got error
	p := &replica.Proposal{ID: f.id(3), Payload: locking(2, lock.Update, "a").Encode(), Done: func(o replica.Outcome) { got = o.Err }}
	f.c.Propose(2, p)
	f.run()
	disk := errors.New("input/output error")
	f.c.cfg.OnFatal = nil
	f.c.BatchFailed(disk)
	if !errors.Is(got, ErrStopped) || !errors.Is(got, disk) {
		t.Errorf("who waits is told: %v", got)
	}
}

// TestLocksAreShown: those that are held and waited for, of the ranges that the node
// leads.
func TestLocksAreShown(t *testing.T) {
	f := newPlaceFixture(t)
	f.askFor(2, 2, locking(1, lock.Update, "a"))
	f.askFor(2, 3, locking(2, lock.Share, "a"))
	tables := f.c.lockTables()
	if len(tables) != 1 || tables[0].id != 2 {
		t.Fatalf("tables %v, want that of r2", tables)
	}
	var got []string
	for _, l := range tables[0].table.All(10) {
		got = append(got, fmt.Sprint(cluster.TxnID(l.ID).Began(), " ", l.Strength, " ", l.Granted))
	}
	if want := []string{"1 FOR UPDATE true", "2 FOR SHARE false"}; !slices.Equal(got, want) {
		t.Errorf("locks %q, want %q", got, want)
	}
}

// TestAKeptLockIsGivenUp: who was told that others are in its way, and goes another way,
// is in nobody's way until its place ends by itself.
func TestAKeptLockIsGivenUp(t *testing.T) {
	f := newPlaceFixture(t)
	f.askFor(2, 2, locking(1, lock.Update, "a"))
	f.ask(3, &replica.Proposal{}, putOp("a", "3"))
	f.run()
	f.ticks(6)
	f.want(3, datastate.Blocked)
	f.askFor(2, 4, locking(2, lock.Update, "a"))
	f.askFor(2, 5, ending(1, "a"))
	f.want(4, 0)
	f.ask(6, &replica.Proposal{InPlaceOf: f.id(3)})
	f.run()
	f.want(4, datastate.Applied)
}

// TestWhoWaitsElsewhereIsInNobodysWay: nobody waits behind the place of one who waits for
// another row.
func TestWhoWaitsElsewhereIsInNobodysWay(t *testing.T) {
	if wrong := waitsElsewhere(t, nil); wrong != "" {
		t.Error(wrong)
	}
}

// waitsElsewhere has a request come back whose place in the line of a row is kept, and wait
// for another row: it has to have left that place. Else who has the other row waits behind
// it, for as long as it comes back, and that is for ever.
func waitsElsewhere(t *testing.T, tune func(*Config)) string {
	f := newTunedPlaceFixture(t, tune)
	txn, _ := txnOf(2)
	both := rawBatch{Txn: txn, Ops: []datastate.Op{putOp("b", "2"), putOp("a", "2")}}
	f.askFor(2, 2, locking(1, lock.Update, "a"))
	f.askFor(2, 3, both)
	f.ticks(4)
	f.want(3, datastate.Blocked) // at "a"
	f.askFor(2, 4, locking(3, lock.Update, "b"))
	f.want(4, datastate.Applied)
	f.askFor(2, 5, ending(1, "a"))
	f.askFor(2, 6, both)
	f.askFor(2, 7, locking(3, lock.Update, "a"))
	f.want(6, 0) // at "b"
	if r := f.answers[7]; r == nil || r.Outcome != datastate.Applied {
		return fmt.Sprintf("who has the other row waits behind a place that is not used: %+v", r)
	}
	f.askFor(2, 8, ending(3, "a", "b"))
	f.want(6, datastate.Applied)
	return ""
}
