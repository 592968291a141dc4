package agenttest

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// showsLeases has nodedbctl, SQL and the metrics of a cluster of three nodes with 17
// ranges say what leases rest on, and what reads went by. Leaderships may still be
// spread meanwhile: a lease that is handed over is held again a moment later.
func showsLeases(t *testing.T, c *Cluster) {
	t.Helper()
	psql(t, c.Node(1), "SELECT name FROM users WHERE id = 1")
	Eventually(t, time.Minute, "every range has its lease, and says so", func() error {
		if held := psql(t, c.Node(2), "SELECT count(*) FROM nodedb_internal.raft_groups WHERE lease = 'held'"); held != "17" {
			return fmt.Errorf("%s leases are held", held)
		}
		if out := c.Ctl("debug", "support", "--filter", "live=true", "-o", "name"); strings.Count(out, ">") != 6 {
			return fmt.Errorf("support between the nodes: %q", out)
		}
		for what, args := range map[string][]string{
			"lease held by n":        {"ranges", "show", "r2"},
			"left if nobody answers": {"debug", "raft", "r2"},
			"leases rest on it":      {"members", "why", "n2"},
		} {
			if out := c.Ctl(args...); !strings.Contains(out, what) {
				return fmt.Errorf("nodedbctl %s does not say %q: %s", strings.Join(args, " "), what, out)
			}
		}
		for name, least := range map[string]float64{"nodedb_store_reads_leased_total": 1, "nodedb_store_leases_held_count": 17} {
			if n, err := c.metrics(name); err != nil || n < least {
				return fmt.Errorf("%s is %v, want at least %v (%v)", name, n, least, err)
			}
		}
		return nil
	})
}
