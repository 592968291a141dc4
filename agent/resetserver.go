package agent

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/nodedb/nodedb/agent/internal/admin"
	"github.com/nodedb/nodedb/agent/internal/auth"
	"github.com/nodedb/nodedb/agent/internal/logattr"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/operation"
)

// resetServer answers POST /reset of nodes, which show their certificates, for
// nodedb-agent reset.
type resetServer struct {
	clusterID string
	view      func() *metastate.View
	ask       func(context.Context, operation.ResetRequest) (operation.ResetGrant, error)
	failed    func(error)
}

func (n *Node) resetHandler() *resetServer {
	logger := n.part("reset")
	return &resetServer{
		clusterID: n.id.ClusterID, view: n.machine.View, ask: n.runner.AskReset,
		failed: func(err error) { logger.Warn("a node's reset was not carried out", logattr.Err(err)) },
	}
}

// resetRequest is the body; who asks is in the certificate.
type resetRequest struct {
	UUID string `json:"uuid"`
}

// resetAnswer is what the node gets with status 200.
type resetAnswer struct {
	operation.ResetGrant
	Peers []PeerAddress `json:"peers,omitempty"`
}

// ServeHTTP implements http.Handler.
func (s *resetServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	answer, no := s.answer(r)
	if no != nil {
		w.Header().Set("Connection", "close")
		w.WriteHeader(no.status)
		_ = json.NewEncoder(w).Encode(joinRefusal{Error: no.text})
		return
	}
	_ = json.NewEncoder(w).Encode(answer) // a caller that went away repeats
}

func (s *resetServer) answer(r *http.Request) (*resetAnswer, *refuseJoin) {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
		return nil, &refuseJoin{http.StatusForbidden, "no certificate", "only a node may ask for its reset, with its certificate"}
	}
	who, err := auth.PeerNode(r.TLS, s.clusterID)
	if err != nil {
		return nil, &refuseJoin{http.StatusForbidden, "no node", err.Error()}
	}
	admin.Authenticated(r.Context())
	var req resetRequest
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&req); err != nil {
		return nil, &refuseJoin{http.StatusBadRequest, "malformed request", "the request is not a reset of this version"}
	}
	grant, err := s.ask(r.Context(), operation.ResetRequest{Node: who.Node, UUID: req.UUID})
	if err != nil {
		s.failed(err)
		return nil, &refuseJoin{http.StatusServiceUnavailable, "no meta range", "the meta range has no quorum that answers: start the other nodes first"}
	}
	return &resetAnswer{ResetGrant: grant, Peers: memberAddresses(s.view(), who.Node)}, nil
}
