package sim

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/evaluation"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/kv"
	"github.com/nodedb/nodedb/agent/internal/lock"
	"github.com/nodedb/nodedb/agent/internal/txn"
)

// indexed is a table with a unique index and another one, in other ranges than its rows.
// Writers change rows and their entries by the requests that package exec sends: those of
// the unique index under locks and conditions, those of the other one blindly, for who has
// the row has its entries. Auditors read all of it at one time: each row has its entries, and
// there are no others.
type indexed struct {
	w       *World
	rows    []account   // hold a value each, or are not there
	unique  []account   // by value: hold the number of the row that has it
	entries [][]account // by value and row
	audits  []audit
	newest  time.Duration // when the last audit began
}

const (
	tableCollection cluster.CollectionID = 11 + iota
	uniqueCollection
	entryCollection
)

const (
	indexedRows    = 5
	indexedValues  = 7
	indexedWriters = 6
	// indexedTime is for how long a writer waits for its transaction.
	indexedTime = 3 * time.Second
	// indexedLast and indexedQuiet are, before the end of a run, when the last transaction
	// and the last audit begin. An audit meets what is abandoned at many rows.
	indexedLast, indexedQuiet = 12 * time.Second, 7 * time.Second
)

// indexes is a run of a table with indexes.
func indexes(c *Config) {
	c.Indexes, c.Clients, c.GCTTL = true, 1, 0
	c.Duration = 45 * time.Second
}

func (w *World) beginIndexed() {
	x := &indexed{w: w}
	w.indexed = x
	at := func(c cluster.CollectionID, i, r int) account {
		key, row := w.keyIn(c, i, r%w.cfg.Ranges)
		return account{kv.Mutation{Collection: c, Key: key}, row}
	}
	for i := range indexedRows {
		x.rows = append(x.rows, at(tableCollection, i, i))
	}
	for v := range indexedValues {
		x.unique = append(x.unique, at(uniqueCollection, v, v+1))
		var of []account
		for i := range indexedRows {
			of = append(of, at(entryCollection, v*indexedRows+i, v+i+2))
		}
		x.entries = append(x.entries, of)
	}
	for range indexedWriters {
		w.After(w.ms(1500, 2500), x.writer)
	}
	w.After(w.ms(1500, 2500), x.auditor)
}

// writer makes one transaction after another.
func (x *indexed) writer() {
	w := x.w
	if w.now > w.cfg.Duration-indexedLast {
		return
	}
	gone := false
	next := func() {
		if !gone {
			gone = true
			w.After(w.ms(1, 100), x.writer)
		}
	}
	if w.onGateway(func(g *gateway) { x.write(g); next() }) == nil {
		next()
		return
	}
	w.After(indexedTime, next)
}

// write is a transaction of a writer.
func (x *indexed) write(g *gateway) {
	w := x.w
	t := g.manager.Begin([]txn.Isolation{txn.ReadCommitted, txn.RepeatableRead, txn.Serializable}[w.rng.IntN(3)], txn.Info{})
	defer t.Rollback()
	c := &rowChanges{x: x, t: t}
	first := w.rng.IntN(indexedRows)
	for n := range 1 + w.rng.IntN(2) {
		if !c.change((first + n) % indexedRows) {
			return
		}
	}
	ts, err := t.Commit(context.Background(), c.muts, 0)
	if err == nil {
		w.Stats.Transferred++
		w.trace(uint64(ts))
	}
}

// rowChanges are what a transaction changes.
type rowChanges struct {
	x    *indexed
	t    *txn.Txn
	muts []kv.Mutation
	used []int // values whose entries it changes
}

// lock locks a row, or an entry of the unique index, and returns it as it is.
func (c *rowChanges) lock(a *account) (kv.Row, bool) {
	found, _, err := c.t.Lock(context.Background(), txn.LockRequest{Collection: a.mut.Collection, Keys: [][]byte{a.mut.Key}, Strength: lock.Update, Wait: evaluation.Block, Durable: c.x.w.chance(15)})
	if err != nil {
		return kv.Row{}, false
	}
	return found[0], true
}

// use reports whether the entries of a value were not yet changed.
func (c *rowChanges) use(v int) bool {
	if slices.Contains(c.used, v) {
		return false
	}
	c.used = append(c.used, v)
	return true
}

// change has a row get a value, or go; false: the transaction cannot go on.
func (c *rowChanges) change(i int) bool {
	x, w := c.x, c.x.w
	row := &x.rows[i]
	if w.chance(20) { // INSERT, as a statement of its own: it locks nothing
		v := w.rng.IntN(indexedValues)
		if !c.use(v) {
			return false
		}
		c.put(row, strconv.Itoa(v), datastate.Absent, 0)
		c.put(&x.unique[v], strconv.Itoa(i), datastate.Absent, 0)
		c.put(&x.entries[v][i], "e", 0, 0)
		return true
	}
	now, ok := c.lock(row)
	if !ok {
		return false
	}
	expect, gone := datastate.Absent, now.Value != nil
	if gone {
		expect = datastate.VersionIs
		if was, err := strconv.Atoi(string(now.Value)); err != nil || !c.use(was) || !c.leave(was, i) {
			return false
		}
	}
	if gone && w.chance(30) {
		c.remove(row, expect, now.Version)
		return true
	}
	v := w.rng.IntN(indexedValues)
	if !c.use(v) {
		return false
	}
	if taken, ok := c.lock(&x.unique[v]); !ok || taken.Value != nil {
		return false // another row has it
	}
	c.put(row, strconv.Itoa(v), expect, now.Version)
	c.put(&x.unique[v], strconv.Itoa(i), datastate.Absent, 0)
	c.put(&x.entries[v][i], "e", 0, 0)
	return true
}

// leave has the entries go that a row has by its value.
func (c *rowChanges) leave(v, i int) bool {
	entry, ok := c.lock(&c.x.unique[v])
	if !ok {
		return false
	}
	if entry.Value == nil {
		c.remove(&c.x.unique[v], datastate.Absent, 0)
	} else {
		c.remove(&c.x.unique[v], datastate.VersionIs, entry.Version)
	}
	c.remove(&c.x.entries[v][i], 0, 0)
	return true
}

func (c *rowChanges) put(a *account, value string, expect datastate.Condition, ts hlc.Timestamp) {
	m := a.mut
	m.Value, m.Expect, m.ExpectTS = []byte(value), expect, ts
	c.muts = append(c.muts, m)
}

func (c *rowChanges) remove(a *account, expect datastate.Condition, ts hlc.Timestamp) {
	m := a.mut
	m.Delete, m.Expect, m.ExpectTS = true, expect, ts
	c.muts = append(c.muts, m)
}

// auditor reads everything at one time, or what was read before at the same.
func (x *indexed) auditor() {
	w := x.w
	if w.now > w.cfg.Duration-indexedQuiet {
		return
	}
	w.After(w.ms(200, 600), x.auditor)
	w.onGateway(x.audit)
}

func (x *indexed) audit(g *gateway) {
	w, begun := x.w, x.w.now
	ts, old := g.n.clock.Now(), -1
	if len(x.audits) > 0 && w.chance(30) {
		old = w.rng.IntN(len(x.audits))
		ts = x.audits[old].ts
	}
	var rows [][]byte
	for _, list := range append([][]account{x.rows, x.unique}, x.entries...) {
		for i := range list {
			rows = append(rows, list[i].row)
		}
	}
	values, err := g.read(ts, rows)
	if err != nil {
		return
	}
	w.Stats.Audits++
	if old >= 0 {
		if was := x.audits[old].values; !slices.Equal(was, values) {
			w.fail("the table at %s was %q and is now %q", ts, was, values)
		}
		return
	}
	x.agree(ts, values)
	x.audits, x.newest = append(x.audits, audit{ts, values}), max(x.newest, begun)
}

// agree wants each row to have its entries, and no other entry to be there.
func (x *indexed) agree(ts hlc.Timestamp, values []string) {
	rows, unique, entries := values[:indexedRows], values[indexedRows:indexedRows+indexedValues], values[indexedRows+indexedValues:]
	for v := range indexedValues {
		of := ""
		for i, value := range rows {
			has := value == strconv.Itoa(v)
			if has && of != "" {
				x.w.fail("rows %s and %d have the value %d at %s", of, i, v, ts)
			}
			if has {
				of = strconv.Itoa(i)
			}
			if there := entries[v*indexedRows+i] != ""; there != has {
				x.w.fail("row %d is %q at %s, and has an entry under %d: %v", i, value, ts, v, there)
			}
		}
		if unique[v] != of {
			x.w.fail("the value %d is that of row %q at %s, and the unique index says %q", v, of, ts, unique[v])
		}
	}
}

// checkIndexed wants the end of a run to have been audited.
func (w *World) checkIndexed() {
	if x := w.indexed; x != nil && x.newest < w.cfg.Duration-indexedLast+time.Second && !w.tainted {
		w.fail("the table was not audited at the end: %d audits, the newest at %s", len(x.audits), x.newest)
	}
}
