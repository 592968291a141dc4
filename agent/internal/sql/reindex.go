package sql

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/kv"
	"github.com/nodedb/nodedb/agent/internal/operation"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/exec"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// reindex runs REINDEX: one table after the other.
func (s *Session) reindex(ctx context.Context, node *syntax.Reindex) (string, error) {
	const tag = "REINDEX"
	what := ""
	switch {
	case node.Concurrently:
		what = "REINDEX CONCURRENTLY"
	case node.Kind != "INDEX" && node.Kind != "TABLE":
		what = "REINDEX " + node.Kind
	}
	if what != "" && s.tx != nil {
		return "", &Error{Code: "25001", Message: what + " cannot run inside a transaction block"}
	}
	targets, err := s.toReindex(node)
	if err != nil {
		return "", err
	}
	for _, target := range targets {
		_, err := s.alter(ctx, tag, func(in catalog.Scope) (*catalog.Draft, []catalog.Notice, error) {
			return s.server.catalog.Reindex(in, target)
		})
		var gone *syntax.Error
		switch several := len(targets) > 1; {
		case several && errors.As(err, &gone) && gone.Code == "42P01": // dropped meanwhile
		case err != nil:
			return "", err
		}
	}
	return tag, nil
}

// toReindex are the tables, or the index, of a REINDEX.
func (s *Session) toReindex(node *syntax.Reindex) ([]*syntax.Reindex, error) {
	scope := s.scope()
	switch node.Kind {
	case "INDEX", "TABLE":
		return []*syntax.Reindex{node}, nil
	case "SCHEMA":
		if _, ok := scope.Schema(node.Name.Name); !ok {
			return nil, &Error{Code: "3F000", Message: fmt.Sprintf("schema %q does not exist", node.Name.Name)}
		}
	default:
		if node.Name.Name != "" && node.Name.Name != s.options.Database {
			return nil, &Error{Code: "0A000", Message: "can only reindex the currently open database"}
		}
	}
	var out []*syntax.Reindex
	for _, t := range scope.Tables() {
		schema := t.Schema().Name
		if node.Kind == "SYSTEM" || node.Kind == "SCHEMA" && schema != node.Name.Name || len(t.ShownIndexes()) == 0 || !scope.Rights.Owns(t.Desc) {
			continue
		}
		out = append(out, &syntax.Reindex{Kind: "TABLE", Name: syntax.Name{Schema: schema, Name: t.Name()}})
	}
	return out, nil
}

// reindex goes through the rows, and writes entries that are missing, then through the
// entries, and deletes those that no row has. All who write maintain the indexes meanwhile.
func (c *schemaChange) reindex(ctx context.Context, until time.Time) (operation.SchemaProgress, error) {
	switch {
	case c.object == nil:
		return c.ended(cluster.OpSucceeded, fmt.Sprintf("table %q was dropped", c.what.Name), nil), nil
	case c.op.State == cluster.OpCancelling:
		return c.ended(cluster.OpCancelled, cmp.Or(c.op.Why, "cancelled"), nil), nil
	case c.op.Failure != nil:
		return c.ended(cluster.OpFailed, c.op.Failure.Message, c.op.Failure), nil
	case c.object.Collection.Move != nil:
		return c.ended(cluster.OpFailed, "the table is on its way to another place", &cluster.Failure{Code: "55006", Message: fmt.Sprintf("table %q is being moved", c.object.Name)}), nil
	}
	view := c.server.catalog.View()
	table, err := catalog.Scope{View: view}.NewTable(c.object, view.Objects[c.object.Parent])
	if err != nil {
		return operation.SchemaProgress{}, err
	}
	of, err := queryplan.EntriesOf(table)
	if err != nil {
		return operation.SchemaProgress{}, err
	}
	of = slices.DeleteFunc(slices.Clone(of), func(e *queryplan.Entries) bool {
		return !slices.Contains(c.what.Repairs, e.Index.Desc.ID) || e.Index.Desc.State != "" || e.Index.Desc.Dropped
	})
	now := c.server.cfg.Now()
	fill := &exec.Backfill{Table: table, Of: of, Run: c.server.internalRun(&queryplan.Env{Now: now, Statement: now, Session: c.rowSession(ctx, table)})}
	if c.op.Phase != operation.PhaseCompare {
		c.op.Phase = operation.PhaseFill
		return c.through(ctx, until, []placeWork{{placeOfTable(table), "table " + table.Name(), &repairer{fill}}}, func(context.Context) (operation.SchemaProgress, error) {
			return c.at(operation.PhaseCompare, "", nil, c.op.Rows), nil
		})
	}
	var work []placeWork
	for _, e := range of {
		work = append(work, placeWork{placeOfTable(e.Index.Entries), "index " + e.Index.Name(), &weeder{fill, e}})
	}
	return c.through(ctx, until, work, func(context.Context) (operation.SchemaProgress, error) {
		return c.ended(cluster.OpSucceeded, fmt.Sprintf("%d rows and entries were compared, and the indexes are as the rows are", c.op.Rows), nil), nil
	})
}

// repairer writes entries of rows that are missing, or not as they have to be.
type repairer struct{ fill *exec.Backfill }

// some satisfies rowWork.
func (w *repairer) some(ctx context.Context, rows []kv.Row, ts hlc.Timestamp) (*cluster.Failure, error) {
	err := w.fill.Repair(ctx, rows, ts)
	var wrong *syntax.Error
	if errors.As(err, &wrong) {
		return failureOf(wrong), nil
	}
	return nil, err
}

// weeder deletes entries that no row has.
type weeder struct {
	fill *exec.Backfill
	of   *queryplan.Entries
}

// some satisfies rowWork.
func (w *weeder) some(ctx context.Context, entries []kv.Row, ts hlc.Timestamp) (*cluster.Failure, error) {
	return nil, w.fill.Weed(ctx, w.of, entries, ts)
}
