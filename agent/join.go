package agent

import (
	"bytes"
	"context"
	"crypto/ecdsa"
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
	"github.com/nodedb/nodedb/agent/internal/gate"
)

// joinTimeout bounds the whole exchange of a join.
const joinTimeout = 30 * time.Second

// joinRequest is what a joining node sends to POST /join. The join token is in the
// header Authorization, so that strangers are refused before their body is read.
type joinRequest struct {
	CSR       []byte            `json:"csr"` // DER; only its key is used
	UUID      string            `json:"uuid"`
	Name      string            `json:"name,omitempty"`
	Addresses cluster.Addresses `json:"addresses"`
	Locality  string            `json:"locality,omitempty"`
	Version   string            `json:"version"`
	Supports  gate.Support      `json:"supports"`
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
	Active      gate.Version   `json:"active"` // of the cluster
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
	if o.Name != "" {
		if _, err := checkNodeName("--name", o.Name); err != nil {
			return Identity{}, &ExitError{Code: ExitUsage, Message: "configuration", Err: err}
		}
	}
	if _, _, err := net.SplitHostPort(o.Peer); err != nil {
		return Identity{}, &ExitError{Code: ExitUsage, Message: fmt.Sprintf("--peer %q is not host:port of a node's admin address", o.Peer)}
	}
	if o.TokenFile == "" {
		return Identity{}, &ExitError{Code: ExitUsage, Message: "no join token: give --token-file with a file that nodedbctl join-token create filled"}
	}
	text, err := auth.ReadSecret(o.TokenFile)
	if err != nil {
		return Identity{}, &ExitError{Code: ExitUsage, Message: "--token-file", Err: err}
	}
	token, err := auth.ParseJoinToken(string(text))
	if err != nil {
		return Identity{}, &ExitError{Code: ExitUsage, Message: o.TokenFile, Err: err}
	}
	if id, err := alreadyJoined(cfg.DataDir, token); err != nil || id.Node != 0 {
		return id, err
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

// alreadyJoined returns the node of a data directory whose join has succeeded:
// asking again changes nothing. A node of another cluster is an error.
func alreadyJoined(dir string, token auth.JoinToken) (Identity, error) {
	id, err := LoadIdentity(dir)
	if err != nil {
		var exit *ExitError
		if _, statErr := os.Stat(identityPath(dir)); errors.As(err, &exit) && statErr == nil {
			return Identity{}, err // there is one, and it cannot be used
		}
		return Identity{}, nil
	}
	text, err := os.ReadFile(filepath.Join(certsPath(dir), auth.CACertFile))
	if err == nil {
		roots, _ := auth.ParseCerts(text)
		for _, c := range roots {
			if auth.Pin(c) == token.Pin {
				return id, nil
			}
		}
	}
	return Identity{}, &ExitError{Code: ExitIdentity, Message: fmt.Sprintf("%s is %s of cluster %s, and the token is for another cluster: choose another directory", dir, id.Node, id.ClusterID)}
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
		CSR: csr, UUID: j.pending.UUID, Name: j.opts.Name,
		Addresses: j.cfg.Advertised(), Locality: j.cfg.Locality, Version: j.cfg.Version, Supports: gate.Binary(),
	})
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+j.opts.Peer+"/join", bytes.NewReader(body))
	if err != nil {
		return nil, &ExitError{Code: ExitUsage, Message: "--peer", Err: err}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+j.token.Encode())
	pinned := auth.PinnedConfig(j.token.Pin, func(c *x509.Certificate) { j.ca = c })
	hc := &http.Client{Transport: &http.Transport{TLSClientConfig: pinned, DisableKeepAlives: true}}
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
		switch status {
		case http.StatusForbidden:
			code = ExitIdentity
		case http.StatusBadRequest, http.StatusConflict:
			code = ExitUsage
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
	refused := errors.As(err, &exit) && (exit.Code == ExitIdentity || exit.Code == ExitUsage)
	surely := refused || j.ca == nil
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
		Format: identityFormat, ClusterID: r.ClusterID, ClusterName: r.ClusterName, Node: r.Node, Name: r.Name, UUID: j.pending.UUID,
	}
	if err := savePeers(dir, r.Peers); err != nil {
		return Identity{}, err
	}
	if err := saveVersions(dir, gate.Stored{Active: r.Active}); err != nil {
		return Identity{}, err
	}
	if err := saveIdentity(dir, id); err != nil {
		return Identity{}, err
	}
	return id, os.Remove(pendingPath(dir))
}
