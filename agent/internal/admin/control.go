package admin

import (
	"context"
	"math"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/client/adminpb"
)

// PauseOperation implements adminpb.AdminHandler.
func (s *service) PauseOperation(ctx context.Context, r *adminpb.PauseOperationRequest) (*adminpb.PauseOperationResponse, error) {
	o, err := s.control(ctx, r.GetId(), metastate.Command{PauseOperation: &metastate.PauseOperation{ID: r.GetId(), Reason: r.GetReason()}})
	return &adminpb.PauseOperationResponse{Operation: o}, err
}

// ResumeOperation implements adminpb.AdminHandler.
func (s *service) ResumeOperation(ctx context.Context, r *adminpb.ResumeOperationRequest) (*adminpb.ResumeOperationResponse, error) {
	o, err := s.control(ctx, r.GetId(), metastate.Command{ResumeOperation: &metastate.ResumeOperation{ID: r.GetId()}})
	return &adminpb.ResumeOperationResponse{Operation: o}, err
}

// LimitOperation implements adminpb.AdminHandler.
func (s *service) LimitOperation(ctx context.Context, r *adminpb.LimitOperationRequest) (*adminpb.LimitOperationResponse, error) {
	o, err := s.control(ctx, r.GetId(), metastate.Command{LimitOperation: &metastate.LimitOperation{ID: r.GetId(), Rate: r.GetRate()}})
	return &adminpb.LimitOperationResponse{Operation: o}, err
}

// control changes an operation that has not ended.
func (s *service) control(ctx context.Context, id string, cmd metastate.Command) (*adminpb.Operation, error) {
	if _, _, err := s.find(id); err != nil {
		return nil, err
	}
	res, err := s.propose(ctx, cmd)
	if err != nil {
		return nil, err
	}
	return s.operation(res.Operation), nil
}

// nextSteps are what an operator can do about an operation from its state.
func nextSteps(o *cluster.Operation) []*adminpb.Fix {
	var out []*adminpb.Fix
	add := func(text, command string) { out = append(out, &adminpb.Fix{Text: text, Command: command}) }
	ctl := func(verb string) string { return "nodedbctl ops " + verb + " " + o.ID }
	moves := o.Spec.Kind != cluster.OpDrain
	names := ""
	for _, n := range o.Spec.Nodes {
		names += " " + n.String()
	}
	switch o.State {
	case cluster.OpQueued, cluster.OpRunning, cluster.OpBlocked:
		add("follow it", ctl("watch"))
		if o.State == cluster.OpBlocked || o.Stalled {
			add("see what it waits for", ctl("show")+" --blocked")
		}
		for _, r := range o.Refusals {
			for _, f := range r.Fixes {
				add(f.Does, f.Command)
			}
		}
		if moves && o.State != cluster.OpQueued {
			add("change its rate", ctl("limit")+" --rate 16MiB/s")
		}
		if moves {
			add("pause it", ctl("pause"))
		}
		add("cancel it", ctl("cancel"))
	case cluster.OpPaused:
		if o.PreemptedBy == "" || o.Held != "" {
			add("let it go on", ctl("resume"))
		} else {
			add("see what it gives way to", "nodedbctl ops show "+o.PreemptedBy)
		}
		add("cancel it", ctl("cancel"))
	case cluster.OpCancelling:
		add("wait for its end", ctl("wait"))
	case cluster.OpFailed, cluster.OpCancelled:
		switch o.Spec.Kind {
		case cluster.OpDrain, cluster.OpDecommission:
			add("see whether it could be done now", "nodedbctl "+string(o.Spec.Kind)+names+" --dry-run")
		}
	case cluster.OpSucceeded:
		if o.Spec.Kind == cluster.OpDrain && !o.Spec.Shutdown {
			add("let it serve again", "nodedbctl undrain"+names)
		}
	}
	return out
}

// fillOperation adds what followed the first version of the message.
func fillOperation(p *adminpb.Operation, o *cluster.Operation) {
	p.Rate, p.Limit, p.Stalled, p.ModelError = o.Pace.Rate, o.Limit, o.Stalled, o.ModelError
	if o.Pace.Limit > 0 {
		p.Limit = o.Pace.Limit
		if o.Pace.LimitOf != o.ID {
			p.LimitOf = o.Pace.LimitOf
		}
	}
	p.EtaSeconds, p.EtaLow, p.EtaHigh = o.Pace.ETA, o.Pace.Low, o.Pace.High
	p.ItemsTotal = uint32(max(o.ItemsTotal, len(o.Items)))
	p.Next = nextSteps(o)
	for _, r := range o.Refusals {
		p.Findings = append(p.Findings, &adminpb.Finding{Code: r.Code, Severity: severityRefuse, Text: r.Why, Ranges: rangeIDs(r.Ranges), Nodes: nodeIDs(r.Nodes)})
	}
	for _, b := range o.Blockers {
		p.Blockers = append(p.Blockers, &adminpb.Blocker{
			Node: uint32(b.Node), Pid: b.PID, User: b.User, Application: b.Application, Seconds: b.Seconds, Statement: b.Statement, State: string(b.State),
		})
	}
	for i, it := range o.Items {
		p.Items[i].Needs, p.Items[i].RetryAt, p.Items[i].BytesDone = it.Needs, timestamp(it.RetryAt), it.BytesDone
	}
}

// conceal takes out of operations what the caller's role may not see.
func conceal(ctx context.Context, ops ...*adminpb.Operation) {
	for _, o := range ops {
		o.Blockers = discreet(caller(ctx).Role, o).GetBlockers()
	}
}

// scored is over how many operations the model's error is taken.
const scored = 5

// modelError is by how much, as a share, the last operations of a kind that
// succeeded missed the time that was predicted for them; 0: none was scored yet.
func modelError(v *metastate.View, kind cluster.OperationKind) float64 {
	sum, n := 0.0, 0
	for _, id := range slices.Backward(v.OperationIDs()) {
		if op := v.Operations[id]; op.Spec.Kind == kind && op.State == cluster.OpSucceeded && op.Planned > 0 && n < scored {
			sum, n = sum+math.Abs(op.ModelError), n+1
		}
	}
	if n == 0 {
		return 0
	}
	return sum / float64(n)
}
