package kv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"sync"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/store"
)

// Propose applies one command of a range's state machine, exactly once, on
// whichever node leads. It returns the machine's result and the timestamp of
// the entry. A zero field of p takes the DB's default.
func (d *DB) Propose(ctx context.Context, id cluster.RangeID, payload []byte, p Policy) (result []byte, ts hlc.Timestamp, err error) {
	return d.propose(ctx, id, &store.Command{Payload: payload}, p)
}

// propose names cmd and applies it.
func (d *DB) propose(ctx context.Context, id cluster.RangeID, cmd *store.Command, p Policy) (result []byte, ts hlc.Timestamp, err error) {
	r := d.request(id, p)
	r.write = true
	named := false
	err = r.run(ctx, func(ctx context.Context, node cluster.NodeID) error {
		if !named {
			named, cmd.ID = true, d.newCommandID()
		}
		cmd.Retry = r.maybe
		result, ts, err = d.proposeAt(ctx, node, id, *cmd)
		return err
	})
	if err != nil {
		return nil, 0, fmt.Errorf("propose to %s: %w", id, err)
	}
	return result, ts, nil
}

func (d *DB) proposeAt(ctx context.Context, node cluster.NodeID, id cluster.RangeID, cmd store.Command) ([]byte, hlc.Timestamp, error) {
	if node == d.cfg.Self {
		return d.cfg.Store.Propose(ctx, id, cmd)
	}
	req := proposeRequest{Range: id, Command: cmd}
	b, err := d.cfg.Caller.Call(ctx, node, MethodPropose, req.encode(d.cfg.Clock.Now()))
	if err != nil {
		return nil, 0, err
	}
	reply, clock, err := decodeProposeReply(b)
	if err != nil {
		// Whatever the peer did, its answer cannot be read.
		return nil, 0, &store.AmbiguousError{Cause: err}
	}
	d.heard(clock)
	return reply.Result, reply.TS, reply.Err
}

// Mutation writes one row.
type Mutation struct {
	Collection cluster.CollectionID
	// Schema is the version of the table's descriptor that the mutation rests on; 0: of
	// collections that no SQL has made.
	Schema   uint64
	Key      []byte // encoded primary key
	Value    []byte
	ExpectTS hlc.Timestamp
	Expect   datastate.Condition
	Delete   bool
	Pool     cluster.PoolID // of the collection
}

// WriteOptions say how to write.
type WriteOptions struct {
	// OneRange refuses mutations of more than one range: the write is atomic.
	OneRange bool
	// Writer is on whose behalf; its number goes into the versions.
	Writer cluster.WriterID
	// Policy is the patience; zero fields take the DB's default.
	Policy Policy
	// Keep has a write that is refused by a condition keep its place in the lines of
	// its rows for some 300 ms: the next write of the same rows, or of some of them,
	// that names it as Place is decided before all others. With OneRange only.
	Keep bool
	// Yield has a write that others' locks are in the way of end with a BlockedError once
	// the leader has had it wait for a while, instead of waiting on: whoever goes away
	// then knows that nothing was written.
	Yield bool
	// Place is that of the write that this one comes in the stead of.
	Place Place
}

// Place is a place in the lines of some rows, kept by a write that was refused. Who
// has no use for it gives it up: others wait behind it until it ends by itself.
type Place struct {
	Range cluster.RangeID // 0: none
	By    [16]byte        // the command
}

// Kept reports whether there is a place at all.
func (p Place) Kept() bool { return p.Range != 0 }

// GiveUp ends a place that nothing will be written in. It makes one attempt, because
// the place ends by itself, too.
func (d *DB) GiveUp(ctx context.Context, p Place) {
	if !p.Kept() {
		return
	}
	r := d.request(p.Range, Policy{})
	if node := r.candidate(); node != 0 {
		_ = r.once(ctx, node, func(ctx context.Context, node cluster.NodeID) error {
			_, _, err := d.proposeAt(ctx, node, p.Range, store.Command{ID: d.newCommandID(), InPlaceOf: p.By})
			return err
		})
	}
}

// maxReplans bounds how often a write or read is grouped anew because ranges
// changed: after a split it may take an election until somebody knows the new one.
const maxReplans = 80

// Write applies the mutations: those of one range together or not at all, the
// ranges independently. No row may be named twice. It returns the latest
// commit timestamp.
//
// With several ranges an error says nothing about the others, which may have
// been written: *store.AmbiguousError comes before *ConditionError before other
// errors.
func (d *DB) Write(ctx context.Context, muts []Mutation, o WriteOptions) (hlc.Timestamp, error) {
	w := &write{db: d, muts: muts, opts: o}
	todo := make([]int, len(muts))
	for i := range todo {
		todo[i] = i
	}
	started := time.Now()
	for try := 0; len(todo) > 0; try++ {
		groups, err := d.group(len(todo), func(i int) []byte {
			m := &muts[todo[i]]
			return rowOf(m.Pool, m.Collection, m.Key)
		})
		if err != nil {
			return w.ts, errors.Join(w.err, err)
		}
		if o.OneRange && len(groups) > 1 {
			return 0, &MultiRangeError{Ranges: len(groups)}
		}
		for i := range groups {
			for j, n := range groups[i].items {
				groups[i].items[j] = todo[n]
			}
			groups[i].sort()
		}
		todo = w.round(ctx, groups)
		if w.err != nil || len(todo) == 0 {
			break
		}
		if err := d.replanPause(ctx, try, started); err != nil {
			return w.ts, err
		}
	}
	return w.ts, w.err
}

// replanPause waits for the routing table to learn why a range refused keys.
func (d *DB) replanPause(ctx context.Context, try int, started time.Time) error {
	pause, ok := d.cfg.Policy.pause(try, time.Since(started))
	if try >= maxReplans || !ok {
		return &UnavailableError{Cause: errTooOften}
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(pause):
		return nil
	}
}

// write is one Write under way.
type write struct {
	db   *DB
	muts []Mutation
	opts WriteOptions

	mu     sync.Mutex
	ts     hlc.Timestamp
	err    error
	replan []int
}

// round writes each group in one command, in parallel, and returns the
// mutations whose range turned out to be another.
func (w *write) round(ctx context.Context, groups []group) []int {
	w.replan = nil
	var wg sync.WaitGroup
	for i := range groups[1:] {
		wg.Go(func() { w.writeRange(ctx, &groups[i+1]) })
	}
	w.writeRange(ctx, &groups[0])
	wg.Wait()
	return w.replan
}

// writeRange writes one group.
func (w *write) writeRange(ctx context.Context, g *group) {
	batch := datastate.Batch{Writer: w.opts.Writer, Schemas: SchemasOf(w.muts, g.items), Ops: make([]datastate.Op, len(g.items))}
	for i, n := range g.items {
		m := &w.muts[n]
		op := datastate.Op{
			Row: g.rows[i], Kind: datastate.Put,
			Value: m.Value, Expect: m.Expect, ExpectTS: m.ExpectTS,
		}
		if m.Delete {
			op.Kind, op.Value = datastate.Delete, nil
		}
		batch.Ops[i] = op
	}
	batch.For(w.db.cfg.Active(), w.db.cfg.Self)
	ts, err := w.send(ctx, g, &batch)
	var mismatch *store.RangeMismatchError
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case err == nil:
		w.ts = max(w.ts, ts)
	case errors.As(err, &mismatch) && !MaybeApplied(err):
		w.replan = append(w.replan, g.items...)
	default:
		w.err = worse(w.err, err)
	}
}

// send writes the batch of a group, as often as others' locks are in the way of it.
func (w *write) send(ctx context.Context, g *group, batch *datastate.Batch) (hlc.Timestamp, error) {
	cmd := store.Command{Payload: datastate.EncodeBatch(batch), Keep: w.opts.Keep && w.opts.OneRange, InPlaceOf: w.opts.Place.By}
	for {
		raw, ts, err := w.db.propose(ctx, g.id, &cmd, w.opts.Policy)
		if err != nil {
			return 0, err
		}
		res, err := datastate.DecodeResult(raw)
		if err != nil {
			return 0, err
		}
		switch {
		case res.Outcome == datastate.WrongRange && res.FailedOp < len(batch.Ops):
			w.db.learnSpan(ctx, batch.Ops[res.FailedOp].Row, g.id)
		case res.Outcome == datastate.Blocked && w.opts.Yield:
			place := Place{Range: g.id, By: cmd.ID}
			if cmd.InPlaceOf != [16]byte{} {
				place.By = cmd.InPlaceOf
			}
			go w.db.GiveUp(context.WithoutCancel(ctx), place) // who goes another way waits behind it; ends with its one attempt
			return 0, &BlockedError{}
		case res.Outcome == datastate.Blocked && w.db.cfg.Resolver != nil:
			if err := w.db.cfg.Resolver.Blocked(ctx, res.By); err != nil {
				return 0, err
			}
			// Another command, in the place of the first one: the leader knows it by that.
			if cmd.InPlaceOf == [16]byte{} {
				cmd.InPlaceOf = cmd.ID
			}
			continue
		}
		err = resultError(res, g)
		var condition *ConditionError
		if cmd.Keep && errors.As(err, &condition) {
			condition.Place = Place{Range: g.id, By: cmd.ID}
		}
		return ts, err
	}
}

// learnSpan lets the routing table learn what a range owns by now: the range
// refuses to read a row that is not its own, and says what is.
func (d *DB) learnSpan(ctx context.Context, row []byte, id cluster.RangeID) {
	m := readRequest{Range: id, Rows: [][]byte{row}}
	_ = d.request(id, Policy{Budget: -1}).run(ctx, func(ctx context.Context, node cluster.NodeID) error {
		_, err := d.readAt(ctx, node, &m)
		return err
	})
}

// resultError turns a refusal of the state machine into an error.
func resultError(res *datastate.Result, g *group) error {
	switch res.Outcome {
	case datastate.Applied:
		return nil
	case datastate.ConditionFailed:
		if res.FailedOp >= len(g.items) {
			return fmt.Errorf("%w: op %d of %d failed", errMalformed, res.FailedOp, len(g.items))
		}
		return &ConditionError{Mutation: g.items[res.FailedOp], Existing: res.Existing, ExistingTS: res.ExistingTS}
	case datastate.WrongRange:
		return &store.RangeMismatchError{Descriptor: cluster.RangeDescriptor{ID: g.id}}
	case datastate.Blocked:
		return errBlocked
	case datastate.Dropped:
		return ErrDropped
	case datastate.StaleSchema:
		return Stale(res)
	default:
	}
	return errors.New("the range could not read the write: is a row named twice?")
}

// worse returns the error that says more about the fate of a write.
func worse(a, b error) error {
	rank := func(err error) int {
		var condition *ConditionError
		switch {
		case err == nil:
			return 0
		case MaybeApplied(err):
			return 3
		case errors.As(err, &condition):
			return 2
		}
		return 1
	}
	var ca, cb *ConditionError
	if errors.As(a, &ca) && errors.As(b, &cb) && ca.Mutation < cb.Mutation {
		return a
	}
	if rank(b) >= rank(a) {
		return b
	}
	return a
}

// group is the part of a request that one range serves.
type group struct {
	id    cluster.RangeID
	items []int    // positions in the request
	rows  [][]byte // their keys.Row
}

// inOrder is up to how many rows of a range stay in the order in which they came. More are
// written in that of their keys, in which the engine finds them sooner.
const inOrder = 64

// sort puts many rows in the order of their keys.
func (g *group) sort() {
	if len(g.rows) > inOrder && !slices.IsSortedFunc(g.rows, bytes.Compare) {
		sort.Sort(byRow{g})
	}
}

// byRow sorts the rows of a group, each with its position.
type byRow struct{ *group }

func (g byRow) Len() int           { return len(g.rows) }
func (g byRow) Less(i, j int) bool { return bytes.Compare(g.rows[i], g.rows[j]) < 0 }
func (g byRow) Swap(i, j int) {
	g.rows[i], g.rows[j] = g.rows[j], g.rows[i]
	g.items[i], g.items[j] = g.items[j], g.items[i]
}

func rowOf(p cluster.PoolID, c cluster.CollectionID, primary []byte) []byte {
	return keys.Row(p, keys.VShardOf(c, primary), c, primary)
}

// group sorts n rows by range, in the order of first appearance.
func (d *DB) group(n int, row func(i int) []byte) ([]group, error) {
	var groups []group
	index := map[cluster.RangeID]int{}
	for i := range n {
		r := row(i)
		route, ok := d.cfg.Table.Row(r)
		if !ok {
			return nil, &UnavailableError{Cause: errNoRoute}
		}
		at, ok := index[route.Descriptor.ID]
		if !ok {
			at = len(groups)
			index[route.Descriptor.ID] = at
			groups = append(groups, group{id: route.Descriptor.ID})
		}
		g := &groups[at]
		g.items, g.rows = append(g.items, i), append(g.rows, r)
	}
	return groups, nil
}
