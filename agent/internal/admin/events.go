package admin

import (
	"context"
	"slices"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nodedb/nodedb/agent/internal/auth"
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/client/adminpb"
)

// eventsDefault is how many events a list holds if the caller names no number.
const eventsDefault = 1000

// ListEvents implements adminpb.AdminHandler.
func (s *service) ListEvents(ctx context.Context, r *adminpb.ListEventsRequest) (*adminpb.ListEventsResponse, error) {
	view := s.backend.View()
	out := &adminpb.ListEventsResponse{AsOf: s.asOf()}
	if len(view.Events) > 0 {
		out.First = view.Events[0].Sequence
	}
	limit := int(r.GetLimit())
	if limit == 0 {
		limit = eventsDefault
	}
	found := eventsOf(view, r.GetFilter(), caller(ctx).Role)
	out.Events = found[max(0, len(found)-limit):]
	return out, nil
}

// maySee reports whether a caller is told of events of a kind.
func maySee(role auth.Role, kind cluster.EventKind) bool {
	return role >= auth.RoleAdmin || !kind.AboutCredentials()
}

// eventsOf returns the events that are kept and that the filter lets through,
// oldest first.
func eventsOf(view *metastate.View, f *adminpb.EventFilter, role auth.Role) []*adminpb.Event {
	var out []*adminpb.Event
	for _, e := range view.EventsAfter(f.GetAfter()) {
		if maySee(role, e.Kind) && eventMatches(e, f) {
			out = append(out, eventProto(e))
		}
	}
	return out
}

func eventMatches(e *cluster.Event, f *adminpb.EventFilter) bool {
	switch {
	case f.GetSince() != nil && e.Time.Before(f.GetSince().AsTime()):
		return false
	case f.GetNode() != 0 && f.GetNode() != uint32(e.Node):
		return false
	case f.GetRange() != 0 && f.GetRange() != uint32(e.Range):
		return false
	}
	return len(f.GetKinds()) == 0 || slices.ContainsFunc(f.GetKinds(), func(kind string) bool {
		return string(e.Kind) == kind || strings.HasPrefix(string(e.Kind), kind+".")
	})
}

func eventProto(e *cluster.Event) *adminpb.Event {
	return &adminpb.Event{
		Sequence: e.Sequence, Time: timestamppb.New(e.Time), Kind: string(e.Kind), Severity: string(e.Severity), Text: e.Text,
		Node: uint32(e.Node), Range: uint32(e.Range), OperationId: e.Operation, By: e.By, Source: uint32(e.Source), Data: e.Data,
	}
}
