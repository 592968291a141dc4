package sql

import (
	"context"
	"fmt"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// grant runs GRANT and REVOKE of privileges on objects.
func (s *Session) grant(ctx context.Context, node *syntax.Grant) (string, error) {
	tag := "GRANT"
	if node.Revoke {
		tag = "REVOKE"
	}
	to, err := s.grantees(node)
	if err != nil {
		return "", err
	}
	var notices []catalog.Notice
	err = s.changeObjects(ctx, tag, func(in catalog.Scope) (next *catalog.Draft, err error) {
		next, notices, err = s.server.catalog.Grant(in, catalog.Granting{Stmt: node, By: in.Rights, To: to})
		return next, err
	})
	if err != nil {
		return "", err
	}
	for _, n := range notices {
		s.notice("WARNING", n.Code, "%s", n.Message)
	}
	return tag, nil
}

// grantees are the roles that a GRANT names; "" is PUBLIC.
func (s *Session) grantees(node *syntax.Grant) ([]string, error) {
	if node.GrantedBy != nil {
		by, err := s.owner(*node.GrantedBy)
		if err != nil {
			return nil, err
		}
		if by != s.user {
			return nil, &Error{Code: "0A000", Message: "grantor must be current user"}
		}
	}
	var out []string
	for _, r := range node.To {
		name := ""
		if r.Which != syntax.RolePublic {
			var err error
			if name, err = s.owner(r); err != nil {
				return nil, err
			}
		}
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out, nil
}

// alterDefaultPrivileges runs ALTER DEFAULT PRIVILEGES.
func (s *Session) alterDefaultPrivileges(ctx context.Context, node *syntax.AlterDefaultPrivileges) (string, error) {
	const tag = "ALTER DEFAULT PRIVILEGES"
	to, err := s.grantees(&node.Grant)
	if err != nil {
		return "", err
	}
	roles := []string{s.user}
	if len(node.ForRoles) > 0 {
		roles = nil
		for _, r := range node.ForRoles {
			name, err := s.owner(r)
			if err != nil {
				return "", err
			}
			if !s.rights().Super && !s.server.catalog.View().MemberOf(s.user)[name] {
				return "", s.denied(tag, &syntax.Error{Code: "42501", Message: fmt.Sprintf("must be member of role %q", name)})
			}
			roles = append(roles, name)
		}
	}
	return tag, s.changeObjects(ctx, tag, func(in catalog.Scope) (*catalog.Draft, error) {
		return s.server.catalog.AlterDefaults(in, catalog.DefaultGranting{
			Granting: catalog.Granting{Stmt: &node.Grant, By: in.Rights, To: to}, Roles: roles, Schemas: node.InSchemas})
	})
}

// ownedBy are the roles of REASSIGN and DROP OWNED: those that the session's role has the
// privileges of.
func (s *Session) ownedBy(tag string, list []syntax.RoleName) ([]string, error) {
	var out []string
	for _, r := range list {
		name, err := s.owner(r)
		if err != nil {
			return nil, err
		}
		if !s.rights().Has(name) {
			what := "permission denied to drop objects"
			if tag == "REASSIGN OWNED" {
				what = "permission denied to reassign objects"
			}
			return nil, s.denied(tag, &syntax.Error{Code: "42501", Message: what})
		}
		out = append(out, name)
	}
	return out, nil
}

func (s *Session) reassignOwned(ctx context.Context, node *syntax.ReassignOwned) (string, error) {
	const tag = "REASSIGN OWNED"
	by, err := s.ownedBy(tag, node.By)
	if err != nil {
		return "", err
	}
	to, err := s.ownedBy(tag, []syntax.RoleName{node.To})
	if err != nil {
		return "", err
	}
	return tag, s.changeObjects(ctx, tag, func(in catalog.Scope) (*catalog.Draft, error) {
		return s.server.catalog.ReassignOwned(in, by, to[0]), nil
	})
}

func (s *Session) dropOwned(ctx context.Context, node *syntax.DropOwned) (string, error) {
	const tag = "DROP OWNED"
	by, err := s.ownedBy(tag, node.By)
	if err != nil {
		return "", err
	}
	var told catalog.Dropped
	err = s.changeObjects(ctx, tag, func(in catalog.Scope) (next *catalog.Draft, err error) {
		next, told, err = s.server.catalog.DropOwned(in, by, node.Cascade)
		return next, err
	})
	if err != nil {
		return "", err
	}
	s.noticeCascade(told.Cascades)
	return tag, nil
}
