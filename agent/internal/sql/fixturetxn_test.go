package sql

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/evaluation"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/kv"
	"github.com/nodedb/nodedb/agent/internal/lock"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/sql/exec"
	"github.com/nodedb/nodedb/agent/internal/txn"
)

// fakeTxn is a transaction over a fakeDB, as package txn has them.
type fakeTxn struct {
	db      *fakeDB
	id      uint64
	level   txn.Isolation
	ts      hlc.Timestamp
	reads   []kv.Span
	durable int // rows that were locked durably
	ended   bool
	aborted bool     // by others
	locked  []string // rows, in the order in which they were asked for
	with    txn.Participant
}

// fakeLocks are who holds which rows, and who waits for whom.
type fakeLocks struct {
	next   uint64
	rows   map[string][]holder
	waits  map[uint64][]uint64
	groups map[uint64]*txn.Group
	waited int           // how often somebody began to wait
	freed  chan struct{} // closed when locks go
}

type holder struct {
	id       uint64
	strength lock.Strength
}

func (f *fakeDB) Begin(level txn.Isolation, info txn.Info) exec.Transaction {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.locks.next++
	t := &fakeTxn{db: f, id: f.locks.next, level: level}
	f.locks.groups[t.id] = info.Group
	f.begun = append(f.begun, t)
	return t
}

func (t *fakeTxn) Refresh() {
	if t.level == txn.ReadCommitted {
		t.ts = 0
	}
}

func (t *fakeTxn) Read(ctx context.Context) (_ hlc.Timestamp, err error) {
	if t.ts == 0 {
		t.ts, err = t.db.Fresh(ctx)
	}
	return t.ts, err
}

func (t *fakeTxn) NoteRead(span kv.Span) { t.reads = append(t.reads, span) }

func (t *fakeTxn) SetDeadlockTimeout(time.Duration) {}

func (t *fakeTxn) SetLockTimeout(time.Duration) {}

// blockers are who holds what excludes a lock of the row. f.mu is held.
func (f *fakeDB) blockers(row string, id uint64, s lock.Strength) []uint64 {
	var out []uint64
	for _, h := range f.locks.rows[row] {
		if h.id != id && h.strength.Conflicts(s) {
			out = append(out, h.id)
		}
	}
	return out
}

// await waits until nobody holds what excludes the lock. f.mu is held.
func (f *fakeDB) await(ctx context.Context, row string, id uint64, s lock.Strength) error {
	for {
		by := f.blockers(row, id, s)
		if len(by) == 0 {
			delete(f.locks.waits, id)
			return nil
		}
		f.locks.waits[id] = by
		if f.reaches(by, id) {
			delete(f.locks.waits, id)
			return &txn.DeadlockError{Cycle: []cluster.TxnID{cluster.NewTxnID(1, 1, 1), cluster.NewTxnID(2, 1, 1)}}
		}
		f.locks.waited++
		f.fewer.Broadcast()
		freed := f.locks.freed
		f.mu.Unlock()
		select {
		case <-freed:
		case <-ctx.Done():
		}
		f.mu.Lock()
		if ctx.Err() != nil {
			delete(f.locks.waits, id)
			return context.Cause(ctx)
		}
	}
}

func (f *fakeDB) reaches(from []uint64, id uint64) bool {
	beside := func(a, b uint64) bool {
		return a == b || f.locks.groups[a] != nil && f.locks.groups[a] == f.locks.groups[b]
	}
	return slices.ContainsFunc(from, func(x uint64) bool {
		if beside(x, id) {
			return true
		}
		for w, by := range f.locks.waits {
			if beside(x, w) && f.reaches(by, id) {
				return true
			}
		}
		return false
	})
}

// waitForWaiters waits until somebody has begun to wait for a lock so often.
func (f *fakeDB) waitForWaiters(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for f.locks.waited < n {
		f.fewer.Wait()
	}
}

func (t *fakeTxn) Lock(ctx context.Context, req txn.LockRequest) ([]kv.Row, []bool, error) {
	if req.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, req.Timeout, txn.ErrLockTimeout)
		defer cancel()
	}
	f := t.db
	if f.beforeLock != nil {
		f.beforeLock()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed[req.Collection] != 0 {
		return nil, nil, &kv.StaleSchemaError{Wanted: cluster.Closing(req.Collection).SchemaVersion}
	}
	rows, skipped := make([]kv.Row, len(req.Keys)), make([]bool, len(req.Keys))
	for i, k := range req.Keys {
		row := fakeKey(req.Collection, k)
		if req.Wait != evaluation.Block && len(f.blockers(row, t.id, req.Strength)) > 0 {
			if req.Wait == evaluation.NoWait {
				return nil, nil, txn.ErrLockNotAvailable
			}
			skipped[i] = true
			continue
		}
		if err := f.await(ctx, row, t.id, req.Strength); err != nil {
			return nil, nil, err
		}
		last := at(f.rows[row], hlc.Max)
		if t.level != txn.ReadCommitted && t.ts != 0 && last.ts > t.ts { // without a snapshot no row is too new
			return nil, nil, &txn.ConflictError{Reason: "a row changed since it was read"}
		}
		f.locks.rows[row] = append(f.locks.rows[row], holder{t.id, req.Strength})
		if !slices.Contains(t.locked, row) {
			t.locked = append(t.locked, row)
		}
		if f.unresolved && req.Strength == lock.KeyShare {
			last = at(f.rows[row], last.ts-1)
		}
		rows[i] = kv.Row{Key: k, Value: last.value, Version: last.ts}
		if req.Durable {
			t.durable++
		}
	}
	return rows, skipped, nil
}

func (t *fakeTxn) With(p txn.Participant) { t.with = p }

// Commit has who takes part prepare first, and hear of the end.
func (t *fakeTxn) Commit(ctx context.Context, muts []kv.Mutation, writer cluster.WriterID) (ts hlc.Timestamp, err error) {
	if t.with == nil {
		return t.commit(ctx, muts, writer)
	}
	id := cluster.NewTxnID(t.id, 1, 1)
	if err = t.with.Prepare(ctx, id, []byte("record")); err == nil {
		ts, err = t.commit(ctx, muts, writer)
	}
	_, resolved := t.db.meta.Propose(ctx, metastate.Command{Via: metastate.ViaAgent, ResolveObjects: &metastate.ResolveObjects{Txn: id.String(), Commit: err == nil}})
	return ts, errors.Join(err, resolved)
}

func (t *fakeTxn) commit(ctx context.Context, muts []kv.Mutation, _ cluster.WriterID) (hlc.Timestamp, error) {
	f := t.db
	if f.before != nil && len(muts) > 0 {
		if err := f.before(muts); err != nil {
			t.Rollback()
			return 0, err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	defer t.end()
	if t.aborted && (t.durable > 0 || len(muts) > 0) {
		return 0, &txn.ConflictError{Reason: "another transaction has aborted it"}
	}
	if t.ended {
		return 0, txn.ErrEnded
	}
	if err := f.stale(muts); err != nil {
		return 0, err
	}
	if len(muts) == 0 {
		return 0, nil
	}
	for _, m := range muts {
		if err := f.await(ctx, fakeKey(m.Collection, m.Key), t.id, lock.NoKeyUpdate); err != nil {
			return 0, err
		}
	}
	if failed := f.check(muts); failed != nil {
		if muts[failed.Mutation].Expect == datastate.Absent {
			return 0, failed
		}
		return 0, &txn.ConflictError{Reason: "a row changed since it was read", Cause: failed}
	}
	for _, span := range t.reads {
		prefix := fakeKey(span.Collection, nil)
		for k, vs := range f.rows {
			if last := at(vs, hlc.Max); k >= prefix+string(span.Start) && k < prefix+"\xff" && (span.End == nil || k < prefix+string(span.End)) && last.ts > t.ts {
				return 0, &txn.ConflictError{Reason: "rows that it has read were changed"}
			}
		}
	}
	return f.put(muts), nil
}

func (t *fakeTxn) Rollback() {
	t.db.mu.Lock()
	defer t.db.mu.Unlock()
	t.end()
}

// end frees the locks. db.mu is held.
func (t *fakeTxn) end() {
	if t.ended {
		return
	}
	t.ended = true
	t.free(func(string) bool { return true })
}

func (t *fakeTxn) Mark() int { return len(t.locked) }

func (t *fakeTxn) BackTo(_ context.Context, mark int) error {
	t.db.mu.Lock()
	defer t.db.mu.Unlock()
	t.free(func(row string) bool { return slices.Contains(t.locked[mark:], row) })
	t.locked = t.locked[:mark]
	return nil
}

// free ends the locks of some rows. db.mu is held.
func (t *fakeTxn) free(which func(row string) bool) {
	for row, holders := range t.db.locks.rows {
		if !which(row) {
			continue
		}
		holders = slices.DeleteFunc(holders, func(h holder) bool { return h.id == t.id })
		if t.db.locks.rows[row] = holders; len(holders) == 0 {
			delete(t.db.locks.rows, row)
		}
	}
	close(t.db.locks.freed)
	t.db.locks.freed = make(chan struct{})
}

// loseLocks has the leaders of all ranges crash.
func (f *fakeDB) loseLocks() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.locks.rows)
}

// abortAll has others abort all transactions that have locked something.
func (f *fakeDB) abortAll() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, t := range f.begun {
		if !t.ended && t.durable > 0 {
			t.end()
			t.aborted = true
		}
	}
}

// locked is how many rows are locked.
func (f *fakeDB) locked() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.locks.rows)
}

// check looks at the conditions. f.mu is held.
func (f *fakeDB) check(muts []kv.Mutation) *kv.ConditionError {
	for i, m := range muts {
		last := at(f.rows[fakeKey(m.Collection, m.Key)], hlc.Max)
		ok := true
		switch m.Expect {
		case datastate.Absent:
			ok = last.value == nil
		case datastate.Present:
			ok = last.value != nil
		case datastate.VersionIs:
			ok = last.ts == m.ExpectTS && last.value != nil
		case datastate.NotNewerThan:
			ok = last.ts <= m.ExpectTS
		case datastate.AbsentSince:
			ok = last.value == nil && last.ts <= m.ExpectTS
		}
		if !ok {
			return &kv.ConditionError{Mutation: i, Existing: last.value, ExistingTS: last.ts}
		}
	}
	return nil
}

// put writes. f.mu is held.
func (f *fakeDB) put(muts []kv.Mutation) hlc.Timestamp {
	f.ts++
	f.wrote++
	for _, m := range muts {
		v := version{ts: f.ts, value: m.Value}
		if m.Delete {
			v.value = nil
		} else if v.value == nil {
			v.value = []byte{}
		}
		k := fakeKey(m.Collection, m.Key)
		f.rows[k] = append(f.rows[k], v)
	}
	return f.ts
}

// later runs a statement in another goroutine; the answer comes in the channel.
func (c *client) later(text string, params ...string) <-chan string {
	out := make(chan string, 1)
	go func() { out <- c.run(text, params...) }()
	return out
}

// blocks runs a statement that has to wait for a lock.
func (c *client) blocks(f *fixture, text string) <-chan string {
	c.t.Helper()
	f.db.mu.Lock()
	before := f.db.locks.waited
	f.db.mu.Unlock()
	out := c.later(text)
	f.db.waitForWaiters(before + 1)
	select {
	case got := <-out:
		c.t.Errorf("%s: did not wait: %s", text, got)
		out2 := make(chan string, 1)
		out2 <- got
		return out2
	default:
		return out
	}
}

// wantLater compares the answer of a statement that was run before.
func (c *client) wantLater(want string, out <-chan string) {
	c.t.Helper()
	select {
	case got := <-out:
		if got != want {
			c.t.Errorf("got: %s\nwant: %s", got, want)
		}
	case <-time.After(30 * time.Second):
		c.t.Fatal("the statement still waits")
	}
}
