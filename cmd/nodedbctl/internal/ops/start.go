package ops

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/nodedb/nodedb/client"
	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/ctl"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/render"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/view"
)

// Request is what a verb asks for.
type Request struct {
	Spec   *adminpb.OperationSpec
	Change ctl.Change
	// Command is the verb as it was typed, without flags: "decommission n5".
	Command string
	// Ask shows the plan and asks first, where there is a person to ask.
	Ask bool
	// Blocked shows only stuck items while following.
	Blocked bool
}

// Start plans, asks, starts and follows, as the flags say.
func Start(ctx context.Context, e *ctl.Env, r Request) error {
	if err := r.Change.Allow(e, e.Again(r.Command, "--dry-run")); err != nil {
		return err
	}
	c, err := e.Client()
	if err != nil {
		return err
	}
	if r.Change.DryRun {
		return e.Repeat(ctx, func(call context.Context) error { return dryRun(call, e, c, r) })
	}
	confirm := r.Change.Confirm
	if confirm == "" && e.Term.CanAsk() && (protected(e) || r.Ask && !r.Change.Yes) {
		if confirm, err = ask(ctx, e, c, r); err != nil {
			return err
		}
	}
	call, cancel := e.Call(ctx)
	defer cancel()
	got, err := c.StartOperation(call, &adminpb.StartOperationRequest{
		Spec: r.Spec, Confirm: confirm, Reason: r.Change.Reason, IdempotencyKey: r.Change.IdempotencyKey, Queue: r.Change.Queue,
	})
	if err != nil {
		return refused(e, r, err)
	}
	return begun(ctx, e, r, got)
}

// protected reports whether the context wants every plan confirmed.
func protected(e *ctl.Env) bool {
	cx, err := e.Context()
	return err == nil && cx.Protected
}

func begun(ctx context.Context, e *ctl.Env, r Request, got *adminpb.StartOperationResponse) error {
	o := got.GetOperation()
	switch {
	case got.GetAttached() && final(o):
		e.Term.Say("nothing to do: %s did it already", o.GetId())
		return ended(e, o, false)
	case got.GetAttached():
		e.Term.Say("%s is doing it already", o.GetId())
	}
	if r.Change.Detach {
		if e.Flags.Output.Text() {
			e.Term.Say("%s has begun; follow it: nodedbctl ops watch %s", o.GetId(), o.GetId())
		}
		return printOperation(e, o)
	}
	return Follow(ctx, e, o.GetId(), FollowOptions{})
}

// refused prints a refusal as JSON too if JSON was asked for.
func refused(e *ctl.Env, r Request, err error) error {
	var c *client.Error
	if errors.As(err, &c) && c.Kind == client.NotFound && r.Change.Confirm != "" && len(c.Fixes) == 0 {
		return &ctl.Error{Code: ctl.NotFound, Message: c.Message, Next: []string{e.Again(r.Command, "--dry-run")}}
	}
	if !errors.As(err, &c) || (c.Kind != client.Unsafe && c.Kind != client.Conflict && c.Kind != client.StalePlan) {
		return err
	}
	if f := e.Flags.Output.Format; f == "json" || f == "jsonl" || f == "yaml" { // a name would be taken for an id
		one := render.One[view.Verdict]{Kind: "Verdict", Meta: e.Local(), Name: "refused", Item: view.Verdict{
			Question: r.Spec.GetKind(), Nodes: r.Spec.GetNodes(), Message: c.Message,
			Findings: view.NewFindings(c.Findings), Fixes: view.NewFixes(c.Fixes), LargestSafe: []uint32{},
		}}
		if perr := one.Print(e.Term, e.Flags.Output); perr != nil {
			return perr
		}
	}
	if c.Kind == client.StalePlan {
		return &ctl.Error{Code: ctl.Conflict, Message: c.Message, Next: []string{e.Again(r.Command, "--dry-run")}, Err: nil}
	}
	return err
}

func plan(ctx context.Context, e *ctl.Env, c *client.Client, r Request) (*adminpb.PlanOperationResponse, error) {
	return c.PlanOperation(ctx, &adminpb.PlanOperationRequest{Spec: r.Spec, NodeTimeout: e.NodeTimeout()})
}

func dryRun(ctx context.Context, e *ctl.Env, c *client.Client, r Request) error {
	got, err := plan(ctx, e, c, r)
	if err != nil {
		return err
	}
	p := got.GetPlan()
	if !p.GetFeasible() && e.Flags.Output.Text() {
		ctl.Refusal(e.Term, ctl.Unsafe, "cannot be completed", refusing(p), p.GetFixes())
		return ctl.Silent(ctl.Unsafe)
	}
	one := render.One[view.Plan]{
		Kind: "Plan", Meta: e.Meta(got.GetAsOf()), Item: view.NewPlan(p), Name: p.GetId(),
		Text: func(w io.Writer) error { return writePlan(w, e, got, r) },
	}
	if err := one.Print(e.Term, e.Flags.Output); err != nil {
		return err
	}
	if !p.GetFeasible() {
		return ctl.Silent(ctl.Unsafe)
	}
	return nil
}

// ask shows the plan and returns its id if the person agrees.
func ask(ctx context.Context, e *ctl.Env, c *client.Client, r Request) (string, error) {
	call, cancel := e.Call(ctx)
	defer cancel()
	got, err := plan(call, e, c, r)
	if err != nil {
		return "", err
	}
	p := got.GetPlan()
	if !p.GetFeasible() {
		return "", nil // the start says why not, or that it is done already
	}
	var shown strings.Builder
	if err := writePlan(&shown, e, got, r); err != nil {
		return "", err
	}
	e.Term.Tell("%s", strings.TrimSuffix(shown.String(), "\n"))
	if err := e.Consent(ctx, "go on?"); err != nil {
		return "", err
	}
	return p.GetId(), nil
}

func refusing(p *adminpb.Plan) []*adminpb.Finding {
	var fs []*adminpb.Finding
	for _, f := range p.GetFindings() {
		if f.GetSeverity() != "warn" {
			fs = append(fs, f)
		}
	}
	return fs
}

func writePlan(w io.Writer, e *ctl.Env, got *adminpb.PlanOperationResponse, r Request) error {
	p := got.GetPlan()
	var b strings.Builder
	fmt.Fprintf(&b, "Plan %s  %-30s as of meta@%d · computed in %s · valid while topology epoch = %d\n",
		p.GetId(), r.Command, got.GetAsOf().GetMetaIndex(), millis(p.GetComputedIn()), p.GetTopologyEpoch())
	fmt.Fprintf(&b, "  replicas %d · leaders %d · copy %s\n", p.GetReplicas(), p.GetLeaders(), render.Bytes(p.GetBytes()))
	fmt.Fprintf(&b, "  time      p50 %s  p90 %s      lower bound %s%s\n", render.Seconds(p.GetSecondsP50()), render.Seconds(p.GetSecondsP90()),
		render.Seconds(p.GetSecondsLowerBound()), bottleneck(p)+modelError(p))
	fmt.Fprintf(&b, "  survives  before: %s   during: %s   after: %s\n", p.GetSurvivesBefore(), p.GetSurvivesDuring(), p.GetSurvivesAfter())
	writeStops(&b, p.GetSpec())
	b.WriteByte('\n')
	leaving := func(n *adminpb.NodeChange) int {
		if slices.Contains(r.Spec.GetNodes(), n.GetNode()) {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(p.Nodes, func(a, b *adminpb.NodeChange) int { return cmp.Compare(leaving(a), leaving(b)) })
	if s := p.GetSpec(); s.GetKind() == "split" {
		fmt.Fprintf(&b, "  split     %s: a new range begins at %s; no row moves\n", render.Range(s.GetRange()), splitPoint(s))
	}
	writeEffects(&b, p.GetNodes())
	WriteDimensions(&b, p)
	WriteSteps(&b, p)
	writeChecks(&b, p)
	fmt.Fprintf(&b, "run it    %s\n", e.Again(r.Command, "--confirm", p.GetId()))
	_, err := io.WriteString(w, b.String())
	return err
}

// writeStops says whose process will end: consent to the plan is consent to that.
func writeStops(b *strings.Builder, s *adminpb.OperationSpec) {
	names := render.Nodes(s.GetNodes(), ", ")
	switch {
	case s.GetKind() == "drain" && s.GetShutdown():
		fmt.Fprintf(b, "  stops     the process of %s, once it is drained", names)
	case s.GetKind() == "decommission" && !s.GetKeepRunning():
		fmt.Fprintf(b, "  stops     the process of %s, at the end", names)
	default:
		return
	}
	if s.GetOnDeadline() == "force" && s.GetDeadline() > 0 {
		fmt.Fprintf(b, "; after %s by force", render.Seconds(s.GetDeadline()))
	}
	b.WriteByte('\n')
}

func bottleneck(p *adminpb.Plan) string {
	if p.GetBottleneck() == "" || p.GetBytes() == 0 {
		return ""
	}
	return " (copies of " + p.GetBottleneck() + ")"
}

// modelError says how far the model was off before.
func modelError(p *adminpb.Plan) string {
	if p.GetModelError() == 0 {
		return ""
	}
	return fmt.Sprintf("   model error last 5 ops: ±%.0f%%", 100*p.GetModelError())
}

func writeEffects(b *strings.Builder, nodes []*adminpb.NodeChange) {
	if len(nodes) == 0 {
		return
	}
	rows := [][]string{{"NODE", "REPLICAS", "BYTES", "DISK(PEAK)", "LEADERS"}}
	for _, n := range nodes {
		disk := render.None
		if n.GetDiskPeak() > 0 && n.GetReplicasAfter() >= n.GetReplicasBefore() {
			disk = render.Percent(n.GetDiskBefore()) + " -> " + render.Percent(n.GetDiskPeak())
		}
		rows = append(rows, []string{
			render.Node(n.GetNode()), fmt.Sprintf("%d -> %d", n.GetReplicasBefore(), n.GetReplicasAfter()),
			render.Bytes(n.GetBytesBefore()) + " -> " + render.Bytes(n.GetBytesAfter()), disk,
			fmt.Sprintf("%d -> %d", n.GetLeadersBefore(), n.GetLeadersAfter()),
		})
	}
	writeRows(b, rows)
}

func writeRows(b *strings.Builder, rows [][]string) {
	width := make([]int, len(rows[0]))
	for _, r := range rows {
		for i, cell := range r {
			width[i] = max(width[i], len([]rune(cell)))
		}
	}
	for _, r := range rows {
		line := "  "
		for i, cell := range r {
			line += cell + strings.Repeat(" ", width[i]-len([]rune(cell))+2)
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
}

func writeChecks(b *strings.Builder, p *adminpb.Plan) {
	warns := 0
	for _, f := range p.GetFindings() {
		if f.GetSeverity() == "warn" {
			warns++
		}
	}
	fmt.Fprintf(b, "checks    %d ok · %s\n", p.GetChecksOk(), render.Plural(warns, "warning"))
	for _, f := range p.GetFindings() {
		if f.GetSeverity() == "warn" {
			fmt.Fprintf(b, "  warn %s  %s\n", f.GetCode(), f.GetText())
		}
	}
}

func millis(seconds float64) string {
	if seconds < 0.001 {
		return "<1 ms"
	}
	return fmt.Sprintf("%.0f ms", seconds*1000)
}
