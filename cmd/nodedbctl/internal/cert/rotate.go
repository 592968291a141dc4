package cert

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/ctl"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/view"
)

func newRotateCA(e *ctl.Env) *cobra.Command {
	var change ctl.Change
	var file string
	c := &cobra.Command{
		Use: "rotate-ca stage|activate|finalize|abort|status", Short: "Replace the cluster's CA, step by step", Args: cobra.ExactArgs(1), Long: rotationHelp,
		RunE: func(cmd *cobra.Command, args []string) error {
			var given []byte
			if file != "" {
				var err error
				if given, err = os.ReadFile(file); err != nil {
					return ctl.Usagef("--ca-certificate: %v", err)
				}
			}
			if yes, err := agreeStep(cmd.Context(), e, &change, "rotate-ca", "the CA", args[0]); err != nil || !yes {
				return err
			}
			c, err := e.Client()
			if err != nil {
				return err
			}
			call, cancel := e.Call(cmd.Context())
			defer cancel()
			r, err := c.RotateCA(call, &adminpb.RotateCARequest{Step: args[0], Reason: change.Reason, CaCertificate: given, NodeTimeout: e.NodeTimeout()})
			if err != nil {
				return err
			}
			rot := r.GetRotation()
			return printRotation(e, view.NewRotation("ca", rot.GetStep(), rot.GetNext(), rot.GetTrusting(), rot.GetWaiting()), "rotate-ca")
		},
	}
	c.Flags().StringVar(&file, "ca-certificate", "", "certificate of a CA made offline, to stage (default: the cluster makes one)")
	change.BindInstant(c.Flags())
	return c
}

func newRotateGossip(e *ctl.Env) *cobra.Command {
	var change ctl.Change
	c := &cobra.Command{
		Use: "rotate-gossip stage|activate|finalize|abort|status", Short: "Replace the key of gossip, step by step", Args: cobra.ExactArgs(1), Long: rotationHelp,
		RunE: func(cmd *cobra.Command, args []string) error {
			if yes, err := agreeStep(cmd.Context(), e, &change, "rotate-gossip", "the gossip key", args[0]); err != nil || !yes {
				return err
			}
			c, err := e.Client()
			if err != nil {
				return err
			}
			call, cancel := e.Call(cmd.Context())
			defer cancel()
			r, err := c.RotateGossipKey(call, &adminpb.RotateGossipKeyRequest{Step: args[0], Reason: change.Reason, NodeTimeout: e.NodeTimeout()})
			if err != nil {
				return err
			}
			return printRotation(e, view.NewRotation("gossip-key", r.GetStep(), "", r.GetAcknowledged(), r.GetWaiting()), "rotate-gossip")
		},
	}
	change.BindInstant(c.Flags())
	return c
}

// agreeStep asks for consent; a look at the status needs none.
func agreeStep(ctx context.Context, e *ctl.Env, change *ctl.Change, verb, what, step string) (bool, error) {
	if step == "status" {
		return true, nil
	}
	return change.Agree(ctx, e, ctl.Instant{Command: "cert " + verb + " " + step, Effects: []string{fmt.Sprintf("would %s the rotation of %s", step, what)}})
}
