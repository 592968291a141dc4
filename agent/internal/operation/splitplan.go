package operation

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/placement"
)

// validateSplit says what is wrong with a request to split.
func validateSplit(v *metastate.View, spec *cluster.OperationSpec) error {
	d, ok := v.Range(spec.Range)
	switch {
	case len(spec.Nodes) > 0:
		return refused(Invalid, "a split is of a range: it names no nodes")
	case !ok:
		return refused(NotFound, "there is no range %s", spec.Range)
	case d.IsMeta():
		return refused(Invalid, "the meta range cannot be split")
	case spec.At != "" && !d.Inside(spec.At):
		return refused(Invalid, "%s is no boundary inside %s, which owns [%s,%s) of pool %s%s", spec.At.Text(), d.ID, d.Start, d.End, v.PoolName(d.Pool), ownerOf(v, d.Pool, spec.At))
	}
	return nil
}

// ownerOf names the range of the pool inside which a key is; "": it begins one.
func ownerOf(v *metastate.View, pool cluster.PoolID, at cluster.Key) string {
	for _, id := range v.RangesIn(pool) {
		if v.Ranges.Get(id).Inside(at) {
			return fmt.Sprintf("; it is inside %s", id)
		}
	}
	return ""
}

// previewSplit says where a range would be split, and whether it can be now.
func (s *Service) previewSplit(ctx context.Context, spec cluster.OperationSpec) Preview {
	o := s.ClusterStatus(ctx, 0)
	began := time.Now()
	p := Preview{Snapshot: o.Snapshot, At: spec.At}
	x := o.Snapshot.Range(spec.Range)
	if x == nil { // it was there a moment ago, and ranges stay
		p.Verdict.Refusals = append(p.Verdict.Refusals, placement.Refusal{Code: placement.Constraint, Why: fmt.Sprintf("there is no range %s", spec.Range)})
		return p
	}
	d := &x.Descriptor
	if p.At == "" {
		if p.At = boundary(leaderStatus(&o, x), d); p.At == "" && x.Leader != 0 {
			p.At = s.middle(ctx, x)
		}
	}
	refuse := func(code placement.Code, why string, fixes ...placement.Fix) {
		p.Verdict.Refusals = append(p.Verdict.Refusals, placement.Refusal{Code: code, Ranges: []cluster.RangeID{d.ID}, Why: why, Fixes: fixes})
	}
	switch {
	case p.At == "":
		refuse(placement.Constraint, fmt.Sprintf("%s owns at most the vshard %d, and no middle of its rows was found: it may have one row, or none, or be large; say with --at where to split it", d.ID, d.Start.VShard()))
	case x.Leader == 0:
		refuse(placement.QuorumAtRisk, fmt.Sprintf("%s has no leader that is known", d.ID),
			placement.Fix{Does: "see why", Command: "nodedbctl ranges show " + d.ID.String()})
	}
	if p.At != "" {
		spec.At = p.At
		p.Plan.ID = cluster.NewPlanID(o.View.ClusterID, spec, splitSteps{d.Pool, d.Start, d.End, d.Generation})
		p.Verdict.Checks = append(p.Verdict.Checks, placement.Check{
			Name: "split", State: placement.CheckOK,
			Detail: fmt.Sprintf("%s keeps [%s,%s), a new range gets [%s,%s)", d.ID, d.Start, p.At, p.At, d.End),
		})
	}
	p.Plan.MetaIndex = o.Snapshot.MetaIndex
	p.Plan.Total.Ranges = 1
	survival := placement.Survive(o.Snapshot).Any // no replica moves
	p.Plan.Prediction.Before, p.Plan.Prediction.During, p.Plan.Prediction.After = survival, survival, survival
	p.Took = time.Since(began)
	return p
}

// splitSteps is the range that a split divides, as it is now.
type splitSteps struct {
	Pool       cluster.PoolID
	Start, End cluster.Key
	Generation uint64
}

// leaderStatus returns what the range's leader says of it; nil if it is not known.
func leaderStatus(o *Observation, x *placement.Range) *cluster.RangeStatus {
	st := o.Statuses[x.Leader]
	if st == nil {
		return nil
	}
	if r := st.Range(x.Descriptor.ID); r != nil && r.IsLeader() {
		return r
	}
	return nil
}

// boundary picks where a range is split unless somebody says: where its load is
// halved, else its vshards; empty: it has no vshard's beginning inside.
func boundary(st *cluster.RangeStatus, d *cluster.RangeDescriptor) cluster.Key {
	first, end := d.VShards()
	switch middle := (first + (end-first)/2).Key(); {
	case st != nil && st.Load != nil && d.Inside(st.Load.Middle):
		return st.Load.Middle
	case d.Inside(middle):
		return middle
	}
	return ""
}

// middlePause is the pause between two questions for the middle of a range.
const middlePause = 100 * time.Millisecond

// middle asks the leader where the bytes of the range are halved, until it knows or
// the time for one action is over; empty: it does not know.
func (s *Service) middle(ctx context.Context, x *placement.Range) cluster.Key {
	ctx, cancel := context.WithTimeout(ctx, actionTimeout)
	defer cancel()
	for {
		at, err := s.askMiddle(ctx, x)
		if err == nil {
			return at
		}
		select {
		case <-ctx.Done():
			return ""
		case <-time.After(middlePause):
		}
	}
}

func (s *Service) askMiddle(ctx context.Context, x *placement.Range) (cluster.Key, error) {
	if x.Leader == s.cfg.Self {
		return s.cfg.Server.Middle(ctx, x.Descriptor.ID)
	}
	payload, err := json.Marshal(&request{Range: x.Descriptor.ID})
	if err != nil {
		return "", err
	}
	b, err := s.cfg.Caller.Call(ctx, x.Leader, MethodMiddle, payload)
	if err != nil {
		return "", err
	}
	var rep reply
	err = json.Unmarshal(b, &rep)
	return rep.At, err
}

// startSplit records a split; the coordinator begins it.
func (s *Service) startSplit(ctx context.Context, r StartRequest, spec cluster.OperationSpec) (op cluster.Operation, existed bool, err error) {
	record := cluster.Operation{Spec: spec, RequestedBy: r.By, Reason: r.Reason, IdempotencyKey: r.Key, State: cluster.OpQueued, Queue: r.Queue, Phases: splitPhases()}
	if old := s.splitUnderWay(&spec, r.Key); old != nil {
		record.Spec.At = old.Spec.At
	} else {
		p := s.previewSplit(ctx, spec)
		if err := s.accept(r, spec, &p); err != nil {
			return op, false, err
		}
		record.Spec.At = p.At
		record.PlanID, record.Total = p.Plan.ID, p.Plan.Total
	}
	return s.record(ctx, r, metastate.Command{CreateOperation: &metastate.CreateOperation{Operation: record}})
}

// splitUnderWay returns the operation that a request without a boundary repeats.
func (s *Service) splitUnderWay(spec *cluster.OperationSpec, key string) *cluster.Operation {
	v := s.cfg.Meta.View()
	for _, id := range v.OperationIDs() {
		op := v.Operations[id]
		same := op.Spec.Kind == cluster.OpSplit && op.Spec.Range == spec.Range && !op.State.Final()
		if (same || key != "" && op.IdempotencyKey == key) && (spec.At == "" || spec.At == op.Spec.At) {
			return op
		}
	}
	return nil
}
