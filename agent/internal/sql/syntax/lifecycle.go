package syntax

import "slices"

// The things of the cluster that can be shown besides.
const (
	ShowRaftGroups ShowKind = "raft groups"
	ShowPeerHealth ShowKind = "peer health"
	ShowNode       ShowKind = "node"
	ShowSummary    ShowKind = "cluster"
	ShowEvents     ShowKind = "events"
	ShowHostRules  ShowKind = "hba"

	ShowSessions     ShowKind = "sessions"
	ShowTransactions ShowKind = "transactions"

	// ShowDropped are the collections whose rows are not gone yet.
	ShowDropped ShowKind = "dropped collections"
)

// AlterNode is ALTER NODE n with what is to be done to the node.
type AlterNode struct {
	Node   string // as it was written: n4, 4 or a name
	Action string // one of NodeActions
}

func (*AlterNode) node() {}

// NodeActions are what ALTER NODE does.
var NodeActions = []string{"drain", "undrain", "decommission", "recommission", "cordon", "uncordon"}

// showLifecycle reads RAFT GROUPS, DROPPED COLLECTIONS, PEER HEALTH, NODE n, CLUSTER, EVENTS, HBA, SESSIONS and
// TRANSACTIONS. ok is
// false if it is none of them.
func (p *cursor) showLifecycle() (node Node, err *Error, ok bool) { //nolint:revive // ok tells "not mine" from an error
	switch p.word() {
	case "raft":
		return p.showPair(ShowRaftGroups, "groups")
	case "dropped":
		return p.showPair(ShowDropped, "collections")
	case "peer":
		return p.showPair(ShowPeerHealth, "health")
	case "cluster":
		p.advance()
		return &ShowCluster{Kind: ShowSummary}, p.end(), true
	case "events", "hba", "sessions", "transactions":
		kind := ShowKind(p.word())
		p.advance()
		return &ShowCluster{Kind: kind}, p.end(), true
	case "node":
		p.advance()
		name, err := p.nodeName()
		if err != nil {
			return nil, err, true
		}
		return &ShowCluster{Kind: ShowNode, Node: name}, p.end(), true
	}
	return nil, nil, false
}

func (p *cursor) showPair(kind ShowKind, second string) (Node, *Error, bool) {
	p.advance()
	if p.word() != second {
		return nil, near(p.text, p.token), true
	}
	p.advance()
	return &ShowCluster{Kind: kind}, p.end(), true
}

// nodeName reads n4, 4, 'name' or "name".
func (p *cursor) nodeName() (string, *Error) {
	if p.token.kind == tokenQuoted {
		return p.identifier()
	}
	l, err := p.literal()
	return l.Text, err
}

// alterNode reads what follows ALTER NODE.
func (p *cursor) alterNode() (Node, *Error) {
	name, err := p.nodeName()
	if err != nil {
		return nil, err
	}
	action := p.word()
	if !slices.Contains(NodeActions, action) {
		return nil, near(p.text, p.token)
	}
	p.advance()
	return &AlterNode{Node: name, Action: action}, p.end()
}
