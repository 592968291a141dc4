package sim

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/evaluation"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/kv"
	"github.com/nodedb/nodedb/agent/internal/lock"
	"github.com/nodedb/nodedb/agent/internal/store"
	"github.com/nodedb/nodedb/agent/internal/txn"
)

// bank is what transactions are put to the test by: tellers move money between accounts of
// several ranges, and count what they do in two rows that must always be equal; guards, who
// are serializable, go off duty if they see that the other one is on; auditors read
// everything at one time, and again later at the same time.
type bank struct {
	w        *World
	accounts []account // then the counters, then the guards, two each
	opened   bool
	opens    *gateway // that tries to
	audits   []audit
	past     []pastRead
	counted  []time.Duration // when additions to the counters were acknowledged
	unsure   int             // additions whose fate is not known
	pending  int             // additions under way
}

// account is a row of the bank.
type account struct {
	mut kv.Mutation // its key
	row []byte
}

// audit is what an auditor has found at a time, for ever.
type audit struct {
	ts     hlc.Timestamp
	values []string
}

const (
	bankCollection cluster.CollectionID = 7
	// perRange accounts, with each so much at first.
	perRange, atFirst = 3, 100
	tellers           = 8
	// tellerTime is how long a teller waits for its transaction.
	tellerTime = 20 * time.Second
	// bankLast is when the last transaction may begin, before the end of a run: what is
	// abandoned has to be found out, several times in a row.
	bankLast = 10 * time.Second
	// bankQuiet is for how long nobody reads at the end: then replicas sleep.
	bankQuiet = 4 * time.Second
)

// banked is a run of transactions.
func banked(c *Config) {
	c.Bank, c.Clients = true, 2
	c.GCTTL = 0 // what was read is read again
}

func (w *World) beginBank() {
	b := &bank{w: w}
	w.bank = b
	for r := range w.cfg.Ranges {
		for range perRange {
			b.accounts = append(b.accounts, b.account(r))
		}
	}
	for range 2 {
		for _, r := range []int{0, w.cfg.Ranges - 1} {
			b.accounts = append(b.accounts, b.account(r))
		}
	}
	w.After(w.ms(500, 1000), b.open)
	for range tellers {
		w.After(w.ms(1500, 2500), b.teller)
	}
	w.After(w.ms(1500, 2500), b.auditor)
	w.After(w.ms(1500, 2500), b.readPast)
	w.beginQueue(b)
}

// account draws a key whose row lies in the r-th of the first ranges.
func (b *bank) account(r int) account {
	key, row := b.w.keyIn(bankCollection, len(b.accounts), r)
	return account{kv.Mutation{Collection: bankCollection, Key: key}, row}
}

// counter and guard are the first of two rows each.
func (b *bank) counter() int { return len(b.accounts) - 4 }
func (b *bank) guard() int   { return len(b.accounts) - 2 }

func (b *bank) put(i, amount int, expect datastate.Condition, ts hlc.Timestamp) kv.Mutation {
	m := b.accounts[i].mut
	m.Value, m.Expect, m.ExpectTS = strconv.AppendInt(nil, int64(amount), 10), expect, ts
	return m
}

// dead reports whether the gateway's tasks wait for ever.
func (g *gateway) dead() bool { return !g.n.up || g.n.gateway != g }

// open fills the accounts, once.
func (b *bank) open() {
	if b.opened {
		return
	}
	b.w.After(b.w.ms(200, 500), b.open)
	if b.opens != nil && !b.opens.dead() {
		return
	}
	b.opens = b.w.onGateway(func(g *gateway) {
		defer func() { b.opens = nil }()
		muts := make([]kv.Mutation, len(b.accounts))
		for i := range muts {
			muts[i] = b.put(i, atFirst, datastate.Absent, 0)
		}
		_, err := g.manager.Begin(txn.ReadCommitted, txn.Info{}).Commit(context.Background(), muts, 0)
		var exists *kv.ConditionError
		b.opened = b.opened || err == nil || errors.As(err, &exists) // by an earlier try
	})
}

// over reports whether nobody is to begin anything any more.
func (b *bank) over() bool { return b.w.now > b.w.cfg.Duration-bankLast }

// teller makes one transaction after another.
func (b *bank) teller() {
	w := b.w
	if b.over() {
		return
	}
	x := &transfer{b: b}
	again := func() {
		if !x.told {
			x.told = true
			w.After(w.ms(1, 150), b.teller)
		}
	}
	if !b.opened {
		again()
		return
	}
	g := w.onGateway(func(g *gateway) { x.run(g); again() })
	if g == nil {
		again()
		return
	}
	begun := w.now
	var watch func()
	watch = func() {
		if !x.told && (g.dead() || w.now-begun > tellerTime) {
			x.lost()
			again()
		} else if !x.told {
			w.After(100*time.Millisecond, watch)
		}
	}
	watch()
}

// transfer is a transaction of a teller.
type transfer struct {
	b    *bank
	told bool // the teller has gone on
	adds bool // to the counters
}

// lost counts one whose gateway has died, or that takes too long.
func (x *transfer) lost() {
	if !x.told && x.adds {
		x.b.unsure++
		x.b.pending--
	}
}

func (x *transfer) run(g *gateway) {
	b, w := x.b, x.b.w
	if w.chance(15) {
		x.watch(g)
		return
	}
	from, to := w.rng.IntN(b.counter()), w.rng.IntN(b.counter())
	if from == to {
		to = (from + 1) % b.counter()
	}
	rows := []int{from, to}
	if x.adds = w.chance(30); x.adds {
		rows = append(rows, b.counter(), b.counter()+1)
		b.pending++
	}
	iso := []txn.Isolation{txn.ReadCommitted, txn.RepeatableRead, txn.Serializable}[w.rng.IntN(3)]
	t := g.manager.Begin(iso, txn.Info{})
	muts, err := x.prepare(g, t, rows)
	if err != nil {
		x.ended(err)
		t.Rollback()
		return
	}
	if w.chance(5) { // the client goes away
		t.Rollback()
		x.ended(errors.New("it was rolled back"))
		return
	}
	ts, err := t.Commit(context.Background(), muts, 0)
	x.ended(err)
	if err == nil {
		w.Stats.Transferred++
		w.trace(uint64(ts))
	}
}

// watch has one of the guards go off duty, unless the other one is, or come back.
func (x *transfer) watch(g *gateway) {
	b := x.b
	i := b.guard() + b.w.rng.IntN(2)
	other := 2*b.guard() + 1 - i
	t := g.manager.Begin(txn.Serializable, txn.Info{})
	ts, _ := t.Read(context.Background())
	values, err := g.read(ts, [][]byte{b.accounts[i].row, b.accounts[other].row})
	for _, at := range []int{i, other} {
		t.NoteRead(kv.Point(0, bankCollection, b.accounts[at].mut.Key))
	}
	if err != nil || values[0] != "0" && values[1] == "0" {
		t.Rollback()
		return
	}
	on := 1
	if values[0] != "0" {
		on = 0
	}
	_, err = t.Commit(context.Background(), []kv.Mutation{b.put(i, on, datastate.NotNewerThan, ts)}, 0)
	x.ended(err)
	if err == nil {
		b.w.Stats.GuardsChanged++
	}
}

// prepare reads the rows, with locks or at a snapshot, and says what they are to become.
func (x *transfer) prepare(g *gateway, t *txn.Txn, rows []int) ([]kv.Mutation, error) {
	b, w := x.b, x.b.w
	values, versions := make([]string, len(rows)), make([]hlc.Timestamp, len(rows))
	expect := datastate.VersionIs
	ts, err := t.Read(context.Background())
	if err != nil {
		return nil, err
	}
	if t.Isolation() == txn.ReadCommitted || w.chance(30) {
		for i, at := range rows { // one after the other, in any order: there are deadlocks
			r := txn.LockRequest{Collection: bankCollection, Keys: [][]byte{b.accounts[at].mut.Key}, Strength: lock.Update, Durable: w.chance(30)}
			found, _, err := t.Lock(context.Background(), r)
			if err != nil {
				return nil, err
			}
			values[i], versions[i] = string(found[0].Value), found[0].Version
		}
	} else {
		expect = datastate.NotNewerThan
		wanted := make([][]byte, len(rows))
		for i, at := range rows {
			wanted[i], versions[i] = b.accounts[at].row, ts
			t.NoteRead(kv.Point(0, bankCollection, b.accounts[at].mut.Key))
		}
		if values, err = g.read(ts, wanted); err != nil {
			return nil, err
		}
	}
	amount := w.rng.IntN(50)
	muts := make([]kv.Mutation, len(rows))
	for i, at := range rows {
		n, err := strconv.Atoi(values[i])
		if err != nil {
			w.fail("account %d holds %q", at, values[i])
		}
		muts[i] = b.put(at, n+[]int{-amount, amount, 1, 1}[i], expect, versions[i])
	}
	return muts, nil
}

// ended counts what became of a transaction.
func (x *transfer) ended(err error) {
	w := x.b.w
	if x.told {
		return // counted as lost
	}
	var (
		conflict  *txn.ConflictError
		deadlock  *txn.DeadlockError
		ambiguous *store.AmbiguousError
	)
	if x.adds {
		x.b.pending--
	}
	switch {
	case err == nil:
		if x.adds {
			x.b.counted = append(x.b.counted, w.now)
		}
	case errors.As(err, &ambiguous):
		w.Stats.TransfersUnsure++
		if x.adds {
			x.b.unsure++
		}
	case errors.As(err, &deadlock):
		w.Stats.Deadlocks++
	case errors.As(err, &conflict):
		w.Stats.Conflicts++
	default:
		w.Stats.TransfersFailed++
	}
	x.adds = false
}

// auditor reads everything at one time, or what was read before at the same.
func (b *bank) auditor() {
	w := b.w
	if w.now > w.cfg.Duration-bankQuiet {
		return
	}
	w.After(w.ms(50, 300), b.auditor)
	if b.opened {
		w.onGateway(func(g *gateway) {
			b.audit(g)
			b.comparePast(g)
		})
	}
}

func (b *bank) audit(g *gateway) {
	w, begun := b.w, b.w.now
	ts, old := g.n.clock.Now(), -1
	if len(b.audits) > 0 && w.chance(30) {
		old = w.rng.IntN(len(b.audits))
		ts = b.audits[old].ts
	}
	rows := make([][]byte, len(b.accounts))
	for i := range b.accounts {
		rows[i] = b.accounts[i].row
	}
	values, err := g.read(ts, rows)
	if err != nil {
		return
	}
	w.Stats.Audits++
	if old >= 0 {
		if was := b.audits[old].values; strings.Join(was, " ") != strings.Join(values, " ") {
			w.fail("the bank at %s was %q and is now %q", ts, was, values)
		}
		return
	}
	b.sum(ts, values)
	b.count(begun, values[b.counter()])
	b.audits = append(b.audits, audit{ts, values})
}

// sum wants money neither to be made nor to vanish.
func (b *bank) sum(ts hlc.Timestamp, values []string) {
	n := b.counter()
	total := 0
	for i, v := range values[:n] {
		amount, err := strconv.Atoi(v)
		if err != nil {
			b.w.fail("account %d holds %q at %s", i, v, ts)
			return
		}
		total += amount
	}
	if total != n*atFirst || values[n] != values[n+1] {
		b.w.fail("the bank at %s holds %d instead of %d: %q", ts, total, n*atFirst, values)
	}
	if n = b.guard(); values[n] == "0" && values[n+1] == "0" {
		b.w.fail("nobody guards the bank at %s", ts)
	}
}

// apart is how far the clocks of two nodes may be apart, and some more: what was
// acknowledged that long before a read it must find.
const apart = time.Second

// count wants nothing that was acknowledged to be lost.
func (b *bank) count(begun time.Duration, value string) {
	n, _ := strconv.Atoi(value)
	before := 0
	for _, at := range b.counted {
		if at+apart < begun {
			before++
		}
	}
	if n-atFirst < before && !b.w.tainted {
		b.w.fail("counters to which %d was added have counted %d", before, n-atFirst)
	}
}

// checkBank wants the end of a run to have been audited, and the counters to have counted.
func (w *World) checkBank() {
	b := w.bank
	if b == nil {
		return
	}
	newest := epoch
	for _, a := range b.audits { // the one that ended last may have begun long before
		if at := a.ts.Time(); at.After(newest) {
			newest = at
		}
	}
	if !b.opened || len(b.audits) == 0 || newest.Before(epoch.Add(w.cfg.Duration-bankLast+bankQuiet/2)) && !w.tainted {
		w.fail("the bank was not audited at the end: %d audits, the newest as of %s", len(b.audits), newest.Sub(epoch))
		return
	}
	n := 0
	for _, a := range b.audits {
		v, _ := strconv.Atoi(a.values[b.counter()])
		n = max(n, v-atFirst)
	}
	if n > len(b.counted)+b.unsure+b.pending {
		w.fail("counters to which %d was added, and perhaps %d more, have counted %d", len(b.counted), b.unsure+b.pending, n)
	}
}

// leftLast is how long all that transactions have left may take to go, once nobody begins
// any more: the janitors of two ranges, one after the other, wait for a minute, for each
// other's looks, and until no commit can arrive.
const leftLast = 5 * time.Minute

// checkLeft goes on after the end of a run, in which gateways have died, and wants nothing
// to be left of transactions then.
func (w *World) checkLeft() {
	if w.bank == nil && w.indexed == nil || len(w.errors) > 0 {
		return
	}
	w.Stats.Left = len(w.leftovers())
	for end := w.now + leftLast; w.now < end && len(w.errors) == 0 && len(w.leftovers()) > 0; {
		w.runUntil(w.now + 10*time.Second)
	}
	if left := w.leftovers(); len(left) > 0 && len(w.errors) == 0 {
		w.fail("%d transactions that are over have left something, the first %+v", len(left), left[0])
	}
}

// leftovers is what transactions have left in all ranges.
func (w *World) leftovers() []store.Leftover {
	var mirrors []evaluation.Mirror
	for _, n := range w.nodes {
		if n.up {
			mirrors = append(mirrors, n.core.Mirrors()...)
		}
	}
	return store.LeftoversOf(mirrors, hlc.Max)
}
