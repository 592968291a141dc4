// Package cert is the noun "cert": certificates of nodes and clients, the CA that
// signs them, and the key that gossip is encrypted with.
package cert

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/ctl"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/render"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/view"
)

// New makes the command cert.
func New(e *ctl.Env) *cobra.Command {
	c := &cobra.Command{
		Use: "cert", Aliases: []string{"certs"}, Short: "Certificates: make, show, renew, revoke, rotate the CA",
		Long: "create-ca, create-node and create-client --ca-key work without a cluster, on the machine that holds\n" +
			"the CA's key; create-client alone has the cluster sign, if a node holds the key.",
	}
	var roots bool
	show := &cobra.Command{
		Use: "show", Aliases: []string{"ls"}, Short: "List CAs, the nodes' certificates, and clients' that the cluster signed or revoked", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return e.Repeat(cmd.Context(), func(ctx context.Context) error { return list(ctx, e, roots) })
		},
	}
	show.Flags().BoolVar(&roots, "roots", false, "write the CAs that are trusted now, as PEM: for the context's CA file after a rotation")
	c.AddCommand(newCreateCA(e), newCreateNode(e), newCreateClient(e), show, newRenew(e), newRevoke(e), newRotateCA(e), newRotateGossip(e), newMoveCA(e))
	return c
}

func list(ctx context.Context, e *ctl.Env, roots bool) error {
	c, err := e.Client()
	if err != nil {
		return err
	}
	call, cancel := e.Call(ctx)
	defer cancel()
	r, err := c.ListCertificates(call, &adminpb.ListCertificatesRequest{NodeTimeout: e.NodeTimeout()})
	if err != nil {
		return err
	}
	if roots {
		_, err := e.Term.Out.Write(r.GetRoots())
		return err
	}
	l := render.List[view.Certificate]{
		Kind: "CertificateList", Meta: e.Meta(r.GetAsOf()), Name: func(c view.Certificate) string { return c.Serial }, Empty: "no certificate",
		Columns: []render.Column[view.Certificate]{
			{Head: "KIND", Key: "kind", Cell: func(c view.Certificate) string { return c.Kind }},
			{Head: "SUBJECT", Key: "subject", Cell: func(c view.Certificate) string { return render.Or(c.Subject) }},
			{Head: "EXPIRES", Key: "notAfter", Cell: expires},
			{Head: "SERIAL", Key: "serial", Cell: func(c view.Certificate) string { return c.Serial }},
			{Head: "FINGERPRINT", Key: "fingerprint", Cell: func(c view.Certificate) string { return fmt.Sprintf("%.16s", render.Or(c.Fingerprint)) }},
			{Head: "KEY ON", Key: "keyOn", Cell: func(c view.Certificate) string { return render.Or(render.Nodes(c.KeyOn, ",")) }},
			{Head: "TRUSTED BY", Key: "trustedBy", Cell: func(c view.Certificate) string { return render.Or(render.Nodes(c.TrustedBy, ",")) }},
			{Head: "ISSUER", Key: "issuer", Wide: true, Cell: func(c view.Certificate) string { return render.Or(c.Issuer) }},
		},
	}
	for _, c := range r.GetCertificates() {
		l.Items = append(l.Items, view.NewCertificate(c))
	}
	if err := l.Print(e.Term, e.Flags.Output); err != nil {
		return err
	}
	if rot := r.GetRotation(); rot.GetStep() != "none" && e.Flags.Output.Text() {
		e.Term.Say("rotation of the CA: %s, waits for %s", rot.GetStep(), render.Or(render.Nodes(rot.GetWaiting(), ", ")))
	}
	return e.Whole()
}

func expires(c view.Certificate) string {
	switch {
	case c.Revoked:
		return "revoked"
	case c.NotAfter == nil:
		return render.Or("")
	case c.DaysLeft < 0:
		return "expired"
	}
	return "in " + render.Duration(time.Duration(c.DaysLeft*24*float64(time.Hour)))
}

func newRenew(e *ctl.Env) *cobra.Command {
	var change ctl.Change
	c := &cobra.Command{
		Use: "renew NODE...", Short: "Have nodes replace their certificates now, without a restart", Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			nodes, err := e.ResolveNodes(cmd.Context(), args)
			if err != nil {
				return err
			}
			plan := ctl.Instant{Command: "cert renew"}
			for _, n := range nodes {
				plan.Command += " " + render.Node(n.GetId())
				plan.Nodes = append(plan.Nodes, n.GetId())
				plan.Effects = append(plan.Effects, "would renew the certificate of "+render.Node(n.GetId()))
			}
			if yes, err := change.Agree(cmd.Context(), e, plan); err != nil || !yes {
				return err
			}
			c, err := e.Client()
			if err != nil {
				return err
			}
			var names, lines []string
			for _, id := range plan.Nodes {
				call, cancel := e.Call(cmd.Context())
				r, err := c.RenewCertificate(call, &adminpb.RenewCertificateRequest{Node: id})
				cancel()
				if err != nil {
					return err
				}
				names = append(names, render.Node(id))
				lines = append(lines, fmt.Sprintf("%s has a new certificate, good until %s", render.Node(id), r.GetCertificate().GetNotAfter().AsTime().Format(time.RFC3339)))
			}
			return e.Done("renew", plan.Nodes, names, lines)
		},
	}
	change.BindInstant(c.Flags())
	return c
}

func newRevoke(e *ctl.Env) *cobra.Command {
	var change ctl.Change
	c := &cobra.Command{
		Use: "revoke SERIAL", Short: "Revoke a client's certificate; what it opened is closed", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			plan := ctl.Instant{Command: "cert revoke " + args[0], Effects: []string{"would revoke certificate " + args[0]}}
			if yes, err := change.Agree(cmd.Context(), e, plan); err != nil || !yes {
				return err
			}
			c, err := e.Client()
			if err != nil {
				return err
			}
			call, cancel := e.Call(cmd.Context())
			defer cancel()
			if _, err := c.RevokeCertificate(call, &adminpb.RevokeCertificateRequest{Serial: args[0], Reason: change.Reason}); err != nil {
				return err
			}
			return e.Done("revoke", nil, args, []string{"certificate " + args[0] + " is revoked"})
		},
	}
	change.BindInstant(c.Flags())
	return c
}

// printRotation says how far a rotation has come and what is next.
func printRotation(e *ctl.Env, v view.Rotation, verb string) error {
	one := render.One[view.Rotation]{
		Kind: "Rotation", Item: v, Name: v.Step, Meta: e.Local(),
		Text: func(w io.Writer) error {
			_, err := fmt.Fprintf(w, "%s  %s  ready %s  waiting %s\n", v.Of, v.Step, render.Or(render.Nodes(v.Ready, ",")), render.Or(render.Nodes(v.Waiting, ",")))
			if next := map[string]string{"staged": "activate", "active": "finalize"}[v.Step]; next != "" {
				e.Term.Say("next  nodedbctl cert %s %s, once no node is waited for", verb, next)
			}
			return err
		},
	}
	return one.Print(e.Term, e.Flags.Output)
}

const rotationHelp = "Steps, in order: stage makes the new one known to all nodes; activate uses it, and refuses until\n" +
	"all nodes report to know it; finalize drops the old one, and refuses until all nodes report to use\n" +
	"the new one. status tells how far it is; abort drops what was staged."
