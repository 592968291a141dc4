package txn

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/kv"
	"github.com/nodedb/nodedb/agent/internal/store"
)

// commit is one Commit under way.
type commit struct {
	t      *Txn
	m      *Manager
	wait   *contention
	writer cluster.WriterID
	muts   []kv.Mutation
	rows   [][]byte // of muts
	record []byte

	todo []int    // mutations that are neither laid nor kept for the command that commits
	rest []int    // those that the command that commits writes
	laid [][]byte // rows that have intents, or may have
	min  hlc.Timestamp
	// doubtful are those of laid of which no range has said that they have: what may be on
	// its way is in no mirror yet.
	doubtful [][]byte
	// asked are mutations that ranges were asked to lay, and have not: a leader keeps the
	// locks that a refused request has taken.
	asked []bool

	with     Participant
	prepared bool // in the meta range, or maybe
}

// Commit writes all of muts or nothing, and ends the transaction. It returns the time of
// the commit, 0 if there was nothing to write down. That of a transaction which has locked
// rows durably and writes nothing is written down, too: it says that the locks were held
// until then. The errors are *ConflictError,
// *DeadlockError, *kv.ConditionError for a condition that says Absent, and
// *store.AmbiguousError if nobody knows; after any other nothing was written either.
func (t *Txn) Commit(ctx context.Context, muts []kv.Mutation, writer cluster.WriterID) (hlc.Timestamp, error) {
	if t.m.cfg.Planted.blindAside() {
		muts = t.aside(ctx, muts, writer)
	}
	t.mu.Lock()
	if t.state != Open {
		t.mu.Unlock()
		return 0, ErrEnded
	}
	t.state, t.writes = Committing, len(muts)
	limit, durable, with := t.lockTimeout, t.durable(), t.with
	t.mu.Unlock()
	if len(muts) == 0 && !durable {
		t.end(ending{state: Committed})
		return 0, nil
	}
	c := &commit{t: t, m: t.m, writer: writer, with: with, muts: muts, rows: make([][]byte, len(muts))}
	c.wait = &contention{m: t.m, t: t, since: t.m.cfg.Now(), limit: limit}
	for i := range muts {
		c.rows[i] = keys.Row(muts[i].Pool, keys.VShardOf(muts[i].Collection, muts[i].Key), muts[i].Collection, muts[i].Key)
	}
	c.todo = ordered(upTo(len(muts)), c.row)
	ts, err := c.run(ctx)
	var ambiguous *store.AmbiguousError
	end := ending{state: Aborted, laid: c.laid, doubtful: c.doubtful, asked: c.refusedRows(), objects: c.prepared, err: err}
	switch {
	case err == nil:
		end.state, end.ts = Committed, ts
		if c.prepared && t.m.resolveObjects(context.WithoutCancel(ctx), t.id, true) == nil {
			end.objects = false
		}
	case errors.As(err, &ambiguous):
		end.state = Unknown
	}
	t.end(end)
	return ts, err
}

// aside commits what has no condition by itself, and returns the rest: a planted fault.
func (t *Txn) aside(ctx context.Context, muts []kv.Mutation, writer cluster.WriterID) (rest []kv.Mutation) {
	var blind []kv.Mutation
	for i := range muts {
		if muts[i].Expect == datastate.Any {
			blind = append(blind, muts[i])
		} else {
			rest = append(rest, muts[i])
		}
	}
	if len(blind) == 0 || len(rest) == 0 {
		return muts
	}
	_, _ = t.m.Begin(t.Isolation(), t.info).Commit(ctx, blind, writer)
	return rest
}

func (c *commit) run(ctx context.Context) (hlc.Timestamp, error) {
	var again replanning
	var parts []*part // by range
	for len(c.laid) == 0 && len(c.muts) > 0 && c.with == nil {
		var err error
		if parts, err = c.m.parts(c.todo, c.row, c.size, 0); err != nil {
			return 0, err
		}
		if len(parts) > 1 || parts[0].bytes > roundBytes || !c.oneCommand() {
			break
		}
		ts, done, err := c.inOne(ctx, parts[0])
		if done || err != nil {
			return ts, err
		}
		if err := again.pause(ctx, c.m); err != nil {
			return 0, err
		}
	}
	return c.inSeveral(ctx, parts)
}

func (c *commit) row(i int) []byte { return c.rows[i] }

func (c *commit) size(i int) int { return len(c.rows[i]) + len(c.muts[i].Value) + 32 }

// oneCommand reports whether a command without a record would do, if all rows are of one
// range: nothing that the transaction rests on can have been taken from it without one
// of the conditions noticing.
func (c *commit) oneCommand() bool {
	t := c.t
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.firm || t.iso == Serializable && len(t.reads.of) > 0 {
		return false
	}
	if len(t.locked) == 0 {
		return true
	}
	checked := c.checked()
	for row, l := range t.locked {
		if l.durable && !checked[row] {
			return false // who aborts this transaction gives that row to others
		}
	}
	return true
}

// ops are what some of the mutations ask of a range.
func (c *commit) ops(items []int) []datastate.Op {
	ops := make([]datastate.Op, len(items))
	for j, i := range items {
		m := &c.muts[i]
		ops[j] = datastate.Op{Row: c.rows[i], Kind: datastate.Put, Value: m.Value, Expect: m.Expect, ExpectTS: m.ExpectTS}
		if m.Delete {
			ops[j].Kind, ops[j].Value = datastate.Delete, nil
		}
	}
	return ops
}

// inOne commits by one command. !done: the range has changed.
func (c *commit) inOne(ctx context.Context, p *part) (ts hlc.Timestamp, done bool, err error) {
	c.t.noteRange(p.id)
	for {
		call := &kv.Call{Range: p.id, Bytes: p.bytes, Rows: len(p.items), Request: &datastate.Batch{Writer: c.writer, Schemas: kv.SchemasOf(c.muts, p.items), Ops: c.ops(p.items), Txn: c.t.id}}
		c.m.ranges.Do(ctx, []*kv.Call{call})
		switch {
		case moved(call):
			return 0, false, nil
		case call.Err != nil:
			return 0, false, fmt.Errorf("commit: %w", call.Err)
		case call.Result.Outcome == datastate.Applied:
			c.t.unlocked(c.rows)
			c.m.count(func(s *Stats) { s.OneRange++ })
			return call.TS, true, nil
		case call.Result.Outcome != datastate.Blocked:
			return 0, false, c.refused(call.Result, p.items)
		}
		if err := c.wait.blocked(ctx, call.Result.By); err != nil {
			return 0, false, err
		}
	}
}

// unlocked notes that the range has ended the locks of rows with the commit.
func (t *Txn) unlocked(rows [][]byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.locked) == 0 {
		return
	}
	for _, row := range rows {
		delete(t.locked, string(row))
	}
}

// The reasons of a ConflictError.
const (
	reasonChanged = "a row changed since it was read"
	reasonPushed  = "this node did not answer for a while, and another transaction has aborted it"
	reasonRead    = "rows that it has read were changed"
	reasonLost    = "a row changed since it was locked: its range lost the lock with its leader, or this node did not answer for a while"
	// reasonDoubtful is of a durable lock, which no condition of a commit stands for.
	reasonDoubtful = "a range did not answer whether it has ended the lock of a row since ROLLBACK TO SAVEPOINT"
)

// refused turns the refusal of a range into an error.
func (c *commit) refused(r *datastate.Result, items []int) error {
	switch r.Outcome {
	case datastate.Aborted:
		return &ConflictError{Reason: reasonPushed}
	case datastate.ConditionFailed:
		if r.FailedOp >= len(items) {
			return fmt.Errorf("commit: the condition of write %d of %d does not hold", r.FailedOp, len(items))
		}
		at := items[r.FailedOp]
		e := &kv.ConditionError{Mutation: at, Existing: r.Existing, ExistingTS: r.ExistingTS}
		if c.muts[at].Expect == datastate.Absent {
			return e
		}
		return &ConflictError{Reason: reasonChanged, Cause: e}
	case datastate.Dropped:
		return fmt.Errorf("commit: %w", kv.ErrDropped)
	case datastate.StaleSchema:
		return fmt.Errorf("commit: %w", kv.Stale(r))
	default:
		return fmt.Errorf("commit: the range could not read the write (outcome %d): is a row named twice?", r.Outcome)
	}
}

// inSeveral commits by intents and a record. parts are what is to be written, by range; nil:
// that is not known.
func (c *commit) inSeveral(ctx context.Context, parts []*part) (hlc.Timestamp, error) {
	c.record = c.home(parts)
	if c.with != nil {
		c.prepared = true // maybe, whatever the answer is
		if err := c.with.Prepare(ctx, c.t.id, c.record); err != nil {
			return 0, notAmbiguous(err)
		}
	}
	var again replanning
	for {
		home, parts, err := c.plan()
		if err != nil {
			return 0, err
		}
		progress := len(parts) == 0
		for some := range slices.Chunk(parts, layParts) {
			on, clear, err := c.prewrite(ctx, some)
			if err != nil {
				return 0, err
			}
			if progress = progress || on; !clear {
				break
			}
		}
		if len(c.todo) == len(c.rest) || c.m.cfg.Planted.commitsEarly() {
			ts, done, err := c.decide(ctx, home)
			if done || err != nil {
				return ts, err
			}
			progress = false
		}
		if !progress {
			if err := again.pause(ctx, c.m); err != nil {
				return 0, err
			}
		}
	}
}

// home chooses the record. It is best beside the row that others wait for: the locks of
// the range of the record end with the commit, those of others a round later. Where
// nobody waits it is in the range that has most to write.
func (c *commit) home(parts []*part) []byte {
	if hot := c.m.hottest(c.rows); hot >= 0 && c.t.iso != Serializable && c.free() {
		return c.t.moveRecord(c.rows[hot])
	}
	return c.t.recordAt(c.heaviest(parts))
}

// free reports whether the record may be another than that which those were told who met
// the locks of the transaction. They may abort it there, and take its locks from it while
// it commits by the other one: all of those have to be in memory, and on rows whose
// conditions notice.
func (c *commit) free() bool {
	t := c.t
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.locked) == 0 {
		return true
	}
	checked := c.checked()
	for row, l := range t.locked {
		if (l.durable || !checked[row]) && !c.m.cfg.Planted.movesRecord() {
			return false
		}
	}
	return true
}

// checked are the rows that the transaction writes only if they are as it saw them.
func (c *commit) checked() map[string]bool {
	checked := map[string]bool{}
	for i, row := range c.rows {
		checked[string(row)] = c.muts[i].Expect != datastate.Any && c.muts[i].Expect != datastate.Present
	}
	return checked
}

// heaviest is a row of the range that has the most to write: that range needs no intents.
// nil: nothing is written.
func (c *commit) heaviest(parts []*part) []byte {
	if len(c.rows) == 0 {
		return nil
	}
	if parts == nil {
		var err error
		if parts, err = c.m.parts(c.todo, c.row, c.size, 0); err != nil {
			return c.rows[0] // plan tells
		}
	}
	return c.rows[slices.MaxFunc(parts, func(a, b *part) int { return a.bytes - b.bytes }).items[0]]
}

// plan says what is to be laid as intents before the range home decides, and what that
// writes at once.
func (c *commit) plan() (home cluster.RangeID, lay []*part, err error) {
	if home = c.m.ranges.RangeOf(c.record); home == 0 {
		return 0, nil, &kv.UnavailableError{Cause: errNoRange}
	}
	parts, err := c.m.parts(c.todo, c.row, c.size, chunkBytes)
	if err != nil {
		return 0, nil, err
	}
	c.rest = nil
	for i, p := range parts {
		c.t.noteRange(p.id)
		switch {
		case p.id == home && c.rest == nil && c.t.iso != Serializable:
			c.rest = p.items
		case c.m.cfg.Planted.skipsPrewrite() && i == len(parts)-1 && len(c.laid) == 0 && len(lay) > 0:
			c.drop(p.items)
		default:
			lay = append(lay, p)
		}
	}
	return home, lay, nil
}

// drop takes mutations from todo.
func (c *commit) drop(items []int) {
	gone := make([]bool, len(c.muts))
	for _, i := range items {
		gone[i] = true
	}
	c.todo = slices.DeleteFunc(c.todo, func(i int) bool { return gone[i] })
}

// prewrite lays intents. progress: something was laid. clear: nobody was in the way.
func (c *commit) prewrite(ctx context.Context, parts []*part) (progress, clear bool, err error) {
	calls := make([]*kv.Call, len(parts))
	for i, p := range parts {
		calls[i] = &kv.Call{Range: p.id, Bytes: p.bytes, Rows: len(p.items), Request: &datastate.Prewrite{Writer: c.writer, Schemas: kv.SchemasOf(c.muts, p.items), Ops: c.ops(p.items), Txn: c.t.id, Record: c.record}}
	}
	if c.asked == nil {
		c.asked = make([]bool, len(c.muts))
	}
	for _, p := range parts {
		for _, i := range p.items {
			c.asked[i] = true
		}
	}
	c.m.ranges.Do(ctx, calls)
	var by []datastate.Blocker
	var laid []int
	clear = true
	for i, call := range calls {
		switch {
		case moved(call):
			clear = false
		case call.Err != nil:
			if store.MaybeApplied(call.Err) {
				laid, c.doubtful = append(laid, parts[i].items...), append(c.doubtful, c.rowsOf(parts[i].items)...)
			}
			err = worse(err, fmt.Errorf("commit: %w", notAmbiguous(call.Err)))
		case call.Result.Outcome == datastate.Applied:
			laid = append(laid, parts[i].items...)
			c.min = max(c.min, call.TS, call.Result.Min)
			progress = true
		case call.Result.Outcome == datastate.Blocked:
			by = append(by, call.Result.By...)
		default:
			err = worse(err, c.refused(call.Result, parts[i].items))
		}
	}
	c.lay(laid)
	if c.m.cfg.Planted.commitsEarly() {
		return progress, true, nil
	}
	if err == nil && len(by) > 0 {
		return true, false, c.wait.blocked(ctx, by)
	}
	return progress, clear, err
}

// lay notes that mutations have intents, or may have.
func (c *commit) lay(items []int) {
	for _, i := range items {
		c.laid, c.asked[i] = append(c.laid, c.rows[i]), false
	}
	c.drop(items)
}

// refusedRows are those of asked.
func (c *commit) refusedRows() (rows [][]byte) {
	for i, asked := range c.asked {
		if asked {
			rows = append(rows, c.rows[i])
		}
	}
	return rows
}

// notAmbiguous is the error of a request that commits nothing, such as a prewrite, and that
// nobody knows the fate of: nothing that a client could see rests on it.
func notAmbiguous(err error) error {
	var ambiguous *store.AmbiguousError
	if errors.As(err, &ambiguous) {
		return &kv.UnavailableError{Cause: fmt.Errorf("no answer to a request of a transaction: %w", ambiguous.Cause)}
	}
	return err
}

// worse returns the error that says more: that the transaction has lost, before a
// condition that says Absent, before others; of conditions that of the first mutation.
func worse(a, b error) error {
	rank := func(err error) (rank, mutation int) {
		var conflict *ConflictError
		var condition *kv.ConditionError
		if errors.As(err, &condition) {
			rank, mutation = 1, condition.Mutation
		}
		if errors.As(err, &conflict) {
			rank = 2
		}
		return rank, mutation
	}
	ra, ma := rank(a)
	rb, mb := rank(b)
	if a == nil || rb > ra || rb == ra && rb > 0 && mb < ma {
		return b
	}
	return a
}

// decide has the range of the record commit. !done: something has changed, and more may
// have to be laid first.
func (c *commit) decide(ctx context.Context, home cluster.RangeID) (ts hlc.Timestamp, done bool, err error) {
	var at hlc.Timestamp
	if c.t.iso == Serializable && len(c.t.reads.of) > 0 && len(c.muts) > 0 { // else it reads one snapshot, and that is all
		if at, err = c.refresh(ctx); err != nil {
			return 0, false, err
		}
	}
	if c.m.cfg.Planted.resolvesEarly() {
		_ = c.m.resolveRows(ctx, &cleanup{id: c.t.id, record: c.record, commitTS: c.min + 1, rows: slices.Clone(c.laid)})
	}
	request := &datastate.Commit{
		Writer: c.writer, Schemas: kv.SchemasOf(c.muts, c.rest), Ops: c.ops(c.rest), Txn: c.t.id, Record: c.record,
		Min: c.min, At: at, Objects: c.prepared, Ranges: spans(c.laid, c.m.ranges.RangeOf),
	}
	// Whoever waits may go away; the command is on its way, and its fate is to be known.
	call := &kv.Call{Range: home, Bytes: len(c.record), Request: request}
	for _, i := range c.rest {
		call.Bytes += c.size(i)
	}
	c.t.noteRange(home)
	c.m.ranges.Do(context.WithoutCancel(ctx), []*kv.Call{call})
	switch {
	case moved(call):
		return 0, false, nil
	case store.MaybeApplied(call.Err):
		ts, err := c.settle(call.Err)
		return ts, err == nil, err
	case call.Err != nil:
		return 0, false, fmt.Errorf("commit: %w", call.Err)
	}
	switch r := call.Result; r.Outcome {
	case datastate.Applied:
		c.t.unlocked(c.rowsOf(c.rest))
		if r.TS != 0 { // it was committed before, or at a given time
			return r.TS, true, nil
		}
		return call.TS, true, nil
	case datastate.TooEarly:
		c.min = max(c.min, r.Min)
		return 0, false, nil
	case datastate.Blocked:
		return 0, false, c.wait.blocked(ctx, r.By) // a range that refuses a retry so refuses what comes late, too
	case datastate.Aborted:
		// An earlier attempt of the same command may be on its way: nothing but the record
		// is in its way.
		if !c.m.cfg.Planted.forgetsPoison() {
			c.t.takenBack()
		}
		return 0, false, c.refused(r, c.rest)
	default:
		return 0, false, c.refused(r, c.rest)
	}
}

func (c *commit) rowsOf(items []int) [][]byte {
	rows := make([][]byte, len(items))
	for j, i := range items {
		rows[j] = c.rows[i]
	}
	return rows
}

// settlePatience is how long the record of a commit without an answer is asked, beyond
// the patience of the commit itself: an election, and some more.
const settlePatience = 15 * time.Second

// settle finds out what became of a commit without an answer, or decides that it never
// happens.
func (c *commit) settle(cause error) (hlc.Timestamp, error) {
	begun := c.m.cfg.Now()
	for {
		r, err := c.m.push(c.m.ctx, c.t.id, c.record, true, 0)
		switch {
		case err == nil && r.Status == datastate.TxnCommitted:
			return r.TS, nil
		case err == nil && r.Status == datastate.TxnAborted:
			c.t.takenBack()
			return 0, &ConflictError{Reason: "its commit had no answer in time and was taken back"}
		}
		if c.m.cfg.Now()-begun > settlePatience || c.m.cfg.Sleep(c.m.ctx, 200*time.Millisecond) != nil {
			return 0, &store.AmbiguousError{Cause: cause}
		}
	}
}
