package pgwire

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"

	"github.com/xdg-go/scram"
)

const (
	mechanismPlain = "SCRAM-SHA-256"
	mechanismPlus  = "SCRAM-SHA-256-PLUS"
)

// scramExchange is the server's side of one SASL login.
type scramExchange struct {
	credentials scram.StoredCredentials
	binding     scram.ChannelBinding
	canBind     bool
}

// newSCRAMExchange prepares a login; sec is nil without TLS.
func newSCRAMExchange(credentials scram.StoredCredentials, sec *secure) *scramExchange {
	x := &scramExchange{credentials: credentials}
	if sec == nil {
		return x
	}
	binding, err := scram.NewTLSServerEndpointBinding(&tls.ConnectionState{
		PeerCertificates:  []*x509.Certificate{sec.leaf},
		HandshakeComplete: true,
		Version:           sec.state.Version,
	})
	// An Ed25519 certificate has no hash to bind to: plain SCRAM remains.
	x.binding, x.canBind = binding, err == nil
	return x
}

func (x *scramExchange) mechanisms() []string {
	if x.canBind {
		return []string{mechanismPlus, mechanismPlain}
	}
	return []string{mechanismPlain}
}

// conversation starts the mechanism that the client chose. The user name inside
// the SCRAM messages is ignored, as PostgreSQL does: clients send "" or "*".
func (x *scramExchange) conversation(mechanism string) (*scram.ServerConversation, error) {
	server, err := scram.SHA256.NewServer(func(string) (scram.StoredCredentials, error) {
		return x.credentials, nil
	})
	if err != nil {
		return nil, fmt.Errorf("start scram: %w", err)
	}
	switch {
	case mechanism == mechanismPlus && x.canBind:
		return server.NewConversationWithChannelBindingRequired(x.binding), nil
	case mechanism == mechanismPlain && x.canBind:
		// Refuses a client that believes that we can't bind: someone in
		// between took the better mechanism off the list.
		return server.NewConversationWithChannelBinding(x.binding), nil
	case mechanism == mechanismPlain:
		return server.NewConversation(), nil
	}
	return nil, fmt.Errorf("mechanism %q was not offered", mechanism)
}
