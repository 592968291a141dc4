// Package hba is the noun "hba": the rules that say who may log in to SQL from where, as
// PostgreSQL's pg_hba.conf has them.
package hba

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nodedb/nodedb/client"
	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/ctl"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/render"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/view"
)

const long = `Rules say who may log in to SQL from where, a line each, as pg_hba.conf has them:

  host DATABASE USER ADDRESS METHOD [clientcert=verify-full]

DATABASE is all, sameuser, samerole or names; USER all, +role or names; ADDRESS all, or a network
such as 10.0.0.0/8; METHOD cert-scram-sha-256 (a certificate if the client shows one, else a
password), scram-sha-256, cert, reject, or trust (for this machine alone). The first rule that is
about a login decides; a login that none is about is refused. Without rules every user may come
from everywhere, by cert-scram-sha-256. The admin API, and so nodedbctl, does not go by them.`

// New makes the command hba.
func New(e *ctl.Env) *cobra.Command {
	run := func(cmd *cobra.Command, _ []string) error {
		return e.Repeat(cmd.Context(), func(ctx context.Context) error { return list(ctx, e) })
	}
	c := &cobra.Command{Use: "hba [ls]", Short: "List, set and test the rules of who may log in to SQL from where", Long: long, Args: cobra.NoArgs, RunE: run}
	c.AddCommand(&cobra.Command{Use: "ls", Aliases: []string{"list"}, Short: "List the rules", Args: cobra.NoArgs, RunE: run}, newSet(e), newReset(e), newTest(e))
	return c
}

func list(ctx context.Context, e *ctl.Env) error {
	c, err := e.Client()
	if err != nil {
		return err
	}
	r, err := c.ListHostRules(ctx, &adminpb.ListHostRulesRequest{})
	if err != nil {
		return err
	}
	l := render.List[view.HostRule]{Kind: "HostRuleList", Meta: e.Meta(r.GetAsOf()), Columns: columns, Name: line}
	for _, x := range r.GetRules() {
		l.Items = append(l.Items, view.NewHostRule(x))
	}
	return l.Print(e.Term, e.Flags.Output)
}

// line is a rule as hba set takes it.
func line(r view.HostRule) string {
	return strings.TrimSpace(strings.Join([]string{r.Type, r.Database, r.User, r.Address, r.Method, r.Options}, " "))
}

var columns = []render.Column[view.HostRule]{
	{Head: "LINE", Key: "line", Right: true, Cell: func(r view.HostRule) string {
		if r.Line == 0 {
			return "default"
		}
		return fmt.Sprint(r.Line)
	}},
	{Head: "TYPE", Key: "type", Cell: func(r view.HostRule) string { return r.Type }},
	{Head: "DATABASE", Key: "database", Cell: func(r view.HostRule) string { return render.OneLine(r.Database) }},
	{Head: "USER", Key: "user", Cell: func(r view.HostRule) string { return render.OneLine(r.User) }},
	{Head: "ADDRESS", Key: "address", Cell: func(r view.HostRule) string { return r.Address }},
	{Head: "METHOD", Key: "method", Cell: func(r view.HostRule) string { return r.Method }},
	{Head: "OPTIONS", Key: "options", Cell: func(r view.HostRule) string { return render.Or(r.Options) }},
}

func newSet(e *ctl.Env) *cobra.Command {
	var change ctl.Change
	var force bool
	c := &cobra.Command{
		Use: "set FILE", Short: "Set all rules, from a file or from - (stdin); new logins go by them at once", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := read(e, args[0])
			if err != nil {
				return err
			}
			return set(cmd.Context(), e, &change, "hba set "+args[0], text, force)
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveDefault
		},
	}
	change.BindInstant(c.Flags())
	c.Flags().BoolVar(&force, "force", false, "also if you could not log in to SQL by them")
	return c
}

func newReset(e *ctl.Env) *cobra.Command {
	var change ctl.Change
	c := &cobra.Command{
		Use: "reset", Short: "Go back to the default: every user from everywhere, by certificate or password", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return set(cmd.Context(), e, &change, "hba reset", "", false)
		},
	}
	change.BindInstant(c.Flags())
	return c
}

// maxText bounds what is read: the cluster takes less.
const maxText = 1 << 20

func read(e *ctl.Env, name string) (string, error) {
	in := e.Term.In
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return "", ctl.Usagef("the rules cannot be read: %v", err)
		}
		defer func() { _ = f.Close() }() // it was only read
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, maxText))
	if err != nil {
		return "", ctl.Usagef("the rules cannot be read: %v", err)
	}
	if strings.TrimSpace(string(text)) == "" {
		return "", ctl.Usagef("%s has no rules; nodedbctl hba reset goes back to the default", name)
	}
	return string(text), nil
}

func set(ctx context.Context, e *ctl.Env, change *ctl.Change, command, text string, force bool) error {
	c, err := e.Client()
	if err != nil {
		return err
	}
	call, stop := e.Call(ctx)
	defer stop()
	ask := &adminpb.SetHostRulesRequest{Text: text, Force: force, DryRun: true, Reason: change.Reason}
	r, err := c.SetHostRules(call, ask)
	if err != nil {
		return refused(err)
	}
	plan := ctl.Instant{Command: command}
	if force {
		plan.Command += " --force"
	}
	for _, x := range r.GetRules() {
		plan.Effects = append(plan.Effects, "would let in by: "+line(view.NewHostRule(x)))
	}
	if yes, err := change.Agree(ctx, e, plan); err != nil || !yes {
		return err
	}
	ask.DryRun = false
	if r, err = c.SetHostRules(call, ask); err != nil {
		return refused(err)
	}
	text = fmt.Sprintf("new logins go by %s", render.Plural(len(r.GetRules()), "rule"))
	if !r.GetChanged() {
		text = "nothing to do: these rules hold already"
	}
	return e.Done("hba set", nil, nil, []string{text})
}

// refused leads who wrote what cannot be read to the form of rules.
func refused(err error) error {
	var failed *client.Error
	if errors.As(err, &failed) && failed.Kind == client.Invalid {
		return &ctl.Error{Code: ctl.Usage, Message: failed.Message, Next: []string{"nodedbctl hba --help"}, Err: err}
	}
	return err
}

func newTest(e *ctl.Env) *cobra.Command {
	var v view.HostTest
	var file string
	c := &cobra.Command{
		Use: "test --user U --database D --address A", Args: cobra.NoArgs, Short: "Say which rule decides about a login, and what it wants; exit 5 if it is refused",
		RunE: func(cmd *cobra.Command, _ []string) error { return test(cmd.Context(), e, v, file) },
	}
	f := c.Flags()
	f.StringVar(&v.User, "user", "", "who logs in")
	f.StringVar(&v.Database, "database", "nodedb", "to which database")
	f.StringVar(&v.Address, "address", "", "from which address")
	f.BoolVar(&v.Certificate, "certificate", false, "the client shows a certificate")
	f.StringVar(&file, "file", "", "look in the rules of this file, or of - (stdin), instead of those that hold")
	return c
}

func test(ctx context.Context, e *ctl.Env, v view.HostTest, file string) error {
	if v.User == "" || v.Address == "" {
		return ctl.Usagef("say --user and --address")
	}
	text := ""
	var err error
	if file != "" {
		if text, err = read(e, file); err != nil {
			return err
		}
	}
	c, err := e.Client()
	if err != nil {
		return err
	}
	call, stop := e.Call(ctx)
	defer stop()
	r, err := c.TestHostRules(call, &adminpb.TestHostRulesRequest{User: v.User, Database: v.Database, Address: v.Address, Certificate: v.Certificate, Text: text})
	if err != nil {
		return refused(err)
	}
	v.Outcome, v.Message = r.GetOutcome(), r.GetMessage()
	if r.GetRule() != nil {
		rule := view.NewHostRule(r.GetRule())
		v.Rule = &rule
	}
	one := render.One[view.HostTest]{Kind: "HostTest", Meta: e.Meta(r.GetAsOf()), Item: v, Name: v.Outcome, Text: func(w io.Writer) error { return write(w, &v) }}
	if err := one.Print(e.Term, e.Flags.Output); err != nil {
		return err
	}
	if v.Outcome == "refused" {
		return ctl.Silent(ctl.Unsafe)
	}
	return nil
}

func write(w io.Writer, v *view.HostTest) error {
	rule := "none is about it"
	if v.Rule != nil {
		rule = line(*v.Rule)
		if v.Rule.Line > 0 {
			rule = fmt.Sprintf("line %d: %s", v.Rule.Line, rule)
		} else {
			rule += " (the default)"
		}
	}
	outcome := "let in with " + v.Outcome
	if v.Outcome == "refused" {
		outcome = "refused: " + v.Message
	}
	_, err := fmt.Fprintf(w, "%-8s %s\n%-8s %s\n", "rule", rule, "login", outcome)
	return err
}
