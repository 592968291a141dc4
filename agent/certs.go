package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"github.com/nodedb/nodedb/agent/internal/admin"
	"github.com/nodedb/nodedb/agent/internal/auth"
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/gossip"
	"github.com/nodedb/nodedb/agent/internal/logattr"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/pgwire"
	"github.com/nodedb/nodedb/agent/internal/sql"
	"github.com/nodedb/nodedb/agent/internal/transport"
)

const (
	certsLook    = 2 * time.Second // how often the files are looked at
	renewAgain   = 5 * time.Second // after a renewal that failed
	signWait     = 10 * time.Second
	methodSign   = "cert.sign"   // an issuer signs the caller's key
	methodClient = "cert.client" // an issuer signs a client's key that the meta range has recorded
	methodNextCA = "cert.nextca" // an issuer makes the CA that is to come
	methodRenew  = "cert.renew"  // a node renews its certificate now
	codeNoCA     = "no-ca-key"
)

// certKeeper keeps the node's certificate, its roots and its gossip keys what
// the meta range and the files say. One goroutine runs it.
type certKeeper struct {
	n      *Node
	reload chan struct{} // the operator asks: SIGHUP

	mu struct {
		sync.Mutex
		failures uint64 // reloads that failed
		tried    time.Time
		// awaited is the fingerprint of a gossip key that was made here, whose
		// rotation the meta range does not know yet.
		awaited string
	}
	// renewing lets one renewal run at a time.
	renewing sync.Mutex
}

func newCertKeeper(n *Node) *certKeeper { return &certKeeper{n: n, reload: make(chan struct{}, 1)} }

// Reload reads the certificates again soon, as after a change of their files.
func (n *Node) Reload() {
	select {
	case n.keeper.reload <- struct{}{}:
	default:
	}
}

// Run implements lifecycle.Component.
func (k *certKeeper) Run(ctx context.Context, ready func()) error {
	ready()
	k.tellSealed()
	changed := k.n.machine.Watch(ctx)
	tick := time.NewTicker(certsLook)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-k.reload:
			k.readAgain()
		case <-tick.C:
			if k.n.certs.Changed() {
				k.readAgain()
			}
		case <-changed:
			k.keep(ctx) // takes the roots first
			k.endInvalid()
			continue
		}
		k.keep(ctx)
	}
}

// tellSealed says once why this node does not count as one that holds the CA's key.
func (k *certKeeper) tellSealed() {
	if _, err := auth.LoadCA(certsPath(k.n.cfg.DataDir), k.n.caPass); errors.Is(err, auth.ErrSealed) {
		k.n.logger.Error("this node signs no certificates", logattr.Err(err))
	} else if err := k.n.caPass.Err(); err != nil {
		k.n.logger.Error("this node can take no CA key: the passphrase for it cannot be read", logattr.Err(err))
	}
}

// keep brings files and keys to what the meta range says.
func (k *certKeeper) keep(ctx context.Context) {
	v := k.n.machine.View()
	if !v.Initialized() {
		return
	}
	k.promoteCA(v)
	k.takeRoots(v)
	k.renewIfDue(ctx, v)
	k.n.keepGossipKeys(ctx, v)
}

// readAgain takes the files in; broken ones leave the old bundle in force.
func (k *certKeeper) readAgain() {
	err := k.n.certs.Reload()
	if err != nil {
		k.n.logger.Error("certificates cannot be read again, the old ones stay in force", logattr.Err(err))
		k.mu.Lock()
		k.mu.failures++
		k.mu.Unlock()
		return
	}
	k.endInvalid()
	k.n.logger.Info("certificates read again", logattr.Reason("expires "+k.n.certs.Current().Expires().Format(time.RFC3339)))
}

// failures counts reloads that failed.
func (k *certKeeper) failures() uint64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.mu.failures
}

func (k *certKeeper) await(fingerprint string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.mu.awaited = fingerprint
}

func (k *certKeeper) awaits(fingerprint string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.mu.awaited == fingerprint
}

// promoteCA makes a staged CA that was made here the one that signs.
func (k *certKeeper) promoteCA(v *metastate.View) {
	dir := certsPath(k.n.cfg.DataDir)
	r := v.CARotation
	if r == nil || r.State != metastate.RotationActive {
		return
	}
	next, err := auth.ParseCerts([]byte(r.Next))
	if err == nil {
		var done bool
		if done, err = auth.ActivateCA(dir, auth.Fingerprint(next[0])); done && err == nil {
			k.n.logger.Info("the new CA signs from now on")
		}
	}
	if err != nil {
		k.n.logger.Error("the staged CA cannot be activated here", logattr.Err(err))
	}
}

// takeRoots writes the roots that the meta range names to this node's files.
func (k *certKeeper) takeRoots(v *metastate.View) {
	roots := []byte(v.Roots())
	if bytes.Equal(roots, k.n.certs.Current().RootPEM()) || len(roots) == 0 {
		return
	}
	if err := auth.ReplaceRoots(certsPath(k.n.cfg.DataDir), roots); err != nil {
		k.n.logger.Warn("the cluster's roots are not taken yet", logattr.Err(err))
		return
	}
	k.readAgain()
}

// renewIfDue renews at two thirds of the certificate's life, and when another CA
// signs.
func (k *certKeeper) renewIfDue(ctx context.Context, v *metastate.View) {
	b := k.n.certs.Current()
	signing, err := auth.ParseCerts([]byte(v.SigningCA()))
	if err != nil {
		return
	}
	due := time.Now().After(auth.RenewAfter(b.Certificate())) || auth.Fingerprint(b.Signer()) != auth.Fingerprint(signing[0])
	k.mu.Lock()
	wait := time.Since(k.mu.tried) < renewAgain
	k.mu.Unlock()
	if !due || wait {
		return
	}
	if err := k.renew(ctx); err != nil {
		k.n.logger.Warn("this node's certificate is not renewed yet", logattr.Err(err))
	}
}

// renew gets a certificate for a new key from an issuer.
func (k *certKeeper) renew(ctx context.Context) error {
	k.renewing.Lock()
	defer k.renewing.Unlock()
	k.mu.Lock()
	k.mu.tried = time.Now()
	k.mu.Unlock()
	key, err := auth.NewKey()
	if err != nil {
		return err
	}
	csr, err := auth.NewCSR(key)
	if err != nil {
		return err
	}
	payload, err := json.Marshal(signRequest{CSR: csr})
	if err != nil {
		return err
	}
	certPEM, err := k.n.askIssuer(ctx, methodSign, payload)
	if err != nil {
		return fmt.Errorf("renew the certificate: %w", err)
	}
	certs, err := auth.ParseCerts(certPEM)
	if err != nil {
		return fmt.Errorf("renew the certificate: %w", err)
	}
	if _, err := auth.NewBundle(k.n.certs.Current().Roots(), certs[0], key); err != nil {
		return fmt.Errorf("renew the certificate: %w", err)
	}
	if err := auth.ReplaceNode(certsPath(k.n.cfg.DataDir), certPEM, key); err != nil {
		return fmt.Errorf("renew the certificate: %w", err)
	}
	if err := k.n.certs.Reload(); err != nil {
		return fmt.Errorf("renew the certificate: %w", err)
	}
	k.n.logger.Info("this node's certificate is renewed", logattr.Reason("expires "+k.n.certs.Current().Expires().Format(time.RFC3339)))
	return nil
}

// endInvalid closes the SQL sessions of users that are gone, and of certificates
// that were revoked or whose CA is trusted no more. Calls of the admin API see to
// it themselves.
func (k *certKeeper) endInvalid() {
	if p := k.n.pgwire.Load(); p != nil && k.n.machine.View().Initialized() {
		p.EndInvalid(&sql.Error{Code: "57P01", Severity: "FATAL", Message: "terminating connection: the credential is no longer valid",
			Hint: "The user was dropped, the certificate was revoked, or its CA is trusted no more."})
	}
}

// loginValid is asked for each SQL login, and later for those that go on.
func (n *Node) loginValid(l pgwire.Login) error {
	v := n.machine.View()
	switch {
	case v.Users[l.User] == nil:
		return errors.New("there is no such user")
	case l.Certificate == nil:
		return nil
	case v.Revoked(l.Serial):
		return fmt.Errorf("%s was revoked", l.Serial)
	case !n.certs.Current().Signed(l.Certificate):
		return fmt.Errorf("the CA of %s is trusted no more", l.Serial)
	}
	return nil
}

// keyStatus is what this node has of certificates and keys.
func (n *Node) keyStatus() cluster.KeyStatus {
	b := n.certs.Current()
	leaf := b.Certificate()
	s := cluster.KeyStatus{
		Serial: b.Identity.Serial, NotBefore: leaf.NotBefore, NotAfter: leaf.NotAfter,
		Key: auth.Fingerprint(leaf), Issuer: auth.Fingerprint(b.Signer()),
	}
	for _, r := range b.Roots() {
		s.Trusts = append(s.Trusts, auth.Fingerprint(r))
	}
	if ca, err := auth.LoadCA(certsPath(n.cfg.DataDir), n.caPass); err == nil {
		s.Signs = auth.Fingerprint(ca.Cert())
	}
	if n.gossip != nil {
		for _, key := range n.gossip.Keys() {
			s.Gossip = append(s.Gossip, gossip.Fingerprint(key))
		}
	}
	return s
}

type signRequest struct {
	CSR    []byte `json:"csr"`
	Serial string `json:"serial,omitempty"` // of a client's certificate
}

// certMethods answer the other nodes. Who asks is known from its certificate.
func (n *Node) certMethods() map[string]method {
	return map[string]method{
		methodSign: func(_ context.Context, from cluster.NodeID, payload []byte) ([]byte, error) {
			return n.signNode(from, payload)
		},
		methodClient: func(ctx context.Context, _ cluster.NodeID, payload []byte) ([]byte, error) {
			return n.signClient(ctx, payload)
		},
		methodNextCA: func(context.Context, cluster.NodeID, []byte) ([]byte, error) { return n.makeNextCA() },
		methodRenew: func(ctx context.Context, _ cluster.NodeID, _ []byte) ([]byte, error) {
			if err := n.keeper.renew(ctx); err != nil {
				return nil, err
			}
			return json.Marshal(n.keyStatus())
		},
		methodGossipKey: func(_ context.Context, _ cluster.NodeID, payload []byte) ([]byte, error) {
			return n.tellGossipKey(payload)
		},
	}
}

// issuer is the CA that signs, if this node has its key.
func (n *Node) issuer() (*auth.CA, error) {
	ca, err := auth.LoadCA(certsPath(n.cfg.DataDir), n.caPass)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &transport.CallError{Code: codeNoCA, Message: n.id.Node.String() + " holds no CA key"}
	}
	if errors.Is(err, auth.ErrSealed) {
		return nil, &transport.CallError{Code: codeNoCA, Message: n.id.Node.String() + ": " + err.Error()}
	}
	if err != nil {
		return nil, err
	}
	signing, err := auth.ParseCerts([]byte(n.machine.View().SigningCA()))
	if err != nil {
		return nil, err
	}
	if auth.Fingerprint(ca.Cert()) != auth.Fingerprint(signing[0]) {
		return nil, &transport.CallError{Code: codeNoCA, Message: n.id.Node.String() + " holds the key of another CA than the one that signs"}
	}
	return ca, nil
}

// signNode signs a node's new key. All names come from the meta range's record.
func (n *Node) signNode(from cluster.NodeID, payload []byte) ([]byte, error) {
	ca, err := n.issuer()
	if err != nil {
		return nil, err
	}
	var ask signRequest
	if err := json.Unmarshal(payload, &ask); err != nil {
		return nil, err
	}
	pub, _, err := auth.CSRKey(ask.CSR)
	if err != nil {
		return nil, err
	}
	node := n.machine.View().Nodes[from]
	if node == nil || node.Membership == cluster.Decommissioned {
		return nil, fmt.Errorf("%s is no member", from)
	}
	n.logger.Info("certificate of a node signed", logattr.Peer(from))
	return ca.IssueNodeFor(n.cfg.CertLife, n.id.ClusterID, from, hostsOf(node.Addresses), pub)
}

// signClient signs a client's key, if the meta range says that it may be.
func (n *Node) signClient(ctx context.Context, payload []byte) ([]byte, error) {
	ca, err := n.issuer()
	if err != nil {
		return nil, err
	}
	var ask signRequest
	if err := json.Unmarshal(payload, &ask); err != nil {
		return nil, err
	}
	pub, hash, err := auth.CSRKey(ask.CSR)
	if err != nil {
		return nil, err
	}
	grant, err := n.waitGrant(ctx, ask.Serial)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(grant.KeyHash, hash[:]) || !grant.RevokedAt.IsZero() {
		return nil, errors.New("the meta range has recorded another certificate")
	}
	return ca.IssueClientFor(auth.ClientGrant{User: grant.User, Serial: grant.Serial, Expires: grant.ExpiresAt}, n.id.ClusterID, pub)
}

// waitGrant waits until this node has applied the record of a certificate.
func (n *Node) waitGrant(ctx context.Context, serial string) (*metastate.Certificate, error) {
	ctx, cancel := context.WithTimeout(ctx, signWait)
	defer cancel()
	changed := n.machine.Watch(ctx)
	for {
		if c := n.machine.View().Certificates[serial]; c != nil {
			return c, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, errors.New("the meta range has no record of the certificate")
		}
	}
}

func (n *Node) makeNextCA() ([]byte, error) {
	if _, err := n.issuer(); err != nil {
		return nil, err
	}
	return auth.StageCA(certsPath(n.cfg.DataDir), n.id.ClusterID, n.caPass)
}

// askIssuer asks this node, then the others, until one holds the CA's key.
func (n *Node) askIssuer(ctx context.Context, name string, payload []byte) ([]byte, error) {
	b, err := n.certMethods()[name](ctx, n.id.Node, payload)
	if !noCA(err) {
		return b, err
	}
	var errs []error
	for _, id := range n.others() {
		b, err := n.callNode(ctx, id, name, payload)
		if err == nil {
			return b, nil
		}
		if !noCA(err) {
			errs = append(errs, fmt.Errorf("%s: %w", id, err))
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return nil, &admin.Error{Kind: admin.KindUnavailable, Message: "no node holds the CA's key: sign offline with nodedbctl cert create-node or create-client --ca-key"}
}

func (n *Node) callNode(ctx context.Context, id cluster.NodeID, name string, payload []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, signWait)
	defer cancel()
	return n.transport.Call(ctx, id, name, payload)
}

func noCA(err error) bool {
	var c *transport.CallError
	return errors.As(err, &c) && c.Code == codeNoCA
}

// SignClient implements admin.KeyMaker.
func (b *backend) SignClient(ctx context.Context, serial string, csr []byte) ([]byte, error) {
	payload, err := json.Marshal(signRequest{CSR: csr, Serial: serial})
	if err != nil {
		return nil, err
	}
	return b.n.askIssuer(ctx, methodClient, payload)
}

// RenewNode implements admin.KeyMaker.
func (b *backend) RenewNode(ctx context.Context, id cluster.NodeID) (cluster.KeyStatus, error) {
	if id == b.n.id.Node {
		err := b.n.keeper.renew(ctx)
		return b.n.keyStatus(), err
	}
	var s cluster.KeyStatus
	out, err := b.n.callNode(ctx, id, methodRenew, nil)
	if err == nil {
		err = json.Unmarshal(out, &s)
	}
	if err != nil {
		return s, &admin.Error{Kind: admin.KindUnavailable, Message: fmt.Sprintf("%s did not renew its certificate: %v", id, err), Err: err}
	}
	return s, nil
}

// NextCA implements admin.KeyMaker.
func (b *backend) NextCA(ctx context.Context) ([]byte, error) {
	return b.n.askIssuer(ctx, methodNextCA, nil)
}

// NewGossipKey implements admin.KeyMaker.
func (b *backend) NewGossipKey() (string, error) { return b.n.newGossipKey() }
