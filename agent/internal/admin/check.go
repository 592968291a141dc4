package admin

import (
	"context"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/client/adminpb"
)

// Severities of a rule, besides warn.
const (
	severityOK      = "ok"
	severityInfo    = "info" // nothing is wrong: something is to be done one day
	severityError   = "error"
	severityUnknown = "unknown"
)

// checkup is the cluster as the rules look at it.
type checkup struct {
	*sight
	metaLeader cluster.NodeID
}

// breach is one way in which a rule is broken.
type breach struct {
	code     string // empty: the rule's
	severity string
	text     string
	command  string // what mends it
	nodes    []cluster.NodeID
	ranges   []cluster.RangeID
}

// rule is one thing that is true of a healthy cluster.
type rule struct {
	code string
	ok   string // said when it holds
	// reports says that only a node itself can tell: of one that did not answer it
	// is not known.
	reports bool
	find    func(c *checkup) []breach
}

// rules are those of a healthy cluster, the most pressing first.
var rules = []rule{
	{"META_QUORUM", "the meta range has a leader", false, metaQuorum},
	{"NO_QUORUM", "every range has a quorum", false, noQuorum},
	{"NODE_DOWN", "every node is alive and answers", false, nodesDown},
	{"VERSION_REFUSED", "every node's binary fits the cluster's version", false, versionRefused},
	{"DISK_HUNG", "no disk hangs", true, hungDisks},
	{"DISK_SLOW", "every disk syncs in time", true, slowDisks},
	{"STORE_STUCK", "the store of every node gets on", true, stuckStores},
	{"STORE_BEHIND", "no store is older than what it told", false, storesBehind},
	{"REPLICA_DIVERGED", "no replica holds something else than the others, as far as they were compared", true, divergedRanges},
	{"REPLICA_FAILED", "no replica has failed", true, failedReplicas},
	{"UNDER_REPLICATED", "every range has the voters that are declared", false, underReplicated},
	{"POOL_MISFIT", "every range has its replicas where its pool wants them", false, misfitPools},
	{"POOL_STUCK", "no pool is stuck on its way", false, stuckPools},
	{"OPERATION", "no operation is blocked, paused or stalled", false, heldOperations},
	{"DISK", "every disk has room", true, fullDisks},
	{"MEMORY_PRESSURE", "every node has memory for what is asked of it", true, memoryPressure},
	{"STATEMENTS_WAIT", "statements need not wait long to run", true, waitingStatements},
	{"GARBAGE_BEHIND", "old versions are collected soon after gc_ttl", true, lateGarbage},
	{"LOCK_WAIT", "no transaction waits long for another's locks", true, longLockWaits},
	{"CERT_EXPIRY", "no certificate expires soon", true, expiringCertificates},
	{"CLOCK_AHEAD", "no node has used timestamps ahead of its time", true, aheadClocks},
	{"CLOCK_UNSETTLED", "every node knows what the time is", true, unsettledClocks},
	{"CLOCK_STEPPED", "no machine's clock was set by more than nodes follow", true, steppedClocks},
	{"CLOCK_SKEW", "the nodes' times agree", true, skewedClocks},
	{"BREAKER_OPEN", "every node reaches every other", true, openBreakers},
	{"FLAPPING", "no node comes and goes", false, flapping},
	{"CORDONED", "no cordon is left behind", false, leftCordons},
	{"DRAINED", "no node is drained", true, drainedNodes},
	{"ORPHAN", "nothing is left of operations that ended", true, orphans},
	{"CA_KEY", "a node that stays holds the CA's key", false, caKeyHeld},
	{"STALE_ROUTING", "every node follows the meta range", true, staleRouting},
	{"VERSION_MIX", "all nodes run one version", true, versionMix},
	{"VERSION_NOT_FINAL", "the cluster is at the newest version that its nodes support", false, versionNotFinal},
	{"SPREAD_ZONES", "replicas are spread over the localities as evenly as the nodes allow", false, crowdedRanges},
	{"SURVIVAL", "the cluster outlives the loss of any one node", false, survivesNone},
}

// Check implements adminpb.AdminHandler.
func (s *service) Check(ctx context.Context, r *adminpb.CheckRequest) (*adminpb.CheckResponse, error) {
	look, err := s.look(ctx, r.GetNodeTimeout())
	if err != nil {
		return nil, err
	}
	leader, _ := s.backend.MetaLeader()
	return &adminpb.CheckResponse{AsOf: look.asOf(), Rules: look.check(leader)}, nil
}

// check goes through the rules: those that are broken first, in their order.
func (s *sight) check(metaLeader cluster.NodeID) []*adminpb.Rule {
	c := &checkup{sight: s, metaLeader: metaLeader}
	var broken, rest []*adminpb.Rule
	for i := range rules {
		r := &rules[i]
		breaches := r.find(c)
		for _, b := range breaches {
			broken = append(broken, r.brokenBy(b))
		}
		if len(breaches) > 0 {
			continue
		}
		p := &adminpb.Rule{Code: r.code, Severity: severityOK, Text: r.ok}
		if r.reports && len(s.Missing) > 0 {
			p.Severity, p.Nodes = severityUnknown, nodeIDs(s.Missing)
			p.Text = r.ok + ", as far as is known: " + nodeNames(s.Missing) + " did not answer"
		}
		rest = append(rest, p)
	}
	slices.SortStableFunc(broken, func(a, b *adminpb.Rule) int { return weight(a) - weight(b) })
	return append(broken, rest...)
}

func weight(r *adminpb.Rule) int {
	if r.GetSeverity() == severityError {
		return 0
	}
	return 1
}

func (r *rule) brokenBy(b breach) *adminpb.Rule {
	code := b.code
	if code == "" {
		code = r.code
	}
	return &adminpb.Rule{Code: code, Severity: b.severity, Text: b.text, Command: b.command, Nodes: nodeIDs(b.nodes), Ranges: rangeIDs(b.ranges)}
}

// problems lists what a person should look at: the rules that are broken.
func (s *sight) problems(metaLeader cluster.NodeID) []*adminpb.Problem {
	var ps []*adminpb.Problem
	for _, r := range s.check(metaLeader) {
		if r.GetSeverity() == severityWarn || r.GetSeverity() == severityError {
			ps = append(ps, &adminpb.Problem{Code: r.GetCode(), Text: r.GetText(), Command: r.GetCommand()})
		}
	}
	return ps
}

// live are the members that gossip calls alive.
func (c *checkup) live() []*cluster.Node {
	return slices.DeleteFunc(c.members(), func(n *cluster.Node) bool { return c.liveness(n.ID) != cluster.Alive })
}

func (c *checkup) inState(state string) []cluster.RangeID {
	if c.states[state] == 0 {
		return nil
	}
	var ids []cluster.RangeID
	for _, id := range sortedKeys(c.notable) {
		if c.notable[id].state == state {
			ids = append(ids, id)
		}
	}
	return ids
}
