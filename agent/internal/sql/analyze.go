package sql

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/kv"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// nobody takes the rows of a statement that is run to be measured.
type nobody struct{}

func (nobody) Describe([]Column) error { return nil }
func (nobody) Row([]datum.Datum) error { return nil }

// measured is what EXPLAIN ANALYZE has found out.
type measured struct {
	reads []kv.RangeRead
	rows  int64
	took  time.Duration
	now   time.Time
}

// lines says how the statement was run: what was read of each range, at which node, as
// its leader or a follower has it, and why there.
func (a *measured) lines() (out []string) {
	for _, r := range a.reads {
		out = append(out, fmt.Sprintf("  %s: %s, %s (%s), rows %d, bytes %d, time %s", r.Range, r.Node, replica(r), r.Why, r.Rows, r.Bytes, milliseconds(r.Took)))
	}
	if at := a.at(); at != 0 {
		out = append(out, fmt.Sprintf("Read at: %s, %s ago", at.Time().Format(time.RFC3339Nano), milliseconds(max(a.now.Sub(at.Time()), 0))))
	}
	return append(out, fmt.Sprintf("Rows: %d", a.rows), "Time: "+milliseconds(a.took))
}

// fields says the same in FORMAT JSON, and what came from each node. Times are in ms, as
// PostgreSQL's are.
func (a *measured) fields() (out queryplan.Fields) {
	if at := a.at(); at != 0 {
		out = append(out, queryplan.Field{Name: "Read At", Value: at.Time().Format(time.RFC3339Nano)})
	}
	var ranges, nodes []queryplan.Fields
	rows, bytes := map[cluster.NodeID]int{}, map[cluster.NodeID]int{}
	for _, r := range a.reads {
		rows[r.Node] += r.Rows
		bytes[r.Node] += r.Bytes
		ranges = append(ranges, queryplan.Fields{
			{Name: "Range", Value: r.Range.String()}, {Name: "Node", Value: r.Node.String()},
			{Name: "Replica", Value: replica(r)}, {Name: "Reason", Value: fmt.Sprint(r.Why)},
			{Name: "Rows", Value: r.Rows}, {Name: "Bytes", Value: r.Bytes}, {Name: "Time", Value: inMilliseconds(r.Took)},
		})
	}
	for _, n := range slices.Sorted(maps.Keys(rows)) {
		nodes = append(nodes, queryplan.Fields{{Name: "Node", Value: n.String()}, {Name: "Rows", Value: rows[n]}, {Name: "Bytes", Value: bytes[n]}})
	}
	if ranges != nil {
		out = append(out, queryplan.Field{Name: "Nodes", Value: nodes}, queryplan.Field{Name: "Ranges", Value: ranges})
	}
	return append(out, queryplan.Field{Name: "Execution Time", Value: inMilliseconds(a.took)})
}

// at is the time that was read at; 0: the leaders' now.
func (a *measured) at() (at hlc.Timestamp) {
	for _, r := range a.reads {
		at = max(at, r.TS)
	}
	return at
}

func replica(r kv.RangeRead) string {
	if r.Follower {
		return "follower"
	}
	return "leader"
}

// inMilliseconds is a time with microseconds behind the point.
func inMilliseconds(d time.Duration) float64 {
	return float64(d.Microseconds()) / float64(time.Millisecond/time.Microsecond)
}

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.3f ms", float64(d)/float64(time.Millisecond))
}

// explained shows how a statement would be run, or how it was: a is nil if it was not.
func explained(p *Prepared, e *syntax.Explain, a *measured, sink RowSink) (string, error) {
	plan, out := p.plan.Explain(), &output{sink: sink, columns: p.Columns}
	if a != nil {
		slices.SortStableFunc(a.reads, func(x, y kv.RangeRead) int { return cmp.Compare(x.Range, y.Range) })
	}
	lines := plan.Lines()
	switch {
	case e.JSON:
		text, err := explainedJSON(plan, a)
		if err != nil {
			return "", err
		}
		lines = []string{text}
	case a != nil:
		lines = append(lines, a.lines()...)
	}
	for _, line := range lines {
		v := datum.MakeText(strings.TrimRight(line, " "))
		if e.JSON {
			v = datum.MakeString(datum.JSON, line)
		}
		if err := out.row([]datum.Datum{v}); err != nil {
			return "", err
		}
	}
	return "EXPLAIN", nil
}

func explainedJSON(plan *queryplan.Step, a *measured) (string, error) {
	all := queryplan.Fields{{Name: "Plan", Value: plan}}
	if a != nil {
		plan.Fields = append(plan.Fields, queryplan.Field{Name: "Actual Rows", Value: a.rows})
		all = append(all, a.fields()...)
	}
	text, err := json.MarshalIndent([]queryplan.Fields{all}, "", "  ")
	return string(text), err
}
