package admin

import (
	"context"
	"crypto/x509"
	"fmt"
	"time"

	"github.com/nodedb/nodedb/agent/internal/auth"
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/placement"
	"github.com/nodedb/nodedb/client/adminpb"
)

// stepStatus asks how far a rotation has come.
const stepStatus = "status"

// caRotation is how far the rotation of the CA has come, as the nodes report.
func (s *sight) caRotation() *adminpb.CARotation {
	out := &adminpb.CARotation{Step: "none"}
	r := s.View.CARotation
	if r == nil {
		return out
	}
	next := fingerprintOf(r.Next)
	out.Step, out.Next = r.State, next
	ready := s.reporting(func(k *cluster.KeyStatus) bool { return trusts(k, next) })
	if r.State == metastate.RotationActive {
		ready = s.reporting(func(k *cluster.KeyStatus) bool { return k.Issuer == next })
	}
	out.Trusting, out.Waiting = nodeIDs(ready), nodeIDs(s.without(ready))
	return out
}

func trusts(k *cluster.KeyStatus, ca string) bool {
	for _, t := range k.Trusts {
		if t == ca {
			return true
		}
	}
	return false
}

// fingerprintOf is that of the first certificate of a PEM text; "": there is none.
func fingerprintOf(text string) string {
	certs, err := auth.ParseCerts([]byte(text))
	if err != nil {
		return ""
	}
	return auth.Fingerprint(certs[0])
}

// RotateCA implements adminpb.AdminHandler. Each step refuses until every member
// has reported what it needs: one that is down would be shut out.
func (s *service) RotateCA(ctx context.Context, r *adminpb.RotateCARequest) (*adminpb.RotateCAResponse, error) {
	look, err := s.look(ctx, r.GetNodeTimeout())
	if err != nil {
		return nil, err
	}
	cmd := &metastate.RotateCA{Step: r.GetStep(), Reason: r.GetReason()}
	switch r.GetStep() {
	case stepStatus:
		return &adminpb.RotateCAResponse{Rotation: look.caRotation()}, nil
	case metastate.StepStage:
		if cmd.Next, err = s.nextCA(ctx, look, r.GetCaCertificate()); err != nil {
			return nil, err
		}
	case metastate.StepActivate:
		if err := waits(look.caRotation().GetWaiting(), "does not trust the new CA yet", "do not trust the new CA yet"); err != nil {
			return nil, err
		}
	case metastate.StepFinalize:
		if err := waits(look.caRotation().GetWaiting(), "still has a certificate of the old CA", "still have certificates of the old CA"); err != nil {
			return nil, err
		}
	case metastate.StepAbort:
	default:
		return nil, &Error{Kind: KindInvalid, Message: fmt.Sprintf("unknown step %q: stage, activate, finalize, abort or status", r.GetStep())}
	}
	if _, err := s.propose(ctx, metastate.Command{RotateCA: cmd}); err != nil {
		return nil, err
	}
	if look, err = s.look(ctx, r.GetNodeTimeout()); err != nil {
		return nil, err
	}
	return &adminpb.RotateCAResponse{Rotation: look.caRotation()}, nil
}

// nextCA is the certificate of the CA to stage: given, or made by the cluster.
func (s *service) nextCA(ctx context.Context, look *sight, given []byte) (string, error) {
	if look.View.CARotation != nil {
		return "", &Error{Kind: KindConflict, Message: "a rotation of the CA is " + look.View.CARotation.State + " already"}
	}
	if len(given) == 0 {
		text, err := s.backend.NextCA(ctx)
		return string(text), err
	}
	certs, err := auth.ParseCerts(given)
	if err != nil || len(certs) != 1 {
		return "", &Error{Kind: KindInvalid, Message: "ca_certificate must be one PEM certificate"}
	}
	if c := certs[0]; !c.IsCA || c.KeyUsage&x509.KeyUsageCertSign == 0 || time.Now().After(c.NotAfter) || c.CheckSignatureFrom(c) != nil {
		return "", &Error{Kind: KindInvalid, Message: "ca_certificate is not that of a CA, or it has expired"}
	}
	return string(given), nil
}

// waits refuses a step for which nodes are not ready.
func waits(waiting []uint32, one, many string) error {
	if len(waiting) == 0 {
		return nil
	}
	ids := fromNodeIDs(waiting)
	verb := many
	if len(ids) == 1 {
		verb = one
	}
	return &Error{Kind: KindUnsafe, Message: nodeNames(ids) + " " + verb, Refusals: []placement.Refusal{{
		Code: "NOT_ACKNOWLEDGED", Why: nodeNames(ids) + " " + verb, Nodes: ids,
		Fixes: []placement.Fix{{Does: "wait, or start the nodes that are down", Command: "nodedbctl cert show"}},
	}}}
}

// RotateGossipKey implements adminpb.AdminHandler: in three steps, each
// acknowledged by every member before the next.
func (s *service) RotateGossipKey(ctx context.Context, r *adminpb.RotateGossipKeyRequest) (*adminpb.RotateGossipKeyResponse, error) {
	look, err := s.look(ctx, r.GetNodeTimeout())
	if err != nil {
		return nil, err
	}
	cmd := &metastate.RotateGossip{Step: r.GetStep(), Reason: r.GetReason()}
	switch r.GetStep() {
	case stepStatus:
		return look.gossipRotation(), nil
	case metastate.StepStage:
		if look.View.GossipRotation != nil {
			return nil, &Error{Kind: KindConflict, Message: "a rotation of the gossip key is " + look.View.GossipRotation.State + " already"}
		}
		if cmd.Next, err = s.backend.NewGossipKey(); err != nil {
			return nil, err
		}
	case metastate.StepActivate:
		if err := waits(look.gossipRotation().GetWaiting(), "does not have the new key yet", "do not have the new key yet"); err != nil {
			return nil, err
		}
	case metastate.StepFinalize:
		if err := waits(look.gossipRotation().GetWaiting(), "does not use the new key yet", "do not use the new key yet"); err != nil {
			return nil, err
		}
	case metastate.StepAbort:
	default:
		return nil, &Error{Kind: KindInvalid, Message: fmt.Sprintf("unknown step %q: stage, activate, finalize, abort or status", r.GetStep())}
	}
	if _, err := s.propose(ctx, metastate.Command{RotateGossip: cmd}); err != nil {
		return nil, err
	}
	if look, err = s.look(ctx, r.GetNodeTimeout()); err != nil {
		return nil, err
	}
	return look.gossipRotation(), nil
}

func (s *sight) gossipRotation() *adminpb.RotateGossipKeyResponse {
	out := &adminpb.RotateGossipKeyResponse{Step: "none"}
	r := s.View.GossipRotation
	if r == nil {
		return out
	}
	out.Step = r.State
	done := s.reporting(func(k *cluster.KeyStatus) bool {
		for i, g := range k.Gossip {
			if g == r.Next {
				return i == 0 || r.State == metastate.RotationStaged
			}
		}
		return false
	})
	out.Acknowledged, out.Waiting = nodeIDs(done), nodeIDs(s.without(done))
	return out
}
