package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/evaluation"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/lock"
	"github.com/nodedb/nodedb/agent/internal/replica"
)

// bank has transactions move money between accounts of two ranges, of which each part
// works when a die says so, and readers of all accounts, who must find all the money.
type bank struct {
	*coreFixture
	rng      *rand.Rand
	accounts [][]byte
	seq      uint64
	answers  []func()
	readers  int    // that found all of it
	found    string // what is wrong

	moments   []hlc.Timestamp
	round     *replica.Round
	committed bool
	stats     struct{ committed, aborted, left, pushed, met int }
}

const (
	bankRows  = 7
	bankMoney = 100 // in each account
	bankSteps = 8000
	bankSeeds = 20
)

func newBank(t *testing.T, seed uint64, tune func(*Config)) *bank {
	b := &bank{coreFixture: newTunedFixture(t, tune), rng: rand.New(rand.NewPCG(seed, 30))}
	b.must(b.split(2, atForty).Err)
	b.c.Tick()
	b.run()
	for i := range bankRows {
		row := putAt(cluster.VShard(33+2*i), fmt.Sprint("account", i), strconv.Itoa(bankMoney))
		b.accounts = append(b.accounts, row.Row)
		b.ask(datastate.EncodeBatch(&datastate.Batch{Ops: []datastate.Op{row}}), row.Row, func(*datastate.Result, hlc.Timestamp) {})
		b.rest()
	}
	return b
}

// owner is the range that owns a row, or a record.
func (b *bank) owner(key []byte) cluster.RangeID {
	for _, st := range b.c.Status() {
		if d := st.Descriptor; !d.IsMeta() && keys.Bound(key) >= d.Start && keys.Bound(key) < d.End {
			return d.ID
		}
	}
	return 0
}

// ask proposes a request to the range of a key, again until it has an answer of that.
func (b *bank) ask(payload, key []byte, done func(*datastate.Result, hlc.Timestamp)) {
	var id replica.CommandID
	b.seq++
	binary.BigEndian.PutUint64(id[:8], uint64(b.c.cfg.Clock.Now()))
	binary.BigEndian.PutUint64(id[8:], b.seq)
	b.c.Propose(b.owner(key), &replica.Proposal{ID: id, Payload: payload, Done: func(o replica.Outcome) {
		r := &datastate.Result{Outcome: datastate.WrongRange}
		if !Retryable(o.Err) { // a range that is young has no leader
			var err error
			b.must(o.Err)
			r, err = datastate.DecodeResult(o.Result)
			b.must(err)
		}
		b.answers = append(b.answers, func() {
			if r.Outcome == datastate.WrongRange {
				b.ask(payload, key, done)
				return
			}
			done(r, o.TS)
		})
	}})
}

// hear takes in the answers that there are. Nobody goes on inside of the core.
func (b *bank) hear() {
	fns := b.answers
	b.answers = nil
	for _, fn := range fns {
		fn()
	}
}

// step has one part do its work.
func (b *bank) step() {
	switch b.rng.IntN(5) {
	case 0, 1:
		b.c.Process()
		b.c.Flush(func(cluster.NodeID, []byte) bool { return true })
	case 2:
		evaluateAll(b.c)
	case 3:
		b.writeBatch()
	case 4:
		b.stepRound()
	}
}

// stepRound takes a round, commits it or tells that it is committed.
func (b *bank) stepRound() {
	switch {
	case b.round == nil:
		b.round = b.c.TakeRound()
	case !b.committed:
		b.must(b.round.Commit())
		b.committed = true
	default:
		b.c.RoundDone(b.round)
		b.round, b.committed = nil, false
	}
}

// clear has who is in the way of a transaction go, or leaves it to wait on.
func (b *bank) clear(by []evaluation.Blocker, then func()) {
	if len(by) == 0 || b.rng.IntN(4) > 0 {
		then()
		return
	}
	b.settle(by[0].Txn, by[0].Record, [][]byte{by[0].Row}, 0, func() { b.clear(by[1:], then) })
}

// settle pushes a transaction, to abort or above a time, and resolves rows of it if it
// has ended.
func (b *bank) settle(txn cluster.TxnID, record []byte, rows [][]byte, above hlc.Timestamp, then func()) {
	b.stats.pushed++
	push := &datastate.Push{Txn: txn, Record: record, Abort: above == 0, Above: above}
	b.ask(push.Encode(), record, func(r *datastate.Result, _ hlc.Timestamp) {
		if r.Record.Status == datastate.TxnOpen {
			then()
			return
		}
		resolve := &datastate.Resolve{Txn: txn, Record: record, Rows: rows}
		if r.Record.Status == datastate.TxnCommitted {
			resolve.CommitTS = r.Record.TS
		}
		b.ask(resolve.Encode(), rows[0], func(*datastate.Result, hlc.Timestamp) { then() })
	})
}

// transfer moves money: it locks both accounts, leaves an intent in one range, and
// commits in the other. Its coordinator may die after each step.
type transfer struct {
	*bank
	txn      cluster.TxnID
	record   []byte
	from, to []byte
	now      [2]datastate.LockedRow
	amount   int
}

func (b *bank) transfer() {
	i := b.rng.IntN(bankRows)
	x := &transfer{bank: b, from: b.accounts[i], to: b.accounts[(i+1+b.rng.IntN(bankRows-1))%bankRows], amount: 1 + b.rng.IntN(9)}
	b.seq++
	x.txn = cluster.NewTxnID(uint64(b.c.cfg.Clock.Now()), 1, uint32(b.seq))
	x.record = keys.TxnRecord(x.to, x.txn)
	x.lock(0)
}

func (x *transfer) dies() bool {
	if x.rng.IntN(12) > 0 {
		return false
	}
	x.stats.left++
	return true
}

func (x *transfer) lock(i int) {
	row := [][]byte{x.from, x.to}[i]
	l := &datastate.Lock{Txn: x.txn, Record: x.record, Rows: [][]byte{row}, Strength: lock.NoKeyUpdate, Durable: x.rng.IntN(3) == 0}
	x.ask(l.Encode(), row, func(r *datastate.Result, _ hlc.Timestamp) {
		if r.Outcome == datastate.Blocked {
			x.clear(r.By, func() { x.lock(i) })
			return
		}
		x.now[i] = r.Rows[0]
		switch {
		case x.dies():
		case i == 0:
			x.lock(1)
		default:
			x.prewrite()
		}
	})
}

func (x *transfer) op(i, add int) datastate.Op {
	sum, err := strconv.Atoi(string(x.now[i].Value))
	x.must(err)
	return datastate.Op{Row: [][]byte{x.from, x.to}[i], Kind: datastate.Put, Value: []byte(strconv.Itoa(sum + add)), Expect: datastate.VersionIs, ExpectTS: x.now[i].TS}
}

func (x *transfer) prewrite() {
	p := &datastate.Prewrite{Txn: x.txn, Record: x.record, Ops: []datastate.Op{x.op(0, -x.amount)}}
	x.ask(p.Encode(), x.from, func(r *datastate.Result, ts hlc.Timestamp) {
		switch {
		case r.Outcome == datastate.Blocked:
			x.clear(r.By, x.prewrite)
		case r.Outcome != datastate.Applied:
			x.abort()
		case !x.dies():
			x.commit(ts)
		}
	})
}

func (x *transfer) commit(intent hlc.Timestamp) {
	c := &datastate.Commit{Txn: x.txn, Record: x.record, Min: intent, Ops: []datastate.Op{x.op(1, x.amount)}}
	x.ask(c.Encode(), x.to, func(r *datastate.Result, ts hlc.Timestamp) {
		switch {
		case r.Outcome == datastate.Blocked:
			x.clear(r.By, func() { x.commit(intent) })
		case r.Outcome != datastate.Applied:
			x.abort()
		case !x.dies():
			x.stats.committed++
			x.end(max(ts, r.TS))
		}
	})
}

func (x *transfer) abort() {
	x.stats.aborted++
	push := &datastate.Push{Txn: x.txn, Record: x.record, Abort: true}
	x.ask(push.Encode(), x.record, func(*datastate.Result, hlc.Timestamp) { x.end(0) })
}

func (x *transfer) end(ts hlc.Timestamp) {
	ended := 0
	for _, row := range [][]byte{x.from, x.to} {
		r := &datastate.Resolve{Txn: x.txn, Record: x.record, CommitTS: ts, Rows: [][]byte{row}}
		x.ask(r.Encode(), row, func(*datastate.Result, hlc.Timestamp) {
			if ended++; ended == 2 && ts != 0 {
				f := &datastate.Forget{Records: [][]byte{x.record}}
				x.ask(f.Encode(), x.record, func(*datastate.Result, hlc.Timestamp) {})
			}
		})
	}
}

// look reads all accounts at a time under leases, and settles what it meets.
func (b *bank) look(ts hlc.Timestamp, passed map[cluster.TxnID]bool) {
	sum := 0
	for _, row := range b.accounts {
		n, ok := b.account(row, ts, passed)
		if !ok {
			return
		}
		sum += n
	}
	if b.readers++; sum != bankRows*bankMoney {
		b.found = fmt.Sprintf("at %s there are %d, of %d", ts, sum, bankRows*bankMoney)
	}
}

// account reads one account; ok is false if the look goes on later, or ends.
func (b *bank) account(row []byte, ts hlc.Timestamp, passed map[cluster.TxnID]bool) (n int, ok bool) {
	q, ok := b.c.BeginRead(b.owner(row), ts, Scope{Rows: [][]byte{row}})
	for range 1000 {
		if !ok || q.Ready() {
			break
		}
		b.step()
	}
	if !ok || !q.Ready() {
		return 0, false // the range is young, and has no lease
	}
	query := evaluation.Query{Rows: [][]byte{row}, TS: ts}
	for txn := range passed {
		query.Passed = append(query.Passed, txn)
	}
	m := q.Mirror()
	for range b.rng.IntN(4) {
		b.step() // between the look for intents and the view
	}
	var met *IntentsError
	if errors.As(Meets(q.Descriptor.ID, m, query), &met) {
		b.stats.met++
		in := met.Intents[0]
		txn := cluster.TxnID(in.Record[len(in.Record)-16:])
		b.settle(txn, in.Record, [][]byte{in.Row}, ts, func() {
			passed[txn] = true
			b.look(ts, passed)
		})
		return 0, false
	}
	v, err := datastate.Read(b.e, row, ts)
	b.must(err)
	n, err = strconv.Atoi(string(v.Value))
	b.must(err)
	return n, q.Check()
}

// moment is one at which readers look: often one that is over.
func (b *bank) moment() hlc.Timestamp {
	b.moments = append(b.moments, b.c.cfg.Clock.Now())
	return b.moments[max(0, len(b.moments)-1-b.rng.IntN(4))]
}

// splitOf is the split that begins at a step, and of which range.
func splitOf(step, steps int) (s cluster.RangeSplit, of cluster.RangeID) {
	switch step {
	case steps / 4:
		return cluster.RangeSplit{At: cluster.VShard(38).Key(), Child: 10, Expect: 2}, 2
	case steps / 2:
		return cluster.RangeSplit{At: cluster.VShard(44).Key(), Child: 11, Expect: 2}, 9
	case 3 * steps / 4:
		return cluster.RangeSplit{At: cluster.VShard(35).Key(), Child: 12, Expect: 3}, 2
	}
	return s, 0
}

// open runs the bank for a while, and splits its ranges meanwhile.
func (b *bank) open(steps int) string {
	for i := range steps {
		switch n := b.rng.IntN(300); {
		case n < 3:
			b.transfer()
		case n < 8:
			b.look(b.moment(), map[cluster.TxnID]bool{})
		case n == 20:
			b.now = b.now.Add(1e8)
			b.c.Tick()
		}
		if s, of := splitOf(i, steps); of != 0 {
			b.c.Split(of, s, func(o replica.Outcome) { b.must(o.Err) })
		}
		b.step()
		if b.hear(); b.found != "" {
			return b.found
		}
	}
	for b.round != nil {
		b.stepRound()
	}
	for range 20 { // who waits is told, and comes again
		b.now = b.now.Add(1e8)
		b.c.Tick()
		b.rest()
	}
	b.look(b.c.cfg.Clock.Now(), map[cluster.TxnID]bool{})
	b.rest()
	return b.found
}

// rest works until nothing is left to do, or for a while.
func (b *bank) rest() {
	b.run()
	for n := 0; len(b.answers) > 0 && n < 1000; n++ {
		b.hear()
		b.run()
	}
}

// TestMoneyIsNeitherMadeNorLost: whatever moment readers choose.
func TestMoneyIsNeitherMadeNorLost(t *testing.T) {
	committed, met, left, readers := 0, 0, 0, 0
	for seed := range uint64(bankSeeds) {
		b := newBank(t, seed, func(*Config) {})
		if found := b.open(bankSteps); found != "" {
			t.Fatalf("seed %d: %s", seed, found)
		}
		committed, met, left, readers = committed+b.stats.committed, met+b.stats.met, left+b.stats.left, readers+b.readers
	}
	if committed < 2*bankSeeds || met < bankSeeds || left < bankSeeds || readers < 10*bankSeeds {
		t.Errorf("it tries little: %d committed, %d intents met, %d dead coordinators, %d readers", committed, met, left, readers)
	}
}
