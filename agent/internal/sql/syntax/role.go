package syntax

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// AdminRoles are the roles that are granted for the admin API, weakest first.
var AdminRoles = []string{"nodedb_viewer", "nodedb_operator", "nodedb_admin"}

// ChangeRole is CREATE or ALTER USER, ROLE or GROUP.
type ChangeRole struct {
	Create bool
	Word   string // USER or ROLE, for the command tag
	Name   string // "": the session's own user
	// Password is nil if none was given, and "" for PASSWORD NULL. It may be a
	// SCRAM verifier.
	Password *string
	// ConnectionLimit is nil if none was given; so are the others.
	ConnectionLimit *int32
	Superuser       *bool   `json:",omitempty"`
	Login           *bool   `json:",omitempty"`
	Inherit         *bool   `json:",omitempty"`
	CreateDB        *bool   `json:",omitempty"`
	CreateRole      *bool   `json:",omitempty"`
	BypassRLS       *bool   `json:",omitempty"`
	ValidUntil      *string `json:",omitempty"` // as it was written
	// In are the roles that it becomes a member of; Members those that become its own,
	// Admins with the ADMIN OPTION.
	In      []RoleName `json:",omitempty"`
	Members []RoleName `json:",omitempty"`
	Admins  []RoleName `json:",omitempty"`
}

// DropRole is DROP USER, ROLE or GROUP.
type DropRole struct {
	Names    []string
	IfExists bool
}

// GrantRole is GRANT or REVOKE of roles, and ALTER GROUP.
type GrantRole struct {
	Revoke bool
	Tag    string // the command tag
	Roles  []string
	To     []RoleName
	// Admin is WITH ADMIN OPTION, or ADMIN OPTION FOR.
	Admin     bool      `json:",omitempty"`
	GrantedBy *RoleName `json:",omitempty"`
}

// ReassignOwned is REASSIGN OWNED BY ... TO, and DropOwned is DROP OWNED BY.
type (
	ReassignOwned struct {
		By []RoleName
		To RoleName
	}
	DropOwned struct {
		By      []RoleName
		Cascade bool
	}
)

func (*ChangeRole) node()    {}
func (*DropRole) node()      {}
func (*GrantRole) node()     {}
func (*ReassignOwned) node() {}
func (*DropOwned) node()     {}

// Secret reports whether the text of the statement may hold a password, which
// must be shown and kept nowhere.
func (s *Statement) Secret() bool {
	_, ok := s.Node.(*ChangeRole)
	return ok
}

// Shown is the text for lists and logs.
func (s *Statement) Shown() string {
	if c, ok := s.Node.(*ChangeRole); ok {
		verb := "ALTER "
		if c.Create {
			verb = "CREATE "
		}
		return verb + c.Word + " " + c.Name + " ..."
	}
	return s.Text
}

// convertRole reads the statements about roles.
func convertRole(stmt *pg.Node, _, _ string) (Node, *Error) {
	var err *Error
	switch n := stmt.GetNode().(type) {
	case *pg.Node_CreateRoleStmt:
		c := &ChangeRole{Create: true, Word: "ROLE", Name: n.CreateRoleStmt.GetRole()}
		if n.CreateRoleStmt.GetStmtType() == pg.RoleStmtType_ROLESTMT_USER {
			c.Word = "USER"
		}
		err = c.options(n.CreateRoleStmt.GetOptions())
		if err == nil {
			err = checkRoleName(c.Name)
		}
		return c, err
	case *pg.Node_AlterRoleStmt:
		if n.AlterRoleStmt.GetRole() != nil && isGroup(n.AlterRoleStmt) {
			return convertGroup(n.AlterRoleStmt)
		}
		c := &ChangeRole{Word: "ROLE"}
		if c.Name, err = roleName(n.AlterRoleStmt.GetRole()); err == nil {
			err = c.options(n.AlterRoleStmt.GetOptions())
		}
		return c, err
	case *pg.Node_DropRoleStmt:
		d := &DropRole{IfExists: n.DropRoleStmt.GetMissingOk()}
		d.Names, err = roleNames(n.DropRoleStmt.GetRoles())
		return d, err
	case *pg.Node_GrantRoleStmt:
		return convertGrant(n.GrantRoleStmt)
	case *pg.Node_ReassignOwnedStmt:
		return &ReassignOwned{By: roles(n.ReassignOwnedStmt.GetRoles()), To: role(n.ReassignOwnedStmt.GetNewrole())}, nil
	case *pg.Node_DropOwnedStmt:
		return &DropOwned{By: roles(n.DropOwnedStmt.GetRoles()), Cascade: cascade(n.DropOwnedStmt.GetBehavior())}, nil
	default:
		return nil, nil
	}
}

// checkRoleName keeps names free that mean something else.
func checkRoleName(name string) *Error {
	switch {
	case name == "" || len(name) > 63 || strings.ContainsAny(name, "/\x00"):
		return &Error{Code: "42602", Message: "a role needs a name of 1 to 63 bytes without a slash"}
	case strings.HasPrefix(name, "pg_") || strings.HasPrefix(name, "nodedb_") || name == "public" || name == "none":
		return &Error{Code: "42939", Message: "role name \"" + name + "\" is reserved"}
	}
	return nil
}

// options reads what follows the name.
func (c *ChangeRole) options(list []*pg.Node) *Error {
	given := map[string]bool{}
	flags := map[string]**bool{"superuser": &c.Superuser, "canlogin": &c.Login, "inherit": &c.Inherit, "createdb": &c.CreateDB, "createrole": &c.CreateRole, "bypassrls": &c.BypassRLS}
	for _, o := range list {
		d := o.GetDefElem()
		arg, name := d.GetArg(), d.GetDefname()
		if given[name] {
			return &Error{Code: codeSyntax, Message: "conflicting or redundant options", Position: Position(d.GetLocation())}
		}
		given[name] = true
		if flag := flags[name]; flag != nil {
			on := arg.GetBoolean().GetBoolval()
			*flag = &on
			continue
		}
		switch name {
		case "password":
			text := arg.GetString_().GetSval() // of PASSWORD NULL: ""
			c.Password = &text
		case "connectionlimit":
			limit := arg.GetInteger().GetIval()
			c.ConnectionLimit = &limit
		case "validUntil":
			text := arg.GetString_().GetSval()
			c.ValidUntil = &text
		case "addroleto":
			c.In = roles(arg.GetList().GetItems())
		case "rolemembers":
			c.Members = roles(arg.GetList().GetItems())
		case "adminmembers":
			c.Admins = roles(arg.GetList().GetItems())
		case "isreplication":
			if arg.GetBoolean().GetBoolval() {
				return Unsupported("the role option REPLICATION", "")
			}
		case "sysid":
		default:
			return Unsupported("the role option "+strings.ToUpper(name), "")
		}
	}
	return nil
}

// isGroup reports whether the statement is ALTER GROUP ... ADD or DROP USER.
func isGroup(a *pg.AlterRoleStmt) bool {
	return len(a.GetOptions()) == 1 && a.GetOptions()[0].GetDefElem().GetDefname() == "rolemembers"
}

func convertGroup(a *pg.AlterRoleStmt) (Node, *Error) {
	group, err := roleName(a.GetRole())
	if err != nil {
		return nil, err
	}
	return &GrantRole{Tag: "ALTER ROLE", Revoke: a.GetAction() < 0, Roles: []string{group},
		To: roles(a.GetOptions()[0].GetDefElem().GetArg().GetList().GetItems())}, nil
}

func convertGrant(g *pg.GrantRoleStmt) (Node, *Error) {
	out := &GrantRole{Revoke: !g.GetIsGrant(), Tag: "GRANT ROLE", To: roles(g.GetGranteeRoles())}
	if out.Revoke {
		out.Tag = "REVOKE ROLE"
	}
	for _, o := range g.GetOpt() {
		switch d := o.GetDefElem(); {
		case d.GetDefname() != "admin":
			return nil, Unsupported("WITH "+strings.ToUpper(d.GetDefname())+" of GRANT", "INHERIT and NOINHERIT are options of the member.")
		default: // ADMIN OPTION FOR says false
			out.Admin = out.Revoke || d.GetArg().GetBoolean().GetBoolval()
		}
	}
	if by := g.GetGrantor(); by != nil {
		grantor := role(by)
		out.GrantedBy = &grantor
	}
	for _, r := range g.GetGrantedRoles() {
		if len(r.GetAccessPriv().GetCols()) > 0 {
			return nil, &Error{Code: "0LP01", Message: "column names cannot be included in GRANT/REVOKE ROLE"}
		}
		out.Roles = append(out.Roles, r.GetAccessPriv().GetPrivName())
	}
	return out, nil
}

func roleNames(nodes []*pg.Node) ([]string, *Error) {
	var names []string
	for _, n := range nodes {
		name, err := roleName(n.GetRoleSpec())
		if err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, nil
}

// roleName is "" for CURRENT_USER and its like.
func roleName(r *pg.RoleSpec) (string, *Error) {
	switch r.GetRoletype() {
	case pg.RoleSpecType_ROLESPEC_CSTRING:
		return r.GetRolename(), nil
	case pg.RoleSpecType_ROLESPEC_CURRENT_USER, pg.RoleSpecType_ROLESPEC_SESSION_USER, pg.RoleSpecType_ROLESPEC_CURRENT_ROLE:
		return "", nil
	default:
		return "", Unsupported("PUBLIC here", "Name the users.")
	}
}
