package auth

import (
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"
)

// The files of a certificate directory.
const (
	CACertFile   = "ca.crt"   // the roots; several while the CA is rotated
	CAKeyFile    = "ca.key"   // on nodes that issue certificates, mode 0600
	NodeCertFile = "node.crt" // this node's certificate
	NodeKeyFile  = "node.key" // its key, mode 0600
)

// Bundle is what a node needs to prove who it is and to check others. It is
// immutable.
type Bundle struct {
	Identity Identity
	leaf     tls.Certificate
	chain    tls.Certificate // leaf with its root, for joining nodes to check the pin
	roots    *x509.CertPool
	rootPEM  []byte
	anchors  []*x509.Certificate // the roots, one by one
	signer   *x509.Certificate   // the root that signed leaf
}

// LoadBundle reads ca.crt, node.crt and node.key from dir and checks that they
// belong together.
func LoadBundle(dir string) (*Bundle, error) {
	roots, err := readCerts(filepath.Join(dir, CACertFile))
	if err != nil {
		return nil, err
	}
	certs, err := readCerts(filepath.Join(dir, NodeCertFile))
	if err != nil {
		return nil, err
	}
	key, err := readKey(filepath.Join(dir, NodeKeyFile))
	if err != nil {
		return nil, err
	}
	b, err := NewBundle(roots, certs[0], key)
	if err != nil {
		return nil, fmt.Errorf("certificates in %s: %w", dir, err)
	}
	return b, nil
}

// NewBundle checks that a node's certificate, its key and the roots belong
// together. An expired certificate is accepted: a node whose certificate
// expired must still start to tell so; its peers refuse it.
func NewBundle(roots []*x509.Certificate, leaf *x509.Certificate, key *ecdsa.PrivateKey) (*Bundle, error) {
	id, err := CertIdentity(leaf)
	if err != nil {
		return nil, err
	}
	if id.Node == 0 {
		return nil, fmt.Errorf("the certificate stands for %s, not for a node", id)
	}
	if pub, ok := leaf.PublicKey.(*ecdsa.PublicKey); !ok || !pub.Equal(key.Public()) {
		return nil, fmt.Errorf("the certificate of %s does not belong to the key beside it", id)
	}
	b := &Bundle{Identity: id, roots: x509.NewCertPool(), anchors: roots, signer: signerOf(leaf, roots)}
	for _, r := range roots {
		b.roots.AddCert(r)
		b.rootPEM = append(b.rootPEM, certPEM(r.Raw)...)
	}
	signer := b.signer
	if signer == nil {
		return nil, fmt.Errorf("the certificate of %s is not signed by the CA in %s", id, CACertFile)
	}
	b.leaf = tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key, Leaf: leaf}
	b.chain = tls.Certificate{Certificate: [][]byte{leaf.Raw, signer.Raw}, PrivateKey: key, Leaf: leaf}
	return b, nil
}

// Certificate is the node's own certificate, e.g. for SCRAM channel binding.
func (b *Bundle) Certificate() *x509.Certificate { return b.leaf.Leaf }

// RootPEM is the roots as PEM.
func (b *Bundle) RootPEM() []byte { return b.rootPEM }

// Roots are the CA certificates that are trusted.
func (b *Bundle) Roots() []*x509.Certificate { return b.anchors }

// Signer is the root that signed the node's certificate.
func (b *Bundle) Signer() *x509.Certificate { return b.signer }

// Signed reports whether one of the roots has signed the certificate: a session
// that came with it may go on, though it has expired meanwhile.
func (b *Bundle) Signed(cert *x509.Certificate) bool { return signerOf(cert, b.anchors) != nil }

// Expires is when the node's certificate ends.
func (b *Bundle) Expires() time.Time { return b.leaf.Leaf.NotAfter }

// Source holds the current bundle of a node.
type Source struct {
	dir     string
	current atomic.Pointer[Bundle]
	seen    atomic.Pointer[string] // state of the files at the last Reload
}

// OpenSource loads the bundle in dir.
func OpenSource(dir string) (*Source, error) {
	s := &Source{dir: dir}
	if err := FinishReplace(dir); err != nil {
		return s, err
	}
	return s, s.Reload()
}

// NewSource holds a bundle that is not in files.
func NewSource(b *Bundle) *Source {
	s := &Source{}
	s.current.Store(b)
	return s
}

// Current returns the bundle in force.
func (s *Source) Current() *Bundle { return s.current.Load() }

// Reload reads the files again. On an error, and if the files belong to another
// node or cluster, the bundle in force stays.
func (s *Source) Reload() error {
	state := s.state()
	s.seen.Store(&state)
	b, err := LoadBundle(s.dir)
	if err != nil {
		return err
	}
	if old := s.Current(); old != nil && (old.Identity.Node != b.Identity.Node || old.Identity.Cluster != b.Identity.Cluster) {
		return fmt.Errorf("certificates in %s: they belong to %s of cluster %s, this is %s of cluster %s",
			s.dir, b.Identity, b.Identity.Cluster, old.Identity, old.Identity.Cluster)
	}
	s.current.Store(b)
	return nil
}

// Changed reports whether the files are others than at the last Reload.
func (s *Source) Changed() bool {
	seen := s.seen.Load()
	return seen != nil && *seen != s.state()
}

// state tells apart contents of the files, as far as one can without reading them.
func (s *Source) state() string {
	var b strings.Builder
	for _, name := range []string{CACertFile, NodeCertFile, NodeKeyFile} {
		fi, err := os.Stat(filepath.Join(s.dir, name))
		if err != nil {
			b.WriteString("none ")
			continue
		}
		fmt.Fprintf(&b, "%d/%d/%o ", fi.ModTime().UnixNano(), fi.Size(), fi.Mode())
	}
	return b.String()
}
