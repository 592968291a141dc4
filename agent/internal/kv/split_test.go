package kv_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/kv"
	"github.com/nodedb/nodedb/agent/internal/store"
)

// ledger remembers which rows were acknowledged.
type ledger struct {
	mu    sync.Mutex
	acked []string // guarded by mu
}

func (l *ledger) add(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acked = append(l.acked, key)
}

func (l *ledger) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Sorted(slices.Values(l.acked))
}

// TestSplitsUnderLoad splits ranges while every gateway writes, reads and scans:
// no request fails, nothing is lost, nothing is written twice, and every scan is
// in order and complete.
func TestSplitsUnderLoad(t *testing.T) {
	c := startCluster(t, 3, 2)
	const collection = 7
	var rows ledger
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for _, n := range c.all() {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				key := fmt.Sprintf("%s-%05d\x00", n.id, i)
				// Without a value yet: a write that was applied twice would be refused.
				_, err := n.db.Write(t.Context(), []kv.Mutation{{Collection: collection, Key: []byte(key), Value: []byte("v"), Expect: datastate.Absent}}, kv.WriteOptions{})
				if err != nil {
					t.Errorf("write %q at %s: %v", key, n.id, err)
					return
				}
				rows.add(key)
				got, err := n.db.Get(t.Context(), kv.GetRequest{Collection: collection, Keys: [][]byte{[]byte(key)}})
				if err != nil || string(got[0].Value) != "v" {
					t.Errorf("read %q at %s: %+v, %v", key, n.id, got, err)
					return
				}
			}
		})
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				want := rows.all()
				req := kv.ScanRequest{Collection: collection, Ordered: i%3 > 0, Reverse: i%3 > 1}
				if err := checkScan(t.Context(), n, req, want); err != nil {
					t.Errorf("scan %+v at %s: %v", req, n.id, err)
					return
				}
			}
		})
	}
	for i := range 8 {
		waitForRows(t, &rows, 60*(i+1))
		c.splitSome(cluster.RangeID(100+i), i)
	}
	waitForRows(t, &rows, 600)
	stop()
	wg.Wait()
	want := rows.all()
	for _, n := range c.all() {
		eventually(t, func() error {
			if got := n.meta.View().Ranges.Len(); got != 1+2+8 {
				return fmt.Errorf("%s knows %d ranges", n.id, got)
			}
			return nil
		})
		if err := checkScan(t.Context(), n, kv.ScanRequest{Collection: collection, Ordered: true}, want); err != nil {
			t.Errorf("at the end at %s: %v", n.id, err)
		}
	}
	eventually(t, func() error { // a status is as of the last tick
		total := uint64(0)
		for _, d := range c.all()[0].meta.View().Ranges.All() {
			if st, _ := c.leader(d.ID).store.RangeStatus(d.ID); !d.IsMeta() {
				total += st.Keys
			}
		}
		if total != uint64(len(want)) {
			return fmt.Errorf("the ranges count %d rows, there are %d", total, len(want))
		}
		return nil
	})
}

func waitForRows(t *testing.T, rows *ledger, n int) {
	t.Helper()
	eventually(t, func() error {
		if got := len(rows.all()); got < n && !t.Failed() {
			return fmt.Errorf("%d rows, waiting for %d", got, n)
		}
		return nil
	})
}

// splitSome splits the widest range.
func (c *testCluster) splitSome(child cluster.RangeID, salt int) {
	c.t.Helper()
	eventually(c.t, func() error {
		var widest cluster.RangeStatus
		for _, n := range c.all() {
			for _, st := range n.store.Status() {
				if st.IsLeader() && width(&st.Descriptor) > width(&widest.Descriptor) {
					widest = *st
				}
			}
		}
		d := widest.Descriptor
		at := (d.Start.VShard() + width(&d)/2 + cluster.VShard(salt%3)).Key()
		if salt%2 > 0 { // at a row, with some rows of the vshard before it
			at = keys.Bound(keys.Row(d.Pool, at.VShard(), collection, []byte{'m', 0}))
		}
		_, _, err := c.leader(d.ID).store.Split(c.t.Context(), d.ID, cluster.RangeSplit{At: at, Child: child, Expect: d.Generation})
		var stale *store.StaleDescriptorError
		if errors.As(err, &stale) && stale.Current.End == at {
			return nil // an earlier try went through
		}
		return err
	})
}

func width(d *cluster.RangeDescriptor) cluster.VShard {
	first, end := d.VShards()
	return end - first
}

// checkScan reads everything and compares it with the rows that must be there at
// least.
func checkScan(ctx context.Context, n *testNode, req kv.ScanRequest, want []string) error {
	it, err := n.db.Scan(ctx, req)
	if err != nil {
		return err
	}
	defer it.Close()
	var got []string
	for {
		rows, err := it.Next(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		for _, r := range rows {
			got = append(got, string(r.Key))
		}
	}
	order := strings.Compare
	if req.Reverse {
		order = func(a, b string) int { return bytes.Compare([]byte(b), []byte(a)) }
	}
	if req.Ordered && !slices.IsSortedFunc(got, order) {
		return errors.New("rows out of order")
	}
	slices.Sort(got)
	if n := len(slices.Compact(slices.Clone(got))); n != len(got) {
		return fmt.Errorf("%d rows, of which %d differ", len(got), n)
	}
	for _, key := range want {
		if _, ok := slices.BinarySearch(got, key); !ok {
			return fmt.Errorf("%q is missing from %d rows", key, len(got))
		}
	}
	return nil
}
