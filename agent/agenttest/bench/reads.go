package bench

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/nodedb/nodedb/agent/agenttest/bench/figures"
	"github.com/nodedb/nodedb/agent/agenttest/bench/systems"
)

// readsPart is how many rows one statement of the load of reads inserts: what a transaction
// may write is bounded.
const readsPart = 20_000

// setUpReads fills a table of accounts, and one of ten branches.
func setUpReads(ctx context.Context, s *systems.SQL, rows int) error {
	for _, text := range []string{
		"CREATE TABLE account (aid int PRIMARY KEY, bid int, abalance int, filler char(84))",
		"CREATE TABLE branch (bid int PRIMARY KEY, name text)",
		"INSERT INTO branch SELECT g, 'branch ' || g FROM generate_series(0, 9) g",
	} {
		if err := s.Exec(ctx, text); err != nil {
			return err
		}
	}
	for at := 0; at < rows; at += readsPart {
		err := s.Exec(ctx, fmt.Sprintf("INSERT INTO account SELECT g, g %% 10, (g::bigint * 7919) %% 10007 - 5000, 'x' FROM generate_series(%d, %d) g", at+1, min(at+readsPart, rows)))
		if err != nil {
			return err
		}
	}
	return nil
}

// reads has one client read many rows, by turns beside PostgreSQL if that is there.
func (b *bench) reads(t *testing.T) {
	_, b.ours = b.cluster(t, ranges)
	b.postgres = nil // of another group
	bin, err := systems.FindPostgres()
	if err == nil {
		b.postgres, err = systems.StartPostgres(t.Context(), bin)
	}
	if !b.missing(t, err) {
		t.Cleanup(b.postgres.Stop)
	}
	var conns []*pgx.Conn
	for _, s := range b.sqlContenders() {
		b.must(t, setUpReads(t.Context(), s, b.opts.Rows))
		conn, err := s.Connect(t.Context(), 0)
		b.must(t, err)
		defer func() { _ = conn.Close(context.Background()) }()
		conns = append(conns, conn)
	}
	_, err = conns[len(conns)-1].Exec(t.Context(), "ANALYZE") // its planner wants to know
	b.must(t, err)
	for _, q := range []struct{ what, sql string }{
		{"count(*)", "SELECT count(*) FROM account"},
		{"count of a tenth", "SELECT count(*) FROM account WHERE bid = 3"},
		{"sum", "SELECT sum(abalance) FROM account"},
		{"avg, min and max", "SELECT avg(abalance), min(abalance), max(abalance) FROM account"},
		{"ten groups", "SELECT bid, count(*), sum(abalance) FROM account GROUP BY bid"},
		{"a range of 1,000 keys", "SELECT aid, abalance FROM account WHERE aid BETWEEN 50001 AND 51000"},
		{"its sum", "SELECT sum(abalance) FROM account WHERE aid BETWEEN 50001 AND 51000"},
		{"the first ten by key", "SELECT aid, abalance FROM account ORDER BY aid LIMIT 10"},
		{"the greatest key", "SELECT max(aid) FROM account"},
		{"a condition that few fulfil", "SELECT aid FROM account WHERE abalance = 77"},
		{"count of different values", "SELECT count(DISTINCT abalance) FROM account"},
		{"join with ten rows", "SELECT b.name, count(*), sum(a.abalance) FROM account a JOIN branch b ON a.bid = b.bid GROUP BY b.name"},
	} {
		took := map[string][]float64{}
		for range b.opts.Rounds {
			for i, s := range b.sqlContenders() {
				begin := time.Now()
				rows, err := conns[i].Query(t.Context(), q.sql)
				b.must(t, err)
				rows.Close()
				b.must(t, rows.Err())
				took[s.Name] = append(took[s.Name], float64(time.Since(begin).Microseconds())/1000)
			}
		}
		b.beside(t, q.what, "time", "ms", figures.Less, took, nil)
	}
}
