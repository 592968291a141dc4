package metastate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// maxEvents is how many events are kept: the newest.
const maxEvents = 4096

// maxRecorded bounds the events of one RecordEvents, maxEventText their text.
const (
	maxRecorded  = 64
	maxEventText = 512
)

// EventsAfter returns the events that are kept with a sequence above after,
// oldest first. The slice is shared: do not write to it.
func (v *View) EventsAfter(after uint64) []*cluster.Event {
	i, _ := slices.BinarySearchFunc(v.Events, after+1, func(e *cluster.Event, seq uint64) int {
		switch {
		case e.Sequence < seq:
			return -1
		case e.Sequence > seq:
			return 1
		}
		return 0
	})
	return v.Events[i:]
}

// LastEvent is the sequence of the newest event; 0: there was none.
func (v *View) LastEvent() uint64 {
	if len(v.Events) == 0 {
		return 0
	}
	return v.Events[len(v.Events)-1].Sequence
}

// event adds an event of now. Views share the array behind Events: one that was
// published never looks beyond its own length, and only the newest change of the
// one goroutine that applies writes there.
func (c *change) event(e cluster.Event) {
	v := c.view
	e.Sequence, e.Time = v.LastEvent()+1, c.now
	if e.Severity == "" {
		e.Severity = cluster.SeverityInfo
	}
	if e.By == "" {
		e.By = c.by
	}
	v.Events = append(v.Events, stage(c, kindEvent, idKey(e.Sequence), &e))
	for len(v.Events) > maxEvents {
		c.erase(kindEvent, idKey(v.Events[0].Sequence))
		v.Events = v.Events[1:]
	}
}

// recordEvents takes in what the coordinator saw. Its kinds are free: a newer
// coordinator may see more than this replica knows.
func (c *change) recordEvents(in *RecordEvents) Result {
	if len(in.Events) == 0 || len(in.Events) > maxRecorded {
		return refused(CodeLimit, "1 to %d events are recorded at once, not %d", maxRecorded, len(in.Events))
	}
	for _, e := range in.Events {
		if e.Kind == "" || e.Text == "" || len(e.Text) > maxEventText {
			return refused(CodeInvalid, "an event needs a kind and a text of at most %d bytes", maxEventText)
		}
		c.event(e)
	}
	return Result{}
}

// membershipEvent says that a node's membership has changed.
func (c *change) membershipEvent(n *cluster.Node, from cluster.Membership, in *SetMembership) {
	e := cluster.Event{Node: n.ID, Operation: in.Operation}
	switch {
	case in.To == cluster.Active && from == cluster.Joining:
		e.Kind, e.Text = cluster.EventNodeActive, fmt.Sprintf("%s (%s) joined", n.ID, n.Name)
	case in.To == cluster.Active:
		e.Kind, e.Text = cluster.EventNodeRecommissioned, fmt.Sprintf("%s stays in the cluster", n.ID)
	case in.To == cluster.Decommissioning:
		e.Kind, e.Text = cluster.EventNodeDecommissioning, fmt.Sprintf("%s is leaving: its replicas move away", n.ID)
	default:
		e.Kind, e.Severity, e.Text = cluster.EventNodeDecommissioned, cluster.SeverityWarn, fmt.Sprintf("%s is decommissioned for good", n.ID)
	}
	if in.Reason != "" {
		e.Data = map[string]string{"reason": in.Reason}
	}
	c.event(e)
}

// rangeEvent says what a newer descriptor of a range means, if it means
// something to operators: steps of a move that change no voter do not.
func (c *change) rangeEvent(old, d *cluster.RangeDescriptor) {
	e := cluster.Event{Range: d.ID, Data: map[string]string{"generation": fmt.Sprint(d.Generation)}}
	switch {
	case old == nil && c.view.LastEvent() == 0:
		return // part of the cluster's beginning
	case old == nil:
		e.Kind, e.Text = cluster.EventRangeCreated, fmt.Sprintf("%s was created: keys %s on %s", d.ID, c.view.Span(d), nodeNames(settled(d)))
	case old.Start != d.Start || old.End != d.End:
		e.Kind, e.Text = cluster.EventRangeSplit, fmt.Sprintf("%s now owns %s, before %s", d.ID, c.view.Span(d), c.view.Span(old))
	default:
		added, removed := difference(settled(d), settled(old)), difference(settled(old), settled(d))
		switch {
		case len(added) == 0 && len(removed) == 0:
			return
		case len(removed) == 0:
			e.Kind, e.Text, e.Node = cluster.EventRangeGrown, fmt.Sprintf("%s has a voter on %s too", d.ID, nodeNames(added)), added[0]
		case len(added) == 0:
			e.Kind, e.Text, e.Node = cluster.EventRangeShrunk, fmt.Sprintf("%s has no voter on %s any more", d.ID, nodeNames(removed)), removed[0]
		default:
			e.Kind, e.Text, e.Node = cluster.EventRangeMoved, fmt.Sprintf("%s moved from %s to %s", d.ID, nodeNames(removed), nodeNames(added)), added[0]
			e.Data["from"] = nodeNames(removed)
		}
	}
	e.Data["voters"] = nodeNames(settled(d))
	c.event(e)
}

// settled lists the voters that a range ends up with, in order.
func settled(d *cluster.RangeDescriptor) []cluster.NodeID {
	var out []cluster.NodeID
	for _, r := range d.Replicas {
		if r.Role == cluster.Voter || r.Role == cluster.VoterIncoming {
			out = append(out, r.Node)
		}
	}
	slices.Sort(out)
	return out
}

func difference(a, b []cluster.NodeID) []cluster.NodeID {
	var out []cluster.NodeID
	for _, n := range a {
		if !slices.Contains(b, n) {
			out = append(out, n)
		}
	}
	return out
}

func nodeNames(ids []cluster.NodeID) string {
	parts := make([]string, len(ids))
	for i, id := range ids {
		parts[i] = id.String()
	}
	return strings.Join(parts, ", ")
}

// operationEvents says what is new of an operation: its state, or its phase.
func (c *change) operationEvents(old, op *cluster.Operation) {
	e := cluster.Event{Operation: op.ID, Data: map[string]string{"kind": string(op.Spec.Kind)}}
	if len(op.Spec.Nodes) > 0 {
		e.Node = op.Spec.Nodes[0]
		e.Data["nodes"] = nodeNames(op.Spec.Nodes)
	}
	about := orNothing(nodeNames(op.Spec.Nodes))
	if op.Spec.Pool != "" {
		about = "pool " + op.Spec.Pool
		e.Data["pool"] = op.Spec.Pool
	}
	what := fmt.Sprintf("%s, %s of %s", op.ID, op.Spec.Kind, about)
	switch {
	case old == nil:
		e.Kind, e.Text, e.By = cluster.EventOperationCreated, what+", was asked for", op.RequestedBy
		if op.Reason != "" {
			e.Data["reason"] = op.Reason
		}
	case old.State != op.State:
		verb := "is"
		if op.State == cluster.OpSucceeded || op.State == cluster.OpFailed {
			verb = "has"
		}
		e.Kind, e.Text = cluster.EventOperation(op.State), fmt.Sprintf("%s, %s %s", what, verb, op.State)
		if op.Why != "" {
			e.Text += ": " + op.Why
		}
		switch op.State {
		case cluster.OpFailed:
			e.Severity = cluster.SeverityError
		case cluster.OpBlocked, cluster.OpCancelling, cluster.OpCancelled, cluster.OpPaused:
			e.Severity = cluster.SeverityWarn
		}
	case old.Phase != op.Phase && op.Phase != "":
		e.Kind, e.Text = cluster.EventOperationPhase, fmt.Sprintf("%s, has come to the phase %s", what, op.Phase)
		e.Data["phase"] = op.Phase
	default:
		return
	}
	if len(e.Text) > maxEventText {
		e.Text = e.Text[:maxEventText]
	}
	c.event(e)
}

func orNothing(s string) string {
	if s == "" {
		return "the cluster"
	}
	return s
}

// endSession changes nothing: its record and its event are all there is to keep.
func (c *change) endSession(in *EndSession) Result {
	n, r := c.liveNode(in.Node)
	if r != nil {
		return Result{Refusal: r}
	}
	e := cluster.Event{Node: n.ID, Kind: cluster.EventStatementCancelled, Text: fmt.Sprintf("the statement of session %d on %s, user %s, is cancelled", in.PID, n.ID, in.User)}
	if in.Terminate {
		e.Kind, e.Text = cluster.EventSessionTerminated, fmt.Sprintf("session %d on %s, user %s, is ended", in.PID, n.ID, in.User)
	}
	if in.Reason != "" {
		e.Data = map[string]string{"reason": in.Reason}
	}
	c.event(e)
	return Result{Node: n.ID}
}

func (c *change) cordonEvent(n *cluster.Node) {
	e := cluster.Event{Node: n.ID, Kind: cluster.EventNodeUncordoned, Text: n.ID.String() + " may receive replicas again"}
	if n.Cordon {
		e.Kind, e.Text = cluster.EventNodeCordoned, n.ID.String()+" receives no replicas any more"
		if !n.CordonUntil.IsZero() {
			e.Text += " until " + n.CordonUntil.Format("2006-01-02 15:04:05 UTC")
		}
		if n.CordonReason != "" {
			e.Data = map[string]string{"reason": n.CordonReason}
		}
	}
	c.event(e)
}
