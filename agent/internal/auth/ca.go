package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// Lifetimes of what a CA issues. Certificates begin a little in the past, for
// nodes whose clocks are behind.
const (
	caLife   = 10 * 365 * 24 * time.Hour
	leafLife = 365 * 24 * time.Hour
	backdate = 5 * time.Minute
)

// CA is the cluster's certificate authority: its certificate and its key.
type CA struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// NewCA makes the authority of a cluster.
func NewCA(clusterID string) (*CA, error) {
	key, err := NewKey()
	if err != nil {
		return nil, err
	}
	t, err := template("NodeDB CA of cluster "+clusterID, caLife)
	if err != nil {
		return nil, err
	}
	t.IsCA, t.BasicConstraintsValid, t.MaxPathLenZero = true, true, true
	t.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("sign the CA certificate: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("read back the CA certificate: %w", err)
	}
	return &CA{cert: cert, key: key}, nil
}

// LoadCA reads ca.crt and ca.key from dir. fs.ErrNotExist marks a node that
// holds no CA key and so cannot issue certificates, ErrSealed one that cannot
// open it.
func LoadCA(dir string, p *Passphrase) (*CA, error) {
	certs, err := readCerts(filepath.Join(dir, CACertFile))
	if err != nil {
		return nil, err
	}
	keyPath := filepath.Join(dir, CAKeyFile)
	key, err := readCAKey(keyPath, p)
	if err != nil {
		return nil, err
	}
	ca, err := caOf(key, certs)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", keyPath, err)
	}
	return ca, nil
}

// caOf finds the certificate of a CA's key. While the CA is rotated there are
// several: the key says which one signs.
func caOf(key *ecdsa.PrivateKey, certs []*x509.Certificate) (*CA, error) {
	for _, c := range certs {
		if pub, ok := c.PublicKey.(*ecdsa.PublicKey); ok && pub.Equal(key.Public()) {
			return &CA{cert: c, key: key}, nil
		}
	}
	return nil, fmt.Errorf("the key belongs to no certificate in %s", CACertFile)
}

// Cert returns the authority's certificate.
func (ca *CA) Cert() *x509.Certificate { return ca.cert }

// CertPEM returns the authority's certificate as PEM.
func (ca *CA) CertPEM() []byte { return certPEM(ca.cert.Raw) }

// KeyPEM returns the authority's private key as PEM, not encrypted: for a node that
// is to hold it.
func (ca *CA) KeyPEM() ([]byte, error) { return KeyPEM(ca.key) }

// SealedPEM returns the authority's private key as ca.key is to hold it.
func (ca *CA) SealedPEM(p *Passphrase) ([]byte, error) { return p.seal(ca.key) }

// Pin is the SHA-256 of the authority's public key, as in join tokens.
func (ca *CA) Pin() [32]byte { return Pin(ca.cert) }

// Pin is the SHA-256 of a certificate's public key.
func Pin(cert *x509.Certificate) [32]byte { return sha256.Sum256(cert.RawSubjectPublicKeyInfo) }

// IssueNode returns a node's certificate (PEM) for its public key. hosts are
// the names and addresses under which clients reach the node.
func (ca *CA) IssueNode(clusterID string, id cluster.NodeID, hosts []string, pub crypto.PublicKey) ([]byte, error) {
	return ca.IssueNodeFor(leafLife, clusterID, id, hosts, pub)
}

// IssueNodeFor is IssueNode for a life of one's own.
func (ca *CA) IssueNodeFor(life time.Duration, clusterID string, id cluster.NodeID, hosts []string, pub crypto.PublicKey) ([]byte, error) {
	t, err := template(ServerName(id), life)
	if err != nil {
		return nil, err
	}
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	t.URIs = []*url.URL{nodeURI(clusterID, id)}
	t.DNSNames = []string{ServerName(id)}
	for _, h := range hosts {
		if err := CheckHost(h); err != nil {
			return nil, err
		}
		if ip := net.ParseIP(h); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, h)
		}
	}
	return ca.sign(t, pub)
}

// IssueClient returns a user's certificate (PEM) for its public key.
func (ca *CA) IssueClient(clusterID, user string, pub crypto.PublicKey) ([]byte, error) {
	serial, err := NewSerial()
	if err != nil {
		return nil, err
	}
	return ca.IssueClientFor(ClientGrant{User: user, Serial: serial, Expires: time.Now().Add(leafLife)}, clusterID, pub)
}

// ClientGrant is what a client's certificate says.
type ClientGrant struct {
	User    string
	Serial  string // hexadecimal, of NewSerial
	Expires time.Time
}

// NewSerial draws the serial number of a certificate.
func NewSerial() (string, error) {
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return "", fmt.Errorf("draw a serial number: %w", err)
	}
	return n.Text(16), nil
}

// IssueClientFor is IssueClient for a grant that was recorded before.
func (ca *CA) IssueClientFor(g ClientGrant, clusterID string, pub crypto.PublicKey) ([]byte, error) {
	user := g.User
	if user == "" || strings.ContainsAny(user, "/\x00") {
		return nil, fmt.Errorf("user name %q cannot be put in a certificate", user)
	}
	t, err := template(user, leafLife)
	if err != nil {
		return nil, err
	}
	serial, ok := new(big.Int).SetString(g.Serial, 16)
	if !ok || serial.Sign() <= 0 {
		return nil, fmt.Errorf("%q is no serial number", g.Serial)
	}
	t.SerialNumber, t.NotAfter = serial, g.Expires
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	t.URIs = []*url.URL{userURI(clusterID, user)}
	return ca.sign(t, pub)
}

var nodeName = regexp.MustCompile(`(?i)^node\.[0-9]+\.?$`)

// CheckHost refuses what must not stand as a host in a node's certificate: an
// empty or malformed name, and the server name of another node.
func CheckHost(h string) error {
	if net.ParseIP(h) != nil {
		return nil
	}
	if h == "" || len(h) > 253 || nodeName.MatchString(h) || strings.ContainsFunc(h, notHostRune) {
		return fmt.Errorf("%q is no host name or address", h)
	}
	return nil
}

func notHostRune(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '.' && r != '_'
}

func (ca *CA) sign(t *x509.Certificate, pub crypto.PublicKey) ([]byte, error) {
	if err := checkKey(pub); err != nil {
		return nil, err
	}
	if t.NotAfter.After(ca.cert.NotAfter) {
		t.NotAfter = ca.cert.NotAfter
	}
	der, err := x509.CreateCertificate(rand.Reader, t, ca.cert, pub, ca.key)
	if err != nil {
		return nil, fmt.Errorf("sign the certificate of %s: %w", t.Subject.CommonName, err)
	}
	return certPEM(der), nil
}

func template(name string, life time.Duration) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("draw a serial number: %w", err)
	}
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: now.Add(-backdate), NotAfter: now.Add(life),
		KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true,
	}, nil
}

// NewKey makes a private key for a certificate.
func NewKey() (*ecdsa.PrivateKey, error) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	return k, nil
}

// KeyPEM encodes a private key, for a file of mode 0600.
func KeyPEM(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode the key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// NewCSR asks for a certificate for key. It carries no names: the issuer would
// ignore them.
func NewCSR(key crypto.Signer) ([]byte, error) {
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		return nil, fmt.Errorf("make the certificate request: %w", err)
	}
	return der, nil
}

// CSRKey returns the public key of a certificate request whose signature
// proves that the sender holds the private one, and its hash.
func CSRKey(der []byte) (pub crypto.PublicKey, hash [32]byte, err error) {
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, hash, errors.New("the certificate request is malformed")
	}
	if err := csr.CheckSignature(); err != nil {
		return nil, hash, errors.New("the certificate request is not signed by its key")
	}
	if err := checkKey(csr.PublicKey); err != nil {
		return nil, hash, err
	}
	return csr.PublicKey, sha256.Sum256(csr.RawSubjectPublicKeyInfo), nil
}

// checkKey keeps every certificate of a cluster on one curve.
func checkKey(pub crypto.PublicKey) error {
	if k, ok := pub.(*ecdsa.PublicKey); !ok || k.Curve != elliptic.P256() {
		return errors.New("the key is not an ECDSA P-256 key")
	}
	return nil
}

func certPEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// ParseCerts reads one or more PEM certificates.
func ParseCerts(text []byte) ([]*x509.Certificate, error) {
	var certs []*x509.Certificate
	for {
		var b *pem.Block
		if b, text = pem.Decode(text); b == nil {
			break
		}
		if b.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("holds a %q where certificates are expected", b.Type)
		}
		c, err := x509.ParseCertificate(b.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d is malformed: %w", len(certs)+1, err)
		}
		certs = append(certs, c)
	}
	if len(certs) == 0 {
		return nil, errors.New("holds no PEM certificate")
	}
	return certs, nil
}

func readCerts(path string) ([]*x509.Certificate, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read certificates: %w", err)
	}
	certs, err := ParseCerts(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return certs, nil
}

// ParseKey reads a PEM private key (PKCS 8).
func ParseKey(text []byte) (*ecdsa.PrivateKey, error) {
	b, _ := pem.Decode(text)
	if b == nil || b.Type != "PRIVATE KEY" {
		return nil, errors.New("holds no PEM private key")
	}
	// The parser's error may quote bytes of the key: it is not passed on.
	k, err := x509.ParsePKCS8PrivateKey(b.Bytes)
	if err != nil {
		return nil, errors.New("the private key is malformed")
	}
	ec, ok := k.(*ecdsa.PrivateKey)
	if !ok || ec.Curve != elliptic.P256() {
		return nil, errors.New("the private key is not an ECDSA P-256 key")
	}
	return ec, nil
}

func readKey(path string) (*ecdsa.PrivateKey, error) {
	text, err := ReadSecret(path)
	if err != nil {
		return nil, err
	}
	k, err := ParseKey(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return k, nil
}

// ReadSecret reads a file that only its owner may read; others are refused.
func ReadSecret(path string) ([]byte, error) {
	fi, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read secret: %w", err)
	}
	if m := fi.Mode().Perm(); m&0o077 != 0 {
		return nil, fmt.Errorf("%s may be read by others (mode %04o): chmod 600 %s", path, m, path)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read secret: %w", err)
	}
	return b, nil
}
