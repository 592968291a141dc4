package admin

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/placement"
	"github.com/nodedb/nodedb/client/adminpb"
)

// Severities of a finding.
const (
	severityRefuse = "refuse"
	severityWarn   = "warn"
)

func nodeIDs(ids []cluster.NodeID) []uint32 {
	out := make([]uint32, len(ids))
	for i, id := range ids {
		out[i] = uint32(id)
	}
	return out
}

func rangeIDs(ids []cluster.RangeID) []uint32 {
	out := make([]uint32, len(ids))
	for i, id := range ids {
		out[i] = uint32(id)
	}
	return out
}

func fromNodeIDs(ids []uint32) []cluster.NodeID {
	out := make([]cluster.NodeID, len(ids))
	for i, id := range ids {
		out[i] = cluster.NodeID(id)
	}
	return out
}

// timestamp leaves the zero time out.
func timestamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

func specProto(s cluster.OperationSpec) *adminpb.OperationSpec {
	p := &adminpb.OperationSpec{
		Kind: string(s.Kind), Nodes: nodeIDs(s.Nodes), Shutdown: s.Shutdown, LbWait: s.LBWait, TxnTimeout: s.TxnTimeout,
		Deadline: s.Deadline, OnDeadline: s.OnDeadline, Ttl: s.TTL, Rate: s.Rate, MaxDisk: s.MaxDisk, KeepRunning: s.Keep,
		Range: uint32(s.Range), From: uint32(s.From), To: uint32(s.To), At: uint32(s.At.VShard()), AtKey: s.At.Hex(), Goal: s.Goal, MaxMoves: uint32(s.MaxMoves), Plan: s.Plan, Strict: s.Strict, Version: uint32(s.Version),
		Pool: s.Pool, PoolRanges: uint32(s.Ranges),
	}
	if s.Change != nil {
		p.Table = s.Change.Name
	}
	if w := s.Wanted; w != nil {
		p.Wanted = &adminpb.PoolWish{Replicas: new(uint32(w.Replicas)), Constraints: new(w.Constraints.String()), PreferLeader: new(w.PreferLeader.String())}
	}
	return p
}

func operationProto(o *cluster.Operation, metaIndex uint64) *adminpb.Operation {
	p := &adminpb.Operation{
		Id: o.ID, Spec: specProto(o.Spec), PlanId: o.PlanID, RequestedBy: o.RequestedBy, Reason: o.Reason,
		CreatedAt: timestamp(o.CreatedAt), StartedAt: timestamp(o.StartedAt), EndedAt: timestamp(o.EndedAt),
		State: string(o.State), Why: o.Why, Phase: o.Phase, Total: progressProto(o.Total), Done: progressProto(o.Done),
		PlannedSeconds: o.Planned, MetaIndex: metaIndex, CoordinatorTerm: o.CoordinatorTerm,
		GainPredicted: o.GainPredicted, GainAchieved: o.GainAchieved,
	}
	for _, ph := range o.Phases {
		p.Phases = append(p.Phases, &adminpb.Phase{
			Name: ph.Name, State: ph.State, Note: ph.Note, Began: timestamp(ph.Began), Ended: timestamp(ph.Ended),
		})
	}
	for _, it := range o.Items {
		p.Items = append(p.Items, &adminpb.Item{
			Range: uint32(it.Range), From: uint32(it.From), To: uint32(it.To), Step: it.Step,
			Attempts: uint32(it.Attempts), Error: it.Error, Why: it.Why, Bytes: it.Bytes,
		})
	}
	if o.Proof != nil {
		p.Proof = &adminpb.Proof{
			MetaIndex: o.Proof.MetaIndex, Descriptors: uint32(o.Proof.Descriptors), References: uint32(o.Proof.References),
			Leaders: uint32(o.Proof.Leaders), Tombstone: o.Proof.Tombstone,
		}
	}
	fillOperation(p, o)
	return p
}

func progressProto(p cluster.Progress) *adminpb.Progress {
	return &adminpb.Progress{
		Ranges: uint32(p.Ranges), Replicas: uint32(p.Replicas), Leaders: uint32(p.Leaders),
		Bytes: p.Bytes, Sessions: uint32(p.Sessions),
	}
}

func planProto(spec cluster.OperationSpec, pv *Preview, epoch uint64) *adminpb.Plan {
	pl, pr := &pv.Plan, &pv.Plan.Prediction
	p := &adminpb.Plan{
		Id: pl.ID, Spec: specProto(spec), TopologyEpoch: epoch, Feasible: pv.Verdict.OK(), ComputedIn: pv.Took.Seconds(),
		Replicas: uint32(pl.Total.Replicas), Leaders: uint32(pl.Total.Leaders), Bytes: pl.Total.Bytes,
		SecondsP50: pr.P50, SecondsP90: pr.P90, SecondsLowerBound: pr.Lower, Bottleneck: nodeNames(pr.Bottleneck),
		SurvivesBefore: survivesText(pr.Before), SurvivesDuring: survivesText(pr.During), SurvivesAfter: survivesText(pr.After),
	}
	p.Findings, p.Fixes, p.ChecksOk = verdictProto(&pv.Verdict)
	p.Dimensions, p.DimensionsAfter, p.Gain = dimensionsProto(pl.Before), dimensionsProto(pl.After), pl.Gain
	for _, e := range pl.Effects {
		p.Nodes = append(p.Nodes, &adminpb.NodeChange{
			Node: uint32(e.Node), ReplicasBefore: uint32(e.ReplicasBefore), ReplicasAfter: uint32(e.ReplicasAfter),
			LeadersBefore: uint32(e.LeadersBefore), LeadersAfter: uint32(e.LeadersAfter),
			BytesBefore: e.BytesBefore, BytesAfter: e.BytesAfter, DiskBefore: e.DiskBefore, DiskPeak: e.DiskPeak,
		})
	}
	for _, m := range pl.Moves {
		p.Moves = append(p.Moves, &adminpb.PlannedMove{
			Kind: "move", Range: uint32(m.Range), From: uint32(m.From), To: uint32(m.To), Bytes: m.Bytes,
		})
	}
	for _, t := range pl.Transfers {
		p.Moves = append(p.Moves, &adminpb.PlannedMove{Kind: "transfer", Range: uint32(t.Range), From: uint32(t.From), To: uint32(t.To)})
	}
	return p
}

// verdictProto splits a verdict into what refuses, what warns, the ways out and
// the number of checks that passed.
func verdictProto(v *placement.Verdict) (fs []*adminpb.Finding, fixes []*adminpb.Fix, ok uint32) {
	fs, fixes = findings(v.Refusals)
	for _, c := range v.Checks {
		switch c.State {
		case placement.CheckOK:
			ok++
		case placement.CheckWarn:
			fs = append(fs, &adminpb.Finding{Code: string(c.Code), Severity: severityWarn, Text: c.Detail})
		case placement.CheckRefused: // it is among the refusals
		}
	}
	return fs, fixes, ok
}

// survivesText says how many nodes may be lost, any of them.
func survivesText(any int) string {
	switch {
	case any < 0:
		return "nothing: a range has no quorum"
	case any == 0:
		return "no loss"
	case any == 1:
		return "any 1 node"
	default:
		return "any 2 nodes"
	}
}

func survivalProto(v placement.Survival, known bool) (one, two *adminpb.Survival) {
	one = &adminpb.Survival{Yes: v.Any >= 1, Failing: uint32(len(v.Singles)), Unknown: !known, Copies: nodeIDs(v.Copies)}
	if len(v.Singles) > 0 {
		one.Worst, one.WorstRanges = nodeIDs([]cluster.NodeID{v.WorstSingle}), uint32(v.SingleRanges)
	}
	two = &adminpb.Survival{
		Yes: v.Any >= 2, Failing: uint32(v.Pairs), Worst: nodeIDs(v.Worst), WorstRanges: uint32(v.WorstRanges), Unknown: !known,
	}
	return one, two
}

func localitiesProto(v placement.Survival) []*adminpb.LocalityLoss {
	var out []*adminpb.LocalityLoss
	for i := range v.Localities {
		l := &v.Localities[i]
		out = append(out, &adminpb.LocalityLoss{Locality: l.Locality, Nodes: nodeIDs(l.Nodes), Ranges: uint32(l.Ranges), First: rangeIDs(l.First)})
	}
	return out
}

func nodeNames(ids []cluster.NodeID) string {
	out := ""
	for i, id := range ids {
		if i > 0 {
			out += ","
		}
		out += id.String()
	}
	return out
}
