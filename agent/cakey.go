package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"github.com/nodedb/nodedb/agent/internal/admin"
	"github.com/nodedb/nodedb/agent/internal/audit"
	"github.com/nodedb/nodedb/agent/internal/auth"
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/logattr"
	"github.com/nodedb/nodedb/agent/internal/metastate"
)

const (
	methodGiveCA = "cert.giveca" // the holder of the CA's key hands it to another node
	methodTakeCA = "cert.takeca" // a node takes the CA's key
)

type giveCARequest struct {
	Record uint64         `json:"record"` // of the move, in the meta range
	To     cluster.NodeID `json:"to"`
}

type takeCARequest struct {
	Record uint64 `json:"record"`
	Key    []byte `json:"key"` // PEM
}

// caKeyMover hands the CA's key to another node, or takes it. Being a node of the
// cluster gives nobody a right to either: both ends look for the record of what an
// admin has asked for, with all that the meta range has accepted until then.
type caKeyMover struct {
	id      cluster.NodeID
	certDir string // of ca.crt and ca.key
	caPass  *auth.Passphrase
	issuer  func() (*auth.CA, error)
	view    func() *metastate.View
	catchUp func(context.Context) error
	propose func(context.Context, metastate.Command) (metastate.Result, error)
	call    func(ctx context.Context, to cluster.NodeID, method string, payload []byte) ([]byte, error)
	denied  func(audit.Entry) // the node's log of denials
	logger  *slog.Logger
}

func (n *Node) caKeyMover() *caKeyMover {
	return &caKeyMover{
		id: n.id.Node, certDir: certsPath(n.cfg.DataDir), caPass: n.caPass, issuer: n.issuer,
		view: n.machine.View, catchUp: n.catchUp, propose: n.meta.Propose, call: n.callNode, denied: n.logins.Add, logger: n.logger,
	}
}

// MoveCAKey implements admin.KeyMaker.
func (b *backend) MoveCAKey(ctx context.Context, record uint64, from, to cluster.NodeID) error {
	payload, err := json.Marshal(giveCARequest{Record: record, To: to})
	if err != nil {
		return err
	}
	if from == b.n.id.Node {
		err = b.n.caKeyMover().give(ctx, from, payload)
	} else {
		_, err = b.n.callNode(ctx, from, methodGiveCA, payload)
	}
	if err != nil {
		return &admin.Error{Kind: admin.KindUnavailable, Err: err, Message: fmt.Sprintf(
			"the CA's key was not moved: %v; nodedbctl cert show says which nodes hold it, the same command may be repeated", err)}
	}
	return nil
}

// recorded refuses a move that the meta range has no record of, and writes the
// refusal down. asker is the node that wants it.
func (m *caKeyMover) recorded(ctx context.Context, asker cluster.NodeID, record uint64, from, to cluster.NodeID) error {
	if err := m.catchUp(ctx); err != nil {
		return fmt.Errorf("the record of the move cannot be looked for: %w", err)
	}
	err := m.view().CheckCAKeyMove(record, from, to, time.Now())
	if err != nil {
		m.denied(audit.Entry{User: asker.String(), Via: metastate.ViaAgent, Action: "MoveCAKey", Decision: metastate.DecisionRefused, Why: err.Error()})
		m.logger.Warn("a move of the CA's key was refused", logattr.Peer(asker), logattr.Err(err))
	}
	return err
}

// give hands the CA's key to the node that the record names. That node has it
// durably, and the record is consumed, before this one removes its own: cut short,
// both hold it.
func (m *caKeyMover) give(ctx context.Context, asker cluster.NodeID, payload []byte) error {
	var ask giveCARequest
	if err := json.Unmarshal(payload, &ask); err != nil {
		return err
	}
	ca, err := m.issuer()
	if err != nil {
		return err
	}
	if err := m.recorded(ctx, asker, ask.Record, m.id, ask.To); err != nil {
		return err
	}
	keyPEM, err := ca.KeyPEM()
	if err != nil {
		return err
	}
	out, err := json.Marshal(takeCARequest{Record: ask.Record, Key: keyPEM})
	if err != nil {
		return err
	}
	if _, err := m.call(ctx, ask.To, methodTakeCA, out); err != nil {
		return fmt.Errorf("%s did not take it: %w", ask.To, err)
	}
	res, err := m.propose(metastate.WithoutActor(ctx), metastate.Command{
		By: m.id.String(), Via: metastate.ViaAgent, EndCAKeyMove: &metastate.EndCAKeyMove{Record: ask.Record},
	})
	if err == nil {
		err = res.Err()
	}
	if err != nil {
		return fmt.Errorf("%s has it, and so has %s still: %w", ask.To, m.id, err)
	}
	if err := auth.DropCAKey(m.certDir); err != nil {
		return fmt.Errorf("%s has it, but it is not removed from %s: %w", ask.To, m.id, err)
	}
	m.logger.Info("the CA's key was handed to another node", logattr.Peer(ask.To))
	return nil
}

func (m *caKeyMover) take(ctx context.Context, from cluster.NodeID, payload []byte) error {
	var ask takeCARequest
	if err := json.Unmarshal(payload, &ask); err != nil {
		return err
	}
	if err := m.recorded(ctx, from, ask.Record, from, m.id); err != nil {
		return err
	}
	if _, err := auth.TakeCAKey(m.certDir, ask.Key, m.caPass); err != nil {
		return err
	}
	how := "not encrypted: this node has no passphrase for it"
	if m.caPass.Set() {
		how = "encrypted by this node's passphrase"
	}
	m.logger.Info("this node holds the CA's key from now on", logattr.Peer(from), logattr.Reason(how))
	return nil
}

// caKeyMethods answer the other nodes. Who asks is known from its certificate.
func (n *Node) caKeyMethods() map[string]method {
	return map[string]method{
		methodGiveCA: func(ctx context.Context, from cluster.NodeID, payload []byte) ([]byte, error) {
			return nil, n.caKeyMover().give(ctx, from, payload)
		},
		methodTakeCA: func(ctx context.Context, from cluster.NodeID, payload []byte) ([]byte, error) {
			return nil, n.caKeyMover().take(ctx, from, payload)
		},
	}
}
