package systems

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// certs are the files of a CA, a server on the loopback address, and the user
// root: ECDSA P-256, as NodeDB's own.
type certs struct {
	CA, ServerCert, ServerKey, ClientCert, ClientKey string
}

// makeCerts writes new ones into dir.
func makeCerts(dir string) (c certs, err error) {
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return c, fmt.Errorf("make a key: %w", err)
	}
	ca := certificate(1, "bench CA")
	ca.IsCA, ca.BasicConstraintsValid, ca.KeyUsage = true, true, x509.KeyUsageCertSign
	c.CA = filepath.Join(dir, "ca.crt")
	if err := sign(ca, ca, caKey, caKey, c.CA); err != nil {
		return c, err
	}
	// A member of etcd is a client of the others with the same certificate.
	server := certificate(2, "server")
	server.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	server.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	if c.ServerCert, c.ServerKey, err = issue(dir, "server", server, ca, caKey); err != nil {
		return c, err
	}
	client := certificate(3, "root")
	client.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	c.ClientCert, c.ClientKey, err = issue(dir, "client", client, ca, caKey)
	return c, err
}

func certificate(serial int64, name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, KeyUsage: x509.KeyUsageDigitalSignature,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(30 * 24 * time.Hour),
	}
}

// issue makes a key and its certificate, in files of that name.
func issue(dir, name string, of, ca *x509.Certificate, caKey *ecdsa.PrivateKey) (certPath, keyPath string, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", fmt.Errorf("make a key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", "", fmt.Errorf("encode a key: %w", err)
	}
	certPath, keyPath = filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key")
	if err := writePEM(keyPath, "PRIVATE KEY", der); err != nil {
		return "", "", err
	}
	return certPath, keyPath, sign(of, ca, key, caKey, certPath)
}

func sign(of, ca *x509.Certificate, key, caKey *ecdsa.PrivateKey, path string) error {
	der, err := x509.CreateCertificate(rand.Reader, of, ca, key.Public(), caKey)
	if err != nil {
		return fmt.Errorf("sign a certificate: %w", err)
	}
	return writePEM(path, "CERTIFICATE", der)
}

func writePEM(path, kind string, der []byte) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}

// client is how a client of these certificates speaks.
func (c certs) client() (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(c.ClientCert, c.ClientKey)
	if err != nil {
		return nil, fmt.Errorf("load the client's certificate: %w", err)
	}
	pemText, err := os.ReadFile(c.CA)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pemText)
	return &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: roots, Certificates: []tls.Certificate{pair}}, nil
}
