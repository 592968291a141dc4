package sql

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/kv"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// nobody takes the rows of a statement that is run to be measured.
type nobody struct{}

func (nobody) Describe([]Column) error { return nil }
func (nobody) Row([]datum.Datum) error { return nil }

// analysis is what EXPLAIN ANALYZE has found out.
type analysis struct {
	reads []kv.RangeRead
	rows  int64
	took  time.Duration
	now   time.Time
}

// lines says how the statement was run: what was read of each range, at which node, as
// its leader or a follower has it, and why there.
func (a *analysis) lines() (out []string) {
	slices.SortStableFunc(a.reads, func(x, y kv.RangeRead) int { return cmp.Compare(x.Range, y.Range) })
	var at hlc.Timestamp
	for _, r := range a.reads {
		who := "leader"
		if r.Follower {
			who = "follower"
		}
		out = append(out, fmt.Sprintf("  %s: %s, %s (%s), rows %d, bytes %d, time %s", r.Range, r.Node, who, r.Why, r.Rows, r.Bytes, milliseconds(r.Took)))
		at = max(at, r.TS)
	}
	if at != 0 {
		out = append(out, fmt.Sprintf("Read at: %s, %s ago", at.Time().Format(time.RFC3339Nano), milliseconds(max(a.now.Sub(at.Time()), 0))))
	}
	return append(out, fmt.Sprintf("Rows: %d", a.rows), "Time: "+milliseconds(a.took))
}

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.3f ms", float64(d)/float64(time.Millisecond))
}

// analyzed shows how a statement was run.
func (s *Session) analyzed(p *Prepared, a *analysis, sink RowSink) (string, error) {
	out := &output{sink: sink, columns: p.Columns}
	for _, line := range append(p.plan.Explain(), a.lines()...) {
		if err := out.row([]datum.Datum{datum.MakeText(strings.TrimRight(line, " "))}); err != nil {
			return "", err
		}
	}
	return "EXPLAIN", nil
}
