// Package token is the noun "token": bearer tokens of the admin API, and who
// the caller is.
package token

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

var roles = map[string]adminpb.Role{
	"viewer": adminpb.Role_ROLE_VIEWER, "operator": adminpb.Role_ROLE_OPERATOR, "admin": adminpb.Role_ROLE_ADMIN,
}

// New makes the command token.
func New(e *ctl.Env) *cobra.Command {
	c := &cobra.Command{Use: "token", Aliases: []string{"tokens"}, Short: "Create, list and revoke tokens of the admin API"}
	ls := &cobra.Command{Use: "ls", Aliases: []string{"list"}, Short: "List tokens; never their secrets", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		return e.Repeat(cmd.Context(), func(ctx context.Context) error { return list(ctx, e) })
	}}
	c.AddCommand(newCreate(e), ls, newRevoke(e))
	return c
}

type createOptions struct {
	role, owner string
	ttl         time.Duration
	out         ctl.SecretFile
	change      ctl.Change
}

func newCreate(e *ctl.Env) *cobra.Command {
	var o createOptions
	c := &cobra.Command{
		Use: "create", Short: "Create a token; its secret is written to stdout once", Args: cobra.NoArgs,
		Long: "Create writes the secret to stdout, or with --out to a new file that only you can read.",
		RunE: func(cmd *cobra.Command, _ []string) error { return create(cmd.Context(), e, &o) },
	}
	f := c.Flags()
	f.StringVar(&o.role, "role", "viewer", "viewer|operator|admin")
	f.StringVar(&o.owner, "owner", "", "user that the token acts as (default: you)")
	f.DurationVar(&o.ttl, "ttl", 30*24*time.Hour, "how long it is good")
	o.out.Bind(f)
	o.change.BindInstant(f)
	return c
}

func create(ctx context.Context, e *ctl.Env, o *createOptions) error {
	role, ok := roles[o.role]
	if !ok {
		return ctl.Usagef("--role must be viewer, operator or admin, not %q", o.role)
	}
	plan := ctl.Instant{
		Command: "token create",
		Effects: []string{fmt.Sprintf("would create a token of %s with the role %s, good for %s", cmp.Or(o.owner, "yours"), o.role, render.Duration(o.ttl))},
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
	r, err := c.CreateToken(call, &adminpb.CreateTokenRequest{Owner: o.owner, Role: role, Ttl: o.ttl.Seconds()})
	if err != nil {
		undo()
		return err
	}
	secret, where, err := o.out.Keep(r.GetSecret())
	if err != nil {
		return err
	}
	v := struct {
		view.Token
		Secret string `json:"secret"` // empty: it is in the file of --out
	}{view.NewToken(r.GetToken()), secret}
	one := render.One[any]{
		Kind: "Token", Item: v, Name: cmp.Or(secret, v.ID), Meta: e.Local(),
		Text: func(w io.Writer) error {
			e.Term.Say("token %s of %s, role %s, good until %s; %s", v.ID, v.Owner, v.Role, r.GetToken().GetExpiresAt().AsTime().Format(time.RFC3339), where)
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
	r, err := c.ListTokens(ctx, &adminpb.ListTokensRequest{})
	if err != nil {
		return err
	}
	now := e.Now()
	l := render.List[view.Token]{
		Kind: "TokenList", Meta: e.Meta(r.GetAsOf()), Name: func(t view.Token) string { return t.ID }, Empty: "no token",
		Columns: []render.Column[view.Token]{
			{Head: "TOKEN", Key: "id", Cell: func(t view.Token) string { return t.ID }},
			{Head: "OWNER", Key: "owner", Cell: func(t view.Token) string { return t.Owner }},
			{Head: "ROLE", Key: "role", Cell: func(t view.Token) string { return t.Role }},
			{Head: "EXPIRES", Key: "expiresAt", Cell: func(t view.Token) string { return expires(t, now) }},
			{Head: "BY", Key: "createdBy", Cell: func(t view.Token) string { return render.Or(t.CreatedBy) }},
		},
	}
	for _, t := range r.GetTokens() {
		l.Items = append(l.Items, view.NewToken(t))
	}
	return l.Print(e.Term, e.Flags.Output)
}

func expires(t view.Token, now time.Time) string {
	switch {
	case t.Revoked:
		return "revoked"
	case t.ExpiresAt == nil:
		return "never"
	case now.After(*t.ExpiresAt):
		return "expired"
	}
	return "in " + render.Duration(t.ExpiresAt.Sub(now))
}

func newRevoke(e *ctl.Env) *cobra.Command {
	var change ctl.Change
	c := &cobra.Command{
		Use: "revoke TOKEN", Short: "Revoke a token, by its id; ends its open watches", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if strings.HasPrefix(args[0], "ndb_") {
				return ctl.Usagef("name the token's id, not the token: secrets do not belong on a command line")
			}
			plan := ctl.Instant{Command: "token revoke " + args[0], Effects: []string{"would revoke token " + args[0]}}
			if yes, err := change.Agree(cmd.Context(), e, plan); err != nil || !yes {
				return err
			}
			c, err := e.Client()
			if err != nil {
				return err
			}
			call, cancel := e.Call(cmd.Context())
			defer cancel()
			if _, err := c.RevokeToken(call, &adminpb.RevokeTokenRequest{Id: args[0]}); err != nil {
				return err
			}
			return e.Done("revoke", nil, args, []string{"token " + args[0] + " is revoked"})
		},
	}
	change.BindInstant(c.Flags())
	return c
}

// NewWhoAmI makes the command whoami.
func NewWhoAmI(e *ctl.Env) *cobra.Command {
	return &cobra.Command{
		Use: "whoami", Short: "Who you are to the cluster, and what you may do", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := e.Client()
			if err != nil {
				return err
			}
			call, cancel := e.Call(cmd.Context())
			defer cancel()
			r, err := c.WhoAmI(call, &adminpb.WhoAmIRequest{})
			if err != nil {
				return err
			}
			v := view.NewWhoAmI(r)
			one := render.One[view.WhoAmI]{
				Kind: "WhoAmI", Item: v, Name: v.Name, Meta: render.Meta{Cluster: v.Cluster, Complete: true, Missing: []uint32{}, AsOf: render.AsOf{Time: e.Now().UTC()}},
				Text: func(w io.Writer) error {
					_, err := fmt.Fprintf(w, "%s  role %s  via %s  cluster %s  answered by %s\n", v.Name, v.Role, v.Via, v.Cluster, render.Node(v.Node))
					return err
				},
			}
			return one.Print(e.Term, e.Flags.Output)
		},
	}
}
