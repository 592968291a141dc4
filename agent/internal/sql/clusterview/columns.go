package clusterview

import (
	"maps"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// Column is a column of a SHOW statement, and of the system table of the
// same content.
type Column struct {
	Name string
	Type datum.Type
}

// Columns are the columns of each kind of SHOW.
func Columns(kind syntax.ShowKind) []Column {
	if columns, ok := moreColumns(kind); ok {
		return columns
	}
	const text, number = datum.Text, datum.Int8
	switch kind {
	case syntax.ShowNodes:
		return []Column{{"id", text}, {"name", text}, {"address", text}, {"membership", text}, {"liveness", text}, {"service", text},
			{"version", text}, {"ranges", number}, {"leaders", number}, {"bytes", number}, {"live_bytes", number}, {"dead_bytes", number}, {"sessions", number}, {"locality", text}}
	case syntax.ShowRanges:
		return []Column{{"range", text}, {"vshards", text}, {"leader", text}, {"voters", text}, {"learners", text}, {"bytes", number},
			{"live_bytes", number}, {"dead_bytes", number}, {"keys", number}, {"reads", number}, {"writes", number}, {"state", text}, {"gen", number}, {"pool", text}, {"start_key", text}, {"end_key", text},
			{"lease", text}, {"compared_at", datum.Timestamptz}, {"compared", text}, {"closed_lag_ms", number}, {"gc_age_ms", number}}
	case syntax.ShowRouting:
		return []Column{{"range", text}, {"vshards", text}, {"leader", text}, {"address", text}, {"replicas", text}, {"gen", number},
			{"pool", text}, {"start_key", text}, {"end_key", text}}
	case syntax.ShowSchemaVersion:
		return []Column{{"version", number}, {"applied_index", number}, {"node", text}}
	case syntax.ShowRebalance:
		return []Column{{"load", text}, {"min", datum.Float8}, {"mean", datum.Float8}, {"max", datum.Float8}, {"min_node", text}, {"max_node", text},
			{"would_act", datum.Bool}, {"why", text}, {"policy", text}, {"verdict", text}}
	case syntax.ShowCollections:
		return []Column{{"name", text}, {"id", number}, {"version", number}, {"columns", number}, {"primary_key", text}}
	default:
		return []Column{{"id", text}, {"kind", text}, {"nodes", text}, {"state", text}, {"phase", text}, {"ranges_done", number},
			{"ranges_total", number}, {"requested_by", text}, {"created_at", datum.Timestamptz}, {"why", text}}
	}
}

// RouteColumns are those of SHOW ROUTING FOR.
func RouteColumns() []Column {
	return []Column{{"vshard", datum.Int8}, {"range", datum.Text}, {"leader", datum.Text}, {"address", datum.Text}, {"replicas", datum.Text}, {"gen", datum.Int8}}
}

// moreColumns are those of the other kinds.
func moreColumns(kind syntax.ShowKind) ([]Column, bool) {
	const text, number, at, decimal = datum.Text, datum.Int8, datum.Timestamptz, datum.Float8
	switch kind {
	case syntax.ShowRaftGroups:
		return []Column{{"range", text}, {"node", text}, {"replica", number}, {"role", text}, {"leader", text}, {"term", number},
			{"commit", number}, {"applied", number}, {"match", number}, {"state", text}, {"gen", number},
			{"lease", text}, {"lease_why", text}, {"bound", datum.Bool}, {"supports", datum.Bool}, {"awake", text}, {"reads_leased", number}, {"reads_confirmed", number}, {"reads_refused", number}}, true
	case syntax.ShowPeerHealth:
		return []Column{{"observer", text}, {"peer", text}, {"liveness", text}, {"since", at}, {"cause", text}, {"breaker", text},
			{"failures", number}, {"rtt_ms", decimal}, {"clock_offset_ms", decimal}, {"last_error", text},
			{"supports", datum.Bool}, {"support_since", at}, {"supports_withdrawn", number}, {"withdrawn_cause", text}}, true
	case syntax.ShowNode, syntax.ShowSummary:
		return []Column{{"item", text}, {"value", text}}, true
	case syntax.ShowSessions:
		return []Column{{"pid", number}, {"node", text}, {"username", text}, {"application", text}, {"client", text}, {"state", text}, {"since", at}, {"began", at},
			{"transaction_at", at}, {"statement_at", at}, {"statement", text}}, true
	case syntax.ShowTransactions:
		return []Column{{"id", text}, {"node", text}, {"pid", number}, {"username", text}, {"application", text}, {"state", text}, {"isolation", text}, {"began", at},
			{"locks", number}, {"ranges", number}, {"waits_since", at}, {"waits_for", text}, {"waits_for_pids", text}, {"blocks_pids", text}, {"statement", text}}, true
	case syntax.ShowHostRules:
		return []Column{{"line", number}, {"type", text}, {"database", text}, {"user_name", text}, {"address", text}, {"auth_method", text}, {"options", text}}, true
	case syntax.ShowDropped:
		return []Column{{"name", text}, {"id", number}, {"pool", text}, {"dropped_at", at}, {"frees_at", at}, {"ranges", number}, {"cleared", number}}, true
	case syntax.ShowPools:
		return []Column{{"name", text}, {"state", text}, {"replicas", number}, {"constraints", text}, {"prefer_leader", text},
			{"ranges", number}, {"misfit", number}, {"collections", number}, {"operation", text}}, true
	case syntax.ShowPool:
		return []Column{{"item", text}, {"value", text}}, true
	case syntax.ShowEvents:
		return []Column{{"sequence", number}, {"time", at}, {"kind", text}, {"severity", text}, {"node", text}, {"range", text},
			{"operation", text}, {"by", text}, {"text", text}}, true
	}
	return nil, false
}

// tables are those of nodedb_internal with what SHOW shows.
var tables = map[string]syntax.ShowKind{ //nolint:gochecknoglobals // never changed
	"raft_groups": syntax.ShowRaftGroups, "peer_health": syntax.ShowPeerHealth, "cluster": syntax.ShowSummary, "events": syntax.ShowEvents, "pools": syntax.ShowPools,
	"sessions": syntax.ShowSessions, "transactions": syntax.ShowTransactions, "dropped_collections": syntax.ShowDropped,
	"nodes": syntax.ShowNodes, "ranges": syntax.ShowRanges, "routing": syntax.ShowRouting, "collections": syntax.ShowCollections,
	"operations": syntax.ShowOperations, "rebalance": syntax.ShowRebalance,
}

// Table says which SHOW a table of nodedb_internal shows.
func Table(name string) (kind syntax.ShowKind, ok bool) {
	kind, ok = tables[name]
	return kind, ok
}

// Tables are the names of those tables.
func Tables() []string { return slices.Sorted(maps.Keys(tables)) }
