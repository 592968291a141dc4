package auth

import (
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"github.com/nodedb/nodedb/agent/internal/metastate"
)

// ErrUnauthenticated marks requests without valid credentials.
var ErrUnauthenticated = errors.New("not authenticated")

// Authenticate says who makes a request on the admin port: by the bearer token
// if there is one, else by the client certificate that the TLS layer verified.
// A bad token is an error even beside a good certificate. The role of a token
// is capped by the role that its owner has now.
func Authenticate(view *metastate.View, state *tls.ConnectionState, bearer string, now time.Time) (Principal, error) {
	if bearer != "" {
		return byToken(view, bearer, now)
	}
	id, ok, err := PeerUser(state, view.ClusterID)
	switch {
	case err != nil:
		return Principal{}, fmt.Errorf("%w: %w", ErrUnauthenticated, err)
	case !ok:
		return Principal{}, fmt.Errorf("%w: neither a token nor a client certificate was given", ErrUnauthenticated)
	case id.Node != 0:
		return Principal{Name: id.Node.String(), Via: ViaNode, Serial: id.Serial}, nil
	}
	if view.Revoked(id.Serial) {
		return Principal{}, fmt.Errorf("%w: certificate %s was revoked", ErrUnauthenticated, id.Serial)
	}
	if leaf := state.PeerCertificates[0]; now.After(leaf.NotAfter) { // since the handshake
		return Principal{}, fmt.Errorf("%w: the certificate expired at %s", ErrUnauthenticated, leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	role, known := userRole(view, id.User)
	if !known {
		return Principal{}, fmt.Errorf("%w: there is no user %q", ErrUnauthenticated, id.User)
	}
	return Principal{Name: id.User, Role: role, Via: ViaCert, Serial: id.Serial}, nil
}

func byToken(view *metastate.View, bearer string, now time.Time) (Principal, error) {
	id, hash, err := ParseBearer(bearer)
	if err != nil {
		return Principal{}, fmt.Errorf("%w: %w", ErrUnauthenticated, err)
	}
	t, ok := view.Tokens[id]
	// Expiry is told only to who knows the secret.
	if !ok || subtle.ConstantTimeCompare(t.Hash, hash[:]) != 1 {
		return Principal{}, fmt.Errorf("%w: token unknown", ErrUnauthenticated)
	}
	switch {
	case !t.RevokedAt.IsZero():
		return Principal{}, fmt.Errorf("%w: token %s was revoked", ErrUnauthenticated, id)
	case !t.Valid(now):
		return Principal{}, fmt.Errorf("%w: token %s expired at %s", ErrUnauthenticated, id, t.ExpiresAt.UTC().Format(time.RFC3339))
	}
	owner, known := userRole(view, t.Owner)
	if !known {
		return Principal{}, fmt.Errorf("%w: the owner of token %s no longer exists", ErrUnauthenticated, id)
	}
	role, err := ParseRole(t.Role)
	if err != nil {
		role = RoleNone // of a newer version: this one cannot tell what it allows
	}
	return Principal{Name: t.Owner, Role: min(role, owner), Via: ViaToken, TokenID: id}, nil
}

func userRole(view *metastate.View, name string) (role Role, known bool) {
	u, ok := view.Users[name]
	if !ok {
		return RoleNone, false
	}
	role, err := ParseRole(u.AdminRole)
	if err != nil {
		role = RoleNone
	}
	return role, true
}
