package operation

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
)

// observeEvery is the least pause between two records of what was seen.
const observeEvery = 200 * time.Millisecond

// eventsAtOnce bounds the events of one record.
const eventsAtOnce = 32

// observed is what the events say of the nodes. It is a function of the view: a
// new coordinator knows what the one before has recorded.
type observed struct {
	upTo     uint64 // sequence of the last event taken in
	liveness map[cluster.NodeID]cluster.Liveness
	service  map[cluster.NodeID]cluster.Service
	open     map[[2]cluster.NodeID]bool // breakers: observer, peer
	stopped  map[stoppedReplica]bool
	diverged map[divergedRange]bool
	term     string // of the last coordinator
}

// stoppedReplica is a replica that has stopped with an error.
type stoppedReplica struct {
	node    cluster.NodeID
	id      cluster.RangeID
	replica string
}

// divergedRange is a range whose replicas were found to differ at an entry.
type divergedRange struct {
	id    cluster.RangeID
	index string
}

func newObserved() observed {
	return observed{
		liveness: map[cluster.NodeID]cluster.Liveness{}, service: map[cluster.NodeID]cluster.Service{},
		open: map[[2]cluster.NodeID]bool{}, stopped: map[stoppedReplica]bool{}, diverged: map[divergedRange]bool{},
	}
}

// eventLiveness is the liveness that an event of a kind tells.
var eventLiveness = map[cluster.EventKind]cluster.Liveness{
	cluster.EventNodeAlive: cluster.Alive, cluster.EventNodeSuspect: cluster.Suspect,
	cluster.EventNodeDead: cluster.Dead, cluster.EventNodeLeft: cluster.Left, cluster.EventNodeActive: cluster.Alive,
}

// read takes in the events that are new in the view.
func (o *observed) read(v *metastate.View) {
	for _, e := range v.EventsAfter(o.upTo) {
		o.upTo = e.Sequence
		if l, ok := eventLiveness[e.Kind]; ok {
			o.liveness[e.Node] = l
		}
		switch e.Kind {
		case cluster.EventNodeService:
			o.service[e.Node] = cluster.Service(e.Data["service"])
		case cluster.EventNodeStarted:
			o.service[e.Node] = cluster.Ready
		case cluster.EventBreakerOpen:
			o.open[[2]cluster.NodeID{e.Source, e.Node}] = true
		case cluster.EventBreakerClosed:
			delete(o.open, [2]cluster.NodeID{e.Source, e.Node})
		case cluster.EventReplicaFailed:
			o.stopped[stoppedReplica{e.Node, e.Range, e.Data["replica"]}] = true
		case cluster.EventRangeDiverged:
			o.diverged[divergedRange{e.Range, e.Data["index"]}] = true
		case cluster.EventCoordinatorMove:
			o.term = e.Data["term"]
		}
	}
}

// observe records as events what the coordinator sees and the events do not
// tell yet.
func (c *Controller) observe() {
	c.observed.read(c.in.View)
	if c.observing != 0 || c.in.Now.Sub(c.observedAt) < observeEvery {
		return
	}
	var events []cluster.Event
	if term := fmt.Sprint(c.term); c.observed.term != term {
		events = append(events, cluster.Event{
			Kind: cluster.EventCoordinatorMove, Node: c.in.Self, Text: fmt.Sprintf("%s leads the meta range and coordinates (term %s)", c.in.Self, term),
			Data: map[string]string{"term": term},
		})
	}
	for _, id := range c.in.View.NodeIDs() {
		if c.in.View.Nodes[id].Membership == cluster.Decommissioned {
			continue
		}
		events = append(events, c.seenOf(id)...)
	}
	events = append(events, c.diverged()...)
	if events = append(events, c.closed()...); len(events) == 0 {
		return
	}
	events = events[:min(len(events), eventsAtOnce)]
	for i := range events {
		if events[i].Source == 0 {
			events[i].Source = c.in.Self
		}
	}
	c.observedAt = c.in.Now
	c.observing = c.command(upkeepOperation, metastate.Command{RecordEvents: &metastate.RecordEvents{Events: events}})
}

// seenOf returns the events that a node's liveness, service and breakers make.
func (c *Controller) seenOf(id cluster.NodeID) []cluster.Event {
	var out []cluster.Event
	live := c.in.Liveness[id]
	if id == c.in.Self {
		live = cluster.Alive
	}
	was, recorded := c.observed.liveness[id]
	if !recorded {
		was = cluster.Alive
	}
	if live != "" && live != was {
		out = append(out, livenessEvent(id, was, live))
	}
	st := c.in.Reports[id].Status
	if known := st != nil && c.in.Now.Sub(c.in.Reports[id].At) <= c.cfg.Fresh; !known || live != cluster.Alive {
		return out
	}
	if svc := c.observed.service[id]; st.Service != svc && st.Service != cluster.Starting && (svc != "" || st.Service != cluster.Ready) {
		out = append(out, cluster.Event{
			Kind: cluster.EventNodeService, Node: id, Text: fmt.Sprintf("%s is %s", id, st.Service), Data: map[string]string{"service": string(st.Service)},
		})
	}
	out = append(out, c.stoppedOn(id)...)
	return append(out, c.opened(id, st)...)
}

// opened returns the events of the breakers that a node has opened.
func (c *Controller) opened(id cluster.NodeID, st *cluster.NodeStatus) []cluster.Event {
	var out []cluster.Event
	for _, to := range c.lookout.unreached(id, st) {
		n := c.in.View.Nodes[to]
		if n == nil || n.Membership == cluster.Decommissioned || c.observed.open[[2]cluster.NodeID{id, to}] || c.in.Liveness[to] != cluster.Alive {
			continue // of a node that is dead everybody's breaker opens: that is no news
		}
		out = append(out, cluster.Event{
			Kind: cluster.EventBreakerOpen, Severity: cluster.SeverityWarn, Node: to, Source: id,
			Text: short(fmt.Sprintf("%s does not reach %s, though it is alive: %s", id, to, st.Peers[to].LastError)),
		})
	}
	return out
}

// closed returns the events of the breakers that are open no more.
func (c *Controller) closed() []cluster.Event {
	var out []cluster.Event
	for _, pair := range slices.SortedFunc(maps.Keys(c.observed.open), func(a, b [2]cluster.NodeID) int { return slices.Compare(a[:], b[:]) }) {
		id, to := pair[0], pair[1]
		n, r := c.in.View.Nodes[to], c.in.Reports[id]
		known := r.Status != nil && c.in.Now.Sub(r.At) <= c.cfg.Fresh && (c.in.Liveness[id] == cluster.Alive || id == c.in.Self)
		if !known || n == nil || n.Membership == cluster.Decommissioned {
			continue
		}
		if p, ok := r.Status.Peers[to]; ok && p.Breaker != "open" {
			out = append(out, cluster.Event{Kind: cluster.EventBreakerClosed, Node: to, Source: id, Text: fmt.Sprintf("%s reaches %s again", id, to)})
		}
	}
	return out
}

// stoppedOn returns the events of a node's replicas that have stopped.
func (c *Controller) stoppedOn(id cluster.NodeID) []cluster.Event {
	var out []cluster.Event
	for _, rid := range sorted(c.lookout.failed[id]) {
		r := c.lookout.failed[id][rid]
		key := stoppedReplica{id, r.Descriptor.ID, fmt.Sprint(r.Replica)}
		if c.observed.stopped[key] {
			continue
		}
		out = append(out, cluster.Event{
			Kind: cluster.EventReplicaFailed, Severity: cluster.SeverityError, Node: id, Range: key.id, Source: id,
			Text: short(fmt.Sprintf("the replica of %s on %s has failed and is replaced: %s", key.id, id, r.Failed)), Data: map[string]string{"replica": key.replica},
		})
	}
	return out
}

// livenessEvent tells a transition as the coordinator's gossip saw it.
func livenessEvent(id cluster.NodeID, from, to cluster.Liveness) cluster.Event {
	e := cluster.Event{Node: id, Text: fmt.Sprintf("%s is %s, before %s", id, to, from), Data: map[string]string{"from": string(from)}}
	switch to {
	case cluster.Suspect:
		e.Kind, e.Severity = cluster.EventNodeSuspect, cluster.SeverityWarn
	case cluster.Dead:
		e.Kind, e.Severity = cluster.EventNodeDead, cluster.SeverityError
	case cluster.Left:
		e.Kind, e.Severity, e.Text = cluster.EventNodeLeft, cluster.SeverityWarn, fmt.Sprintf("%s has stopped", id)
	default:
		e.Kind, e.Text = cluster.EventNodeAlive, fmt.Sprintf("%s is alive again, before %s", id, from)
	}
	return e
}

// textMost bounds the text of an event.
const textMost = 400

func short(text string) string {
	return strings.ToValidUTF8(text[:min(len(text), textMost)], "")
}

// observedDone takes in that events were recorded, or not: then the next look
// finds them again.
func (c *Controller) observedDone(done Completion) bool {
	if done.Action.ID != c.observing || c.observing == 0 {
		return false
	}
	c.observing = 0
	return true
}

// alsoBusy adds to nodes those that were granted to stop, except one.
func alsoBusy(nodes, granted []cluster.NodeID, except cluster.NodeID) []cluster.NodeID {
	out := slices.Clone(nodes)
	for _, id := range granted {
		if id != except {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
