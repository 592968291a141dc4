package workload

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/nodedb/nodedb/agent/agenttest/checker"
	"github.com/nodedb/nodedb/agent/agenttest/history"
)

// jobs is a queue as applications have it: who takes jobs skips those that others have
// locked. Each is taken once.
type jobs struct {
	ids     atomic.Int64
	waiting atomic.Int64 // about
}

// mostJobs is how many may wait: who takes looks through all.
const mostJobs = 60

func (*jobs) Name() string { return "jobs" }

func (*jobs) Setup(ctx context.Context, conn *pgx.Conn) error {
	return setup(ctx, conn, "CREATE TABLE jobs (id int8 PRIMARY KEY, state int8)")
}

func (w *jobs) Step(ctx context.Context, c *Client) {
	if w.waiting.Load() < mostJobs && c.Rand.IntN(2) == 0 {
		w.put(ctx, c)
		return
	}
	n := 1 + c.Rand.Int64N(4)
	level := ""
	if c.Rand.IntN(2) == 0 {
		level = c.Level
	}
	remove := c.Rand.IntN(3) > 0
	c.run(ctx, checker.Take, level, func(ctx context.Context, x *Tx) error {
		x.Note(history.Step{Do: history.Count, Arg: n})
		var got [][]int64
		var err error
		if level == "" || c.Rand.IntN(2) == 0 {
			got, err = x.Ints(ctx, take(remove), n)
		} else {
			got, err = takeByKey(ctx, x, n)
		}
		if err != nil {
			return err
		}
		for _, row := range got {
			x.Note(history.Step{Do: history.Take, Key: int(row[0])})
		}
		x.steps[0].Got = int64(len(got))
		w.waiting.Add(-int64(len(got)))
		return nil
	})
}

func (w *jobs) put(ctx context.Context, c *Client) {
	var rows []string
	c.Do(ctx, checker.Put, func(ctx context.Context, x *Tx) error {
		for range 1 + c.Rand.IntN(3) {
			id := w.ids.Add(1)
			x.Note(history.Step{Do: history.Write, Key: int(id)})
			rows = append(rows, fmt.Sprintf("(%d, 0)", id))
		}
		_, err := x.Exec(ctx, "INSERT INTO jobs VALUES "+strings.Join(rows, ", "))
		return err
	})
	w.waiting.Add(int64(len(rows)))
}

// take takes jobs by one statement, and removes or marks them.
func take(remove bool) string {
	const found = " WHERE id IN (SELECT id FROM jobs WHERE state = 0 ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED) RETURNING id"
	if remove {
		return "DELETE FROM jobs" + found
	}
	return "UPDATE jobs SET state = 1" + found
}

// takeByKey locks jobs, and removes one after another.
func takeByKey(ctx context.Context, x *Tx, n int64) ([][]int64, error) {
	got, err := x.Ints(ctx, "SELECT id FROM jobs WHERE state = 0 ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED", n)
	for _, row := range got {
		gone, err := x.Exec(ctx, "DELETE FROM jobs WHERE id = $1", row[0])
		if err != nil {
			return nil, err
		}
		if gone != 1 {
			return nil, errMissing // it is locked
		}
	}
	return got, err
}

func (*jobs) Finish(ctx context.Context, c *Client) {
	c.Do(ctx, history.Read, func(ctx context.Context, x *Tx) error {
		rows, err := x.Ints(ctx, "SELECT id FROM jobs WHERE state = 0")
		for _, r := range rows {
			x.Note(history.Step{Do: history.Read, Key: int(r[0])})
		}
		return err
	})
}

func (*jobs) Check(ops []history.Op, _ string) []checker.Finding { return checker.Jobs(ops) }

// mutexes are advisory locks. Those of a transaction guard a counter that is read and
// written back; those of a session are held for a moment, and no two clients do.
type mutexes struct{}

const mutexKeys = 3

func (*mutexes) Name() string { return "mutexes" }

func (*mutexes) Setup(ctx context.Context, conn *pgx.Conn) error {
	return setup(ctx, conn, "CREATE TABLE mutexes (k int8 PRIMARY KEY, n int8)", "INSERT INTO mutexes VALUES (0, 0), (1, 0), (2, 0)")
}

func (w *mutexes) Step(ctx context.Context, c *Client) {
	key := c.Rand.IntN(mutexKeys)
	switch c.Rand.IntN(6) {
	case 0, 1, 2:
		c.DoTx(ctx, history.Next, c.Level, func(ctx context.Context, x *Tx) error {
			x.Note(history.Step{Do: history.Next, Key: key})
			return nextUnderLock(ctx, x, key, holding(c))
		})
	case 3:
		w.hold(ctx, c, key, checker.Shared, "pg_advisory_lock_shared", "pg_advisory_unlock_shared")
	case 4:
		w.hold(ctx, c, key, checker.Hold, "pg_try_advisory_lock", "pg_advisory_unlock")
	default:
		w.hold(ctx, c, key, checker.Hold, "pg_advisory_lock", "pg_advisory_unlock")
	}
}

// holding is how long a lock is held: now and then longer than others wait for a node that
// does not answer.
func holding(c *Client) time.Duration {
	if c.Rand.IntN(6) == 0 {
		return 6*time.Second + time.Duration(c.Rand.Int64N(int64(3*time.Second)))
	}
	return time.Duration(c.Rand.Int64N(int64(30 * time.Millisecond)))
}

// nextUnderLock counts, by a read and a write that nothing guards but the lock.
func nextUnderLock(ctx context.Context, x *Tx, key int, lasts time.Duration) error {
	if _, err := x.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", key); err != nil {
		return err
	}
	row, err := x.One(ctx, "SELECT n FROM mutexes WHERE k = $1", key)
	if err != nil {
		return err
	}
	x.steps[0].Got = row[0] + 1
	pause(ctx, lasts)
	_, err = x.Exec(ctx, "UPDATE mutexes SET n = $2 WHERE k = $1", key, row[0]+1)
	return err
}

// hold holds a lock of the session for a moment. It counts only if the session is told at
// the end that it had it.
func (*mutexes) hold(ctx context.Context, c *Client, key int, kind, lock, unlock string) {
	lasts := holding(c)
	key += mutexKeys // others than those of transactions
	outcome := c.Do(ctx, kind, func(ctx context.Context, x *Tx) error {
		had, err := x.Bool(ctx, fmt.Sprintf("SELECT %s(%d)", lock, key))
		if err != nil {
			return err
		}
		if strings.Contains(lock, "_try_") && !had {
			return errNothing
		}
		since := c.Age()
		pause(ctx, lasts)
		until := c.Age()
		had, err = x.Bool(ctx, fmt.Sprintf("SELECT %s(%d)", unlock, key))
		if err == nil && !had {
			err = errLost
		}
		x.Note(history.Step{Do: history.Hold, Key: key, List: []int64{int64(since), int64(until)}})
		return err
	})
	if outcome != history.OK {
		c.close() // it may hold the lock
	}
}

func (*mutexes) Finish(context.Context, *Client) {}

func (*mutexes) Check(ops []history.Op, _ string) []checker.Finding {
	return append(checker.Numbers(ops), checker.Holds(ops)...)
}
