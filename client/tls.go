package client

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"
)

// TLSConfig makes the TLS configuration of c, for the admin port and for SQL.
// With a CA, a server is believed if its certificate is signed by it and names
// a node of the cluster, under whatever address it was reached; without one, the
// system's roots and the address's name decide.
func (c *Context) TLSConfig() (*tls.Config, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS13}
	if (c.Cert == "") != (c.Key == "") {
		return nil, errors.New("a client certificate needs both cert and key")
	}
	if c.Cert != "" {
		pair, err := c.pair()
		if err != nil {
			return nil, err
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	if c.CA == "" {
		return cfg, nil
	}
	pem, err := os.ReadFile(c.CA)
	if err != nil {
		return nil, fmt.Errorf("read CA: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("read CA: %s holds no certificate", c.CA)
	}
	cfg.RootCAs = roots
	// A node may be reached under names and addresses that its certificate does
	// not list (port forwarding, a new address). The CA signs nodes and people of
	// this cluster only, and people's certificates cannot serve: so the chain and
	// the node's name prove as much as a host name would.
	cfg.InsecureSkipVerify = true
	cfg.VerifyConnection = func(s tls.ConnectionState) error { return verifyNode(s, roots) }
	return cfg, nil
}

// pair reads the client certificate and its key, which nobody else may read.
func (c *Context) pair() (tls.Certificate, error) {
	cert, err := os.ReadFile(c.Cert)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("load client certificate: %w", err)
	}
	key, err := readSecret(c.Key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("load client key: %w", err)
	}
	pair, err := tls.X509KeyPair(cert, []byte(key))
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("load client certificate: %w", err)
	}
	return pair, nil
}

// errNotANode marks a server whose certificate is good but no node's.
var errNotANode = errors.New("the server's certificate is not that of a node")

func verifyNode(s tls.ConnectionState, roots *x509.CertPool) error {
	if len(s.PeerCertificates) == 0 {
		return errors.New("the server showed no certificate")
	}
	leaf := s.PeerCertificates[0]
	rest := x509.NewCertPool()
	for _, c := range s.PeerCertificates[1:] {
		rest.AddCert(c)
	}
	_, err := leaf.Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: rest, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	if err != nil {
		return err
	}
	for _, u := range leaf.URIs {
		if u.Scheme == "nodedb" && strings.HasPrefix(u.Path, "/node/") {
			return nil
		}
	}
	return errNotANode
}

// User returns the name that the client certificate gives, or empty.
func (c *Context) User() (string, error) {
	if c.Cert == "" {
		return "", nil
	}
	pair, err := c.pair()
	if err != nil {
		return "", err
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		return "", fmt.Errorf("load client certificate: %w", err)
	}
	for _, u := range leaf.URIs {
		if name, ok := strings.CutPrefix(u.Path, "/user/"); ok && u.Scheme == "nodedb" {
			return name, nil
		}
	}
	return leaf.Subject.CommonName, nil
}
