package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"
)

// line is one row of the table.
type line struct {
	What    string `json:"what"`
	Figure  string `json:"figure"`           // measured, in words
	Target  string `json:"target,omitempty"` // what tests should reach
	Verdict string `json:"verdict,omitempty"`
	// Value and Unit are the figure for machines; Peers theirs.
	Value float64            `json:"value"`
	Unit  string             `json:"unit"`
	Peers map[string]float64 `json:"peers,omitempty"`
}

// table collects lines.
type table struct {
	Machine string `json:"machine"`
	Lines   []line `json:"lines"`
}

func (t *table) add(l line) { t.Lines = append(t.Lines, l) }

// judge says whether a figure reaches its target.
func judge(ok bool) string {
	if ok {
		return "reached"
	}
	return "MISSED"
}

// print writes the table for people.
func (t *table) print(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0) // Flush reports what went wrong
	_, _ = fmt.Fprintf(tw, "WHAT\tMEASURED\tPEERS (RATIO)\tTARGET\tVERDICT\n")
	for _, l := range t.Lines {
		var peers []string
		for _, name := range []string{"etcd", "rqlite", "postgres"} {
			if v, ok := l.Peers[name]; ok && v > 0 {
				peers = append(peers, fmt.Sprintf("%s %s (%.2fx)", name, number(v), l.Value/v))
			}
		}
		_, _ = fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\n", l.What, l.Figure, strings.Join(peers, ", "), l.Target, l.Verdict)
	}
	return tw.Flush()
}

// save writes the table for machines, if path is not empty.
func (t *table) save(path string) error {
	if path == "" {
		return nil
	}
	text, err := json.MarshalIndent(t, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("save the table: %w", err)
	}
	return nil
}

// number writes 12345.6 as 12,346 and small ones with a digit behind the point.
func number(v float64) string {
	if v < 100 {
		return fmt.Sprintf("%.1f", v)
	}
	s := fmt.Sprintf("%.0f", v)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func ms(d time.Duration) string {
	if d < 10*time.Millisecond {
		return fmt.Sprintf("%.2f ms", float64(d)/1e6)
	}
	return fmt.Sprintf("%.0f ms", float64(d)/1e6)
}

// rate describes throughput with its latencies.
func rate(m measured) string {
	s := fmt.Sprintf("%s/s, p50 %s, p99 %s, CPU %s", number(m.perSecond()), ms(m.P50), ms(m.P99), ms(m.cpuPerOp()))
	if m.Failed > 0 {
		s += fmt.Sprintf(", %d FAILED (%v)", m.Failed, m.FirstErr)
	}
	return s
}

// describe tells what paced writers met.
func (g gaps) describe() string {
	s := fmt.Sprintf("longest %s, %d of %d writers over 200 ms, p99 %s, %s failed", ms(g.Longest), g.Affected, g.Writers, ms(g.P99), number(float64(g.Failed)))
	if g.Sessions > 0 {
		s += fmt.Sprintf(", %d sessions ended with 57P01", g.Sessions)
	}
	if len(g.Errors) > 0 {
		s += fmt.Sprintf(" %v", g.Errors)
	}
	return s
}
