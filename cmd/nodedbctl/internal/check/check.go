// Package check goes through the rules of a healthy cluster.
package check

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/ctl"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/render"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/term"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/view"
)

// New makes the command check.
func New(e *ctl.Env) *cobra.Command {
	return &cobra.Command{
		Use: "check", Short: "Go through the rules of a healthy cluster: exit 0, or 10 if one is broken", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return e.Repeat(cmd.Context(), func(ctx context.Context) error { return check(ctx, e) })
		},
	}
}

func check(ctx context.Context, e *ctl.Env) error {
	c, err := e.Client()
	if err != nil {
		return err
	}
	r, err := c.Check(ctx, &adminpb.CheckRequest{NodeTimeout: e.NodeTimeout()})
	if err != nil {
		return err
	}
	v := view.NewCheckReport(r)
	one := render.One[view.CheckReport]{
		Kind: "CheckReport", Meta: e.Meta(r.GetAsOf()), Item: v, Name: map[bool]string{true: "ok", false: "problems"}[v.OK],
		Text: func(w io.Writer) error { return write(w, e, v) },
	}
	if err := one.Print(e.Term, e.Flags.Output); err != nil {
		return err
	}
	if !v.OK && e.Flags.Watch == 0 {
		return ctl.Silent(ctl.Changes)
	}
	return nil
}

var styles = map[string]term.Style{"ok": term.Good, "warn": term.Warn, "error": term.Bad}

func write(w io.Writer, e *ctl.Env, v view.CheckReport) error {
	var b strings.Builder
	width, broken := 0, 0
	var unsure []view.Rule
	for _, r := range v.Rules {
		width = max(width, len(r.Code))
		switch r.Severity {
		case "warn", "error":
			broken++
		case unknown:
			unsure = append(unsure, r)
		}
	}
	for _, r := range v.Rules {
		if r.Severity == unknown {
			continue
		}
		pad := strings.Repeat(" ", 8-len(r.Severity))
		fmt.Fprintf(&b, "%s%s%-*s  %s\n", e.Term.Paint(styles[r.Severity], r.Severity), pad, width, r.Code, r.Text)
		if r.Command != "" && r.Severity != "ok" {
			fmt.Fprintf(&b, "%8s%-*s  -> %s\n", "", width, "", r.Command)
		}
	}
	writeUnsure(&b, unsure)
	verdict := "healthy: " + render.Plural(len(v.Rules), "rule") + " hold"
	if broken > 0 {
		verdict = fmt.Sprintf("%s of %d", render.Plural(broken, "problem"), len(v.Rules))
	}
	b.WriteString(verdict + "\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// unknown is the severity of a rule that holds as far as is known: some node that it
// asks about did not answer.
const unknown = "unknown"

// writeUnsure names the rules of which nobody knows, all at once: what is to be done is
// the same for each, and stands with the rule about the nodes that are silent.
func writeUnsure(b *strings.Builder, rules []view.Rule) {
	if len(rules) == 0 {
		return
	}
	var codes []string
	var silent []uint32
	for _, r := range rules {
		codes, silent = append(codes, r.Code), append(silent, r.Nodes...)
	}
	slices.Sort(silent)
	hold := render.Plural(len(rules), "rule") + " hold"
	if len(rules) == 1 {
		hold += "s"
	}
	fmt.Fprintf(b, "%s %s as far as is known: %s did not answer\n", unknown, hold, render.Nodes(slices.Compact(silent), ", "))
	for _, line := range render.Wrap(strings.Join(codes, ", "), codesWidth) {
		fmt.Fprintf(b, "%8s%s\n", "", line)
	}
}

// codesWidth keeps a list of rules within a terminal of 80 columns.
const codesWidth = 72
