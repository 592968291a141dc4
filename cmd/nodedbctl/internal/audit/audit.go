// Package audit is the noun "audit": who asked for which change, who logged in,
// and whether that is still what was written.
package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/ctl"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/render"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/view"
)

type listOptions struct {
	since  time.Duration
	after  uint64
	limit  uint32
	logins bool
}

// New makes the command audit.
func New(e *ctl.Env) *cobra.Command {
	c := &cobra.Command{
		Use: "audit", Short: "Who changed what, and who logged in", Args: cobra.NoArgs,
		Long: "Each change that was asked for, done or refused, leaves a record with the hash of the one before;\n" +
			"verify finds the first that is not as it was written. Without a verb: audit ls.",
	}
	var o listOptions
	ls := &cobra.Command{Use: "ls", Aliases: []string{"list"}, Short: "List the newest records, oldest first", Args: cobra.NoArgs}
	for _, x := range []*cobra.Command{c, ls} {
		f := x.Flags()
		f.DurationVar(&o.since, "since", 0, "only records of this last time, such as 1h")
		f.Uint64Var(&o.after, "after", 0, "only records of changes after this one")
		f.Uint32Var(&o.limit, "limit", 100, "how many, the newest")
		f.BoolVar(&o.logins, "logins", false, "also logins and denials, from all nodes")
		x.RunE = func(cmd *cobra.Command, _ []string) error {
			return e.Repeat(cmd.Context(), func(ctx context.Context) error { return list(ctx, e, &o) })
		}
	}
	verify := &cobra.Command{
		Use: "verify", Short: "Have every node walk its chain, and compare; exit 10 names what was tampered with", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return prove(cmd.Context(), e) },
	}
	c.AddCommand(ls, verify)
	return c
}

func list(ctx context.Context, e *ctl.Env, o *listOptions) error {
	c, err := e.Client()
	if err != nil {
		return err
	}
	call, cancel := e.Call(ctx)
	defer cancel()
	req := &adminpb.ListAuditRequest{After: o.after, Limit: o.limit, Logins: o.logins, NodeTimeout: e.NodeTimeout()}
	if o.since > 0 {
		req.Since = timestamppb.New(e.Now().Add(-o.since))
	}
	r, err := c.ListAudit(call, req)
	if err != nil {
		return err
	}
	l := render.List[view.AuditRecord]{
		Kind: "AuditList", Meta: e.Meta(r.GetAsOf()), Name: func(a view.AuditRecord) string { return place(&a) }, Empty: "no record",
		Columns: []render.Column[view.AuditRecord]{
			{Head: "RECORD", Key: "sequence", Cell: func(a view.AuditRecord) string { return place(&a) }},
			{Head: "TIME", Key: "time", Cell: func(a view.AuditRecord) string { return a.Time.UTC().Format(time.RFC3339) }},
			{Head: "BY", Key: "by", Cell: func(a view.AuditRecord) string { return render.Or(a.By) }},
			{Head: "VIA", Key: "via", Cell: func(a view.AuditRecord) string { return render.Or(a.Via) }},
			{Head: "FROM", Key: "source", Cell: func(a view.AuditRecord) string { return render.Or(a.Source) }},
			{Head: "ACTION", Key: "action", Cell: action},
			{Head: "DECISION", Key: "decision", Cell: func(a view.AuditRecord) string { return a.Decision }},
			{Head: "WHAT", Key: "parameters", Cell: what},
		},
	}
	for _, rec := range r.GetRecords() {
		l.Items = append(l.Items, view.NewAuditRecord(rec))
	}
	if err := l.Print(e.Term, e.Flags.Output); err != nil {
		return err
	}
	return e.Whole()
}

// place names a record: the login records of each node count for themselves.
func place(a *view.AuditRecord) string {
	if a.Node != 0 {
		return fmt.Sprintf("%s/%d", render.Node(a.Node), a.Sequence)
	}
	return fmt.Sprint(a.Sequence)
}

func action(a view.AuditRecord) string {
	if a.Count > 1 {
		return fmt.Sprintf("%s x%d", a.Action, a.Count)
	}
	return a.Action
}

const whatWidth = 80

// what is why it was refused, or what it was asked with.
func what(a view.AuditRecord) string {
	s := a.Why
	if s == "" {
		s = asked(a.Parameters)
	}
	if r := []rune(s); len(r) > whatWidth {
		s = string(r[:whatWidth-1]) + "…"
	}
	return render.Or(s)
}

// asked says the parameters of a command as a person would: the name of the
// command is the action's already.
func asked(parameters json.RawMessage) string {
	var tree map[string]any
	d := json.NewDecoder(bytes.NewReader(parameters))
	d.UseNumber()
	if d.Decode(&tree) != nil {
		return ""
	}
	if len(tree) == 1 {
		for _, only := range tree {
			if list, ok := only.([]any); ok { // a batch
				return several(list)
			}
			if inner, ok := only.(map[string]any); ok {
				tree = inner
			}
		}
	}
	return strings.Join(pairs("", tree), " ")
}

func several(list []any) string {
	var out []string
	for _, x := range list {
		b, err := json.Marshal(x)
		if err != nil {
			continue // it was decoded a moment ago: cannot be
		}
		out = append(out, asked(b))
	}
	return strings.Join(out, "; ")
}

// pairs are a.b=value, in the order of their names.
func pairs(prefix string, v any) []string {
	switch v := v.(type) {
	case map[string]any:
		var out []string
		for _, name := range slices.Sorted(maps.Keys(v)) {
			out = append(out, pairs(strings.TrimPrefix(prefix+"."+name, "."), v[name])...)
		}
		return out
	case []any:
		var items []string
		for _, x := range v {
			items = append(items, strings.Join(pairs("", x), " "))
		}
		return []string{prefix + "=" + strings.Join(items, ",")}
	case nil:
		return nil
	case string:
		if v == "" {
			return nil
		}
	}
	return []string{strings.TrimPrefix(fmt.Sprintf("%s=%v", prefix, v), "=")}
}

// dropped says where chains begin whose oldest records the quota has dropped.
func dropped(v *view.AuditProof) string {
	var b strings.Builder
	for _, c := range v.Chains {
		if c.First > 1 {
			whose := ""
			if c.Node != 0 {
				whose = " of " + render.Node(c.Node)
			}
			fmt.Fprintf(&b, "        %s%s: the oldest %d were dropped by the quota, %d are kept\n", c.Class, whose, c.First-1, c.Last-c.First+1)
		}
	}
	return b.String()
}

func prove(ctx context.Context, e *ctl.Env) error {
	c, err := e.Client()
	if err != nil {
		return err
	}
	call, cancel := e.Call(ctx)
	defer cancel()
	r, err := c.VerifyAudit(call, &adminpb.VerifyAuditRequest{NodeTimeout: e.NodeTimeout()})
	if err != nil {
		return err
	}
	v := view.NewAuditProof(r)
	one := render.One[view.AuditProof]{
		Kind: "AuditProof", Item: v, Name: v.Head, Meta: e.Meta(r.GetAsOf()),
		Text: func(w io.Writer) error {
			if v.Intact {
				_, err := fmt.Fprintf(w, "intact  %d records, head %.16s, the same on every node that answered\n%s", v.Records, v.Head, dropped(&v))
				return err
			}
			_, err := fmt.Fprintf(w, "BROKEN at record %d  %s\n", v.BrokenAt, v.Why)
			return err
		},
	}
	if err := one.Print(e.Term, e.Flags.Output); err != nil {
		return err
	}
	if !v.Intact {
		return ctl.Silent(ctl.Changes)
	}
	return e.Whole()
}
