package kv

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/nodedb/nodedb/agent/internal/budget"
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/store"
)

// GetRequest asks for rows by key.
type GetRequest struct {
	// TS is the time to read at; 0: after everything acknowledged so far.
	TS         hlc.Timestamp
	Pool       cluster.PoolID // of the collection
	Collection cluster.CollectionID
	Keys       [][]byte // encoded primary keys
	Policy     Policy
	// Reading is how the statement reads; if that may be the past, TS is PastTime or
	// what the statement named, for all of its reads.
	Reading Reading
	// Passed are transactions whose intents do not matter.
	Passed []cluster.TxnID
	// Schema is, of reads of what not everybody maintains, the version of the table's
	// descriptor that says so; who knows too old a one gets a *StaleSchemaError. 0: none.
	Schema uint64
	// Memory grows by the Size of each row that was found; nil: nothing is counted.
	Memory *budget.Account
}

// Get returns the rows, in the order of the keys; Value is nil where there is none.
func (d *DB) Get(ctx context.Context, req GetRequest) ([]Row, error) {
	rows := make([]Row, len(req.Keys))
	todo := make([]int, len(req.Keys))
	for i := range todo {
		rows[i].Key, todo[i] = req.Keys[i], i
	}
	started := time.Now()
	for try := 0; len(todo) > 0; try++ {
		groups, err := d.group(len(todo), func(i int) []byte {
			return rowOf(req.Pool, req.Collection, req.Keys[todo[i]])
		})
		if err != nil {
			return nil, err
		}
		if req.TS == 0 && (len(groups) > 1 || try > 0) {
			if req.TS, err = d.Fresh(ctx); err != nil {
				return nil, err
			}
		}
		for i := range groups {
			for j, n := range groups[i].items {
				groups[i].items[j] = todo[n]
			}
		}
		if todo, err = d.getRound(ctx, &req, groups, rows); err != nil {
			return nil, err
		}
		if len(todo) == 0 {
			break
		}
		if err := d.replanPause(ctx, try, started); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// getRound reads each group, in parallel, and returns the keys whose range
// turned out to be another.
func (d *DB) getRound(ctx context.Context, req *GetRequest, groups []group, rows []Row) (replan []int, err error) {
	errs := make([]error, len(groups))
	var wg sync.WaitGroup
	for i := range groups[1:] {
		wg.Go(func() { errs[i+1] = d.getRange(ctx, req, &groups[i+1], rows) })
	}
	errs[0] = d.getRange(ctx, req, &groups[0], rows)
	wg.Wait()
	for i, err := range errs {
		var mismatch *store.RangeMismatchError
		if errors.As(err, &mismatch) {
			replan = append(replan, groups[i].items...)
		} else if err != nil {
			return nil, err
		}
	}
	return replan, nil
}

// timesAgain bounds how often a read at a leader's own time is made at a later one.
const timesAgain = 4

// getRange reads one group and fills its rows, which no other group touches.
func (d *DB) getRange(ctx context.Context, req *GetRequest, g *group, rows []Row) error {
	m := readRequest{Range: g.id, TS: req.TS, Rows: g.rows, Schema: req.Schema}
	items, transactions := g.items, resolving{db: d, passed: slices.Clone(req.Passed)}
	m.Passed = transactions.passed
	for len(items) > 0 {
		found, err := d.readSome(ctx, req, &m)
		if err != nil {
			at, again, err := transactions.met(ctx, err)
			if err != nil {
				return fmt.Errorf("read from %s: %w", g.id, err)
			}
			if m.Passed = transactions.passed; m.TS != 0 {
				continue
			}
			if m.TS = at; again { // one of them had committed, but later than the leader's time
				m.TS, transactions.passed = 0, slices.Clone(req.Passed)
				m.Passed = transactions.passed
				if transactions.tries > timesAgain {
					if m.TS, err = d.Fresh(ctx); err != nil {
						return err
					}
				}
			}
			continue
		}
		if len(found) < len(items) && m.TS == 0 {
			// More than one answer holds: all of it at one time, then.
			if m.TS, err = d.Fresh(ctx); err != nil {
				return err
			}
			continue
		}
		for i, f := range found {
			row := &rows[items[i]]
			row.Value, row.Version = f.Value, f.Version
			if f.Value == nil {
				continue
			}
			if err := req.Memory.Grow(row.Size()); err != nil {
				return fmt.Errorf("read from %s: %w", g.id, err)
			}
		}
		items, m.Rows = items[len(found):], m.Rows[len(found):]
	}
	return nil
}

// readSome reads rows of one range where the gate says.
func (d *DB) readSome(ctx context.Context, req *GetRequest, m *readRequest) (found []readRow, err error) {
	r := &req.Reading
	began := time.Now()
	part := RangeRead{Range: m.Range, Node: d.cfg.Self, TS: m.TS}
	defer func() {
		if err == nil {
			part.Rows, part.Took = len(found), time.Since(began)
			d.noteRead(r, part)
		}
	}()
	if part.Follower, part.Why = d.gate(m.Range, m.TS, r); part.Follower {
		if found, err = d.server.readPast(m, r.Consistency == Eventual); err == nil {
			return found, nil
		}
		why, atLeader := pastFailed(err)
		if !atLeader {
			d.learn(err)
			return nil, err
		}
		part.Follower, part.Why = false, why
	}
	err = d.request(m.Range, req.Policy).run(ctx, func(ctx context.Context, node cluster.NodeID) (err error) {
		part.Node = node
		found, err = d.readAt(ctx, node, m)
		return err
	})
	return found, err
}

func (d *DB) readAt(ctx context.Context, node cluster.NodeID, m *readRequest) ([]readRow, error) {
	if node == d.cfg.Self {
		return d.server.read(ctx, m)
	}
	b, err := d.cfg.Caller.Call(ctx, node, MethodRead, m.encode(d.cfg.Clock.Now()))
	if err != nil {
		return nil, err
	}
	reply, clock, err := decodeReadReply(b)
	if err != nil {
		return nil, err
	}
	d.heard(clock)
	if reply.Err == nil && (len(reply.Rows) == 0 || len(reply.Rows) > len(m.Rows)) {
		return nil, fmt.Errorf("%w: %d rows for %d keys", errMalformed, len(reply.Rows), len(m.Rows))
	}
	return reply.Rows, reply.Err
}
