package admin

import (
	"context"
	"fmt"

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
		Replication: uint32(look.View.Settings.ReplicationFactor()),
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
	out.SurvivesOne, out.SurvivesTwo = survivalProto(look.survive(), look.Snapshot != nil)
	out.Problems = look.problems(out)
	out.Health = healthWord(out)
	return out, nil
}

func (s *sight) countRanges(out *adminpb.GetStatusResponse) {
	for i := range s.ranges {
		f := &s.ranges[i]
		if !f.descriptor.IsMeta() {
			bytes, _ := f.size()
			out.Bytes += bytes
		}
		switch f.state {
		case rangeUnder:
			out.RangesUnder++
		case rangeNoQuorum:
			out.RangesNoQuorum++
		case rangeMoving:
			out.RangesMoving++
		default:
			out.RangesOk++
		}
	}
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

// problems lists what a person should look at, worst first.
func (s *sight) problems(st *adminpb.GetStatusResponse) []*adminpb.Problem {
	var ps []*adminpb.Problem
	add := func(code, command, format string, args ...any) {
		ps = append(ps, &adminpb.Problem{Code: code, Text: fmt.Sprintf(format, args...), Command: command})
	}
	if st.GetMetaLeader() == 0 {
		add("META_QUORUM", "nodedbctl members", "the meta range has no leader: nothing about the cluster can be changed")
	}
	if n := st.GetRangesNoQuorum(); n > 0 {
		add("NO_QUORUM", "nodedbctl ranges --state no-quorum", "%s without a quorum", plural(int(n), "range"))
	}
	for _, n := range s.members() {
		switch l := s.liveness(n.ID); l {
		case cluster.Dead, cluster.Left:
			add("NODE_DOWN", "nodedbctl nodes show "+n.ID.String(), "%s is %s; its replicas are re-created after %s", n.ID, l, s.View.Settings.DeadAfter())
		case cluster.Suspect:
			add("NODE_SUSPECT", "nodedbctl members", "%s is suspect", n.ID)
		case cluster.Alive:
			s.problemsOf(n, add)
		}
	}
	if n := st.GetRangesUnder(); n > 0 {
		command := "nodedbctl ranges --state under"
		if int(st.GetNodesTotal()) < s.View.Settings.ReplicationFactor() {
			command = "nodedbctl join-token create"
		}
		add("UNDER_REPLICATED", command, "%s with fewer than %s", plural(int(n), "range"), plural(s.View.Settings.ReplicationFactor(), "live voter"))
	}
	for _, op := range st.GetRunning() {
		if op.GetState() == string(cluster.OpBlocked) || op.GetState() == string(cluster.OpPaused) {
			add("OPERATION_"+upper(op.GetState()), "nodedbctl ops show "+op.GetId(), "%s is %s: %s", op.GetId(), op.GetState(), op.GetWhy())
		}
	}
	return ps
}

// problemsOf adds the problems of a node that is alive.
func (s *sight) problemsOf(n *cluster.Node, add func(code, command, format string, args ...any)) {
	st := s.Statuses[n.ID]
	if st == nil {
		add("NODE_SILENT", "nodedbctl nodes show "+n.ID.String(), "%s did not answer in time", n.ID)
		return
	}
	if st.DiskTotal > 0 {
		if used := float64(st.DiskUsed) / float64(st.DiskTotal); used > diskFull {
			add("DISK", "nodedbctl join-token create", "the disk of %s is %.0f%% full", n.ID, used*100)
		}
	}
	if end := st.Keys.NotAfter; !end.IsZero() && s.At.After(end.Add(-end.Sub(st.Keys.NotBefore)/4)) {
		// It should have been renewed at two thirds of its life.
		add("CERT_EXPIRY", "nodedbctl cert renew "+n.ID.String(), "the certificate of %s expires in %s", n.ID, plural(int(end.Sub(s.At).Hours()/24), "day"))
	}
	if n.Cordon {
		add("CORDONED", "nodedbctl uncordon "+n.ID.String(), "%s is cordoned: nothing is placed there", n.ID)
	}
	if st.Service == cluster.Drained {
		add("DRAINED", "nodedbctl undrain "+n.ID.String(), "%s is drained: it takes no sessions", n.ID)
	}
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func upper(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'a' && c <= 'z' {
			b[i] = c - 'a' + 'A'
		}
	}
	return string(b)
}

// CheckSafe implements adminpb.AdminHandler.
func (s *service) CheckSafe(ctx context.Context, r *adminpb.CheckSafeRequest) (*adminpb.CheckSafeResponse, error) {
	look, err := s.look(ctx, r.GetNodeTimeout())
	if err != nil {
		return nil, err
	}
	if look.Snapshot == nil {
		return nil, &Error{Kind: KindUnavailable, Message: "this node cannot see enough of the cluster to tell"}
	}
	out := &adminpb.CheckSafeResponse{AsOf: look.asOf(), Ranges: uint32(len(look.ranges)), Safe: true}
	survival := look.survive()
	out.SurvivesOne, out.SurvivesTwo = survivalProto(survival, true)
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
	out.Safe = v.OK()
	out.Findings, out.Fixes, _ = verdictProto(&v)
	out.LargestSafe = nodeIDs(largest)
	return out, nil
}
