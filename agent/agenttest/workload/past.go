package workload

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/nodedb/nodedb/agent/agenttest/checker"
	"github.com/nodedb/nodedb/agent/agenttest/history"
)

// past has clients that read what was there at a time that many others read at, too,
// through other nodes and at other moments: it is the same for all.
type past struct{}

const pastKeys = 12

func (*past) Name() string { return "past" }

func (*past) Setup(ctx context.Context, conn *pgx.Conn) error {
	return setup(ctx, conn, "CREATE TABLE past (k int8 PRIMARY KEY, v int8)",
		fmt.Sprintf("INSERT INTO past SELECT i, 0 FROM generate_series(0, %d) AS g(i)", pastKeys-1))
}

// grid is how far apart the times are that are read at.
const grid = 200 * time.Millisecond

func (*past) Step(ctx context.Context, c *Client) {
	if c.Rand.IntN(2) == 0 || c.Age() < 20*grid {
		a := c.Rand.IntN(pastKeys)
		b := (a + 1 + c.Rand.IntN(pastKeys-1)) % pastKeys
		c.DoTx(ctx, history.Write, c.Level, func(ctx context.Context, x *Tx) error {
			for _, k := range []int{a, b} {
				if _, err := x.Exec(ctx, "UPDATE past SET v = v + 1 WHERE k = $1", k); err != nil {
					return err
				}
			}
			return nil
		})
		return
	}
	at := time.Now() // the latest finds commits under way; later ones look at it again
	if c.Rand.IntN(2) == 0 {
		at = at.Add(-time.Duration(c.Rand.Int64N(int64(min(c.Age()-10*grid, 40*grid)))))
	}
	readPast(ctx, c, at.Truncate(grid), c.Rand.IntN(3) == 0)
}

// readPast reads all counters at a time: by one statement, or by some of a block.
func readPast(ctx context.Context, c *Client, at time.Time, block bool) {
	text := "AS OF SYSTEM TIME '" + at.UTC().Format("2006-01-02 15:04:05.000") + "+00'"
	read := func(ctx context.Context, x *Tx, sql string) error {
		rows, err := x.Ints(ctx, sql)
		for _, r := range rows {
			x.Note(history.Step{Do: history.Read, Key: int(r[0]), Got: r[1]})
		}
		return err
	}
	c.Do(ctx, history.Read, func(ctx context.Context, x *Tx) error {
		x.Note(history.Step{Do: history.Time, Arg: at.UnixMilli()})
		if !block {
			return read(ctx, x, "SELECT k, v FROM past "+text+" ORDER BY k")
		}
		if _, err := x.Exec(ctx, "BEGIN "+text); err != nil {
			return err
		}
		for k := range pastKeys {
			if err := read(ctx, x, fmt.Sprintf("SELECT k, v FROM past WHERE k = %d", k)); err != nil {
				return err
			}
		}
		_, err := x.Exec(ctx, "COMMIT")
		return err
	})
}

func (*past) Finish(ctx context.Context, c *Client) {
	last := time.Now().Truncate(grid)
	for i := range 10 {
		readPast(ctx, c, last.Add(-time.Duration(i)*grid), false)
	}
}

func (*past) Check(ops []history.Op, _ string) []checker.Finding { return checker.Past(ops, pastKeys) }

// bulk has one client that sets all of many rows to a number, by one statement or by some
// of a transaction, while others look whether all are the same.
type bulk struct{ numbers atomic.Int64 }

const (
	bulkRows = 5000
	// rarely is how many steps a client passes over: each is long.
	rarely = 12
)

func (*bulk) Name() string { return "bulk" }

func (*bulk) Setup(ctx context.Context, conn *pgx.Conn) error {
	return setup(ctx, conn, "CREATE TABLE bulk (k int8 PRIMARY KEY, n int8)",
		fmt.Sprintf("INSERT INTO bulk SELECT i, 0 FROM generate_series(0, %d) AS g(i)", bulkRows-1))
}

func (w *bulk) Step(ctx context.Context, c *Client) {
	if c.Rand.IntN(rarely) != 0 {
		return
	}
	switch {
	case c.ID == 0:
		w.write(ctx, c)
	case c.Rand.IntN(3) > 0 || c.Age() < 2*checker.Staleness:
		c.Do(ctx, history.Read, readBulk)
	default:
		c.DoBounded(ctx, checker.Bounded, readBulk)
	}
}

func (w *bulk) write(ctx context.Context, c *Client) {
	n := w.numbers.Add(1)
	write := history.Step{Do: history.Write, Arg: n}
	if c.Rand.IntN(2) == 0 {
		c.Do(ctx, history.Write, func(ctx context.Context, x *Tx) error {
			x.Note(write)
			_, err := x.Exec(ctx, "UPDATE bulk SET n = $1", n)
			return err
		})
		return
	}
	c.DoTx(ctx, history.Write, c.Level, func(ctx context.Context, x *Tx) error {
		x.Note(write)
		const parts = 5
		for i := range parts {
			if _, err := x.Exec(ctx, "UPDATE bulk SET n = $1 WHERE k % 5 = $2", n, i); err != nil {
				return err
			}
		}
		return nil
	})
}

func readBulk(ctx context.Context, x *Tx) error {
	row, err := x.One(ctx, "SELECT min(n), max(n), count(*) FROM bulk")
	if err == nil {
		x.Note(history.Step{Do: history.Read, Got: row[0]}, history.Step{Do: history.Read, Got: row[1]}, history.Step{Do: history.Count, Got: row[2]})
	}
	return err
}

func (*bulk) Finish(ctx context.Context, c *Client) { c.Do(ctx, history.Read, readBulk) }

func (*bulk) Check(ops []history.Op, _ string) []checker.Finding { return checker.Bulk(ops, bulkRows) }
