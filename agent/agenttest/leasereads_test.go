package agenttest

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// readsGoBy reads single rows until it is seen what reads go by on all nodes: the lease
// of their ranges, or a quorum that each asks.
func (c *Cluster) readsGoBy(leases bool) {
	c.t.Helper()
	const rows = 40
	what := map[bool]string{true: "reads are served under leases", false: "each read asks a quorum"}[leases]
	Eventually(c.t, time.Minute, what, func() error {
		leased, rounds, err := c.readCounts()
		for _, n := range c.Nodes() {
			err = errors.Join(err, n.readRows(rows))
		}
		leasedNow, roundsNow, err2 := c.readCounts()
		if err = errors.Join(err, err2); err != nil {
			return err
		}
		leased, rounds = leasedNow-leased, roundsNow-rounds
		all := float64(rows * len(c.Nodes()))
		if leases && leased < all || !leases && (leased > 0 || rounds < all) {
			return fmt.Errorf("of %v reads %v went by leases, for %v a quorum was asked", all, leased, rounds)
		}
		return nil
	})
}

func (c *Cluster) readCounts() (leased, rounds float64, err error) {
	leased, err = c.metrics("nodedb_store_reads_leased_total")
	rounds, err2 := c.metrics("nodedb_store_reads_quorum_total")
	return leased, rounds, errors.Join(err, err2)
}

// readRows reads as many rows, one by one, by their keys.
func (n *Node) readRows(count int) error {
	ctx, cancel := context.WithTimeout(n.c.t.Context(), 20*time.Second)
	defer cancel()
	conn, err := n.Connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close(context.Background())
	for i := range count {
		var v int64
		if err := conn.QueryRow(ctx, "SELECT v FROM leased WHERE id = $1", i).Scan(&v); err != nil {
			return fmt.Errorf("read row %d through %s: %w", i, n.Name, err)
		} else if v != int64(i) {
			return fmt.Errorf("row %d through %s is %d", i, n.Name, v)
		}
	}
	return nil
}
