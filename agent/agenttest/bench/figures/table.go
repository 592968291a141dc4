package figures

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Print writes everything as tables.
func (f *File) Print(w io.Writer) error {
	if err := f.PrintRun(w); err != nil {
		return err
	}
	for _, s := range f.Steps {
		if err := f.PrintStep(w, s.Name); err != nil {
			return err
		}
	}
	return nil
}

// PrintRun writes where and how the figures were made.
func (f *File) PrintRun(w io.Writer) error {
	r := f.Run
	busy := ""
	if r.Load > float64(r.CPUs) {
		busy = " (BUSY: others were at work, these figures are noise)"
	}
	_, err := fmt.Fprintf(w, "%s, %d CPUs, %s, load average at the start %.1f%s; %s; %s\n",
		r.At.UTC().Format(time.RFC3339), r.CPUs, r.Go, r.Load, busy, pairs(r.Versions, " "), pairs(r.Settings, "="))
	return err
}

func pairs(m map[string]string, between string) string {
	var all []string
	for k, v := range m {
		all = append(all, k+between+v)
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

// row is one line of a table: a case of a system.
type row struct{ name, system string }

// PrintStep writes one step: a line for each case and system, a column for each
// metric (of the first one with its span, and the ratio by it), then what was
// skipped, the targets, and what to know.
func (f *File) PrintStep(w io.Writer, name string) error {
	var rows []row
	var metrics []string
	cells := map[row]map[string]Figure{}
	compared := false
	for _, fig := range f.Figures {
		if fig.Step != name {
			continue
		}
		at := row{fig.Case, fig.System}
		if cells[at] == nil {
			cells[at] = map[string]Figure{}
			rows = append(rows, at)
		}
		cells[at][fig.Metric] = fig
		if !slices.Contains(metrics, fig.Metric) {
			metrics = append(metrics, fig.Metric)
		}
		compared = compared || len(fig.Against) > 0
	}
	s := f.step(name)
	_, _ = fmt.Fprintf(w, "\n%s: %s\n", name, s.Title)
	if len(rows) > 0 {
		if err := f.grid(w, rows, metrics, cells, compared); err != nil {
			return err
		}
	}
	return f.remarks(w, s)
}

func (f *File) step(name string) Step {
	for _, s := range f.Steps {
		if s.Name == name {
			return s
		}
	}
	return Step{Name: name}
}

func (f *File) grid(w io.Writer, rows []row, metrics []string, cells map[row]map[string]Figure, compared bool) error {
	tw := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0) // Flush reports what went wrong
	_, _ = fmt.Fprint(tw, "  CASE\tSYSTEM")
	if compared {
		_, _ = fmt.Fprint(tw, "\tNODEDB / THIS")
	}
	for _, m := range metrics {
		_, _ = fmt.Fprintf(tw, "\t%s", strings.ToUpper(m))
	}
	_, _ = fmt.Fprintln(tw)
	for i, r := range rows {
		shown := r.name
		if i > 0 && rows[i-1].name == r.name {
			shown = ""
		}
		_, _ = fmt.Fprintf(tw, "  %s\t%s", shown, r.system)
		if compared {
			_, _ = fmt.Fprintf(tw, "\t%s", ratioTo(r.system, metrics, cells[row{r.name, Ours}]))
		}
		first := true
		for _, m := range metrics {
			_, _ = fmt.Fprint(tw, "\t")
			if fig, ok := cells[r][m]; ok && first {
				_, _ = fmt.Fprint(tw, fig.text())
				first = false
			} else if ok {
				_, _ = fmt.Fprint(tw, Amount(fig.Value, fig.Unit))
			}
		}
		_, _ = fmt.Fprintln(tw)
	}
	return tw.Flush()
}

// ratioTo is the ratio of Ours to a system by the first metric that has one: the
// rate, mostly. Those of the others are in the file.
func ratioTo(system string, metrics []string, ours map[string]Figure) string {
	for _, m := range metrics {
		if r, ok := ours[m].Against[system]; ok {
			return r.String()
		}
	}
	return ""
}

// remarks are the lines below a table.
func (f *File) remarks(w io.Writer, s Step) error {
	var b strings.Builder
	for _, fig := range f.Figures {
		if fig.Step == s.Name && fig.Target != nil {
			fmt.Fprintf(&b, "  target: %s\n", fig.against())
		}
	}
	for _, skip := range f.Skips {
		if skip.Step == s.Name {
			fmt.Fprintf(&b, "  skipped: %s: %s\n", skip.What, skip.Why)
		}
	}
	for _, n := range s.Notes {
		fmt.Fprintf(&b, "  note: %s\n", n)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// against says how the figure stands to its target.
func (f Figure) against() string {
	t := f.Target
	unit, value, than := f.Unit, f.Value, "at least"
	if f.Better == Less {
		than = "at most"
	}
	what := f.Case + ", " + f.Metric
	if t.Of != "" {
		unit, value = "x", f.Against[t.Of].Median
		what += " against " + t.Of
	}
	s := fmt.Sprintf("%s: %s, %s %s", what, Amount(value, unit), than, Amount(t.Reach, unit))
	if t.Of != "" && value == 0 {
		s = fmt.Sprintf("%s: %s %s", what, than, Amount(t.Reach, unit))
	}
	if t.Aim != 0 {
		s += fmt.Sprintf(" (aim %s)", Amount(t.Aim, unit))
	}
	return s + ": " + f.Verdict()
}

// text is a figure, with its span if it was measured more than once.
func (f Figure) text() string {
	low, high := f.span()
	if len(f.Rounds) < 2 || low == high {
		return Amount(f.Value, f.Unit)
	}
	return fmt.Sprintf("%s [%s-%s]", Amount(f.Value, f.Unit), number(low), number(high))
}

// String is a ratio with its span.
func (r Ratio) String() string {
	if r.Min == r.Max {
		return fmt.Sprintf("%.2fx", r.Median)
	}
	return fmt.Sprintf("%.2fx [%.2f-%.2f]", r.Median, r.Min, r.Max)
}

// Amount writes a value with its unit.
func Amount(v float64, unit string) string {
	switch unit {
	case "x":
		return fmt.Sprintf("%.2fx", v)
	case "":
		return number(v)
	case "/s", "rows/s":
		return number(v) + strings.TrimPrefix(unit, "rows")
	}
	return number(v) + " " + unit
}

// number writes 12345.6 as 12,346, and small numbers with three digits.
func number(v float64) string {
	switch {
	case v == float64(int64(v)) && v > -100 && v < 100:
		return fmt.Sprintf("%.0f", v)
	case v > -1 && v < 1:
		return fmt.Sprintf("%.3f", v)
	case v > -10 && v < 10:
		return fmt.Sprintf("%.2f", v)
	case v > -100 && v < 100:
		return fmt.Sprintf("%.1f", v)
	}
	sign, s := "", fmt.Sprintf("%.0f", v)
	if s[0] == '-' {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}
