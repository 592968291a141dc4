// Package jointoken is the noun "join-token": what lets a new node join.
package jointoken

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/ctl"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/render"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/view"
)

// New makes the command join-token.
func New(e *ctl.Env) *cobra.Command {
	c := &cobra.Command{Use: "join-token", Aliases: []string{"join-tokens"}, Short: "Create, list and revoke the tokens that let nodes join"}
	ls := &cobra.Command{Use: "ls", Aliases: []string{"list"}, Short: "List join tokens that are good; never their secrets", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		return e.Repeat(cmd.Context(), func(ctx context.Context) error { return list(ctx, e) })
	}}
	c.AddCommand(newCreate(e), ls, newRevoke(e))
	return c
}

type createOptions struct {
	node   string
	ttl    time.Duration
	uses   uint32
	out    ctl.SecretFile
	change ctl.Change
}

func newCreate(e *ctl.Env) *cobra.Command {
	var o createOptions
	c := &cobra.Command{
		Use: "create", Short: "Create a join token; its secret is written to stdout once", Args: cobra.NoArgs,
		Long: "Create writes the secret to stdout, or with --out to a new file that only you can read.",
		RunE: func(cmd *cobra.Command, _ []string) error { return create(cmd.Context(), e, &o) },
	}
	f := c.Flags()
	f.StringVar(&o.node, "node", "", "only a node of this name may use it")
	f.DurationVar(&o.ttl, "ttl", 15*time.Minute, "how long it is good")
	f.Uint32Var(&o.uses, "uses", 1, "how many nodes may join with it")
	o.out.Bind(f)
	o.change.BindInstant(f)
	return c
}

func create(ctx context.Context, e *ctl.Env, o *createOptions) error {
	if o.uses == 0 {
		return ctl.Usagef("--uses must be at least 1")
	}
	plan := ctl.Instant{
		Command: "join-token create", Effects: []string{fmt.Sprintf("would create a join token for %s, good for %s", render.Plural(int(o.uses), "node"), render.Duration(o.ttl))},
	}
	if yes, err := o.change.Agree(ctx, e, plan); err != nil || !yes {
		return err
	}
	c, err := e.Client()
	if err != nil {
		return err
	}
	undo, err := o.out.Reserve()
	if err != nil {
		return err
	}
	call, cancel := e.Call(ctx)
	defer cancel()
	r, err := c.CreateJoinToken(call, &adminpb.CreateJoinTokenRequest{NodeName: o.node, Ttl: o.ttl.Seconds(), Uses: o.uses})
	if err != nil {
		undo()
		return err
	}
	secret, where, err := o.out.Keep(r.GetSecret())
	if err != nil {
		return err
	}
	v := struct {
		view.JoinToken
		Secret string `json:"secret"` // empty: it is in the file of --out
	}{view.NewJoinToken(r.GetToken()), secret}
	one := render.One[any]{
		Kind: "JoinToken", Item: v, Name: cmp.Or(secret, v.ID), Meta: e.Local(),
		Text: func(w io.Writer) error {
			e.Term.Say("join token %s for %s, good for %s; %s. On the new node:\n  nodedb-agent join --data-dir D --peer HOST:ADMINPORT --token-file FILE",
				v.ID, render.Plural(int(o.uses), "node"), render.Duration(o.ttl), where)
			return ctl.ShowSecret(w, secret)
		},
	}
	return one.Print(e.Term, e.Flags.Output)
}

func list(ctx context.Context, e *ctl.Env) error {
	c, err := e.Client()
	if err != nil {
		return err
	}
	r, err := c.ListJoinTokens(ctx, &adminpb.ListJoinTokensRequest{})
	if err != nil {
		return err
	}
	now := e.Now()
	l := render.List[view.JoinToken]{
		Kind: "JoinTokenList", Meta: e.Meta(r.GetAsOf()), Name: func(t view.JoinToken) string { return t.ID }, Empty: "no join token is good",
		Columns: []render.Column[view.JoinToken]{
			{Head: "TOKEN", Key: "id", Cell: func(t view.JoinToken) string { return t.ID }},
			{Head: "NODE", Key: "node", Cell: func(t view.JoinToken) string { return render.Or(t.Node) }},
			{Head: "USES LEFT", Key: "usesLeft", Right: true, Cell: func(t view.JoinToken) string { return fmt.Sprintf("%d/%d", t.UsesLeft, t.Uses) }},
			{Head: "EXPIRES", Key: "expiresAt", Cell: func(t view.JoinToken) string { return expires(t, now) }},
			{Head: "BY", Key: "createdBy", Cell: func(t view.JoinToken) string { return render.Or(t.CreatedBy) }},
		},
	}
	for _, t := range r.GetTokens() {
		l.Items = append(l.Items, view.NewJoinToken(t))
	}
	return l.Print(e.Term, e.Flags.Output)
}

func expires(t view.JoinToken, now time.Time) string {
	if t.ExpiresAt == nil {
		return render.None
	}
	return "in " + render.Duration(t.ExpiresAt.Sub(now))
}

func newRevoke(e *ctl.Env) *cobra.Command {
	var change ctl.Change
	c := &cobra.Command{
		Use: "revoke TOKEN", Short: "Revoke a join token, by its id", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if strings.HasPrefix(args[0], "ndbjoin1.") {
				return ctl.Usagef("name the token's id, not the token: secrets do not belong on a command line")
			}
			plan := ctl.Instant{Command: "join-token revoke " + args[0], Effects: []string{"would revoke join token " + args[0]}}
			if yes, err := change.Agree(cmd.Context(), e, plan); err != nil || !yes {
				return err
			}
			c, err := e.Client()
			if err != nil {
				return err
			}
			call, cancel := e.Call(cmd.Context())
			defer cancel()
			if _, err := c.RevokeJoinToken(call, &adminpb.RevokeJoinTokenRequest{Id: args[0]}); err != nil {
				return err
			}
			return e.Done("revoke", nil, args, []string{"join token " + args[0] + " is revoked"})
		},
	}
	change.BindInstant(c.Flags())
	return c
}
