package cert

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/ctl"
)

const (
	caLife     = 10 * 365 * 24 * time.Hour
	backdate   = 5 * time.Minute // for clocks that are behind
	caName     = "NodeDB CA of cluster "
	serialBits = 127
)

// authority signs offline what the nodes would sign: docs/FORMATS.md says what
// stands in a certificate.
type authority struct {
	cluster string
	cert    *x509.Certificate
	key     *ecdsa.PrivateKey
}

func newAuthority(cluster string, now time.Time) (*authority, error) {
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	t, err := template(caName+cluster, now, caLife)
	if err != nil {
		return nil, err
	}
	t.IsCA, t.MaxPathLenZero = true, true
	t.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("sign the CA's certificate: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("read back the CA's certificate: %w", err)
	}
	return &authority{cluster: cluster, cert: cert, key: key}, nil
}

// readAuthority reads a CA's certificate and key. Errors do not quote the key.
func readAuthority(certFile string, k *caKeyFlags) (*authority, error) {
	keyFile := k.file
	key, err := k.read()
	if err != nil {
		return nil, err
	}
	certs, err := os.ReadFile(certFile) //nolint:gosec // the operator names it
	if err != nil {
		return nil, ctl.Usagef("--ca: %v", err)
	}
	for block, rest := pem.Decode(certs); block != nil; block, rest = pem.Decode(rest) {
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil || !cert.IsCA {
			continue
		}
		if pub, ok := cert.PublicKey.(*ecdsa.PublicKey); ok && pub.Equal(key.Public()) {
			cluster, ok := strings.CutPrefix(cert.Subject.CommonName, caName)
			if !ok {
				return nil, ctl.Usagef("%s is not the CA of a NodeDB cluster", certFile)
			}
			return &authority{cluster: cluster, cert: cert, key: key}, nil
		}
	}
	return nil, ctl.Usagef("the key in %s belongs to no CA certificate in %s", keyFile, certFile)
}

func (a *authority) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}

func (a *authority) node(id uint32, hosts []string, life time.Duration, pub crypto.PublicKey) ([]byte, error) {
	name := fmt.Sprintf("node.%d", id)
	t, err := template(name, time.Now(), life)
	if err != nil {
		return nil, err
	}
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	t.URIs = []*url.URL{{Scheme: "nodedb", Host: a.cluster, Path: fmt.Sprintf("/node/%d", id)}}
	t.DNSNames, t.IPAddresses = []string{name, "localhost"}, []net.IP{net.IPv4(127, 0, 0, 1)}
	for _, h := range hosts {
		switch ip := net.ParseIP(h); {
		case ip != nil:
			t.IPAddresses = append(t.IPAddresses, ip)
		case h == "" || strings.HasPrefix(strings.ToLower(h), "node."):
			return nil, ctl.Usagef("--host %q is no host name", h)
		default:
			t.DNSNames = append(t.DNSNames, h)
		}
	}
	return a.sign(t, pub)
}

func (a *authority) client(user string, life time.Duration, pub crypto.PublicKey) ([]byte, error) {
	t, err := template(user, time.Now(), life)
	if err != nil {
		return nil, err
	}
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	t.URIs = []*url.URL{{Scheme: "nodedb", Host: a.cluster, Path: "/user/" + user}}
	return a.sign(t, pub)
}

func (a *authority) sign(t *x509.Certificate, pub crypto.PublicKey) ([]byte, error) {
	if t.NotAfter.After(a.cert.NotAfter) {
		t.NotAfter = a.cert.NotAfter
	}
	der, err := x509.CreateCertificate(rand.Reader, t, a.cert, pub, a.key)
	if err != nil {
		return nil, fmt.Errorf("sign the certificate of %s: %w", t.Subject.CommonName, err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), nil
}

func template(name string, now time.Time, life time.Duration) (*x509.Certificate, error) {
	if life < time.Minute {
		return nil, ctl.Usagef("--ttl must be at least 1m")
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), serialBits))
	if err != nil {
		return nil, fmt.Errorf("draw a serial number: %w", err)
	}
	return &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotBefore: now.Add(-backdate), NotAfter: now.Add(life),
		KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true,
	}, nil
}
