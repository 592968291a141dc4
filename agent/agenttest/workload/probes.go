package workload

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/nodedb/nodedb/agent/agenttest/checker"
	"github.com/nodedb/nodedb/agent/agenttest/history"
)

// longFork has one client write each key, and all read groups of two keys: by one
// statement, and by two at one snapshot. All must see one order of the writes.
type longFork struct{}

const (
	forkKeys  = 4
	forkGroup = 2
)

func (*longFork) Name() string { return "longfork" }

func (*longFork) Setup(ctx context.Context, conn *pgx.Conn) error {
	return setup(ctx, conn, "CREATE TABLE longfork (k int8 PRIMARY KEY, v int8)", "INSERT INTO longfork VALUES (0, 0), (1, 0), (2, 0), (3, 0)")
}

func (*longFork) Step(ctx context.Context, c *Client) {
	if c.ID < forkKeys && c.Rand.IntN(2) == 0 {
		c.Do(ctx, history.Write, func(ctx context.Context, x *Tx) error {
			x.Note(history.Step{Do: history.Write, Key: c.ID})
			_, err := x.Exec(ctx, "UPDATE longfork SET v = v + 1 WHERE k = $1", c.ID)
			return err
		})
		return
	}
	readFork(ctx, c, c.Rand.IntN(forkKeys/forkGroup), c.Rand.IntN(2) == 0)
}

func readFork(ctx context.Context, c *Client, group int, one bool) {
	a, b := group*forkGroup, group*forkGroup+1
	if one {
		c.Do(ctx, history.Read, func(ctx context.Context, x *Tx) error {
			rows, err := x.Ints(ctx, "SELECT k, v FROM longfork WHERE k IN ($1, $2) ORDER BY k", a, b)
			for _, r := range rows {
				x.Note(history.Step{Do: history.Read, Key: int(r[0]), Got: r[1]})
			}
			return err
		})
		return
	}
	c.DoTx(ctx, history.Read, checker.RepeatableRead, func(ctx context.Context, x *Tx) error {
		for k := a; k <= b; k++ {
			row, err := x.One(ctx, "SELECT v FROM longfork WHERE k = $1", k)
			if err != nil {
				return err
			}
			x.Note(history.Step{Do: history.Read, Key: k, Got: row[0]})
		}
		return nil
	})
}

func (*longFork) Finish(ctx context.Context, c *Client) {
	for g := range forkKeys / forkGroup {
		readFork(ctx, c, g, true)
	}
}

func (*longFork) Check(ops []history.Op, _ string) []checker.Finding {
	return checker.LongFork(ops, forkGroup)
}

// writeSkew has pairs of rows that are 1; transactions read both and set one to 0 if
// none is. At serializable a pair never ends with two zeros.
type writeSkew struct{ pair atomic.Int64 }

// pairs is how many there are: more than a run of ten minutes uses up.
const pairs = 4000

func (*writeSkew) Name() string { return "writeskew" }

func (*writeSkew) Setup(ctx context.Context, conn *pgx.Conn) error {
	return setup(ctx, conn, "CREATE TABLE writeskew (k int8 PRIMARY KEY, v int8)",
		fmt.Sprintf("INSERT INTO writeskew SELECT i, 1 FROM generate_series(0, %d) AS g(i)", 2*pairs-1))
}

func (w *writeSkew) Step(ctx context.Context, c *Client) {
	pair := w.pair.Load()
	left := int(pair%pairs) * 2
	own := left + c.ID%2
	spent := false
	outcome := c.DoTx(ctx, "off", c.Level, func(ctx context.Context, x *Tx) error {
		for k := left; k <= left+1; k++ {
			row, err := x.One(ctx, "SELECT v FROM writeskew WHERE k = $1", k)
			if err != nil {
				return err
			}
			x.Note(history.Step{Do: history.Read, Key: k, Got: row[0]})
			spent = spent || row[0] == 0
		}
		if spent {
			return nil
		}
		x.Note(history.Step{Do: history.Write, Key: own})
		_, err := x.Exec(ctx, "UPDATE writeskew SET v = 0 WHERE k = $1", own)
		return err
	})
	if spent || outcome == history.OK {
		w.pair.CompareAndSwap(pair, pair+1)
	}
}

func (*writeSkew) Finish(context.Context, *Client) {}

// Check finds skews at every level, and says so at serializable only.
func (*writeSkew) Check(ops []history.Op, level string) []checker.Finding {
	return onlyAt(level, checker.WriteSkew(ops))
}

func onlyAt(level string, found []checker.Finding) []checker.Finding {
	if level != checker.Serializable {
		return nil
	}
	return found
}

// predicates has transactions that count the rows of a group and add one.
type predicates struct{ ids atomic.Int64 }

func (*predicates) Name() string { return "predicates" }

func (*predicates) Setup(ctx context.Context, conn *pgx.Conn) error {
	return setup(ctx, conn, "CREATE TABLE predicates (id int8 PRIMARY KEY, g int8)")
}

func (w *predicates) Step(ctx context.Context, c *Client) {
	id := w.ids.Add(1)
	group := int(id / 12)
	c.DoTx(ctx, "add", c.Level, func(ctx context.Context, x *Tx) error {
		row, err := x.One(ctx, "SELECT count(*) FROM predicates WHERE g = $1", group)
		if err != nil {
			return err
		}
		x.Note(history.Step{Do: history.Count, Key: group, Got: row[0]}, history.Step{Do: history.Write, Key: group, Arg: id})
		_, err = x.Exec(ctx, "INSERT INTO predicates VALUES ($1, $2)", id, group)
		return err
	})
}

func (*predicates) Finish(context.Context, *Client) {}

func (*predicates) Check(ops []history.Op, level string) []checker.Finding {
	return onlyAt(level, checker.Predicates(ops))
}

// lists has transactions that read lists and append to them.
type lists struct {
	elements atomic.Int64
	ops      atomic.Int64
}

const listKeys = 6

func (*lists) Name() string { return "lists" }

func (*lists) Setup(ctx context.Context, conn *pgx.Conn) error {
	return setup(ctx, conn, "CREATE TABLE lists (k int8 PRIMARY KEY, v text)")
}

func (w *lists) Step(ctx context.Context, c *Client) {
	base := int(w.ops.Add(1)/rotation) * listKeys
	var keys []int
	var elements []int64
	for range 1 + c.Rand.IntN(4) {
		keys = append(keys, base+c.Rand.IntN(listKeys))
		e := int64(0) // a read
		if c.Rand.IntN(2) == 0 {
			e = w.elements.Add(1)
		}
		elements = append(elements, e)
	}
	switch n := c.Rand.IntN(8); {
	case len(keys) == 1:
		c.Do(ctx, "statement", func(ctx context.Context, x *Tx) error { return listStep(ctx, x, keys[0], elements[0]) })
	case n == 0:
		w.appendAll(ctx, c, base)
	default:
		c.DoTx(ctx, "transaction", c.Level, func(ctx context.Context, x *Tx) error {
			for i, k := range keys {
				if n == 1 && i == len(keys)/2 {
					if err := w.takenBack(ctx, x, k, c.Rand.IntN(2) == 0); err != nil {
						return err
					}
				}
				if err := listStep(ctx, x, k, elements[i]); err != nil {
					return err
				}
			}
			return nil
		})
	}
}

// appendAll appends to three lists by one statement, which is atomic.
func (w *lists) appendAll(ctx context.Context, c *Client, base int) {
	c.Do(ctx, "statement", func(ctx context.Context, x *Tx) error {
		var rows []string
		for _, k := range c.Rand.Perm(listKeys)[:3] {
			e := w.elements.Add(1)
			x.Note(history.Step{Do: history.Append, Key: base + k, Arg: e})
			rows = append(rows, fmt.Sprintf("(%d, '%d')", base+k, e))
		}
		_, err := x.Exec(ctx, "INSERT INTO lists VALUES "+strings.Join(rows, ", ")+appending)
		return err
	})
}

// takenBack appends elements and rolls back to before them, by itself or because a
// statement has failed: nobody may ever see them.
func (w *lists) takenBack(ctx context.Context, x *Tx, key int, fails bool) error {
	appendOne := "INSERT INTO lists VALUES (" + strconv.Itoa(key) + ", '" + strconv.FormatInt(w.elements.Add(1), 10) + "')" + appending
	for _, s := range []string{"SAVEPOINT before", appendOne, "SAVEPOINT nested", appendOne, "RELEASE SAVEPOINT nested"} {
		if _, err := x.Exec(ctx, s); err != nil {
			return err
		}
	}
	if fails {
		var failed *pgconn.PgError
		if _, err := x.Exec(ctx, "SELECT 1/0"); !errors.As(err, &failed) || failed.Code != "22012" {
			return fmt.Errorf("1/0: %w", err)
		}
	}
	_, err := x.Exec(ctx, "ROLLBACK TO SAVEPOINT before")
	return err
}

// appending makes of an INSERT an append to the list that is there.
const appending = " ON CONFLICT (k) DO UPDATE SET v = lists.v || ',' || EXCLUDED.v"

func listStep(ctx context.Context, x *Tx, key int, element int64) error {
	if element != 0 {
		x.Note(history.Step{Do: history.Append, Key: key, Arg: element})
		_, err := x.Exec(ctx, "INSERT INTO lists VALUES ($1, $2)"+appending, key, strconv.FormatInt(element, 10))
		return err
	}
	text := ""
	if err := x.conn.QueryRow(ctx, "SELECT v FROM lists WHERE k = $1", key).Scan(&text); err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return err
	}
	list := []int64{}
	for f := range strings.SplitSeq(text, ",") {
		if n, err := strconv.ParseInt(f, 10, 64); err == nil {
			list = append(list, n)
		}
	}
	x.Note(history.Step{Do: history.Read, Key: key, List: list})
	return nil
}

// Finish reads the lists of the last keys.
func (w *lists) Finish(ctx context.Context, c *Client) {
	last := (int(w.ops.Load()/rotation) + 1) * listKeys
	for k := max(0, last-4*listKeys); k < last; k++ {
		c.Do(ctx, "statement", func(ctx context.Context, x *Tx) error { return listStep(ctx, x, k, 0) })
	}
}

func (*lists) Check(ops []history.Op, level string) []checker.Finding {
	return checker.Only(checker.Lists(ops), checker.ForbiddenLists(level)...)
}
