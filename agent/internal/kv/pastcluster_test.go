package kv_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/kv"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// scanned reads all rows of collection 1 at a gateway, and tells where.
func (n *testNode) scanned(ctx context.Context, r kv.Reading) (rows int, reads []kv.RangeRead, err error) {
	r.Trace = &kv.Trace{}
	it, err := n.db.Scan(ctx, kv.ScanRequest{TS: n.db.PastTime(&r, 0, 1, nil), Collection: 1, Reading: r})
	if err != nil {
		return 0, nil, err
	}
	defer it.Close()
	for {
		batch, err := it.Next(ctx)
		if errors.Is(err, io.EOF) {
			return rows, r.Trace.Reads(), nil
		}
		if err != nil {
			return 0, nil, err
		}
		rows += len(batch)
	}
}

// TestFollowersServeThePast reads at a gateway that leads one of three ranges: by
// itself, when time is closed there, and still so when the other leaders are gone.
func TestFollowersServeThePast(t *testing.T) {
	const total = 60
	c := startCluster(t, 3, 3)
	n := c.all()[0]
	ctx := t.Context()
	var keys [][]byte
	for i := range total {
		key := fmt.Appendf(nil, "k%03d", i)
		keys = append(keys, key)
		if _, err := n.db.Write(ctx, []kv.Mutation{{Collection: 1, Key: key, Value: []byte("v")}}, kv.WriteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	written := n.clock.Now()
	bounded := kv.Reading{Consistency: kv.Bounded, Within: time.Minute}
	// All of it, and by followers, once their leaders have closed a time after the writes.
	here := func() error {
		rows, reads, err := n.scanned(ctx, bounded)
		if err != nil || rows > total {
			return fmt.Errorf("%d rows, %w", rows, err)
		}
		for _, r := range reads {
			if r.Node != n.id || r.TS < written {
				return fmt.Errorf("%d rows, read %+v, written at %s", rows, reads, written)
			}
		}
		if rows != total {
			t.Fatalf("%d rows at a time after all writes: %+v", rows, reads)
		}
		return nil
	}
	eventually(t, here)
	rows, err := n.db.Get(ctx, kv.GetRequest{TS: n.db.PastTime(&bounded, 0, 1, keys), Collection: 1, Keys: keys, Reading: bounded})
	if err != nil || len(rows) != total || rows[total-1].Value == nil {
		t.Fatalf("rows by key: %d, %v", len(rows), err)
	}
	for _, o := range c.all() {
		if o != n {
			c.cut(o.id, true)
			defer c.cut(o.id, false)
		}
	}
	if err := here(); err != nil {
		t.Errorf("with the other leaders away: %v", err)
	}
	if rows, _, err := n.scanned(ctx, kv.Reading{Consistency: kv.Eventual}); err != nil || rows != total {
		t.Errorf("eventually: %d rows, %v", rows, err)
	}
	if counts := n.db.ReadCounts(); counts[kv.ReasonClosed] == 0 || counts[kv.ReasonEventual] == 0 {
		t.Errorf("counted: %v", counts)
	}
	short, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if rows, reads, err := n.scanned(short, kv.Reading{}); err == nil {
		t.Errorf("a strong read without a quorum: %d rows, %+v", rows, reads)
	}
}

// TestAReplicaThatCannotServeAsksItsLeader damages the replica at the gateway.
func TestAReplicaThatCannotServeAsksItsLeader(t *testing.T) {
	c := startCluster(t, 3, 1)
	lead := c.leader(2)
	var n *testNode
	for _, o := range c.all() {
		if o != lead {
			n = o
		}
	}
	ctx := t.Context()
	if _, err := n.db.Write(ctx, []kv.Mutation{{Collection: 1, Key: []byte("k"), Value: []byte("v")}}, kv.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	bounded := kv.Reading{Consistency: kv.Bounded, Within: time.Minute}
	want := func(follower bool, why kv.Reason) error {
		rows, reads, err := n.scanned(ctx, bounded)
		if err != nil || rows != 1 || len(reads) != 1 || reads[0].Follower != follower || reads[0].Why != why {
			return fmt.Errorf("%d rows, %+v, %w; want %v, %s", rows, reads, err, follower, why)
		}
		return nil
	}
	eventually(t, func() error { return want(true, kv.ReasonClosed) })
	_ = n.store.Unreadable(2, storage.ErrCorruption)
	eventually(t, func() error { return want(false, kv.Reason(cluster.PastDamaged)) })
}
