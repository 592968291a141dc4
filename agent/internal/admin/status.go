package admin

import (
	"context"
	"fmt"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/client/adminpb"
)

// Words for the health of a cluster.
const (
	healthGood = "healthy"
	healthPart = "degraded"    // all data can be reached; a problem needs a person or time
	healthLost = "unavailable" // some data cannot be reached
)

// diskFull is the share from which a disk is a problem; the planner fills none further.
const diskFull = 0.80

// GetStatus implements adminpb.AdminHandler.
func (s *service) GetStatus(ctx context.Context, r *adminpb.GetStatusRequest) (*adminpb.GetStatusResponse, error) {
	look, err := s.look(ctx, r.GetNodeTimeout())
	if err != nil {
		return nil, err
	}
	leader, term := s.backend.MetaLeader()
	out := &adminpb.GetStatusResponse{
		AsOf: look.asOf(), MetaLeader: uint32(leader), MetaTerm: term,
		Replication: uint32(look.View.DefaultPool().Replicas),
		Rebalance:   look.View.Settings.Rebalance(), LastMove: timestamp(look.lastMove()),
	}
	for _, n := range look.members() {
		out.NodesTotal++
		if look.liveness(n.ID) == cluster.Alive {
			out.NodesAlive++
		}
		if st := look.Statuses[n.ID]; st != nil && st.DiskTotal > 0 {
			if used := float64(st.DiskUsed) / float64(st.DiskTotal); used > out.DiskMax {
				out.DiskMax, out.DiskMaxNode = used, uint32(n.ID)
			}
		}
	}
	look.countRanges(out)
	for _, id := range look.View.OperationIDs() {
		if o := look.View.Operations[id]; !o.State.Final() {
			out.Running = append(out.Running, operationProto(o, look.View.Index))
			out.BytesMoving += moving(o)
		}
	}
	conceal(ctx, out.Running...)
	survival := look.survive()
	out.SurvivesOne, out.SurvivesTwo = survivalProto(survival, look.Snapshot != nil)
	out.Localities = localitiesProto(survival)
	out.Problems = look.problems(leader)
	out.Health = healthWord(out)
	return out, nil
}

// lastMove is when something was last moved to even out the load; zero: it is not
// remembered.
func (s *sight) lastMove() (last time.Time) {
	for _, o := range s.View.Operations {
		if o.Spec.Kind.MovesOnly() && o.State == cluster.OpSucceeded && o.EndedAt.After(last) {
			last = o.EndedAt
		}
	}
	return last
}

func (s *sight) countRanges(out *adminpb.GetStatusResponse) {
	out.Bytes, out.RangesUnsized = s.bytes, uint32(s.unsized) // of halves of a split the guess: their sum is right
	out.RangesUnder, out.RangesNoQuorum, out.RangesMoving = uint32(s.states[rangeUnder]), uint32(s.states[rangeNoQuorum]), uint32(s.states[rangeMoving])
	out.RangesOk = uint32(len(s.ranges)) - out.RangesUnder - out.RangesNoQuorum - out.RangesMoving
}

// moving is the size of the replicas that are being copied for o now.
func moving(o *cluster.Operation) uint64 {
	var n uint64
	for _, it := range o.Items {
		switch it.Step {
		case "learner", "snapshot", "catch-up", "joint":
			n += it.Bytes
		}
	}
	return n
}

func healthWord(s *adminpb.GetStatusResponse) string {
	switch {
	case s.GetRangesNoQuorum() > 0 || s.GetMetaLeader() == 0:
		return healthLost
	case s.GetRangesUnder() > 0 || s.GetNodesAlive() < s.GetNodesTotal():
		return healthPart
	}
	return healthGood
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// What refuses and passes by itself is looked at again before it is the answer.
const (
	settleFor   = 3 * time.Second
	settleMost  = time.Minute
	settleEvery = 200 * time.Millisecond
)

// CheckSafe implements adminpb.AdminHandler.
func (s *service) CheckSafe(ctx context.Context, r *adminpb.CheckSafeRequest) (*adminpb.CheckSafeResponse, error) {
	wait := r.GetWait()
	if !(wait >= 0 && wait <= settleMost.Seconds()) { // also refuses NaN
		return nil, &Error{Kind: KindInvalid, Message: fmt.Sprintf("wait must be between 0 and %.0f seconds", settleMost.Seconds())}
	}
	if wait == 0 {
		wait = settleFor.Seconds()
	}
	until := time.Now().Add(seconds(wait))
	for {
		out, err := s.checkSafe(ctx, r)
		if err != nil || !out.GetNotYet() || time.Now().After(until) {
			return out, err
		}
		select {
		case <-time.After(settleEvery):
		case <-ctx.Done():
			return out, nil
		}
	}
}

// checkSafe answers as of now.
func (s *service) checkSafe(ctx context.Context, r *adminpb.CheckSafeRequest) (*adminpb.CheckSafeResponse, error) {
	look, err := s.look(ctx, r.GetNodeTimeout())
	if err != nil {
		return nil, err
	}
	if look.Snapshot == nil {
		return nil, &Error{Kind: KindUnavailable, Elsewhere: true, Message: "this node cannot see enough of the cluster to tell"}
	}
	out := &adminpb.CheckSafeResponse{AsOf: look.asOf(), Ranges: uint32(len(look.ranges)), Safe: true}
	survival := look.survive()
	out.SurvivesOne, out.SurvivesTwo = survivalProto(survival, true)
	out.Localities = localitiesProto(survival)
	if r.GetQuestion() == "survive" {
		out.Safe = survival.Any >= 1
		return out, nil
	}
	nodes, err := s.known(r.GetNodes())
	if err != nil {
		return nil, err
	}
	v, largest, err := judgeNodes(look, r.GetQuestion(), nodes)
	if err != nil {
		return nil, err
	}
	out.Safe, out.NotYet = v.OK(), v.Passes()
	out.Findings, out.Fixes, _ = verdictProto(&v)
	out.LargestSafe = nodeIDs(largest)
	return out, nil
}
