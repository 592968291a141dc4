package admin

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nodedb/nodedb/agent/internal/auth"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/client/adminpb"
)

// Lifetimes of secrets.
const (
	tokenLife     = 30 * 24 * time.Hour
	tokenLifeMost = 365 * 24 * time.Hour
	joinLife      = 15 * time.Minute
	joinLifeMost  = 7 * 24 * time.Hour
	joinUsesMost  = 100
)

var rolesProto = map[auth.Role]adminpb.Role{
	auth.RoleViewer:   adminpb.Role_ROLE_VIEWER,
	auth.RoleOperator: adminpb.Role_ROLE_OPERATOR,
	auth.RoleAdmin:    adminpb.Role_ROLE_ADMIN,
}

func roleProto(r auth.Role) adminpb.Role { return rolesProto[r] }

func roleOf(r adminpb.Role) auth.Role {
	for ours, theirs := range rolesProto {
		if theirs == r {
			return ours
		}
	}
	return auth.RoleNone
}

// life checks how long a secret shall live.
func life(ttl float64, normal, most time.Duration) (time.Duration, error) {
	d := seconds(ttl)
	switch {
	case ttl == 0:
		return normal, nil
	case d < time.Second || d > most:
		return 0, &Error{Kind: KindInvalid, Message: fmt.Sprintf("ttl must be between 1s and %s", most)}
	}
	return d, nil
}

// CreateToken implements adminpb.AdminHandler.
func (s *service) CreateToken(ctx context.Context, r *adminpb.CreateTokenRequest) (*adminpb.CreateTokenResponse, error) {
	d, err := life(r.GetTtl(), tokenLife, tokenLifeMost)
	if err != nil {
		return nil, err
	}
	me, role := caller(ctx), roleOf(r.GetRole())
	if role == auth.RoleNone {
		return nil, &Error{Kind: KindInvalid, Message: "role must be viewer, operator or admin"}
	}
	owner := r.GetOwner()
	if owner == "" {
		owner = me.Name
	}
	u := s.backend.View().Users[owner]
	if u == nil {
		return nil, &Error{Kind: KindNotFound, Message: fmt.Sprintf("there is no user %q to own the token", owner)}
	}
	if has, err := auth.ParseRole(u.AdminRole); err != nil || has < role {
		return nil, &Error{Kind: KindInvalid, Message: fmt.Sprintf("a token of %s may be %s at most", owner, has)}
	}
	id, secret, hash := auth.NewBearerToken()
	res, err := s.propose(ctx, metastate.Command{CreateToken: &metastate.CreateToken{
		ID: id, Owner: owner, Role: role.String(), Hash: hash[:], ExpiresAt: time.Now().Add(d).UTC(),
	}})
	if err != nil {
		return nil, err
	}
	t := s.backend.View().Tokens[id]
	if t == nil {
		return nil, fmt.Errorf("create token %s: not in the view after index %d", id, res.Index)
	}
	return &adminpb.CreateTokenResponse{Token: tokenProto(t), Secret: secret}, nil
}

func tokenProto(t *metastate.Token) *adminpb.Token {
	role, err := auth.ParseRole(t.Role)
	if err != nil {
		role = auth.RoleNone
	}
	return &adminpb.Token{
		Id: t.ID, Owner: t.Owner, Role: roleProto(role), CreatedAt: timestamp(t.CreatedAt),
		ExpiresAt: timestamp(t.ExpiresAt), CreatedBy: t.CreatedBy, Revoked: !t.RevokedAt.IsZero(),
	}
}

// ListTokens implements adminpb.AdminHandler.
func (s *service) ListTokens(context.Context, *adminpb.ListTokensRequest) (*adminpb.ListTokensResponse, error) {
	view := s.backend.View()
	out := &adminpb.ListTokensResponse{AsOf: s.asOf()}
	for _, id := range sortedKeys(view.Tokens) {
		out.Tokens = append(out.Tokens, tokenProto(view.Tokens[id]))
	}
	return out, nil
}

// RevokeToken implements adminpb.AdminHandler.
func (s *service) RevokeToken(ctx context.Context, r *adminpb.RevokeTokenRequest) (*adminpb.RevokeTokenResponse, error) {
	if s.backend.View().Tokens[r.GetId()] == nil {
		return nil, &Error{Kind: KindNotFound, Message: fmt.Sprintf("there is no token %q", r.GetId())}
	}
	if _, err := s.propose(ctx, metastate.Command{RevokeToken: &metastate.RevokeToken{ID: r.GetId()}}); err != nil {
		return nil, err
	}
	return &adminpb.RevokeTokenResponse{}, nil
}

// CreateJoinToken implements adminpb.AdminHandler.
func (s *service) CreateJoinToken(ctx context.Context, r *adminpb.CreateJoinTokenRequest) (*adminpb.CreateJoinTokenResponse, error) {
	d, err := life(r.GetTtl(), joinLife, joinLifeMost)
	if err != nil {
		return nil, err
	}
	uses := int(r.GetUses())
	if uses == 0 {
		uses = 1
	}
	if uses > joinUsesMost || (r.GetNodeName() != "" && uses != 1) {
		return nil, &Error{Kind: KindInvalid, Message: fmt.Sprintf("uses must be between 1 and %d, and 1 for a named node", joinUsesMost)}
	}
	id, secret, hash, err := auth.NewJoinToken([]byte(s.backend.View().SigningCA()))
	if err != nil {
		return nil, fmt.Errorf("make join token: %w", err)
	}
	_, err = s.propose(ctx, metastate.Command{CreateJoinToken: &metastate.CreateJoinToken{
		ID: id, Hash: hash[:], Node: r.GetNodeName(), Uses: uses, ExpiresAt: time.Now().Add(d).UTC(),
	}})
	if err != nil {
		return nil, err
	}
	t := s.backend.View().JoinTokens[id]
	if t == nil {
		return nil, fmt.Errorf("create join token %s: not in the view", id)
	}
	return &adminpb.CreateJoinTokenResponse{Token: joinTokenProto(t), Secret: secret}, nil
}

func joinTokenProto(t *metastate.JoinToken) *adminpb.JoinToken {
	return &adminpb.JoinToken{
		Id: t.ID, NodeName: t.Node, CreatedAt: timestamp(t.CreatedAt), ExpiresAt: timestamppb.New(t.ExpiresAt),
		CreatedBy: t.CreatedBy, Uses: uint32(t.Uses), UsesLeft: uint32(max(0, t.Uses-len(t.Consumed))),
	}
}

// ListJoinTokens implements adminpb.AdminHandler: those that may still be used.
func (s *service) ListJoinTokens(context.Context, *adminpb.ListJoinTokensRequest) (*adminpb.ListJoinTokensResponse, error) {
	view, now := s.backend.View(), time.Now()
	out := &adminpb.ListJoinTokensResponse{AsOf: s.asOf()}
	for _, id := range sortedKeys(view.JoinTokens) {
		t := view.JoinTokens[id]
		if t.RevokedAt.IsZero() && now.Before(t.ExpiresAt) && len(t.Consumed) < t.Uses {
			out.Tokens = append(out.Tokens, joinTokenProto(t))
		}
	}
	return out, nil
}

// RevokeJoinToken implements adminpb.AdminHandler.
func (s *service) RevokeJoinToken(ctx context.Context, r *adminpb.RevokeJoinTokenRequest) (*adminpb.RevokeJoinTokenResponse, error) {
	if s.backend.View().JoinTokens[r.GetId()] == nil {
		return nil, &Error{Kind: KindNotFound, Message: fmt.Sprintf("there is no join token %q", r.GetId())}
	}
	if _, err := s.propose(ctx, metastate.Command{RevokeJoinToken: &metastate.RevokeJoinToken{ID: r.GetId()}}); err != nil {
		return nil, err
	}
	return &adminpb.RevokeJoinTokenResponse{}, nil
}
