package agent

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/txn"
)

// askTimeout bounds a question to another gateway about one of its transactions: who
// waits for the answer waits for a lock, and asks again.
const askTimeout = 500 * time.Millisecond

// makeTransactions makes the coordinator of the transactions of this node's sessions,
// before the ranges that it opens.
func (n *Node) makeTransactions() {
	n.txns = txn.New(txn.Config{
		Planted: planted().Txn,
		Self:    n.id.Node, Start: startOf(n.nonce), Clock: n.clock, Cleanup: n.memory.cleanups,
		Fresh:     func(ctx context.Context) (hlc.Timestamp, error) { return n.db.Fresh(ctx) },
		Leftovers: n.store.Leftovers,
		Objects:   metaObjects{n},
		Gone: func(id cluster.NodeID) bool {
			node := n.machine.View().Nodes[id]
			return node != nil && node.Tombstone != nil
		},
		Ask: func(ctx context.Context, to cluster.NodeID, payload []byte) ([]byte, error) {
			if n.suspects(to) {
				return nil, errSuspectedGateway
			}
			ctx, cancel := context.WithTimeout(ctx, askTimeout)
			defer cancel()
			return n.transport.Call(ctx, to, txn.MethodAsk, payload)
		},
	})
}

// metaObjects is the meta range as transactions that change objects need it.
type metaObjects struct{ n *Node }

// Resolve implements txn.Objects.
func (o metaObjects) Resolve(ctx context.Context, id cluster.TxnID, commit bool) error {
	result, err := o.n.meta.Propose(ctx, metastate.Command{Via: metastate.ViaAgent, ResolveObjects: &metastate.ResolveObjects{Txn: id.String(), Commit: commit}})
	if err == nil {
		err = result.Err()
	}
	if err != nil {
		return fmt.Errorf("tell the meta range how transaction %s ended: %w", id, err)
	}
	return nil
}

// Pending implements txn.Objects: the leader of the meta range looks after what is prepared.
func (o metaObjects) Pending() []txn.PendingObjects {
	if _, _, self := o.n.meta.Leader(); !self {
		return nil
	}
	var out []txn.PendingObjects
	now := o.n.clock.Physical()
	for _, p := range o.n.machine.View().Pending {
		if id, err := cluster.ParseTxnID(p.Txn); err == nil {
			out = append(out, txn.PendingObjects{Txn: id, Record: p.Record, Age: now.Sub(p.At)})
		}
	}
	return out
}

var errSuspectedGateway = errors.New("the node is suspected to be down")

// startOf names this start of the node: the lower half of its boot nonce.
func startOf(nonce string) uint32 {
	b, err := hex.DecodeString(nonce)
	if err != nil || len(b) < 4 {
		return 0
	}
	return binary.BigEndian.Uint32(b[len(b)-4:])
}

// transactions tells what became of the transactions of this node's sessions.
func (c *collector) transactions(ch chan<- prometheus.Metric) {
	if c.n.txns == nil {
		return
	}
	s := c.n.txns.Stats()
	gauge := func(name, help string, v int) {
		ch <- prometheus.MustNewConstMetric(desc(name, help), prometheus.GaugeValue, float64(v))
	}
	counter := func(name, help string, v uint64) {
		ch <- prometheus.MustNewConstMetric(desc(name, help), prometheus.CounterValue, float64(v))
	}
	gauge("txn_open_count", "Transactions of this node's sessions that are open.", s.Open)
	gauge("txn_waiting_count", "Of those, the ones that wait for locks of others.", s.Waiting)
	gauge("txn_cleanups_count", "Transactions that have ended and whose intents and locks are not cleaned up yet.", s.Cleanups)
	counter("txn_begun_total", "Transactions that began on this node.", s.Begun)
	counter("txn_committed_total", "Transactions that committed.", s.Committed)
	counter("txn_committed_one_range_total", "Of those, the ones that took one command of one range.", s.OneRange)
	for _, why := range txn.AbortReasons() {
		ch <- prometheus.MustNewConstMetric(desc("txn_aborted_total", "Transactions that did not commit, by reason.", "reason"), prometheus.CounterValue, float64(s.Aborted[why]), why)
	}
	counter("txn_lock_waits_total", "Requests that had to wait for locks of others.", s.LockWaits)
	counter("txn_deadlocks_total", "Transactions that were the victim of a deadlock.", s.Deadlocks)
	counter("txn_pushes_total", "Records of transactions that were asked because those were in the way.", s.Pushes)
	counter("txn_pushed_total", "Of those, the ones that were aborted: their gateways did not answer.", s.Pushed)
	counter("txn_cleanups_dropped_total", "Transactions whose cleanup was given up: the janitor cleans up, or whoever meets what they have left.", s.Dropped)
	gauge("txn_left_count", "Transactions that are over and have left something in ranges that this node leads, when the janitor last looked.", s.Left)
	counter("txn_tidied_total", "Rows on which the janitor ended what such transactions have left.", s.Tidied)
	counter("txn_forgotten_total", "Records of such transactions that the janitor deleted.", s.Forgotten)
}
