package agent

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/nodedb/nodedb/agent/internal/admin"
	"github.com/nodedb/nodedb/agent/internal/auth"
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/logattr"
)

const (
	methodGiveCA = "cert.giveca" // the holder of the CA's key hands it to another node
	methodTakeCA = "cert.takeca" // a node takes the CA's key
)

type giveCARequest struct {
	To cluster.NodeID `json:"to"`
}

type takeCARequest struct {
	Key []byte `json:"key"` // PEM
}

// MoveCAKey implements admin.KeyMaker.
func (b *backend) MoveCAKey(ctx context.Context, from, to cluster.NodeID) error {
	payload, err := json.Marshal(giveCARequest{To: to})
	if err != nil {
		return err
	}
	if from == b.n.id.Node {
		err = b.n.giveCAKey(ctx, to)
	} else {
		_, err = b.n.callNode(ctx, from, methodGiveCA, payload)
	}
	if err != nil {
		return &admin.Error{Kind: admin.KindUnavailable, Err: err, Message: fmt.Sprintf(
			"the CA's key was not moved: %v; nodedbctl cert show says which nodes hold it, the same command may be repeated", err)}
	}
	return nil
}

// giveCAKey hands the CA's key to another node, which has it durably before this
// node removes its own: cut short, both hold it. A node's word is not enough for
// it: the meta range must have recorded that an admin asked.
func (n *Node) giveCAKey(ctx context.Context, to cluster.NodeID) error {
	if err := n.catchUp(ctx); err != nil {
		return err
	}
	if to == n.id.Node || !n.machine.View().CAKeyMayGo(n.id.Node, to) {
		return fmt.Errorf("the meta range has no record that the CA's key is to go from %s to %s", n.id.Node, to)
	}
	ca, err := n.issuer()
	if err != nil {
		return err
	}
	keyPEM, err := ca.KeyPEM()
	if err != nil {
		return err
	}
	payload, err := json.Marshal(takeCARequest{Key: keyPEM})
	if err != nil {
		return err
	}
	if _, err := n.callNode(ctx, to, methodTakeCA, payload); err != nil {
		return fmt.Errorf("%s did not take it: %w", to, err)
	}
	if err := auth.DropCAKey(certsPath(n.cfg.DataDir)); err != nil {
		return fmt.Errorf("%s has it, but it is not removed from %s: %w", to, n.id.Node, err)
	}
	n.logger.Info("the CA's key was handed to another node", logattr.Peer(to))
	return nil
}

func (n *Node) takeCAKey(from cluster.NodeID, payload []byte) error {
	var ask takeCARequest
	if err := json.Unmarshal(payload, &ask); err != nil {
		return err
	}
	if _, err := auth.TakeCAKey(certsPath(n.cfg.DataDir), ask.Key); err != nil {
		return err
	}
	n.logger.Info("this node holds the CA's key from now on", logattr.Peer(from))
	return nil
}

// caKeyMethods answer the other nodes.
func (n *Node) caKeyMethods() map[string]method {
	return map[string]method{
		methodGiveCA: func(ctx context.Context, _ cluster.NodeID, payload []byte) ([]byte, error) {
			var ask giveCARequest
			if err := json.Unmarshal(payload, &ask); err != nil {
				return nil, err
			}
			return nil, n.giveCAKey(ctx, ask.To)
		},
		methodTakeCA: func(_ context.Context, from cluster.NodeID, payload []byte) ([]byte, error) {
			return nil, n.takeCAKey(from, payload)
		},
	}
}
