package admin

import (
	"context"
	"fmt"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/gate"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/client/adminpb"
)

// GetUpgrade implements adminpb.AdminHandler.
func (s *service) GetUpgrade(ctx context.Context, r *adminpb.GetUpgradeRequest) (*adminpb.GetUpgradeResponse, error) {
	look, err := s.look(ctx, r.GetNodeTimeout())
	if err != nil {
		return nil, err
	}
	v := look.View
	target := versionToCome(v)
	out := &adminpb.GetUpgradeResponse{
		AsOf: look.asOf(), Active: uint32(v.Active), Newest: uint32(v.Newest()), Target: uint32(target), Allows: gate.Allows(v.Active, target),
	}
	if v.Raising != nil {
		out.Raising, out.OperationId = uint32(v.Raising.To), v.Raising.Operation
	}
	for _, id := range v.Members() {
		n := v.Nodes[id]
		u := &adminpb.NodeUpgrade{
			Node: uint32(id), Name: n.Name, Version: n.Version, Min: uint32(n.Supports.Min), Max: uint32(n.Supports.Max), Liveness: string(look.liveness(id)),
		}
		if st := look.Statuses[id]; st != nil {
			u.Version, u.Active, u.Promised = st.Version, uint32(st.Active), uint32(st.Promised)
		}
		out.Nodes = append(out.Nodes, u)
	}
	if target <= v.Active || v.Raising != nil {
		return out, nil
	}
	pv, err := s.backend.Plan(ctx, cluster.OperationSpec{Kind: cluster.OpUpgrade, Version: target})
	if err != nil {
		return nil, err
	}
	out.Findings, _, _ = verdictProto(&pv.Verdict)
	out.CanFinalize = pv.Verdict.OK()
	return out, nil
}

// versionToCome is the version that is being raised, else the newest that any node
// supports.
func versionToCome(v *metastate.View) gate.Version {
	if v.Raising != nil {
		return v.Raising.To
	}
	to := v.Active
	for _, id := range v.Members() {
		to = max(to, v.Nodes[id].Supports.Max)
	}
	return to
}

// versionNotFinal: every binary supports a newer version than the active one.
func versionNotFinal(c *checkup) []breach {
	v := c.View
	if newest := v.Newest(); newest > v.Active {
		return []breach{{severity: severityInfo, command: "nodedbctl upgrade finalize --dry-run", text: fmt.Sprintf(
			"the cluster is at version %d and every node supports %d: finalize the upgrade once you are sure not to go back", v.Active, newest)}}
	}
	return nil
}

// versionRefused: a node does not fit the cluster's version, as its peers say.
func versionRefused(c *checkup) []breach {
	refused := map[cluster.NodeID]string{}
	for _, e := range c.View.Events {
		switch e.Kind {
		case cluster.EventVersionRefused:
			refused[e.Node] = e.Text
		case cluster.EventNodeStarted, cluster.EventNodeDecommissioned:
			delete(refused, e.Node)
		default:
		}
	}
	var out []breach
	for _, n := range c.members() {
		if text := refused[n.ID]; text != "" {
			out = append(out, breach{severity: severityError, nodes: []cluster.NodeID{n.ID}, command: "nodedbctl upgrade status", text: text})
		}
	}
	return out
}
