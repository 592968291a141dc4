package agent

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"

	"github.com/nodedb/nodedb/agent/internal/auth"
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/gossip"
	"github.com/nodedb/nodedb/agent/internal/metastate"
)

// joinTimeout bounds the whole exchange of a join.
const joinTimeout = 30 * time.Second

// joinRequest is what a joining node sends to POST /join.
type joinRequest struct {
	TokenID   string            `json:"tokenId"`
	Secret    string            `json:"secret"`
	CSR       []byte            `json:"csr"` // DER; only its key is used
	UUID      string            `json:"uuid"`
	Name      string            `json:"name,omitempty"`
	Addresses cluster.Addresses `json:"addresses"`
	Locality  string            `json:"locality,omitempty"`
	Version   string            `json:"version"`
}

// joinResponse is what it gets.
type joinResponse struct {
	ClusterID   string         `json:"clusterId"`
	ClusterName string         `json:"clusterName"`
	Node        cluster.NodeID `json:"node"`
	Name        string         `json:"name"`
	CA          []byte         `json:"ca"`        // PEM
	Cert        []byte         `json:"cert"`      // PEM
	GossipKeys  []byte         `json:"gossipKey"` // as in gossip.key
	Peers       []PeerAddress  `json:"peers"`
}

// joinRefusal is the body of an answer other than 200.
type joinRefusal struct {
	Error string `json:"error"`
}

// pendingJoin is D/join.json: what a join that was cut short goes on with, so
// that the token is not used up twice.
type pendingJoin struct {
	TokenID string `json:"tokenId"`
	UUID    string `json:"uuid"`
}

func pendingPath(dir string) string { return filepath.Join(dir, "join.json") }

// JoinOptions say how to join.
type JoinOptions struct {
	Peer      string // admin address of a member that issues certificates
	TokenFile string
	Name      string // default: n and the id
}

// Join makes this data directory a node of the cluster that the token is for.
// Nothing runs yet. It may be repeated after a failure; a refusal leaves nothing
// behind.
func Join(ctx context.Context, cfg Config, o JoinOptions) (Identity, error) {
	if err := cfg.Validate(); err != nil {
		return Identity{}, &ExitError{Code: ExitUsage, Message: "configuration", Err: err}
	}
	if _, _, err := net.SplitHostPort(o.Peer); err != nil {
		return Identity{}, &ExitError{Code: ExitUsage, Message: fmt.Sprintf("--peer %q is not host:port of a node's admin address", o.Peer)}
	}
	text, err := auth.ReadSecret(o.TokenFile)
	if err != nil {
		return Identity{}, &ExitError{Code: ExitUsage, Message: "--token-file", Err: err}
	}
	token, err := auth.ParseJoinToken(string(text))
	if err != nil {
		return Identity{}, &ExitError{Code: ExitUsage, Message: o.TokenFile, Err: err}
	}
	j, err := openJoin(cfg, o, token)
	if err != nil {
		return Identity{}, err
	}
	resp, err := j.ask(ctx)
	if err != nil {
		j.abandon(err)
		return Identity{}, err
	}
	id, err := j.finish(resp)
	if err != nil {
		return Identity{}, &ExitError{Code: ExitDataDir, Message: "write the node's identity", Err: err}
	}
	return id, nil
}

type joining struct {
	cfg     Config
	opts    JoinOptions
	token   auth.JoinToken
	pending pendingJoin
	key     *ecdsa.PrivateKey
	undo    func() // removes what this attempt made; nil: an earlier one made it
	ca      *x509.Certificate
}

// openJoin makes the key and the identity, or takes those of an earlier attempt
// with the same token.
func openJoin(cfg Config, o JoinOptions, token auth.JoinToken) (*joining, error) {
	j := &joining{cfg: cfg, opts: o, token: token}
	if id, err := LoadIdentity(cfg.DataDir); err == nil {
		return nil, &ExitError{Code: ExitDataDir, Message: fmt.Sprintf("%s is %s of cluster %s already: start it with nodedb-agent start --data-dir %s", cfg.DataDir, id.Node, id.ClusterID, cfg.DataDir)}
	}
	b, err := os.ReadFile(pendingPath(cfg.DataDir))
	if err == nil && json.Unmarshal(b, &j.pending) == nil && j.pending.TokenID == token.ID {
		text, err := auth.ReadSecret(filepath.Join(certsPath(cfg.DataDir), auth.NodeKeyFile))
		if err == nil {
			j.key, err = auth.ParseKey(text)
		}
		if err != nil {
			return nil, &ExitError{Code: ExitDataDir, Message: "go on with an earlier join: wipe the directory and use a new token", Err: err}
		}
		return j, nil
	}
	if err == nil {
		return nil, &ExitError{Code: ExitDataDir, Message: fmt.Sprintf("%s holds a join with another token that did not end: repeat it with that token, or wipe the directory", cfg.DataDir)}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, &ExitError{Code: ExitDataDir, Message: "read the directory", Err: err}
	}
	if j.undo, err = makeDataDir(cfg.DataDir); err != nil {
		return nil, err
	}
	if err := j.prepare(); err != nil {
		j.undo()
		return nil, &ExitError{Code: ExitDataDir, Message: "prepare the join", Err: err}
	}
	return j, nil
}

func (j *joining) prepare() error {
	j.pending = pendingJoin{TokenID: j.token.ID, UUID: uuid.NewString()}
	var err error
	if j.key, err = auth.NewKey(); err != nil {
		return err
	}
	keyPEM, err := auth.KeyPEM(j.key)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(certsPath(j.cfg.DataDir), 0o700); err != nil {
		return err
	}
	if err := writeFileSync(filepath.Join(certsPath(j.cfg.DataDir), auth.NodeKeyFile), keyPEM); err != nil {
		return err
	}
	b, err := json.Marshal(j.pending)
	if err != nil {
		return err
	}
	return writeFileSync(pendingPath(j.cfg.DataDir), b)
}

// ask sends the request. Nothing leaves this machine before the peer has shown
// the CA that the token is for.
func (j *joining) ask(ctx context.Context) (*joinResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, joinTimeout)
	defer cancel()
	csr, err := auth.NewCSR(j.key)
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(joinRequest{
		TokenID: j.token.ID, Secret: j.token.Secret, CSR: csr, UUID: j.pending.UUID, Name: j.opts.Name,
		Addresses: j.cfg.Advertised(), Locality: j.cfg.Locality, Version: j.cfg.Version,
	})
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+j.opts.Peer+"/join", bytes.NewReader(body))
	if err != nil {
		return nil, &ExitError{Code: ExitUsage, Message: "--peer", Err: err}
	}
	req.Header.Set("Content-Type", "application/json")
	var tlsConfig *tls.Config = auth.PinnedConfig(j.token.Pin, func(c *x509.Certificate) { j.ca = c })
	hc := &http.Client{Transport: &http.Transport{TLSClientConfig: tlsConfig, DisableKeepAlives: true}}
	resp, err := hc.Do(req)
	if err != nil {
		if errors.Is(err, auth.ErrPin) {
			return nil, &ExitError{Code: ExitIdentity, Message: fmt.Sprintf("%s is not of the cluster that the token is for; nothing was sent to it", j.opts.Peer)}
		}
		return nil, &ExitError{Code: ExitUnreachable, Message: fmt.Sprintf("cannot reach the cluster at %s", j.opts.Peer), Err: errors.Unwrap(err)}
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return nil, &ExitError{Code: ExitUnreachable, Message: "read the cluster's answer", Err: err}
	}
	return readJoinAnswer(resp.StatusCode, answer)
}

func readJoinAnswer(status int, body []byte) (*joinResponse, error) {
	if status != http.StatusOK {
		var no joinRefusal
		if json.Unmarshal(body, &no) != nil || no.Error == "" {
			no.Error = fmt.Sprintf("HTTP status %d", status)
		}
		code := ExitUnreachable
		if status == http.StatusForbidden || status == http.StatusConflict || status == http.StatusBadRequest {
			code = ExitIdentity
		}
		return nil, &ExitError{Code: code, Message: "the cluster refuses this node: " + no.Error}
	}
	r := &joinResponse{}
	if err := json.Unmarshal(body, r); err != nil {
		return nil, &ExitError{Code: ExitUnreachable, Message: "the cluster's answer is damaged", Err: err}
	}
	return r, nil
}

// abandon removes what this attempt made, unless the token may have been used:
// then the next attempt must come with the same key.
func (j *joining) abandon(err error) {
	var exit *ExitError
	surely := errors.As(err, &exit) && exit.Code == ExitIdentity || j.ca == nil
	if j.undo != nil && surely {
		j.undo()
	}
}

func (j *joining) finish(r *joinResponse) (Identity, error) {
	dir := j.cfg.DataDir
	if err := writeFiles(certsPath(dir), map[string][]byte{auth.CACertFile: r.CA, auth.NodeCertFile: r.Cert}); err != nil {
		return Identity{}, err
	}
	if err := writeFileSync(gossipKeyPath(dir), r.GossipKeys); err != nil {
		return Identity{}, err
	}
	if err := saveConfig(&j.cfg); err != nil {
		return Identity{}, err
	}
	id := Identity{
		Format: identityFormat, ClusterID: r.ClusterID, ClusterName: r.ClusterName, Node: r.Node, Name: r.Name, UUID: j.pending.UUID, Peers: r.Peers,
	}
	if err := saveIdentity(dir, id); err != nil {
		return Identity{}, err
	}
	return id, os.Remove(pendingPath(dir))
}

// joinHandler answers POST /join on nodes that hold the CA's key, and tells
// where such a node is on the others.
func (n *Node) joinHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		resp, status, err := n.handleJoin(r)
		w.Header().Set("Content-Type", "application/json")
		if err != nil {
			w.WriteHeader(status)
			_ = json.NewEncoder(w).Encode(joinRefusal{Error: err.Error()})
			return
		}
		_ = json.NewEncoder(w).Encode(resp)
	})
}

func (n *Node) handleJoin(r *http.Request) (*joinResponse, int, error) {
	var req joinRequest
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&req); err != nil {
		return nil, http.StatusBadRequest, errors.New("the request is not a join request of this version")
	}
	ca, err := auth.LoadCA(certsPath(n.cfg.DataDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, http.StatusForbidden, fmt.Errorf("%s holds no CA key and issues no certificates: join through the node that was initialised", n.id.Node)
	}
	if err != nil {
		return nil, http.StatusInternalServerError, errors.New("this node cannot read its CA key: see its log")
	}
	pub, keyHash, err := auth.CSRKey(req.CSR)
	if err != nil {
		return nil, http.StatusBadRequest, errors.New("the request holds no usable public key")
	}
	hosts := hostsOf(req.Addresses)
	for _, h := range hosts {
		if err := auth.CheckHost(h); err != nil {
			return nil, http.StatusBadRequest, err
		}
	}
	hash := auth.JoinToken{ID: req.TokenID, Secret: req.Secret}.Hash()
	// The token is consumed, durably, before anything is signed.
	res, err := n.meta.Propose(r.Context(), metastate.Command{By: "join:" + req.TokenID, Via: "join", AddNode: &metastate.AddNode{
		UUID: req.UUID, Name: req.Name, Addresses: req.Addresses, Locality: req.Locality, Version: req.Version,
		TokenID: req.TokenID, TokenHash: hash[:], KeyHash: keyHash[:],
	}})
	if err != nil {
		return nil, http.StatusServiceUnavailable, errors.New("the meta range has no quorum that answers; try again")
	}
	if res.Refusal != nil {
		return nil, http.StatusForbidden, res.Refusal
	}
	cert, err := ca.IssueNode(n.id.ClusterID, res.Node, hosts, pub)
	if err != nil {
		return nil, http.StatusInternalServerError, errors.New("this node cannot sign the certificate: see its log")
	}
	v := n.machine.View()
	out := &joinResponse{
		ClusterID: n.id.ClusterID, ClusterName: v.ClusterName, Node: res.Node, Name: res.Node.String(),
		CA: n.certs.Current().RootPEM(), Cert: cert, GossipKeys: gossip.EncodeKeys(n.keys), Peers: n.memberAddresses(res.Node),
	}
	if node := v.Nodes[res.Node]; node != nil {
		out.Name = node.Name
	}
	return out, http.StatusOK, nil
}

func (n *Node) memberAddresses(except cluster.NodeID) []PeerAddress {
	var out []PeerAddress
	v := n.machine.View()
	for _, id := range v.NodeIDs() {
		if m := v.Nodes[id]; id != except && m.Membership != cluster.Decommissioned {
			out = append(out, PeerAddress{Node: id, UUID: m.UUID, RPC: m.Addresses.RPC, Gossip: m.Addresses.Gossip, Admin: m.Addresses.Admin})
		}
	}
	return out
}
