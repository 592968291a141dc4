package sql

import (
	"context"
	"fmt"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// policyRoles are the roles of a policy; "" is PUBLIC, which is all there are without TO.
func (s *Session) policyRoles(list []syntax.RoleName) ([]string, error) {
	return s.grantees(&syntax.Grant{To: list})
}

// policyDDL is what statements about policies ask the session.
func (s *Session) policyDDL(in catalog.Scope, roles []string) catalog.PolicyDDL {
	return catalog.PolicyDDL{Roles: roles, Check: func(t *catalog.Table, p *cluster.Policy) error {
		return queryplan.CheckPolicy(t, p, finder(in).Functions)
	}}
}

func (s *Session) createPolicy(ctx context.Context, node *syntax.CreatePolicy) (string, error) {
	const tag = "CREATE POLICY"
	roles, err := s.policyRoles(node.Roles)
	if err != nil {
		return "", err
	}
	return tag, s.changeObjects(ctx, tag, func(in catalog.Scope) (*catalog.Draft, error) {
		return s.server.catalog.CreatePolicy(in, node, s.policyDDL(in, roles))
	})
}

func (s *Session) alterPolicy(ctx context.Context, node *syntax.AlterPolicy) (string, error) {
	const tag = "ALTER POLICY"
	roles, err := s.policyRoles(node.Roles)
	if err != nil {
		return "", err
	}
	return tag, s.changeObjects(ctx, tag, func(in catalog.Scope) (*catalog.Draft, error) {
		return s.server.catalog.AlterPolicy(in, node, s.policyDDL(in, roles))
	})
}

func (s *Session) dropPolicy(ctx context.Context, node *syntax.DropPolicy) (string, error) {
	const tag = "DROP POLICY"
	missing := false
	err := s.changeObjects(ctx, tag, func(in catalog.Scope) (next *catalog.Draft, err error) {
		next, missing, err = s.server.catalog.DropPolicy(in, node)
		return next, err
	})
	if err == nil && missing {
		s.notice("NOTICE", "00000", "policy %q for relation %q does not exist, skipping", node.Name, node.Table.Name)
	}
	return tag, err
}

// policies are those of a table that are for a role; "" is the session's. Who owns the table,
// unless it is forced on the owner, admins, and who has BYPASSRLS see all rows.
func (s *Session) policies(p *Prepared) func(*catalog.Table, string) ([]cluster.Policy, bool, error) {
	return func(t *catalog.Table, role string) ([]cluster.Policy, bool, error) {
		rows, rights := t.Desc.Collection, s.rights()
		if role != "" && role != rights.Role {
			rights = catalog.RightsOf(s.server.catalog.View(), role)
		}
		switch u := rights.User(); {
		case !rows.RowSecurity, rights.Super, u != nil && u.BypassRLS, rights.Owns(t.Desc) && !rows.ForceRowSecurity:
			return nil, false, nil
		}
		p.asked = true // a setting
		if on, _ := s.setting("row_security"); on == "off" {
			return nil, false, &syntax.Error{Code: "42501", Message: fmt.Sprintf("query would be affected by row-level security policy for table %q", t.Name())}
		}
		out := slices.DeleteFunc(slices.Clone(rows.Policies), func(p cluster.Policy) bool {
			return !slices.ContainsFunc(p.Roles, func(r string) bool { return r == "" || rights.Has(r) })
		})
		return out, true, nil
	}
}
