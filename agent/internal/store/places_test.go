package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/nodedb/nodedb/agent/internal/budget"
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/replica"
)

// TestTwoSnapshotsAtOnce lets in as many as there are places; others wait for one,
// not for ever.
func TestTwoSnapshotsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := budget.New("snapshots", 4*receiveBytes)
		p := newPlaces(&Config{SnapshotReceives: 2, Snapshots: memory})
		h := &replica.SnapshotHeader{Range: 7, Bytes: 1 << 20}
		var leave [2]func()
		for i := range leave {
			var err error
			if leave[i], err = p.enter(t.Context(), h); err != nil {
				t.Fatal(err)
			}
		}
		var later *LaterError
		if _, err := p.enter(t.Context(), h); !errors.As(err, &later) || later.Range != 7 {
			t.Errorf("a third, for ever: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := p.enter(ctx, h); !errors.Is(err, context.Canceled) {
			t.Errorf("one whose sender has gone: %v", err)
		}
		third := make(chan func(), 1)
		go func() {
			leave, err := p.enter(t.Context(), h)
			if err != nil {
				t.Errorf("one that waited for a place: %v", err)
			}
			third <- leave
		}()
		synctest.Wait()
		leave[0]()
		(<-third)()
		leave[1]()
		if memory.Used() != 0 || p.mu.coming != 0 || len(p.tokens) != 0 {
			t.Errorf("%d bytes of memory, %d of the disk and %d places are left behind", memory.Used(), p.mu.coming, len(p.tokens))
		}
	})
}

func TestSnapshotsNeedMemory(t *testing.T) {
	p := newPlaces(&Config{SnapshotReceives: 2, Snapshots: budget.New("snapshots", receiveBytes)})
	h := &replica.SnapshotHeader{Range: 7}
	leave, err := p.enter(t.Context(), h)
	if err != nil {
		t.Fatal(err)
	}
	var later *LaterError
	if _, err := p.enter(t.Context(), h); !errors.As(err, &later) || !strings.Contains(err.Error(), "memory") {
		t.Errorf("without memory: %v", err)
	}
	leave()
	if leave, err = p.enter(t.Context(), h); err != nil {
		t.Fatalf("what was refused keeps the place: %v", err)
	}
	leave()
}

// TestSnapshotsNeedRoomOnTheDisk sends a snapshot to a node whose disk has too little
// left: not a byte of it is taken until it has. The first byte's reader would fail.
func TestSnapshotsNeedRoomOnTheDisk(t *testing.T) {
	var free atomic.Uint64
	free.Store(diskSpare)
	c := newCluster(t, 2, func(cfg *Config) {
		if cfg.Node == 2 {
			cfg.DiskFree = free.Load
		}
	})
	c.bootstrap(1)
	big := string(make([]byte, 64<<10))
	for i := range 40 {
		c.write(2, fmt.Sprint("k", i), fmt.Sprint(i)+big)
	}
	to := c.nodes[2].get()
	h := &replica.SnapshotHeader{Format: 1, Range: 2, From: 1, To: 2, Term: 5, Index: 100, LogTerm: 5, Bytes: 1 << 20}
	var later *LaterError
	if _, err := to.places.enter(t.Context(), h); !errors.As(err, &later) || !strings.Contains(err.Error(), "disk") {
		t.Errorf("without room on the disk: %v", err)
	}
	c.change(2, cluster.AddLearner, 2, 0)
	eventually(t, "the leader hears that there is no room", func() error {
		if to.places.refused.Load() < 3 { // one was the test's own
			return errors.New("it did not ask again")
		}
		return nil
	})
	if st, ok := to.RangeStatus(2); ok && st.Applied > 0 {
		t.Errorf("the replica has state: %+v", st)
	}
	free.Store(diskSpare + 1<<30)
	c.change(2, cluster.ChangeVoters, 2, 0)
	c.sameState(2)
}
