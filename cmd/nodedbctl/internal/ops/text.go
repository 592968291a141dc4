package ops

import (
	"fmt"
	"strings"
	"time"

	"github.com/nodedb/nodedb/client"
	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/render"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/term"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/view"
)

// title is what an operation does: "decommission n5".
func title(o *adminpb.Operation) string {
	switch s := o.GetSpec(); s.GetKind() {
	case "rebalance":
		return "rebalance " + s.GetPlan()
	case "move":
		return fmt.Sprintf("move %s %s->%s", render.Range(s.GetRange()), render.Node(s.GetFrom()), render.Node(s.GetTo()))
	case "transfer":
		return fmt.Sprintf("transfer %s to %s", render.Range(s.GetRange()), render.Node(s.GetTo()))
	case "split":
		return fmt.Sprintf("split %s at %s", render.Range(s.GetRange()), splitPoint(s))
	case "upgrade":
		return fmt.Sprintf("upgrade to version %d", s.GetVersion())
	case "pool-create", "pool-alter", "pool-drop":
		return s.GetKind() + " " + s.GetPool()
	case "schema-change":
		return s.GetKind() + " " + s.GetTable()
	}
	return o.GetSpec().GetKind() + " " + render.Nodes(o.GetSpec().GetNodes(), " ")
}

// splitPoint is where a range is split: vshard 417, or a key.
func splitPoint(s *adminpb.OperationSpec) string {
	if at := render.Key(s.GetAt(), s.GetAtKey()); strings.HasPrefix(at, "0x") {
		return "the key " + at
	}
	return fmt.Sprintf("vshard %d", s.GetAt())
}

func mark(p *adminpb.Phase) string {
	switch p.GetState() {
	case "done":
		return "✓"
	case "running":
		return "…"
	case "skipped":
		return "–"
	case "cancelled", "failed":
		return "✗"
	}
	return " "
}

func itemText(it *adminpb.Item) string {
	s := fmt.Sprintf("%s %s->%s ", render.Range(it.GetRange()), render.Node(it.GetFrom()), render.Node(it.GetTo()))
	share, copying := client.ItemShare(it)
	if copying {
		s += render.Percent(share)
	} else {
		s += it.GetStep()
	}
	if it.GetWhy() != "" && !copying {
		s += " " + it.GetWhy()
	}
	if it.GetAttempts() > 1 {
		s += fmt.Sprintf(" (attempt %d)", it.GetAttempts())
	}
	if it.GetError() != "" {
		s += " - last error: " + it.GetError()
	}
	if it.GetNeeds() != "" {
		s += " - needs " + it.GetNeeds()
	}
	if at := it.GetRetryAt(); at != nil {
		s += fmt.Sprintf(" - tries again at %s", at.AsTime().UTC().Format("15:04:05"))
	}
	return s
}

// block is the live view of an operation.
func block(o *adminpb.Operation, now time.Time) []string {
	head := o.GetId() + "  " + title(o)
	lines := []string{fmt.Sprintf("%-66s  Ctrl-C detaches; the operation keeps running", head)}
	var past, next []string
	var at *adminpb.Phase
	for _, p := range o.GetPhases() {
		switch p.GetState() {
		case "done", "skipped":
			past = append(past, strings.TrimSpace(p.GetName()+" "+mark(p)+" "+phaseNote(o, p)))
		case "running":
			if at == nil {
				at = p
				continue
			}
			past = append(past, strings.TrimSpace(p.GetName()+" "+mark(p)+" "+phaseNote(o, p))) // beside it
		default:
			next = append(next, p.GetName())
		}
	}
	if len(past) > 0 {
		lines = append(lines, strings.Join(past, "  "))
	}
	name := o.GetPhase()
	if at != nil {
		name = at.GetName()
	}
	lines = append(lines, work(o, name, now)...)
	if note := at.GetNote(); note != "" {
		lines = append(lines, "      "+note)
	}
	if o.GetWhy() != "" {
		lines = append(lines, "      "+o.GetState()+": "+o.GetWhy())
	}
	lines = append(lines, inFlight(o)...)
	if len(next) > 0 {
		lines = append(lines, "then  "+strings.Join(next, " · "))
	}
	return lines
}

func phaseNote(o *adminpb.Operation, p *adminpb.Phase) string {
	if p.GetName() == "leaders" && o.GetTotal().GetLeaders() > 0 {
		return fmt.Sprintf("%d/%d", o.GetDone().GetLeaders(), o.GetTotal().GetLeaders())
	}
	return p.GetNote()
}

const barWidth = 35

// work is the bar with its figures: bytes first, ranges second.
func work(o *adminpb.Operation, name string, now time.Time) []string {
	share := client.Share(o)
	t, d := o.GetTotal(), o.GetDone()
	line := fmt.Sprintf("%-5s %s %4s", name, term.Bar(share, barWidth), render.Percent(share))
	if t.GetRanges() > 0 {
		line += fmt.Sprintf("   %d/%d ranges", d.GetRanges(), t.GetRanges())
	}
	if t.GetBytes() > 0 {
		line += fmt.Sprintf("   %s/%s", render.Bytes(d.GetBytes()), render.Bytes(t.GetBytes()))
	} else if t.GetLeaders() > 0 {
		line += fmt.Sprintf("   %d/%d leaders", d.GetLeaders(), t.GetLeaders())
	}
	if t.GetSessions() > 0 {
		line += fmt.Sprintf("   %d/%d sessions", d.GetSessions(), t.GetSessions())
	}
	return []string{line, "      " + pace(o, share, now)}
}

// pace says how fast it goes and how long it will take, with a band.
func pace(o *adminpb.Operation, share float64, now time.Time) string {
	began := o.GetStartedAt()
	if began == nil {
		return "waiting to start"
	}
	elapsed := now.Sub(began.AsTime())
	var parts []string
	if r := o.GetRate(); r > 0 {
		parts = append(parts, render.Bytes(r)+"/s")
	}
	if l := limit(o); l > 0 {
		s := "limit " + render.Bytes(l) + "/s"
		if of := o.GetLimitOf(); of != "" {
			s += " (of " + of + ")"
		}
		parts = append(parts, s)
	}
	parts = append(parts, "elapsed "+render.Duration(elapsed))
	if left := left(o); left != "" && share < 1 {
		parts = append(parts, "left "+left)
	}
	if o.GetStalled() {
		parts = append(parts, "stalled: "+o.GetWhy())
	}
	if late, ok := client.Late(o, now); ok {
		how := "on track"
		if late {
			how = "late"
		}
		parts = append(parts, fmt.Sprintf("(planned %s, %s)", render.Seconds(o.GetPlannedSeconds()), how))
	}
	return strings.Join(parts, "  ")
}

// limit is what each node may send and receive each second; 0: the cluster's setting.
func limit(o *adminpb.Operation) uint64 {
	if l := o.GetLimit(); l > 0 {
		return l
	}
	return o.GetSpec().GetRate()
}

// left is how long it will take yet, with its band.
func left(o *adminpb.Operation) string {
	if o.GetEtaSeconds() <= 0 {
		return ""
	}
	return fmt.Sprintf("%s (%s to %s)", render.Seconds(o.GetEtaSeconds()), render.Seconds(o.GetEtaLow()), render.Seconds(o.GetEtaHigh()))
}

func blockerText(b *adminpb.Blocker) string {
	s := fmt.Sprintf("pid %d on %s, user %s, application %q, %s, in a transaction for %s", b.GetPid(), render.Node(b.GetNode()), b.GetUser(), b.GetApplication(), render.Or(b.GetState()), render.Seconds(b.GetSeconds()))
	if b.GetStatement() != "" {
		s += ": " + render.OneLine(b.GetStatement())
	}
	return s
}

const itemsShown = 3

func inFlight(o *adminpb.Operation) []string {
	var moving, blocked []string
	for _, it := range o.GetItems() {
		switch {
		case client.Blocked(it):
			blocked = append(blocked, itemText(it))
		case client.InFlight(it):
			moving = append(moving, itemText(it))
		}
	}
	var lines []string
	if n := len(moving); n > 0 {
		line := "      in flight  " + strings.Join(moving[:min(n, itemsShown)], "   ")
		if n > itemsShown {
			line += fmt.Sprintf("   +%d", n-itemsShown)
		}
		lines = append(lines, line)
	}
	if n := len(blocked); n > 0 {
		lines = append(lines, fmt.Sprintf("      blocked    %d  %s", n, blocked[0]))
	}
	return lines
}

// line is the one-line view, for logs.
func line(o *adminpb.Operation) string {
	s := fmt.Sprintf("%s  %s  %s", o.GetId(), title(o), o.GetState())
	if o.GetPhase() != "" && !final(o) {
		s += "  " + o.GetPhase()
	}
	t, d := o.GetTotal(), o.GetDone()
	if t.GetBytes() > 0 || t.GetReplicas() > 0 {
		s += fmt.Sprintf("  %d/%d replicas  %s/%s", d.GetReplicas(), t.GetReplicas(), render.Bytes(d.GetBytes()), render.Bytes(t.GetBytes()))
	}
	if t.GetLeaders() > 0 {
		s += fmt.Sprintf("  %d/%d leaders", d.GetLeaders(), t.GetLeaders())
	}
	for _, p := range o.GetPhases() {
		if p.GetState() == "running" && p.GetNote() != "" {
			s += "  " + p.GetNote()
			break
		}
	}
	if o.GetWhy() != "" {
		s += "  (" + o.GetWhy() + ")"
	}
	return s
}

// planned compares what it took with what was planned.
func planned(o *adminpb.Operation, took time.Duration) string {
	p := o.GetPlannedSeconds()
	if p <= 0 || o.GetSpec().GetKind() == "drain" || o.GetState() != "succeeded" {
		return "" // a drain waits for load balancers and clients: no model foresees that
	}
	return fmt.Sprintf(" (planned %s, %+.0f%%)", render.Seconds(p), 100*(took.Seconds()-p)/p)
}

func proofText(o *adminpb.Operation) string {
	p := o.GetProof()
	switch o.GetSpec().GetKind() {
	case "rebalance", "move", "transfer":
		return fmt.Sprintf("%s applied by their leaders at meta@%d · %d replicas left where they were moved from",
			render.Plural(int(p.GetDescriptors()), "descriptor"), p.GetMetaIndex(), p.GetReferences())
	}
	if pool := o.GetSpec().GetPool(); pool != "" {
		return fmt.Sprintf("%s of pool %s read at meta@%d · each is as the pool wants it · %d/%d leaders applied",
			render.Plural(int(p.GetDescriptors()), "descriptor"), pool, p.GetMetaIndex(), p.GetLeaders(), p.GetDescriptors())
	}
	s := fmt.Sprintf("%d references to %s in %d descriptors at meta@%d · %d/%d leaders applied", p.GetReferences(),
		render.Nodes(o.GetSpec().GetNodes(), ","), p.GetDescriptors(), p.GetMetaIndex(), p.GetLeaders(), p.GetDescriptors())
	if t := p.GetTombstone(); t != "" {
		if len(t) > 8 {
			t = t[:8] + "…"
		}
		s += " · tombstone " + t
	}
	return s
}

// result is what is said of an operation that has ended.
func result(o *adminpb.Operation) string {
	var b strings.Builder
	head := fmt.Sprintf("%-10s %s", o.GetState(), title(o))
	if d, ok := view.Took(o); ok {
		head += " in " + render.Duration(d) + planned(o, d)
	}
	b.WriteString(head + "\n")
	if o.GetWhy() != "" {
		fmt.Fprintf(&b, "%-10s %s\n", "why", o.GetWhy())
	}
	for i, x := range o.GetBlockers() {
		if o.GetState() != "succeeded" {
			fmt.Fprintf(&b, "%-10s %s\n", map[bool]string{true: "blockers"}[i == 0], blockerText(x))
		}
	}
	if o.GetState() != "succeeded" {
		return b.String()
	}
	writeDropped(&b, o)
	if o.GetProof() != nil {
		fmt.Fprintf(&b, "%-10s %s\n", "proof", proofText(o))
	}
	switch o.GetSpec().GetKind() {
	case "rebalance":
		fmt.Fprintf(&b, "%-10s %.1f percent points of the mean (predicted %.1f)\n", "gain", o.GetGainAchieved(), o.GetGainPredicted())
	case "decommission":
		fmt.Fprintf(&b, "%-10s power off, delete the volume, reuse the address\n", "safe to")
	case "drain":
		if o.GetWhy() != "" {
			return b.String() // its process is not the one that was drained: why says it
		}
		if o.GetSpec().GetShutdown() {
			fmt.Fprintf(&b, "%-10s power off or start again: the data is kept\n", "safe to")
		} else {
			fmt.Fprintf(&b, "%-10s stop or restart the process; to take it back: nodedbctl undrain %s\n", "safe to", render.Nodes(o.GetSpec().GetNodes(), " "))
		}
	}
	return b.String()
}
