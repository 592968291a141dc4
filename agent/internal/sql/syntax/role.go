package syntax

import (
	"slices"
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
	// AdminRole is one of AdminRoles, from IN ROLE; "": none.
	AdminRole string
	// ConnectionLimit is nil if none was given.
	ConnectionLimit *int32
}

// DropRole is DROP USER, ROLE or GROUP.
type DropRole struct {
	Names    []string
	IfExists bool
}

// GrantRole is GRANT or REVOKE of one of AdminRoles.
type GrantRole struct {
	Revoke bool
	Role   string
	To     []string
}

func (*ChangeRole) node() {}
func (*DropRole) node()   {}
func (*GrantRole) node()  {}

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

// options reads what follows the name. What a role never has may be refused to
// it; what it always has may be given.
func (c *ChangeRole) options(list []*pg.Node) *Error {
	for _, o := range list {
		d := o.GetDefElem()
		arg := d.GetArg()
		on := arg.GetBoolean().GetBoolval()
		switch name := d.GetDefname(); {
		case name == "password":
			text := arg.GetString_().GetSval() // of PASSWORD NULL: ""
			c.Password = &text
		case name == "connectionlimit":
			limit := arg.GetInteger().GetIval()
			c.ConnectionLimit = &limit
		case (name == "canlogin" || name == "inherit") && on:
		case (name == "superuser" || name == "createdb" || name == "createrole" || name == "isreplication" || name == "bypassrls") && !on:
		case name == "addroleto":
			names, err := roleNames(arg.GetList().GetItems())
			if err != nil {
				return err
			}
			if len(names) != 1 || !slices.Contains(AdminRoles, names[0]) {
				return notAdminRole()
			}
			c.AdminRole = names[0]
		case name == "canlogin":
			return Unsupported("a role that cannot log in", "Rights are granted to users: nodedb_viewer, nodedb_operator or nodedb_admin.")
		case name == "superuser" || name == "createrole":
			return Unsupported(strings.ToUpper(name), "GRANT nodedb_admin TO the user instead.")
		default:
			return Unsupported("the role option "+strings.ToUpper(name), "")
		}
	}
	return nil
}

func notAdminRole() *Error {
	return Unsupported("roles other than nodedb_viewer, nodedb_operator and nodedb_admin", "These are for the admin API; every user may read and write every collection.")
}

func convertGrant(g *pg.GrantRoleStmt) (Node, *Error) {
	if len(g.GetOpt()) > 0 || g.GetGrantor() != nil {
		return nil, Unsupported("WITH and GRANTED BY of GRANT", "")
	}
	out := &GrantRole{Revoke: !g.GetIsGrant()}
	if len(g.GetGrantedRoles()) != 1 {
		return nil, Unsupported("GRANT of several roles at once", "")
	}
	out.Role = g.GetGrantedRoles()[0].GetAccessPriv().GetPrivName()
	if !slices.Contains(AdminRoles, out.Role) {
		return nil, notAdminRole()
	}
	var err *Error
	out.To, err = roleNames(g.GetGranteeRoles())
	return out, err
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
