//go:build nextversion

package metastate

import (
	"maps"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/gate"
)

// kindGateway counts the commands that came through each node.
const kindGateway = "gateway"

// commandNext is what the next version adds to a command.
type commandNext struct {
	// Gateway is the node that proposed the command.
	Gateway cluster.NodeID `json:"gateway,omitempty"`
}

// viewNext is what the next version adds to the view.
type viewNext struct {
	// Gateways counts the commands that came through each node, since it is counted.
	Gateways map[cluster.NodeID]*GatewayCount
}

// GatewayCount is a record of kindGateway.
type GatewayCount struct {
	Node     cluster.NodeID `json:"node"`
	Commands uint64         `json:"commands"`
}

// For has cmd say what the active version allows it to say.
func (cmd *Command) For(active gate.Version, self cluster.NodeID) {
	if active >= gate.CommandGateway {
		cmd.Gateway = self
	}
}

// needs returns the version that cmd may be proposed at, and for what it has.
func (cmd *Command) needs() (gate.Version, string) {
	if cmd.Gateway != 0 {
		return gate.CommandGateway, "a gateway"
	}
	for i := range cmd.Batch {
		if needs, what := cmd.Batch[i].needs(); needs > gate.First {
			return needs, what
		}
	}
	return gate.First, ""
}

// recordNeeds returns the version that a kind of record came with.
func recordNeeds(kind string) gate.Version {
	if kind == kindGateway {
		return gate.CommandGateway
	}
	return gate.First
}

func (v *View) loadNext(kind string, value []byte) error {
	if kind != kindGateway {
		return gate.Newer("a kind of record that is not known")
	}
	if v.Gateways == nil {
		v.Gateways = map[cluster.NodeID]*GatewayCount{}
	}
	return loadInto(value, v.Gateways, func(g *GatewayCount) cluster.NodeID { return g.Node })
}

func (c *change) applyNext(cmd *Command) {
	if cmd.Gateway == 0 {
		return
	}
	g := GatewayCount{Node: cmd.Gateway, Commands: 1}
	if had := c.view.Gateways[g.Node]; had != nil {
		g.Commands += had.Commands
	}
	next := maps.Clone(c.view.Gateways)
	if next == nil {
		next = map[cluster.NodeID]*GatewayCount{}
	}
	next[g.Node] = stage(c, kindGateway, idKey(uint64(g.Node)), &g)
	c.view.Gateways = next
}
