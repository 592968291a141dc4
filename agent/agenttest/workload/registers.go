package workload

import (
	"context"
	"sync/atomic"

	"github.com/jackc/pgx/v5"

	"github.com/nodedb/nodedb/agent/agenttest/checker"
	"github.com/nodedb/nodedb/agent/agenttest/history"
)

// rotation is how many operations a group of keys gets before the next: porcupine
// wants at most a thousand or two of a key, and long lists take long to read.
const rotation = 400

// registers are rows that are read, written and changed under a condition, each by
// one statement of its own.
type registers struct {
	values atomic.Int64
	ops    atomic.Int64
}

func (*registers) Name() string { return "registers" }

func (*registers) Setup(ctx context.Context, conn *pgx.Conn) error {
	return setup(ctx, conn, "CREATE TABLE registers (k int8 PRIMARY KEY, v int8)")
}

func (w *registers) Step(ctx context.Context, c *Client) {
	const keys = 5
	key := int(w.ops.Add(1)/rotation)*keys + c.Rand.IntN(keys)
	switch c.Rand.IntN(5) {
	case 0, 1:
		readRegister(ctx, c, key)
	case 2:
		value := w.values.Add(1)
		c.Do(ctx, history.Write, func(ctx context.Context, x *Tx) error {
			x.Note(history.Step{Do: history.Write, Key: key, Arg: value})
			_, err := x.Exec(ctx, "INSERT INTO registers VALUES ($1, $2) ON CONFLICT (k) DO UPDATE SET v = EXCLUDED.v", key, value)
			return err
		})
	default:
		expect := readRegister(ctx, c, key)
		if expect == 0 {
			return
		}
		value := w.values.Add(1)
		c.Do(ctx, history.CAS, func(ctx context.Context, x *Tx) error {
			x.Note(history.Step{Do: history.CAS, Key: key, Expect: expect, Arg: value})
			n, err := x.Exec(ctx, "UPDATE registers SET v = $1 WHERE k = $2 AND v = $3", value, key, expect)
			x.steps[0].Got = n
			return err
		})
	}
}

func readRegister(ctx context.Context, c *Client, key int) (value int64) {
	c.Do(ctx, history.Read, func(ctx context.Context, x *Tx) error {
		rows, err := x.Ints(ctx, "SELECT v FROM registers WHERE k = $1", key)
		if len(rows) > 0 {
			value = rows[0][0]
		}
		x.Note(history.Step{Do: history.Read, Key: key, Got: value})
		return err
	})
	return value
}

func (*registers) Finish(ctx context.Context, c *Client) {
	for key := range 5 {
		readRegister(ctx, c, key)
	}
}

func (*registers) Check(ops []history.Op, _ string) []checker.Finding { return checker.Registers(ops) }

// numbers are counters that hand out their next value.
type numbers struct{}

func (*numbers) Name() string { return "numbers" }

func (*numbers) Setup(ctx context.Context, conn *pgx.Conn) error {
	return setup(ctx, conn, "CREATE TABLE numbers (k int8 PRIMARY KEY, n int8)", "INSERT INTO numbers VALUES (0, 0), (1, 0), (2, 0)")
}

func (*numbers) Step(ctx context.Context, c *Client) {
	key := c.Rand.IntN(3)
	if n := c.Rand.IntN(6); n < 2 {
		readNumber(ctx, c, key, n == 0)
		return
	}
	c.Do(ctx, history.Next, func(ctx context.Context, x *Tx) error {
		x.Note(history.Step{Do: history.Next, Key: key})
		rows, err := x.Ints(ctx, "UPDATE numbers SET n = n + 1 WHERE k = $1 RETURNING n", key)
		if len(rows) == 1 {
			x.steps[0].Got = rows[0][0]
		}
		return err
	})
}

// readNumber reads a counter: the newest, or one that may be old.
func readNumber(ctx context.Context, c *Client, key int, bounded bool) {
	read := func(ctx context.Context, x *Tx) error {
		rows, err := x.Ints(ctx, "SELECT n FROM numbers WHERE k = $1", key)
		if err == nil && len(rows) == 0 {
			err = errNothing // it was made a moment ago
		}
		if err == nil {
			x.Note(history.Step{Do: history.Read, Key: key, Got: rows[0][0]})
		}
		return err
	}
	if bounded {
		c.DoBounded(ctx, checker.Bounded, read)
		return
	}
	c.Do(ctx, history.Read, read)
}

func (w *numbers) Finish(ctx context.Context, c *Client) { w.Step(ctx, c) }

func (*numbers) Check(ops []history.Op, _ string) []checker.Finding { return checker.Numbers(ops) }
