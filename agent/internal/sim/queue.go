package sim

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/evaluation"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/kv"
	"github.com/nodedb/nodedb/agent/internal/lock"
	"github.com/nodedb/nodedb/agent/internal/txn"
)

// queue is a queue of jobs beside the bank, as applications have it: a statement locks jobs
// that nobody else has locked, then locks them again for its change, and goes by the first
// look. In between its locks may go with their leader, and another may take the job. Each is
// taken once.
type queue struct {
	w     *World
	slots []account
	put   int             // jobs that were put, the name of the last
	taken map[string]bool // by a commit that was acknowledged
}

// queueCollection has the rows of a queue. A row holds "w5" while job 5 waits there, "t5" when
// somebody has taken and kept it, or nothing.
const queueCollection cluster.CollectionID = 9

const (
	queueSlots = 8
	// takes is how many jobs a statement wants at once.
	takes = 3
)

func (w *World) beginQueue(b *bank) {
	q := &queue{w: w, taken: map[string]bool{}}
	for i := range queueSlots {
		key, row := w.keyIn(queueCollection, i, i%w.cfg.Ranges)
		q.slots = append(q.slots, account{kv.Mutation{Collection: queueCollection, Key: key}, row})
	}
	var next func()
	next = func() {
		if b.over() {
			return
		}
		if w.chance(40) {
			w.onGateway(q.fill)
		} else {
			w.onGateway(q.take)
		}
		w.After(w.ms(10, 80), next)
	}
	w.After(w.ms(1500, 2500), next)
}

// lock locks slots and returns what they hold.
func (q *queue) lock(t *txn.Txn, at []int, wait evaluation.Wait) ([]kv.Row, []bool, error) {
	r := txn.LockRequest{Collection: queueCollection, Strength: lock.Update, Wait: wait}
	for _, i := range at {
		r.Keys = append(r.Keys, q.slots[i].mut.Key)
	}
	return t.Lock(context.Background(), r)
}

// fill puts a job where none waits.
func (q *queue) fill(g *gateway) {
	i := q.w.rng.IntN(queueSlots)
	t := g.manager.Begin(txn.ReadCommitted, txn.Info{})
	defer t.Rollback()
	now, _, err := q.lock(t, []int{i}, evaluation.NoWait)
	if err != nil || strings.HasPrefix(string(now[0].Value), "w") {
		return
	}
	q.put++
	_, _ = t.Commit(context.Background(), []kv.Mutation{q.write(i, fmt.Sprintf("w%d", q.put), &now[0])}, 0)
}

// write changes a slot that is as it was seen; "": to nothing.
func (q *queue) write(i int, value string, was *kv.Row) kv.Mutation {
	m := q.slots[i].mut
	m.Value, m.Delete = []byte(value), value == ""
	if m.Expect = datastate.Absent; was.Value != nil {
		m.Expect, m.ExpectTS = datastate.VersionIs, was.Version
	}
	return m
}

// take takes jobs by one statement at read committed.
func (q *queue) take(g *gateway) {
	w := q.w
	t := g.manager.Begin(txn.ReadCommitted, txn.Info{})
	defer t.Rollback()
	first := w.rng.IntN(queueSlots)
	var at []int
	for i := range takes {
		at = append(at, (first+i)%queueSlots)
	}
	seen, skipped, err := q.lock(t, at, evaluation.SkipLocked)
	if err != nil {
		return
	}
	var mine []int
	var jobs []string
	for i := range seen {
		if job, waits := strings.CutPrefix(string(seen[i].Value), "w"); waits && !skipped[i] {
			mine, jobs = append(mine, at[i]), append(jobs, job)
		}
	}
	if len(mine) == 0 {
		return
	}
	pause := time.Duration(0)
	if w.chance(50) {
		pause = w.ms(1, 1500)
	}
	_ = g.sleep(context.Background(), pause)
	now, _, err := q.lock(t, mine, evaluation.Block)
	if err != nil {
		return
	}
	var muts []kv.Mutation
	var got []string
	keep := w.chance(50)
	for i := range now {
		if now[i].Value == nil {
			continue // it is gone: the change does not find it
		}
		value := ""
		if keep {
			value = "t" + jobs[i]
		}
		muts, got = append(muts, q.write(mine[i], value, &now[i])), append(got, jobs[i])
	}
	ts, err := t.Commit(context.Background(), muts, 0)
	if err != nil || len(muts) == 0 {
		return
	}
	q.took(ts, got)
}

func (q *queue) took(ts hlc.Timestamp, jobs []string) {
	for _, job := range jobs {
		if q.w.Stats.JobsTaken++; q.taken[job] {
			q.w.fail("job %s was taken twice, the second time at %s", job, ts)
		}
		q.taken[job] = true
	}
}
