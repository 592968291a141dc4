package auth

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// Every config takes its certificate and roots from the bundle in force at each
// handshake, and none resumes sessions: a resumed session is not checked
// against the roots again.

// ServerConfig is for the RPC port: it admits nodes of this cluster only. Which
// of them are members is the acceptor's question.
func (s *Source) ServerConfig() *tls.Config {
	return s.server(func(b *Bundle) *tls.Config {
		return &tls.Config{
			MinVersion: tls.VersionTLS13, NextProtos: []string{"h2"}, SessionTicketsDisabled: true,
			Certificates: []tls.Certificate{b.leaf},
			ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: b.roots,
			VerifyConnection: func(cs tls.ConnectionState) error {
				_, err := PeerNode(&cs, b.Identity.Cluster)
				return err
			},
		}
	})
}

// ClientConfig is for dialling node expect's RPC port.
func (s *Source) ClientConfig(expect cluster.NodeID) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: []string{"h2"}, SessionTicketsDisabled: true,
		ServerName: ServerName(expect),
		// VerifyConnection verifies instead, against the roots in force: RootCAs
		// would be those of the day the config was made.
		InsecureSkipVerify: true, //nolint:gosec // verified below
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return &s.Current().leaf, nil
		},
		VerifyConnection: func(cs tls.ConnectionState) error {
			b := s.Current()
			if err := verifyServer(&cs, b.roots, ServerName(expect)); err != nil {
				return err
			}
			id, err := PeerNode(&cs, b.Identity.Cluster)
			if err == nil && id.Node != expect {
				err = fmt.Errorf("peer is %s, not %s", id, expect)
			}
			return err
		},
	}
}

// AnyNodeConfig is for dialling the admin port of some node of this cluster,
// whose number and host name are not known, with this node's certificate.
func (s *Source) AnyNodeConfig() *tls.Config {
	c := s.ClientConfig(0)
	c.ServerName, c.NextProtos = "", nil
	c.VerifyConnection = func(cs tls.ConnectionState) error {
		b := s.Current()
		if err := verifyServer(&cs, b.roots, ""); err != nil {
			return err
		}
		_, err := PeerNode(&cs, b.Identity.Cluster)
		return err
	}
	return c
}

// AdminConfig is for the admin port: client certificates are optional, and
// verified if given. It sends the root too, for joining nodes.
func (s *Source) AdminConfig() *tls.Config {
	return s.server(func(b *Bundle) *tls.Config {
		return &tls.Config{
			MinVersion: tls.VersionTLS13, NextProtos: []string{"h2", "http/1.1"}, SessionTicketsDisabled: true,
			Certificates: []tls.Certificate{b.chain},
			ClientAuth:   tls.VerifyClientCertIfGiven, ClientCAs: b.roots,
		}
	})
}

// SQLConfig is for the SQL port: client certificates are optional, and verified
// if given. TLS 1.2 is allowed: drivers in use have nothing newer.
func (s *Source) SQLConfig() *tls.Config {
	return s.server(func(b *Bundle) *tls.Config {
		return &tls.Config{
			MinVersion: tls.VersionTLS12, SessionTicketsDisabled: true,
			Certificates: []tls.Certificate{b.leaf},
			ClientAuth:   tls.VerifyClientCertIfGiven, ClientCAs: b.roots,
		}
	})
}

func (s *Source) server(build func(*Bundle) *tls.Config) *tls.Config {
	c := build(s.Current())
	c.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		return build(s.Current()), nil
	}
	return c
}

// PeerNode returns the node at the other end of a verified connection. It
// refuses users and nodes of another cluster.
func PeerNode(cs *tls.ConnectionState, clusterID string) (Identity, error) {
	if len(cs.PeerCertificates) == 0 {
		return Identity{}, errors.New("peer showed no certificate")
	}
	id, err := CertIdentity(cs.PeerCertificates[0])
	switch {
	case err != nil:
		return Identity{}, err
	case id.Cluster != clusterID:
		return Identity{}, fmt.Errorf("peer belongs to cluster %s, not %s", id.Cluster, clusterID)
	case id.Node == 0:
		return Identity{}, fmt.Errorf("peer is %s, not a node", id)
	}
	return id, nil
}

// PeerUser returns the user at the other end of a connection whose certificate
// the TLS layer verified; ok is false if none was shown.
func PeerUser(cs *tls.ConnectionState, clusterID string) (id Identity, ok bool, err error) {
	if cs == nil || len(cs.VerifiedChains) == 0 || len(cs.PeerCertificates) == 0 {
		return Identity{}, false, nil
	}
	id, err = CertIdentity(cs.PeerCertificates[0])
	if err == nil && id.Cluster != clusterID {
		err = fmt.Errorf("certificate belongs to cluster %s, not %s", id.Cluster, clusterID)
	}
	return id, err == nil, err
}

func verifyServer(cs *tls.ConnectionState, roots *x509.CertPool, name string) error {
	if len(cs.PeerCertificates) == 0 {
		return errors.New("peer showed no certificate")
	}
	_, err := cs.PeerCertificates[0].Verify(x509.VerifyOptions{
		Roots: roots, DNSName: name, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	if err != nil {
		return fmt.Errorf("verify the peer's certificate: %w", err)
	}
	return nil
}

// ErrPin says that a server is not of the cluster that a join token is for.
var ErrPin = errors.New("the CA does not match the pin in the join token")

// PinnedConfig is for a joining node: it trusts exactly the CA whose public key
// has the pin, and talks to nodes only. Nothing is sent before that is checked.
// The CA certificate is handed to found.
func PinnedConfig(pin [32]byte, found func(*x509.Certificate)) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, SessionTicketsDisabled: true, NextProtos: []string{"http/1.1"},
		InsecureSkipVerify: true, //nolint:gosec // verified below: there are no roots yet
		VerifyConnection: func(cs tls.ConnectionState) error {
			for _, c := range cs.PeerCertificates {
				if !c.IsCA || Pin(c) != pin {
					continue
				}
				roots := x509.NewCertPool()
				roots.AddCert(c)
				if err := verifyServer(&cs, roots, ""); err != nil {
					return err
				}
				if id, err := CertIdentity(cs.PeerCertificates[0]); err != nil || id.Node == 0 {
					return errors.New("the server is no node of a NodeDB cluster")
				}
				found(c)
				return nil
			}
			return ErrPin
		},
	}
}
