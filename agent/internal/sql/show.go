package sql

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/sql/clusterview"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

func describeShow(node *syntax.ShowCluster) []Column {
	columns := clusterview.Columns(node.Kind)
	if node.Collection != nil {
		columns = clusterview.RouteColumns()
	}
	out := make([]Column, len(columns))
	for i, c := range columns {
		out[i] = typedColumn(c.Name, c.Type)
	}
	return out
}

func (s *Session) showCluster(ctx context.Context, node *syntax.ShowCluster, sink RowSink) (string, error) {
	if err := s.maySee(node.Kind, "SHOW "+strings.ToUpper(string(node.Kind))); err != nil {
		return "", err
	}
	var rows [][]datum.Datum
	var err error
	if node.Collection != nil {
		rows, err = s.route(node)
	} else {
		rows, err = s.shown(ctx, node.Kind, node.Node)
	}
	if err == nil && node.Pool != "" {
		rows, err = s.ofPool(node, rows)
	}
	if err != nil {
		return "", err
	}
	out := &output{sink: sink, columns: describeShow(node)}
	for _, row := range rows {
		if err := out.row(row); err != nil {
			return "", err
		}
	}
	return "SHOW", out.begin()
}

// ofPool leaves the rows whose column pool is the pool asked for.
func (s *Session) ofPool(node *syntax.ShowCluster, rows [][]datum.Datum) ([][]datum.Datum, error) {
	if _, err := findPool(s.server.catalog.View(), node.Pool); err != nil {
		return nil, err
	}
	at := slices.IndexFunc(clusterview.Columns(node.Kind), func(c clusterview.Column) bool { return c.Name == "pool" })
	return slices.DeleteFunc(rows, func(row []datum.Datum) bool { return row[at].Null || row[at].Text() != node.Pool }), nil
}

// shown makes the rows of a SHOW; name is that of SHOW NODE and SHOW POOL.
func (s *Session) shown(ctx context.Context, kind syntax.ShowKind, name string) ([][]datum.Datum, error) {
	view := s.server.catalog.View()
	switch kind {
	case syntax.ShowRouting:
		return s.server.source().Routing(view), nil
	case syntax.ShowSchemaVersion:
		return [][]datum.Datum{{datum.MakeCount(view.SchemaVersion), datum.MakeCount(view.Index), datum.MakeText(s.server.cfg.Node.String())}}, nil
	case syntax.ShowRebalance:
		if s.server.cfg.Rebalancer == nil {
			return nil, &Error{Code: "0A000", Message: "this server cannot rebalance"}
		}
		return clusterview.Evenness(s.server.cfg.Rebalancer.Rebalance(ctx, 0)), ctx.Err()
	case syntax.ShowCollections:
		return s.collections(), nil
	case syntax.ShowOperations:
		return clusterview.Operations(view), nil
	case syntax.ShowSessions:
		return clusterview.Sessions(s.allSessions(ctx)), ctx.Err()
	case syntax.ShowTransactions:
		return clusterview.Transactions(s.allTransactions(ctx)), ctx.Err()
	case syntax.ShowPool:
		pool, err := findPool(view, name)
		if err != nil {
			return nil, err
		}
		return clusterview.OnePool(view, pool), nil
	case syntax.ShowEvents:
		return clusterview.Events(s.visibleEvents(view)), nil
	case syntax.ShowHostRules:
		return clusterview.HostRules(view), nil
	}
	return s.reported(ctx, view, kind, name)
}

// reported makes the rows of a SHOW for which all nodes are asked.
func (s *Session) reported(ctx context.Context, view *metastate.View, kind syntax.ShowKind, name string) ([][]datum.Datum, error) {
	source := s.server.source()
	var n cluster.NodeID
	switch {
	case kind == syntax.ShowDropped && len(view.Dropped) == 0:
		return nil, nil
	case kind == syntax.ShowNode:
		var err error
		if n, err = findNode(view, name); err != nil {
			return nil, err
		}
	}
	statuses, missing := source.Views.ClusterStatus(ctx)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	switch kind {
	case syntax.ShowNodes:
		return source.Nodes(view, statuses), nil
	case syntax.ShowNode:
		return source.OneNode(view, statuses, n), nil
	case syntax.ShowRanges:
		return source.Ranges(view, statuses), nil
	case syntax.ShowPools:
		return source.Pools(view, statuses), nil
	case syntax.ShowDropped:
		return clusterview.Dropped(view, statuses), nil
	case syntax.ShowRaftGroups:
		return clusterview.RaftGroups(statuses), nil
	case syntax.ShowPeerHealth:
		return clusterview.PeerHealth(statuses), nil
	case syntax.ShowSummary:
		return source.Summary(view, statuses, missing), nil
	}
	return nil, fmt.Errorf("SHOW %s is of no known kind", kind)
}

// source is what this node knows of the cluster.
func (s *Server) source() *clusterview.Source {
	return &clusterview.Source{Node: s.cfg.Node, Views: s.cfg.Views, Now: s.cfg.Now}
}

// route answers SHOW ROUTING FOR collection KEY values.
func (s *Session) route(node *syntax.ShowCluster) ([][]datum.Datum, error) {
	view := s.server.catalog.View()
	table, err := s.scope().Resolve(*node.Collection)
	if err != nil {
		return nil, err
	}
	key, err := encodeKey(table, node.Key, s.style.Location)
	if err != nil {
		return nil, err
	}
	v := keys.VShardOf(table.ID(), key)
	d, ok := view.RangeOf(table.Pool(), keys.Bound(keys.Row(table.Pool(), v, table.ID(), key)))
	if !ok {
		return nil, &Error{Code: "08006", Message: fmt.Sprintf("no range owns vshard %d: this node's metadata is incomplete", v), Hint: "Try again."}
	}
	return [][]datum.Datum{s.server.source().Route(view, v, d)}, nil
}

func (s *Session) collections() [][]datum.Datum {
	var out [][]datum.Datum
	for _, t := range s.scope().Tables() {
		visible := 0
		for _, c := range t.Columns {
			if !c.Hidden {
				visible++
			}
		}
		var key []string
		for _, i := range t.Key {
			if !t.Columns[i].Hidden {
				key = append(key, t.Columns[i].Name)
			}
		}
		keyText := datum.MakeText(strings.Join(key, ", "))
		if len(key) == 0 {
			keyText = datum.MakeText("(generated)")
		}
		out = append(out, []datum.Datum{datum.MakeText(t.FullName()), datum.MakeCount(uint64(t.ObjectID())), datum.MakeCount(t.Desc.Version), datum.MakeCount(visible), keyText})
	}
	return out
}
