package offline

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nodedb/nodedb/client"
	"github.com/nodedb/nodedb/client/adminpb"
)

// Key tells the answers of one call apart that is asked about one thing at a
// time; empty for calls that are asked once.
func Key(req proto.Message) string {
	switch r := req.(type) {
	case *adminpb.ExplainMemberRequest:
		return fmt.Sprintf("n%d", r.GetNode())
	case *adminpb.ExplainRangeRequest:
		return fmt.Sprintf("r%d", r.GetRange())
	case *adminpb.InspectRaftRequest:
		return fmt.Sprintf("r%d", r.GetRange())
	case *adminpb.GetOperationRequest:
		return "one"
	case *adminpb.CheckSafeRequest:
		key := r.GetQuestion()
		for _, n := range r.GetNodes() {
			key += fmt.Sprintf("-n%d", n)
		}
		return key
	}
	return ""
}

// narrow takes out of an answer to everything what the request did not ask for.
func narrow(req, out proto.Message) finding {
	switch r := req.(type) {
	case *adminpb.ListNodesRequest:
		a := out.(*adminpb.ListNodesResponse)
		a.Nodes = slices.DeleteFunc(a.Nodes, func(n *adminpb.Node) bool { return !r.GetAll() && n.GetMembership() == "decommissioned" })
	case *adminpb.ListOperationsRequest:
		a := out.(*adminpb.ListOperationsResponse)
		a.Operations = slices.DeleteFunc(a.Operations, func(o *adminpb.Operation) bool { return !r.GetAll() && client.Final(o.GetState()) })
	case *adminpb.ListRangesRequest:
		a := out.(*adminpb.ListRangesResponse)
		a.Ranges = slices.DeleteFunc(a.Ranges, func(x *adminpb.Range) bool { return !wanted(r, x) })
		if len(r.GetIds()) > 0 && len(a.Ranges) == 0 {
			return nothing
		}
	case *adminpb.ListSupportRequest:
		a := out.(*adminpb.ListSupportResponse)
		a.Support = slices.DeleteFunc(a.Support, func(x *adminpb.Support) bool {
			return r.GetNode() != 0 && x.GetFrom() != r.GetNode() && x.GetTo() != r.GetNode()
		})
	case *adminpb.GetRoutingRequest:
		a := out.(*adminpb.GetRoutingResponse)
		a.Routes = slices.DeleteFunc(a.Routes, func(x *adminpb.Route) bool { return r.GetPool() != "" && x.GetPool() != r.GetPool() })
	case *adminpb.ListPoolsRequest:
		a := out.(*adminpb.ListPoolsResponse)
		a.Pools = slices.DeleteFunc(a.Pools, func(p *adminpb.Pool) bool { return r.GetName() != "" && p.GetName() != r.GetName() })
		if len(a.Pools) == 0 {
			return nothing
		}
	case *adminpb.ListPlansRequest:
		a := out.(*adminpb.ListPlansResponse)
		a.Plans = slices.DeleteFunc(a.Plans, func(p *adminpb.StoredPlan) bool { return r.GetId() != "" && p.GetPlan().GetId() != r.GetId() })
		if r.GetId() != "" && len(a.Plans) == 0 {
			return nothing
		}
	case *adminpb.ListEventsRequest:
		a := out.(*adminpb.ListEventsResponse)
		a.Events = slices.DeleteFunc(a.Events, func(e *adminpb.Event) bool { return !heard(r.GetFilter(), e) })
		if n := int(r.GetLimit()); n > 0 && len(a.Events) > n {
			a.Events = a.Events[len(a.Events)-n:]
		}
	case *adminpb.ListAuditRequest:
		a := out.(*adminpb.ListAuditResponse)
		a.Records = slices.DeleteFunc(a.Records, func(x *adminpb.AuditRecord) bool {
			return x.GetSequence() <= r.GetAfter() || before(x.GetTime(), r.GetSince())
		})
		if n := int(r.GetLimit()); n > 0 && len(a.Records) > n {
			a.Records = a.Records[len(a.Records)-n:]
		}
	}
	return here
}

func wanted(r *adminpb.ListRangesRequest, x *adminpb.Range) bool {
	on := r.GetNode() == 0 || slices.ContainsFunc(x.GetReplicas(), func(p *adminpb.Replica) bool { return p.GetNode() == r.GetNode() })
	on = on && (r.GetPool() == "" || x.GetPool() == r.GetPool())
	return on && (len(r.GetIds()) == 0 || slices.Contains(r.GetIds(), x.GetId())) && (len(r.GetStates()) == 0 || slices.Contains(r.GetStates(), x.GetState()))
}

func heard(f *adminpb.EventFilter, e *adminpb.Event) bool {
	kind := len(f.GetKinds()) == 0 || slices.ContainsFunc(f.GetKinds(), func(k string) bool {
		return e.GetKind() == k || strings.HasPrefix(e.GetKind(), strings.TrimSuffix(k, ".")+".")
	})
	return kind && e.GetSequence() > f.GetAfter() && !before(e.GetTime(), f.GetSince()) &&
		(f.GetNode() == 0 || e.GetNode() == f.GetNode()) && (f.GetRange() == 0 || e.GetRange() == f.GetRange())
}

// before reports whether t is earlier than since, if that is set.
func before(t, since *timestamppb.Timestamp) bool {
	return since != nil && since.AsTime().After(time.Time{}) && t.AsTime().Before(since.AsTime())
}
