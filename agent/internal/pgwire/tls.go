package pgwire

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
)

// alpnProtocol is what PostgreSQL 17's clients ask for.
const alpnProtocol = "postgresql"

// secure is what the handshake of one connection agreed on.
type secure struct {
	state tls.ConnectionState
	// leaf is the certificate that this server showed: channel binding hashes it.
	leaf *x509.Certificate
}

// handshake runs TLS on raw. A direct handshake (without an SSLRequest before it)
// must agree on ALPN, so that another protocol's client can't be talked into
// speaking to us. hello is called when the client has begun.
func handshake(ctx context.Context, raw net.Conn, base *tls.Config, direct bool, hello func()) (*tls.Conn, *secure, error) {
	var shown *tls.Certificate
	outer := base.Clone()
	outer.GetConfigForClient = func(info *tls.ClientHelloInfo) (*tls.Config, error) {
		hello()
		cfg, err := configFor(base, info)
		if err != nil {
			return nil, err
		}
		shown = &cfg.Certificates[0]
		return cfg, nil
	}
	conn := tls.Server(raw, outer)
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, nil, fmt.Errorf("tls handshake: %w", err)
	}
	s := &secure{state: conn.ConnectionState()}
	if direct && s.state.NegotiatedProtocol != alpnProtocol {
		return nil, nil, fmt.Errorf("direct tls without ALPN %q", alpnProtocol)
	}
	leaf, err := leafOf(shown)
	if err != nil {
		return nil, nil, err
	}
	s.leaf = leaf
	return conn, s, nil
}

// configFor picks the live configuration and the one certificate that this
// client will see, so that it is known afterwards which it was.
func configFor(base *tls.Config, hello *tls.ClientHelloInfo) (*tls.Config, error) {
	live := base
	if base.GetConfigForClient != nil {
		c, err := base.GetConfigForClient(hello)
		if err != nil {
			return nil, err
		}
		if c != nil {
			live = c
		}
	}
	cfg := live.Clone()
	cfg.GetConfigForClient = nil
	cfg.NextProtos = []string{alpnProtocol}
	cfg.SessionTicketsDisabled = true // a resumed session does not check the chain again
	if cfg.ClientCAs != nil {
		cfg.ClientAuth = tls.VerifyClientCertIfGiven
	} else {
		cfg.ClientAuth = tls.NoClientCert
	}
	cert, err := pickCertificate(cfg, hello)
	if err != nil {
		return nil, err
	}
	cfg.GetCertificate = nil
	cfg.Certificates = []tls.Certificate{*cert}
	return cfg, nil
}

func pickCertificate(cfg *tls.Config, hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if cfg.GetCertificate != nil {
		cert, err := cfg.GetCertificate(hello)
		if err != nil || cert != nil {
			return cert, err
		}
	}
	if len(cfg.Certificates) == 0 {
		return nil, errors.New("no server certificate")
	}
	i := slices.IndexFunc(cfg.Certificates, func(c tls.Certificate) bool {
		return hello.SupportsCertificate(&c) == nil
	})
	return &cfg.Certificates[max(i, 0)], nil
}

func leafOf(cert *tls.Certificate) (*x509.Certificate, error) {
	if cert == nil || len(cert.Certificate) == 0 {
		return nil, errors.New("tls handshake without a server certificate")
	}
	if cert.Leaf != nil {
		return cert.Leaf, nil
	}
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		return nil, fmt.Errorf("parse own certificate: %w", err)
	}
	return leaf, nil
}
