package cert

import (
	"github.com/spf13/cobra"

	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/ctl"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/render"
)

func newMoveCA(e *ctl.Env) *cobra.Command {
	var change ctl.Change
	var to string
	c := &cobra.Command{
		Use: "move-ca --to NODE", Short: "Hand the key of the CA to another node, such as before a decommission", Args: cobra.NoArgs,
		Long: "The node that holds the key lets nodes join and signs certificates. The other node has the key durably\n" +
			"before the first one removes its own; cut short, both hold it, and the command may be repeated.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if to == "" {
				return ctl.Usagef("say with --to which node is to hold the CA's key")
			}
			nodes, err := e.ResolveNodes(cmd.Context(), []string{to})
			if err != nil {
				return err
			}
			id := nodes[0].GetId()
			plan := ctl.Instant{Command: "cert move-ca --to " + render.Node(id), Nodes: []uint32{id}, Effects: []string{"would hand the CA's key to " + render.Node(id)}}
			if yes, err := change.Agree(cmd.Context(), e, plan); err != nil || !yes {
				return err
			}
			c, err := e.Client()
			if err != nil {
				return err
			}
			call, cancel := e.Call(cmd.Context())
			defer cancel()
			r, err := c.MoveCAKey(call, &adminpb.MoveCAKeyRequest{To: id, Reason: change.Reason})
			if err != nil {
				return err
			}
			if r.GetFrom() == r.GetTo() {
				e.Term.Say("nothing to do: %s holds the CA's key", render.Node(id))
				return nil
			}
			e.Term.Say("the CA's key is on %s now, and on %s no more", render.Node(r.GetTo()), render.Node(r.GetFrom()))
			return nil
		},
	}
	c.Flags().StringVar(&to, "to", "", "`node` that is to hold the key")
	change.BindInstant(c.Flags())
	return c
}
