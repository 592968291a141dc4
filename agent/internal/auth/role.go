package auth

import "fmt"

// Role is what a principal may do through the admin API. Each role includes the
// ones before it.
type Role int

// The roles.
const (
	RoleNone     Role = iota
	RoleViewer        // reads and watches; no SQL text, no secrets
	RoleOperator      // drain, cordon, decommission, rebalance, moves
	RoleAdmin         // users, tokens, join tokens, keys, settings
)

// String returns the word that is stored and typed.
func (r Role) String() string {
	switch r {
	case RoleViewer:
		return "viewer"
	case RoleOperator:
		return "operator"
	case RoleAdmin:
		return "admin"
	default:
		return "none"
	}
}

// ParseRole reads a role; "" and "none" are RoleNone.
func ParseRole(s string) (Role, error) {
	for _, r := range []Role{RoleNone, RoleViewer, RoleOperator, RoleAdmin} {
		if s == r.String() {
			return r, nil
		}
	}
	if s == "" {
		return RoleNone, nil
	}
	return RoleNone, fmt.Errorf("unknown role %q: viewer, operator or admin", s)
}

// Principal is who makes a request.
type Principal struct {
	Name string // the user, or "n4" for a node
	Role Role
	Via  string // token | cert | node
	// TokenID names the bearer token, Serial the certificate: when either is
	// revoked, what they opened is closed.
	TokenID string
	Serial  string
}

// How a principal was authenticated.
const (
	ViaToken = "token"
	ViaCert  = "cert"
	ViaNode  = "node"
)
