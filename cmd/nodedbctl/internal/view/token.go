package view

import (
	"strings"
	"time"

	"github.com/nodedb/nodedb/client/adminpb"
)

// Token is the kind Token: a bearer token without its secret.
type Token struct {
	ID        string     `json:"id"`
	Owner     string     `json:"owner"`
	Role      string     `json:"role"`
	CreatedAt *time.Time `json:"createdAt"`
	ExpiresAt *time.Time `json:"expiresAt"`
	CreatedBy string     `json:"createdBy"`
	Revoked   bool       `json:"revoked"`
}

// NewToken makes a Token.
func NewToken(t *adminpb.Token) Token {
	return Token{
		ID: t.GetId(), Owner: t.GetOwner(), Role: role(t.GetRole()), CreatedAt: moment(t.GetCreatedAt()),
		ExpiresAt: moment(t.GetExpiresAt()), CreatedBy: t.GetCreatedBy(), Revoked: t.GetRevoked(),
	}
}

func role(r adminpb.Role) string {
	if r == adminpb.Role_ROLE_UNSPECIFIED {
		return "none"
	}
	return strings.ToLower(strings.TrimPrefix(r.String(), "ROLE_"))
}

// JoinToken is the kind JoinToken, without its secret.
type JoinToken struct {
	ID        string     `json:"id"`
	Node      string     `json:"node"`
	CreatedAt *time.Time `json:"createdAt"`
	ExpiresAt *time.Time `json:"expiresAt"`
	CreatedBy string     `json:"createdBy"`
	Uses      uint32     `json:"uses"`
	UsesLeft  uint32     `json:"usesLeft"`
}

// NewJoinToken makes a JoinToken.
func NewJoinToken(t *adminpb.JoinToken) JoinToken {
	return JoinToken{
		ID: t.GetId(), Node: t.GetNodeName(), CreatedAt: moment(t.GetCreatedAt()), ExpiresAt: moment(t.GetExpiresAt()),
		CreatedBy: t.GetCreatedBy(), Uses: t.GetUses(), UsesLeft: t.GetUsesLeft(),
	}
}

// WhoAmI is the kind WhoAmI.
type WhoAmI struct {
	Name      string `json:"name"`
	Role      string `json:"role"`
	Via       string `json:"via"`
	Cluster   string `json:"cluster"`
	ClusterID string `json:"clusterId"`
	Node      uint32 `json:"node"`
}

// NewWhoAmI makes a WhoAmI.
func NewWhoAmI(r *adminpb.WhoAmIResponse) WhoAmI {
	return WhoAmI{Name: r.GetName(), Role: role(r.GetRole()), Via: r.GetVia(), Cluster: r.GetClusterName(), ClusterID: r.GetClusterId(), Node: r.GetNode()}
}
