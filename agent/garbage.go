package agent

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/garbage"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/logattr"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/replica"
)

// methodOldest asks a gateway for the oldest snapshot that its readers have open.
const methodOldest = "garbage.oldest"

// askOldest is how long a gateway has to answer.
const askOldest = 2 * time.Second

func (n *Node) garbageMethods() map[string]method {
	return map[string]method{
		methodOldest: func(context.Context, cluster.NodeID, []byte) ([]byte, error) {
			since := garbageRules(n.machine.View()).Since(n.physical())
			return json.Marshal(uint64(n.snapshots.Oldest(since)))
		},
	}
}

func garbageRules(v *metastate.View) garbage.Rules {
	return garbage.Rules{TTL: v.Settings.GCTTL(), MaxAge: v.Settings.SnapshotMaxAge()}
}

// garbagePolicy says what is garbage, for ranges that this node leads. It is called in
// the core loop.
func (n *Node) garbagePolicy() replica.GarbagePolicy {
	v := n.machine.View()
	if !v.Initialized() {
		return replica.GarbagePolicy{}
	}
	rules := garbageRules(v)
	keep, known := n.garbage.Keep(rules, n.physical())
	// A tenth of what it was kept for anyway is not too long to be collected with others.
	p := replica.GarbagePolicy{Keep: keep, Every: min(max(rules.TTL/10, time.Second), time.Minute)}
	if !known {
		p.Ask = n.garbage.Want
	}
	if len(v.Dropped) > 0 {
		p.Fence = fenceOf(v)
	}
	return p
}

// fenceOf has ranges clear what was dropped, as v knows it.
func fenceOf(v *metastate.View) func(cluster.PoolID, *cluster.Fence, hlc.Timestamp) (*cluster.Fence, hlc.Timestamp) {
	return func(pool cluster.PoolID, old *cluster.Fence, keep hlc.Timestamp) (*cluster.Fence, hlc.Timestamp) {
		f, threshold := v.Fence(pool, old, keep.Time())
		return f, hlc.New(threshold)
	}
}

// askGateways asks all gateways for their oldest snapshots whenever a range has garbage
// to collect.
func (n *Node) askGateways(ctx context.Context, ready func()) error {
	ready()
	for {
		select {
		case <-n.garbage.Wanted():
		case <-ctx.Done():
			return nil
		}
		begun, others := time.Now(), n.others()
		var mu sync.Mutex
		answers := map[cluster.NodeID]hlc.Timestamp{}
		asking, cancel := context.WithTimeout(ctx, askOldest)
		var wg sync.WaitGroup
		for _, id := range others {
			wg.Go(func() {
				var oldest uint64
				reply, err := n.transport.Call(asking, id, methodOldest, nil)
				if err == nil {
					err = json.Unmarshal(reply, &oldest)
				}
				if err != nil {
					n.logger.Debug("gateway not asked for its snapshots", logattr.Peer(id), logattr.Err(err))
					return
				}
				mu.Lock()
				defer mu.Unlock()
				answers[id] = hlc.Timestamp(oldest)
			})
		}
		wg.Wait()
		cancel()
		n.garbage.Told(begun, others, answers)
	}
}

// physical is the time that the node goes by. No timestamp is used by that: before the node
// knows the time, one would stay used that is ahead of it.
func (n *Node) physical() hlc.Timestamp { return hlc.New(n.clock.Physical()) }

// garbageStatus tells whose snapshot keeps garbage.
func (n *Node) garbageStatus() (s cluster.GarbageStatus) {
	v := n.machine.View()
	if n.garbage == nil || !v.Initialized() {
		return s
	}
	if ts, holder := n.garbage.Holder(n.id.Node, garbageRules(v), n.physical()); ts != 0 {
		s.Snapshot, s.Holder = ts.Time(), holder
	}
	return s
}
