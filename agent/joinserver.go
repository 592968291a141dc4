package agent

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/google/uuid"

	"github.com/nodedb/nodedb/agent/internal/auth"
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/gossip"
	"github.com/nodedb/nodedb/agent/internal/logattr"
	"github.com/nodedb/nodedb/agent/internal/metastate"
)

// joinServer answers POST /join on nodes that hold the CA's key, and says that
// there is none on the others. Nobody is authenticated here but by the token.
type joinServer struct {
	id      Identity
	certDir string // of ca.crt and ca.key
	certs   *auth.Source
	keys    func() [][]byte // of gossip
	view    func() *metastate.View
	propose func(context.Context, metastate.Command) (metastate.Result, error)
	logger  *slog.Logger
	unknown joinLimit
}

func (n *Node) joinHandler() http.Handler {
	return &joinServer{
		id: n.id, certDir: certsPath(n.cfg.DataDir), certs: n.certs, keys: n.gossipKeys,
		view: n.machine.View, propose: n.meta.Propose, logger: n.part("join"),
	}
}

// ServeHTTP implements http.Handler.
func (s *joinServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	resp, err := s.answer(r)
	w.Header().Set("Content-Type", "application/json")
	if err == nil {
		_ = json.NewEncoder(w).Encode(resp) // a caller that went away repeats
		return
	}
	var no *refuseJoin
	if !errors.As(err, &no) {
		s.logger.Error("join failed", logattr.Err(err))
		no = &refuseJoin{http.StatusInternalServerError, fmt.Sprintf("%s failed: see its log", s.id.Node)}
	} else {
		s.logger.Warn("join refused", logattr.Address(r.RemoteAddr), logattr.Reason(no.text))
	}
	w.WriteHeader(no.status)
	_ = json.NewEncoder(w).Encode(joinRefusal{Error: no.text})
}

// refuseJoin is an answer to a join that says no.
type refuseJoin struct {
	status int
	text   string
}

func (r *refuseJoin) Error() string { return r.text }

func (s *joinServer) answer(r *http.Request) (*joinResponse, error) {
	var req joinRequest
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&req); err != nil {
		return nil, &refuseJoin{http.StatusBadRequest, "the request is not a join request of this version"}
	}
	ca, err := auth.LoadCA(s.certDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &refuseJoin{http.StatusForbidden, fmt.Sprintf("%s holds no CA key and issues no certificates: join through the node that was initialised", s.id.Node)}
	}
	if err != nil {
		return nil, fmt.Errorf("read the CA key: %w", err)
	}
	pub, keyHash, err := auth.CSRKey(req.CSR)
	if err != nil {
		return nil, &refuseJoin{http.StatusBadRequest, err.Error()}
	}
	if err := req.check(); err != nil {
		return nil, &refuseJoin{http.StatusBadRequest, err.Error()}
	}
	hash := auth.JoinToken{ID: req.TokenID, Secret: req.Secret}.Hash()
	if err := s.checkJoinToken(req.TokenID, hash); err != nil {
		return nil, err
	}
	id, err := s.admitJoin(r.Context(), req, hash, keyHash)
	if err != nil {
		return nil, err
	}
	cert, err := ca.IssueNode(s.id.ClusterID, id, hostsOf(req.Addresses), pub)
	if err != nil {
		return nil, fmt.Errorf("sign the certificate of %s: %w", id, err)
	}
	v := s.view()
	out := &joinResponse{
		ClusterID: s.id.ClusterID, ClusterName: v.ClusterName, Node: id, Name: id.String(),
		CA: s.certs.Current().RootPEM(), Cert: cert, GossipKeys: gossip.EncodeKeys(s.keys()), Peers: s.memberAddresses(id),
	}
	if node := v.Nodes[id]; node != nil {
		out.Name = node.Name
	}
	return out, nil
}

// check refuses what must not get into certificates, records and terminals.
func (r *joinRequest) check() error {
	errs := []error{checkLocality(r.Locality), checkAddresses(r.Addresses)}
	if r.Name != "" {
		errs = append(errs, checkName("name", r.Name))
	}
	if _, err := uuid.Parse(r.UUID); err != nil {
		errs = append(errs, errors.New("the node's UUID is malformed"))
	}
	if len(r.Version) > 64 || strings.ContainsFunc(r.Version, unicode.IsControl) {
		errs = append(errs, errors.New("the version is malformed"))
	}
	return errors.Join(errs...)
}

// checkJoinToken keeps strangers from making proposals to the meta range: a
// secret that is wrong by what this node knows is refused here, and tokens that
// it does not know (yet) are asked for a few times per second only.
func (s *joinServer) checkJoinToken(id string, hash [32]byte) error {
	t, known := s.view().JoinTokens[id]
	switch {
	case known && subtle.ConstantTimeCompare(t.Hash, hash[:]) != 1:
		return &refuseJoin{http.StatusForbidden, "the join token is not known"}
	case !known && !s.unknown.allow(time.Now()):
		return &refuseJoin{http.StatusTooManyRequests, "too many joins with unknown tokens: try again in a few seconds"}
	}
	return nil
}

// admitJoin makes the node's record. The token is consumed, durably, before
// anything is signed.
func (s *joinServer) admitJoin(ctx context.Context, req joinRequest, hash, keyHash [32]byte) (cluster.NodeID, error) {
	res, err := s.propose(ctx, metastate.Command{By: "join:" + req.TokenID, Via: "join", AddNode: &metastate.AddNode{
		UUID: req.UUID, Name: req.Name, Addresses: req.Addresses, Locality: req.Locality, Version: req.Version,
		TokenID: req.TokenID, TokenHash: hash[:], KeyHash: keyHash[:],
	}})
	if err != nil {
		s.logger.Warn("join not carried out", logattr.Err(err))
		return 0, &refuseJoin{http.StatusServiceUnavailable, "the meta range has no quorum that answers: repeat the same command later"}
	}
	if r := res.Refusal; r != nil {
		status := http.StatusForbidden
		if r.Code == metastate.CodeExists || r.Code == metastate.CodeInvalid {
			status = http.StatusConflict
		}
		return 0, &refuseJoin{status, r.Message}
	}
	s.logger.Info("node joins", logattr.Peer(res.Node), logattr.Address(req.Addresses.RPC))
	return res.Node, nil
}

// joinLimit lets joinRate joins with unknown tokens through per second, and as
// many at once. It is guarded by its mutex.
type joinLimit struct {
	mu   sync.Mutex
	used float64
	last time.Time
}

const joinRate = 5

func (l *joinLimit) allow(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.used = max(0, l.used-joinRate*now.Sub(l.last).Seconds())
	l.last = now
	if l.used+1 > joinRate {
		return false
	}
	l.used++
	return true
}

func (s *joinServer) memberAddresses(except cluster.NodeID) []PeerAddress {
	var out []PeerAddress
	v := s.view()
	for _, id := range v.NodeIDs() {
		if m := v.Nodes[id]; id != except && m.Membership != cluster.Decommissioned {
			out = append(out, PeerAddress{Node: id, UUID: m.UUID, RPC: m.Addresses.RPC, Gossip: m.Addresses.Gossip, Admin: m.Addresses.Admin})
		}
	}
	return out
}
