package render

import (
	"fmt"
	"strings"

	"github.com/nodedb/nodedb/client"
	"github.com/nodedb/nodedb/client/adminpb"
)

// Survival writes whether a loss is outlived: "yes", "no (27 pairs; worst
// n2+n4: 138 ranges)".
func Survival(s *adminpb.Survival, sets string) string {
	switch {
	case s.GetUnknown():
		return "unknown"
	case s.GetYes():
		return "yes"
	case s.GetFailing() == 0:
		return "no"
	}
	if s.GetFailing() == 1 {
		sets = sets[:len(sets)-1]
	}
	text := fmt.Sprintf("no (%d %s", s.GetFailing(), sets)
	if len(s.GetWorst()) > 0 {
		text += "; worst " + Nodes(s.GetWorst(), "+")
	}
	if n := s.GetWorstRanges(); n > 0 {
		text += ": " + Plural(int(n), "range")
	}
	if copies := s.GetCopies(); len(copies) > 0 {
		hold := "hold"
		if len(copies) == 1 {
			hold = "holds"
		}
		text += "; " + Nodes(copies, ", ") + " " + hold + " copies only"
	}
	return text + ")"
}

// Tiers writes for each tier of the localities whether any one place of it may be
// lost: "zone", "no (2 of them; worst zone=a: 3 ranges)".
func Tiers(ls []*adminpb.LocalityLoss, format string) string {
	var b strings.Builder
	for _, t := range client.TierLosses(ls) {
		answer := "yes"
		if t.Failing > 0 {
			answer = fmt.Sprintf("no (%d of them; worst %s: %s)", t.Failing, t.Worst.GetLocality(), Plural(int(t.Worst.GetRanges()), "range"))
		}
		fmt.Fprintf(&b, format, t.Tier, answer)
	}
	return b.String()
}

// Localities writes what the loss of each would cost, a line each; nothing if no
// locality tells nodes apart.
func Localities(ls []*adminpb.LocalityLoss) string {
	var b strings.Builder
	for _, l := range ls {
		cost := "yes"
		if n := l.GetRanges(); n > 0 {
			var first []string
			for _, id := range l.GetFirst() {
				first = append(first, Range(id))
			}
			if int(n) > len(first) {
				first = append(first, "…")
			}
			cost = fmt.Sprintf("no (%s would stop: %s)", Plural(int(n), "range"), strings.Join(first, ", "))
		}
		fmt.Fprintf(&b, "all of %s (%s): %s\n", l.GetLocality(), Nodes(l.GetNodes(), ", "), cost)
	}
	return b.String()
}
