package workload

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/jackc/pgx/v5"

	"github.com/nodedb/nodedb/agent/agenttest/checker"
	"github.com/nodedb/nodedb/agent/agenttest/history"
)

// bank moves money between accounts in many ranges, by transactions and by single
// statements. Every read, however it is made, finds the same total.
type bank struct{}

const (
	accounts = 24
	opening  = 10_000
)

func (*bank) Name() string { return "bank" }

func (*bank) Setup(ctx context.Context, conn *pgx.Conn) error {
	var rows []string
	for i := range accounts {
		rows = append(rows, fmt.Sprintf("(%d, %d)", i, opening))
	}
	return setup(ctx, conn, "CREATE TABLE bank (id int8 PRIMARY KEY, balance int8)", "INSERT INTO bank VALUES "+strings.Join(rows, ", "))
}

func (w *bank) Step(ctx context.Context, c *Client) {
	from := c.Rand.IntN(accounts)
	to := (from + 1 + c.Rand.IntN(accounts-1)) % accounts
	amount := 1 + c.Rand.Int64N(20)
	note := func(x *Tx) {
		x.Note(history.Step{Do: history.Write, Key: from, Arg: -amount}, history.Step{Do: history.Write, Key: to, Arg: amount})
	}
	switch c.Rand.IntN(11) {
	case 0:
		w.sum(ctx, c)
	case 1:
		w.all(ctx, c, "")
	case 10:
		if c.Age() < 2*checker.Staleness {
			return // the accounts may not have been there yet
		}
		if c.Rand.IntN(2) == 0 {
			c.DoBounded(ctx, history.Read, readAccounts(""))
			return
		}
		w.all(ctx, c, fmt.Sprintf(" AS OF SYSTEM TIME '-%dms'", 1+c.Rand.IntN(4000)))
	case 2:
		w.byKey(ctx, c)
	case 3, 4:
		c.Do(ctx, "statement", func(ctx context.Context, x *Tx) error {
			note(x)
			_, err := x.Exec(ctx, "UPDATE bank SET balance = balance + CASE WHEN id = $1 THEN -$3::int8 ELSE $3::int8 END WHERE id IN ($1, $2)", from, to, amount)
			return err
		})
	case 5: // two statements in one message are one transaction
		c.Do(ctx, "message", func(ctx context.Context, x *Tx) error {
			note(x)
			return x.Message(ctx, fmt.Sprintf("UPDATE bank SET balance = balance - %d WHERE id = %d; UPDATE bank SET balance = balance + %d WHERE id = %d", amount, from, amount, to))
		})
	case 6, 7:
		c.DoTx(ctx, "locking", c.Level, func(ctx context.Context, x *Tx) error {
			note(x)
			return lockAndMove(ctx, x, from, to, amount)
		})
	default:
		c.DoTx(ctx, "transfer", c.Level, func(ctx context.Context, x *Tx) error {
			note(x)
			n, err := x.Exec(ctx, "UPDATE bank SET balance = balance - $2 WHERE id = $1 AND balance >= $2", from, amount)
			if err != nil {
				return err
			}
			if n == 0 {
				return errNothing
			}
			_, err = x.Exec(ctx, "UPDATE bank SET balance = balance + $2 WHERE id = $1", to, amount)
			return err
		})
	}
}

// lockAndMove reads both accounts under locks, and writes what the client makes of it.
func lockAndMove(ctx context.Context, x *Tx, from, to int, amount int64) error {
	var balance [2]int64
	for i, id := range []int{from, to} {
		row, err := x.One(ctx, "SELECT balance FROM bank WHERE id = $1 FOR UPDATE", id)
		if err != nil {
			return err
		}
		balance[i] = row[0]
	}
	if balance[0] < amount {
		return errNothing
	}
	if _, err := x.Exec(ctx, "UPDATE bank SET balance = $2 WHERE id = $1", from, balance[0]-amount); err != nil {
		return err
	}
	_, err := x.Exec(ctx, "UPDATE bank SET balance = $2 WHERE id = $1", to, balance[1]+amount)
	return err
}

func (*bank) sum(ctx context.Context, c *Client) {
	c.Do(ctx, history.Sum, func(ctx context.Context, x *Tx) error {
		row, err := x.One(ctx, "SELECT sum(balance)::int8 FROM bank")
		if err == nil {
			x.Note(history.Step{Do: history.Sum, Got: row[0]})
		}
		return err
	})
}

func (*bank) all(ctx context.Context, c *Client, at string) {
	c.Do(ctx, history.Read, readAccounts(at))
}

// readAccounts reads all accounts by one statement, at a time.
func readAccounts(at string) func(ctx context.Context, x *Tx) error {
	return func(ctx context.Context, x *Tx) error {
		rows, err := x.Ints(ctx, "SELECT id, balance FROM bank"+at)
		for _, r := range rows {
			x.Note(history.Step{Do: history.Read, Key: int(r[0]), Got: r[1]})
		}
		return err
	}
}

// byKey reads one account after another, at one snapshot.
func (*bank) byKey(ctx context.Context, c *Client) {
	c.DoTx(ctx, history.Read, checker.RepeatableRead, func(ctx context.Context, x *Tx) error {
		for id := range accounts {
			rows, err := x.Ints(ctx, "SELECT balance FROM bank WHERE id = $1", id)
			if err != nil {
				return err
			}
			for _, r := range rows {
				x.Note(history.Step{Do: history.Read, Key: id, Got: r[0]})
			}
		}
		return nil
	})
}

func (w *bank) Finish(ctx context.Context, c *Client) {
	w.sum(ctx, c)
	w.all(ctx, c, "")
	w.byKey(ctx, c)
}

func (*bank) Check(ops []history.Op, _ string) []checker.Finding {
	return checker.Bank(ops, accounts, accounts*opening)
}

// ledger appends entries to accounts: each has its place, amount and the balance, and
// the account knows how many there are. What became of one whose outcome is unknown is
// looked up by its id.
type ledger struct{ ids atomic.Int64 }

const ledgers = 6

func (*ledger) Name() string { return "ledger" }

func (*ledger) Setup(ctx context.Context, conn *pgx.Conn) error {
	s := []string{
		"CREATE TABLE ledger_accounts (id int8 PRIMARY KEY, n int8, balance int8)",
		"CREATE TABLE ledger_entries (account int8, place int8, id int8, amount int8, balance int8, PRIMARY KEY (account, place))",
	}
	for i := range ledgers {
		s = append(s, fmt.Sprintf("INSERT INTO ledger_accounts VALUES (%d, 0, 0)", i))
	}
	return setup(ctx, conn, s...)
}

func (w *ledger) Step(ctx context.Context, c *Client) {
	account, id, amount := c.Rand.IntN(ledgers), w.ids.Add(1), c.Rand.Int64N(100)-50
	outcome := c.DoTx(ctx, history.Entry, c.Level, func(ctx context.Context, x *Tx) error {
		x.Note(history.Step{Do: history.Entry, Key: account, Arg: id})
		row, err := x.One(ctx, "UPDATE ledger_accounts SET n = n + 1, balance = balance + $2 WHERE id = $1 RETURNING n, balance", account, amount)
		if err != nil {
			return err
		}
		_, err = x.Exec(ctx, "INSERT INTO ledger_entries VALUES ($1, $2, $3, $4, $5)", account, row[0], id, amount, row[1])
		return err
	})
	if outcome == history.Unknown && c.ready(ctx) {
		w.look(ctx, c, account, id)
	}
}

// look finds out what became of an entry.
func (*ledger) look(ctx context.Context, c *Client, account int, id int64) {
	c.Do(ctx, "look", func(ctx context.Context, x *Tx) error {
		rows, err := x.Ints(ctx, "SELECT place, amount, balance FROM ledger_entries WHERE account = $1 AND id = $2", account, id)
		for _, r := range rows {
			x.Note(history.Step{Do: history.Entry, Key: account, Arg: id, List: r})
		}
		return err
	})
}

func (*ledger) Finish(ctx context.Context, c *Client) {
	c.Do(ctx, history.Read, func(ctx context.Context, x *Tx) error {
		rows, err := x.Ints(ctx, "SELECT account, id, place, amount, balance FROM ledger_entries")
		for _, r := range rows {
			x.Note(history.Step{Do: history.Entry, Key: int(r[0]), Arg: r[1], List: r[2:]})
		}
		return err
	})
}

func (*ledger) Check(ops []history.Op, _ string) []checker.Finding { return checker.Ledger(ops) }
