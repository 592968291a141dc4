package txn

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/evaluation"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/kv"
	"github.com/nodedb/nodedb/agent/internal/lock"
	"github.com/nodedb/nodedb/agent/internal/store"
)

// model is what ranges do of transactions, without consensus and disks: the semantics of
// the requests, said once more. Tests may have calls fail before or after they were done.
type model struct {
	mu       sync.Mutex
	clock    *hlc.Clock
	bounds   []cluster.VShard // where ranges 2, 3 and so on begin
	last     hlc.Timestamp    // of entries, and the read mark: of all ranges
	rows     map[string][]version
	intents  map[string]*intent
	locks    map[string][]holder
	records  map[string]*datastate.TxnRecord
	managers map[cluster.NodeID]*Manager
	cut      map[cluster.NodeID]bool // does not answer
	entries  int
	lines    map[string]int // that wait for a row
	// anyRecord has intents go whatever record is said to have aborted their transaction.
	anyRecord bool
	leads     map[cluster.RangeID]cluster.NodeID // whose janitor sees to a range; none: nobody
	// hook, if set, is asked before and after each call; an error is its answer.
	hook func(c *kv.Call, after bool) error
	meta modelMeta
	// unseen are rows whose intents no span finds yet: they are on their way.
	unseen map[string]bool
}

// pass lets time pass in the bubble of a test, and all that happens in it.
func pass(d time.Duration) { <-time.After(d) }

type version struct {
	ts    hlc.Timestamp
	value []byte // nil: deleted
}

type intent struct {
	txn    cluster.TxnID
	record []byte
	ts     hlc.Timestamp
	value  []byte
}

type holder struct {
	txn      cluster.TxnID
	record   []byte
	strength lock.Strength
	durable  bool
}

// newModel makes ranges of equal spans and nodes 1 to nodes. It belongs in a bubble of
// synctest.
func newModel(t *testing.T, nodes, ranges int) *model {
	t.Helper()
	m := &model{
		clock: hlc.NewClock(time.Now, time.Hour), rows: map[string][]version{}, intents: map[string]*intent{}, locks: map[string][]holder{},
		records: map[string]*datastate.TxnRecord{}, lines: map[string]int{}, managers: map[cluster.NodeID]*Manager{}, cut: map[cluster.NodeID]bool{}, leads: map[cluster.RangeID]cluster.NodeID{},
	}
	for i := range ranges {
		m.bounds = append(m.bounds, cluster.VShard(i*cluster.VShards/ranges))
	}
	for n := range nodes {
		m.start(cluster.NodeID(n+1), 1, Planted{})
	}
	t.Cleanup(func() {
		for _, mgr := range m.managers {
			mgr.Close()
		}
	})
	return m
}

// start has a node begin anew.
func (m *model) start(node cluster.NodeID, start uint32, p Planted) *Manager {
	mgr := New(Config{
		Self: node, Start: start, Clock: m.clock, Planted: p,
		Fresh: func(context.Context) (hlc.Timestamp, error) { return m.clock.Now(), nil },
		Ask:   m.ask,
		Leftovers: func(_ context.Context, before hlc.Timestamp) ([]store.Leftover, error) {
			return m.leftovers(node, before), nil
		},
	})
	mgr.cfg.Objects = metaOf{m, node}
	mgr.Open(m)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.managers[node] = mgr
	return mgr
}

// ask is a call between gateways.
func (m *model) ask(ctx context.Context, to cluster.NodeID, payload []byte) ([]byte, error) {
	m.mu.Lock()
	mgr, cut := m.managers[to], m.cut[to]
	m.mu.Unlock()
	if cut {
		pass(100 * time.Millisecond)
		return nil, errors.New("no answer")
	}
	return mgr.Methods()[MethodAsk](ctx, 0, payload)
}

func (m *model) silence(node cluster.NodeID, cut bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.cut[node] = cut
}

func (m *model) RangeOf(key []byte) cluster.RangeID {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.owner(key)
}

func (m *model) owner(key []byte) cluster.RangeID {
	v := keys.Bound(key).VShard()
	for i := len(m.bounds) - 1; ; i-- {
		if m.bounds[i] <= v {
			return cluster.RangeID(i + 2)
		}
	}
}

func (m *model) Do(ctx context.Context, calls []*kv.Call) {
	var wg sync.WaitGroup
	for _, c := range calls {
		wg.Go(func() { m.call(ctx, c) })
	}
	wg.Wait()
}

func (m *model) call(ctx context.Context, c *kv.Call) {
	m.mu.Lock()
	hook := m.hook
	m.mu.Unlock()
	if hook != nil {
		if c.Err = hook(c, false); c.Err != nil {
			return
		}
	}
	pass(time.Millisecond)
	line := func(n int) {
		if l, ok := c.Request.(*datastate.Lock); ok {
			m.lines[string(l.Rows[0])] += n
		}
	}
	waits := false
	defer func() {
		if waits {
			m.mu.Lock()
			line(-1)
			m.mu.Unlock()
		}
	}()
	for begun := time.Now(); ; {
		m.mu.Lock()
		c.Result = m.evaluate(c)
		if now := c.Result.Outcome == datastate.Blocked; now != waits {
			if waits = now; now {
				line(1)
			} else {
				line(-1)
			}
		}
		m.mu.Unlock()
		if c.Result.Outcome != datastate.Blocked || time.Since(begun) > time.Second || waitOf(c) != evaluation.Block {
			break
		}
		select {
		case <-ctx.Done():
			c.Result, c.Err = nil, context.Cause(ctx)
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
	if hook != nil {
		if err := hook(c, true); err != nil {
			c.Result, c.Err = nil, err
		}
	}
}

func waitOf(c *kv.Call) evaluation.Wait {
	if l, ok := c.Request.(*datastate.Lock); ok {
		return l.Wait
	}
	return evaluation.Block
}

// entry is the time of the next command.
func (m *model) entry() hlc.Timestamp {
	m.entries++
	m.last = max(m.clock.Now(), m.last+1)
	return m.last
}

// evaluate decides a call. m.mu is held.
func (m *model) evaluate(c *kv.Call) *datastate.Result {
	switch r := c.Request.(type) {
	case *datastate.Batch:
		if res := m.check(c.Range, r.Ops, r.Txn); res != nil {
			return res
		}
		c.TS = m.entry()
		m.write(r.Ops, c.TS)
		m.unlock(r.Txn, func(row string) bool { return m.owner([]byte(row)) == c.Range })
	case *datastate.Prewrite:
		m.lockOps(c.Range, r)
		if res := m.check(c.Range, r.Ops, r.Txn); res != nil {
			return res
		}
		c.TS = m.entry()
		for i := range r.Ops {
			if op := &r.Ops[i]; m.intents[string(op.Row)] == nil {
				m.intents[string(op.Row)] = &intent{r.Txn, r.Record, c.TS, valueOf(op)}
			}
		}
	case *datastate.Commit:
		return m.commit(c, r)
	case *datastate.Resolve:
		return m.resolve(c.Range, r)
	case *datastate.Push:
		return m.push(c, r)
	case *datastate.Forget:
		for i, record := range r.Records {
			if m.owner(record) != c.Range {
				return &datastate.Result{Outcome: datastate.WrongRange, FailedOp: i}
			}
		}
		for _, record := range r.Records {
			delete(m.records, string(record))
		}
	case *datastate.Lock:
		return m.lock(c.Range, r)
	case *datastate.Remains:
		return m.remains(c.Range, r)
	case *datastate.Raise:
		return m.raise(c.Range, r)
	}
	return &datastate.Result{Outcome: datastate.Applied}
}

func valueOf(op *datastate.Op) []byte {
	if op.Kind == datastate.Delete {
		return nil
	}
	return append([]byte{}, op.Value...)
}

func (m *model) write(ops []datastate.Op, ts hlc.Timestamp) {
	for i := range ops {
		m.rows[string(ops[i].Row)] = append(m.rows[string(ops[i].Row)], version{ts, valueOf(&ops[i])})
	}
}

func (m *model) newest(row []byte) (v version) {
	if vs := m.rows[string(row)]; len(vs) > 0 {
		v = vs[len(vs)-1]
	}
	return v
}

// blockers are those whose locks or intents keep a transaction from a lock.
func (m *model) blockers(row []byte, txn cluster.TxnID, s lock.Strength) (by []datastate.Blocker) {
	if in := m.intents[string(row)]; in != nil && in.txn != txn {
		by = append(by, datastate.Blocker{Txn: in.txn, Record: in.record, Row: row})
	}
	for _, h := range m.locks[string(row)] {
		if h.txn != txn && h.strength.Conflicts(s) {
			by = append(by, datastate.Blocker{Txn: h.txn, Record: h.record, Row: row})
		}
	}
	return by
}

func (m *model) check(id cluster.RangeID, ops []datastate.Op, txn cluster.TxnID) *datastate.Result {
	for i := range ops {
		if m.owner(ops[i].Row) != id {
			return &datastate.Result{Outcome: datastate.WrongRange, FailedOp: i}
		}
	}
	for i := range ops {
		if by := m.blockers(ops[i].Row, txn, lock.Update); by != nil {
			return &datastate.Result{Outcome: datastate.Blocked, By: by}
		}
	}
	for i := range ops {
		op, v := &ops[i], m.newest(ops[i].Row)
		ok := true
		switch op.Expect {
		case datastate.Absent:
			ok = v.value == nil
		case datastate.Present:
			ok = v.value != nil
		case datastate.VersionIs:
			ok = v.value != nil && v.ts == op.ExpectTS
		case datastate.NotNewerThan:
			ok = v.ts <= op.ExpectTS
		case datastate.AbsentSince:
			ok = v.value == nil && v.ts <= op.ExpectTS
		case datastate.Any:
		}
		if in := m.intents[string(op.Row)]; !ok && in == nil {
			return &datastate.Result{Outcome: datastate.ConditionFailed, FailedOp: i, Existing: v.value, ExistingTS: v.ts}
		}
	}
	return nil
}

func (m *model) commit(c *kv.Call, r *datastate.Commit) *datastate.Result {
	if m.owner(r.Record) != c.Range {
		return &datastate.Result{Outcome: datastate.WrongRange, FailedOp: len(r.Ops)}
	}
	rec := m.records[string(r.Record)]
	switch {
	case rec != nil && rec.Status == datastate.TxnCommitted:
		return &datastate.Result{Outcome: datastate.Applied, TS: rec.TS}
	case rec != nil && rec.Status == datastate.TxnAborted:
		return &datastate.Result{Outcome: datastate.Aborted}
	case rec != nil && r.At != 0 && rec.TS > r.At:
		return &datastate.Result{Outcome: datastate.TooEarly, Min: rec.TS}
	}
	if res := m.check(c.Range, r.Ops, r.Txn); res != nil {
		return res
	}
	c.TS = m.entry()
	res := &datastate.Result{Outcome: datastate.Applied}
	ts := c.TS
	if r.At != 0 {
		ts, res.TS = r.At, r.At
	} else if c.TS <= r.Min || rec != nil && c.TS < rec.TS {
		panic("an entry before what it rests on")
	}
	m.write(r.Ops, ts)
	m.records[string(r.Record)] = &datastate.TxnRecord{Status: datastate.TxnCommitted, TS: ts, Ranges: r.Ranges, Objects: r.Objects}
	m.unlock(r.Txn, func(row string) bool { return m.owner([]byte(row)) == c.Range })
	return res
}

func (m *model) unlock(txn cluster.TxnID, of func(row string) bool) {
	for row, hs := range m.locks {
		if of(row) {
			m.locks[row] = slices.DeleteFunc(hs, func(h holder) bool { return h.txn == txn })
			if len(m.locks[row]) == 0 {
				delete(m.locks, row)
			}
		}
	}
}

func (m *model) resolve(id cluster.RangeID, r *datastate.Resolve) *datastate.Result {
	for i, row := range r.Rows {
		if m.owner(row) != id {
			return &datastate.Result{Outcome: datastate.WrongRange, FailedOp: i}
		}
	}
	res := &datastate.Result{Outcome: datastate.Applied}
	if r.Span.To != "" {
		if res = m.remains(id, &datastate.Remains{Txn: r.Txn, Span: r.Span}); res.Outcome != datastate.Applied {
			return res
		}
		r = &datastate.Resolve{Txn: r.Txn, Record: r.Record, CommitTS: r.CommitTS, Rows: m.some(id, r)}
		res.Rows, res.More = nil, len(r.Rows) > 0
	}
	for _, row := range r.Rows {
		if in := m.intents[string(row)]; in != nil && in.txn == r.Txn {
			if r.CommitTS == 0 && !bytes.Equal(in.record, r.Record) && !m.anyRecord {
				continue // another record decides about it
			}
			delete(m.intents, string(row))
			if r.CommitTS != 0 {
				if r.CommitTS < in.ts {
					panic("a version before its intent")
				}
				m.last = max(m.last, r.CommitTS)
				m.rows[string(row)] = append(m.rows[string(row)], version{r.CommitTS, in.value})
			}
		}
		m.unlock(r.Txn, func(at string) bool { return at == string(row) })
	}
	return res
}

// some are the first rows of those that a transaction has intents on in a span, some
// dozens: there may be more.
func (m *model) some(id cluster.RangeID, r *datastate.Resolve) (rows [][]byte) {
	for row, in := range m.intents {
		if b := keys.Bound([]byte(row)); in.txn == r.Txn && !m.unseen[row] && b >= r.Span.From && b < r.Span.To && m.owner([]byte(row)) == id && len(rows) < 100 {
			rows = append(rows, []byte(row))
		}
	}
	return rows
}

func (m *model) push(c *kv.Call, r *datastate.Push) *datastate.Result {
	if m.owner(r.Record) != c.Range {
		return &datastate.Result{Outcome: datastate.WrongRange}
	}
	rec := m.records[string(r.Record)]
	if rec == nil {
		rec = &datastate.TxnRecord{Status: datastate.TxnOpen}
		m.records[string(r.Record)] = rec
	}
	if rec.Status == datastate.TxnOpen {
		m.entry()
		if r.Abort {
			rec.Status = datastate.TxnAborted
		} else {
			rec.TS = max(rec.TS, r.Above+1)
			m.last = max(m.last, rec.TS)
		}
	}
	copied := *rec
	return &datastate.Result{Outcome: datastate.Applied, Record: &copied}
}

func (m *model) lock(id cluster.RangeID, r *datastate.Lock) *datastate.Result {
	res := &datastate.Result{Outcome: datastate.Applied}
	for i, row := range r.Rows {
		if m.owner(row) != id {
			return &datastate.Result{Outcome: datastate.WrongRange, FailedOp: i}
		}
	}
	for i, row := range r.Rows {
		if by := m.blockers(row, r.Txn, r.Strength); by != nil {
			if r.Wait != evaluation.SkipLocked {
				return &datastate.Result{Outcome: datastate.Blocked, By: by}
			}
			res.Rows = append(res.Rows, datastate.LockedRow{Skipped: true, By: by})
			continue
		}
		v := m.newest(row)
		if r.NotNewerThan != 0 && v.ts > r.NotNewerThan {
			return &datastate.Result{Outcome: datastate.ConditionFailed, FailedOp: i, Existing: v.value, ExistingTS: v.ts}
		}
		m.locks[string(row)] = append(m.locks[string(row)], holder{r.Txn, r.Record, r.Strength, r.Durable})
		res.Rows = append(res.Rows, datastate.LockedRow{Value: v.value, TS: v.ts, Contended: m.lines[string(row)] > 0})
	}
	return res
}

// remains answers with one row at most, and looks at one range.
func (m *model) remains(id cluster.RangeID, q *datastate.Remains) *datastate.Result {
	if m.owner(keys.DataSpan(q.Span.Pool, q.Span.From, q.Span.To).Start) != id {
		return &datastate.Result{Outcome: datastate.WrongRange}
	}
	res := &datastate.Result{Outcome: datastate.Applied}
	if end := int(id) - 1; end < len(m.bounds) && m.bounds[end].Key() < q.Span.To {
		res.Until = m.bounds[end].Key()
	}
	for row, in := range m.intents {
		if b := keys.Bound([]byte(row)); in.txn == q.Txn && !m.unseen[row] && b >= q.Span.From && b < q.Span.To && m.owner([]byte(row)) == id {
			res.Rows = append(res.Rows, datastate.LockedRow{Value: []byte(row)})
			break
		}
	}
	return res
}

// read is a gateway's read of rows at ts.
func (m *model) read(ctx context.Context, mgr *Manager, ts hlc.Timestamp, rows ...[]byte) (values [][]byte, err error) {
	return m.readAs(ctx, mgr, ts, nil, rows...)
}

func (m *model) readAs(ctx context.Context, mgr *Manager, ts hlc.Timestamp, passed []cluster.TxnID, rows ...[]byte) (values [][]byte, err error) {
	for try := 0; try < 1000; try++ {
		values, met := m.look(ts, rows, passed)
		if met == nil {
			return values, nil
		}
		more, _, err := mgr.Resolve(ctx, met, try)
		if err != nil {
			return nil, err
		}
		passed = append(passed, more...)
	}
	return nil, errors.New("a read that meets intents for ever")
}

func (m *model) look(ts hlc.Timestamp, rows [][]byte, passed []cluster.TxnID) (values [][]byte, met *store.IntentsError) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last = max(m.last, ts)
	for _, row := range rows {
		if in := m.intents[string(row)]; in != nil && in.ts <= ts && !slices.Contains(passed, in.txn) {
			if met == nil {
				met = &store.IntentsError{TS: ts}
			}
			met.Intents = append(met.Intents, store.Intent{Row: row, Record: in.record, TS: in.ts})
		}
		var v version
		for _, x := range m.rows[string(row)] {
			if x.ts <= ts {
				v = x
			}
		}
		values = append(values, v.value)
	}
	return values, met
}

// Changed implements Ranges, for spans of one row.
func (m *model) Changed(ctx context.Context, spans []kv.Span, since, at hlc.Timestamp, own cluster.TxnID) (bool, error) {
	for _, s := range spans {
		r := keys.Row(s.Pool, keys.VShardOf(s.Collection, s.Start), s.Collection, s.Start)
		if _, err := m.readAs(ctx, m.managers[own.Node()], at, []cluster.TxnID{own}, r); err != nil {
			return false, err
		}
		m.mu.Lock()
		changed := slices.ContainsFunc(m.rows[string(r)], func(v version) bool { return v.ts > since && v.ts <= at })
		m.mu.Unlock()
		if changed {
			return true, nil
		}
	}
	return false, nil
}

const testCollection cluster.CollectionID = 9

func key(i int) []byte { return fmt.Appendf(nil, "key-%05d", i) }

func row(i int) []byte {
	return keys.Row(0, keys.VShardOf(testCollection, key(i)), testCollection, key(i))
}

func put(i int, value string) kv.Mutation {
	return kv.Mutation{Collection: testCollection, Key: key(i), Value: []byte(value)}
}

// apart returns n keys that are in as many different ranges.
func (m *model) apart(t *testing.T, n int) []int {
	t.Helper()
	var out []int
	seen := map[cluster.RangeID]bool{}
	for i := 0; len(out) < n && i < 10_000; i++ {
		if id := m.RangeOf(row(i)); !seen[id] {
			seen[id] = true
			out = append(out, i)
		}
	}
	if len(out) < n {
		t.Fatal("there are not enough ranges")
	}
	return out
}

func lockRequest(is ...int) LockRequest {
	r := LockRequest{Collection: testCollection, Strength: lock.Update}
	for _, i := range is {
		r.Keys = append(r.Keys, key(i))
	}
	return r
}

// want fails unless the rows hold these values at ts.
func (m *model) want(t *testing.T, mgr *Manager, ts hlc.Timestamp, is []int, values ...string) {
	t.Helper()
	rows := make([][]byte, len(is))
	for j, i := range is {
		rows[j] = row(i)
	}
	got, err := m.read(t.Context(), mgr, ts, rows...)
	if err != nil {
		t.Fatal(err)
	}
	for j := range values {
		if !bytes.Equal(got[j], []byte(values[j])) {
			t.Errorf("row %d is %q, want %q", is[j], got[j], values[j])
		}
	}
}
