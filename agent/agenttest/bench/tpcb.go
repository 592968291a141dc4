package bench

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/nodedb/nodedb/agent/agenttest/bench/figures"
	"github.com/nodedb/nodedb/agent/agenttest/bench/systems"
)

// pgbench's tables in the words of NodeDB's SQL: a primary key in each CREATE
// TABLE, and one for the history, which pgbench leaves without; text for char(n).
var tpcbTables = []string{
	"CREATE TABLE pgbench_branches (bid int PRIMARY KEY, bbalance int, filler text)",
	"CREATE TABLE pgbench_tellers (tid int PRIMARY KEY, bid int, tbalance int, filler text)",
	"CREATE TABLE pgbench_accounts (aid int PRIMARY KEY, bid int, abalance int, filler text)",
	"CREATE TABLE pgbench_history (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), tid int, bid int, aid int, delta int, mtime timestamp, filler text)",
	"INSERT INTO pgbench_branches VALUES (1, 0, NULL)",
}

// tpcb runs pgbench's own TPC-B-like script. What our SQL does not take, the
// server says, and that is passed on.
func (b *bench) tpcb(t *testing.T) {
	pgbench, err := findPgbench()
	if err != nil {
		b.skip(t, "TPC-B", err.Error())
		return
	}
	for _, s := range b.sqlContenders() {
		if err := fillTPCB(t.Context(), s); err != nil {
			b.skip(t, "TPC-B", fmt.Sprintf("%s does not take its tables: %v", s.Name, err))
			return
		}
		if _, err := runPgbench(t.Context(), pgbench, s, "--transactions", "1"); err != nil {
			b.skip(t, "TPC-B", fmt.Sprintf("%s does not take its transaction: %v", s.Name, err))
			return
		}
	}
	rates := map[string][]float64{}
	for range b.opts.Rounds {
		for _, s := range b.sqlContenders() {
			tps, err := runPgbench(t.Context(), pgbench, s, "--client", "16", "--time", "3")
			b.must(t, err)
			rates[s.Name] = append(rates[s.Name], tps)
		}
	}
	b.beside(t, "16 clients, scale 1", "rate", "/s", figures.More, rates, nil)
}

func findPgbench() (string, error) {
	if path, err := exec.LookPath("pgbench"); err == nil {
		return path, nil
	}
	if bin, err := systems.FindPostgres(); err == nil {
		if path, err := exec.LookPath(filepath.Join(bin, "pgbench")); err == nil {
			return path, nil
		}
	}
	return "", &systems.Missing{Name: "pgbench", Why: "it is not on this machine: apt-get install postgresql-contrib"}
}

func fillTPCB(ctx context.Context, s *systems.SQL) error {
	var tellers, accounts []string
	for tid := 1; tid <= 10; tid++ {
		tellers = append(tellers, fmt.Sprintf("(%d, 1, 0, NULL)", tid))
	}
	statements := append(tpcbTables, "INSERT INTO pgbench_tellers VALUES "+strings.Join(tellers, ","))
	for aid := 1; aid <= 100_000; aid++ {
		accounts = append(accounts, fmt.Sprintf("(%d, 1, 0, '')", aid))
		if len(accounts) == 1000 {
			statements = append(statements, "INSERT INTO pgbench_accounts VALUES "+strings.Join(accounts, ","))
			accounts = accounts[:0]
		}
	}
	return s.Exec(ctx, statements...)
}

var tps = regexp.MustCompile(`(?m)^tps = ([0-9.]+)`)

// runPgbench returns the transactions per second, or what the server refused.
func runPgbench(ctx context.Context, path string, s *systems.SQL, args ...string) (float64, error) {
	args = append([]string{"--no-vacuum", "--protocol", "prepared", "--scale", "1"}, args...)
	out, err := exec.CommandContext(ctx, path, append(args, s.URLs[0])...).CombinedOutput() //nolint:gosec // a program of this machine
	if err != nil {
		for line := range strings.SplitSeq(string(out), "\n") {
			if _, said, ok := strings.Cut(line, "pgbench: error: "); ok {
				return 0, errors.New(said)
			}
		}
		return 0, fmt.Errorf("pgbench: %w: %s", err, out)
	}
	m := tps.FindSubmatch(out)
	if m == nil {
		return 0, fmt.Errorf("pgbench says no rate: %s", out)
	}
	return strconv.ParseFloat(string(m[1]), 64)
}
