package agent

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/google/uuid"

	"github.com/nodedb/nodedb/agent/internal/admin"
	"github.com/nodedb/nodedb/agent/internal/audit"
	"github.com/nodedb/nodedb/agent/internal/auth"
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/gossip"
	"github.com/nodedb/nodedb/agent/internal/logattr"
	"github.com/nodedb/nodedb/agent/internal/logsample"
	"github.com/nodedb/nodedb/agent/internal/metastate"
)

// joinServer answers POST /join on nodes that hold the CA's key, and says that
// there is none on the others. Nobody is authenticated here but by the token.
type joinServer struct {
	id      Identity
	certDir string // of ca.crt and ca.key
	caPass  *auth.Passphrase
	certs   *auth.Source
	keys    func() [][]byte // of gossip
	view    func() *metastate.View
	// catchUp returns when the view has all that the meta range had accepted.
	catchUp func(context.Context) error
	propose func(context.Context, metastate.Command) (metastate.Result, error)
	denied  func(audit.Entry) // the node's log of denials
	logger  *slog.Logger
	refused *logsample.Sampler // lines that strangers cause
	unknown joinLimit
}

func (n *Node) joinHandler() *joinServer {
	return &joinServer{
		id: n.id, certDir: certsPath(n.cfg.DataDir), caPass: n.caPass, certs: n.certs, keys: n.gossipKeys,
		view: n.machine.View, catchUp: n.catchUp, propose: n.meta.Propose, denied: n.logins.Add,
		logger: n.part("join"), refused: logsample.New(n.part("join")),
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
		no = &refuseJoin{http.StatusInternalServerError, "failed", fmt.Sprintf("%s failed: see its log", s.id.Node)}
	} else {
		s.tell(r, no)
	}
	w.Header().Set("Connection", "close") // the rest of a stranger's body is not waited for
	w.WriteHeader(no.status)
	_ = json.NewEncoder(w).Encode(joinRefusal{Error: no.text})
}

// tell writes a refusal into the log and the node's record of denials.
func (s *joinServer) tell(r *http.Request, no *refuseJoin) {
	s.refused.Log(slog.LevelWarn, no.class, "join refused", logattr.Address(r.RemoteAddr), slog.String("answer", no.text))
	e := audit.Entry{Via: metastate.ViaJoin, Source: r.RemoteAddr, Action: "Join", Decision: metastate.DecisionRefused, Why: no.class}
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		e.Source = host
	}
	s.denied(e)
}

// refuseJoin is an answer to a join that says no. class is one of a few words for
// the log; text is for the caller.
type refuseJoin struct {
	status      int
	class, text string
}

func (r *refuseJoin) Error() string { return r.text }

// signer reads the CA's key, for those whose token is good.
func (s *joinServer) signer() (*auth.CA, error) {
	ca, err := auth.LoadCA(s.certDir, s.caPass)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &refuseJoin{http.StatusForbidden, "no CA key here", fmt.Sprintf("%s holds no CA key and issues no certificates: join through the node that does, which nodedbctl cert show names", s.id.Node)}
	}
	if errors.Is(err, auth.ErrSealed) {
		return nil, &refuseJoin{http.StatusForbidden, "the CA key is encrypted", fmt.Sprintf("%s cannot open its CA key and issues no certificates: set its passphrase, as its log says", s.id.Node)}
	}
	if err != nil {
		return nil, fmt.Errorf("read the CA key: %w", err)
	}
	return ca, nil
}

func (s *joinServer) answer(r *http.Request) (*joinResponse, error) {
	token, err := s.authenticate(r)
	if err != nil {
		return nil, err
	}
	admin.Authenticated(r.Context())
	ca, err := s.signer()
	if err != nil {
		return nil, err
	}
	var req joinRequest
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&req); err != nil {
		return nil, malformedJoin("the request is not a join request of this version")
	}
	pub, keyHash, err := auth.CSRKey(req.CSR)
	if err != nil {
		return nil, malformedJoin(err.Error())
	}
	if err := req.check(); err != nil {
		return nil, malformedJoin(err.Error())
	}
	id, err := s.admitJoin(r.Context(), &req, token, keyHash)
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
		CA: s.certs.Current().RootPEM(), Cert: cert, GossipKeys: gossip.EncodeKeys(s.keys()), Peers: memberAddresses(v, id), Active: v.Active,
	}
	if node := v.Nodes[id]; node != nil {
		out.Name = node.Name
	}
	return out, nil
}

func malformedJoin(text string) error {
	return &refuseJoin{http.StatusBadRequest, "malformed request", text}
}

// check refuses what must not get into certificates, records and terminals.
func (r *joinRequest) check() error {
	errs := []error{checkLocality(r.Locality), checkAddresses(r.Addresses)}
	if r.Name != "" {
		_, err := checkNodeName("name", r.Name)
		errs = append(errs, err)
	}
	if _, err := uuid.Parse(r.UUID); err != nil {
		errs = append(errs, errors.New("the node's UUID is malformed"))
	}
	if len(r.Version) > 64 || strings.ContainsFunc(r.Version, unicode.IsControl) {
		errs = append(errs, errors.New("the version is malformed"))
	}
	return errors.Join(errs...)
}

// authenticate says which join token a request comes with, before its body is
// read. Strangers make neither proposals nor records of the meta range: a token
// that this node does not know is looked for again once the node has all that the
// range has accepted, a few times per second, and then refused here.
func (s *joinServer) authenticate(r *http.Request) (auth.JoinToken, error) {
	text, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	token, err := auth.ParseJoinToken(text)
	if !ok || err != nil {
		return token, &refuseJoin{http.StatusForbidden, "no join token", "the request has no join token: use nodedb-agent join of this version"}
	}
	hash := token.Hash()
	t := s.view().JoinTokens[token.ID]
	if t == nil {
		if !s.unknown.allow(time.Now()) {
			return token, &refuseJoin{http.StatusTooManyRequests, "too many unknown join tokens", "too many joins with unknown tokens: try again in a few seconds"}
		}
		if err := s.catchUp(r.Context()); err != nil {
			s.refused.Log(slog.LevelWarn, "no meta range", "join not carried out", logattr.Err(err))
			return token, noMetaRange()
		}
		t = s.view().JoinTokens[token.ID]
	}
	if t == nil || subtle.ConstantTimeCompare(t.Hash, hash[:]) != 1 {
		return token, &refuseJoin{http.StatusForbidden, "unknown join token", "the join token is not known"}
	}
	return token, nil
}

func noMetaRange() error {
	return &refuseJoin{http.StatusServiceUnavailable, "no meta range", "the meta range has no quorum that answers: repeat the same command later"}
}

// admitJoin makes the node's record. The token is consumed, durably, before
// anything is signed.
func (s *joinServer) admitJoin(ctx context.Context, req *joinRequest, token auth.JoinToken, keyHash [32]byte) (cluster.NodeID, error) {
	hash := token.Hash()
	res, err := s.propose(ctx, metastate.Command{By: "join:" + token.ID, Via: metastate.ViaJoin, AddNode: &metastate.AddNode{
		UUID: req.UUID, Name: req.Name, Addresses: req.Addresses, Locality: req.Locality, Version: req.Version, Supports: req.Supports,
		TokenID: token.ID, TokenHash: hash[:], KeyHash: keyHash[:],
	}})
	if err != nil {
		s.logger.Warn("join not carried out", logattr.Err(err))
		return 0, noMetaRange()
	}
	if r := res.Refusal; r != nil {
		status := http.StatusForbidden
		if r.Code == metastate.CodeExists || r.Code == metastate.CodeInvalid || r.Code == metastate.CodeVersion {
			status = http.StatusConflict
		}
		return 0, &refuseJoin{status, "refused by the cluster", r.Message}
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
