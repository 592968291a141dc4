package figures

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// PrintMarkdown writes one table for a document: of each case of Ours the first
// metric, and those that have a target, with the ratios to all others.
func (f *File) PrintMarkdown(w io.Writer) error {
	var b strings.Builder
	if err := f.PrintRun(&b); err != nil {
		return err
	}
	b.WriteString("\n| what | nodedb | nodedb / peer | target | |\n|---|---|---|---|---|\n")
	for _, s := range f.Steps {
		seen := map[string]bool{} // cases
		for _, fig := range f.Figures {
			if fig.Step != s.Name || fig.System != Ours || seen[fig.Case] && fig.Target == nil {
				continue
			}
			seen[fig.Case] = true
			fmt.Fprintf(&b, "| %s: %s, %s | %s | %s | %s | %s |\n", s.Name, fig.Case, fig.Metric, fig.text(), fig.ratios(), fig.goal(), fig.Verdict())
		}
		for _, skip := range f.Skips {
			if skip.Step == s.Name {
				fmt.Fprintf(&b, "| %s: %s | skipped: %s | | | |\n", s.Name, skip.What, skip.Why)
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (f Figure) ratios() string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(f.Against)) {
		all = append(all, f.Against[name].String()+" "+name)
	}
	return strings.Join(all, "; ")
}

// goal is the target in short.
func (f Figure) goal() string {
	t := f.Target
	if t == nil {
		return ""
	}
	sign, unit, of := ">=", f.Unit, ""
	if f.Better == Less {
		sign = "<="
	}
	if t.Of != "" {
		unit, of = "x", " "+t.Of
	}
	s := fmt.Sprintf("%s %s%s", sign, Amount(t.Reach, unit), of)
	if t.Aim != 0 {
		s += fmt.Sprintf(" (aim %s)", Amount(t.Aim, unit))
	}
	return s
}
