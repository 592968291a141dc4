package feed

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/nodedb/nodedb/client/adminpb"
)

// Limits of what is kept.
const (
	eventsKept     = 2000
	operationsKept = 500
)

// state folds responses into the newest snapshot.
type state struct {
	snap    Snapshot
	sampled time.Time
	sums    sums // of snap.Ranges
}

// apply folds one response of a stream of these topics in.
func (st *state) apply(r *adminpb.WatchResponse, topics []string, now time.Time) {
	s := &st.snap
	s.At = now
	if r.GetAsOf() != nil {
		s.AsOf = r.GetAsOf()
	}
	if empty(r) {
		return
	}
	s.Revision++
	if r.GetReset_() {
		st.forget(topics)
	}
	st.mark(r, topics)
	if r.GetStatus() != nil {
		s.Status = r.GetStatus()
	}
	if len(r.GetNodes())+len(r.GetNodesGone()) > 0 {
		s.Nodes = merge(s.Nodes, r.GetNodes(), r.GetNodesGone(), (*adminpb.Node).GetId, func(_, _ *adminpb.Node) {})
	}
	if len(r.GetRanges())+len(r.GetRangesGone()) > 0 {
		s.Ranges = merge(s.Ranges, r.GetRanges(), r.GetRangesGone(), (*adminpb.Range).GetId, st.sums.swap)
	}
	if len(r.GetOperations()) > 0 {
		s.Operations = mergeOperations(s.Operations, r.GetOperations())
	}
	if len(r.GetPools())+len(r.GetPoolsGone()) > 0 {
		s.Pools = merge(s.Pools, r.GetPools(), r.GetPoolsGone(), (*adminpb.Pool).GetId, func(_, _ *adminpb.Pool) {})
	}
	if r.GetMembers() != nil {
		s.Members = r.GetMembers()
	}
	if r.GetRebalance() != nil {
		s.Rebalance = r.GetRebalance()
	}
	if len(r.GetEvents()) > 0 {
		s.Events = mergeEvents(s.Events, r.GetEvents())
	}
	st.sample(now)
}

// forget drops the lists that a reset sends anew.
func (st *state) forget(topics []string) {
	for _, t := range topics {
		switch t {
		case Nodes:
			st.snap.Nodes = nil
		case Ranges:
			st.snap.Ranges, st.sums = nil, sums{}
		case Operations:
			st.snap.Operations = nil
		case Pools:
			st.snap.Pools = nil
		}
	}
}

// mark notes which topics have come: after a reset also those that are empty.
func (st *state) mark(r *adminpb.WatchResponse, topics []string) {
	have := maps.Clone(st.snap.have)
	if have == nil {
		have = map[string]bool{}
	}
	came := map[string]bool{
		Status: r.GetStatus() != nil, Nodes: len(r.GetNodes()) > 0, Ranges: len(r.GetRanges()) > 0, Operations: len(r.GetOperations()) > 0,
		Members: r.GetMembers() != nil, Rebalance: r.GetRebalance() != nil, Events: len(r.GetEvents()) > 0, Pools: len(r.GetPools()) > 0,
	}
	for _, t := range topics {
		whole := t == Members || t == Rebalance || t == Status || t == Pools // there is one pool at least; others may be empty lists
		switch {
		case came[t] || (r.GetReset_() && !whole):
			have[t] = true
		case r.GetReset_() && !have[t]:
			have[t] = false
		}
	}
	st.snap.have = have
}

// sample notes the load if a second has passed since the last sample.
func (st *state) sample(now time.Time) {
	if !st.snap.have[Ranges] || (!st.sampled.IsZero() && secondsBetween(st.sampled, now) < 1) {
		return
	}
	gap := 1
	if !st.sampled.IsZero() {
		gap = secondsBetween(st.sampled, now)
	}
	st.snap.Load = st.snap.Load.sample(&st.sums, st.snap.Nodes, gap)
	st.sampled = now
}

// publish returns the newest snapshot.
func (st *state) publish() *Snapshot {
	s := st.snap
	return &s
}

func empty(r *adminpb.WatchResponse) bool {
	return !r.GetReset_() && r.GetStatus() == nil && len(r.GetNodes()) == 0 && len(r.GetNodesGone()) == 0 && len(r.GetRanges()) == 0 &&
		len(r.GetRangesGone()) == 0 && len(r.GetOperations()) == 0 && len(r.GetPools()) == 0 && len(r.GetPoolsGone()) == 0 && r.GetMembers() == nil && r.GetRebalance() == nil && len(r.GetEvents()) == 0
}

// mergeOperations puts changed operations in, newest first.
func mergeOperations(old, changed []*adminpb.Operation) []*adminpb.Operation {
	at := make(map[string]int, len(old))
	out := slices.Clone(old)
	for i, o := range out {
		at[o.GetId()] = i
	}
	for _, o := range changed {
		if i, ok := at[o.GetId()]; ok {
			out[i] = o
			continue
		}
		at[o.GetId()] = len(out)
		out = append(out, o)
	}
	slices.SortStableFunc(out, func(a, b *adminpb.Operation) int {
		if c := b.GetCreatedAt().AsTime().Compare(a.GetCreatedAt().AsTime()); c != 0 {
			return c
		}
		return cmp.Compare(b.GetId(), a.GetId())
	})
	return out[:min(len(out), operationsKept)]
}

// mergeEvents appends events that are new.
func mergeEvents(old, more []*adminpb.Event) []*adminpb.Event {
	var last uint64
	if len(old) > 0 {
		last = old[len(old)-1].GetSequence()
	}
	out := slices.Clone(old)
	for _, e := range more {
		if e.GetSequence() > last {
			out = append(out, e)
			last = e.GetSequence()
		}
	}
	if len(out) > eventsKept {
		out = slices.Clone(out[len(out)-eventsKept:])
	}
	return out
}
