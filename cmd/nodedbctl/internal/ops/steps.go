package ops

import (
	"fmt"
	"strings"

	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/render"
)

// stepsShown is how many steps of a plan people are shown.
const stepsShown = 20

// WriteSteps lists the moves and transfers of a plan that consists of them: those
// of a drain or a decommission follow from its nodes.
func WriteSteps(b *strings.Builder, p *adminpb.Plan) {
	switch p.GetSpec().GetKind() {
	case "rebalance", "move", "transfer":
	default:
		return
	}
	for i, m := range p.GetMoves() {
		if i == stepsShown {
			fmt.Fprintf(b, "  and %d more\n", len(p.GetMoves())-i)
			break
		}
		line := fmt.Sprintf("  %-8s  %-6s  %s -> %s", m.GetKind(), render.Range(m.GetRange()), render.Node(m.GetFrom()), render.Node(m.GetTo()))
		if m.GetBytes() > 0 {
			line += "  " + render.Bytes(m.GetBytes())
		}
		b.WriteString(line + "\n")
	}
}

// WriteDimensions shows how even the load is before and after a plan.
func WriteDimensions(b *strings.Builder, p *adminpb.Plan) {
	if len(p.GetDimensions()) == 0 {
		return
	}
	rows := [][]string{{"LOAD", "MIN", "MEAN", "MAX", "AFTER"}}
	for i, d := range p.GetDimensions() {
		after := render.None
		if i < len(p.GetDimensionsAfter()) {
			a := p.GetDimensionsAfter()[i]
			after = Amount(d.GetName(), a.GetMin()) + " .. " + Amount(d.GetName(), a.GetMax())
		}
		rows = append(rows, []string{
			d.GetName(), Amount(d.GetName(), d.GetMin()), Amount(d.GetName(), d.GetMean()), Amount(d.GetName(), d.GetMax()), after,
		})
	}
	writeRows(b, rows)
	fmt.Fprintf(b, "  gain      %.1f percent points of the mean\n", p.GetGain())
}

// Amount writes a figure of a dimension for people.
func Amount(dimension string, v float64) string {
	switch dimension {
	case "bytes":
		return render.Bytes(uint64(max(v, 0)))
	case "cpu":
		return render.Percent(v)
	}
	return render.Number(v)
}

// writeDropped lists the steps of a plan that were stale.
func writeDropped(b *strings.Builder, o *adminpb.Operation) {
	for _, it := range o.GetItems() {
		if it.GetStep() == "dropped" {
			fmt.Fprintf(b, "%-10s %s %s -> %s: %s\n", "dropped", render.Range(it.GetRange()), render.Node(it.GetFrom()), render.Node(it.GetTo()), it.GetWhy())
		}
	}
}
