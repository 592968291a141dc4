package admin

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/nodedb/nodedb/agent/internal/auth"
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/client/adminpb"
)

// How often a watch may be told something, in seconds.
const (
	intervalLeast   = 0.1
	intervalDefault = 1
	intervalMost    = 60
	narrowMost      = 1024 // ids that a watch may be narrowed to
)

// topic is a set of topics.
type topic uint8

const (
	topicStatus topic = 1 << iota
	topicNodes
	topicRanges
	topicOperations
	topicMembers
	topicRebalance
	topicEvents
	topicPools
)

var topicNames = []string{"status", "nodes", "ranges", "operations", "members", "rebalance", "events", "pools"}

func topicOf(names []string) (topic, error) {
	var all topic
	for _, n := range names {
		i := slices.Index(topicNames, n)
		if i < 0 {
			return 0, &Error{Kind: KindInvalid, Message: fmt.Sprintf("unknown topic %q: %s", n, strings.Join(topicNames, ", "))}
		}
		all |= 1 << i
	}
	if all == 0 {
		return 0, &Error{Kind: KindInvalid, Message: "a watch needs topics: " + strings.Join(topicNames, ", ")}
	}
	return all, nil
}

// watching is one watch: what it is of, and what it has been told.
type watching struct {
	topics   topic
	interval time.Duration
	ranges   []uint32 // sorted; empty: all
	nodes    []uint32
	events   *adminpb.EventFilter
	role     auth.Role
	scope    string // of all of the above but interval and role

	seen  uint64 // stamp of the hub; 0: nothing
	event uint64 // sequence
	need  uint64 // the look to wait for before the first response
}

// newWatching checks the request.
func newWatching(r *adminpb.WatchRequest, role auth.Role) (*watching, error) {
	topics, err := topicOf(r.GetTopics())
	if err != nil {
		return nil, err
	}
	every := r.GetInterval()
	if every == 0 {
		every = intervalDefault
	}
	if math.IsNaN(every) || every < intervalLeast || every > intervalMost {
		return nil, &Error{Kind: KindInvalid, Message: fmt.Sprintf("interval must be between %v and %v seconds", intervalLeast, intervalMost)}
	}
	if len(r.GetRanges()) > narrowMost || len(r.GetNodes()) > narrowMost || len(r.GetEvents().GetKinds()) > narrowMost {
		return nil, &Error{Kind: KindInvalid, Message: fmt.Sprintf("a watch can be narrowed to %d ids", narrowMost)}
	}
	w := &watching{
		topics: topics, interval: seconds(every), ranges: slices.Clone(r.GetRanges()), nodes: slices.Clone(r.GetNodes()),
		events: r.GetEvents(), role: role, event: r.GetEvents().GetAfter(),
	}
	slices.Sort(w.ranges)
	slices.Sort(w.nodes)
	w.scope = w.hash()
	return w, nil
}

// hash tells apart watches of other things. It is the same on every node.
func (w *watching) hash() string {
	h := fnv.New32a()
	f := w.events
	_, _ = fmt.Fprintf(h, "%d %v %v %d %s %d %q %d", w.topics, w.ranges, w.nodes, f.GetAfter(), f.GetSince(), f.GetNode(), f.GetKinds(), f.GetRange())
	return strconv.FormatUint(uint64(h.Sum32()), 36)
}

// resume text is epoch.seen.event.scope; see docs/FORMATS.md.
func (w *watching) token(epoch string) string {
	return fmt.Sprintf("%s.%d.%d.%s", epoch, w.seen, w.event, w.scope)
}

// resume takes up where a token of the same watch says. A token of another node
// or an earlier life of this one tells only which events were seen; one of
// another watch tells nothing.
func (w *watching) resume(token, epoch string) {
	parts := strings.Split(token, ".")
	if len(parts) != 4 || parts[3] != w.scope {
		return
	}
	seen, err := strconv.ParseUint(parts[1], 10, 64)
	event, eerr := strconv.ParseUint(parts[2], 10, 64)
	if errors.Join(err, eerr) != nil {
		return
	}
	w.event = max(w.event, event)
	if parts[0] == epoch {
		w.seen = seen
	}
}

func wants(ids []uint32, id uint32) bool {
	_, found := slices.BinarySearch(ids, id)
	return found || len(ids) == 0
}

func (w *watching) wantsEvent(e *adminpb.Event) bool {
	f := w.events
	if !maySee(w.role, cluster.EventKind(e.GetKind())) {
		return false
	}
	if e.GetSequence() <= w.event || (f.GetNode() != 0 && f.GetNode() != e.GetNode()) || (f.GetRange() != 0 && f.GetRange() != e.GetRange()) {
		return false
	}
	if f.GetSince() != nil && e.GetTime().AsTime().Before(f.GetSince().AsTime()) {
		return false
	}
	return len(f.GetKinds()) == 0 || slices.ContainsFunc(f.GetKinds(), func(k string) bool {
		return e.GetKind() == k || strings.HasPrefix(e.GetKind(), k+".")
	})
}

// Watch implements adminpb.AdminHandler. A caller that reads slowly gets the
// newest state, not every one. The watch ends when the caller's credential does.
func (s *service) Watch(ctx context.Context, r *adminpb.WatchRequest, out adminpb.AdminWatchServerStream) error {
	w, err := newWatching(r, caller(ctx).Role)
	if err != nil {
		return err
	}
	free, err := s.takeSlot()
	if err != nil {
		return err
	}
	defer free()
	w.resume(r.GetResume(), s.hub.epoch)
	if err := s.hub.join(w); err != nil {
		return err
	}
	defer s.hub.leave(w)
	changed := make(chan struct{}, 1)
	defer s.backend.Subscribe(func(*metastate.View) {
		select {
		case changed <- struct{}{}:
		default:
		}
	})()
	beat := time.NewTimer(heartbeat)
	defer beat.Stop()
	next := time.NewTimer(0) // when the next response may be sent
	defer next.Stop()
	var news <-chan struct{} // nil: there may be some already
	for {
		if err := stillAllowed(ctx); err != nil {
			return err
		}
		select {
		case <-next.C:
			news = s.hub.news() // before the look at what there is, so that none is missed
			sent, err := s.tell(w, out)
			if err != nil {
				return err
			}
			if sent {
				news = nil
				beat.Reset(heartbeat)
				next.Reset(w.interval)
			}
		case <-news:
			news = nil
			next.Reset(0)
		case <-beat.C:
			if err := s.beat(w, out); err != nil {
				return err
			}
			beat.Reset(heartbeat)
		case <-changed: // perhaps the caller's rights
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// takeSlot takes one of the node's watches.
func (s *service) takeSlot() (free func(), err error) {
	select {
	case s.watches <- struct{}{}:
		return func() { <-s.watches }, nil
	default:
		return nil, &Error{Kind: KindLimited, Elsewhere: true, Message: fmt.Sprintf("this node serves %d watches already: ask another node", watchesMost)}
	}
}

// tell sends what w has not been told yet.
func (s *service) tell(w *watching, out adminpb.AdminWatchServerStream) (sent bool, err error) {
	m := s.hub.since(w)
	if m == nil {
		return false, nil
	}
	return true, out.Send(m)
}

// beat sends a response without changes: the node is there, and its data are
// that old. Before the first look there is no state to speak of.
func (s *service) beat(w *watching, out adminpb.AdminWatchServerStream) error {
	m := &adminpb.WatchResponse{AsOf: s.hub.asOf()}
	if w.seen > 0 {
		m.Resume = w.token(s.hub.epoch)
	}
	return out.Send(m)
}

// discreet hides what a viewer may not see: the text of statements.
func discreet(role auth.Role, o *adminpb.Operation) *adminpb.Operation {
	if role >= auth.RoleOperator || !slices.ContainsFunc(o.GetBlockers(), func(b *adminpb.Blocker) bool { return b.GetStatement() != "" }) {
		return o
	}
	o = proto.CloneOf(o)
	for _, b := range o.GetBlockers() {
		b.Statement = ""
	}
	return o
}
