package auth

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

func TestNodesConnect(t *testing.T) {
	ca := newCA(t, testCluster)
	other := newCA(t, testCluster)
	n1, n2 := nodeSource(t, ca, testCluster, 1), nodeSource(t, ca, testCluster, 2)
	tests := []struct {
		name           string
		server, client *tls.Config
		want           string // in either error; "": none
	}{
		{"n2 to n1", n1.ServerConfig(), n2.ClientConfig(1), ""},
		{"expects another node", n1.ServerConfig(), n2.ClientConfig(3), "node.3"},
		{"client of another CA", n1.ServerConfig(), nodeSource(t, other, testCluster, 2).ClientConfig(1), "unknown authority"},
		{"client of another cluster", n1.ServerConfig(), nodeSource(t, ca, "c2", 2).ClientConfig(1), "belongs to cluster"},
		{"a user called node.2", n1.ServerConfig(), clientConfig(t, ca, testCluster, "node.2"), "not a node"},
		{"no certificate", n1.ServerConfig(), &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13}, "didn't provide a certificate"},
		{"TLS 1.2", n1.ServerConfig(), &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12}, "version"},
		{"admin without certificate", n1.AdminConfig(), &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13}, ""},
		{"admin with a user", n1.AdminConfig(), clientConfig(t, ca, testCluster, "ann"), ""},
		{"admin with a user of another CA", n1.AdminConfig(), clientConfigFor(t, other, ca), "unknown authority"},
		{"sql with a user", n1.SQLConfig(), clientConfig(t, ca, testCluster, "ann"), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, serr, cerr := handshake(t, tt.server, tt.client)
			err := errors.Join(serr, cerr)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Fatalf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// clientConfigFor trusts roots' server but shows a certificate of issuer.
func clientConfigFor(t *testing.T, issuer, roots *CA) *tls.Config {
	c := clientConfig(t, issuer, testCluster, "ann")
	c.RootCAs = x509.NewCertPool()
	c.RootCAs.AddCert(roots.Cert())
	// A client of another CA does not see its issuer in the request and would
	// send nothing: an attacker's would.
	cert := c.Certificates[0]
	c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &cert, nil }
	return c
}

func TestIdentityComesFromTheURI(t *testing.T) {
	ca := newCA(t, testCluster)
	for _, user := range []string{"ann", "node.1", "ünï cödé", "a%2fb", "x?y#z"} {
		pem, err := ca.IssueClient(testCluster, user, newKey(t).Public())
		if err != nil {
			t.Fatalf("%q: %v", user, err)
		}
		id, err := CertIdentity(parseOne(t, pem))
		if err != nil || id.User != user || id.Node != 0 || id.Cluster != testCluster || id.Serial == "" {
			t.Errorf("%q: got %+v, %v", user, id, err)
		}
	}
	for _, user := range []string{"", "a/b", "../node/1"} {
		if _, err := ca.IssueClient(testCluster, user, newKey(t).Public()); err == nil {
			t.Errorf("issued a certificate for user %q", user)
		}
	}
	if _, err := CertIdentity(ca.Cert()); err == nil {
		t.Error("the CA's certificate has an identity")
	}
}

func TestIssueNodeChecksHostsAndKeys(t *testing.T) {
	ca := newCA(t, testCluster)
	for _, h := range []string{"node.2", "Node.2", "node.2.", "", "a b", "*", "x,y"} {
		if _, err := ca.IssueNode(testCluster, 1, []string{h}, newKey(t).Public()); err == nil {
			t.Errorf("issued a certificate for host %q", h)
		}
	}
	k, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ca.IssueNode(testCluster, 1, nil, k.Public()); err == nil {
		t.Error("issued a certificate for a P-384 key")
	}
}

// saveBundle writes a node's files as init does.
func saveBundle(t *testing.T, dir string, ca *CA, id cluster.NodeID) {
	t.Helper()
	k := newKey(t)
	cert, err := ca.IssueNode(testCluster, id, nil, k.Public())
	if err != nil {
		t.Fatal(err)
	}
	key, err := KeyPEM(k)
	if err != nil {
		t.Fatal(err)
	}
	caKey, err := ca.KeyPEM()
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, CACertFile, ca.CertPEM(), 0o644)
	write(t, dir, CAKeyFile, caKey, 0o600)
	write(t, dir, NodeCertFile, cert, 0o644)
	write(t, dir, NodeKeyFile, key, 0o600)
}

func TestLoadBundle(t *testing.T) {
	good := func(t *testing.T) string {
		dir := t.TempDir()
		saveBundle(t, dir, newCA(t, testCluster), 7)
		return dir
	}
	dir := good(t)
	b, err := LoadBundle(dir)
	if err != nil || b.Identity.Node != 7 || b.Identity.Cluster != testCluster {
		t.Fatalf("got %+v, %v", b, err)
	}
	if ca, err := LoadCA(dir, none); err != nil || ca.Pin() != Pin(parseOne(t, b.RootPEM())) {
		t.Fatalf("load CA: %v", err)
	}
	elsewhere := good(t)
	tests := []struct {
		name string
		spil func(t *testing.T, dir string)
		want string
	}{
		{"open key", func(t *testing.T, dir string) { chmod(t, dir, NodeKeyFile, 0o640) }, "chmod 600"},
		{"no key", func(t *testing.T, dir string) { remove(t, dir, NodeKeyFile) }, "no such file"},
		{"no certificate", func(t *testing.T, dir string) { write(t, dir, NodeCertFile, []byte("hello"), 0o644) }, "no PEM certificate"},
		{"no private key", func(t *testing.T, dir string) { write(t, dir, NodeKeyFile, []byte("hello"), 0o600) }, "no PEM private key"},
		{"another's key", func(t *testing.T, dir string) { copyFile(t, elsewhere, dir, NodeKeyFile, 0o600) }, "does not belong to the key"},
		{"another CA", func(t *testing.T, dir string) { copyFile(t, elsewhere, dir, CACertFile, 0o644) }, "not signed by the CA"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := good(t)
			tt.spil(t, dir)
			if _, err := LoadBundle(dir); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %v, want %q", err, tt.want)
			}
		})
	}
	remove(t, dir, CAKeyFile)
	if _, err := LoadCA(dir, none); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("without a CA key: got %v", err)
	}
}

func TestReloadKeepsTheOldBundle(t *testing.T) {
	dir := t.TempDir()
	ca := newCA(t, testCluster)
	saveBundle(t, dir, ca, 7)
	s, err := OpenSource(dir)
	if err != nil {
		t.Fatal(err)
	}
	old := s.Current()
	write(t, dir, NodeCertFile, []byte("broken"), 0o644)
	if err := s.Reload(); err == nil || s.Current() != old {
		t.Fatalf("broken file: err %v", err)
	}
	saveBundle(t, dir, ca, 8)
	if err := s.Reload(); err == nil || s.Current() != old {
		t.Fatalf("another node's files: err %v", err)
	}
	saveBundle(t, dir, ca, 7)
	if err := s.Reload(); err != nil || s.Current() == old {
		t.Fatalf("renewed files: err %v", err)
	}
}

// A new CA reaches all nodes without a failed handshake: trust both, reissue,
// drop the old one. The configs are made once, before.
func TestRotateCA(t *testing.T) {
	ca1, ca2 := newCA(t, testCluster), newCA(t, testCluster)
	bundle := func(issuer *CA, id cluster.NodeID, roots ...*x509.Certificate) *Bundle {
		k := newKey(t)
		pem, err := issuer.IssueNode(testCluster, id, nil, k.Public())
		if err != nil {
			t.Fatal(err)
		}
		b, err := NewBundle(roots, parseOne(t, pem), k)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	old1, both1 := bundle(ca1, 1, ca1.Cert()), bundle(ca1, 1, ca1.Cert(), ca2.Cert())
	n1, n2 := NewSource(old1), NewSource(bundle(ca1, 2, ca1.Cert()))
	server, client := n1.ServerConfig(), n2.ClientConfig(1)
	check := func(step string, want bool) {
		t.Helper()
		if _, serr, cerr := handshake(t, server, client); (serr == nil && cerr == nil) != want {
			t.Fatalf("%s: got %v, %v; want success %v", step, serr, cerr, want)
		}
	}
	check("old", true)
	n1.current.Store(both1)
	check("n1 trusts both", true)
	n2.current.Store(bundle(ca2, 2, ca1.Cert(), ca2.Cert()))
	check("n2 reissued", true)
	n1.current.Store(bundle(ca2, 1, ca2.Cert()))
	check("n1 reissued, old dropped", true)
	n2.current.Store(bundle(ca1, 2, ca1.Cert(), ca2.Cert()))
	check("straggler", false)
}

func TestPinnedConfig(t *testing.T) {
	ca, evil := newCA(t, testCluster), newCA(t, testCluster)
	n1, e1 := nodeSource(t, ca, testCluster, 1), nodeSource(t, evil, testCluster, 1)
	var found *x509.Certificate
	join := PinnedConfig(ca.Pin(), func(c *x509.Certificate) { found = c })
	if _, serr, cerr := handshake(t, n1.AdminConfig(), join); serr != nil || cerr != nil || found == nil || !found.Equal(ca.Cert()) {
		t.Fatalf("right cluster: %v, %v, %v", serr, cerr, found)
	}
	if _, _, cerr := handshake(t, e1.AdminConfig(), join); !errors.Is(cerr, ErrPin) {
		t.Fatalf("impostor: got %v", cerr)
	}
	// The impostor appends the real CA's public certificate.
	mixed := e1.AdminConfig()
	mixed.GetConfigForClient = nil
	mixed.Certificates[0].Certificate = append(mixed.Certificates[0].Certificate, ca.Cert().Raw)
	if _, _, cerr := handshake(t, mixed, join); cerr == nil {
		t.Fatal("impostor with the real CA's certificate was trusted")
	}
}

func TestCSR(t *testing.T) {
	k := newKey(t)
	der, err := NewCSR(k)
	if err != nil {
		t.Fatal(err)
	}
	pub, h1, err := CSRKey(der)
	if err != nil || !k.PublicKey.Equal(pub) {
		t.Fatalf("got %v, %v", pub, err)
	}
	der2, err := NewCSR(k)
	if err != nil {
		t.Fatal(err)
	}
	if _, h2, err := CSRKey(der2); err != nil || h1 != h2 {
		t.Fatalf("two requests of one key: %x, %x, %v", h1, h2, err)
	}
	der[len(der)-5] ^= 1
	if _, _, err := CSRKey(der); err == nil {
		t.Fatal("accepted a forged request")
	}
}

func chmod(t *testing.T, dir, name string, m os.FileMode) {
	t.Helper()
	if err := os.Chmod(filepath.Join(dir, name), m); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, dir, name string) {
	t.Helper()
	if err := os.Remove(filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
}

func copyFile(t *testing.T, from, to, name string, m os.FileMode) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(from, name))
	if err != nil {
		t.Fatal(err)
	}
	write(t, to, name, b, m)
}

// TestSigned asks whether a client's certificate is still trusted, by a node of
// its CA and by one of another.
func TestSigned(t *testing.T) {
	const cluster = "3f0e6a4e-3b1c-4d6e-9d3a-2f1c7a9b5e11"
	old, next := newCA(t, cluster), newCA(t, cluster)
	pem, err := old.IssueClient(cluster, "alice", newKey(t).Public())
	if err != nil {
		t.Fatal(err)
	}
	cert := parseOne(t, pem)
	if !nodeSource(t, old, cluster, 1).Current().Signed(cert) {
		t.Error("a certificate of the node's own CA is not trusted")
	}
	if nodeSource(t, next, cluster, 1).Current().Signed(cert) {
		t.Error("a certificate of the CA before is still trusted")
	}
}
