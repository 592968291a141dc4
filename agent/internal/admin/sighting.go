package admin

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/logattr"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/client/adminpb"
)

type sightKey struct{}

// withSight makes the calls that are made with ctx see what was seen already.
func withSight(ctx context.Context, look *sight) context.Context {
	return context.WithValue(ctx, sightKey{}, look)
}

// sighting is what a look, or a glance, is going to tell the watches.
type sighting struct {
	asOf       *adminpb.AsOf // nil: of a glance
	covers     topic
	nodes      edit[uint32, *adminpb.Node]
	ranges     edit[uint32, *adminpb.Range]
	operations edit[string, *seenOperation]
	pools      edit[uint32, *adminpb.Pool]
	status     *adminpb.GetStatusResponse // nil: as before
	members    *adminpb.ListMembersResponse
	rebalance  *adminpb.GetRebalanceResponse
	events     []*adminpb.Event
}

// look asks all nodes and remembers what changed.
func (h *hub) look(ctx context.Context) {
	topics := h.wanted()
	look, err := h.service.look(ctx, lookTimeout.Seconds())
	if err != nil || ctx.Err() != nil {
		if ctx.Err() == nil {
			h.logger.Warn("watches show old data", logattr.Err(err))
		}
		return
	}
	h.see(ctx, look, topics)
}

// see remembers what changed in a look.
func (h *hub) see(ctx context.Context, look *sight, topics topic) {
	s := sighting{asOf: look.asOf(), covers: topics}
	if topics&topicNodes != 0 {
		s.nodes = h.nodes.compare(look.nodeMap())
	}
	if topics&topicRanges != 0 {
		s.ranges = h.differing(look)
	}
	if topics&topicOperations != 0 {
		s.operations = h.operations.compare(h.seenOperations(look.View))
	}
	if topics&topicPools != 0 {
		s.pools = h.pools.compare(look.poolMap())
	}
	h.ask(withSight(ctx, look), topics, &s)
	h.remember(&s)
}

// ask makes the calls whose answers are topics.
func (h *hub) ask(ctx context.Context, topics topic, s *sighting) {
	var err error
	if topics&topicStatus != 0 {
		if s.status, err = h.service.GetStatus(ctx, &adminpb.GetStatusRequest{}); err == nil {
			for _, o := range s.status.GetRunning() {
				o.MetaIndex, o.Items = 0, nil // the index is another one each time; topic operations has the items
			}
		}
		h.note("status", err)
	}
	if topics&topicMembers != 0 {
		m, err := h.service.ListMembers(ctx, &adminpb.ListMembersRequest{})
		h.note("members", err)
		if !h.has(m.GetMembers()) {
			s.members = m
		}
	}
	if topics&topicRebalance != 0 && time.Since(h.rebalanced) >= rebalanceGap {
		h.rebalanced = time.Now()
		s.rebalance, err = h.service.GetRebalance(ctx, &adminpb.GetRebalanceRequest{})
		h.note("rebalance", err)
	}
	if topics&topicEvents != 0 {
		s.events = h.newEvents(ctx)
	}
}

// note logs why a topic cannot be shown. One that this version does not serve is
// left out.
func (h *hub) note(topic string, err error) {
	if err != nil && connect.CodeOf(err) != connect.CodeUnimplemented {
		h.logger.Warn("a topic is not shown to watches", slog.String("topic", topic), logattr.Err(err))
	}
}

func (h *hub) newEvents(ctx context.Context) []*adminpb.Event {
	h.mu.Lock()
	after := uint64(0)
	if n := len(h.mu.events); n > 0 {
		after = h.mu.events[n-1].GetSequence()
	}
	h.mu.Unlock()
	r, err := h.service.ListEvents(ctx, &adminpb.ListEventsRequest{Filter: &adminpb.EventFilter{After: after}, Limit: eventsKept})
	h.note("events", err)
	return r.GetEvents()
}

// glance remembers what the metadata alone tells: operations and events.
func (h *hub) glance() {
	topics := h.wanted()
	var s sighting
	if topics&topicOperations != 0 {
		s.operations = h.operations.compare(h.seenOperations(h.service.backend.View()))
	}
	if topics&topicEvents != 0 {
		s.events = h.newEvents(context.Background())
	}
	h.remember(&s)
}

// remember stamps what changed and tells the watches that there is news.
func (h *hub) remember(s *sighting) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.mu.stamp++
	at := h.mu.stamp
	news := !s.nodes.empty() || !s.ranges.empty() || !s.operations.empty() || !s.pools.empty() || len(s.events) > 0
	h.nodes.apply(s.nodes, at)
	h.ranges.apply(s.ranges, at)
	h.operations.apply(s.operations, at)
	h.pools.apply(s.pools, at)
	h.mu.events = append(h.mu.events, s.events...)
	if over := len(h.mu.events) - eventsKept; over > 0 {
		h.mu.events = slices.Clone(h.mu.events[over:])
	}
	news = put(&h.mu.status, s.status, at) || news
	news = put(&h.mu.members, s.members, at) || news
	news = put(&h.mu.rebalance, s.rebalance, at) || news
	if s.asOf != nil {
		// Those that have waited for a look want to know that it was made.
		news = news || slices.ContainsFunc(h.mu.watches, func(w *watching) bool { return w.need > h.mu.done })
		h.mu.asOf, h.mu.at, h.mu.covers, h.mu.done = s.asOf, time.Now(), s.covers, h.mu.begun
	}
	if news {
		close(h.mu.news)
		h.mu.news = make(chan struct{})
	}
}

// aged is a message that says when it was true.
type aged interface {
	proto.Message
	comparable
	GetAsOf() *adminpb.AsOf
}

// put reports whether the message changed, in more than its age.
func put[T aged](to *single[T], m T, at uint64) bool {
	var none T
	if m == none {
		return false
	}
	clearAsOf(m)
	if to.value != none && proto.Equal(to.value, m) {
		return false
	}
	to.value, to.stamp = m, at
	return true
}

// clearAsOf removes the age, which the response as a whole tells.
func clearAsOf(m proto.Message) {
	r := m.ProtoReflect()
	if f := r.Descriptor().Fields().ByName("as_of"); f != nil {
		r.Clear(f)
	}
}

// since returns what w is to be told now and notes that it was; nil: nothing.
func (h *hub) since(w *watching) *adminpb.WatchResponse {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.mu.done < w.need {
		return nil
	}
	reset := w.seen == 0 || w.seen > h.mu.stamp || w.seen < max(h.nodes.lost, h.ranges.lost, h.operations.lost, h.pools.lost)
	if reset {
		w.seen = 0
	}
	m := &adminpb.WatchResponse{AsOf: h.mu.asOf, Reset_: reset}
	news := h.lists(w, m)
	if s := h.mu.status; w.topics&topicStatus != 0 && s.stamp > w.seen {
		m.Status, news = s.value, true
	}
	if s := h.mu.members; w.topics&topicMembers != 0 && s.stamp > w.seen {
		m.Members, news = s.value, true
	}
	if s := h.mu.rebalance; w.topics&topicRebalance != 0 && s.stamp > w.seen {
		m.Rebalance, news = s.value, true
	}
	if w.topics&topicEvents != 0 {
		m.Events = h.eventsSince(w)
		news = news || len(m.GetEvents()) > 0
	}
	w.seen = h.mu.stamp
	if !news && !reset {
		return nil
	}
	m.Resume = w.token(h.epoch)
	return m
}

// eventsSince returns the events that w has not been told yet. What came before
// those that the hub keeps a watch that comes back gets from the metadata.
func (h *hub) eventsSince(w *watching) []*adminpb.Event {
	if len(h.mu.events) == 0 {
		return nil
	}
	var out []*adminpb.Event
	first := h.mu.events[0].GetSequence()
	if w.event > 0 && w.event+1 < first {
		for _, e := range h.service.backend.View().EventsAfter(w.event) {
			if e.Sequence >= first {
				break
			}
			if p := eventProto(e); w.wantsEvent(p) {
				out = append(out, p)
			}
		}
	}
	out = append(out, filtered(slices.Clone(h.mu.events), w.wantsEvent)...)
	w.event = max(w.event, h.mu.events[len(h.mu.events)-1].GetSequence())
	return out
}

// has reports whether the watches have been told this list already.
func (h *hub) has(members []*adminpb.Member) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	told := h.mu.members.value.GetMembers()
	return len(told) > 0 && len(told) == len(members) && &told[0] == &members[0]
}

// lists adds the topics of many items.
func (h *hub) lists(w *watching, m *adminpb.WatchResponse) (news bool) {
	if w.topics&topicNodes != 0 {
		changed, gone := h.nodes.since(w.seen)
		m.Nodes = filtered(changed, func(n *adminpb.Node) bool { return wants(w.nodes, n.GetId()) })
		m.NodesGone = filtered(gone, func(id uint32) bool { return wants(w.nodes, id) })
	}
	if w.topics&topicRanges != 0 {
		changed, gone := h.ranges.since(w.seen)
		m.Ranges = filtered(changed, func(r *adminpb.Range) bool { return wants(w.ranges, r.GetId()) })
		m.RangesGone = filtered(gone, func(id uint32) bool { return wants(w.ranges, id) })
	}
	if w.topics&topicOperations != 0 {
		changed, _ := h.operations.since(w.seen)
		for _, o := range changed {
			m.Operations = append(m.Operations, discreet(w.role, o.shown))
		}
	}
	if w.topics&topicPools != 0 {
		m.Pools, m.PoolsGone = h.pools.since(w.seen)
	}
	return len(m.GetNodes())+len(m.GetNodesGone())+len(m.GetRanges())+len(m.GetRangesGone())+len(m.GetOperations())+len(m.GetPools())+len(m.GetPoolsGone()) > 0
}

func filtered[T any](all []T, keep func(T) bool) []T {
	return slices.DeleteFunc(all, func(v T) bool { return !keep(v) })
}

func (s *sight) nodeMap() map[uint32]*adminpb.Node {
	out := make(map[uint32]*adminpb.Node, len(s.View.Nodes))
	for id, n := range s.View.Nodes {
		if n.Membership != cluster.Decommissioned {
			out[uint32(id)] = s.node(n)
		}
	}
	return out
}

func (s *sight) poolMap() map[uint32]*adminpb.Pool {
	out := map[uint32]*adminpb.Pool{}
	for _, p := range s.pools() {
		out[p.GetId()] = p
	}
	return out
}

// differing finds the ranges that differ from those in the ledger. Both lists are by
// id, and pointers are states: of what is the same only the pointer is looked at.
func (h *hub) differing(look *sight) edit[uint32, *adminpb.Range] {
	e := edit[uint32, *adminpb.Range]{put: map[uint32]*adminpb.Range{}}
	was, is := h.ranged, look.ranges
	for len(was) > 0 || len(is) > 0 {
		switch {
		case len(is) == 0 || len(was) > 0 && was[0].descriptor.ID < is[0].descriptor.ID:
			e.drop = append(e.drop, uint32(was[0].descriptor.ID))
			was = was[1:]
		case len(was) == 0 || is[0].descriptor.ID < was[0].descriptor.ID:
			e.put[uint32(is[0].descriptor.ID)] = is[0].show()
			is = is[1:]
		default:
			// Not all that a node says is told: the ledger's word counts.
			if was[0] != is[0] && !h.ranges.has(uint32(is[0].descriptor.ID), is[0].show()) {
				e.put[uint32(is[0].descriptor.ID)] = is[0].show()
			}
			was, is = was[1:], is[1:]
		}
	}
	h.ranged = look.ranges
	return e
}

// seenOperations are those of v. What was seen already is not made anew.
func (h *hub) seenOperations(v *metastate.View) map[string]*seenOperation {
	out := make(map[string]*seenOperation, len(v.Operations))
	for id, o := range v.Operations {
		if at := h.operations.entries[id]; at != nil && !at.gone && at.value.record == o {
			out[id] = at.value
			continue
		}
		out[id] = &seenOperation{record: o, shown: brief(operationProto(o, v.Index))}
	}
	return out
}

// brief cuts the items of an operation to the first that are not done.
func brief(o *adminpb.Operation) *adminpb.Operation {
	if len(o.GetItems()) > itemsShown {
		slices.SortStableFunc(o.Items, func(a, b *adminpb.Item) int { return rank(a) - rank(b) })
		o.Items = o.Items[:itemsShown]
	}
	return o
}

func rank(it *adminpb.Item) int {
	if it.GetStep() == "done" {
		return 1
	}
	return 0
}
